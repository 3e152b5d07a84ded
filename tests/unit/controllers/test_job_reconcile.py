"""Jobs: which pods they make and remove, how they count, when they end, and what they say about it."""

from collections.abc import Sequence
from typing import Any

import pytest

from builders import NOW, a_condition, a_job, a_job_pod, a_pod, a_template, key_for, view_of
from nestling.api.json import JsonObject
from nestling.controllers.job.reconcile import reconcile
from nestling.controllers.job.routes import CONTROLLER
from nestling.machinery.cache import Change
from nestling.machinery.clock import timestamp
from nestling.machinery.names import suffix
from nestling.machinery.plan import Create, Delete, Emit, Patch, Plan
from nestling.machinery.records.job import Job
from nestling.machinery.records.pod import Pod
from nestling.machinery.view import View

UID = "uid-job-pi"
SELECTED = f"batch.kubernetes.io/controller-uid={UID}"
STARTED: JsonObject = {
    "startTime": timestamp(NOW - 60),
    "ready": 0,
    "terminating": 0,
    "uncountedTerminatedPods": {},
}
INDEXED: JsonObject = {"completionMode": "Indexed", "completions": 5, "parallelism": 3}


def plan_for(job: JsonObject, *pods: JsonObject, now: float = NOW, refusal: str = "") -> Plan:
    return reconcile(view_of(job, *pods, now=now, refusal=refusal), key_for(job))


def started(spec: JsonObject | None = None, **status: Any) -> JsonObject:
    """A Job that has been looked at before."""
    return a_job(spec=spec, status={**STARTED, **status})


def slot(number: int) -> str:
    return f"pi-{suffix(UID, number)}"


def index_name(index: int, attempt: int = 0) -> str:
    return f"pi-{index}-{suffix(UID, index, attempt)}"


def created(plan: Plan) -> list[str]:
    return [write.key.name for write in plan.writes if isinstance(write, Create)]


def deleted(plan: Plan) -> list[str]:
    return [write.key.name for write in plan.writes if isinstance(write, Delete)]


def released(plan: Plan) -> list[str]:
    return [
        w.key.name for w in plan.writes if isinstance(w, Patch) and "finalizers" in w.body.get("metadata", {})
    ]


def status_of(plan: Plan) -> JsonObject:
    found = [w.body["status"] for w in plan.writes if isinstance(w, Patch) and w.subresource == "status"]
    assert len(found) <= 1
    return found[0] if found else {}


def conditions(plan: Plan) -> list[tuple[str, str, str]]:
    return [(c["type"], c["status"], c["reason"]) for c in status_of(plan).get("conditions") or ()]


def said(plan: Plan) -> list[tuple[str, str]]:
    return [(write.reason, write.message) for write in plan.writes if isinstance(write, Emit)]


# --- the object is completed ----------------------------------------------------------------------


def raw(spec: JsonObject | None = None, labels: JsonObject | None = None, **meta: Any) -> JsonObject:
    """A Job as the host stores it."""
    plain: JsonObject = {"template": a_template(labels or {}, restartPolicy="Never"), **(spec or {})}
    job = a_job(spec=plain, **meta)
    job["spec"] = plain
    if not meta.get("labels"):
        job["metadata"].pop("labels")
    return job


def test_first_look_gives_the_job_its_selector_labels_and_defaults() -> None:
    job = raw()
    own = {
        "controller-uid": UID,
        "job-name": "pi",
        "batch.kubernetes.io/controller-uid": UID,
        "batch.kubernetes.io/job-name": "pi",
    }
    (write,) = plan_for(job).writes
    assert isinstance(write, Patch)
    assert write.version == 1
    assert write.body == {
        "metadata": {"labels": own},
        "spec": {
            "completions": 1,
            "parallelism": 1,
            "backoffLimit": 6,
            "completionMode": "NonIndexed",
            "suspend": False,
            "podReplacementPolicy": "TerminatingOrFailed",
            "manualSelector": False,
            "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": UID}},
            "template": {"metadata": {"labels": own}},
        },
    }


