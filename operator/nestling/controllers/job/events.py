"""What people are told about a Job, in Kubernetes' words.

Source: Kubernetes 1.37, pkg/controller/job/job_controller.go, pkg/controller/controller_utils.go.
"""

from collections.abc import Iterator
from typing import Final, Literal

from nestling.api.json import JsonObject
from nestling.api.kinds import JOB
from nestling.machinery.names import Key
from nestling.machinery.plan import Emit
from nestling.machinery.records.job import Job

COMPONENT: Final = "job-controller"
MISFIT: Final = "`selector` does not match template `labels`"


def event(job: Job, kind: Literal["Normal", "Warning"], reason: str, message: str) -> Emit:
    """An event about the Job."""
    return Emit(JOB, job.key, job.uid, kind, reason, message, COMPONENT)


def created(job: Job, key: Key) -> Emit:
    """A pod was made."""
    return event(job, "Normal", "SuccessfulCreate", f"Created pod: {key.name}")


def deleted(job: Job, key: Key) -> Emit:
    """A pod was asked to go."""
    return event(job, "Normal", "SuccessfulDelete", f"Deleted pod: {key.name}")


def not_created(job: Job, trouble: str) -> Emit:
    """The host refused a pod."""
    return event(job, "Warning", "FailedCreate", f"Error creating: {trouble}")


def not_deleted(job: Job, trouble: str) -> Emit:
    """The host refused to delete a pod."""
    return event(job, "Warning", "FailedDelete", f"Error deleting: {trouble}")


def suspension(job: Job, condition: JsonObject) -> Emit:
    """The Job was suspended or resumed, as the condition says."""
    reason = "Suspended" if condition["status"] == "True" else "Resumed"
    return event(job, "Normal", reason, condition["message"])


def finished(job: Job, condition: JsonObject, succeeded: int) -> Iterator[Emit]:
    """The Job has come to its end, after so many successes."""
    if condition["type"] == "Failed":
        yield event(job, "Warning", condition["reason"], condition["message"])
        return
    if job.completions is not None and succeeded > job.completions:
        text = "Too many succeeded pods running after completion count reached"
        yield event(job, "Warning", "TooManySucceededPods", text)
    yield event(job, "Normal", "Completed", "Job completed")
