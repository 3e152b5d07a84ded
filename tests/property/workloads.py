"""Random lives of virtual clusters: what users do to them, in which order, and with which pauses.

A workload is a list of steps that are always possible: what is not there is left alone. A *calm* workload
waits after each step until the cluster has come to rest, so the way to the end is determined and two runs can
be compared down to the last revision. A *hasty* one does not: which ReplicaSets a rollout leaves behind then
depends on how far the operator had come, and only what users asked for is compared.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from hypothesis import strategies as st
from invariants import POWER, RUN_DURATION, active, conditions_of, deleting, healthy_nodes, name_of, status_of
from scenarios import end_state, settle, workload

from nestling.api.json import JsonObject
from nestling.api.kinds import (
    DEPLOYMENT,
    ENDPOINT_SLICE,
    NAMESPACE,
    NODE,
    NODE_POOL,
    POD,
    REPLICA_SET,
    SERVICE,
    Kind,
)
from simulation import CrashPoint, World

SIM: Final = "sim.nestling.dev/"
ROLLBACK: Final = "deprecated.deployment.rollback.to"
BROKEN: Final = "fail/web:9"
CRASHING: Final = {RUN_DURATION: "2s", f"{SIM}exit-code": "1"}
SLOW: Final = {f"{SIM}start-delay": "2s", f"{SIM}ready-after": "3s", f"{SIM}stop-delay": "4s"}
CALM_S: Final = 75.0
# An unready node is noticed after 40 s, its pods evicted 300 s later; a stuck rollout fails after 600.
LONG_S: Final = 1200.0

AppKind = Literal["VirtualDeployment", "VirtualReplicaSet"]
Shape = Literal["plain", "slow", "port", "gpu", "tolerant"]
KINDS: Final = {kind.name: kind for kind in (DEPLOYMENT, REPLICA_SET)}
STRATEGIES: Final[dict[str, JsonObject]] = {
    "default": {},
    "surge": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
    "in place": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
    "percent": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "34%", "maxUnavailable": "34%"}},
    "tiny": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "0%", "maxUnavailable": "1%"}},
    "all": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "100%", "maxUnavailable": "100%"}},
    "wide": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 9, "maxUnavailable": 9}},
    "recreate": {"type": "Recreate"},
}


def find(world: World, kind: Kind, name: str) -> JsonObject | None:
    """One object, None if it is not there or on its way out."""
    for obj in world.list(kind):
        if name_of(obj) == name and not deleting(obj):
            return obj
    return None


def app_of(world: World, name: str) -> tuple[Kind, JsonObject] | None:
    """The Deployment or ReplicaSet of this name."""
    for kind in KINDS.values():
        found = find(world, kind, name)
        if found is not None:
            return kind, found
    return None


# Steps


@dataclass(frozen=True)
class MakeApp:
    """Create a Deployment or ReplicaSet."""

    name: str
    kind: AppKind
    replicas: int
    shape: Shape
    strategy: str
    min_ready_s: int

    def __call__(self, world: World) -> None:
        """Create it, unless there is one."""
        if any(name_of(obj) == self.name for kind in KINDS.values() for obj in world.list(kind)):
            return
        spec = workload(self.name.partition(".")[0], self.replicas)
        if self.min_ready_s:
            spec["minReadySeconds"] = self.min_ready_s
        if self.kind == DEPLOYMENT.name and STRATEGIES[self.strategy]:
            spec["strategy"] = STRATEGIES[self.strategy]
        pod: JsonObject = spec["template"]["spec"]
        match self.shape:
            case "plain":
                pass
            case "slow":
                spec["template"]["metadata"]["annotations"] = SLOW
            case "port":
                pod["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": 8080}]
            case "gpu":
                pod["nodeSelector"] = {"pool": "gpu"}
            case "tolerant":
                pod["tolerations"] = [{"operator": "Exists"}]
        world.create(KINDS[self.kind], self.name, spec)


@dataclass(frozen=True)
class Scale:
    """Change how many pods an app wants."""

    name: str
    replicas: int

    def __call__(self, world: World) -> None:
        """Patch it."""
        if found := app_of(world, self.name):
            world.patch(found[0], self.name, {"spec": {"replicas": self.replicas}})


@dataclass(frozen=True)
class SetImage:
    """Roll out another image, perhaps one that cannot be pulled."""

    name: str
    image: str

    def __call__(self, world: World) -> None:
        """Patch the template."""
        if found := app_of(world, self.name):
            container = {**found[1]["spec"]["template"]["spec"]["containers"][0], "image": self.image}
            world.patch(found[0], self.name, {"spec": {"template": {"spec": {"containers": [container]}}}})


@dataclass(frozen=True)
class MakeCrash:
    """Roll out a template whose containers end again and again."""

    name: str

    def __call__(self, world: World) -> None:
        """Patch the template's annotations."""
        if find(world, DEPLOYMENT, self.name):
            body = {"spec": {"template": {"metadata": {"annotations": CRASHING}}}}
            world.patch(DEPLOYMENT, self.name, body)