@pytest.mark.parametrize(
    ("spec", "field", "wanted"),
    [
        pytest.param({"parallelism": 3}, "completions", None, id="a work queue stays one"),
        pytest.param({"completions": 3}, "parallelism", 1, id="one at a time"),
        pytest.param(
            {"backoffLimitPerIndex": 1}, "backoffLimit", 2**31 - 1, id="no limit beside one per index"
        ),
        pytest.param(
            {"podFailurePolicy": {"rules": [{}]}}, "podReplacementPolicy", "Failed", id="with a policy"
        ),
        pytest.param({"suspend": True}, "suspend", None, id="what is there stays"),
    ],
)
def test_defaults_depend_on_one_another(spec: JsonObject, field: str, wanted: object) -> None:
    (write,) = plan_for(raw(spec)).writes
    assert isinstance(write, Patch)
    assert write.body["spec"].get(field) == wanted


def test_labels_of_the_user_stay() -> None:
    (write,) = plan_for(raw(labels={"app": "x", "job-name": "mine"})).writes
    assert isinstance(write, Patch)
    assert "job-name" not in write.body["spec"]["template"]["metadata"]["labels"]
    assert write.body["metadata"]["labels"]["app"] == "x"


def test_selector_made_by_hand_is_left_alone() -> None:
    spec = {"manualSelector": True, "selector": {"matchLabels": {"app": "x"}}}
    (write,) = plan_for(raw(spec, labels={"app": "x"})).writes
    assert isinstance(write, Patch)
    assert "selector" not in write.body["spec"]
    assert "template" not in write.body["spec"]


@pytest.mark.parametrize(
    ("job", "why"),
    [
        pytest.param(
            a_job(spec={"managedBy": "example.com/other"}),
            "is looked after by example.com/other",
            id="managed",
        ),
        pytest.param(a_job(status={"conditions": [a_condition("Complete")]}), "has finished", id="finished"),
        pytest.param(
            a_job(spec={"manualSelector": True, "selector": {}}),
            "its selector cannot be read, or would select everything",
            id="selects all",
        ),
    ],
)
def test_job_is_left_alone(job: JsonObject, why: str) -> None:
    plan = plan_for(job, a_job_pod(job, phase="Succeeded"))
    assert plan == Plan.done()
    assert plan.why == why


def test_job_whose_pods_would_not_be_its_own_makes_none() -> None:
    job = a_job(spec={"manualSelector": True, "selector": {"matchLabels": {"app": "x"}}})
    plan = plan_for(job)
    assert not created(plan)
    assert said(plan) == [("FailedCreate", "Error creating: `selector` does not match template `labels`")]


# --- how many -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "pods", "wanted"),
    [
        pytest.param({}, [], 1, id="one"),
        pytest.param({"completions": 5, "parallelism": 3}, [], 3, id="as many as may work at once"),
        pytest.param({"completions": 5, "parallelism": 3}, [{}], 2, id="one works"),
        pytest.param({"completions": 2, "parallelism": 3}, [], 2, id="no more than are needed"),
        pytest.param(
            {"completions": 2, "parallelism": 3}, [{"phase": "Succeeded"}], 1, id="one has succeeded"
        ),
        pytest.param({"completions": None, "parallelism": 3}, [{}], 2, id="work queue"),
        pytest.param(
            {"completions": None, "parallelism": 3}, [{}, {"phase": "Succeeded"}], 0, id="work queue is empty"
        ),
        pytest.param({"completions": 5, "parallelism": 0}, [], 0, id="none may work"),
        pytest.param({"completions": 9000, "parallelism": 9000}, [], 500, id="no more than 500 in one look"),
        pytest.param({"suspend": True}, [], 0, id="suspended"),
        pytest.param(
            {"podReplacementPolicy": "Failed"}, [{"deleting_at": NOW}], 0, id="waits for the last to end"
        ),
    ],
)
def test_missing_pods_are_created(spec: JsonObject, pods: Sequence[dict[str, Any]], wanted: int) -> None:
    job = started(spec)
    others = [a_job_pod(job, slot(i), **fields) for i, fields in enumerate(pods)]
    plan = plan_for(job, *others)
    assert len(created(plan)) == wanted
    assert not deleted(plan)
    assert created(plan) == [slot(len(pods) + i) for i in range(wanted)]


def test_created_pod_is_tracked_and_named_after_its_slot() -> None:
    job = started()
    (create,) = [write for write in plan_for(job).writes if isinstance(write, Create)]
    meta = create.body["metadata"]
    assert meta["name"] == slot(0)
    assert meta["finalizers"] == ["batch.kubernetes.io/job-tracking"]
    assert meta["labels"] == job["spec"]["template"]["metadata"]["labels"]
    assert create.on_success is not None
    assert create.on_success.message == f"Created pod: {slot(0)}"
    assert create.on_failure is not None
    assert create.on_failure("no room").message == "Error creating: no room"


