"""What users do to a virtual cluster, step by step, and what must be true of it all along and at the end."""

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from nestling.api.kinds import DEPLOYMENT, ENDPOINT_SLICE, NODE, NODE_POOL, POD, REPLICA_SET, SERVICE
from nestling.api.quantity import milli
from nestling.machinery.errors import NestlingError
from simulation import World

Scenario = Callable[[World], None]

TERMINAL: Final = {"Succeeded", "Failed"}


def template(app: str, image: str = "web:1", **spec: Any) -> dict[str, Any]:
    """A pod template with one container that asks for 100m of CPU."""
    container = {"name": "main", "image": image, "resources": {"requests": {"cpu": "100m"}}}
    return {"metadata": {"labels": {"app": app}}, "spec": {"containers": [container], **spec}}


def workload(app: str, replicas: int, image: str = "web:1", **spec: Any) -> dict[str, Any]:
    """The spec of a ReplicaSet or Deployment."""
    selector = {"matchLabels": {"app": app}}
    return {"replicas": replicas, "selector": selector, "template": template(app, image), **spec}


def with_nodes(world: World, count: int = 3) -> None:
    """A node pool, and the time it needs."""
    world.create(NODE_POOL, "pool", {"replicas": count})
    world.run_for(5)


# Invariants


class Binds:
    """I2: a pod is bound once; its node never changes."""

    def __init__(self) -> None:
        self._nodes: dict[str, str] = {}

    def __call__(self, world: World) -> None:
        """Compare with what was seen before."""
        for pod in world.list(POD):
            node = pod["spec"].get("nodeName")
            if node:
                known = self._nodes.setdefault(pod["metadata"]["uid"], node)
                assert known == node, f"{pod['metadata']['name']} was bound to {known} and now to {node}"


def no_overcommit(world: World) -> None:
    """I3: per node, the requests and the number of pods that have not ended fit."""
    nodes = {node["metadata"]["name"]: node for node in world.list(NODE)}
    cpu: Counter[str] = Counter()
    pods: Counter[str] = Counter()
    for pod in world.list(POD):
        node = pod["spec"].get("nodeName")
        if node and (pod.get("status") or {}).get("phase") not in TERMINAL:
            pods[node] += 1
            for container in pod["spec"]["containers"]:
                cpu[node] += milli(container.get("resources", {}).get("requests", {}).get("cpu", "0"))
    for name, node in nodes.items():
        allocatable = (node.get("status") or {}).get("allocatable")
        if allocatable:
            assert cpu[name] <= milli(allocatable["cpu"]), f"{name} is promised {cpu[name]}m of CPU"
            assert pods[name] <= int(allocatable["pods"]), f"{name} holds {pods[name]} pods"


class RolloutBounds:
    """I4: a rolling update asks for replicas + surge pods at most, and spares replicas - unavailable ones."""

    def __init__(self, *, surge: int, unavailable: int) -> None:
        self._surge = surge
        self._unavailable = unavailable
        self._reached: dict[str, int] = {}  # deployment -> replicas it has had available once

    def __call__(self, world: World) -> None:
        """Hold every Deployment of strategy RollingUpdate to its bounds."""
        for deployment in world.list(DEPLOYMENT):
            if deployment["spec"]["strategy"]["type"] != "RollingUpdate":
                continue
            uid, wanted = deployment["metadata"]["uid"], deployment["spec"]["replicas"]
            owned = [rs for rs in world.list(REPLICA_SET) if _controller(rs) == uid]
            if _fresh(deployment) or deployment["metadata"].get("deletionTimestamp"):
                self._reached.pop(uid, None)  # it was scaled perhaps: the count starts over
                continue
            planned = sum(rs["spec"]["replicas"] for rs in owned)
            assert planned <= wanted + self._surge, f"{planned} pods are asked for instead of {wanted}"
            sets = {rs["metadata"]["uid"] for rs in owned}
            available = sum(_controller(pod) in sets and _serves(pod) for pod in world.list(POD))
            if available >= wanted:
                self._reached[uid] = wanted
            if self._reached.get(uid) == wanted:
                assert available >= wanted - self._unavailable, f"only {available} of {wanted} are available"


def _serves(pod: dict[str, Any]) -> bool:
    return not pod["metadata"].get("deletionTimestamp") and _conditions(pod).get("Ready") == "True"


def _fresh(deployment: dict[str, Any]) -> bool:
    """Whether the deployment has changed so recently that its controller has not looked at it."""
    return (deployment.get("status") or {}).get("observedGeneration") != deployment["metadata"]["generation"]


def _controller(obj: dict[str, Any]) -> str:
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return owner["uid"]
    return ""


# The end of a run, with everything left out that may differ: names, UIDs, times, versions


def end_state(world: World) -> dict[str, Any]:
    """The world as a user would compare it."""
    names = {obj["metadata"]["uid"]: obj["metadata"]["name"] for kind in _OWNERS for obj in world.list(kind)}
    pods = Counter(
        (
            names.get(_controller(pod), _controller(pod) and "a stranger"),
            (pod.get("status") or {}).get("phase", ""),
            bool(pod["metadata"].get("deletionTimestamp")),
            tuple(container["image"] for container in pod["spec"]["containers"]),
        )
        for pod in world.list(POD)
    )
    return {
        "pods": pods,
        # Which node of a pool goes depends on which pods stand where, and that on the order of turns.
        "nodes": Counter(tuple(sorted(_conditions(node).items())) for node in world.list(NODE)),
        "replica sets": {
            rs["metadata"]["name"]: (rs["spec"]["replicas"], _counts(rs)) for rs in world.list(REPLICA_SET)
        },
        "deployments": {
            found["metadata"]["name"]: (
                _counts(found),
                _conditions(found),
                (found["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision"),
            )
            for found in world.list(DEPLOYMENT)
        },
        "services": {found["metadata"]["name"]: found["spec"].get("type") for found in world.list(SERVICE)},
        "endpoints": sum(len(found.get("endpoints") or ()) for found in world.list(ENDPOINT_SLICE)),
    }


_OWNERS = (REPLICA_SET, DEPLOYMENT, NODE_POOL)


def _counts(obj: dict[str, Any]) -> dict[str, int]:
    status = obj.get("status") or {}
    return {
        name: count
        for name, count in status.items()
        if "eplicas" in name and isinstance(count, int) and count
    }


def _conditions(obj: dict[str, Any]) -> dict[str, str]:
    return {one["type"]: one["status"] for one in (obj.get("status") or {}).get("conditions") or ()}


class Unquiet(NestlingError):
    """Writes went on although nothing happened any more."""


def settle(world: World) -> None:
    """Let the dust settle, and hold the world to quiet: no more writes for two minutes of its time."""
    world.run_for(90)
    before = world.total_writes
    world.run_for(120)
    if world.total_writes != before:
        raise Unquiet(f"still writing: {world.operator.transport.log[-5:]}")
    assert not world.bugs, f"loops raised: {world.bugs}"
