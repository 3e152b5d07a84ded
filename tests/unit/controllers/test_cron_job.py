"""CronJobs: when they make a Job, when not, which they remove, and what they say about it."""

from typing import Any

import pytest

from builders import BIRTH, NOW, a_condition, a_cron_job, a_job, key_for, view_of
from nestling.api.json import JsonObject
from nestling.api.kinds import CRON_JOB, JOB
from nestling.controllers.cron_job.reconcile import CONTROLLER, reconcile, until_due
from nestling.machinery.cache import Change
from nestling.machinery.clock import timestamp
from nestling.machinery.plan import Create, Delete, Emit, Patch, Plan
from nestling.machinery.records.job import CronJob, Job

# Every five minutes; NOW is a full hour, so a Job is due exactly now.
FIVE = 300.0
LAST = {"lastScheduleTime": timestamp(NOW - FIVE)}


def name_at(due: float) -> str:
    return f"tick-{int(due) // 60}"


def job_at(
    cron_job: JsonObject, due: float, finish: str = "", *, ended_at: float = NOW, **meta: Any
) -> JsonObject:
    """The Job that the CronJob made for a moment."""
    status: JsonObject = {"startTime": timestamp(due)}
    if finish:
        status["conditions"] = [a_condition(finish, since=ended_at)]
    if finish == "Complete":
        status["completionTime"] = timestamp(ended_at)
    marks = {"batch.kubernetes.io/cronjob-scheduled-timestamp": timestamp(due)}
    meta.setdefault("annotations", marks)
    return a_job(name_at(due), owner=cron_job, status=status, **meta)


def entry(job: JsonObject) -> JsonObject:
    """A Job as `status.active` lists it."""
    meta = job["metadata"]
    return {
        "apiVersion": "nestling.dev/v1alpha1",
        "kind": "VirtualJob",
        "name": meta["name"],
        "namespace": "team-a",
        "uid": meta["uid"],
        "resourceVersion": "1",
    }


def ticking(spec: JsonObject | None = None, **status: Any) -> JsonObject:
    return a_cron_job(spec=spec, status={**LAST, "display": {"active": 0, "selector": "<none>"}, **status})


def plan_for(cron_job: JsonObject, *jobs: JsonObject, now: float = NOW) -> Plan:
    return reconcile(view_of(cron_job, *jobs, now=now), key_for(cron_job))


def created(plan: Plan) -> list[str]:
    return [write.key.name for write in plan.writes if isinstance(write, Create)]


def deleted(plan: Plan) -> list[str]:
    return [write.key.name for write in plan.writes if isinstance(write, Delete)]


def status_of(plan: Plan) -> JsonObject:
    found = [write.body["status"] for write in plan.writes if isinstance(write, Patch)]
    assert len(found) <= 1
    return found[0] if found else {}


def said(plan: Plan) -> list[str]:
    return [write.reason for write in plan.writes if isinstance(write, Emit)]


def missed(times: int) -> JsonObject:
    """A CronJob that was last due so many times ago."""
    return ticking(lastScheduleTime=timestamp(NOW - times * FIVE))


# --- when a Job is made ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cron_job", "now", "wanted", "events"),
    [
        pytest.param(ticking(), NOW - 1, [], [], id="a second early"),
        pytest.param(ticking(), NOW, [name_at(NOW)], [], id="exactly due"),
        pytest.param(ticking(), NOW + 299, [name_at(NOW)], [], id="late"),
        pytest.param(ticking(lastScheduleTime=timestamp(NOW)), NOW + 1, [], [], id="made already"),
        pytest.param(missed(12), NOW, [name_at(NOW)], [], id="only the last missed"),
        pytest.param(missed(100), NOW, [name_at(NOW)], [], id="100 missed"),
        pytest.param(missed(101), NOW, [name_at(NOW)], ["TooManyMissedTimes"], id="101 missed"),
        pytest.param(a_cron_job(created_at=NOW - 200), NOW - 100, [], [], id="never was due"),
        pytest.param(a_cron_job(created_at=NOW - 1), NOW, [name_at(NOW)], [], id="the first"),
        pytest.param(ticking({"suspend": True}), NOW, [], [], id="suspended"),
        pytest.param(ticking({"startingDeadlineSeconds": 10}), NOW + 9, [name_at(NOW)], [], id="in time"),
        pytest.param(ticking({"startingDeadlineSeconds": 10}), NOW + 10, [], [], id="too late"),
        pytest.param(ticking({"timeZone": "Mars/Olympus"}), NOW, [], ["UnknownTimeZone"], id="unknown zone"),
        pytest.param(ticking({"schedule": "5-1 * * * *"}), NOW, [], ["UnparseableSchedule"], id="unreadable"),
        pytest.param(ticking({"schedule": "59 23 31 2 *"}), NOW, [], ["InvalidSchedule"], id="never comes"),
    ],
)  # fmt: skip
def test_job_is_made_when_it_is_due(
    cron_job: JsonObject, now: float, wanted: list[str], events: list[str]
) -> None:
    plan = plan_for(cron_job, now=now)
    assert created(plan) == wanted
    assert said(plan) == events