def test_first_look_after_completion_starts_the_job() -> None:
    plan = plan_for(a_job())
    assert status_of(plan) == {
        "active": 1,
        "ready": 0,
        "terminating": 0,
        "uncountedTerminatedPods": {"succeeded": None, "failed": None},
        "startTime": timestamp(NOW),
        "display": {"completions": "0/1", "selector": SELECTED, "status": "Running"},
    }


def test_refused_pods_are_not_counted_and_tried_last() -> None:
    plan = plan_for(a_job(), refusal="no room")
    assert "active" not in status_of(plan)
    assert isinstance(plan.writes[-1], Create)


@pytest.mark.parametrize(
    ("spec", "pods", "wanted"),
    [
        pytest.param(
            {"completions": 5, "parallelism": 1},
            [{"name": "a", "ready": True}, {"name": "b"}, {"name": "c", "phase": "Pending"}],
            ["c", "b"],
            id="those that have got least far",
        ),
        pytest.param(
            {"completions": 5, "parallelism": 1},
            [{"name": "a"}, {"name": "b", "node": ""}],
            ["b"],
            id="unbound first",
        ),
        pytest.param(
            {"completions": 5, "parallelism": 1},
            [{"name": "a", "created_at": NOW - 9}, {"name": "b", "created_at": NOW - 99}],
            ["a"],
            id="the younger first",
        ),
        pytest.param({"suspend": True}, [{"name": "a"}, {"name": "b"}], ["a", "b"], id="suspended"),
        pytest.param(
            {"completions": 2, "parallelism": 2},
            [{"name": "a"}, {"name": "b", "tracked": False}],
            ["b"],
            id="untracked",
        ),
    ],
)
def test_surplus_pods_are_let_go_and_deleted(
    spec: JsonObject, pods: Sequence[dict[str, Any]], wanted: list[str]
) -> None:
    job = started(spec)
    others = [a_job_pod(job, **fields) for fields in pods]
    plan = plan_for(job, *others)
    assert deleted(plan) == wanted
    assert set(released(plan)) == {f["name"] for f in pods if f["name"] in wanted and f.get("tracked", True)}
    assert status_of(plan)["terminating"] == len(wanted)
    assert "failed" not in status_of(plan)
    assert not created(plan)


# --- indexes --------------------------------------------------------------------------------------


def test_indexed_pods_carry_their_index() -> None:
    template = a_template(a_job()["metadata"]["labels"], restartPolicy="Never")
    template["spec"]["containers"].append(
        {"name": "told", "image": "web:1", "env": [{"name": "JOB_COMPLETION_INDEX", "value": "mine"}]}
    )
    template["spec"]["initContainers"] = [{"name": "init", "image": "web:1"}]
    job = a_job(spec=INDEXED, template=template, status=STARTED)
    creates = [write for write in plan_for(job).writes if isinstance(write, Create)]
    assert [create.key.name for create in creates] == [index_name(i) for i in range(3)]
    body = creates[2].body
    key = "batch.kubernetes.io/job-completion-index"
    assert body["metadata"]["labels"][key] == body["metadata"]["annotations"][key] == "2"
    assert body["spec"]["hostname"] == "pi-2"
    variable = {
        "name": "JOB_COMPLETION_INDEX",
        "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{key}']"}},
    }
    main, told = body["spec"]["containers"]
    assert main["env"] == [variable]
    assert told["env"] == [{"name": "JOB_COMPLETION_INDEX", "value": "mine"}]
    assert body["spec"]["initContainers"][0]["env"] == [variable]


