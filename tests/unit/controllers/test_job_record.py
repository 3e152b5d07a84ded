"""What a Job's record makes of its object: the defaults of the native kind, and nonsense read as none."""

from typing import Any

import pytest

from builders import a_condition, a_job, a_job_pod
from nestling.api.selector import NOTHING, Selector
from nestling.machinery.records.job import CronJob, Job
from nestling.machinery.records.pod import NO_INDEX, Pod

OWN = ("batch.kubernetes.io/controller-uid", "uid-job-pi")


def record(**spec: Any) -> Job:
    job = a_job()
    job["spec"] = {"template": {}, **spec}
    return Job.read(job)


@pytest.mark.parametrize(
    ("spec", "field", "wanted"),
    [
        pytest.param({}, "completions", 1, id="nothing said"),
        pytest.param({}, "parallelism", 1, id="nothing said of parallelism"),
        pytest.param({"parallelism": 1}, "completions", None, id="work queue of one"),
        pytest.param({"completions": 0}, "completions", 0, id="none"),
        pytest.param(
            {"completionMode": "Indexed", "parallelism": 2}, "completions", 1, id="indexed always has some"
        ),
        pytest.param({}, "backoff_limit", 6, id="limit"),
        pytest.param(
            {"backoffLimitPerIndex": 0}, "backoff_limit", 2**31 - 1, id="limit beside one per index"
        ),
        pytest.param({"backoffLimitPerIndex": 0}, "backoff_limit_per_index", 0, id="none per index"),
        pytest.param({}, "only_failed", False, id="replaces at once"),
        pytest.param({"podFailurePolicy": {"rules": [{}]}}, "only_failed", True, id="waits with a policy"),
        pytest.param({"podReplacementPolicy": "Failed"}, "only_failed", True, id="waits"),
        pytest.param({"ttlSecondsAfterFinished": 0}, "ttl_s", 0, id="goes at once"),
        pytest.param({}, "ttl_s", None, id="stays"),
        pytest.param({"suspend": "yes"}, "suspended", False, id="nonsense"),
        pytest.param({"parallelism": "many"}, "parallelism", 1, id="nonsense number"),
        pytest.param({}, "selector", Selector((OWN,)), id="own selector"),
        pytest.param(
            {"selector": {"matchLabels": {"a": "b"}}}, "selector", Selector((("a", "b"), OWN)), id="more"
        ),
        pytest.param({"manualSelector": True}, "selector", NOTHING, id="by hand, and missing"),
        pytest.param({"selector": {"matchExpressions": [{}]}}, "selector", NOTHING, id="unreadable"),
    ],
)
def test_field(spec: dict[str, Any], field: str, wanted: object) -> None:
    assert getattr(record(**spec), field) == wanted


@pytest.mark.parametrize(
    ("conditions", "finish"),
    [
        pytest.param([], "", id="none"),
        pytest.param([a_condition("Complete")], "Complete", id="complete"),
        pytest.param([a_condition("FailureTarget"), a_condition("Failed")], "Failed", id="failed"),
        pytest.param([a_condition("Complete", "False"), a_condition("Suspended")], "", id="not true"),
    ],
)
def test_finish(conditions: list[dict[str, Any]], finish: str) -> None:
    assert Job.read(a_job(status={"conditions": conditions})).finish == finish


@pytest.mark.parametrize(
    ("text", "index"),
    [("0", 0), ("17", 17), ("-1", NO_INDEX), ("x", NO_INDEX), ("", NO_INDEX), ("²", NO_INDEX)],
)
def test_completion_index_of_a_pod(text: str, index: int) -> None:
    pod = a_job_pod(a_job(), annotations={"batch.kubernetes.io/job-completion-index": text})
    assert Pod.read(pod).completion_index == index


def test_cron_job_without_anything() -> None:
    job = a_job()
    job["spec"] = {"schedule": "* * * * *"}
    found = CronJob.read(job)
    assert (found.zone, found.suspended, found.concurrency, found.deadline_s) == ("", False, "Allow", None)
    assert (found.keep_succeeded, found.keep_failed, found.active, found.scheduled_at) == (3, 1, 0, None)
