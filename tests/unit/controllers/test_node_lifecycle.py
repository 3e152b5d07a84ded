"""What follows from a node's conditions: taints, pods that are not ready, events."""

import pytest

from builders import NOW, a_condition, a_node, a_pod, cache_of, key_for, view_of
from nestling.api.json import JsonObject
from nestling.api.kinds import NODE, POD
from nestling.controllers import node_lifecycle
from nestling.machinery.clock import timestamp
from nestling.machinery.plan import Patch, Plan
from nestling.machinery.records.node import NOT_READY, UNREACHABLE
from nestling.machinery.view import View

NO_SCHEDULE = "NoSchedule"
NO_EXECUTE = "NoExecute"


def node(
    name: str = "n1",
    ready: str | None = "True",
    *conditions: JsonObject,
    since: float = NOW - 100,
    taints: list[JsonObject] | None = None,
    cordoned: bool = False,
    **more: object,
) -> JsonObject:
    """A registered node whose Ready condition is `ready`."""
    own = [a_condition("Ready", ready, since=since)] if ready is not None else []
    spec: JsonObject = {"taints": taints} if taints is not None else {}
    if cordoned:
        spec["unschedulable"] = True
    status = {"kubeletLease": "kubelet-1", "conditions": [*own, *conditions]}
    return a_node(name, **{"spec": spec, "status": status, **more})  # type: ignore[arg-type]  # a_node's keywords


def taint(key: str, effect: str, added_at: float | None = NOW) -> JsonObject:
    return {"key": key, "effect": effect} | ({"timeAdded": timestamp(added_at)} if added_at else {})


def look(subject: JsonObject, *others: JsonObject) -> Plan:
    return node_lifecycle.reconcile(view_of(subject, *others), key_for(subject))


def taints_after(plan: Plan) -> list[tuple[str, str]] | None:
    for write in plan.writes:
        if isinstance(write, Patch) and write.kind is NODE and "spec" in write.body:
            return [(t["key"], t["effect"]) for t in write.body["spec"]["taints"]]
    return None


HEALTHY = node("healthy")


@pytest.mark.parametrize(
    ("subject", "taints"),
    [
        pytest.param(node(), None, id="ready"),
        pytest.param(node(cordoned=True), [("node.kubernetes.io/unschedulable", NO_SCHEDULE)], id="cordoned"),
        pytest.param(
            node(taints=[taint("node.kubernetes.io/unschedulable", NO_SCHEDULE)]), [], id="uncordoned"
        ),
        pytest.param(
            node("n1", "True", a_condition("MemoryPressure"), a_condition("DiskPressure", "False")),
            [("node.kubernetes.io/memory-pressure", NO_SCHEDULE)],
            id="memory pressure",
        ),
        pytest.param(
            node("n1", "True", *map(a_condition, ("DiskPressure", "PIDPressure", "NetworkUnavailable"))),
            [
                ("node.kubernetes.io/disk-pressure", NO_SCHEDULE),
                ("node.kubernetes.io/network-unavailable", NO_SCHEDULE),
                ("node.kubernetes.io/pid-pressure", NO_SCHEDULE),
            ],
            id="other troubles",
        ),
        pytest.param(node(ready="False"), [(NOT_READY, NO_SCHEDULE)], id="not ready"),
        pytest.param(node(ready="Unknown"), [(UNREACHABLE, NO_SCHEDULE)], id="unreachable"),
        pytest.param(
            node(ready="False", taints=[taint(UNREACHABLE, NO_SCHEDULE), taint(UNREACHABLE, NO_EXECUTE)]),
            [(NOT_READY, NO_EXECUTE), (NOT_READY, NO_SCHEDULE)],
            id="unreachable, then not ready",
        ),
        pytest.param(
            node(
                taints=[
                    taint("gpu", NO_SCHEDULE),
                    taint(UNREACHABLE, NO_SCHEDULE),
                    taint(UNREACHABLE, NO_EXECUTE),
                ]
            ),
            [("gpu", NO_SCHEDULE)],
            id="back again, the user's taint stays",
        ),
        pytest.param(
            node(taints=[taint(NOT_READY, "PreferNoSchedule")]), None, id="same key with another effect"
        ),
        pytest.param(node(ready=None, taints=[taint(NOT_READY, NO_SCHEDULE)]), None, id="not registered"),
        pytest.param(node(ready="False", deleting_at=NOW, finalizers=["x/y"]), None, id="being deleted"),
    ],
)
def test_taints_follow_conditions(subject: JsonObject, taints: list[tuple[str, str]] | None) -> None:
    assert taints_after(look(subject, HEALTHY)) == taints


