"""Which plugins judge pods, in which order and weight: kube-scheduler's defaults, and what users make of
them.

A profile is described by sets of plugins that are enabled and disabled, for all extension points at once
(multiPoint) or for single ones, and by arguments. `build` makes it of a registry; every complaint is one
sentence that names the field and what would do.
Source: Kubernetes 1.37, pkg/scheduler/apis/config/v1/default_plugins.go and framework/runtime/framework.go
(expandMultiPointPlugins, getScoreWeights).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Final

from nestling.api.json import JsonObject
from nestling.machinery.errors import NestlingError
from nestling.scheduler.extension import (
    BindPlugin,
    PermitPlugin,
    PostBindPlugin,
    PostFilterPlugin,
    PreBindPlugin,
    PreEnqueuePlugin,
    QueueSortPlugin,
    ReservePlugin,
)
from nestling.scheduler.framework import (
    DEFAULT_SCHEDULER,
    FilterPlugin,
    Plugin,
    PluginError,
    Profile,
    Registry,
    ScorePlugin,
    Weighted,
)
from nestling.scheduler.plugins.default_preemption import DefaultPreemption
from nestling.scheduler.plugins.registry import installed
from nestling.scheduler.plugins.scheduling_gates import SchedulingGates
from nestling.scheduler.preemption import PreemptionArgs

if TYPE_CHECKING:  # pydantic stays out of processes that read no configuration file
    from nestling.api.scheduler_configuration import KubeSchedulerProfile, PluginReference, PluginSet

# In kube-scheduler's order, with the weights of those that score.
DEFAULTS: Final[Mapping[str, int]] = {
    "SchedulingGates": 0,
    "PrioritySort": 0,
    "NodeName": 0,
    "NodeUnschedulable": 0,
    "TaintToleration": 3,
    "NodeAffinity": 2,
    "NodePorts": 0,
    "NodeResourcesFit": 1,
    "VolumeRestrictions": 0,
    "NodeVolumeLimits": 0,
    "VolumeBinding": 0,
    "VolumeZone": 0,
    "PodTopologySpread": 2,
    "InterPodAffinity": 2,
    "DynamicResources": 2,
    "DefaultPreemption": 0,
    "NodeResourcesBalancedAllocation": 1,
    "ImageLocality": 1,
    "DefaultBinder": 0,
    "NodeDeclaredFeatures": 0,
}
# kube-scheduler's plugins about things that do not exist here: to be named in a profile, and without effect.
ABSENT: Final = frozenset(
    {
        "VolumeRestrictions",
        "NodeVolumeLimits",
        "VolumeBinding",
        "VolumeZone",
        "DynamicResources",
        "NodeDeclaredFeatures",
        "GangScheduling",
        "DeferredPodScheduling",
        "TopologyPlacementGenerator",
        "PodGroupPodsCount",
    }
)
EVERY: Final = "*"
MULTI_POINT: Final = "multiPoint"
LARGEST_TOTAL: Final = 2**31 - 1
_TOP_SCORE: Final = 100
POINTS: Final[Mapping[str, type[Plugin]]] = {
    "preEnqueue": PreEnqueuePlugin,
    "queueSort": QueueSortPlugin,
    "preFilter": FilterPlugin,
    "filter": FilterPlugin,
    "postFilter": PostFilterPlugin,
    "preScore": ScorePlugin,
    "score": ScorePlugin,
    "reserve": ReservePlugin,
    "permit": PermitPlugin,
    "preBind": PreBindPlugin,
    "bind": BindPlugin,
    "postBind": PostBindPlugin,
}


class ProfileError(NestlingError):
    """A profile that cannot be: the text names the field, what is wrong and what would do."""


@dataclass(frozen=True, slots=True)
class Enabled:
    """A plugin that is wanted; weight 0 is its own."""

    name: str
    weight: int = 0


@dataclass(frozen=True, slots=True)
class Switches:
    """What is enabled and disabled at one point; `path` is where that stands, for complaints."""

    enabled: tuple[Enabled, ...] = ()
    disabled: frozenset[str] = frozenset()
    path: str = ""


@dataclass(frozen=True, slots=True)
class ProfileSpec:
    """A profile as it was asked for: switches by point, `multiPoint` among them, and arguments by plugin."""

    name: str = DEFAULT_SCHEDULER
    switches: Mapping[str, Switches] = field(default_factory=dict[str, Switches])
    args: Mapping[str, JsonObject] = field(default_factory=dict[str, JsonObject])
    path: str = "profile"

    @classmethod
    def of_file(cls, profile: "KubeSchedulerProfile", path: str) -> "ProfileSpec":
        """From a profile of a KubeSchedulerConfiguration."""
        switches: dict[str, Switches] = {}
        for point in (*POINTS, MULTI_POINT):
            found: PluginSet = getattr(profile.plugins, _snake(point))
            switches[point] = Switches(
                tuple(map(_enabled, found.enabled)),
                frozenset(one.name for one in found.disabled),
                f"{path}.plugins.{point}",
            )
        args = {one.name: one.args for one in profile.plugin_config}
        return cls(profile.scheduler_name, switches, args, path)

    @classmethod
    def of_cluster(cls, profile: JsonObject) -> "ProfileSpec":
        """From an entry of `VirtualCluster.spec.schedulerProfiles`, whose form the schema has seen to."""
        name = profile["schedulerName"]
        path = f"spec.schedulerProfiles[{name}]"
        enabled: list[JsonObject] = profile.get("enabled") or []
        switches = Switches(
            tuple(Enabled(one["name"], one.get("weight") or 0) for one in enabled),
            frozenset(profile.get("disabled") or ()),
            path,
        )
        configured: list[JsonObject] = profile.get("pluginConfig") or []
        return cls(
            name, {MULTI_POINT: switches}, {one["name"]: one.get("args") or {} for one in configured}, path
        )


@dataclass(frozen=True, slots=True)
class Around:
    """The plugins around the choice of a node, by point; `preemption` is None where nobody makes room."""

    pre_enqueue: tuple[PreEnqueuePlugin, ...] = ()
    reserve: tuple[ReservePlugin, ...] = ()
    permit: tuple[PermitPlugin, ...] = ()
    pre_bind: tuple[PreBindPlugin, ...] = ()
    post_bind: tuple[PostBindPlugin, ...] = ()
    sort: QueueSortPlugin | None = None
    preemption: PreemptionArgs | None = None


class FullProfile(Profile):
    """A profile with the plugins around the choice of a node as well."""

    def __init__(
        self, filters: Sequence[FilterPlugin], scores: Iterable[Weighted], around: Around, *, name: str
    ) -> None:
        super().__init__(filters, scores, name=name)
        self.around: Final = around
        self.others = {plugin.name: plugin for plugin in (*around.reserve, *around.permit)}
        self.preempts = around.preemption is not None
        self.only_gates: Final = all(isinstance(plugin, SchedulingGates) for plugin in around.pre_enqueue)


@cache
def default_profile(name: str = DEFAULT_SCHEDULER) -> FullProfile:
    """The default plugins in kube-scheduler's order: a node gives the reason of the first filter it fails."""
    return build(ProfileSpec(name), installed())


