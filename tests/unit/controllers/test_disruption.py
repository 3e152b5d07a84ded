"""Disruption budgets: who counts, how many may go, what is said when that cannot be known."""

from typing import Any

import pytest

from builders import (
    NOW,
    a_budget,
    a_condition,
    a_deployment,
    a_pod,
    a_replica_set,
    a_replication_controller,
    an_object,
    cache_of,
    key_for,
    view_of,
)
from nestling.api.json import JsonObject
from nestling.api.kinds import DAEMON_SET, JOB, POD, POD_DISRUPTION_BUDGET, REPLICA_SET, STATEFUL_SET, Kind
from nestling.controllers import disruption, stale_disruption
from nestling.machinery.cache import Change
from nestling.machinery.clock import timestamp
from nestling.machinery.plan import Emit, Patch, Plan
from nestling.machinery.records.base import Record
from nestling.machinery.records.pod import Pod
from nestling.operators.roles import EVERYTHING

RS = a_replica_set(replicas=5)


def plan_for(budget: JsonObject, *others: JsonObject, now: float = NOW) -> Plan:
    return disruption.reconcile(view_of(budget, *others, now=now, records=EVERYTHING), key_for(budget))


def status_of(plan: Plan) -> JsonObject:
    found = [w.body["status"] for w in plan.writes if isinstance(w, Patch)]
    assert len(found) <= 1
    return found[0] if found else {}


def figures(plan: Plan) -> tuple[int, int, int, int]:
    """Current, desired, expected, allowed."""
    status = status_of(plan)
    names = ("currentHealthy", "desiredHealthy", "expectedPods", "disruptionsAllowed")
    return tuple(status[name] for name in names)  # type: ignore[return-value]  # four of them


def events(plan: Plan) -> list[tuple[str, str, str]]:
    return [(w.type, w.reason, w.message) for w in plan.writes if isinstance(w, Emit)]


def pods(
    number: int, *, ready: int | None = None, owner: JsonObject | None = RS, **more: Any
) -> list[JsonObject]:
    able = number if ready is None else ready
    return [a_pod(f"p{i}", owner=owner, ready=i < able, **more) for i in range(number)]


def count_of(condition: JsonObject) -> tuple[str, str]:
    return condition["status"], condition["reason"]


# --- the figures ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "ready", "wanted"),
    [
        pytest.param({"min_available": 2}, 3, (3, 2, 3, 1), id="least: what is above may go"),
        pytest.param({"min_available": 3}, 3, (3, 3, 3, 0), id="least: none above"),
        pytest.param({"min_available": 4}, 3, (3, 4, 3, 0), id="least: more than there are"),
        pytest.param({"min_available": 0}, 3, (3, 0, 3, 3), id="least: none has to stay"),
        pytest.param({"min_available": 2}, 1, (1, 2, 3, 0), id="least: too few are ready"),
        pytest.param({"min_available": "50%"}, 3, (3, 3, 5, 0), id="share of the owner's scale, rounded up"),
        pytest.param({"min_available": "20%"}, 3, (3, 1, 5, 2), id="share that leaves room"),
        pytest.param({"min_available": "100%"}, 3, (3, 5, 5, 0), id="all"),
        pytest.param({"min_available": "0%"}, 3, (3, 0, 5, 3), id="none"),
        pytest.param({"max_unavailable": 1}, 3, (3, 4, 5, 0), id="most: two are missing already"),
        pytest.param({"max_unavailable": 3}, 3, (3, 2, 5, 1), id="most: room for one"),
        pytest.param({"max_unavailable": 9}, 3, (3, 0, 5, 3), id="most: more than there are"),
        pytest.param({"max_unavailable": "30%"}, 3, (3, 3, 5, 0), id="most: 1.5 rounds up to 2"),
        pytest.param({"max_unavailable": "41%"}, 3, (3, 2, 5, 1), id="most: 2.05 rounds up to 3"),
        pytest.param({"max_unavailable": 0}, 3, (3, 5, 5, 0), id="none may be missing"),
        pytest.param({}, 3, (3, 0, 0, 0), id="asks for nothing, and so allows nothing"),
    ],
)
def test_figures(spec: dict[str, Any], ready: int, wanted: tuple[int, ...]) -> None:
    plan = plan_for(a_budget(**spec), RS, *pods(3, ready=ready))
    assert figures(plan) == wanted
    (condition,) = status_of(plan)["conditions"]
    state = ("True", "SufficientPods") if wanted[3] else ("False", "InsufficientPods")
    assert count_of(condition) == state
    assert (condition["type"], condition["message"]) == ("DisruptionAllowed", "")