def test_taints_are_written_once_with_their_time_and_on_the_version_we_saw() -> None:
    subject = node(ready="Unknown", version=9)
    [patch] = look(subject, HEALTHY).writes
    assert isinstance(patch, Patch)
    assert patch.version == 9
    taints = patch.body["spec"]["taints"]
    assert {one["timeAdded"] for one in taints} == {timestamp(NOW)}
    assert look(node(ready="Unknown", taints=taints), HEALTHY) == Plan.done()


@pytest.mark.parametrize(
    ("subject", "told"),
    [
        pytest.param(node(ready="False"), True, id="went unready"),
        pytest.param(node(ready="Unknown", taints=[taint(NOT_READY, NO_SCHEDULE)]), False, id="was unready"),
        pytest.param(node(cordoned=True), False, id="cordoned"),
        pytest.param(
            node("n1", None, a_condition("Ready", "Unknown", reason="NodeStatusNeverUpdated")),
            False,
            id="never was ready",
        ),
    ],
)
def test_going_unready_is_told_once(subject: JsonObject, told: bool) -> None:
    [patch] = look(subject, HEALTHY).writes
    assert isinstance(patch, Patch)
    event = patch.on_success
    assert (event is not None) == told
    if event is not None:
        assert (event.reason, event.message) == ("NodeNotReady", "Node n1 status is now: NodeNotReady")


@pytest.mark.parametrize(
    ("pod", "marked"),
    [
        pytest.param(a_pod("p", node="n1", ready=True, ready_at=NOW - 500), True, id="was ready before"),
        pytest.param(a_pod("p", node="n1", ready=True, ready_at=NOW - 100), True, id="in the same second"),
        pytest.param(
            a_pod("p", node="n1", ready=True, ready_at=NOW - 99), False, id="a living kubelet's word"
        ),
        pytest.param(a_pod("p", node="n1", phase="Running"), False, id="is not ready"),
        pytest.param(a_pod("p", node="n2", ready=True, ready_at=NOW - 500), False, id="on another node"),
    ],
)
def test_pods_of_an_unready_node_are_not_ready(pod: JsonObject, marked: bool) -> None:
    taints = [taint(UNREACHABLE, NO_SCHEDULE), taint(UNREACHABLE, NO_EXECUTE)]
    writes = look(node("n1", "Unknown", taints=taints), HEALTHY, pod).writes
    assert len(writes) == marked
    for patch in writes:
        assert isinstance(patch, Patch)
        assert (patch.kind, patch.subresource, patch.version) == (POD, "status", 1)
        [ready] = patch.body["status"]["conditions"]
        assert (ready["status"], ready["lastTransitionTime"]) == ("False", timestamp(NOW))
        assert patch.on_success is not None
        assert (patch.on_success.reason, patch.on_success.message) == ("NodeNotReady", "Node is not ready")


def test_pods_of_a_ready_node_are_left_alone() -> None:
    assert look(node(), a_pod("p", node="n1", ready=True)) == Plan.done()


def test_many_pods_are_marked_in_bursts() -> None:
    pods = [a_pod(f"p{i}", node="n1", ready=True) for i in range(600)]
    plan = look(
        node("n1", "False", taints=[taint(NOT_READY, NO_SCHEDULE), taint(NOT_READY, NO_EXECUTE)]),
        HEALTHY,
        *pods,
    )
    assert (len(plan.writes), plan.wake_at) == (500, NOW)


@pytest.mark.parametrize(
    ("subject", "plan"),
    [
        pytest.param(
            a_node(status={"conditions": []}, created_at=NOW - 59), Plan.wait_until(NOW + 1), id="starting"
        ),
        pytest.param(
            a_node(status={"conditions": [a_condition("Ready", lastHeartbeatTime=timestamp(NOW - 20))]}),
            Plan.wait_until(NOW + 30),
            id="somebody else's kubelet posts",
        ),
    ],
)
def test_node_without_a_lease_has_its_time(subject: JsonObject, plan: Plan) -> None:
    assert look(subject) == plan


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        pytest.param(
            a_node(status={"conditions": []}, created_at=NOW - 60), "NodeStatusNeverUpdated", id="never"
        ),
        pytest.param(
            a_node(status={"conditions": [a_condition("Ready", lastHeartbeatTime=timestamp(NOW - 50))]}),
            "NodeStatusUnknown",
            id="no more",
        ),
    ],
)
def test_node_without_a_lease_is_declared_unknown(subject: JsonObject, reason: str) -> None:
    [patch] = look(subject).writes
    assert isinstance(patch, Patch)
    assert patch.body["status"]["conditions"][0]["reason"] == reason


def test_startup_grace_starts_when_we_do() -> None:
    subject = a_node(status={"conditions": []}, created_at=NOW - 9999)
    cache = cache_of(subject)
    cache.watching_since = NOW
    plan = node_lifecycle.reconcile(View(cache, "team-a", NOW), key_for(subject))
    assert plan == Plan.wait_until(NOW + 60)
