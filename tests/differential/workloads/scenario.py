"""What happens to a cluster, as data: a file of steps, each of which ends with a world that has settled.

A scenario is a YAML file with a sentence (`about`), nodes of its own and loops of ours if it needs any
(`nodes`, `needs`; `alike` where chance decides which node comes first), and steps. A step is
one action, or a list of actions that follow one another without a pause; after each step both sides are left
alone until they are quiet, and compared. Manifests are native ones, and say only what matters: `complete`
adds the dullest selector, labels and container. `(scenario)` in any text is the scenario's own namespace,
`(now-90m)` the time so long ago.

    create: {kind: Deployment, metadata: {name: web}, spec: {replicas: 3}}        one manifest, or a list
    patch: {Deployment/web: {spec: {paused: true}}}                               merge patch
    status: {CronJob/tick: {lastScheduleTime: (now-90m)}}                         merge patch of the status
    scale: {Deployment/web: 5}
    image: {Deployment/web: "web:2"}                                              kubectl set image
    undo: {Deployment/web: 1}                       kubectl rollout undo; 0 is the revision before
    delete: {Deployment/web: Background}            or Foreground, Orphan
    delete: {Pod/web-#1-*: 2}                       so many of them; Pod/* are all pods, if there are any
    exit: {Pod/pi-*: {code: 1, number: 1}}          containers end by themselves
    unready: {Pod/web-#1-*: 1}                      and `ready`: readiness probes fail, pass
    use: {Pod/web-#1-*: {cpu: 200m, number: 2}}     containers use so much from now on
    power: {a: off}                                 a machine dies, or comes back
    cordon: {a: true}
    taint: {a: [{key: k, value: v, effect: NoExecute}]}
    label: {a: {zone: x}}
    wait: 3                                         seconds
    minute: 2                                       until so many seconds after the next full minute
    settle: ""                                      nothing but looking again

Objects are named as in what is compared: `chronicle` says how random parts are masked.
"""

import copy
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml

from nestling.api.json import JsonObject
from nestling.api.kinds import VIRTUAL_KINDS, Kind
from nestling.machinery.clock import timestamp
from nestling.machinery.plan import Propagation

FOLDER: Final = Path(__file__).parent / "scenarios"
ON_OBJECTS: Final = frozenset(
    {"patch", "status", "scale", "image", "undo", "delete", "exit", "unready", "ready", "use"}
)
ON_NODES: Final = frozenset({"power", "cordon", "taint", "label"})
VERBS: Final = frozenset({"create", "wait", "minute", "settle", *ON_OBJECTS, *ON_NODES})
NATIVE: Final = {kind.native: kind for kind in VIRTUAL_KINDS if kind.native}
NODE_LABEL: Final = "nodes"
"""Label of all nodes, and node selector of all pods: the name of the scenario, or `shared`."""
SHARED: Final = "shared"
SHARED_NODES: Final = ("shared-1", "shared-2", "shared-3")

LOOPS_OF: Final = {
    "stateful_set": ("statefulset",),
    "daemon_set": ("daemonset",),
    "job": ("job",),
    "cron_job": ("cronjob", "job"),
    "horizontal_pod_autoscaler": ("horizontalpodautoscaler",),
}
"""What the scenarios of a folder need."""
_FIELDS: Final = frozenset({"about", "alike", "needs", "nodes", "steps", "unlike"})