@pytest.mark.parametrize(
    ("pod", "healthy"),
    [
        pytest.param({"ready": True}, 1, id="ready"),
        pytest.param({}, 0, id="not ready"),
        pytest.param({"ready": True, "deleting_at": NOW}, 0, id="terminating"),
        pytest.param({"ready": True, "labels": {"app": "db"}}, 0, id="not selected"),
        pytest.param({"ready": True, "namespace": "shop"}, 0, id="of another namespace"),
        pytest.param({"ready": True, "cluster": "team-b"}, 0, id="of another cluster"),
        pytest.param({"phase": "Succeeded"}, 0, id="has ended"),
    ],
)
def test_ready_pods_count_as_healthy(pod: dict[str, Any], healthy: int) -> None:
    assert figures(plan_for(a_budget(min_available=1), RS, a_pod("p", **pod)))[0] == healthy


def test_second_look_finds_nothing_new() -> None:
    budget = a_budget(max_unavailable=3, generation=2)
    budget["status"] = status_of(plan_for(budget, RS, *pods(3)))
    assert budget["status"]["observedGeneration"] == 2
    assert plan_for(budget, RS, *pods(3)) == Plan.done()


def test_condition_keeps_its_time_while_its_status_lasts() -> None:
    budget = a_budget(min_available=1, generation=2, status={"conditions": [
        a_condition("DisruptionAllowed", "True", reason="SufficientPods", message=""), a_condition("Own"),
    ]})  # fmt: skip
    conditions = status_of(plan_for(budget, *pods(3)))["conditions"]
    before = budget["status"]["conditions"]
    assert conditions == [{**before[0], "observedGeneration": 2}, before[1]]


# --- whose pods -----------------------------------------------------------------------------------

DEPLOYMENT = a_deployment(replicas=7)
GROWN = a_replica_set("web-1", replicas=4, owner=DEPLOYMENT)


def owner_with(kind: Kind, replicas: int | None = None) -> JsonObject:
    return an_object(kind, "own", spec={} if replicas is None else {"replicas": replicas})


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        pytest.param([RS, *pods(2)], 5, id="ReplicaSet"),
        pytest.param([DEPLOYMENT, GROWN, *pods(2, owner=GROWN)], 7, id="Deployment behind a ReplicaSet"),
        pytest.param([GROWN, *pods(2, owner=GROWN)], 4, id="ReplicaSet whose Deployment is gone"),
        pytest.param(
            [rc := a_replication_controller(replicas=6), *pods(2, owner=rc)], 6, id="ReplicationController"
        ),
        pytest.param([sts := owner_with(STATEFUL_SET, 3), *pods(2, owner=sts)], 3, id="StatefulSet"),
        pytest.param(
            [sts := owner_with(STATEFUL_SET, 3), RS, *pods(1, owner=sts), a_pod("q", owner=RS)],
            8,
            id="two owners",
        ),
        pytest.param(
            [DEPLOYMENT, GROWN, old := a_replica_set("web-0", replicas=9, owner=DEPLOYMENT),
             a_pod("a", owner=GROWN), a_pod("b", owner=old)], 7, id="two ReplicaSets of one Deployment"
        ),
        pytest.param([a_pod("alone"), RS, *pods(2)], 5, id="pods that nobody manages do not count"),
    ],
)  # fmt: skip
def test_expected_pods_are_what_owners_ask_for(objects: list[JsonObject], expected: int) -> None:
    assert figures(plan_for(a_budget(max_unavailable=0), *objects))[1:3] == (expected, expected)