@pytest.mark.parametrize(
    ("status", "pods", "made", "gone"),
    [
        pytest.param({}, [], [0, 1, 2], [], id="lowest first"),
        pytest.param({"completedIndexes": "0,2"}, [], [1, 3, 4], [], id="some have succeeded"),
        pytest.param({}, [{"index": 1}], [0, 2], [], id="one works"),
        pytest.param({}, [{"index": 0, "phase": "Succeeded"}], [1, 2, 3], [], id="one has just succeeded"),
        pytest.param({}, [{"index": 7}], [], ["pod-0"], id="index that the Job does not have"),
        pytest.param({}, [{"index": None}], [], ["pod-0"], id="no index"),
        pytest.param({}, [{"index": 1}, {"index": 1, "ready": True}], [], ["pod-0"], id="doubled index"),
    ],
)
def test_indexes_at_work(
    status: JsonObject, pods: Sequence[dict[str, Any]], made: list[int], gone: list[str]
) -> None:
    job = started(INDEXED, **status)
    others = [a_job_pod(job, f"pod-{i}", **fields) for i, fields in enumerate(pods)]
    plan = plan_for(job, *others)
    assert created(plan) == [index_name(index) for index in made]
    assert deleted(plan) == gone


def test_succeeded_indexes_are_counted_at_once() -> None:
    job = started(INDEXED, completedIndexes="0", succeeded=1)
    pods = [a_job_pod(job, f"p{i}", index=i, phase="Succeeded") for i in (2, 1)]
    plan = plan_for(job, *pods)
    assert status_of(plan)["completedIndexes"] == "0-2"
    assert status_of(plan)["succeeded"] == 3
    assert released(plan) == ["p1", "p2"]


def test_name_of_an_index_is_not_used_twice() -> None:
    job = started({**INDEXED, "parallelism": 1}, failed=1)
    first = a_job_pod(job, index_name(0), index=0, phase="Failed", tracked=False, ended_at=NOW - 99)
    assert created(plan_for(job, first)) == [index_name(0, 1)]


def test_long_job_name_leaves_room_for_the_index() -> None:
    name = "x" * 60
    job = a_job(name, spec={"completionMode": "Indexed"}, status=STARTED)
    (made,) = created(plan_for(job))
    assert made.startswith(f"{'x' * 55}-0-")
    assert len(made) == 63


# --- failures per index ---------------------------------------------------------------------------

PER_INDEX: JsonObject = {**INDEXED, "backoffLimitPerIndex": 1, "backoffLimit": 2**31 - 1, "parallelism": 5}
COUNT = "batch.kubernetes.io/job-index-failure-count"
IGNORED = "batch.kubernetes.io/job-index-ignored-failure-count"


def annotations_of(plan: Plan, name: str) -> JsonObject:
    (found,) = [w for w in plan.writes if isinstance(w, Create) and w.key.name == name]
    return found.body["metadata"]["annotations"]


def test_failed_pod_is_held_until_its_wait_is_over_and_others_go_on() -> None:
    job = started(PER_INDEX, failedIndexes="")
    pod = a_job_pod(job, index_name(0), index=0, phase="Failed", ended_at=NOW - 4)
    plan = plan_for(job, pod)
    assert created(plan) == [index_name(i) for i in (1, 2, 3, 4)]
    assert not released(plan)
    assert annotations_of(plan, index_name(1))[COUNT] == "0"
    others = [a_job_pod(job, index_name(i), index=i) for i in (1, 2, 3, 4)]
    assert plan_for(job, pod, *others).wake_at == NOW + 6


def test_successor_carries_the_failures_on() -> None:
    job = started(PER_INDEX, failedIndexes="")
    pod = a_job_pod(job, index_name(0), index=0, phase="Failed", ended_at=NOW - 10)
    plan = plan_for(job, pod)
    assert annotations_of(plan, index_name(0, 1))[COUNT] == "1"
    assert IGNORED not in annotations_of(plan, index_name(0, 1))
    assert not released(plan)
    successor = a_job_pod(job, index_name(0, 1), index=0, annotations={COUNT: "1"})
    assert released(plan_for(job, pod, successor)) == [index_name(0)]


def test_ignored_failures_lengthen_the_wait_and_do_not_count() -> None:
    rule = {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [42]}}
    job = started({**PER_INDEX, "podFailurePolicy": {"rules": [rule]}}, failedIndexes="")
    pod = a_job_pod(
        job,
        "p0",
        index=0,
        phase="Failed",
        exit_code=42,
        ended_at=NOW - 20,
        annotations={COUNT: "0", IGNORED: "1"},
    )
    plan = plan_for(job, pod)
    assert annotations_of(plan, index_name(0)) == {
        "batch.kubernetes.io/job-completion-index": "0",
        COUNT: "0",
        IGNORED: "2",
    }
    assert index_name(0) not in created(plan_for(job, pod, now=NOW - 1))


