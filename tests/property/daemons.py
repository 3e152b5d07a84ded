"""Lives of DaemonSets: what their users do, and what must be true of their pods after every write."""

from collections import Counter
from typing import Any

from invariants import TERMINAL, active, deleting, name_of, owned, phase_of, serves
from scenarios import Scenario, template, with_nodes

from nestling.api.json import JsonObject
from nestling.api.kinds import DAEMON_SET, NODE, NODE_POOL, POD
from simulation import CLUSTER, World

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def daemon(image: str = "agent:1", *, strategy: JsonObject | None = None, **spec: Any) -> JsonObject:
    """The spec of a DaemonSet."""
    found: JsonObject = {
        "selector": {"matchLabels": {"app": "agent"}},
        "template": template("agent", image, **spec),
    }
    return found if strategy is None else {**found, "updateStrategy": strategy}


def rolling(**bounds: Any) -> JsonObject:
    """A strategy with these bounds."""
    return {"type": "RollingUpdate", "rollingUpdate": bounds}


def set_image(world: World, image: str) -> None:
    """Change the template."""
    world.patch(DAEMON_SET, "agent", {"spec": {"template": template("agent", image)}})


def target_of(pod: JsonObject) -> str:
    """The node that a pod is on, or meant for."""
    if pod["spec"].get("nodeName"):
        return pod["spec"]["nodeName"]
    terms = pod["spec"]["affinity"]["nodeAffinity"][REQUIRED]["nodeSelectorTerms"]
    return terms[0]["matchFields"][0]["values"][0]


# What must be true


class OneOfEach:
    """No node has two pods of one DaemonSet that count; with surge one old and one new."""

    def __init__(self, *, old_views: bool = False) -> None:
        self._old_views = old_views

    def __call__(self, world: World) -> None:
        """Count pods by node."""
        pods = owned(world, POD)
        for ds in world.list(DAEMON_SET):
            strategy = ds["spec"]["updateStrategy"]
            surges = (strategy.get("rollingUpdate") or {}).get("maxSurge") not in {None, 0}
            mine = [pod for pod in pods[ds["metadata"]["uid"]] if active(pod)]
            most = Counter(map(target_of, mine)).most_common(1)
            # Who sees a pod late, in a twin's stead, makes another; it goes as soon as it is seen.
            limit = 1 + surges + self._old_views
            assert not most or most[0][1] <= limit, f"{most[0][1]} pods on {most[0][0]}"
            revisions = Counter(
                (target_of(pod), pod["metadata"]["labels"]["controller-revision-hash"]) for pod in mine
            )
            assert self._old_views or all(count == 1 for count in revisions.values()), revisions
            if strategy["type"] == "OnDelete" and not deleting(ds):
                self._only_users_delete(world, pods[ds["metadata"]["uid"]])

    def _only_users_delete(self, world: World, mine: list[JsonObject]) -> None:
        nodes = {name_of(node) for node in world.list(NODE)}
        for pod in mine:
            if deleting(pod) and target_of(pod) in nodes and phase_of(pod) not in TERMINAL:
                assert world.was_deleted(pod["metadata"]["uid"], name_of(pod)), f"{name_of(pod)} was deleted"


class NodesServed:
    """A rolling update leaves all nodes but a few with a pod that serves, from the moment that all had one.

    The count starts over when a user does something to nodes or pods.
    """

    def __init__(self) -> None:
        self._reached: dict[str, int] = {}
        self._disturbances = 0

    def __call__(self, world: World) -> None:
        """Count nodes by the pods that serve there."""
        if self._disturbances != world.disturbances:
            self._disturbances = world.disturbances
            self._reached.clear()
        nodes, pods = len(world.list(NODE)), owned(world, POD)
        for ds in world.list(DAEMON_SET):
            uid = ds["metadata"]["uid"]
            bounds = ds["spec"]["updateStrategy"].get("rollingUpdate") or {}
            served = len({target_of(pod) for pod in pods[uid] if serves(pod)})
            if deleting(ds) or nodes != self._reached.get(uid, nodes):
                self._reached.pop(uid, None)
            if served >= nodes:
                self._reached[uid] = nodes
            if uid in self._reached:
                spared = bounds.get("maxUnavailable", 1)
                assert served >= nodes - spared, f"only {served} of {nodes} nodes are served"


# What users do


