"""Preemptions that are under way: whose room is being made, and which victims have still to be asked to go.

All victims but the last are asked side by side, the last one when the others have been; while that goes on
the pod they go for is not tried. A victim that is gone already is as good as asked, one that has changed
meanwhile is asked once more. Anything else that goes wrong ends the preemption, and the pod looks anew.
Source: Kubernetes 1.37, pkg/scheduler/framework/preemption/executor.go (prepareCandidateAsync).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from nestling.machinery.controller import Outcome
from nestling.machinery.errors import Conflict, NotFound
from nestling.machinery.names import Key
from nestling.scheduler.preemption import Candidate
from nestling.scheduler.queue import QueuedPod
from nestling.scheduler.residents import Resident, Residents

TRIES: Final = 4  # of asking a pod that keeps changing


@dataclass(slots=True, eq=False)
class Eviction:
    """One victim to be asked, for the sake of a pod; `version` is the one that the request is about."""

    victim: Resident
    pod: QueuedPod
    node: str
    version: int
    tries: int = 1


@dataclass(slots=True, eq=False)
class _UnderWay:
    pod: QueuedPod
    node: str
    first: list[Resident]
    last: list[Resident]
    asked: int = 0
    failed: bool = False


class Evictions:
    """The preemptions of one cluster, by the pod that they are for."""

    def __init__(self, residents: Residents) -> None:
        self._residents = residents
        self._under_way: dict[Key, _UnderWay] = {}

    def plan(self, pod: QueuedPod, candidate: Candidate) -> None:
        """Keep in mind whom to ask, as soon as the pod's nomination is written."""
        victims = [victim for victim in candidate.victims if not victim.record.deleting]
        self._under_way[pod.key] = _UnderWay(pod, candidate.node, victims[:-1], victims[-1:])

    def drop(self, pod: QueuedPod) -> None:
        """Ask nobody any more on behalf of this pod."""
        found = self._under_way.get(pod.key)
        if found is not None and found.pod is pod:
            del self._under_way[pod.key]

    def holds(self, pod: QueuedPod) -> bool:
        """Whether somebody is still to be asked, or being asked, on behalf of this pod."""
        found = self._under_way.get(pod.key)
        return found is not None and found.pod is pod

    def ask(self, pod: QueuedPod) -> Iterator[Eviction]:
        """Whom to ask now: the first ones, then the last; nobody while some are being asked, or when all
        were."""
        found = self._under_way.get(pod.key)
        if found is None or found.pod is not pod or found.asked:
            return
        if found.failed:
            del self._under_way[pod.key]
            return
        for group in (found.first, found.last):
            turn = [victim for victim in group if self._stays(victim)]
            group.clear()
            if turn:
                found.asked = len(turn)
                yield from (Eviction(victim, pod, found.node, victim.record.version) for victim in turn)
                return
        del self._under_way[pod.key]

    def asked(self, eviction: Eviction, outcome: Outcome) -> tuple[bool, Eviction | None]:
        """Take note of how one request went: whether it is done or may be repeated, and the repetition."""
        found = self._under_way.get(eviction.pod.key)
        if found is None or found.pod is not eviction.pod:
            return True, None
        error = outcome.error
        if error is not None and not isinstance(error, NotFound) and self._stays(eviction.victim):
            version = eviction.victim.record.version
            if isinstance(error, Conflict) and version > eviction.version and eviction.tries < TRIES:
                again = Eviction(
                    eviction.victim, eviction.pod, eviction.node, version, tries=eviction.tries + 1
                )
                return True, again
            found.failed = True
        found.asked -= 1
        return not found.failed, None

    def _stays(self, victim: Resident) -> bool:
        """Whether it still lives there, and nobody has asked it to go."""
        return self._residents.get(victim.key) is victim and not victim.record.deleting