def build(spec: ProfileSpec, registry: Registry) -> FullProfile:
    """The profile that a description asks for. Raises ProfileError with a sentence for what cannot be."""
    everywhere = _merged(spec.switches.get(MULTI_POINT, Switches(path=spec.path)))
    made = _make(spec, everywhere, registry)
    at = {point: _expand(spec, point, kind, everywhere, made) for point, kind in POINTS.items()}
    filters = [made[one.name] for one in at["filter"]]
    scores = [
        Weighted(plugin, one.weight or 1)
        for one in at["score"]
        if isinstance(plugin := made[one.name], ScorePlugin)
    ]
    total = _TOP_SCORE * sum(one.weight for one in scores)
    if total > LARGEST_TOTAL:
        raise ProfileError(
            f"{spec.path}: the weights add up to {total // _TOP_SCORE}, which scores no longer fit: the "
            f"sum may be {LARGEST_TOTAL // _TOP_SCORE} at most"
        )
    if len(at["queueSort"]) != 1:
        raise ProfileError(
            f"{spec.path}: {len(at['queueSort'])} plugins say which pod comes first: enable exactly one, "
            "PrioritySort by default"
        )
    if not at["bind"]:
        raise ProfileError(f"{spec.path}: nobody binds pods: leave DefaultBinder enabled")
    return FullProfile(
        [plugin for plugin in filters if isinstance(plugin, FilterPlugin)],
        scores,
        _around({point: [made[one.name] for one in listed] for point, listed in at.items()}),
        name=spec.name,
    )


