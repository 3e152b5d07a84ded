"""What is counted of Jobs, under the native names.

Source: Kubernetes 1.37, pkg/controller/job/metrics.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from nestling.machinery.measure import Metric, Tally
from nestling.machinery.records.job import Job

_SYNC: Final = ("completion_mode", "result", "action")
SYNC_SECONDS: Final = Metric(
    "job_controller_job_sync_duration_seconds",
    "Time from a look at a Job to the answer of its last write.",
    _SYNC,
    tuple(0.004 * 2**power for power in range(15)),
)
SYNCS: Final = Metric("job_controller_job_syncs_total", "Looks at Jobs that have not finished.", _SYNC)
FINISHED: Final = Metric(
    "job_controller_jobs_finished_total", "Jobs that have finished.", ("completion_mode", "result", "reason")
)
PODS_FINISHED: Final = Metric(
    "job_controller_job_pods_finished_total", "Ended pods that are counted.", ("completion_mode", "result")
)
POLICY_ACTIONS: Final = Metric(
    "job_controller_pod_failures_handled_by_failure_policy_total",
    "Failed pods that a rule of the pod failure policy matched.",
    ("action",),
)
INDEXES_FINISHED: Final = Metric(
    "job_controller_job_finished_indexes_total", "Indexes that have ended.", ("status", "backoffLimit")
)
PODS_CREATED: Final = Metric(
    "job_controller_job_pods_creation_total", "Pods made for Jobs, and why.", ("reason", "status")
)
METRICS: Final = (
    SYNC_SECONDS,
    SYNCS,
    FINISHED,
    PODS_FINISHED,
    POLICY_ACTIONS,
    INDEXES_FINISHED,
    PODS_CREATED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What one look does, if its plan succeeds.

    Pods and indexes are those that it counts for the first time; `made` pods are created `before` anything
    else is written, or after; `again` says that they follow others, which failed or are on their way out.
    """

    job: Job
    made: int
    before: bool
    again: bool
    removed: int
    pods_succeeded: int
    pods_failed: int
    indexes_succeeded: int
    indexes_failed: int
    by_action: Mapping[str, int]
    finish_reason: str = ""
    succeeds: bool = False

    def measure(self, done: int, ok: bool, seconds: float) -> Iterator[Tally]:  # noqa: FBT001  # see Measure
        """What to count once it is known how the plan went."""
        mode = "Indexed" if self.job.indexed else "NonIndexed"
        action = "pods_created" if self.made else "pods_deleted" if self.removed else "tracking"
        sync = (mode, "success" if ok else "error", action)
        yield Tally(SYNCS, sync)
        yield Tally(SYNC_SECONDS, sync, seconds)
        yield from self._creations(done, ok=ok)
        if not ok:
            return
        ends = {"succeeded": self.pods_succeeded, "failed": self.pods_failed}
        for result, count in ends.items():
            if count > 0:  # of an indexed Job that has become smaller there may be fewer than before
                yield Tally(PODS_FINISHED, (mode, result), count)
        limit = "global" if self.job.backoff_limit_per_index is None else "perIndex"
        for result, count in (("succeeded", self.indexes_succeeded), ("failed", self.indexes_failed)):
            if count > 0:
                yield Tally(INDEXES_FINISHED, (result, limit), count)
        for name, count in self.by_action.items():
            yield Tally(POLICY_ACTIONS, (name,), count)
        if self.finish_reason:
            yield Tally(FINISHED, (mode, "succeeded" if self.succeeds else "failed", self.finish_reason))

    def _creations(self, done: int, *, ok: bool) -> Iterator[Tally]:
        if not self.made:
            return
        reason = "new"
        if self.again:
            reason = "recreate_failed" if self.job.only_failed else "recreate_terminating_or_failed"
        created = self.made if ok else min(done, self.made) if self.before else 0
        if created:
            yield Tally(PODS_CREATED, (reason, "succeeded"), created)
        if created < self.made:
            yield Tally(PODS_CREATED, (reason, "failed"), 1)