@pytest.mark.parametrize(
    ("spec", "count", "lost", "reason"),
    [
        pytest.param({}, "0", "", None, id="may fail once"),
        pytest.param({}, "1", "0", None, id="fails for good"),
        pytest.param({"maxFailedIndexes": 1}, "1", "0", None, id="as many as may"),
        pytest.param({"maxFailedIndexes": 0}, "1", "0", "MaxFailedIndexesExceeded", id="one too many"),
        pytest.param({"completions": 1, "parallelism": 1}, "1", "0", "FailedIndexes", id="the last index"),
    ],
)
def test_index_fails(spec: JsonObject, count: str, lost: str, reason: str | None) -> None:
    job = started({**PER_INDEX, **spec}, failedIndexes="x")
    pod = a_job_pod(job, "p0", index=0, phase="Failed", annotations={COUNT: count})
    plan = plan_for(job, pod)
    assert status_of(plan)["failedIndexes"] == lost
    assert conditions(plan) == ([("FailureTarget", "True", reason)] if reason else [])
    assert released(plan) == (["p0"] if lost else [])


def test_policy_can_end_an_index_at_once() -> None:
    rule = {"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [42]}}
    job = started({**PER_INDEX, "podFailurePolicy": {"rules": [rule]}}, failedIndexes="")
    plan = plan_for(job, a_job_pod(job, "p3", index=3, phase="Failed", exit_code=42))
    assert status_of(plan)["failedIndexes"] == "3"


# --- counting -------------------------------------------------------------------------------------


def uid(name: str) -> str:
    return f"uid-pod-{name}"


def test_ended_pods_are_noted_then_let_go_then_counted() -> None:
    spec = {"completions": 5, "parallelism": 2}
    job = started(spec, active=2)
    pods = [a_job_pod(job, "a", phase="Succeeded"), a_job_pod(job, "b", phase="Failed")]
    plan = plan_for(job, *pods)
    assert status_of(plan)["uncountedTerminatedPods"] == {"succeeded": [uid("a")], "failed": [uid("b")]}
    assert "succeeded" not in status_of(plan)
    assert "failed" not in status_of(plan)
    assert released(plan) == ["a", "b"]
    status_at = next(
        i for i, w in enumerate(plan.writes) if isinstance(w, Patch) and w.subresource == "status"
    )
    assert all(not isinstance(w, Patch) for w in plan.writes[:status_at])

    noted = started(spec, uncountedTerminatedPods={"succeeded": [uid("a")], "failed": [uid("b")]})
    again = plan_for(noted, *pods)
    assert "uncountedTerminatedPods" not in status_of(again)
    assert released(again) == ["a", "b"]

    free = [a_job_pod(job, "a", phase="Succeeded", tracked=False)]  # and b is gone
    after = plan_for(noted, *free)
    assert status_of(after)["succeeded"] == 1
    assert status_of(after)["failed"] == 1
    assert status_of(after)["uncountedTerminatedPods"] == {"succeeded": None, "failed": None}


def test_at_most_five_hundred_wait_to_be_counted() -> None:
    job = started({"completions": 1000, "parallelism": 0})
    pods = [a_job_pod(job, f"p{i}", phase="Succeeded") for i in range(600)]
    plan = plan_for(job, *pods)
    assert len(status_of(plan)["uncountedTerminatedPods"]["succeeded"]) == 500
    assert len(released(plan)) == 500


@pytest.mark.parametrize(
    ("policy", "pod", "counts"),
    [
        pytest.param("TerminatingOrFailed", {"deleting_at": NOW}, True, id="deleted and replaced at once"),
        pytest.param("Failed", {"deleting_at": NOW}, False, id="deleted, and may yet succeed"),
        pytest.param("Failed", {"deleting_at": NOW, "phase": "Failed"}, True, id="deleted and ended"),
        pytest.param("TerminatingOrFailed", {"phase": "Failed"}, True, id="failed"),
    ],
)
def test_what_counts_as_a_failure(policy: str, pod: dict[str, Any], counts: bool) -> None:
    job = started({"podReplacementPolicy": policy})
    plan = plan_for(job, a_job_pod(job, "a", **pod))
    lists = status_of(plan).get("uncountedTerminatedPods") or {}
    assert bool(lists.get("failed")) == counts
    assert released(plan) == (["a"] if counts else [])


def test_job_on_its_way_out_lets_go_of_all_pods_and_makes_none() -> None:
    job = a_job(spec={"completions": 5, "parallelism": 5}, status=STARTED, deleting_at=NOW)
    pods = [a_job_pod(job, "a"), a_job_pod(job, "b", phase="Failed")]
    plan = plan_for(job, *pods)
    assert released(plan) == ["a", "b"]
    assert not created(plan)
    assert status_of(plan)["uncountedTerminatedPods"] == {"succeeded": None, "failed": [uid("b")]}
    assert status_of(plan)["display"]["status"] == "Terminating"


# --- the wait after failures ----------------------------------------------------------------------


def test_failed_pod_is_replaced_after_a_wait() -> None:
    job = started()
    plan = plan_for(job, a_job_pod(job, phase="Failed", ended_at=NOW - 3))
    assert not created(plan)
    assert plan.wake_at == NOW + 7
    assert status_of(plan)["backoff"] == {"failures": 1, "lastFailureTime": timestamp(NOW - 3)}


@pytest.mark.parametrize(("now", "wanted"), [(NOW + 19, 0), (NOW + 20, 1)])
def test_wait_is_remembered_when_the_pods_are_gone(now: float, wanted: int) -> None:
    job = started(failed=2, backoff={"failures": 2, "lastFailureTime": timestamp(NOW)})
    plan = plan_for(job, now=now)
    assert len(created(plan)) == wanted
    assert plan.wake_at == (None if wanted else NOW + 20)


# --- suspension -----------------------------------------------------------------------------------

SUSPENDED = {**a_condition("Suspended", reason="JobSuspended", message="Job suspended")}


def test_suspended_job_stops_its_pods_and_its_time() -> None:
    job = started({"suspend": True}, active=1)
    plan = plan_for(job, a_job_pod(job, "a"))
    assert deleted(plan) == ["a"]
    assert conditions(plan) == [("Suspended", "True", "JobSuspended")]
    assert status_of(plan)["startTime"] is None
    assert status_of(plan)["active"] is None
    assert said(plan) == [("Suspended", "Job suspended")]
    assert status_of(plan)["display"]["status"] == "Suspended"


def test_resumed_job_starts_anew() -> None:
    job = a_job(status={"conditions": [SUSPENDED]})
    plan = plan_for(job)
    assert conditions(plan) == [("Suspended", "False", "JobResumed")]
    assert status_of(plan)["startTime"] == timestamp(NOW)
    assert said(plan) == [("Resumed", "Job resumed")]
    assert len(created(plan)) == 1


def test_time_of_a_suspended_job_does_not_run_out() -> None:
    plan = plan_for(started({"activeDeadlineSeconds": 1, "suspend": True}))
    assert conditions(plan) == [("Suspended", "True", "JobSuspended")]
    assert plan.wake_at is None


def test_job_that_was_never_suspended_does_not_say_so() -> None:
    assert conditions(plan_for(a_job())) == []


# --- ends -----------------------------------------------------------------------------------------


def ended(spec: JsonObject, *pods: dict[str, Any], now: float = NOW, **status: Any) -> Plan:
    job = started(spec, **status)
    return plan_for(job, *[a_job_pod(job, f"p{i}", **fields) for i, fields in enumerate(pods)], now=now)


FAIL_ON_42 = {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]}


