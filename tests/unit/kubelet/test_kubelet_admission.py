"""What a node takes, what it refuses, and with which words."""

from typing import Any

import pytest

from kubelet_world import World, a_bound_pod, a_new_node, conditions
from nestling.api.json import JsonObject
from nestling.kubelet.admission import claim_of
from nestling.kubelet.qos import qos_class
from nestling.machinery.records.pod import KUBELET_FINALIZER
from nestling.scheduler.resources import Demand


def asking(name: str = "main", *, limits: JsonObject | None = None, **requests: str) -> JsonObject:
    """A container that asks for resources."""
    resources: JsonObject = {"requests": {k.replace("_", "-"): v for k, v in requests.items()}}
    if limits is not None:
        resources["limits"] = limits
    return {"name": name, "image": "web:1", "resources": resources}


def affinity(key: str, *values: str) -> JsonObject:
    terms = [{"matchExpressions": [{"key": key, "operator": "In", "values": list(values)}]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    return {"affinity": {"nodeAffinity": required}}


NO_EXECUTE: JsonObject = {"taints": [{"key": "gone", "value": "yes", "effect": "NoExecute"}]}
UNREACHABLE: JsonObject = {
    "taints": [
        {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "timeAdded": "2027-01-15T08:00:00Z"}
    ]
}
SMALL: JsonObject = {"capacity": {"cpu": "2", "memory": "1Gi", "pods": "3", "ephemeral-storage": "1Gi"}}


@pytest.mark.parametrize(
    ("node", "spec", "reason", "message"),
    [
        pytest.param(
            SMALL,
            {"containers": [asking(cpu="1501m")]},
            "OutOfcpu",
            "Node didn't have enough resource: cpu, requested: 1501, used: 500, capacity: 2000",
            id="cpu",
        ),
        pytest.param(
            SMALL,
            {"containers": [asking(memory="2Gi")]},
            "OutOfmemory",
            "Node didn't have enough resource: memory, requested: 2147483648, used: 0, capacity: 1073741824",
            id="memory",
        ),
        pytest.param(
            SMALL,
            {"containers": [asking(ephemeral_storage="2Gi")]},
            "OutOfephemeral-storage",
            "Node didn't have enough resource: ephemeral-storage, requested: 2147483648, used: 0, "
            "capacity: 1073741824",
            id="disk",
        ),
        pytest.param(
            {"capacity": {"pods": "1"}},
            {},
            "OutOfpods",
            "Node didn't have enough resource: pods, requested: 1, used: 1, capacity: 1",
            id="pods",
        ),
        pytest.param(
            {"capacity": {"example.com/gpu": "1"}},
            {"containers": [{**asking(), "resources": {"requests": {"example.com/gpu": "2"}}}]},
            "OutOfexample.com/gpu",
            "Node didn't have enough resource: example.com/gpu, requested: 2, used: 0, capacity: 1",
            id="extended resource",
        ),
        pytest.param(
            {},
            {"nodeSelector": {"disk": "ssd"}},
            "NodeAffinity",
            "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
            id="selector",
        ),
        pytest.param(
            {},
            affinity("disk", "ssd"),
            "NodeAffinity",
            "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
            id="affinity",
        ),
        pytest.param(
            {},
            {"containers": [{"name": "main", "image": "a", "ports": [{"containerPort": 1, "hostPort": 80}]}]},
            "NodePorts",
            "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
            id="port",
        ),
        pytest.param(
            NO_EXECUTE,
            {},
            "TaintToleration",
            "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate",
            id="taint",
        ),
        pytest.param(
            UNREACHABLE,
            {"tolerations": [{"key": "node.kubernetes.io/unreachable", "value": "never"}]},
            "TaintToleration",
            "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate",
            id="unready taint that it mentions and does not tolerate",
        ),
        pytest.param(
            {},
            {"os": {"name": "windows"}},
            "PodOSNotSupported",
            "Failed to admit pod as the OS field doesn't match node OS",
            id="operating system",
        ),
    ],
)
def test_a_pod_that_does_not_fit_fails_on_arrival(
    node: JsonObject, spec: JsonObject, reason: str, message: str
) -> None:
    first = a_bound_pod(
        "first",
        spec={
            "containers": [{**asking(cpu="500m"), "ports": [{"containerPort": 1, "hostPort": 80}]}],
            "tolerations": [{"operator": "Exists"}],
        },
    )
    late = a_bound_pod("late", spec=spec)
    world = World(a_new_node(spec={"podCIDR": "10.244.7.0/24", **node}), first)
    world.run(1)
    world.put(late)
    world.run(60)
    assert world.status(first)["phase"] == "Running"
    status = world.status(late)
    assert (status["phase"], status["reason"], status["message"]) == (
        "Failed",
        reason,
        f"Pod was rejected: {message}",
    )
    assert status["display"]["status"] == reason
    assert "podIP" not in status
    assert [(e.type, e.reason, e.message) for e in world.events if e.key.name == "late"] == [
        ("Warning", reason, message)
    ]
    assert len(world.pod_writes()) == 2


@pytest.mark.parametrize(
    ("node", "spec"),
    [
        pytest.param({}, {"nodeSelector": {"kubernetes.io/hostname": "n1"}}, id="selector met"),
        pytest.param({}, affinity("kubernetes.io/hostname", "n1", "n2"), id="affinity met"),
        pytest.param(
            NO_EXECUTE, {"tolerations": [{"key": "gone", "operator": "Exists"}]}, id="taint tolerated"
        ),
        pytest.param(UNREACHABLE, {}, id="taint that admission would have it tolerate for a time"),
        pytest.param(
            NO_EXECUTE,
            {"tolerations": [{"key": "gone", "value": "yes", "effect": "NoExecute"}]},
            id="taint tolerated by value",
        ),
        pytest.param(
            {"taints": [{"key": "x", "effect": "NoSchedule"}]}, {}, id="taint for the scheduler only"
        ),
        pytest.param(
            {},
            {"containers": [{**asking(), "resources": {"requests": {"example.com/gpu": "2"}}}]},
            id="extended resource unknown to the node",
        ),
        pytest.param(SMALL, {"containers": [asking(cpu="2", memory="1Gi")]}, id="exactly fits"),
        pytest.param(SMALL, {"containers": [asking(cpu="junk")]}, id="unreadable quantity"),
    ],
)
def test_a_pod_that_fits_runs(node: JsonObject, spec: JsonObject) -> None:
    pod = a_bound_pod(spec=spec)
    world = World(a_new_node(spec={"podCIDR": "10.244.7.0/24", **node}), pod)
    world.run(1)
    assert world.status(pod)["phase"] == "Running"
    assert conditions(world.status(pod))["Ready"] == "True"


@pytest.mark.parametrize(
    ("node", "spec", "mended"),
    [
        pytest.param(NO_EXECUTE, {}, {"spec": {"taints": None}}, id="taint"),
        pytest.param(
            {}, {"nodeSelector": {"disk": "ssd"}}, {"metadata": {"labels": {"disk": "ssd"}}}, id="label"
        ),
    ],
)
def test_a_node_that_is_seen_late_does_not_cost_the_pod_its_life(
    node: JsonObject, spec: JsonObject, mended: JsonObject
) -> None:
    pod = a_bound_pod(spec=spec)
    world = World(a_new_node(spec={"podCIDR": "10.244.7.0/24", **node}), pod)
    world.run(1)
    assert world.pod_writes() == []
    world.edit(a_new_node(), mended, bump=True)
    world.run(2)
    assert world.status(pod)["phase"] == "Running"


def test_room_comes_back_when_a_pod_ends_or_goes() -> None:
    def big(name: str, **more: Any) -> JsonObject:
        return a_bound_pod(name, spec={"containers": [asking(cpu="2")], "restartPolicy": "Never"}, **more)

    ending = big("ending", annotations={"sim.nestling.dev/run-duration": "5s"})
    world = World(a_new_node(spec={"podCIDR": "10.244.7.0/24", **SMALL}), ending)
    world.run(10)
    going = big("going")
    world.put(going)
    world.run(1)
    assert world.status(going)["phase"] == "Running"
    world.delete(going)
    world.run(1)
    last = big("last")
    world.put(last)
    world.run(1)
    assert world.status(last)["phase"] == "Running"


def test_after_a_restart_nobody_is_thrown_out_and_the_room_is_counted() -> None:
    spec = {"containers": [asking(cpu="1")]}
    first, second, third = (a_bound_pod(name, spec=spec) for name in ("first", "second", "third"))
    world = World(a_new_node(spec={"podCIDR": "10.244.7.0/24", **SMALL}), first, second)
    world.run(1)
    world.crash()
    world.put(third)
    world.run(1)
    assert [world.status(pod)["phase"] for pod in (first, second, third)] == ["Running", "Running", "Failed"]


def test_a_rejected_pod_is_let_go_when_deleted() -> None:
    pod = a_bound_pod(spec={"containers": [asking(cpu="64")]}, finalizers=[KUBELET_FINALIZER])
    world = World(a_new_node(), pod)
    world.run(1)
    world.delete(pod)
    world.run(1)
    assert not world.exists(pod)


SIDE = {"restartPolicy": "Always"}


@pytest.mark.parametrize(
    ("spec", "cpu"),
    [
        pytest.param({"containers": [asking(cpu="1"), asking(cpu="500m")]}, 1500, id="sum of containers"),
        pytest.param(
            {"containers": [asking(cpu="1")], "initContainers": [asking(cpu="3"), asking(cpu="2")]},
            3000,
            id="largest init container",
        ),
        pytest.param(
            {"containers": [asking(cpu="1")], "initContainers": [{**asking(cpu="2"), **SIDE}]},
            3000,
            id="sidecar counts beside",
        ),
        pytest.param(
            {
                "containers": [asking(cpu="1")],
                "initContainers": [{**asking(cpu="1"), **SIDE}, asking(cpu="4")],
            },
            5000,
            id="init container beside an earlier sidecar",
        ),
        pytest.param({"containers": [asking(cpu="1")], "overhead": {"cpu": "250m"}}, 1250, id="overhead"),
        pytest.param(
            {"containers": [asking(cpu="1")], "resources": {"requests": {"cpu": "3"}}}, 3000, id="pod level"
        ),
        pytest.param({"containers": [asking(limits={"cpu": "2"})]}, 2000, id="limit without request"),
        pytest.param(
            {"containers": [asking(cpu="1")], "resources": {"limits": {"cpu": "3"}}},
            1000,
            id="pod-level limit beside a request",
        ),
        pytest.param({"containers": [{"name": "main", "image": "a"}]}, 0, id="nothing asked"),
    ],
)
def test_requests_of_a_pod_are_added_up_as_upstream_does(spec: JsonObject, cpu: int) -> None:
    assert claim_of(spec).requests.get("cpu", 0) == cpu
    assert Demand.of(spec).amounts.get("cpu", 0) == cpu, "the scheduler counts as the kubelet does"


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        pytest.param({"containers": [{"name": "a"}]}, "BestEffort", id="nothing"),
        pytest.param(
            {"containers": [asking(cpu="1", memory="1Gi", limits={"cpu": "1", "memory": "1Gi"})]},
            "Guaranteed",
            id="limits equal requests",
        ),
        pytest.param(
            {"containers": [asking(cpu="1000m", memory="1024Mi", limits={"cpu": "1", "memory": "1Gi"})]},
            "Guaranteed",
            id="equal in other words",
        ),
        pytest.param(
            {"containers": [asking(limits={"cpu": "1", "memory": "1Gi"})]}, "Guaranteed", id="limits alone"
        ),
        pytest.param({"containers": [asking(cpu="1")]}, "Burstable", id="request without limit"),
        pytest.param(
            {"containers": [asking(cpu="1", limits={"cpu": "1"})]}, "Burstable", id="memory left out"
        ),
        pytest.param(
            {
                "containers": [
                    asking(cpu="1", memory="1Gi", limits={"cpu": "1", "memory": "1Gi"}),
                    {"name": "b"},
                ]
            },
            "Burstable",
            id="one container without",
        ),
        pytest.param(
            {
                "containers": [asking(cpu="1", memory="1Gi", limits={"cpu": "1", "memory": "1Gi"})],
                "initContainers": [{"name": "i"}],
            },
            "Burstable",
            id="init container without",
        ),
        pytest.param(
            {"containers": [asking(ephemeral_storage="1Gi")]}, "BestEffort", id="disk does not count"
        ),
        pytest.param(
            {
                "containers": [{"name": "a"}],
                "resources": {
                    "requests": {"cpu": "1", "memory": "1Gi"},
                    "limits": {"cpu": "1", "memory": "1Gi"},
                },
            },
            "Guaranteed",
            id="pod level decides",
        ),
    ],
)
def test_quality_of_service(spec: JsonObject, wanted: str) -> None:
    assert qos_class(spec) == wanted
