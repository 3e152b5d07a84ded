"""Count every pod that ends exactly once, whatever happens between two writes.

A pod carries the finalizer `batch.kubernetes.io/job-tracking` until its end is counted. First its UID goes
into `status.uncountedTerminatedPods`; then the finalizer goes; and once no pod of that UID carries it, the
UID leaves the list and the counter goes up, both in one write. Successes of an indexed Job need no list: the
index itself says that it has been counted.
Source: Kubernetes 1.37, pkg/controller/job/job_controller.go (trackJobStatusAndRemoveFinalizers).
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from nestling.api.json import JsonObject
from nestling.controllers.job import indexes, per_index
from nestling.controllers.job.condition import is_success
from nestling.controllers.job.indexes import Intervals
from nestling.controllers.job.look import Look
from nestling.machinery.records.pod import Pod

# UIDs that may wait in the status at once: about 20 KB of them.
MOST_UNCOUNTED: Final = 500


@dataclass(frozen=True, slots=True)
class Uncounted:
    """UIDs of pods that have ended and are not in the counters yet."""

    succeeded: Sequence[str] = ()
    failed: Sequence[str] = ()

    @classmethod
    def read(cls, status: JsonObject) -> "Uncounted":
        """The lists as the status has them."""
        found: JsonObject = status.get("uncountedTerminatedPods") or {}
        return cls(found.get("succeeded") or (), found.get("failed") or ())

    def __len__(self) -> int:
        return len(self.succeeded) + len(self.failed)

    def to_json(self) -> JsonObject:
        """The lists as they go into the status; empty ones are left out."""
        lists = {"succeeded": list(self.succeeded), "failed": list(self.failed)}
        return {name: uids for name, uids in lists.items() if uids}


@dataclass(slots=True)
class Count:
    """What a look counts.

    `succeeded` and `failed` are the new counters, `uncounted` the new lists, `done` the succeeded indexes.
    `released` are the pods whose finalizer goes after the status is written. `full`: there were more.
    """

    succeeded: int
    failed: int
    uncounted: Uncounted
    done: Intervals
    released: list[Pod] = field(default_factory=list[Pod])
    full: bool = False
    by_action: Counter[str] = field(default_factory=Counter[str])


def count(
    look: Look,
    *,
    before: Intervals,
    ending: JsonObject | None,
    held: Mapping[int, Pod],
) -> Count:
    """Count what has ended, at most 500 pods at a time.

    `before` are the succeeded indexes that the status has, `ending` is the condition by which the Job is
    about to finish, `held` the pods that have to stay until they have a successor.
    """
    job, stored = look.job, Uncounted.read(look.status)
    tracked = {pod.uid for pod in look.tracked}
    succeeded = [uid for uid in stored.succeeded if uid in tracked]
    failed = [uid for uid in stored.failed if uid in tracked]
    known_succeeded, known_failed = frozenset(stored.succeeded), frozenset(stored.failed)
    found = Count(
        job.succeeded + len(stored.succeeded) - len(succeeded),
        job.failed + len(stored.failed) - len(failed),
        Uncounted(succeeded, failed),
        before,
    )
    new: list[int] = []
    for pod in look.tracked:
        is_failed = look.is_failed(pod)
        if not _may_go(look, pod, ending, held, is_failed=is_failed):
            continue
        found.released.append(pod)
        if pod.phase == "Succeeded" and pod.uid not in known_failed:
            if job.indexed:
                if look.has_index(pod) and not indexes.has(before, pod.completion_index):
                    new.append(pod.completion_index)
            elif pod.uid not in known_succeeded:
                succeeded.append(pod.uid)
        elif (
            # When the Job has failed, so has every pod that had not ended.
            (is_failed or (ending is not None and not is_success(ending)))
            and pod.uid not in known_failed
            and look.is_valid(pod)
            and _counts(look, pod, found.by_action)
        ):
            failed.append(pod.uid)
        if len(new) + len(succeeded) + len(failed) >= MOST_UNCOUNTED:
            found.full = True
            break
    if job.indexed:
        found.done = indexes.with_indexes(before, new)
        found.succeeded = indexes.total(found.done)
    return found


def newly_ended(look: Look, uncounted: Collection[str], ended: Iterable[Pod]) -> list[Pod]:
    """Of the pods that have ended those that neither the counters nor the lists know."""
    known = frozenset(uncounted)
    return [pod for pod in ended if pod.uid not in known and look.is_valid(pod)]


def _may_go(
    look: Look, pod: Pod, ending: JsonObject | None, held: Mapping[int, Pod], *, is_failed: bool
) -> bool:
    """Whether the pod's finalizer may go."""
    if look.job.deleting or ending is not None or pod.phase == "Succeeded":
        return True
    if not is_failed:
        return False
    return look.job.backoff_limit_per_index is None or not per_index.is_held(pod, held)


def _counts(look: Look, pod: Pod, by_action: Counter[str]) -> bool:
    verdict = look.verdict(pod)
    if verdict.action:
        by_action[verdict.action] += 1
    return verdict.counts