@dataclass(frozen=True)
class SetPaused:
    """Pause or resume a rollout."""

    name: str
    paused: bool

    def __call__(self, world: World) -> None:
        """Patch it."""
        if find(world, DEPLOYMENT, self.name):
            world.patch(DEPLOYMENT, self.name, {"spec": {"paused": self.paused}})


@dataclass(frozen=True)
class RollBack:
    """Go back to the revision before, as old clients ask for it."""

    name: str

    def __call__(self, world: World) -> None:
        """Annotate it."""
        if find(world, DEPLOYMENT, self.name):
            world.patch(DEPLOYMENT, self.name, {"metadata": {"annotations": {ROLLBACK: "0"}}})


@dataclass(frozen=True)
class DeleteApp:
    """Delete a Deployment or ReplicaSet with all it owns."""

    name: str
    propagation: Literal["Background", "Foreground"]

    def __call__(self, world: World) -> None:
        """Delete it."""
        if found := app_of(world, self.name):
            world.delete(found[0], self.name, propagation=self.propagation)


@dataclass(frozen=True)
class MakePod:
    """A pod without an owner, that runs for ever or ends well or badly."""

    name: str
    fate: Literal["runs", "succeeds", "fails", "restarts"]

    def __call__(self, world: World) -> None:
        """Create it, unless there is one."""
        if any(name_of(pod) == self.name for pod in world.list(POD)):
            return
        annotations: dict[str, str] = {}
        spec: JsonObject = workload("bare", 1)["template"]["spec"]
        if self.fate != "runs":
            annotations = {RUN_DURATION: "3s", f"{SIM}exit-code": "0" if self.fate == "succeeds" else "1"}
            spec["restartPolicy"] = "Never"
        if self.fate == "restarts":
            annotations[RUN_DURATION], spec["restartPolicy"] = "20s", "OnFailure"
            annotations[f"{SIM}exit-code"] = "0"
        world.create(POD, self.name, spec, labels={"app": "bare"}, annotations=annotations)


@dataclass(frozen=True)
class DeletePods:
    """Delete some pods, whoever owns them."""

    first: int
    count: int

    def __call__(self, world: World) -> None:
        """Delete the living ones from position `first` on, in order of names."""
        names = [name_of(pod) for pod in world.list(POD) if active(pod)]
        for name in (names[self.first % len(names) :])[: self.count] if names else ():
            world.delete(POD, name)


@dataclass(frozen=True)
class MakeService:
    """A Service for one app."""

    name: str
    app: str
    type: Literal["ClusterIP", "NodePort", "Headless"]

    def __call__(self, world: World) -> None:
        """Create it, or point it at another app."""
        spec: JsonObject = {"selector": {"app": self.app}, "ports": [{"port": 80}]}
        if find(world, SERVICE, self.name):
            world.patch(SERVICE, self.name, {"spec": {"selector": {"app": self.app}}})
        elif self.type == "Headless":
            world.create(SERVICE, self.name, {**spec, "clusterIP": "None"})
        else:
            world.create(SERVICE, self.name, {**spec, "type": self.type})


@dataclass(frozen=True)
class DeleteService:
    """Delete a Service."""

    name: str

    def __call__(self, world: World) -> None:
        """Delete it, if it is there."""
        if find(world, SERVICE, self.name):
            world.delete(SERVICE, self.name)