def test_job_is_the_template_named_after_its_moment() -> None:
    template: JsonObject = {
        "metadata": {"labels": {"app": "x"}, "annotations": {"note": "yes"}},
        "spec": {"backoffLimit": 2, "template": {}},
    }
    cron_job = ticking({"jobTemplate": template, "timeZone": "Europe/Berlin"})
    (create,) = [write for write in plan_for(cron_job).writes if isinstance(write, Create)]
    assert create.body["spec"] == template["spec"]
    meta = create.body["metadata"]
    assert meta["name"] == "tick-30000000"
    assert meta["labels"] == {"app": "x"}
    assert meta["annotations"] == {
        "note": "yes",
        "batch.kubernetes.io/cronjob-scheduled-timestamp": "2027-01-15T09:00:00+01:00",
    }
    assert meta["ownerReferences"][0]["controller"] is True
    assert create.on_success is not None
    assert create.on_success.message == "Created job tick-30000000"
    assert create.on_failure is not None
    assert create.on_failure("no").message == "Error creating job: no"


def test_moment_in_utc_ends_in_z() -> None:
    (create,) = [write for write in plan_for(ticking()).writes if isinstance(write, Create)]
    moment = create.body["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"]
    assert moment == "2027-01-15T08:00:00Z"


@pytest.mark.parametrize(
    ("cron_job", "now", "wanted"),
    [
        pytest.param(ticking(), NOW - 1, NOW + 0.1, id="the next"),
        pytest.param(ticking(), NOW, NOW + FIVE + 0.1, id="the one after"),
        pytest.param(ticking({"suspend": True}), NOW, None, id="suspended"),
        pytest.param(ticking({"schedule": "59 23 31 2 *"}), NOW, None, id="never"),
    ],
)
def test_next_look(cron_job: JsonObject, now: float, wanted: float | None) -> None:
    assert plan_for(cron_job, now=now).wake_at == wanted


def test_name_that_somebody_else_has_is_left_alone() -> None:
    plan = plan_for(ticking(), a_job(name_at(NOW)))
    assert created(plan) == []
    assert plan.wake_at == NOW + FIVE + 0.1


# --- beside a Job that is active ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "made", "gone", "events"),
    [
        pytest.param("Allow", [name_at(NOW)], [], [], id="allow"),
        pytest.param("Forbid", [], [], ["JobAlreadyActive"], id="forbid"),
        pytest.param("Replace", [name_at(NOW)], [name_at(NOW - FIVE)], [], id="replace"),
    ],
)
def test_concurrency(policy: str, made: list[str], gone: list[str], events: list[str]) -> None:
    first = ticking({"concurrencyPolicy": policy})
    job = job_at(first, NOW - FIVE)
    first["status"] |= {"active": [entry(job)], "display": {"active": 1, "selector": "<none>"}}
    plan = plan_for(first, job)
    assert created(plan) == made
    assert deleted(plan) == gone
    assert said(plan) == events
    assert status_of(plan) == (
        {"active": None, "display": {"active": 0, "selector": "<none>"}} if gone else {}
    )


def test_forbidden_job_is_made_when_the_one_before_has_finished() -> None:
    first = ticking({"concurrencyPolicy": "Forbid"})
    job = job_at(first, NOW - FIVE, "Failed")
    first["status"]["active"] = [entry(job)]
    plan = plan_for(first, job, now=NOW + 100)
    assert created(plan) == [name_at(NOW)]
    assert said(plan) == ["SawCompletedJob"]


# --- what the status says -------------------------------------------------------------------------


def test_job_that_was_made_is_listed_with_its_moment() -> None:
    cron_job = ticking()
    job = job_at(cron_job, NOW)
    plan = plan_for(cron_job, job)
    assert status_of(plan) == {
        "active": [entry(job)],
        "lastScheduleTime": timestamp(NOW),
        "display": {"active": 1, "selector": "<none>"},
    }
    assert said(plan) == []
    assert created(plan) == []


def test_job_that_finished_before_it_was_listed_is_not_made_again() -> None:
    cron_job = ticking()
    plan = plan_for(cron_job, job_at(cron_job, NOW, "Complete", ended_at=NOW + 2), now=NOW + 3)
    assert created(plan) == []
    assert status_of(plan) == {
        "lastScheduleTime": timestamp(NOW),
        "lastSuccessfulTime": timestamp(NOW + 2),
    }


@pytest.mark.parametrize(("finish", "time"), [("Complete", timestamp(NOW)), ("Failed", None)])
def test_finished_job_is_taken_off_the_list(finish: str, time: str | None) -> None:
    cron_job = ticking()
    job = job_at(cron_job, NOW - FIVE, finish)
    cron_job["status"] |= {"active": [entry(job)], "display": {"active": 1, "selector": "<none>"}}
    plan = plan_for(cron_job, job, now=NOW - 1)
    assert status_of(plan).get("lastSuccessfulTime") == time
    assert status_of(plan)["active"] is None
    (event,) = [write for write in plan.writes if isinstance(write, Emit)]
    assert event.message == f"Saw completed job: {job['metadata']['name']}, condition: {finish}"


