"""What users do to a virtual cluster, step by step, and how the end of it is compared."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from invariants import at_rest, conditions_of, controller_of, deleting, name_of, phase_of, status_of

from nestling.api.json import JsonObject
from nestling.api.kinds import (
    CONTROLLER_REVISION,
    DAEMON_SET,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    HORIZONTAL_POD_AUTOSCALER,
    NODE,
    NODE_POOL,
    POD,
    POD_DISRUPTION_BUDGET,
    PRIORITY_CLASS,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    SERVICE,
    STATEFUL_SET,
)
from nestling.machinery.clock import timestamp
from simulation import CLUSTER, World

Scenario = Callable[[World], None]

_OWNERS = (REPLICA_SET, REPLICATION_CONTROLLER, DEPLOYMENT, STATEFUL_SET, DAEMON_SET, NODE_POOL)


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


def scale_up_and_down(world: World) -> None:
    """A ReplicaSet of 4, then 7, then 2."""
    with_nodes(world)
    world.create(REPLICA_SET, "web", workload("web", 4))
    world.run_for(10)
    world.patch(REPLICA_SET, "web", {"spec": {"replicas": 7}})
    world.run_for(10)
    world.patch(REPLICA_SET, "web", {"spec": {"replicas": 2}})


def pods_deleted(world: World) -> None:
    """A user deletes pods, and pods arrive before there are nodes."""
    world.create(REPLICA_SET, "web", workload("web", 3))
    world.run_for(5)
    with_nodes(world)
    for pod in world.list(POD)[:2]:
        world.delete(POD, pod["metadata"]["name"])


def pool_shrinks_and_grows(world: World) -> None:
    """Nodes go away under running pods, others come."""
    with_nodes(world, 4)
    world.create(REPLICA_SET, "web", workload("web", 6))
    world.run_for(10)
    world.patch(NODE_POOL, "pool", {"spec": {"replicas": 2}})
    world.run_for(60)
    world.patch(NODE_POOL, "pool", {"spec": {"replicas": 3}})


def machine_dies(world: World) -> None:
    """A machine loses power, its pods move, it comes back."""
    with_nodes(world)
    there = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["pool-1"]}]}
    wish = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": there}]}
    web = workload("web", 4)
    # All on the machine that dies: or the number of writes would tell how the draw among equal nodes went.
    web["template"]["spec"]["affinity"] = {"nodeAffinity": wish}
    world.create(REPLICA_SET, "web", web)
    world.run_for(10)
    world.patch(NODE, "pool-1", {"metadata": {"annotations": {"sim.nestling.dev/power": "off"}}})
    world.run_for(400)
    world.patch(NODE, "pool-1", {"metadata": {"annotations": {"sim.nestling.dev/power": None}}})


def rolling_update(world: World) -> None:
    """A Deployment is rolled out to a new image."""
    with_nodes(world)
    world.create(DEPLOYMENT, "web", workload("web", 4))
    world.run_for(10)
    world.patch(DEPLOYMENT, "web", {"spec": {"template": {"spec": {"containers": [_main("web:2")]}}}})


def stuck_and_rolled_back(world: World) -> None:
    """A rollout to an image that cannot be pulled, and back."""
    with_nodes(world)
    world.create(DEPLOYMENT, "web", workload("web", 4))
    world.run_for(10)
    world.patch(DEPLOYMENT, "web", {"spec": {"template": {"spec": {"containers": [_main("fail/web:2")]}}}})
    world.run_for(10)
    world.patch(DEPLOYMENT, "web", {"spec": {"template": {"spec": {"containers": [_main("web:1")]}}}})


def recreated(world: World) -> None:
    """The Recreate strategy: all old pods go before the first new one comes."""
    with_nodes(world)
    world.create(DEPLOYMENT, "web", workload("web", 3, strategy={"type": "Recreate"}))
    world.run_for(10)
    world.patch(DEPLOYMENT, "web", {"spec": {"template": {"spec": {"containers": [_main("web:2")]}}}})


def owner_deleted(world: World) -> None:
    """A Deployment is deleted in the middle of a rollout; nothing of it stays."""
    with_nodes(world)
    world.create(DEPLOYMENT, "web", workload("web", 3))
    world.run_for(10)
    world.patch(DEPLOYMENT, "web", {"spec": {"template": {"spec": {"containers": [_main("web:2")]}}}})
    world.run_for(0.1)
    world.delete(DEPLOYMENT, "web")


def service_follows(world: World) -> None:
    """A Service and its endpoints follow the pods."""
    with_nodes(world)
    world.create(SERVICE, "web", {"selector": {"app": "web"}, "ports": [{"port": 80}]})
    world.create(DEPLOYMENT, "web", workload("web", 3))
    world.run_for(10)
    world.patch(DEPLOYMENT, "web", {"spec": {"replicas": 5}})


def replication_controller(world: World) -> None:
    """A ReplicationController without a selector of its own takes a stray pod in, grows and shrinks."""
    with_nodes(world)
    world.create(POD, "stray", template("web")["spec"], labels={"app": "web"})
    world.create(REPLICATION_CONTROLLER, "web", {"replicas": 3, "template": template("web")})
    world.run_for(10)
    world.patch(REPLICATION_CONTROLLER, "web", {"spec": {"replicas": 5}})
    world.run_for(10)
    world.patch(REPLICATION_CONTROLLER, "web", {"spec": {"replicas": 1}})


def evictions_granted(world: World) -> None:
    """Evictions are granted as the API does it; one pod goes, the other was never deleted."""
    with_nodes(world)
    world.create(POD_DISRUPTION_BUDGET, "web", {"maxUnavailable": "50%", "selector": _labelled("web")})
    world.create(POD_DISRUPTION_BUDGET, "all", {"minAvailable": 1, "selector": {}})
    world.create(DEPLOYMENT, "web", workload("web", 4))
    world.run_for(10)
    for index, pod in enumerate(world.list(POD)[:2]):
        name, conditions = name_of(pod), status_of(pod)["conditions"]
        now = timestamp(world.clock.now())
        grant = {"status": {"disruptedPods": {name: now}, "disruptionsAllowed": 1 - index}}
        world.request("PATCH", POD_DISRUPTION_BUDGET.path(CLUSTER, "web", "status"), grant)
        target = {"type": "DisruptionTarget", "status": "True", "lastTransitionTime": now}
        told = {"status": {"conditions": [*conditions, target]}}
        world.request("PATCH", POD.path(CLUSTER, name, "status"), told)
        if index == 0:
            world.delete(POD, name)
    world.run_for(10)
    world.patch(DEPLOYMENT, "web", {"spec": {"replicas": 6}})
    world.run_for(60)  # with the patience of `settle`, more than the two minutes a grant holds


def scaled_by_usage(world: World) -> None:
    """An autoscaler follows the pods' CPU up, is told to stop at less, and follows it down again."""
    with_nodes(world, 1)
    web = workload("web", 1)
    web["template"]["metadata"]["annotations"] = {"sim.nestling.dev/cpu": "0s=100m,45s=100m,46s=20m"}
    world.create(REPLICA_SET, "web", web)
    half = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web"},
        "maxReplicas": 3,
        "metrics": [{"type": "Resource", "resource": half}],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
    }
    world.create(HORIZONTAL_POD_AUTOSCALER, "web", spec)
    world.create(HORIZONTAL_POD_AUTOSCALER, "lost", {**spec, "scaleTargetRef": {"kind": "Job", "name": "x"}})
    world.run_for(40)


