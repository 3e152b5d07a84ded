"""The scheduler machine against a host in memory: binds, refusals, restarts, and what others do meanwhile."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from builders import NOW, a_cluster, a_condition, a_node, a_pod, a_replica_set, an_object
from nestling.api.json import JsonObject
from nestling.api.kinds import NODE, POD, PRIORITY_CLASS
from nestling.api.nestling import Scheduling
from nestling.machinery.controller import Outcome
from nestling.machinery.errors import Refused, Unavailable
from nestling.machinery.plan import Emit, Patch, Plan
from nestling.machinery.records.base import condition
from nestling.machinery.records.pod import KUBELET_FINALIZER
from unit.scheduler.a_host import Host
from unit.scheduler.tables import requests

SMALL = a_node("n1", cpu="2", memory="4Gi")


def wanting(name: str, cpu: str = "1", **options: Any) -> JsonObject:
    spec = {"containers": [requests(cpu=cpu)], **options.pop("spec", {})}
    return a_pod(name, spec=spec, phase="", status={"conditions": []}, **options)


def scheduled(pod: JsonObject) -> JsonObject:
    found = condition(pod, "PodScheduled")
    assert found is not None
    return found


def only(plans: list[Plan]) -> Patch:
    (plan,) = plans
    patch = plan.writes[0]
    assert isinstance(patch, Patch)
    return patch


def texts(host: Host) -> list[tuple[str, str]]:
    return [(event.reason, event.message) for event in host.events]


def test_a_pod_is_bound_in_one_write() -> None:
    owner = a_replica_set()
    host = Host(SMALL, wanting("web-0", owner=owner, finalizers=["example.com/keep"]))
    write = only(host.step())
    explanation = write.body["metadata"]["annotations"].pop("nestling.dev/scheduling")
    assert write == Patch(
        POD,
        write.key,
        host.pod("web-0")["metadata"]["uid"],
        {
            "metadata": {
                "annotations": {},
                "finalizers": ["example.com/keep", KUBELET_FINALIZER],
                "managedFields": [{}],
            },
            "spec": {"nodeName": "n1"},
        },
        version=int(host.pod("web-0")["metadata"]["resourceVersion"]),
        on_success=Emit(
            POD,
            write.key,
            write.uid,
            "Normal",
            "Scheduled",
            "Successfully assigned default/web-0 to n1",
            "default-scheduler",
            "Binding",
        ),
    )
    assert orjson.loads(explanation) == {
        "node": "n1",
        "score": 434,
        "feasible": 1,
        "nodes": 1,
        "attempts": 1,
        "scores": [
            {"plugin": "NodeResourcesFit", "score": 72},
            {"plugin": "NodeResourcesBalancedAllocation", "score": 62},
            {"plugin": "TaintToleration", "score": 300},
            {"plugin": "ImageLocality", "score": 0},
        ],
        "best": [],
    }


@pytest.mark.parametrize(
    ("owners", "kept"),
    [
        pytest.param([], False, id="none"),
        pytest.param([{"manager": "loader", "operation": "Update"}], False, id="created by a program"),
        pytest.param([{"manager": "kubectl-create", "operation": "Update"}], False, id="kubectl create"),
        pytest.param([{"manager": "kubectl", "operation": "Apply"}], True, id="applied by the server"),
        pytest.param(
            [{"manager": "x", "operation": "Update"}, {"manager": "flux", "operation": "Apply"}],
            True,
            id="applied by one of several",
        ),
        pytest.param(
            [{"manager": "kubectl-client-side-apply", "operation": "Update"}], True, id="kubectl apply"
        ),
    ],
)
def test_a_pod_that_a_user_applied_keeps_its_field_owners(owners: list[JsonObject], kept: bool) -> None:
    pod = wanting("web-0")
    pod["metadata"]["managedFields"] = owners
    write = only(Host(SMALL, pod).step())
    assert ("managedFields" not in write.body["metadata"]) == kept


def test_the_virtual_namespace_is_in_the_event() -> None:
    host = Host(SMALL, wanting("web-0", namespace="shop"))
    host.run()
    assert texts(host) == [("Scheduled", "Successfully assigned shop/web-0 to n1")]


def test_an_assumed_pod_takes_room_before_its_bind_is_done() -> None:
    host = Host(SMALL, wanting("a", "2"), wanting("b", "2"))
    plans = host.step()
    assert [plan.writes[0].key.name for plan in plans] == ["a", "b"]
    assert isinstance(plans[1].writes[0], Patch)
    assert plans[1].writes[0].subresource == "status"


def test_a_refused_pod_says_why_once() -> None:
    host = Host(SMALL, wanting("big", "3"))
    host.run()
    pod = host.pod("big")
    message = (
        "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: "
        "1 Preemption is not helpful for scheduling."
    )
    assert scheduled(pod) == {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": message,
        "lastProbeTime": None,
        "lastTransitionTime": "2027-01-15T08:00:00Z",
        "observedGeneration": 1,
    }
    assert pod["status"]["phase"] == "Pending"
    assert pod["status"]["scheduling"] == {
        "attempts": 1,
        "nodes": 1,
        "feasible": 0,
        "message": message,
        "reasons": [{"reason": "Insufficient cpu", "count": 1}],
        "best": [{"node": "n1", "reasons": ["Insufficient cpu (wants 3, 2 of 2 free)"]}],
    }
    assert [(event.type, event.reason, event.message, event.action) for event in host.events] == [
        ("Warning", "FailedScheduling", message, "Scheduling")
    ]
    host.clock.advance(3600)  # left-over retries find the same and keep quiet
    assert host.run() == 0
    host.restart()
    assert host.run() == 0


def test_conditions_of_others_are_kept() -> None:
    other = a_condition("DisruptionTarget", "True")
    host = Host(SMALL, a_pod("big", spec={"containers": [requests(cpu="3")]}, status={"conditions": [other]}))
    host.run()
    assert [one["type"] for one in host.pod("big")["status"]["conditions"]] == [
        "DisruptionTarget",
        "PodScheduled",
    ]


def test_a_new_reason_is_told_and_keeps_the_time_of_the_transition() -> None:
    host = Host(SMALL, wanting("big", "3"))
    host.run()
    host.clock.advance(60)
    host.put(a_node("n2", cpu="8", spec={"taints": [{"key": "k", "effect": "NoSchedule"}]}))
    host.edit(POD, "big", {"spec": {"tolerations": [{"key": "x", "operator": "Exists"}]}})
    host.run()
    found = scheduled(host.pod("big"))
    assert found["message"] == (
        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s). preemption: "
        "0/2 nodes are available: 2 Preemption is not helpful for scheduling."
    )
    assert found["lastTransitionTime"] == "2027-01-15T08:00:00Z"
    assert host.pod("big")["status"]["scheduling"]["attempts"] == 2


def test_without_nodes_pods_wait_for_the_first() -> None:
    host = Host(wanting("web-0"))
    host.run()
    assert scheduled(host.pod("web-0"))["message"] == "no nodes available to schedule pods"
    host.put(SMALL)
    host.run()
    assert host.node_of("web-0") == "n1"


def test_a_node_without_allocatable_does_not_exist_yet() -> None:
    host = Host(a_node("n1", status={"allocatable": None}), wanting("web-0"))
    host.run()
    assert scheduled(host.pod("web-0"))["message"] == "no nodes available to schedule pods"
    host.put(a_node("n1"))
    host.run()
    assert host.node_of("web-0") == "n1"


TAINTED: JsonObject = {"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}}


@pytest.mark.parametrize(
    ("node", "change"),
    [
        pytest.param(a_node("n1", cpu="2"), {"status": {"allocatable": {"cpu": "4"}}}, id="more room"),
        pytest.param(a_node("n1", spec=TAINTED["spec"]), {"spec": {"taints": []}}, id="taint removed"),
        pytest.param(
            a_node("n1", spec={"unschedulable": True}), {"spec": {"unschedulable": None}}, id="uncordoned"
        ),
        pytest.param(a_node("n1", labels={}), {"metadata": {"labels": {"zone": "a"}}}, id="label added"),
    ],
)
def test_a_change_of_a_node_that_helps_wakes_the_pod(node: JsonObject, change: JsonObject) -> None:
    if "labels" not in node["metadata"]:
        spec: JsonObject = {"nodeSelector": {"zone": "a"}}
    else:
        spec = {}
    host = Host(node, wanting("web-0", "3", spec=spec))
    host.run()
    assert host.node_of("web-0") == ""
    host.edit(NODE, "n1", change)
    host.run()
    assert host.node_of("web-0") == "n1"


def test_a_change_that_cannot_help_wakes_nobody() -> None:
    host = Host(SMALL, wanting("big", "3"), wanting("other", "1"))
    host.run()
    host.edit(NODE, "n1", {"metadata": {"labels": {"a": "b"}}})
    host.put(a_node("n2", cpu="1"))
    host.delete(POD, "other")
    assert host.step() == []
    assert host.machine.pending()["team-a"].plugins == {("NodeResourcesFit", "default-scheduler"): 1}
    attempts = [pod.attempts for lane in host.machine.lanes() for pod in lane.state.waiting.values()]
    assert attempts == [1]


def delete(host: Host) -> None:
    host.delete(POD, "first")


def finish(host: Host) -> None:
    host.edit(POD, "first", {"status": {"phase": "Succeeded"}})


def recreate(host: Host) -> None:
    host.put(wanting("first", uid="another"))


@pytest.mark.parametrize("leave", [delete, finish, recreate])
def test_a_pod_that_leaves_makes_room(leave: Callable[[Host], None]) -> None:
    host = Host(SMALL, wanting("first", "1500m"))
    host.run()
    assert host.node_of("first") == "n1"
    host.put(wanting("second", "2", spec={"priority": 7, "preemptionPolicy": "Never"}))
    host.run()
    assert host.node_of("second") == ""
    host.clock.advance(5)
    leave(host)
    host.run()
    assert host.node_of("second") == "n1"


def test_pods_of_other_schedulers_and_finished_pods_are_left_alone() -> None:
    host = Host(
        SMALL,
        wanting("theirs", spec={"schedulerName": "other"}),
        a_pod("done", phase="Failed"),
    )
    assert host.run() == 0


def test_a_deleting_pod_is_skipped_and_told_so() -> None:
    host = Host(SMALL, wanting("going", deleting_at=NOW, finalizers=["example.com/keep"]))
    host.run()
    assert host.node_of("going") == ""
    assert texts(host) == [("FailedScheduling", "skip schedule deleting pod: default/going")]
    assert host.patches == []


def test_bound_pods_count_whoever_bound_them() -> None:
    host = Host(SMALL, a_pod("theirs", node="n1", spec={"containers": [requests(cpu="2")]}), wanting("ours"))
    host.run()
    assert host.node_of("ours") == ""


def test_higher_priority_goes_first() -> None:
    host = Host(SMALL, wanting("low", "2"), wanting("high", "2", spec={"priority": 10}))
    host.run()
    assert (host.node_of("high"), host.node_of("low")) == ("n1", "")


def a_priority_class(name: str, value: int, **more: Any) -> JsonObject:
    return {**an_object(PRIORITY_CLASS, name), "value": value, **more}


def test_priority_comes_from_the_class_and_is_written() -> None:
    host = Host(
        SMALL,
        wanting("low", "2"),
        wanting("high", "2", spec={"priorityClassName": "gold"}),
        a_priority_class("gold", 100),
    )
    host.run()
    assert host.pod("high")["spec"]["priority"] == 100
    assert host.node_of("low") == ""


@pytest.mark.parametrize(
    ("spec", "priority"),
    [
        pytest.param({}, None, id="nothing to resolve"),
        pytest.param({"priority": 3, "priorityClassName": "gold"}, 3, id="already there"),
        pytest.param({"priorityClassName": "system-node-critical"}, 2_000_001_000, id="built in"),
        pytest.param({"priorityClassName": "unknown"}, None, id="unknown class"),
    ],
)
def test_resolving_priority(spec: JsonObject, priority: int | None) -> None:
    host = Host(SMALL, wanting("web-0", spec=spec), a_priority_class("gold", 100))
    host.run()
    assert host.pod("web-0")["spec"].get("priority") == priority


def test_a_class_that_does_not_exist_is_told_of() -> None:
    host = Host(SMALL, wanting("web-0", spec={"priorityClassName": "gone"}))
    host.run()
    assert host.node_of("web-0") == "n1"
    told = [event.message for event in host.events if event.reason == "UnknownPriorityClass"]
    assert told == ["no PriorityClass with name gone was found, so the pod has priority 0"]


def test_the_global_default_counts_for_pods_without_a_class() -> None:
    host = Host(SMALL, a_priority_class("usual", 5, globalDefault=True), wanting("web-0"))
    host.run()
    assert host.pod("web-0")["spec"]["priority"] == 5


def test_a_gated_pod_is_told_so_and_goes_when_the_gate_does() -> None:
    host = Host(SMALL, wanting("web-0", spec={"schedulingGates": [{"name": "example.com/wait"}]}))
    host.run()
    found = scheduled(host.pod("web-0"))
    assert (found["reason"], found["message"]) == (
        "SchedulingGated",
        "Scheduling is blocked due to non-empty scheduling gates",
    )
    assert host.events == []
    assert host.machine.pending()["team-a"].queues["gated"] == 1
    host.edit(POD, "web-0", {"spec": {"schedulingGates": []}})
    host.run()
    assert host.node_of("web-0") == "n1"


def test_a_gated_pod_that_could_not_be_told_is_told_later() -> None:
    host = Host(SMALL, wanting("web-0", spec={"schedulingGates": [{"name": "example.com/wait"}]}))
    (plan,) = host.step()
    host.settle(plan, Outcome(0, Unavailable("no answer")))
    assert host.step() == []
    host.clock.advance(2)
    host.run()
    assert scheduled(host.pod("web-0"))["reason"] == "SchedulingGated"


def test_a_malformed_pod_gets_one_sentence_and_others_go_on() -> None:
    bad = wanting("bad", spec={"containers": [requests(cpu="lots")]})
    host = Host(SMALL, bad, wanting("good"))
    host.run()
    found = scheduled(host.pod("bad"))
    assert found["reason"] == "SchedulerError"
    assert found["message"] == (
        "the pod's resources cannot be read: container 'main' requests cpu of 'lots', which is not a quantity"
    )
    assert host.node_of("good") == "n1"
    host.put(a_node("n2"))
    assert host.run() == 0


def test_what_is_written_fits_the_schema() -> None:
    greedy = {f"example.com/{'x' * 40}-{i}": "1" for i in range(2000)}
    host = Host(
        SMALL, a_node("n2"), wanting("greedy", spec={"containers": [requests(**greedy)]}), wanting("fits")
    )
    host.run()
    refused = host.pod("greedy")["status"]
    assert len(Scheduling.model_validate(refused["scheduling"]).reasons or ()) == 64
    assert len(scheduled(host.pod("greedy"))["message"]) == 32768
    placed = orjson.loads(host.pod("fits")["metadata"]["annotations"]["nestling.dev/scheduling"])
    assert Scheduling.model_validate(placed).node == host.node_of("fits")
    assert host.run() == 0


def test_a_pod_too_large_for_any_node_is_a_refusal_not_an_error() -> None:
    host = Host(SMALL, wanting("huge", "9e18"))
    host.run()
    assert scheduled(host.pod("huge"))["message"].startswith("0/1 nodes are available: 1 Insufficient cpu. ")


def test_decisions_are_logged() -> None:
    host = Host(SMALL, wanting("fits"), wanting("large", "3"))
    with capture_logs() as logs:
        host.run()
    about = {"cluster": "team-a", "attempt": 1, "log_level": "info"}
    assert logs == [
        {
            **about,
            "event": "pod has no node",
            "object": "default/large",
            "reason": "Unschedulable",
            "why": "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: "
            "1 Preemption is not helpful for scheduling.",
        },
        {**about, "event": "pod bound", "object": "default/fits", "node": "n1", "took_ms": 0.0},
    ]


# -- when writes fail --


def test_a_conflict_is_decided_anew_as_soon_as_the_newer_version_is_seen() -> None:
    host = Host(SMALL, wanting("web-0"))
    (plan,) = host.step()
    host.edit(POD, "web-0", {"metadata": {"labels": {"new": "label"}}})
    outcome = host.carry_out(plan)
    assert not outcome.ok
    host.run()
    assert host.node_of("web-0") == "n1"
    assert host.pod("web-0")["metadata"]["labels"]["new"] == "label"


def test_a_conflict_before_the_newer_version_is_seen_waits_for_it() -> None:
    host = Host(SMALL, wanting("web-0"))
    (plan,) = host.step()
    newer = {**host.pod("web-0"), "metadata": {**host.pod("web-0")["metadata"], "resourceVersion": "999"}}
    host.objects[POD.plural, plan.writes[0].key] = newer  # our watch has not shown it yet
    host.carry_out(plan)
    assert host.step() == []
    host.put(newer)
    host.run()
    assert host.node_of("web-0") == "n1"


def test_somebody_else_binding_first_is_no_error() -> None:
    host = Host(SMALL, a_node("n2"), wanting("web-0"))
    (plan,) = host.step()
    host.edit(POD, "web-0", {"spec": {"nodeName": "n2"}})
    host.carry_out(plan)
    assert host.run() == 0
    table = host.machine.lanes()[0].state.nodes
    assert table.pods[table.row_of["n2"]] == 1
    assert table.pods.sum() == 1


def test_an_unclear_answer_keeps_the_room_until_the_next_try() -> None:
    host = Host(SMALL, wanting("web-0", "2"))
    (plan,) = host.step()
    host.settle(plan, Outcome(0, Unavailable("no answer")))
    host.put(wanting("other", "1"))
    host.run()
    assert host.node_of("other") == ""  # web-0 may have been bound
    host.clock.advance(2)
    host.run()
    assert host.node_of("web-0") == "n1"


def test_a_lost_answer_of_a_bind_that_happened_is_found_out() -> None:
    host = Host(SMALL, wanting("web-0"))
    (plan,) = host.step()
    host.settle(plan, Outcome(0, Unavailable("no answer")))
    host.edit(POD, "web-0", {"spec": {"nodeName": "n1"}})
    host.clock.advance(60)
    assert host.run() == 0
    table = host.machine.lanes()[0].state.nodes
    assert table.pods.sum() == 1


def test_a_refused_bind_is_tried_again_after_a_while() -> None:
    host = Host(SMALL, wanting("web-0"))
    (plan,) = host.step()
    host.settle(plan, Outcome(0, Refused("no", status=403)))
    assert host.step() == []
    assert host.machine.wake_at() == NOW + 2
    host.clock.advance(2)
    host.run()
    assert host.node_of("web-0") == "n1"


def test_what_could_not_be_told_is_told_again() -> None:
    host = Host(SMALL, wanting("big", "3"))
    (plan,) = host.step()
    host.settle(plan, Outcome(0, Unavailable("no answer")))
    host.clock.advance(2)
    host.run()
    assert scheduled(host.pod("big"))["reason"] == "Unschedulable"


def test_a_bind_that_never_shows_is_looked_at_again() -> None:
    host = Host(SMALL, wanting("web-0"))
    (plan,) = host.step()
    host.settle(plan, Outcome(1))  # the host said yes, but nothing came
    assert host.step() == []
    host.clock.advance(32)
    host.run()
    assert host.node_of("web-0") == "n1"


def test_a_pod_deleted_while_its_bind_is_out_is_forgotten() -> None:
    host = Host(SMALL, wanting("web-0"))
    (plan,) = host.step()
    host.delete(POD, "web-0")
    assert not host.carry_out(plan).ok
    assert host.run() == 0
    assert not host.machine.lanes()[0].state.nodes.pods.any()


def test_the_answer_about_a_predecessor_does_not_count_for_the_pod_of_the_same_name() -> None:
    host = Host(SMALL, wanting("web-0", "2", uid="first"))
    (old,) = host.step()
    host.put(wanting("web-0", "2", uid="second"))
    (new,) = host.step()
    assert not host.carry_out(old).ok
    assert host.step() == []
    assert host.carry_out(new).ok
    assert host.node_of("web-0") == "n1"
    assert host.machine.lanes()[0].state.nodes.pods.sum() == 1


def test_a_pod_asked_to_go_while_its_bind_is_out_is_not_tried_again() -> None:
    host = Host(SMALL, wanting("web-0", finalizers=["example.com/keep"]))
    (plan,) = host.step()
    host.edit(POD, "web-0", {"metadata": {"deletionTimestamp": "2027-01-15T08:00:00Z"}})
    assert not host.carry_out(plan).ok
    host.clock.advance(60)
    assert host.run() == 0


def test_a_refused_bind_is_told_in_an_event() -> None:
    host = Host(SMALL, wanting("web-0"))
    write = only(host.step())
    assert write.on_failure is not None
    event = write.on_failure("nodes are closed")
    assert (event.reason, event.message) == ("FailedScheduling", "binding rejected: nodes are closed")


def test_a_pod_is_never_in_two_plans_at_once() -> None:
    host = Host(SMALL, wanting("big", "3"))
    (plan,) = host.step()
    host.put(a_node("n2", cpu="8"))  # wakes it while the refusal is being written
    assert host.step() == []
    host.carry_out(plan)
    host.run()
    assert host.node_of("big") == "n2"


# -- a whole life --


def test_a_restart_neither_loses_nor_doubles_anything() -> None:
    pods = [wanting(f"p{i}", "500m") for i in range(10)]
    host = Host(SMALL, a_node("n2", cpu="2"), *pods)
    for plan in host.step()[:5]:
        host.carry_out(plan)
    host.restart()
    host.run()
    bound = [pod for pod in range(10) if host.node_of(f"p{pod}")]
    assert len(bound) == 8  # four on each node
    binds = [patch for patch in host.patches if "nodeName" in patch.body.get("spec", {})]
    assert len(binds) == 8


def test_clusters_take_turns_and_share_nothing() -> None:
    busy = [wanting(f"p{i}", cluster="busy") for i in range(20)]
    host = Host(
        a_node("n1", cluster="busy"),
        a_node("n1", cluster="quiet", cpu="2"),
        *busy,
        wanting("only", cluster="quiet"),
        batch=4,
    )
    clusters = [plan.writes[0].key.cluster for plan in host.step()]
    assert len(clusters) == 4
    assert "quiet" in clusters[:2]
    assert host.machine.wake_at() == 0.0


def test_the_seed_of_the_cluster_decides_among_equals() -> None:
    def placed(seed: int) -> list[str]:
        nodes = [a_node(f"n{i}") for i in range(20)]
        host = Host(a_cluster({"simulation": {"seed": seed}}), *nodes, *(wanting(f"p{i}") for i in range(5)))
        host.run()
        return [host.node_of(f"p{i}") for i in range(5)]

    assert placed(1) == placed(1)
    assert placed(1) != placed(2)


def test_a_cluster_that_is_gone_leaves_nothing_behind() -> None:
    host = Host(SMALL, wanting("web-0"), wanting("big", "9"))
    host.run()
    for name in ("web-0", "big"):
        host.delete(POD, name)
    host.delete(NODE, "n1")
    assert host.machine.pending() == {}
    assert host.machine.wake_at() is None


def test_columns_of_a_pod_that_waits_are_what_kubectl_shows() -> None:
    sidecar = {"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"}
    host = Host(
        SMALL,
        wanting("big", cpu="999", spec={"initContainers": [sidecar]}),
        wanting("gated", spec={"schedulingGates": [{"name": "example.com/wait"}]}),
    )
    host.run()
    assert host.pod("big")["status"]["display"] == {"ready": "0/2", "status": "Pending", "restarts": "0"}
    assert host.pod("gated")["status"]["display"]["status"] == "SchedulingGated"