QUEUE: JsonObject = {"completions": None, "parallelism": 2}
ANY_ONE: JsonObject = {**INDEXED, "successPolicy": {"rules": [{"succeededCount": 1}]}}
DONE: JsonObject = {"phase": "Succeeded"}
LOST: JsonObject = {"phase": "Failed"}


@pytest.mark.parametrize(
    ("plan", "wanted"),
    [
        pytest.param(ended({}, {}), None, id="at work"),
        pytest.param(ended({}, DONE), "CompletionsReached", id="all done"),
        pytest.param(ended({"completions": 0}), "CompletionsReached", id="nothing to do"),
        pytest.param(ended(QUEUE, DONE), "CompletionsReached", id="queue is empty"),
        pytest.param(ended(QUEUE, DONE, {}), None, id="one still at work"),
        pytest.param(ended({"backoffLimit": 1}, LOST), None, id="as many failures as may be"),
        pytest.param(ended({"backoffLimit": 0}, LOST), "BackoffLimitExceeded", id="one too many"),
        pytest.param(ended({"backoffLimit": 1}, LOST, failed=1), "BackoffLimitExceeded", id="in all"),
        pytest.param(ended({"activeDeadlineSeconds": 60}, {}), "DeadlineExceeded", id="at the deadline"),
        pytest.param(ended({"activeDeadlineSeconds": 61}, {}), None, id="a second before"),
        pytest.param(
            ended({"podFailurePolicy": FAIL_ON_42}, {**LOST, "exit_code": 42}),
            "PodFailurePolicy",
            id="policy",
        ),
        pytest.param(ended(ANY_ONE, {"index": 3, **DONE}, {"index": 1}), "SuccessPolicy", id="enough"),
    ],
)
def test_why_a_job_ends(plan: Plan, wanted: str | None) -> None:
    kind = "SuccessCriteriaMet" if wanted in {"CompletionsReached", "SuccessPolicy"} else "FailureTarget"
    assert conditions(plan) == ([(kind, "True", wanted)] if wanted else [])