@pytest.mark.parametrize(
    ("objects", "error"),
    [
        pytest.param(
            [ds := owner_with(DAEMON_SET), *pods(1, owner=ds)],
            "daemonsets.apps does not implement the scale subresource",
            id="DaemonSet",
        ),
        pytest.param(
            [job := owner_with(JOB), *pods(1, owner=job)],
            "jobs.batch does not implement the scale subresource",
            id="Job",
        ),
        pytest.param(pods(1), 'found no controllers for pod "p0"', id="owner is gone"),
        pytest.param(
            [a_replica_set(uid="another"), *pods(1)],
            'found no controllers for pod "p0"',
            id="its name is taken",
        ),
        pytest.param(
            pods(1, owner={"apiVersion": "x.io/v1", "kind": "Foo", "metadata": {"name": "f", "uid": "f"}}),
            'no matches for kind "Foo" in version "x.io/v1"',
            id="unheard-of owner",
        ),
    ],
)
def test_nothing_may_go_when_the_expected_pods_cannot_be_counted(
    objects: list[JsonObject], error: str
) -> None:
    before = {"disruptionsAllowed": 2, "observedGeneration": 3, "currentHealthy": 4}
    budget = a_budget(max_unavailable=1, generation=4, status=before)
    plan = plan_for(budget, *objects)
    assert events(plan) == [
        (
            "Warning",
            "CalculateExpectedPodCountFailed",
            f"Failed to calculate the number of expected pods: {error}",
        )
    ]
    assert status_of(plan) == {
        "disruptionsAllowed": 0,
        "conditions": [
            {
                "type": "DisruptionAllowed",
                "status": "False",
                "reason": "SyncFailed",
                "message": error,
                "observedGeneration": 3,
                "lastTransitionTime": timestamp(NOW),
            }
        ],
    }
    again = a_budget(max_unavailable=1, generation=4, status={**before, **status_of(plan)})
    assert plan_for(again, *objects) == Plan.done()  # said once


def test_least_number_of_pods_asks_no_owner() -> None:
    daemon = owner_with(DAEMON_SET)
    assert figures(plan_for(a_budget(min_available=1), *pods(2, owner=daemon))) == (2, 1, 2, 1)


# --- bad input ------------------------------------------------------------------------------------


def test_selecting_nothing_is_said() -> None:
    plan = plan_for(a_budget(min_available=1))
    assert events(plan) == [("Normal", "NoPods", "No matching pods found")]
    assert figures(plan) == (0, 1, 0, 0)