@dataclass(frozen=True)
class SetPool:
    """Make a node pool, or scale it. Pool `gpu` has its own label."""

    name: str
    replicas: int
    cpu: str

    def __call__(self, world: World) -> None:
        """Create or patch it. A capacity is for good: pods would stand on nodes that have shrunk."""
        world.disturbances += 1
        if find(world, NODE_POOL, self.name):
            world.patch(NODE_POOL, self.name, {"spec": {"replicas": self.replicas}})
            return
        template = {"metadata": {"labels": {"pool": self.name}}, "spec": {"capacity": {"cpu": self.cpu}}}
        world.create(NODE_POOL, self.name, {"replicas": self.replicas, "template": template})


def _plain_nodes(world: World) -> list[JsonObject]:
    """Nodes that nobody has done anything to: in every run as many, but perhaps not the same."""
    return [
        node
        for node in world.list(NODE)
        if not deleting(node)
        and (node["metadata"].get("annotations") or {}).get(POWER) is None
        and not node["spec"].get("unschedulable")
        and not any(taint["key"] == "chore" for taint in node["spec"].get("taints") or ())
    ]


@dataclass(frozen=True)
class TroubleNode:
    """Cordon a node, cut its power, or taint it."""

    position: int
    what: Literal["cordon", "power off", "NoSchedule", "NoExecute"]

    def __call__(self, world: World) -> None:
        """Do it to a node that is well."""
        world.disturbances += 1
        nodes = _plain_nodes(world)
        if not nodes:
            return
        node = nodes[self.position % len(nodes)]
        match self.what:
            case "cordon":
                change: JsonObject = {"spec": {"unschedulable": True}}
            case "power off":
                change = {"metadata": {"annotations": {POWER: "off"}}}
            case "NoSchedule" | "NoExecute":
                taint = {"key": "chore", "value": "yes", "effect": self.what}
                change = {"spec": {"taints": [*(node["spec"].get("taints") or ()), taint]}}
        world.patch(NODE, name_of(node), change)


@dataclass(frozen=True)
class HealNodes:
    """Make all nodes well again."""

    def __call__(self, world: World) -> None:
        """Uncordon, switch on, take taints off."""
        world.disturbances += 1
        for node in world.list(NODE):
            change: JsonObject = {}
            if node["spec"].get("unschedulable"):
                change["spec"] = {"unschedulable": None}
            if (node["metadata"].get("annotations") or {}).get(POWER):
                change["metadata"] = {"annotations": {POWER: None}}
            taints = node["spec"].get("taints") or []
            left = [taint for taint in taints if taint["key"] != "chore"]
            if left != taints:
                change.setdefault("spec", {})["taints"] = left
            if change and not deleting(node):
                world.patch(NODE, name_of(node), change)


@dataclass(frozen=True)
class SetNamespace:
    """Create the namespace `shop`, or delete it with all that is in it."""

    there: bool

    def __call__(self, world: World) -> None:
        """Create or delete it."""
        known = [space for space in world.list(NAMESPACE) if name_of(space) == "shop"]
        if self.there and not known:
            world.create(NAMESPACE, "shop", {})
        elif not self.there and known and not deleting(known[0]):
            world.delete(NAMESPACE, "shop")


Step = Callable[[World], None]


@dataclass(frozen=True)
class Workload:
    """Steps, each with the seconds of pause after it."""

    steps: tuple[tuple[Step, float], ...]
    calm: bool

    def __call__(self, world: World) -> None:
        """Live it."""
        for step, pause_s in self.steps:
            step(world)
            world.run_for(pause_s)
        heal(world)


