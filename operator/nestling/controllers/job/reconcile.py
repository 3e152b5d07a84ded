"""Run as many pods as a Job asks for until enough have succeeded, and count each of them exactly once.

Reads the Job and its pods; writes pods (create, delete, tracking finalizers, owner references) and the Job's
status. One look makes or removes pods, then writes the status with what has ended, then lets those pods go;
the next look counts them. Pods that are too many lose their finalizer before they are deleted: they count for
nothing.
Source: Kubernetes 1.37, pkg/controller/job/job_controller.go (syncJob).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from nestling.api.json import JsonObject
from nestling.api.kinds import POD
from nestling.controllers.job import condition, ending, events, indexes, per_index, status, tracking
from nestling.controllers.job.backoff import Backoff
from nestling.controllers.job.creation import creates
from nestling.controllers.job.defaults import completion
from nestling.controllers.job.indexes import Intervals
from nestling.controllers.job.look import Look
from nestling.controllers.job.metrics import Facts
from nestling.controllers.job.sizing import BURST, NOTHING, Sizing, size
from nestling.controllers.job.tracking import Count, Uncounted
from nestling.controllers.ownership import claim
from nestling.machinery.conditions import conditions_of
from nestling.machinery.names import Key
from nestling.machinery.plan import Delete, Emit, Patch, Plan, Write
from nestling.machinery.records.job import Job
from nestling.machinery.records.pod import JOB_TRACKING, Pod
from nestling.machinery.view import View


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a Job is, pods included that have ended and are not counted yet.

    `counted` and `counted_lost` are the indexes that the status has, `done` and `lost` all that succeeded and
    failed, `last` the failed pods that wait for a successor.
    `ending` is how the Job is about to end, None if it goes on.
    """

    succeeded: int
    failed: int
    counted: Intervals
    counted_lost: int
    done: Intervals
    lost: Intervals
    last: Mapping[int, Pod]
    backoff: Backoff
    started_at: float | None
    ending: JsonObject | None


def reconcile(view: View, key: Key) -> Plan:
    """Plan one step of a Job towards its end, or what it has to say."""
    job = view.get(Job, key)
    if job is None:
        return Plan.done("gone")
    if job.finished:
        return Plan.done("has finished")
    body = job.body
    missing = None if job.deleting else completion(job, body)
    if missing is not None:
        return Plan.of(missing, why="has no selector, labels or defaults yet")
    if not job.ours:
        return Plan.done(f"is looked after by {job.managed_by}")
    if job.selector.nothing or job.selector.everything:
        return Plan.done("its selector cannot be read, or would select everything")
    owned = list(view.owned(Pod, job.uid))
    orphans = (pod for pod in view.selected(Pod, key.namespace, job.selector) if pod.controller is None)
    claims = claim(job, job.selector, owned, orphans, finalizer=JOB_TRACKING)
    if claims.writes:
        return Plan.of(*claims.writes, why="takes in pods, or lets them go")
    look = Look.at(job, body, claims.held, view.now)
    progress = _progress(look)
    if not job.selector.matches(job.template_labels) and progress.ending is None:
        # Its pods would not be its own: it would create them for ever. The host refuses such an object.
        return Plan.of(events.not_created(job, events.MISFIT), why=events.MISFIT)
    return _plan(view, look, progress, known=len(owned))


def _progress(look: Look) -> Progress:
    job, stored, uncounted = look.job, look.status, Uncounted.read(look.status)
    succeeded = [pod for pod in look.tracked if pod.phase == "Succeeded"]
    failed = [pod for pod in look.tracked if look.is_failed(pod)]
    new_succeeded = tracking.newly_ended(look, uncounted.succeeded, succeeded)
    new_failed = tracking.newly_ended(look, uncounted.failed, failed)
    all_failed = job.failed + len(uncounted.failed) + sum(look.verdict(pod).counts for pod in new_failed)
    counted: Intervals = ()
    done: Intervals = ()
    lost: Intervals = ()
    counted_lost = 0
    last: Mapping[int, Pod] = {}
    if job.indexed:
        counted = indexes.parse(stored.get("completedIndexes") or "", look.completions)
        done = indexes.with_indexes(
            counted, {pod.completion_index for pod in succeeded if look.has_index(pod)}
        )
        all_succeeded = indexes.total(done)
    else:
        all_succeeded = job.succeeded + len(uncounted.succeeded) + len(new_succeeded)
    backoff = Backoff()
    if job.backoff_limit_per_index is None:
        backoff = Backoff.read(stored).after(
            [look.finished_at(pod) for pod in new_succeeded], [look.finished_at(pod) for pod in new_failed]
        )
    else:
        before = indexes.parse(stored.get("failedIndexes") or "", look.completions)
        counted_lost = indexes.total(before)
        lost = per_index.failed_indexes(look, before)
        last = per_index.predecessors(look, indexes.union(done, lost))
    started_at = job.started_at
    if started_at is None and not job.suspended:
        started_at = look.now
    return Progress(
        all_succeeded,
        all_failed,
        counted,
        counted_lost,
        done,
        lost,
        last,
        backoff,
        started_at,
        ending.early(look, failed=all_failed, started_at=started_at, done=done, lost=lost),
    )


