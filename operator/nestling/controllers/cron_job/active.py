"""What a CronJob's status says of its Jobs: which are active, when the last was due, when one last succeeded.

Kubernetes puts a Job on the list with the answer of its creation. Here the next look does it, which finds the
Job by its name: that is what a look after a crash does, too, so there is but one way.
Source: Kubernetes 1.37, pkg/controller/cronjob/cronjob_controllerv2.go (syncCronJob).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from nestling.api.json import JsonObject
from nestling.api.kinds import JOB
from nestling.controllers.cron_job import events
from nestling.controllers.status_change import selector_column, status_write
from nestling.machinery.clock import timestamp
from nestling.machinery.names import Key, key_of
from nestling.machinery.plan import Emit, Patch
from nestling.machinery.records.job import CronJob, Job
from nestling.machinery.records.workload import object_of, selector_of
from nestling.machinery.view import View


@dataclass(slots=True)
class Account:
    """The status in the making, and what there is to tell. `scheduled_at` is when a Job was last due."""

    active: list[JsonObject]
    scheduled_at: float | None
    succeeded_at: float | None
    said: list[Emit] = field(default_factory=list[Emit])

    @classmethod
    def of(
        cls,
        view: View,
        cron_job: CronJob,
        body: JsonObject,
        jobs: Sequence[Job],
        *,
        without: Iterable[Job] = (),
    ) -> "Account":
        """Bring the status up to what the Jobs say; those in `without` are about to go."""
        listed: list[JsonObject] = list((body.get("status") or {}).get("active") or ())
        found = cls(listed, cron_job.scheduled_at, cron_job.succeeded_at)
        for job in without:
            found.drop(job.uid)
        for job in jobs:
            found._take(cron_job, job)
        known = {job.uid for job in jobs}
        for entry in [one for one in found.active if one.get("uid") not in known]:
            key = key_of(JOB, cron_job.key.cluster, entry.get("name") or "")
            if view.get(Job, key) is None:
                found.said.append(events.missing(cron_job, key.name))
                found.drop(entry.get("uid"))
        return found

    def names(self, key: Key) -> bool:
        """Whether a Job of this name is active."""
        return any(entry.get("name") == key.host_name for entry in self.active)

    def drop(self, uid: str | None) -> None:
        """Take a Job off the list."""
        self.active = [entry for entry in self.active if entry.get("uid") != uid]

    def write(self, cron_job: CronJob, body: JsonObject) -> Iterator[Patch]:
        """The write of the status, if there is anything new."""
        wanted: JsonObject = {
            "active": self.active or None,
            "lastScheduleTime": _text(self.scheduled_at),
            "lastSuccessfulTime": _text(self.succeeded_at),
            "display": {"active": len(self.active), "selector": _job_selector(body)},
        }
        patch = status_write(cron_job, body.get("status"), wanted)
        if patch is not None:
            yield patch

    def _take(self, cron_job: CronJob, job: Job) -> None:
        listed = any(entry.get("uid") == job.uid for entry in self.active)
        own = is_own(cron_job, job)
        if own and job.scheduled_at is not None:
            self.scheduled_at = max(self.scheduled_at or 0.0, job.scheduled_at)
        if not job.finished:
            if listed:
                return
            if own and not job.deleting:
                self.active.append(reference(job))
            elif not own:
                self.said.append(events.unexpected(cron_job, job))
            return
        if listed:
            self.drop(job.uid)
            self.said.append(events.completed(cron_job, job))
        if job.finish == "Complete" and job.completed_at is not None:
            self.succeeded_at = max(self.succeeded_at or 0.0, job.completed_at)


def key_for(cron_job: CronJob, due: float) -> Key:
    """The name of the Job of one moment: there can be only one."""
    key = cron_job.key
    return Key(key.cluster, key.namespace, f"{key.name}-{int(due) // 60}")


def is_own(cron_job: CronJob, job: Job) -> bool:
    """Whether the CronJob made this Job, for the moment that it names."""
    return job.scheduled_at is not None and job.key == key_for(cron_job, job.scheduled_at)


def reference(job: Job) -> JsonObject:
    """A Job as it stands in `status.active`."""
    return {
        "apiVersion": JOB.api_version,
        "kind": JOB.name,
        "name": job.key.host_name,
        "namespace": job.key.cluster,
        "uid": job.uid,
        "resourceVersion": str(job.version),
    }


def _job_selector(cron_job: JsonObject) -> str:
    template = object_of(object_of(cron_job.get("spec")).get("jobTemplate"))
    return selector_column(selector_of(object_of(template.get("spec")).get("selector")))


def _text(seconds: float | None) -> str | None:
    return None if seconds is None else timestamp(seconds)