def heal(world: World) -> None:
    """Take back what can never come to rest: broken images, crashing templates, pauses."""
    for kind in KINDS.values():
        for app in world.list(kind):
            if deleting(app) or any(
                o.get("controller") for o in app["metadata"].get("ownerReferences") or ()
            ):
                continue
            template = app["spec"]["template"]
            container = template["spec"]["containers"][0]
            annotations = template["metadata"].get("annotations") or {}
            if container["image"] == BROKEN or RUN_DURATION in annotations:
                change: JsonObject = {
                    "metadata": {"annotations": dict.fromkeys(CRASHING)},
                    "spec": {"containers": [{**container, "image": "web:1"}]},
                }
                world.patch(kind, name_of(app), {"spec": {"template": change}})
            if app["spec"].get("paused"):
                world.patch(kind, name_of(app), {"spec": {"paused": False}})
    # The template of a ReplicaSet is for new pods only: the old ones have to go.
    sets = {name_of(rs) for rs in world.list(REPLICA_SET)}
    for pod in world.list(POD):
        owners = [owner["name"] for owner in pod["metadata"].get("ownerReferences") or ()]
        broken = pod["spec"]["containers"][0]["image"] == BROKEN
        if broken and active(pod) and any(owner in sets and app_of(world, owner) for owner in owners):
            world.delete(POD, name_of(pod))
    for pod in world.list(POD):
        if pod["spec"].get("restartPolicy") == "OnFailure" and active(pod):
            world.delete(POD, name_of(pod))


# The end


@dataclass(frozen=True)
class End:
    """How a run ended: what is compared, and how many writes it took.

    `scarce` says that a pod waits for a node, or clings to a dead one: which one does is a matter of luck.
    """

    asked_for: Any
    found: Any
    scarce: bool
    writes: int
    lives: int


def essence(world: World) -> Any:
    """What users asked for, and how far it is so; nothing of the way there. Pods without owner are left out:
    whether one is there depends on which node it stood on (`NoneLost` holds them to account).
    """
    apps: dict[str, Any] = {}
    for kind in KINDS.values():
        for app in world.list(kind):
            if any(owner.get("controller") for owner in app["metadata"].get("ownerReferences") or ()):
                continue
            status = status_of(app)
            fields = ("replicas", "readyReplicas", "availableReplicas", "updatedReplicas")
            counts = tuple(status.get(field) or 0 for field in fields)
            apps[name_of(app)] = (kind.name, app["spec"]["replicas"], counts, deleting(app))
    return {
        "apps": apps,
        "services": sorted(name_of(service) for service in world.list(SERVICE)),
        "endpoints": sum(
            bool(one["conditions"]["ready"])
            for piece in world.list(ENDPOINT_SLICE)
            for one in piece.get("endpoints") or ()
        ),
        "nodes": Counter(conditions_of(node).get("Ready") for node in world.list(NODE)),
        "namespaces": sorted(map(name_of, world.list(NAMESPACE))),
    }


def detail(world: World) -> Any:
    """The end down to revisions and conditions, without pods that nobody owns.

    How many pods still terminate on nodes without power depends on which pods stood there; `at_rest` has
    seen to it that there are no others.
    """
    found = end_state(world)
    found["pods"] = {key: count for key, count in found["pods"].items() if key[0] and not key[2]}
    del found["endpoints"]  # the ready ones are compared above
    for rows in (found["replica sets"], found["deployments"]):
        for row in rows.values():
            counts = next(part for part in row if isinstance(part, dict))
            counts.pop("terminatingReplicas", None)
    return found


def ending(world: World) -> End:
    """Come to rest, hold the world to the truth, and say how it ended."""
    settle(world, patience_s=LONG_S)
    healthy = healthy_nodes(world)
    scarce = any(active(pod) and pod["spec"].get("nodeName") not in healthy for pod in world.list(POD))
    return End(essence(world), detail(world), scarce, world.total_writes, world.lives)


def wanted(asked_for: Any) -> Any:
    """What users asked for, room or no room: who gets the last node depends on who came first."""
    return {name: app[:2] for name, app in asked_for["apps"].items()}, asked_for["services"]


def same_end(end: End, reference: End, *, calm: bool) -> None:
    """Two runs of one workload end alike, as far as their outcome is determined."""
    if end.scarce or reference.scarce:
        assert wanted(end.asked_for) == wanted(reference.asked_for)
        return
    assert end.asked_for == reference.asked_for
    if calm:
        assert end.found == reference.found


# Strategies

