"""What users do to a virtual cluster, step by step, and how the end of it is compared."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from invariants import at_rest, conditions_of, controller_of, deleting, name_of, phase_of, status_of

from nestling.api.json import JsonObject
from nestling.api.kinds import DEPLOYMENT, ENDPOINT_SLICE, NODE, NODE_POOL, POD, REPLICA_SET, SERVICE
from simulation import World

Scenario = Callable[[World], None]

_OWNERS = (REPLICA_SET, DEPLOYMENT, NODE_POOL)


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


# The end of a run, with everything left out that may differ: names, UIDs, times, versions


def end_state(world: World) -> dict[str, Any]:
    """The world as a user would compare it."""
    names = {obj["metadata"]["uid"]: name_of(obj) for kind in _OWNERS for obj in world.list(kind)}
    pods = Counter(
        (
            names.get(controller_of(pod), controller_of(pod) and "a stranger"),
            phase_of(pod),
            deleting(pod),
            tuple(container["image"] for container in pod["spec"]["containers"]),
        )
        for pod in world.list(POD)
    )
    return {
        "pods": pods,
        # Which node of a pool goes depends on which pods stand where, and that on the order of turns.
        "nodes": Counter(tuple(sorted(conditions_of(node).items())) for node in world.list(NODE)),
        "replica sets": {
            name_of(rs): (rs["spec"]["replicas"], _counts(rs)) for rs in world.list(REPLICA_SET)
        },
        "deployments": {
            name_of(found): (
                _counts(found),
                conditions_of(found),
                (found["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision"),
            )
            for found in world.list(DEPLOYMENT)
        },
        "services": {name_of(found): found["spec"].get("type") for found in world.list(SERVICE)},
        "endpoints": sum(len(found.get("endpoints") or ()) for found in world.list(ENDPOINT_SLICE)),
    }


def _counts(obj: JsonObject) -> dict[str, int]:
    return {
        name: count
        for name, count in status_of(obj).items()
        if "eplicas" in name and isinstance(count, int) and count
    }


class Unquiet(AssertionError):
    """Writes went on although nothing happened any more."""


def settle(world: World, *, patience_s: float = 90.0) -> None:
    """Let the dust settle, and hold the world to quiet: no more writes for two minutes of its time."""
    world.run_for(patience_s)
    before = world.total_writes
    world.run_for(120)
    if world.total_writes != before:
        raise Unquiet(f"still writing: {world.operator.transport.log[-5:]}")
    at_rest(world)
