"""How many pods a Job should have at work, and which ones to make or remove to get there.

In one look pods are removed or made, never both. At most 500 of either, so that one Job does not hold up
others.
Source: Kubernetes 1.37, pkg/controller/job/job_controller.go (manageJob).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from nestling.controllers.job import indexes, per_index
from nestling.controllers.job.backoff import Backoff
from nestling.controllers.job.indexes import Intervals
from nestling.controllers.job.look import Look
from nestling.controllers.job.removal import surplus
from nestling.machinery.records.pod import NO_INDEX, Pod

BURST: Final = 500


@dataclass(frozen=True, slots=True)
class Sizing:
    """Pods to remove, and the indexes of pods to make (NO_INDEX each where the Job is not indexed).

    `wake_at` is when a wait that keeps pods from being made is over.
    """

    remove: Sequence[Pod] = ()
    make: Sequence[int] = ()
    wake_at: float | None = None


NOTHING: Final = Sizing()


def size(
    look: Look, *, succeeded: int, backoff: Backoff, settled: Intervals, last: Mapping[int, Pod]
) -> Sizing:
    """What to make or to remove. `settled` indexes need no pod, `last` are the failed pods to succeed to."""
    job, active = look.job, len(look.active)
    if job.suspended:
        return Sizing(look.active[:BURST])
    wanted = wanted_active(look, succeeded)
    remove = surplus(look, max(active - wanted, 0))
    if remove:
        return Sizing(remove[:BURST])
    missing = wanted - active - (len(look.terminating) if job.only_failed else 0)
    if missing <= 0:
        return NOTHING
    if job.backoff_limit_per_index is None and backoff.until > look.now:
        return Sizing(wake_at=backoff.until)
    missing = min(missing, BURST)
    if not job.indexed:
        return Sizing(make=(NO_INDEX,) * missing)
    pending = _pending(look, missing, settled)
    if job.backoff_limit_per_index is None:
        return Sizing(make=pending)
    due, wake_at = per_index.ready_now(look, pending, last)
    return Sizing(make=due, wake_at=wake_at)


def wanted_active(look: Look, succeeded: int) -> int:
    """Pods that should be at work when so many have succeeded."""
    job = look.job
    if job.completions is None:
        # Work queue: the first success says that the queue is empty, and nobody new is needed.
        return len(look.active) if succeeded else job.parallelism
    return max(min(job.completions - succeeded, job.parallelism), 0)


def _pending(look: Look, number: int, settled: Intervals) -> list[int]:
    """The lowest indexes that nobody works at."""
    taken = {pod.completion_index for pod in look.active}
    if look.job.only_failed:
        taken |= {pod.completion_index for pod in look.terminating}
    taken.discard(NO_INDEX)
    return indexes.lowest_free(indexes.with_indexes(settled, taken), number, look.completions)