@pytest.mark.parametrize(
    ("limit", "restarts", "ends"), [(0, 0, False), (0, 1, True), (2, 1, False), (2, 2, True)]
)
def test_restarts_in_pods_count_towards_the_limit(limit: int, restarts: int, ends: bool) -> None:
    template = a_template(a_job()["metadata"]["labels"], restartPolicy="OnFailure")
    job = a_job(spec={"backoffLimit": limit}, template=template, status=STARTED)
    assert bool(conditions(plan_for(job, a_job_pod(job, restarts=restarts)))) == ends


def test_failing_job_stops_its_pods_and_counts_them_as_failed() -> None:
    plan = ended(
        {"activeDeadlineSeconds": 1, "completions": 2, "parallelism": 2},
        {"ready": True},
        {"phase": "Succeeded"},
    )
    assert deleted(plan) == ["p0"]
    assert released(plan) == ["p0", "p1"]
    status = status_of(plan)
    assert status["uncountedTerminatedPods"] == {"succeeded": [uid("p1")], "failed": [uid("p0")]}
    assert (status.get("active"), status.get("ready", 0), status["terminating"]) == (None, 0, 1)
    assert plan.wake_at is None  # the pod has yet to end


def test_succeeding_job_stops_its_pods_and_does_not_count_them() -> None:
    spec = {**INDEXED, "successPolicy": {"rules": [{"succeededCount": 1}]}}
    plan = ended(spec, {"index": 0, "phase": "Succeeded"}, {"index": 1})
    assert deleted(plan) == ["p1"]
    assert status_of(plan)["completedIndexes"] == "0"
    assert "uncountedTerminatedPods" not in status_of(plan)


def interim(kind: str, reason: str, message: str = "why") -> JsonObject:
    return {**a_condition(kind, reason=reason, message=message), "lastProbeTime": timestamp(NOW)}


@pytest.mark.parametrize(
    "pods",
    [
        pytest.param([{"deleting_at": NOW, "tracked": False}], id="a pod has yet to end"),
        pytest.param([{"phase": "Failed"}], id="a pod has yet to be let go"),
    ],
)
def test_last_word_waits_for_the_last_pod(pods: Sequence[dict[str, Any]]) -> None:
    plan = ended({}, *pods, conditions=[interim("FailureTarget", "DeadlineExceeded")])
    assert conditions(plan) == []


def test_job_that_failed_says_why() -> None:
    plan = ended(
        {}, {"phase": "Failed", "tracked": False}, conditions=[interim("FailureTarget", "DeadlineExceeded")]
    )
    assert conditions(plan)[-1] == ("Failed", "True", "DeadlineExceeded")
    assert said(plan) == [("DeadlineExceeded", "why")]
    assert "completionTime" not in {k for k, v in status_of(plan).items() if v}
    assert status_of(plan)["display"]["status"] == "Failed"
    assert plan.wake_at is None


