"""The kubelet against the embedded API server: what it writes is accepted, and kept to the letter."""

from collections.abc import Iterator
from typing import Any

import pytest

from nestling.api.json import JsonObject
from nestling.api.kinds import LEASE, NODE, POD
from nestling.machinery.plan import Patch
from nestling.machinery.records.pod import KUBELET_FINALIZER
from nestling.operators.roles import ROLES
from simulation import World

SIM = "sim.nestling.dev/"
RESOURCES: JsonObject = {
    "requests": {"cpu": "100m", "memory": "64Mi"},
    "limits": {"cpu": "200m", "memory": "64Mi"},
}
RICH: JsonObject = {
    "nodeName": "n1",
    "readinessGates": [{"conditionType": "shop.example/up"}],
    "volumes": [{"name": "cache", "emptyDir": {}}],
    "initContainers": [
        {"name": "setup", "image": "setup:1"},
        {"name": "side", "image": "side:1", "restartPolicy": "Always"},
    ],
    "containers": [
        {
            "name": "main",
            "image": "registry.example:5000/shop/web:1",
            "resources": RESOURCES,
            "ports": [{"containerPort": 8080, "name": "http"}],
            "readinessProbe": {"httpGet": {"port": "http"}, "periodSeconds": 2},
            "volumeMounts": [{"name": "cache", "mountPath": "/cache", "readOnly": True}],
        },
        {"name": "again", "image": "again:1"},
    ],
}


@pytest.fixture
def world() -> Iterator[World]:
    with World(roles=[ROLES["kubelet"]]) as found:
        found.create(NODE, "n1", {"podCIDR": "10.128.0.0/24"}, labels={"kubernetes.io/hostname": "n1"})
        found.run_for(1)
        yield found
        assert found.bugs == []


def get(world: World, kind: Any, name: str) -> JsonObject | None:
    return next((obj for obj in world.list(kind) if obj["metadata"]["name"] == name), None)


def paths(value: Any, at: str = "") -> Iterator[str]:
    """Every path to a leaf that is not null."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths(inner, f"{at}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from paths(inner, f"{at}[{index}]")
    elif value is not None:
        yield f"{at}={value}"


def test_the_server_keeps_every_field_of_a_node(world: World) -> None:
    node = get(world, NODE, "n1")
    assert node is not None
    status = node["status"]
    assert {"capacity", "allocatable", "conditions", "addresses", "daemonEndpoints", "nodeInfo"} <= set(
        status
    )
    assert status["kubeletLease"] == "nestling-kubelet-0"
    assert status["display"] == {"status": "Ready", "roles": "<none>"}
    assert status["daemonEndpoints"] == {"kubeletEndpoint": {"Port": 10250}}
    assert len(world.list(LEASE)) == 1
    assert world.total_writes == 1


def test_the_server_keeps_every_field_of_a_pod(world: World) -> None:
    annotations = {f"{SIM}run-duration.again": "5s", f"{SIM}exit-code.again": "1"}
    world.create(POD, "rich", RICH, finalizers=[KUBELET_FINALIZER], annotations=annotations)
    world.run_for(60)
    pod = get(world, POD, "rich")
    assert pod is not None
    status = pod["status"]
    assert status["phase"] == "Running"
    assert status["display"] == {
        "ready": "2/3",
        "status": "CrashLoopBackOff",
        "restarts": str(status["containerStatuses"][1]["restartCount"]),
        "readinessGates": "0/1",
    }
    main = status["containerStatuses"][0]
    assert main["resources"] == RESOURCES
    assert main["allocatedResources"] == RESOURCES["requests"]
    assert main["volumeMounts"] == [
        {"name": "cache", "mountPath": "/cache", "readOnly": True, "recursiveReadOnly": "Disabled"}
    ]
    assert status["qosClass"] == "Burstable"


def test_nothing_that_is_sent_is_dropped(world: World) -> None:
    sent: list[JsonObject] = []
    [machine] = world.operator.machines
    step = machine.step

    def overhear(now: float) -> Any:
        plans = step(now)
        sent.extend(
            write.body["status"]
            for plan in plans
            for write in plan.writes
            if isinstance(write, Patch) and write.subresource == "status"
        )
        return plans

    machine.step = overhear  # type: ignore[method-assign]  # listening in, nothing is changed
    annotations = {f"{SIM}run-duration.again": "5s", f"{SIM}exit-code.again": "1"}
    world.create(POD, "rich", RICH, finalizers=[KUBELET_FINALIZER], annotations=annotations)
    big = {"containers": [{"name": "a", "image": "a", "resources": {"requests": {"cpu": "64"}}}]}
    world.create(POD, "big", {**big, "nodeName": "n1"}, finalizers=[KUBELET_FINALIZER])
    kept: list[set[str]] = []
    for _ in range(400):
        before = len(sent)
        world.run_for(0.05)
        if len(sent) > before:
            found = {path for obj in world.list(POD) for path in paths(obj["status"])}
            kept.extend([found] * (len(sent) - before))
    assert len(sent) >= 5
    lost = [
        path for status, found in zip(sent, kept, strict=True) for path in paths(status) if path not in found
    ]
    assert lost == []


def test_an_ordinary_pod_costs_one_write_to_run_and_one_to_go(world: World) -> None:
    for number in range(20):
        spec = {"nodeName": "n1", "containers": [{"name": "main", "image": "web:1"}]}
        world.create(POD, f"web-{number}", spec, finalizers=[KUBELET_FINALIZER])
    before = world.total_writes
    world.run_for(30)
    assert world.total_writes - before == 20
    pods = world.list(POD)
    assert {pod["status"]["phase"] for pod in pods} == {"Running"}
    assert len({pod["status"]["podIP"] for pod in pods}) == 20
    for pod in pods:
        world.delete(POD, pod["metadata"]["name"])
    world.run_for(30)
    assert world.list(POD) == []
    assert world.total_writes - before == 40