APPS: Final = ("web", "api", "web.shop")
_apps = st.sampled_from(APPS)
_replicas = st.integers(0, 5)
_make_app = st.builds(
    MakeApp,
    name=_apps,
    kind=st.sampled_from(["VirtualDeployment", "VirtualDeployment", "VirtualReplicaSet"]),
    replicas=st.integers(1, 5),
    shape=st.sampled_from(["plain", "plain", "slow", "port", "gpu", "tolerant"]),
    strategy=st.sampled_from(sorted(STRATEGIES)),
    min_ready_s=st.sampled_from([0, 0, 5]),
)
_set_image = st.builds(SetImage, name=_apps, image=st.sampled_from(["web:1", "web:2", "web:3", BROKEN]))
_set_pool = st.builds(
    SetPool,
    name=st.sampled_from(["pool", "gpu"]),
    replicas=st.integers(0, 4),
    cpu=st.sampled_from(["32", "1"]),
)
_common = [
    _make_app,
    _set_image,
    _set_image,
    st.builds(Scale, name=_apps, replicas=_replicas),
    st.builds(MakeCrash, name=_apps),
    st.builds(SetPaused, name=_apps, paused=st.booleans()),
    st.builds(
        MakePod,
        name=st.sampled_from(["a", "b"]),
        fate=st.sampled_from(["runs", "succeeds", "fails", "restarts"]),
    ),
    st.builds(DeletePods, first=st.integers(0, 9), count=st.integers(1, 3)),
    st.builds(
        MakeService,
        name=st.sampled_from(["s", "t"]),
        app=st.sampled_from(["web", "api", "bare"]),
        type=st.sampled_from(["ClusterIP", "NodePort", "Headless"]),
    ),
    st.builds(DeleteService, name=st.sampled_from(["s", "t"])),
    _set_pool,
    st.builds(
        TroubleNode,
        position=st.integers(0, 3),
        what=st.sampled_from(["cordon", "power off", "NoSchedule", "NoExecute"]),
    ),
    st.builds(HealNodes),
]
_delete_app = st.builds(DeleteApp, name=_apps, propagation=st.just("Background"))
_hasty_step = st.one_of(*_common, _delete_app)
# Whether these still find what they are about depends on how far the loops have come: for calm lives only.
_calm_step = st.one_of(
    *_common,
    st.builds(DeleteApp, name=_apps, propagation=st.sampled_from(["Background", "Foreground"])),
    st.builds(RollBack, name=_apps),
    st.builds(SetNamespace, there=st.booleans()),
)


def begun(steps: Sequence[tuple[Step, float]], first: Step, *, calm: bool) -> Workload:
    """With nodes, an app and a service at the start: most steps need something to happen to."""
    pool = SetPool("pool", 3, "32")
    return Workload(((pool, 3.0), (MakeService("s", "web", "ClusterIP"), 0.0), (first, CALM_S), *steps), calm)


_first = st.builds(
    MakeApp,
    name=st.just("web"),
    kind=st.just("VirtualDeployment"),
    replicas=st.integers(2, 5),
    shape=st.sampled_from(["plain", "slow"]),
    strategy=st.sampled_from(sorted(STRATEGIES)),
    min_ready_s=st.sampled_from([0, 5]),
)
calm_workloads = st.builds(
    begun,
    st.lists(st.tuples(_calm_step, st.just(CALM_S)), min_size=1, max_size=6),
    _first,
    calm=st.just(True),
)
_pauses = st.sampled_from([0.0, 0.05, 0.5, 3.0, 12.0, 400.0])
hasty_workloads = st.builds(
    begun,
    st.lists(st.tuples(_hasty_step, _pauses), min_size=2, max_size=10),
    _first,
    calm=st.just(False),
)


def crash_points(
    fractions: Sequence[tuple[float, Literal["before", "after"]]], writes: int
) -> list[CrashPoint]:
    """The first fraction says where in the whole run, the others where in what is left."""
    points: list[CrashPoint] = []
    for fraction, when in fractions:
        at = 1 + int(fraction * max(writes - 1, 0))
        points.append(CrashPoint(at, when))
        writes -= at
    return points


crashes = st.lists(
    st.tuples(st.floats(0, 1, allow_nan=False), st.sampled_from(["before", "after"])), min_size=1, max_size=3
)
lags = st.sampled_from([0.0, 0.5, 0.9])