@pytest.mark.parametrize(
    ("succeeded", "events"), [(1, ["Completed"]), (2, ["TooManySucceededPods", "Completed"])]
)
def test_job_that_succeeded_is_complete(succeeded: int, events: list[str]) -> None:
    uncounted = {"succeeded": [uid(f"x{i}") for i in range(succeeded)]}
    done = interim("SuccessCriteriaMet", "CompletionsReached")
    plan = ended({}, conditions=[done], uncountedTerminatedPods=uncounted, backoff={"failures": 1})
    status = status_of(plan)
    assert conditions(plan)[-1] == ("Complete", "True", "CompletionsReached")
    assert status["completionTime"] == timestamp(NOW)
    assert status["succeeded"] == succeeded
    assert status["backoff"] is None
    assert status["display"] == {
        "completions": f"{succeeded}/1",
        "duration": "60s",
        "selector": SELECTED,
        "status": "Complete",
    }
    assert [reason for reason, _ in said(plan)] == events


def test_next_look_comes_at_once_when_only_counting_is_left() -> None:
    assert ended({}, {"phase": "Succeeded"}).wake_at == NOW


def test_deadline_wakes_the_job() -> None:
    assert ended({"activeDeadlineSeconds": 100}, {}).wake_at == NOW + 40


# --- whose pods -----------------------------------------------------------------------------------


def test_orphan_is_taken_in_and_tracked_from_then_on() -> None:
    job = started()
    orphan = a_pod("x", labels=job["metadata"]["labels"], node="n1")
    plan = plan_for(job, orphan)
    check, adopt = plan.writes
    assert isinstance(check, Patch)
    assert check.body == {}
    assert isinstance(adopt, Patch)
    assert adopt.body["metadata"]["finalizers"] == ["batch.kubernetes.io/job-tracking"]
    assert adopt.body["metadata"]["ownerReferences"][0]["uid"] == UID


def test_pod_with_other_labels_is_let_go() -> None:
    job = started()
    (write,) = plan_for(job, a_job_pod(job, "x", labels={"app": "other"})).writes
    assert isinstance(write, Patch)
    assert write.body["metadata"] == {"ownerReferences": [], "finalizers": ["nestling.dev/kubelet"]}


# --- who wakes it ---------------------------------------------------------------------------------


def pod_record(job: JsonObject, **fields: Any) -> Pod:
    return Pod.read(a_job_pod(job, **fields))


@pytest.mark.parametrize(
    ("old", "new", "wakes"),
    [
        pytest.param(None, {}, True, id="came"),
        pytest.param({}, {"phase": "Succeeded"}, True, id="ended"),
        pytest.param({"phase": "Pending"}, {"phase": "Running"}, False, id="began to run"),
        pytest.param({}, {"deleting_at": NOW}, True, id="is asked to go"),
        pytest.param({"phase": "Failed"}, {"phase": "Failed", "tracked": False}, True, id="was let go"),
        pytest.param({"phase": "Failed", "tracked": False}, None, False, id="counted and gone"),
        pytest.param({"tracked": False, "deleting_at": NOW}, None, True, id="has ended by going"),
    ],
)
def test_pods_that_wake_their_job(
    old: dict[str, Any] | None, new: dict[str, Any] | None, wakes: bool
) -> None:
    job = started()
    before = None if old is None else pod_record(job, **old)
    after = None if new is None else pod_record(job, **new)
    found = after or before
    assert found is not None
    change = Change(Pod.KIND, found.key, before, after)
    view = view_of(job)
    work = CONTROLLER.concerns[Pod.KIND][0]
    assert list(work.keys(view, change)) == ([key_for(job)] if wakes else [])


def test_figures_wait_longer_than_work() -> None:
    job = started()
    before, after = pod_record(job), pod_record(job, ready=True)
    work, figures = CONTROLLER.concerns[Pod.KIND]
    change = Change(Pod.KIND, after.key, before, after)
    view: View = view_of(job)
    assert list(work.keys(view, change)) == []
    assert list(figures.keys(view, change)) == [key_for(job)]
    assert work.delay_s < figures.delay_s


def test_change_of_the_spec_wakes_at_once_and_of_the_status_later() -> None:
    one, same, other = Job.read(a_job()), Job.read(a_job(version=2)), Job.read(a_job(generation=2))
    at_once, later = CONTROLLER.concerns[Job.KIND]
    view = view_of(a_job())
    assert list(at_once.keys(view, Change(Job.KIND, one.key, one, same))) == []
    assert list(at_once.keys(view, Change(Job.KIND, one.key, one, other))) == [one.key]
    assert list(later.keys(view, Change(Job.KIND, one.key, one, same))) == [one.key]
    assert at_once.delay_s == 0 < later.delay_s
