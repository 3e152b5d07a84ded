"""Make the Jobs of a CronJob when they are due, and remove the oldest of those that have finished.

Reads the CronJob and its Jobs; writes Jobs (create, delete) and the CronJob's status. The name of a Job is
that of its moment: made twice, by a retry or by a leader of yesterday, it is refused the second time.
Source: Kubernetes 1.37, pkg/controller/cronjob/cronjob_controllerv2.go (sync).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Final, cast

from nestling.api.json import JsonObject
from nestling.api.kinds import CRON_JOB, JOB
from nestling.api.schedule import Schedule, UnknownZone, Unparseable, parse, zone_of
from nestling.controllers.cron_job import events
from nestling.controllers.cron_job.active import Account, key_for
from nestling.controllers.cron_job.missed import MANY, Impossible, missed, next_look, since_when
from nestling.machinery.cache import Change
from nestling.machinery.controller import Controller, Route, owner_key
from nestling.machinery.measure import Measure, Metric, Tally
from nestling.machinery.names import Key
from nestling.machinery.plan import Create, Delete, Emit, Plan, Write
from nestling.machinery.records.job import SCHEDULED_AT, CronJob, Job
from nestling.machinery.view import View

SKEW: Final = Metric(
    "cronjob_controller_job_creation_skew_duration_seconds",
    "Time from the moment of a Job to its creation.",
    buckets=tuple(float(2**power) for power in range(10)),
)


def reconcile(view: View, key: Key) -> Plan:
    """Plan what is due for one CronJob, and when to look again."""
    cron_job = view.get(CronJob, key)
    if cron_job is None:
        return Plan.done("gone")
    body = cron_job.body
    jobs = [job for job in view.owned(Job, cron_job.uid) if job.key.namespace == key.namespace]
    expired = _expired(cron_job, jobs)
    account = Account.of(view, cron_job, body, jobs, without=expired)
    decision = _decide(view, cron_job, body, jobs, account)
    cleanup = [_delete(cron_job, job) for job in expired]
    # The Job comes last: what is written before it is true without it, too.
    writes = (*cleanup, *decision.replaced, *account.write(cron_job, body), *account.said, *decision.writes)
    return Plan.of(*writes, why=decision.why, wake_at=decision.wake_at, measure=decision.measure)


class _Decision:
    """What is due: `replaced` Jobs to delete, `writes` that start one, and when to look again."""

    def __init__(
        self,
        why: str,
        *writes: Write,
        wake_at: float | None = None,
        replaced: Iterable[Delete] = (),
        measure: Measure | None = None,
    ) -> None:
        self.why = why
        self.writes = writes
        self.wake_at = wake_at
        self.replaced = tuple(replaced)
        self.measure = measure


def _decide(
    view: View, cron_job: CronJob, body: JsonObject, jobs: Sequence[Job], account: Account
) -> _Decision:
    if cron_job.deleting:
        return _Decision("on its way out: only its status is kept")
    try:
        zone_of(cron_job.zone)
    except UnknownZone as error:
        return _Decision("unknown time zone", events.unknown_zone(cron_job, str(error)))
    if cron_job.suspended:
        return _Decision("suspended")
    try:
        schedule = parse(cron_job.schedule, cron_job.zone)
    except Unparseable as error:
        return _Decision("unparseable schedule", events.unparseable(cron_job, str(error)))
    return _due(view, cron_job, body, jobs, account, schedule)


def _due(
    view: View,
    cron_job: CronJob,
    body: JsonObject,
    jobs: Sequence[Job],
    account: Account,
    schedule: Schedule,
) -> _Decision:
    now, since = view.now, since_when(cron_job, account.scheduled_at)
    try:
        found = missed(
            schedule, since if cron_job.deadline_s is None else max(since, now - cron_job.deadline_s), now
        )
    except Impossible as error:
        return _Decision("invalid schedule", events.impossible(cron_job, str(error)))
    wake_at = next_look(schedule, since, now)
    due = found.latest
    if due is None:
        return _Decision("nothing is due", wake_at=wake_at)
    said: list[Emit] = [events.too_many(cron_job)] if found.count > MANY else []
    if cron_job.deadline_s is not None and due + cron_job.deadline_s < now:
        return _Decision("too late", *said, events.too_late(cron_job, due), wake_at=wake_at)
    key = key_for(cron_job, due)
    if account.names(key) or account.scheduled_at == due:
        return _Decision("already started", *said, wake_at=wake_at)
    if cron_job.concurrency == "Forbid" and account.active:
        return _Decision("one is active", *said, events.already_active(cron_job), wake_at=wake_at)
    if view.get(Job, key) is not None:
        return _Decision(f"{key.name} is something else", *said, wake_at=wake_at)
    replaced = _replaced(cron_job, jobs, account) if cron_job.concurrency == "Replace" else []
    create = Create(
        JOB,
        key,
        _job(cron_job, body, key, due),
        on_success=events.created(cron_job, key.name),
        on_failure=partial(events.not_created, cron_job),
    )
    measure = partial(_measure, now - due)
    return _Decision("due", *said, create, wake_at=wake_at, replaced=replaced, measure=measure)


def _measure(late_s: float, _done: int, ok: bool, seconds: float) -> Iterable[Tally]:  # noqa: FBT001
    return (Tally(SKEW, amount=late_s + seconds),) if ok else ()


def _replaced(cron_job: CronJob, jobs: Iterable[Job], account: Account) -> list[Delete]:
    """End the active Jobs, and take them off the list."""
    listed = {entry.get("uid") for entry in account.active}
    ended = [job for job in jobs if job.uid in listed]
    for job in ended:
        account.drop(job.uid)
    return [_delete(cron_job, job) for job in ended if not job.deleting]


def _expired(cron_job: CronJob, jobs: Sequence[Job]) -> list[Job]:
    """Finished Jobs beyond the limits of the history, oldest first."""
    found: list[Job] = []
    for finish, limit in (("Complete", cron_job.keep_succeeded), ("Failed", cron_job.keep_failed)):
        finished = sorted((job for job in jobs if job.finish == finish), key=_start)
        found += finished[: max(len(finished) - limit, 0)]
    return [job for job in found if not job.deleting]


def _start(job: Job) -> tuple[bool, float, str]:
    return (job.started_at is None, job.started_at or 0.0, job.key.name)


def _delete(cron_job: CronJob, job: Job) -> Delete:
    return Delete(
        JOB,
        job.key,
        job.uid,
        on_success=events.deleted(cron_job, job.key.name),
        on_failure=partial(events.not_deleted, cron_job),
    )


def _job(cron_job: CronJob, body: JsonObject, key: Key, due: float) -> JsonObject:
    """The Job of one moment."""
    template: JsonObject = (body.get("spec") or {}).get("jobTemplate") or {}
    meta: JsonObject = template.get("metadata") or {}
    moment = datetime.fromtimestamp(int(due), zone_of(cron_job.zone)).isoformat().replace("+00:00", "Z")
    return {
        "apiVersion": JOB.api_version,
        "kind": JOB.name,
        "metadata": {
            "name": key.host_name,
            "namespace": key.cluster,
            "labels": meta.get("labels") or {},
            "annotations": {**(meta.get("annotations") or {}), SCHEDULED_AT: moment},
            "ownerReferences": [cron_job.as_owner().to_json()],
        },
        "spec": template.get("spec") or {},
    }


def _changed(_view: View, change: Change) -> Iterable[Key]:
    """The CronJob itself, but for a new schedule: that is looked at when it first comes due."""
    return () if _has_new_schedule(change) else (change.key,)


def _rescheduled(_view: View, change: Change) -> Iterable[Key]:
    return (change.key,) if _has_new_schedule(change) else ()


def _has_new_schedule(change: Change) -> bool:
    old, new = cast("CronJob | None", change.old), cast("CronJob | None", change.new)
    return (
        old is not None
        and new is not None
        and not new.deleting
        and (old.schedule, old.zone) != (new.schedule, new.zone)
    )


def until_due(view: View, change: Change) -> float:
    """Seconds until a CronJob with a new schedule is first due; 0 if somebody has to be told of it."""
    cron_job = cast("CronJob", change.new)
    try:
        schedule = parse(cron_job.schedule, cron_job.zone)
    except (Unparseable, UnknownZone):
        return 0.0
    due = next_look(schedule, since_when(cron_job, cron_job.scheduled_at), view.now)
    return 0.0 if due is None else max(due - view.now, 0.0)


CONTROLLER: Final = Controller(
    name="cronjob",
    reconcile=reconcile,
    concerns={
        CRON_JOB: (Route(_changed), Route(_rescheduled, delay=until_due)),
        JOB: (Route(owner_key(CRON_JOB)),),
    },
    metrics=(SKEW,),
)