@pytest.mark.parametrize(
    ("selector", "wanted"),
    [
        pytest.param({}, 3, id="an empty selector takes the whole namespace"),
        pytest.param({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, 3, id="an expression"),
        pytest.param(
            {"matchExpressions": [{"key": "app", "operator": "?"}]}, 0, id="unreadable selects none"
        ),
    ],
)
def test_selector(selector: JsonObject, wanted: int) -> None:
    assert figures(plan_for(a_budget(min_available=1, selector=selector), *pods(3)))[0] == wanted


def test_without_a_selector_no_pod_is_covered() -> None:
    budget = a_budget(min_available=1)
    del budget["spec"]["selector"]
    assert figures(plan_for(budget, *pods(3)))[0] == 0


def test_pods_that_nobody_manages_are_told_of() -> None:
    expressions: list[JsonObject] = [
        {"key": "x", "operator": "NotIn", "values": ["1", "2"]},
        {"key": "app", "operator": "Exists"},
    ]
    selector = {"matchLabels": {"app": "web", "a": "b"}, "matchExpressions": expressions}
    budget = a_budget(max_unavailable=1, selector=selector)
    ((kind, reason, message),) = events(plan_for(budget, a_pod("p", labels={"app": "web", "a": "b"})))
    assert (kind, reason) == ("Warning", "UnmanagedPods")
    assert message == (
        "Pods selected by this PodDisruptionBudget (selector: &LabelSelector{MatchLabels:map[string]string{"
        "a: b,app: web,},MatchExpressions:[]LabelSelectorRequirement{LabelSelectorRequirement{Key:x,"
        "Operator:NotIn,Values:[1 2],},LabelSelectorRequirement{Key:app,Operator:Exists,Values:[],},},}) "
        "were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, "
        "which may result in undefined behavior. To account for these pods please set "
        '".spec.minAvailable" field of the PDB to an integer value.'
    )


def test_pod_of_two_budgets_is_told_of_by_one_of_them() -> None:
    one, two = a_budget("a", min_available=1), a_budget("b", min_available=1)
    other = a_budget("0", min_available=1, selector={"matchLabels": {"app": "db"}})
    message = 'Pod "default"/"p0" matches multiple PodDisruptionBudgets.  Chose "a" arbitrarily.'
    said = events(plan_for(one, two, other, *pods(1)))
    assert said == [("Warning", "MultiplePodDisruptionBudgets", message)]
    assert events(plan_for(two, one, other, *pods(1))) == []


# --- granted evictions ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("granted", "pod", "healthy", "kept"),
    [
        pytest.param(NOW, {"ready": True}, 2, True, id="just granted"),
        pytest.param(NOW - 119, {"ready": True}, 2, True, id="a second left"),
        pytest.param(NOW - 120, {"ready": True}, 3, True, id="due: counts again, and is still noted"),
        pytest.param(NOW - 121, {"ready": True}, 3, False, id="late: was not deleted"),
        pytest.param(NOW, {"ready": True, "deleting_at": NOW}, 2, False, id="on its way out"),
        pytest.param(NOW, None, 2, False, id="gone"),
    ],
)  # fmt: skip
def test_granted_evictions_age(granted: float, pod: JsonObject | None, healthy: int, kept: bool) -> None:
    note = {"gone": timestamp(granted)}
    others = pods(2) if pod is None else [*pods(2), a_pod("gone", **pod)]
    budget = a_budget(min_available=1, status={"disruptedPods": note})
    plan = plan_for(budget, *others)
    assert figures(plan)[0] == healthy
    assert status_of(plan).get("disruptedPods", note) == (note if kept else None)
    assert plan.wake_at == (granted + 120 if kept else None)
    late = [("Warning", "NotDeleted", "Pod was expected by PDB default/default to be deleted but it wasn't")]
    assert events(plan) == (late if granted == NOW - 121 else [])


def test_one_note_of_several_is_dropped_by_name() -> None:
    notes = {"p0": timestamp(NOW), "gone": timestamp(NOW)}
    budget = a_budget(min_available=1, status={"disruptedPods": notes})
    assert status_of(plan_for(budget, *pods(2)))["disruptedPods"] == {"p0": timestamp(NOW), "gone": None}


# --- who is woken ---------------------------------------------------------------------------------


def woken(kind: Kind, old: JsonObject | None, new: JsonObject | None, *others: JsonObject) -> set[str]:
    view = view_of(*others, records=EVERYTHING)
    seen = [None if obj is None else record_of(kind, obj) for obj in (old, new)]
    change = Change(kind, key_for(new or old or {}), *seen)
    return {key.name for route in disruption.CONTROLLER.concerns[kind] for key in route.keys(view, change)}


def record_of(kind: Kind, obj: JsonObject) -> Record:
    return cache_of(obj, records=EVERYTHING).table_of(kind).records[key_for(obj)]


