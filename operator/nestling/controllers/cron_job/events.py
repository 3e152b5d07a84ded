"""What people are told about a CronJob, in Kubernetes' words.

Source: Kubernetes 1.37, pkg/controller/cronjob.
"""

from datetime import UTC, datetime
from typing import Final, Literal

from nestling.api.kinds import CRON_JOB
from nestling.machinery.plan import Emit
from nestling.machinery.records.job import CronJob, Job

COMPONENT: Final = "cronjob-controller"
_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def event(cron_job: CronJob, kind: Literal["Normal", "Warning"], reason: str, message: str) -> Emit:
    """An event about the CronJob."""
    return Emit(CRON_JOB, cron_job.key, cron_job.uid, kind, reason, message, COMPONENT)


def created(cron_job: CronJob, name: str) -> Emit:
    """A Job was made."""
    return event(cron_job, "Normal", "SuccessfulCreate", f"Created job {name}")


def not_created(cron_job: CronJob, trouble: str) -> Emit:
    """The host refused a Job."""
    return event(cron_job, "Warning", "FailedCreate", f"Error creating job: {trouble}")


def deleted(cron_job: CronJob, name: str) -> Emit:
    """A Job was deleted, because there are too many or because a new one takes its place."""
    return event(cron_job, "Normal", "SuccessfulDelete", f"Deleted job {name}")


def not_deleted(cron_job: CronJob, trouble: str) -> Emit:
    """The host refused to delete a Job."""
    return event(cron_job, "Warning", "FailedDelete", f"Deleted job: {trouble}")


def completed(cron_job: CronJob, job: Job) -> Emit:
    """A Job that was active has finished."""
    text = f"Saw completed job: {job.key.name}, condition: {job.finish}"
    return event(cron_job, "Normal", "SawCompletedJob", text)


def unexpected(cron_job: CronJob, job: Job) -> Emit:
    """A Job names the CronJob as its controller, which has not made it."""
    text = f"Saw a job that the controller did not create or forgot: {job.key.name}"
    return event(cron_job, "Warning", "UnexpectedJob", text)


def missing(cron_job: CronJob, name: str) -> Emit:
    """An active Job is gone."""
    return event(cron_job, "Normal", "MissingJob", f"Active job went missing: {name}")


def already_active(cron_job: CronJob) -> Emit:
    """A Job was due and must not run beside the one before it."""
    text = "Not starting job because prior execution is running and concurrency policy is Forbid"
    return event(cron_job, "Normal", "JobAlreadyActive", text)


def too_late(cron_job: CronJob, due: float) -> Emit:
    """A Job was due too long ago."""
    text = f"Missed scheduled time to start a job: {rfc1123(due)}"
    return event(cron_job, "Warning", "MissSchedule", text)


def too_many(cron_job: CronJob) -> Emit:
    """More Jobs were missed than a pause explains."""
    text = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
    return event(cron_job, "Warning", "TooManyMissedTimes", text)


def unparseable(cron_job: CronJob, trouble: str) -> Emit:
    """The schedule cannot be read."""
    text = f'unparseable schedule: "{cron_job.schedule}" : {trouble}'
    return event(cron_job, "Warning", "UnparseableSchedule", text)


def impossible(cron_job: CronJob, trouble: str) -> Emit:
    """The schedule never comes due."""
    text = f"invalid schedule: {cron_job.schedule} : {trouble}"
    return event(cron_job, "Warning", "InvalidSchedule", text)


def unknown_zone(cron_job: CronJob, trouble: str) -> Emit:
    """There is no such time zone."""
    return event(cron_job, "Warning", "UnknownTimeZone", f'invalid timeZone: "{cron_job.zone}": {trouble}')


def rfc1123(seconds: float) -> str:
    """A moment as Go writes it by RFC 1123 with a numeric zone, whatever the locale."""
    at = datetime.fromtimestamp(int(seconds), UTC)
    day, month = _WEEKDAYS[at.weekday()], _MONTHS[at.month - 1]
    return f"{day}, {at.day:02} {month} {at.year} {at:%H:%M:%S} +0000"