def test_last_success_does_not_go_back() -> None:
    cron_job = ticking(lastSuccessfulTime=timestamp(NOW - 10))
    plan = plan_for(cron_job, job_at(cron_job, NOW - FIVE, "Complete", ended_at=NOW - 200), now=NOW - 1)
    assert plan.writes == ()


def test_active_job_that_is_gone_is_told_of() -> None:
    cron_job = ticking()
    cron_job["status"] |= {
        "active": [entry(job_at(cron_job, NOW - FIVE))],
        "display": {"active": 1, "selector": "<none>"},
    }
    plan = plan_for(cron_job, now=NOW - 1)
    assert said(plan) == ["MissingJob"]
    assert status_of(plan) == {"active": None, "display": {"active": 0, "selector": "<none>"}}


def test_job_that_the_cron_job_did_not_make_is_told_of_and_not_listed() -> None:
    cron_job = ticking()
    plan = plan_for(cron_job, a_job("stranger", owner=cron_job), now=NOW - 1)
    assert said(plan) == ["UnexpectedJob"]
    assert status_of(plan) == {}


def test_cron_job_on_its_way_out_keeps_only_its_status() -> None:
    cron_job = a_cron_job(status={**LAST, "display": {"active": 0, "selector": "<none>"}}, deleting_at=NOW)
    job = job_at(cron_job, NOW - FIVE)
    plan = plan_for(cron_job, job)
    assert created(plan) == []
    assert status_of(plan)["active"] == [entry(job)]
    assert plan.wake_at is None


# --- history --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "gone"),
    [
        pytest.param({}, [4, 5, 7, 8], id="three and one stay"),
        pytest.param(
            {"successfulJobsHistoryLimit": 0, "failedJobsHistoryLimit": 0},
            [1, 2, 3, 4, 5, 6, 7, 8],
            id="none",
        ),
        pytest.param({"successfulJobsHistoryLimit": 9, "failedJobsHistoryLimit": 9}, [], id="all"),
    ],
)
def test_oldest_finished_jobs_go(spec: JsonObject, gone: list[int]) -> None:
    cron_job = ticking(spec, lastSuccessfulTime=timestamp(NOW))
    good = [job_at(cron_job, NOW - i * FIVE, "Complete") for i in (1, 2, 3, 4, 5)]
    bad = [job_at(cron_job, NOW - i * FIVE, "Failed") for i in (6, 7, 8)]
    plan = plan_for(cron_job, *good, *bad, now=NOW - 1)
    assert set(deleted(plan)) == {name_at(NOW - i * FIVE) for i in gone}


def test_job_that_goes_at_once_leaves_the_list_without_a_word() -> None:
    cron_job = ticking({"successfulJobsHistoryLimit": 0})
    job = job_at(cron_job, NOW - FIVE, "Complete")
    cron_job["status"] |= {"active": [entry(job)], "display": {"active": 1, "selector": "<none>"}}
    plan = plan_for(cron_job, job, now=NOW - 1)
    assert deleted(plan) == [name_at(NOW - FIVE)]
    assert said(plan) == []
    assert status_of(plan)["active"] is None


def test_job_on_its_way_out_is_not_deleted_twice() -> None:
    cron_job = ticking({"failedJobsHistoryLimit": 0})
    assert (
        deleted(plan_for(cron_job, job_at(cron_job, NOW - FIVE, "Failed", deleting_at=NOW), now=NOW - 1))
        == []
    )


# --- who wakes it ---------------------------------------------------------------------------------


def test_new_schedule_is_looked_at_when_it_first_comes_due() -> None:
    old = CronJob.read(a_cron_job(created_at=NOW - 1))
    new = CronJob.read(a_cron_job(schedule="0 * * * *", created_at=NOW - 1, version=2, generation=2))
    change = Change(CRON_JOB, old.key, old, new)
    at_once, later = CONTROLLER.concerns[CRON_JOB]
    view = view_of(now=NOW + 60)
    assert list(at_once.keys(view, change)) == []
    assert list(later.keys(view, change)) == [old.key]
    assert until_due(view, change) == pytest.approx(3540.1)


def test_other_changes_are_looked_at_at_once() -> None:
    old, new = CronJob.read(a_cron_job()), CronJob.read(a_cron_job(spec={"suspend": True}, version=2))
    at_once, later = CONTROLLER.concerns[CRON_JOB]
    view = view_of()
    assert list(at_once.keys(view, Change(CRON_JOB, old.key, old, new))) == [old.key]
    assert list(later.keys(view, Change(CRON_JOB, old.key, old, new))) == []


def test_changed_job_wakes_its_cron_job() -> None:
    cron_job = a_cron_job()
    job = Job.read(job_at(cron_job, BIRTH))
    (route,) = CONTROLLER.concerns[JOB]
    assert list(route.keys(view_of(cron_job), Change(JOB, job.key, None, job))) == [key_for(cron_job)]