WEB, DB = a_budget("web"), a_budget("db", selector={"matchLabels": {"app": "db"}})
PLAIN = a_pod("p")


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        pytest.param(None, PLAIN, {"web"}, id="born"),
        pytest.param(PLAIN, None, {"web"}, id="gone"),
        pytest.param(PLAIN, a_pod("p", ready=True), {"web"}, id="ready"),
        pytest.param(PLAIN, a_pod("p", deleting_at=NOW), {"web"}, id="terminating"),
        pytest.param(PLAIN, a_pod("p", labels={"app": "db"}), {"web", "db"}, id="relabelled"),
        pytest.param(PLAIN, a_pod("p", owner=RS), {"web"}, id="adopted"),
        pytest.param(PLAIN, a_pod("p", node="n1"), set[str](), id="bound: nothing to count anew"),
        pytest.param(None, a_pod("p", labels={}), set[str](), id="nobody's"),
        pytest.param(None, a_pod("p", namespace="shop"), set[str](), id="elsewhere"),
    ],
)
def test_pod_wakes(old: JsonObject | None, new: JsonObject | None, wanted: set[str]) -> None:
    assert woken(POD, old, new, WEB, DB) == wanted


def test_owner_wakes_the_budgets_that_missed_it() -> None:
    failed = a_budget(
        "failed", status={"conditions": [a_condition("DisruptionAllowed", reason="SyncFailed")]}
    )
    assert woken(REPLICA_SET, None, RS, WEB, failed) == {"failed"}
    assert woken(REPLICA_SET, RS, RS, WEB, failed) == set()
    assert woken(POD_DISRUPTION_BUDGET, None, WEB, WEB, DB) == {"web"}


# --- conditions that have gone stale --------------------------------------------------------------


def target(since: float = NOW, status: str = "True", reason: str = "EvictionByEvictionAPI") -> JsonObject:
    condition = a_condition("DisruptionTarget", status, since=since, reason=reason, message="m")
    return {**condition, "observedGeneration": 1}


def pod_with(condition: JsonObject, **more: Any) -> JsonObject:
    return a_pod("p", status={"conditions": [condition]}, **more)


def stale_plan(pod: JsonObject) -> Plan:
    return stale_disruption.reconcile(view_of(pod), key_for(pod))


def test_condition_of_a_pod_that_was_not_disrupted_is_taken_back() -> None:
    ready = a_condition("Ready")
    pod = a_pod("p", generation=3, version=9, status={"conditions": [ready, target(NOW - 120), ready]})
    assert stale_plan(pod) == Plan.of(
        Patch(
            POD, key_for(pod), pod["metadata"]["uid"],
            {"status": {"conditions": [
                ready,
                {"type": "DisruptionTarget", "status": "False", "observedGeneration": 3,
                 "lastTransitionTime": timestamp(NOW)},
                ready,
            ]}},
            version=9, subresource="status",
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("pod", "plan"),
    [
        pytest.param(a_pod("p"), Plan.done(), id="no condition"),
        pytest.param(pod_with(target(NOW - 119)), Plan.wait_until(NOW + 1), id="a second left"),
        pytest.param(pod_with(target(status="False")), Plan.done(), id="taken back"),
        pytest.param(pod_with(target(0.0, reason="TerminationByKubelet")), Plan.done(), id="kubelet's own"),
        pytest.param(pod_with(target(0.0), deleting_at=NOW), Plan.done(), id="terminating"),
        pytest.param(pod_with(target(0.0), phase="Failed"), Plan.done(), id="has ended"),
    ],
)
def test_condition_is_left_alone(pod: JsonObject, plan: Plan) -> None:
    assert stale_plan(pod) == plan
    record = cache_of(pod).table(Pod).records[key_for(pod)]
    (route,) = stale_disruption.CONTROLLER.concerns[POD]
    change = Change(POD, record.key, None, record)
    assert list(route.keys(view_of(), change)) == ([record.key] if plan.wake_at else [])