def _plan(view: View, look: Look, progress: Progress, *, known: int) -> Plan:
    job = look.job
    sizing = _sizing(look, progress)
    end = progress.ending or ending.by_completions(
        look, progress.succeeded, len(look.active) - len(sizing.remove) + len(sizing.make)
    )
    counted = tracking.count(look, before=progress.counted, ending=end, held=progress.last)
    remove = sizing.remove if progress.ending is None else _stopped(look, counted)
    # What was refused may be refused again: then say how things stand before trying.
    active = len(look.active) - len(remove) + (0 if view.refusal else len(sizing.make))
    terminating = len(look.terminating) + len(remove)
    conditions, said, started_at = _conditions(look, progress, end)
    last = None
    if end is not None and end in conditions_of(look.body):
        pending = counted.released or counted.uncounted or remove or terminating
        if not pending:
            last = condition.final(end, look.now)
            conditions = condition.ensure(conditions, last)
            said = [*events.finished(job, last, counted.succeeded)]
    completed = last is not None and last["type"] == condition.COMPLETE
    write = status.write(
        job,
        look.status,
        status.State(
            active=active,
            ready=_ready(look.active) - _ready(remove),
            terminating=terminating,
            succeeded=counted.succeeded,
            failed=counted.failed,
            done=counted.done,
            lost=progress.lost if job.backoff_limit_per_index is not None else None,
            uncounted=counted.uncounted,
            started_at=started_at,
            completed_at=look.now if completed else None,
            conditions=conditions,
            backoff=Backoff() if last is not None else progress.backoff,
        ),
    )
    makes = list(creates(view, look, sizing.make, known=known, last=progress.last))
    writes: list[Write] = [] if write is None else [write, *said]
    writes += _releases((*counted.released, *remove))
    writes += [_delete(job, pod) for pod in remove]
    wake_at = _wake_at(look, end, sizing, started_at, over=last is not None, waits=bool(terminating))
    why = f"{active} at work, {counted.succeeded} succeeded, {counted.failed} failed"
    facts = Facts(
        job=job,
        made=len(makes),
        before=not view.refusal,
        again=progress.failed > 0 or bool(look.terminating and not job.only_failed),
        removed=len(remove),
        pods_succeeded=counted.succeeded - job.succeeded,
        pods_failed=counted.failed - job.failed,
        indexes_succeeded=indexes.total(counted.done) - indexes.total(progress.counted),
        indexes_failed=indexes.total(progress.lost) - progress.counted_lost,
        by_action=counted.by_action,
        finish_reason=last["reason"] if last is not None else "",
        succeeds=completed,
    )
    ordered = (*writes, *makes) if view.refusal else (*makes, *writes)
    return Plan.of(*ordered, why=why, wake_at=wake_at, measure=facts.measure)


def _sizing(look: Look, progress: Progress) -> Sizing:
    if progress.ending is not None or look.job.deleting:
        return NOTHING
    return size(
        look,
        succeeded=progress.succeeded,
        backoff=progress.backoff,
        settled=indexes.union(progress.done, progress.lost),
        last=progress.last,
    )


def _stopped(look: Look, counted: Count) -> list[Pod]:
    """The active pods of a Job that is about to end, as far as this look has counted them."""
    noted = {pod.uid for pod in counted.released}
    return [pod for pod in look.active if pod.uid in noted or not pod.tracked][:BURST]


def _conditions(
    look: Look, progress: Progress, end: JsonObject | None
) -> tuple[list[JsonObject], list[Emit], float | None]:
    """The conditions, what to tell people of them, and when the Job started as it goes on."""
    job, stored = look.job, conditions_of(look.body)
    if end is not None:
        return [*stored, *([] if end in stored else [end])], [], progress.started_at
    if job.deleting:
        return stored, [], progress.started_at
    suspension = condition.suspension(job.suspended, look.now)
    conditions = condition.ensure(stored, suspension)
    if conditions == stored:
        return stored, [], progress.started_at
    # The time of a suspended Job does not run: it starts anew when the Job is resumed.
    started_at = None if job.suspended else look.now
    return conditions, [events.suspension(job, suspension)], started_at


def _ready(pods: Sequence[Pod]) -> int:
    return sum(pod.ready for pod in pods)


def _releases(pods: Iterable[Pod]) -> list[Patch]:
    """Take the finalizer off pods whose end has been noted, or is to go uncounted."""
    return [release(pod) for pod in {pod.uid: pod for pod in pods}.values() if pod.tracked]


def release(pod: Pod) -> Patch:
    """Take the tracking finalizer off a pod. The list is replaced as a whole: only on the version seen."""
    rest = [name for name in pod.finalizers if name != JOB_TRACKING]
    return Patch(POD, pod.key, pod.uid, {"metadata": {"finalizers": rest}}, version=pod.version)


def _delete(job: Job, pod: Pod) -> Delete:
    return Delete(
        POD,
        pod.key,
        pod.uid,
        on_success=events.deleted(job, pod.key),
        on_failure=partial(events.not_deleted, job),
    )


def _wake_at(
    look: Look, end: JsonObject | None, sizing: Sizing, started_at: float | None, *, over: bool, waits: bool
) -> float | None:
    """When the Job wants to be looked at again without a change."""
    if end is None:
        dues = (sizing.wake_at, ending.deadline(look.job, started_at))
        return min((due for due in dues if due is not None), default=None)
    # Once what has ended is let go, only counting is left: no reason to wait for others.
    return None if over or waits else look.now
