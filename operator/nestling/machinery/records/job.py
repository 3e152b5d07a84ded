"""What loops read of a VirtualJob and of a VirtualCronJob.

A Job is read with the defaults of the native kind, also before its controller has written them into it (see
`controllers.job.defaults`): absent `completions` beside absent `parallelism` is one of each. Objects that
slipped past the schema are read as far as they make sense.
Source: Kubernetes 1.37, pkg/apis/batch/v1/defaults.go, pkg/registry/batch/job/strategy.go.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, TypeAlias, cast

from nestling.api.json import JsonObject, JsonValue
from nestling.api.kinds import CRON_JOB, JOB, Kind
from nestling.api.selector import NOTHING, Selector
from nestling.machinery.clock import seconds_or
from nestling.machinery.conditions import conditions_of
from nestling.machinery.records.base import Record
from nestling.machinery.records.workload import INT32_MAX, count, labels_of, selector_of

CONTROLLER_UID: Final = "batch.kubernetes.io/controller-uid"
JOB_NAME: Final = "batch.kubernetes.io/job-name"
LEGACY_CONTROLLER_UID: Final = "controller-uid"
LEGACY_JOB_NAME: Final = "job-name"
# Value of `spec.managedBy` that means the built-in controller.
OUR_NAME: Final = "kubernetes.io/job-controller"
SCHEDULED_AT: Final = "batch.kubernetes.io/cronjob-scheduled-timestamp"
FAILURES_PER_JOB: Final = 6

Finish: TypeAlias = Literal["", "Complete", "Failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(Record):
    """One Job: what is wanted, what was last counted, and whether it has finished.

    `completions` is None for a queue of work that ends with its first success. `selector` always asks for
    the Job's own UID, unless the user has made it by hand. Times are seconds since 1970; `finished_at` is
    when the final condition came about, `completed_at` is None for a Job that failed.
    """

    KIND: ClassVar[Kind] = JOB

    parallelism: int
    completions: int | None
    indexed: bool
    backoff_limit: int
    backoff_limit_per_index: int | None
    max_failed_indexes: int | None
    deadline_s: int | None
    ttl_s: int | None
    suspended: bool
    only_failed: bool
    """Whether a pod is replaced only when it has ended (podReplacementPolicy Failed)."""
    scheduled_at: float | None
    """The moment that a CronJob made it for."""
    selector: Selector
    template_labels: Mapping[str, str]
    managed_by: str

    active: int
    ready: int
    terminating: int
    succeeded: int
    failed: int
    started_at: float | None
    completed_at: float | None
    finish: Finish
    finished_at: float | None
    finish_reason: str

    @property
    def finished(self) -> bool:
        """Whether the Job has come to its end, good or bad."""
        return self.finish != ""

    @property
    def ours(self) -> bool:
        """Whether no other controller looks after this Job."""
        return self.managed_by in {"", OUR_NAME}

    @classmethod
    def fields_of(cls, obj: JsonObject) -> dict[str, Any]:
        """Constructor arguments taken from a VirtualJob."""
        fields = super(Job, cls).fields_of(obj)
        spec = _object(obj.get("spec"))
        status = _object(obj.get("status"))
        template = _object(spec.get("template"))
        finish, finished_at, reason = _finish(obj)
        per_index = limit(spec.get("backoffLimitPerIndex"))
        policy = "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed"
        fields.update(
            parallelism=count(spec.get("parallelism"), 1),
            completions=wanted_completions(spec),
            indexed=spec.get("completionMode") == "Indexed",
            backoff_limit=count(
                spec.get("backoffLimit"), FAILURES_PER_JOB if per_index is None else INT32_MAX
            ),
            backoff_limit_per_index=per_index,
            max_failed_indexes=limit(spec.get("maxFailedIndexes")),
            deadline_s=limit(spec.get("activeDeadlineSeconds")),
            ttl_s=limit(spec.get("ttlSecondsAfterFinished")),
            suspended=spec.get("suspend") is True,
            only_failed=(spec.get("podReplacementPolicy") or policy) == "Failed",
            scheduled_at=_time(_object(obj["metadata"].get("annotations")).get(SCHEDULED_AT)),
            selector=_selector(spec, fields["uid"]),
            template_labels=labels_of(template),
            managed_by=str(spec.get("managedBy") or ""),
            active=count(status.get("active"), 0),
            ready=count(status.get("ready"), 0),
            terminating=count(status.get("terminating"), 0),
            succeeded=count(status.get("succeeded"), 0),
            failed=count(status.get("failed"), 0),
            started_at=_time(status.get("startTime")),
            completed_at=_time(status.get("completionTime")),
            finish=finish,
            finished_at=finished_at,
            finish_reason=reason,
        )
        return fields


@dataclass(frozen=True, slots=True, kw_only=True)
class CronJob(Record):
    """One CronJob. `active` counts the Jobs that its status lists, times are seconds since 1970.

    `zone` is empty where the schedule goes by UTC, `deadline_s` None where no start is ever too late.
    """

    KIND: ClassVar[Kind] = CRON_JOB

    schedule: str
    zone: str
    suspended: bool
    concurrency: str
    deadline_s: int | None
    keep_succeeded: int
    keep_failed: int
    active: int
    scheduled_at: float | None
    succeeded_at: float | None

    @classmethod
    def fields_of(cls, obj: JsonObject) -> dict[str, Any]:
        """Constructor arguments taken from a VirtualCronJob."""
        fields = super(CronJob, cls).fields_of(obj)
        spec = _object(obj.get("spec"))
        status = _object(obj.get("status"))
        fields.update(
            schedule=str(spec.get("schedule") or ""),
            zone=str(spec.get("timeZone") or ""),
            suspended=spec.get("suspend") is True,
            concurrency=str(spec.get("concurrencyPolicy") or "Allow"),
            deadline_s=limit(spec.get("startingDeadlineSeconds")),
            keep_succeeded=count(spec.get("successfulJobsHistoryLimit"), 3),
            keep_failed=count(spec.get("failedJobsHistoryLimit"), 1),
            active=len(status.get("active") or ()),
            scheduled_at=_time(status.get("lastScheduleTime")),
            succeeded_at=_time(status.get("lastSuccessfulTime")),
        )
        return fields


def wanted_completions(spec: JsonObject) -> int | None:
    """How many pods have to succeed; None for a queue of work, one where the spec says nothing at all."""
    given = spec.get("completions")
    if given is None and spec.get("parallelism") is not None and spec.get("completionMode") != "Indexed":
        return None
    return count(given, 1)


def limit(value: JsonValue) -> int | None:
    """A limit, or None where there is none."""
    return None if value is None else count(value, 0)


def _selector(spec: JsonObject, uid: str) -> Selector:
    given = spec.get("selector")
    if spec.get("manualSelector") is True:
        return selector_of(given)
    found = selector_of(given if given is not None else {})
    if found is NOTHING or any(key == CONTROLLER_UID for key, _ in found.equals):
        return found
    return Selector(tuple(sorted((*found.equals, (CONTROLLER_UID, uid)))), found.requirements)


def _finish(obj: JsonObject) -> tuple[Finish, float | None, str]:
    """The final condition, when it came about, and its reason."""
    for entry in conditions_of(obj):
        kind = entry.get("type")
        if kind in {"Complete", "Failed"} and entry.get("status") == "True":
            return (
                cast("Finish", kind),
                _time(entry.get("lastTransitionTime")),
                str(entry.get("reason") or ""),
            )
    return "", None, ""


def _time(text: JsonValue) -> float | None:
    found = seconds_or(text, -1.0)
    return None if found < 0 else found


def _object(value: JsonValue) -> JsonObject:
    return cast("JsonObject", value) if isinstance(value, dict) else {}