Action: TypeAlias = tuple[str, Any]
_TEMPLATED: Final = frozenset(
    {"Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "ReplicationController", "Job"}
)
_TIME: Final = re.compile(r"\(now([+-]\d+)([smh])\)")
_UNIT_S: Final = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class Scenario:
    """One story. `nodes` are its own (name to labels); without any its pods run on those that all share."""

    name: str
    about: str
    steps: tuple[tuple[Action, ...], ...]
    nodes: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    needs: tuple[str, ...] = ()
    """Loops of ours without which it makes no sense, besides those of its folder."""
    alike: bool = False
    """Its nodes have one name in what is compared: the original takes them in the order of a Go map."""
    unlike: str = ""
    """Why the two sides differ for the time being: then the test has to fail."""

    @property
    def waits_s(self) -> float:
        """Seconds that it lets pass, about; a full minute counts as one."""
        return sum(
            60.0 if verb == "minute" else float(value) if verb == "wait" else 1.0
            for step in self.steps
            for verb, value in step
        )


class Malformed(ValueError):
    """A scenario that cannot be read."""


def load(path: Path, folder: Path = FOLDER) -> Scenario:
    """Read one file. Raises Malformed with the place."""
    name = str(path.relative_to(folder).with_suffix(""))
    return parse(name, yaml.safe_load(path.read_text()))


def load_all(folder: Path = FOLDER) -> list[Scenario]:
    """All scenarios, in the order of their names."""
    return [load(path, folder) for path in sorted(folder.rglob("*.yaml"))]


def parse(name: str, document: Any) -> Scenario:
    """A scenario from its document. Raises Malformed with the place."""
    if not isinstance(document, dict) or not document.keys() <= _FIELDS:
        raise Malformed(f"{name}: expected {', '.join(sorted(_FIELDS))}")
    steps = [_step(f"{name}, step {number}", step) for number, step in enumerate(document["steps"], 1)]
    nodes = document.get("nodes") or {}
    if isinstance(nodes, list):
        nodes = {node: {} for node in nodes}
    needs = {*document.get("needs", ()), *LOOPS_OF.get(name.partition("/")[0], ())}
    return Scenario(
        name,
        document["about"],
        tuple(steps),
        nodes,
        tuple(sorted(needs)),
        bool(document.get("alike")),
        document.get("unlike") or "",
    )


def _step(place: str, step: Any) -> tuple[Action, ...]:
    actions = step if isinstance(step, list) else [step]
    found: list[Action] = []
    for action in actions:
        if not isinstance(action, dict) or not action or not action.keys() <= VERBS:
            raise Malformed(f"{place}: {action!r} is no action; there are {', '.join(sorted(VERBS))}")
        found += action.items()
    return tuple(found)


def spelt_out(value: Any, *, place: str, now: float) -> Any:
    """A value with its placeholders filled in."""
    if isinstance(value, str):
        text = value.replace("(scenario)", place)
        return _TIME.sub(lambda m: timestamp(now + int(m[1]) * _UNIT_S[m[2]]), text)
    if isinstance(value, dict):
        return {
            spelt_out(key, place=place, now=now): spelt_out(entry, place=place, now=now)
            for key, entry in value.items()
        }
    if isinstance(value, list):
        return [spelt_out(entry, place=place, now=now) for entry in value]
    return value


def complete(manifest: JsonObject, nodes: str) -> JsonObject:
    """The manifest with everything that a valid one needs; what it says itself holds.

    `nodes` is the value of the node label that its pods select.
    """
    found = copy.deepcopy(manifest)
    kind = kind_named(found["kind"])
    found.setdefault("apiVersion", kind.native_api_version)
    name = found["metadata"]["name"]
    spec: JsonObject = found.setdefault("spec", {})
    if kind.native == "CronJob":
        job = spec.setdefault("jobTemplate", {}).setdefault("spec", {})
        _complete_template(job.setdefault("template", {}), name, nodes, restart="Never")
    elif kind.native == "Pod":
        _complete_pod(spec, nodes)
    elif kind.native in _TEMPLATED:
        restart = "Never" if kind.native == "Job" else ""
        _complete_template(spec.setdefault("template", {}), name, nodes, restart=restart)
        if kind.native == "ReplicationController":
            spec.setdefault("selector", {"app": name})
        elif kind.native != "Job":
            spec.setdefault("selector", {"matchLabels": {"app": name}})
        if kind.native == "StatefulSet":
            spec.setdefault("serviceName", name)
    elif kind.native == "Service":
        spec.setdefault("selector", {"app": name})
        spec.setdefault("ports", [{"port": 80}])
    elif kind.native == "PodDisruptionBudget":
        spec.setdefault("selector", {"matchLabels": {"app": name}})
    elif kind.native == "HorizontalPodAutoscaler":
        spec.setdefault("scaleTargetRef", {"apiVersion": "apps/v1", "kind": "Deployment", "name": name})
    return found


def _complete_template(template: JsonObject, name: str, nodes: str, *, restart: str) -> None:
    template.setdefault("metadata", {}).setdefault("labels", {"app": name})
    spec = template.setdefault("spec", {})
    if restart:
        spec.setdefault("restartPolicy", restart)
    _complete_pod(spec, nodes)


def _complete_pod(spec: JsonObject, nodes: str) -> None:
    spec.setdefault("containers", [{}])
    for container in spec["containers"]:
        container.setdefault("name", "main")
        container.setdefault("image", "web:1")
    spec.setdefault("nodeSelector", {})[NODE_LABEL] = nodes


def kind_named(native: str) -> Kind:
    """The kind that stands for a native one. Raises Malformed if there is none."""
    if native not in NATIVE:
        raise Malformed(f"no kind {native}; there are {', '.join(sorted(NATIVE))}")
    return NATIVE[native]


def native_name(kind: str) -> str:
    """The native kind's name for a virtual one's."""
    return kind.removeprefix("Virtual")


def number_of(argument: Any) -> int:
    """How many objects an action is about: a bare number, or the field of that name; 1 if it does not say."""
    if isinstance(argument, dict):
        return int(argument.get("number", 1))
    return argument if isinstance(argument, int) else 1


def propagation_of(argument: Any) -> Propagation:
    """How dependents of a deleted object are to be treated."""
    if isinstance(argument, dict):
        argument = argument.get("policy", "Background")
    return argument if argument in {"Background", "Foreground", "Orphan"} else "Background"


def code_of(argument: Any) -> str:
    """The exit code of containers that end; 0 if the action does not say."""
    return str(argument.get("code", 0)) if isinstance(argument, dict) else "0"