def _labelled(app: str) -> JsonObject:
    return {"matchLabels": {"app": app}}


def room_is_made(world: World) -> None:
    """A full node, and a pod that is important enough to push two others out."""
    room = {"cpu": "300m", "memory": "1Gi", "pods": "9"}
    world.create(NODE_POOL, "pool", {"replicas": 1, "template": {"spec": {"capacity": room}}})
    gold = {"apiVersion": PRIORITY_CLASS.api_version, "kind": PRIORITY_CLASS.name, "value": 100}
    world.request("POST", PRIORITY_CLASS.path(CLUSTER), {**gold, "metadata": {"name": "gold"}})
    world.create(REPLICA_SET, "low", workload("low", 3))
    world.run_for(10)
    container = {"name": "main", "image": "web:1", "resources": {"requests": {"cpu": "200m"}}}
    world.create(POD, "high", {"containers": [container], "priorityClassName": "gold"})


def _main(image: str) -> JsonObject:
    return {"name": "main", "image": image, "resources": {"requests": {"cpu": "100m"}}}


SCENARIOS: list[Scenario] = [
    scale_up_and_down,
    pods_deleted,
    pool_shrinks_and_grows,
    machine_dies,
    rolling_update,
    stuck_and_rolled_back,
    recreated,
    owner_deleted,
    service_follows,
    replication_controller,
    evictions_granted,
    room_is_made,
    scaled_by_usage,
]


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
        "replication controllers": {
            name_of(rc): (rc["spec"]["replicas"], _counts(rc)) for rc in world.list(REPLICATION_CONTROLLER)
        },
        "deployments": {
            name_of(found): (
                _counts(found),
                conditions_of(found),
                (found["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision"),
            )
            for found in world.list(DEPLOYMENT)
        },
        "budgets": {
            name_of(found): {name: said for name, said in status_of(found).items() if name != "conditions"}
            for found in world.list(POD_DISRUPTION_BUDGET)
        },
        "autoscalers": {
            name_of(found): (_counts(found), conditions_of(found), status_of(found)["display"])
            for found in world.list(HORIZONTAL_POD_AUTOSCALER)
        },
        "targets": sum("DisruptionTarget" in conditions_of(pod) for pod in world.list(POD)),
        "stateful sets": {
            name_of(found): (
                _counts(found),
                status_of(found).get("currentRevision"),
                status_of(found).get("updateRevision"),
            )
            for found in world.list(STATEFUL_SET)
        },
        "daemon sets": {
            name_of(found): {name: figure for name, figure in status_of(found).items() if figure}
            for found in world.list(DAEMON_SET)
        },
        "revisions": {name_of(found): found["revision"] for found in world.list(CONTROLLER_REVISION)},
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
