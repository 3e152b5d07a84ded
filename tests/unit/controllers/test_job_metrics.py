"""What plans of Jobs count once it is known how they went, and where it is counted."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from builders import NOW, a_condition, a_cron_job, a_job, a_job_pod, key_for, view_of
from nestling.api.json import JsonObject
from nestling.controllers import ttl_after_finished
from nestling.controllers.cron_job import reconcile as cron_job
from nestling.controllers.job import routes as job
from nestling.machinery.clock import timestamp
from nestling.machinery.measure import Tally
from nestling.machinery.plan import Plan
from nestling.monitoring.controllers import ControllerMetrics

STARTED: JsonObject = {"startTime": timestamp(NOW - 60), "ready": 0, "terminating": 0}
INDEXED: JsonObject = {"completionMode": "Indexed", "completions": 5, "parallelism": 3}


def counts(plan: Plan, *, done: int = 99, ok: bool = True) -> dict[str, dict[str, float]]:
    """Amounts by metric, without its prefix, and labels."""
    assert plan.measure is not None
    found: dict[str, dict[str, float]] = {}
    for tally in plan.measure(done, ok, 0.5):
        assert isinstance(tally, Tally)
        name = tally.metric.name.removeprefix("job_controller_")
        found.setdefault(name, {})[" ".join(tally.labels)] = tally.amount
    return found


def look(spec: JsonObject, *pods: dict[str, Any], refusal: str = "", **status: Any) -> Plan:
    one = a_job(spec=spec, status={**STARTED, **status})
    others = [a_job_pod(one, f"p{i}", **fields) for i, fields in enumerate(pods)]
    return job.CONTROLLER.reconcile(view_of(one, *others, refusal=refusal), key_for(one))


def test_every_look_is_counted_by_what_it_does() -> None:
    made = counts(look({}))
    assert made["job_syncs_total"] == {"NonIndexed success pods_created": 1}
    assert made["job_sync_duration_seconds"] == {"NonIndexed success pods_created": 0.5}
    assert counts(look(INDEXED, {"index": 9}))["job_syncs_total"] == {"Indexed success pods_deleted": 1}
    assert counts(look({}, {}), ok=False)["job_syncs_total"] == {"NonIndexed error tracking": 1}


@pytest.mark.parametrize(
    ("plan", "done", "ok", "wanted"),
    [
        pytest.param(look({"completions": 3, "parallelism": 3}), 3, True, {"new succeeded": 3}, id="new"),
        pytest.param(
            look({"completions": 3, "parallelism": 3}),
            1,
            False,
            {"new succeeded": 1, "new failed": 1},
            id="some",
        ),
        pytest.param(look({}, refusal="no room"), 1, False, {"new failed": 1}, id="tried after the rest"),
        pytest.param(
            look({}, failed=1), 1, True, {"recreate_terminating_or_failed succeeded": 1}, id="again"
        ),
        pytest.param(
            look({"podReplacementPolicy": "Failed"}, failed=1),
            1,
            True,
            {"recreate_failed succeeded": 1},
            id="ended",
        ),
    ],
)
def test_pods_that_are_made(plan: Plan, done: int, ok: bool, wanted: dict[str, float]) -> None:
    assert counts(plan, done=done, ok=ok)["job_pods_creation_total"] == wanted


def test_pods_count_when_they_are_in_the_counters() -> None:
    uncounted = {"succeeded": ["a", "b"], "failed": ["c"]}
    plan = look({"completions": 9, "parallelism": 0}, uncountedTerminatedPods=uncounted)
    assert counts(plan)["job_pods_finished_total"] == {"NonIndexed succeeded": 2, "NonIndexed failed": 1}
    assert "job_pods_finished_total" not in counts(plan, ok=False)


def test_indexes_count_at_once() -> None:
    plan = look(
        {**INDEXED, "backoffLimitPerIndex": 0},
        {"index": 0, "phase": "Succeeded"},
        {"index": 1, "phase": "Failed"},
    )
    assert counts(plan)["job_finished_indexes_total"] == {"succeeded perIndex": 1, "failed perIndex": 1}


def test_actions_of_the_failure_policy() -> None:
    rule = {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [1]}}
    plan = look({"podFailurePolicy": {"rules": [rule]}}, {"phase": "Failed"})
    assert counts(plan)["pod_failures_handled_by_failure_policy_total"] == {"Ignore": 1}


@pytest.mark.parametrize(
    ("kind", "reason", "wanted"),
    [
        ("SuccessCriteriaMet", "CompletionsReached", "NonIndexed succeeded CompletionsReached"),
        ("FailureTarget", "DeadlineExceeded", "NonIndexed failed DeadlineExceeded"),
    ],
)
def test_finished_jobs(kind: str, reason: str, wanted: str) -> None:
    plan = look({}, conditions=[a_condition(kind, reason=reason, message="why")])
    assert counts(plan)["jobs_finished_total"] == {wanted: 1}


def test_lateness_of_schedules_and_of_deletions() -> None:
    tick = a_cron_job(status={"lastScheduleTime": timestamp(NOW - 300)})
    plan = cron_job.CONTROLLER.reconcile(view_of(tick, now=NOW + 2), key_for(tick))
    assert plan.measure is not None
    assert list(plan.measure(1, True, 0.5)) == [Tally(cron_job.SKEW, amount=2.5)]
    assert list(plan.measure(0, False, 0.5)) == []
    old = a_job(
        spec={"ttlSecondsAfterFinished": 1}, status={"conditions": [a_condition("Failed", since=NOW - 5)]}
    )
    plan = ttl_after_finished.CONTROLLER.reconcile(view_of(old), key_for(old))
    assert plan.measure is not None
    assert list(plan.measure(1, True, 0.5)) == [Tally(ttl_after_finished.LATENESS, amount=4.5)]
    assert list(plan.measure(0, False, 0.5)) == []


def test_families_are_there_from_the_start_and_count() -> None:
    registry = CollectorRegistry()
    metrics = ControllerMetrics(registry, [job.CONTROLLER, cron_job.CONTROLLER])
    names = {family.name for family in registry.collect()}
    assert {"job_controller_job_syncs", "cronjob_controller_job_creation_skew_duration_seconds"} <= names
    for tally in look({}).measure(9, True, 0.5):  # type: ignore[misc]  # it measures
        metrics.count("team-a", tally)
    labels = {
        "cluster": "team-a",
        "completion_mode": "NonIndexed",
        "result": "success",
        "action": "pods_created",
    }
    assert registry.get_sample_value("job_controller_job_syncs_total", labels) == 1
    assert registry.get_sample_value("job_controller_job_sync_duration_seconds_sum", labels) == 0.5
