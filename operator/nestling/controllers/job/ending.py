"""Why a Job is about to end, if it is: the first reason in Kubernetes' order.

What an earlier look has written stands. Then failures: by the pod failure policy, too many of them, the
deadline, too many failed indexes. Then success: by the success policy, or because all is done.
Source: Kubernetes 1.37, pkg/controller/job/job_controller.go (syncJob).
"""

from typing import Final

from nestling.api.json import JsonObject
from nestling.controllers.job import indexes, success_policy
from nestling.controllers.job.condition import FAILURE_TARGET, SUCCESS_CRITERIA_MET, condition
from nestling.controllers.job.indexes import Intervals
from nestling.controllers.job.look import Look
from nestling.machinery.records.job import Job

BACKOFF_LIMIT: Final = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
DEADLINE: Final = ("DeadlineExceeded", "Job was active longer than specified deadline")
MANY_INDEXES: Final = (
    "MaxFailedIndexesExceeded",
    "Job has exceeded the specified maximal number of failed indexes",
)
SOME_INDEXES: Final = ("FailedIndexes", "Job has failed indexes")
ALL_DONE: Final = ("CompletionsReached", "Reached expected number of succeeded pods")


def early(
    look: Look, *, failed: int, started_at: float | None, done: Intervals, lost: Intervals
) -> JsonObject | None:
    """The condition by which the Job ends while there may be pods left; None if it goes on.

    `failed` are all failures that count, `done` and `lost` the indexes that have succeeded and failed.
    """
    stands = look.condition(SUCCESS_CRITERIA_MET) or look.condition(FAILURE_TARGET)
    if stands is not None:
        return stands
    message = _policy_message(look)
    if message:
        return condition(FAILURE_TARGET, "PodFailurePolicy", message, look.now)
    job = look.job
    due = deadline(job, started_at)
    if failed > job.backoff_limit or _too_many_restarts(look):
        return condition(FAILURE_TARGET, *BACKOFF_LIMIT, look.now)
    if due is not None and due <= look.now:
        return condition(FAILURE_TARGET, *DEADLINE, look.now)
    if not job.indexed:
        return None
    return _by_indexes(look, done, lost)


def by_completions(look: Look, succeeded: int, active: int) -> JsonObject | None:
    """The condition of a Job that has all its successes and no pod left that works; None before."""
    wanted = look.job.completions
    if active or succeeded < (1 if wanted is None else wanted):
        return None
    return condition(SUCCESS_CRITERIA_MET, *ALL_DONE, look.now)


def deadline(job: Job, started_at: float | None) -> float | None:
    """When the Job will have run for too long; None while it does not run, or may run for ever."""
    if job.deadline_s is None or started_at is None or job.suspended:
        return None
    return started_at + job.deadline_s


def _policy_message(look: Look) -> str:
    """Why the pod failure policy ends the whole Job; pods that are counted already had their say."""
    if not look.spec.get("podFailurePolicy"):
        return ""
    failed = (pod for pod in look.tracked if look.is_failed(pod))
    return next((message for pod in failed if (message := look.verdict(pod).message)), "")


def _too_many_restarts(look: Look) -> bool:
    """Whether containers that are restarted in their pods have failed too often."""
    template: JsonObject = (look.spec.get("template") or {}).get("spec") or {}
    if template.get("restartPolicy") != "OnFailure":
        return False
    working = (pod for pods in (look.active, look.terminating) for pod in pods)
    restarts = sum(pod.restarts + pod.init_restarts for pod in working)
    return restarts >= max(look.job.backoff_limit, 1)


def _by_indexes(look: Look, done: Intervals, lost: Intervals) -> JsonObject | None:
    job = look.job
    failed = indexes.total(lost)
    if job.max_failed_indexes is not None and failed > job.max_failed_indexes:
        return condition(FAILURE_TARGET, *MANY_INDEXES, look.now)
    if failed and failed + indexes.total(done) >= look.completions:
        return condition(FAILURE_TARGET, *SOME_INDEXES, look.now)
    message = success_policy.met_rule(look.spec.get("successPolicy"), look.completions, done)
    if message is not None:
        return condition(SUCCESS_CRITERIA_MET, "SuccessPolicy", message, look.now)
    return None