def _merged(custom: Switches) -> list[Enabled]:
    """The default plugins with a user's multiPoint switches applied, then the ones that only the user has."""
    wanted = {one.name: one for one in custom.enabled}
    found: list[Enabled] = []
    if EVERY not in custom.disabled:
        for name, weight in DEFAULTS.items():
            if name in wanted:
                one = wanted.pop(name)
                found.append(Enabled(name, one.weight or weight))
            elif name not in custom.disabled:
                found.append(Enabled(name, weight))
    return [*found, *(Enabled(one.name, one.weight or DEFAULTS.get(one.name, 0)) for one in wanted.values())]


def _make(spec: ProfileSpec, everywhere: Sequence[Enabled], registry: Registry) -> dict[str, Plugin]:
    """One instance of each plugin that is enabled anywhere."""
    wanted = dict.fromkeys(one.name for one in everywhere)
    for point, switches in spec.switches.items():
        for one in switches.enabled:
            if one.name not in registry.names and one.name not in ABSENT:
                raise ProfileError(
                    f"{switches.path}: there is no plugin {one.name!r}: enable one of "
                    f"{', '.join(sorted(registry.names))}"
                )
            if point != MULTI_POINT:
                wanted.setdefault(one.name)
        for name in sorted(switches.disabled - {EVERY}):
            if name not in registry.names and name not in ABSENT and name not in DEFAULTS:
                raise ProfileError(f"{switches.path}: there is no plugin {name!r} to disable: drop the entry")
    made: dict[str, Plugin] = {}
    for name in wanted:
        if name in registry.names:
            try:
                made[name] = registry.make(name, dict(spec.args.get(name, {})))
            except PluginError as error:
                raise ProfileError(f"{spec.path}.pluginConfig[{name}].args: {error.why}") from error
    for name in spec.args:
        if name not in registry.names and name not in ABSENT and name not in DEFAULTS:
            raise ProfileError(
                f"{spec.path}.pluginConfig: there is no plugin {name!r} to configure: drop the entry"
            )
    return made


def _expand(
    spec: ProfileSpec,
    point: str,
    kind: type[Plugin],
    everywhere: Sequence[Enabled],
    made: Mapping[str, Plugin],
) -> list[Enabled]:
    """Who takes part at one point: those that override multiPoint there, then multiPoint's, then the
    others."""
    switches = spec.switches.get(point, Switches())
    own = {one.name: one for one in switches.enabled}
    for name in own:
        if name in made and not isinstance(made[name], kind):
            raise ProfileError(f"{switches.path}: plugin {name!r} does not take part there: drop the entry")
    overriding: list[str] = []
    general: list[Enabled] = []
    if EVERY not in switches.disabled:
        for one in everywhere:
            if one.name not in made or not isinstance(made[one.name], kind):
                continue
            if one.name in own:
                overriding.append(one.name)
            elif one.name not in switches.disabled:
                general.append(one)
    weights = {one.name: one.weight for one in everywhere}
    listed = [
        Enabled(one.name, one.weight or weights.get(one.name, 0)) for one in own.values() if one.name in made
    ]
    first = [one for one in listed if one.name in overriding]
    return [*first, *general, *(one for one in listed if one.name not in overriding)]


def _around(at: Mapping[str, Sequence[Plugin]]) -> Around:
    preemptions = [plugin for plugin in at["postFilter"] if isinstance(plugin, DefaultPreemption)]
    return Around(
        pre_enqueue=tuple(plugin for plugin in at["preEnqueue"] if isinstance(plugin, PreEnqueuePlugin)),
        reserve=tuple(plugin for plugin in at["reserve"] if isinstance(plugin, ReservePlugin)),
        permit=tuple(plugin for plugin in at["permit"] if isinstance(plugin, PermitPlugin)),
        pre_bind=tuple(plugin for plugin in at["preBind"] if isinstance(plugin, PreBindPlugin)),
        post_bind=tuple(plugin for plugin in at["postBind"] if isinstance(plugin, PostBindPlugin)),
        sort=next((plugin for plugin in at["queueSort"] if isinstance(plugin, QueueSortPlugin)), None),
        preemption=preemptions[0].args if preemptions else None,
    )


def _enabled(one: "PluginReference") -> Enabled:
    return Enabled(one.name, one.weight or 0)


def _snake(point: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in point)
