"""Pods that no kubelet will finish: after how long they go, and in which steps."""

from typing import Any

import pytest

from builders import NOW, a_condition, a_node, a_pod, cache_of, key_for, view_of
from nestling.api.json import JsonObject
from nestling.api.kinds import NODE, POD
from nestling.controllers import pod_garbage
from nestling.machinery.cache import Change
from nestling.machinery.plan import Delete, Patch, Plan
from nestling.machinery.records.node import Node
from nestling.machinery.records.pod import KUBELET_FINALIZER, Pod
from nestling.machinery.view import View

JOB = "batch.kubernetes.io/job-tracking"


def lost(*finalizers: str, **more: Any) -> JsonObject:
    """A running pod whose node is not there."""
    special: dict[str, Any] = {"node": "gone", "ready": True, "finalizers": finalizers, **more}
    return a_pod("p", **special)


def look(pod: JsonObject, *others: JsonObject) -> Plan:
    return pod_garbage.reconcile(view_of(pod, *others), key_for(pod))


def steps(plan: Plan) -> list[str]:
    """What a plan does, in short."""
    found: list[str] = []
    for write in plan.writes:
        match write:
            case Patch(subresource="status"):
                found.append("fail")
            case Patch(body={"metadata": {"finalizers": left}}):
                assert write.version == 1
                found.append(f"keep {left}" if left else "release")
            case Delete():
                found.append("delete")
            case _:
                found.append(repr(write))
    return found


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        pytest.param(lost(), ["delete"], id="without finalizers"),
        pytest.param(lost(KUBELET_FINALIZER), ["release", "delete"], id="held by its kubelet"),
        pytest.param(lost(KUBELET_FINALIZER, deleting_at=NOW), ["release"], id="terminating"),
        pytest.param(lost(KUBELET_FINALIZER, JOB), ["fail"], id="a Job counts it"),
        pytest.param(
            lost(KUBELET_FINALIZER, JOB, ready=False, phase="Failed"),
            [f"keep ['{JOB}']", "delete"],
            id="counted",
        ),
        pytest.param(
            lost(JOB, deleting_at=NOW, ready=False, phase="Succeeded"), [], id="only the Job holds it"
        ),
        pytest.param(a_pod("p"), [], id="pending"),
        pytest.param(a_pod("p", deleting_at=NOW, finalizers=[JOB]), ["fail"], id="no node, a Job counts it"),
        pytest.param(
            a_pod("p", deleting_at=NOW, phase="Failed", finalizers=[JOB]), [], id="no node, counted"
        ),
        pytest.param(
            a_pod("p", deleting_at=NOW, finalizers=[KUBELET_FINALIZER]),
            ["release"],
            id="no node, held by no kubelet",
        ),
    ],
)
def test_lost_pod_is_removed(pod: JsonObject, expected: list[str]) -> None:
    assert steps(look(pod)) == expected


def test_pod_on_a_node_is_its_kubelets() -> None:
    assert look(lost(KUBELET_FINALIZER, deleting_at=NOW), a_node("gone", ready=False)) == Plan.done()


def test_failed_pod_says_why() -> None:
    [patch] = look(lost(JOB, generation=4)).writes
    assert isinstance(patch, Patch)
    status = patch.body["status"]
    assert status["phase"] == "Failed"
    reason = status["conditions"][-1]
    assert (reason["type"], reason["reason"], reason["message"], reason["observedGeneration"]) == (
        "DisruptionTarget",
        "DeletionByPodGC",
        "PodGC: node no longer exists",
        4,
    )


@pytest.mark.parametrize(
    ("pod", "plan"),
    [
        pytest.param(lost(created_at=NOW - 4), Plan.wait_until(NOW + 1), id="just created"),
        pytest.param(
            lost(status={"conditions": [a_condition("PodScheduled", since=NOW - 2)]}),
            Plan.wait_until(NOW + 3),
            id="just bound",
        ),
    ],
)
def test_node_of_a_new_pod_may_yet_be_seen(pod: JsonObject, plan: Plan) -> None:
    assert look(pod) == plan


def test_cache_that_has_just_begun_to_watch_is_not_trusted() -> None:
    cache = cache_of(lost())
    cache.watching_since = NOW - 1
    assert pod_garbage.reconcile(View(cache, "team-a", NOW), key_for(lost())) == Plan.wait_until(NOW + 4)


def test_pods_of_a_gone_node_are_looked_at_when_it_had_time_to_come_back() -> None:
    view = view_of(lost(), a_pod("other", node="n1"))
    route = pod_garbage.CONTROLLER.concerns[NODE][0]
    node = Node.read(a_node("gone"))
    assert [key.name for key in route.keys(view, Change(NODE, node.key, node, None))] == ["p"]
    assert list(route.keys(view, Change(NODE, node.key, node, node))) == []
    assert route.delay_s == pod_garbage.QUARANTINE_S


def test_only_lost_pods_wake_the_loop() -> None:
    view = view_of(a_node("n1"))
    [route] = pod_garbage.CONTROLLER.concerns[POD]
    pods = [lost(), a_pod("p", node="n1"), a_pod("p")]
    woken = [bool(list(route.keys(view, Change(POD, key_for(one), None, Pod.read(one))))) for one in pods]
    assert woken == [True, False, False]


OUT = {
    "taints": [{"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}]
}


@pytest.mark.parametrize(
    ("pod", "node", "expected"),
    [
        pytest.param(
            {"deleting_at": NOW}, a_node("gone", ready=False, spec=OUT), ["release"], id="terminating"
        ),
        pytest.param({}, a_node("gone", ready=False, spec=OUT), [], id="nobody has deleted it"),
        pytest.param({"deleting_at": NOW}, a_node("gone", spec=OUT), [], id="its node is ready"),
        pytest.param({"deleting_at": NOW}, a_node("gone", ready=False), [], id="its node may come back"),
    ],
)
def test_terminating_pod_of_a_node_out_of_service_is_let_go(
    pod: JsonObject, node: JsonObject, expected: list[str]
) -> None:
    assert steps(look(lost(KUBELET_FINALIZER, **pod), node)) == expected


def test_counted_pod_of_a_node_out_of_service_fails_without_a_condition() -> None:
    plan = look(lost(KUBELET_FINALIZER, JOB, deleting_at=NOW), a_node("gone", ready=False, spec=OUT))
    (write,) = plan.writes
    assert isinstance(write, Patch)
    assert write.body == {"status": {"phase": "Failed"}}


def test_declaring_a_node_out_of_service_wakes_its_terminating_pods() -> None:
    node = a_node("gone", ready=False, spec=OUT)
    pods = [a_pod("a", node="gone", deleting_at=NOW), a_pod("b", node="gone")]
    record = cache_of(node).table(Node).records[key_for(node)]
    change = Change(NODE, record.key, None, record)
    routes = pod_garbage.CONTROLLER.concerns[NODE]
    view = view_of(node, *pods)
    assert [key.name for route in routes for key in route.keys(view, change)] == ["a"]
