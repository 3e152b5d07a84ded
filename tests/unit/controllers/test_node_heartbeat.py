"""Silence of kubelets: when a node's conditions become Unknown, and what keeps them from it."""

import orjson
import pytest

from builders import NOW, a_cluster, a_condition, a_lease, a_node, cache_of, key_for, view_of
from nestling.api.json import JsonObject
from nestling.controllers import node_heartbeat
from nestling.machinery.cache import Change
from nestling.machinery.clock import timestamp, timestamp_micro
from nestling.machinery.plan import Patch, Plan
from nestling.machinery.records.node import SILENT_NODES, Node
from nestling.machinery.view import View

GRACE = 50.0


def vouched(name: str = "n1", *, posted_at: float = NOW - 3600, **more: object) -> JsonObject:
    """A node that the Lease kubelet-1 vouches for."""
    ready = a_condition("Ready", lastHeartbeatTime=timestamp(posted_at))
    status = {"kubeletLease": "kubelet-1", "conditions": [ready]}
    return a_node(name, **{"status": status, **more})  # type: ignore[arg-type]  # keywords of a_node


def silent_since(**when: float) -> dict[str, str]:
    return {SILENT_NODES: orjson.dumps({n: timestamp_micro(t) for n, t in when.items()}).decode()}


def look(lease: JsonObject, *others: JsonObject, present: bool = True) -> Plan:
    return node_heartbeat.reconcile(view_of(*((lease,) if present else ()), *others), key_for(lease))


def declared(plan: Plan) -> list[str]:
    return [write.key.name for write in plan.writes]


@pytest.mark.parametrize(
    ("age", "wake_at", "dead"),
    [
        pytest.param(0.0, NOW + GRACE, [], id="just renewed"),
        pytest.param(49.0, NOW + 1, [], id="one second left"),
        pytest.param(50.0, None, ["n1", "n2"], id="exactly due"),
        pytest.param(9999.0, None, ["n1", "n2"], id="long dead"),
    ],
)
def test_lease_that_is_not_renewed_takes_its_nodes_with_it(
    age: float, wake_at: float | None, dead: list[str]
) -> None:
    plan = look(a_lease(renewed_at=NOW - age), vouched("n1"), vouched("n2"))
    assert (declared(plan), plan.wake_at) == (dead, wake_at)


def test_dead_node_is_unknown_in_one_conditional_status_write() -> None:
    ready = a_condition("Ready", since=NOW - 500, reason="KubeletReady")
    disk = a_condition("DiskPressure", "False", since=NOW - 500)
    network = a_condition("NetworkUnavailable", "False", since=NOW - 500)
    node = vouched(status={"kubeletLease": "kubelet-1", "conditions": [ready, disk, network]}, version=7)
    [patch] = look(a_lease(renewed_at=NOW - GRACE), node).writes
    assert isinstance(patch, Patch)
    assert (patch.version, patch.subresource) == (7, "status")
    unknown = {
        "status": "Unknown",
        "reason": "NodeStatusUnknown",
        "message": "Kubelet stopped posting node status.",
        "lastTransitionTime": timestamp(NOW),
    }
    never = {
        "status": "Unknown",
        "reason": "NodeStatusNeverUpdated",
        "message": "Kubelet never posted node status.",
        "lastHeartbeatTime": node["metadata"]["creationTimestamp"],
        "lastTransitionTime": timestamp(NOW),
    }
    assert patch.body["status"]["display"] == {"status": "NotReady"}
    assert patch.body["status"]["conditions"] == [
        {"type": "Ready", **unknown},
        {"type": "DiskPressure", **unknown},
        network,
        {"type": "MemoryPressure", **never},
        {"type": "PIDPressure", **never},
    ]


def test_dead_node_is_declared_once() -> None:
    lease = a_lease(renewed_at=NOW - GRACE)
    [patch] = look(lease, vouched()).writes
    assert isinstance(patch, Patch)
    after = vouched(status={"kubeletLease": "kubelet-1", **patch.body["status"]})
    assert look(lease, after) == Plan.done()


def test_node_that_a_living_kubelet_stopped_vouching_for_dies_alone() -> None:
    lease = a_lease(annotations=silent_since(n1=NOW - 60, n2=NOW - 20))
    plan = look(lease, vouched("n1"), vouched("n2"), vouched("n3"))
    assert (declared(plan), plan.wake_at) == (["n1"], NOW + 30)


def test_status_is_a_heartbeat_too() -> None:
    plan = look(a_lease(renewed_at=NOW - 60), vouched(posted_at=NOW - 10))
    assert plan == Plan.wait_until(NOW + 40)


@pytest.mark.parametrize(
    ("posted_at", "dead"),
    [pytest.param(NOW - 10, [], id="posted lately"), pytest.param(NOW - 60, ["n1"], id="posted long ago")],
)
def test_deleted_lease_leaves_the_status_as_the_only_sign(posted_at: float, dead: list[str]) -> None:
    assert declared(look(a_lease(), vouched(posted_at=posted_at), present=False)) == dead


def test_our_own_absence_is_not_the_silence_of_nodes() -> None:
    lease = a_lease(renewed_at=NOW - 9999)
    cache = cache_of(lease, vouched())
    cache.watching_since = NOW - 5
    plan = node_heartbeat.reconcile(View(cache, "team-a", NOW), key_for(lease))
    assert plan == Plan.wait_until(NOW + 45)


def test_grace_is_the_clusters() -> None:
    settings = a_cluster({"nodeLifecycle": {"gracePeriodSeconds": 5}})
    assert declared(look(a_lease(renewed_at=NOW - 6), vouched(), settings)) == ["n1"]


@pytest.mark.parametrize(
    "node",
    [
        pytest.param(a_node(), id="no lease named"),
        pytest.param(vouched(deleting_at=NOW, finalizers=["x/y"]), id="being deleted"),
    ],
)
def test_nodes_of_others_are_left_alone(node: JsonObject) -> None:
    assert look(a_lease(renewed_at=0), node) == Plan.done()


def test_thousand_deaths_come_in_bursts() -> None:
    plan = look(a_lease(renewed_at=0), *(vouched(f"n{i}") for i in range(1000)))
    assert (len(plan.writes), plan.wake_at) == (500, NOW)


@pytest.mark.parametrize("text", ["{", "[]", '{"n1": "yesterday"}'], ids=repr)
def test_unreadable_list_of_silent_nodes_silences_nobody(text: str) -> None:
    assert look(a_lease(annotations={SILENT_NODES: text}), vouched()) == Plan.wait_until(NOW + GRACE)


def test_unreadable_heartbeat_counts_as_none() -> None:
    node = vouched()
    node["status"]["conditions"][0]["lastHeartbeatTime"] = "soon"
    assert declared(look(a_lease(renewed_at=0), node)) == ["n1"]


def test_registration_wakes_the_lease_and_a_status_does_not() -> None:
    view = view_of(vouched("n1"), a_node("n2"))
    [route] = node_heartbeat.CONTROLLER.concerns[Node.KIND]
    new, old = (view.get(Node, key_for(a_node(name))) for name in ("n1", "n2"))
    assert new is not None
    cases = [(old, new), (None, new), (new, new), (new, None), (None, old)]
    keys = [[key.name for key in route.keys(view, Change(Node.KIND, new.key, a, b))] for a, b in cases]
    assert keys == [["kubelet-1"], ["kubelet-1"], [], [], []]