def nodes_come_and_go(world: World) -> None:
    """Nodes come before and after the DaemonSet, and some go."""
    with_nodes(world, 2)
    world.create(DAEMON_SET, "agent", daemon())
    world.run_for(10)
    world.disturbances += 1
    world.patch(NODE_POOL, "pool", {"spec": {"replicas": 4}})
    world.run_for(20)
    world.disturbances += 1
    world.patch(NODE_POOL, "pool", {"spec": {"replicas": 3}})


def chosen_nodes(world: World) -> None:
    """Only nodes of a label; labels come and go."""
    with_nodes(world)
    world.create(DAEMON_SET, "agent.shop", daemon(nodeSelector={"disk": "ssd"}))
    world.run_for(5)
    for node, disk in (("pool-0", "ssd"), ("pool-1", "ssd"), ("pool-0", None)):
        world.disturbances += 1
        world.patch(NODE, node, {"metadata": {"labels": {"disk": disk}}})
        world.run_for(20)


def tainted_nodes(world: World) -> None:
    """A node is closed, one is tainted against new pods, one against all."""
    with_nodes(world)
    world.patch(NODE, "pool-0", {"spec": {"unschedulable": True}})
    world.run_for(5)
    world.create(DAEMON_SET, "agent", daemon())
    world.run_for(10)
    for node, effect in (("pool-1", "NoSchedule"), ("pool-2", "NoExecute")):
        world.disturbances += 1
        world.patch(NODE, node, {"spec": {"taints": [{"key": "chore", "value": "yes", "effect": effect}]}})
        world.run_for(20)
    world.disturbances += 1
    world.patch(NODE, "pool-1", {"spec": {"taints": None}})
    world.patch(NODE, "pool-2", {"spec": {"taints": None}})


def updated(world: World) -> None:
    """A rolling update, one node at a time."""
    with_nodes(world)
    world.create(DAEMON_SET, "agent", daemon())
    world.run_for(10)
    set_image(world, "agent:2")


def updated_with_surge(world: World) -> None:
    """A rolling update in which the new pod comes first."""
    with_nodes(world)
    world.create(DAEMON_SET, "agent", daemon(strategy=rolling(maxSurge=1, maxUnavailable=0)))
    world.run_for(10)
    set_image(world, "agent:2")


def updated_on_delete(world: World) -> None:
    """Pods change when their user deletes them, and not before."""
    with_nodes(world)
    world.create(DAEMON_SET, "agent", daemon(strategy={"type": "OnDelete"}))
    world.run_for(10)
    set_image(world, "agent:2")
    world.run_for(10)
    world.delete(POD, min(name_of(pod) for pod in world.list(POD) if target_of(pod) == "pool-1"))


def stuck_and_rolled_back(world: World) -> None:
    """An image that cannot be pulled stops the update at the first node; the old one comes back."""
    with_nodes(world)
    world.create(DAEMON_SET, "agent", daemon())
    world.run_for(10)
    set_image(world, "fail/agent:2")
    world.run_for(20)
    set_image(world, "agent:1")


def fails_again(world: World) -> None:
    """The pod of a node fails three times: each time its successor gets more time."""
    with_nodes(world, 2)
    world.create(DAEMON_SET, "agent", daemon())
    for _ in range(3):
        world.run_for(20)
        world.disturbances += 1
        pod = next(pod for pod in world.list(POD) if target_of(pod) == "pool-0" and active(pod))
        over = {"status": {"phase": "Failed", "reason": "Evicted"}}
        world.request("PATCH", POD.path(CLUSTER, name_of(pod), "status"), over)


def given_up(world: World) -> None:
    """Deleted in the middle of an update: nothing is left, no revision either."""
    with_nodes(world)
    world.create(DAEMON_SET, "agent", daemon())
    world.run_for(10)
    set_image(world, "agent:2")
    world.run_for(0.5)
    world.delete(DAEMON_SET, "agent", propagation="Foreground")


def given_away(world: World) -> None:
    """Deleted without its pods, and made anew: it takes in pods and revisions."""
    with_nodes(world)
    world.create(DAEMON_SET, "agent", daemon())
    world.run_for(10)
    world.delete(DAEMON_SET, "agent", propagation="Orphan")
    world.run_for(5)
    world.create(DAEMON_SET, "agent", daemon())


DAEMONS: list[Scenario] = [
    nodes_come_and_go,
    chosen_nodes,
    tainted_nodes,
    updated,
    updated_with_surge,
    updated_on_delete,
    stuck_and_rolled_back,
    fails_again,
    given_up,
    given_away,
]


def watch_daemons(world: World) -> None:
    """Hold a world to what must always be true of pods of DaemonSets."""
    world.always(OneOfEach())
    world.always(NodesServed())
