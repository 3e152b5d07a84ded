"""Pending pods of one cluster: who is next, who waits out a failure, who waits for the cluster to change.

Four places. Active: a heap by priority, then by time. Backing off: 1 s doubling to 10 s, in windows of a
second, apart for refusals and for errors; an idle scheduler takes refused pods out early. Unschedulable:
grouped by pod class, until an event that could help, at most five minutes. Gated: until the last gate goes.
Pure: time is passed in.
Source: Kubernetes 1.37, pkg/scheduler/backend/queue (scheduling_queue.go, backoff_queue.go).
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from heapq import heappop, heappush
from math import floor, inf
from typing import Final

from nestling.machinery.names import Key
from nestling.machinery.records.pod import Pod
from nestling.scheduler.podclass import PodClass

FIRST_BACKOFF_S: Final = 1.0
LONGEST_BACKOFF_S: Final = 10.0
WINDOW_S: Final = 1.0
LEFT_OVER_S: Final = 300.0  # longest stay in the unschedulable pool, in case a hint missed something


class Place(Enum):
    """Where a pod is; values are the `queue` label of pending_pods. NOWHERE: popped, or not ours to try."""

    ACTIVE = "active"
    BACKOFF = "backoff"
    UNSCHEDULABLE = "unschedulable"
    GATED = "gated"
    NOWHERE = ""


class Flight(Enum):
    """The plan of a pod that is being carried out."""

    NONE = 0
    BIND = 1
    TELL = 2


@dataclass(slots=True, eq=False)
class QueuedPod:
    """One pending pod. `record` is its last version; times are seconds since 1970.

    `refusals` counts attempts that plugins refused, `errors` those that failed in a row for another reason;
    `plugins` are those that refused it last; `said` is the reason and message that its condition carries;
    `decided_on` is the version that the plan in flight is about; `outdated`: the host has a newer one.
    """

    record: Pod
    pods: PodClass
    priority: int
    added_at: float
    sets_priority: bool = False
    priority_class: str = ""
    since: float = 0.0
    attempts: int = 0
    refusals: int = 0
    errors: int = 0
    plugins: frozenset[str] = frozenset()
    said: tuple[str, str] | None = None
    place: Place = Place.NOWHERE
    ticket: int = 0
    flight: Flight = Flight.NONE
    again: bool = False
    started_at: float = 0.0
    algorithm_s: float = 0.0
    decided_on: int = 0
    outdated: bool = False

    @property
    def key(self) -> Key:
        """Where the pod lives."""
        return self.record.key


def backoff_s(failures: int) -> float:
    """Seconds to wait after the n-th failure: 1 doubling to 10; 0 before any."""
    if failures <= 0:
        return 0.0
    return min(FIRST_BACKOFF_S * 2 ** min(failures - 1, 10), LONGEST_BACKOFF_S)


class SchedulingQueue:
    """The pods of one cluster that want a node, each in one place; heaps forget lazily, by ticket."""

    def __init__(self) -> None:
        self._active: list[tuple[int, float, int, QueuedPod]] = []
        self._backoff: list[tuple[float, int, float, int, QueuedPod]] = []
        self._errors: list[tuple[float, int, QueuedPod]] = []
        self._pool: dict[bytes, dict[Key, QueuedPod]] = {}
        self._stays: deque[tuple[float, int, QueuedPod]] = deque()
        self._tickets = 0
        self.count: dict[Place, int] = dict.fromkeys(Place, 0)

    # -- in --

    def activate(self, pod: QueuedPod, now: float) -> None:
        """Try it as soon as its turn comes; a pod that has not waited yet starts to."""
        if pod.attempts == 0:
            pod.since = now
        ticket = self._move(pod, Place.ACTIVE)
        heappush(self._active, (-pod.priority, pod.since, ticket, pod))

    def gate(self, pod: QueuedPod) -> None:
        """Do not try it until its gates are gone."""
        self._move(pod, Place.GATED)

    def refuse(self, pod: QueuedPod, plugins: frozenset[str], now: float) -> None:
        """Plugins refused it: let it wait for a change that could help."""
        pod.refusals += 1
        pod.errors = 0
        pod.plugins = plugins
        pod.since = now
        ticket = self._move(pod, Place.UNSCHEDULABLE)
        self._pool.setdefault(pod.pods.key, {})[pod.key] = pod
        self._stays.append((now, ticket, pod))

    def fail(self, pod: QueuedPod, now: float) -> None:
        """Something other than a plugin went wrong: try again after a while, whatever happens."""
        pod.errors += 1
        pod.since = now
        self.put_off(pod, _window(now + backoff_s(pod.errors)))

    def put_off(self, pod: QueuedPod, until: float) -> None:
        """Try it again once the window that starts at `until` is over."""
        ticket = self._move(pod, Place.BACKOFF)
        heappush(self._errors, (until, ticket, pod))

    def wake(self, pod: QueuedPod, now: float) -> None:
        """Something happened that could help a refused pod: active again, once its back-off is over."""
        until = _window(pod.since + backoff_s(pod.refusals))
        if pod.refusals and until >= _window(now):
            ticket = self._move(pod, Place.BACKOFF)
            heappush(self._backoff, (until, -pod.priority, pod.since, ticket, pod))
        else:
            self.activate(pod, now)

    def remove(self, pod: QueuedPod) -> None:
        """It is gone, bound, or no longer ours."""
        self._move(pod, Place.NOWHERE)

    # -- out --

    def pop(self, now: float) -> QueuedPod | None:
        """The next pod to try. With nobody active, one that backs off from a refusal goes early."""
        self.flush(now)
        while self._active:
            *_, ticket, pod = heappop(self._active)
            if pod.ticket == ticket:
                self._move(pod, Place.NOWHERE)
                return pod
        while self._backoff:
            *_, ticket, pod = heappop(self._backoff)
            if pod.ticket == ticket:
                self._move(pod, Place.NOWHERE)
                return pod
        return None

    def flush(self, now: float) -> None:
        """Activate whose back-off is over, and wake who has been unschedulable for too long."""
        window = _window(now)
        self._tidy()
        while self._backoff and self._backoff[0][0] < window:
            self.activate(heappop(self._backoff)[-1], now)
            self._tidy()
        while self._errors and self._errors[0][0] < window:
            self.activate(heappop(self._errors)[-1], now)
            self._tidy()
        while self._stays and self._stays[0][0] + LEFT_OVER_S <= now:
            self.wake(self._stays.popleft()[-1], now)
            self._tidy()

    # -- looking --

    def groups(self) -> Iterator[tuple[PodClass, list[QueuedPod]]]:
        """Unschedulable pods by class."""
        for group in list(self._pool.values()):
            pods = list(group.values())
            yield pods[0].pods, pods

    def wake_at(self) -> float | None:
        """When `pop` may have something: 0 for at once, None for never without an event."""
        self._tidy()
        if self.count[Place.ACTIVE] or self._backoff:
            return 0.0
        soonest = self._errors[0][0] + WINDOW_S if self._errors else inf
        if self._stays:
            soonest = min(soonest, self._stays[0][0] + LEFT_OVER_S)
        return soonest if soonest < inf else None

    def _tidy(self) -> None:
        """Drop entries of pods that have moved on from the tops, so that the tops tell the truth."""
        while self._backoff and self._backoff[0][-1].ticket != self._backoff[0][-2]:
            heappop(self._backoff)
        while self._errors and self._errors[0][-1].ticket != self._errors[0][-2]:
            heappop(self._errors)
        while self._stays and self._stays[0][-1].ticket != self._stays[0][-2]:
            self._stays.popleft()

    def _move(self, pod: QueuedPod, place: Place) -> int:
        if pod.place is Place.UNSCHEDULABLE:
            group = self._pool[pod.pods.key]
            del group[pod.key]
            if not group:
                del self._pool[pod.pods.key]
        self.count[pod.place] -= 1
        self.count[place] += 1
        pod.place = place
        self._tickets += 1
        pod.ticket = self._tickets
        return pod.ticket


def _window(moment: float) -> float:
    """The start of the second that `moment` lies in."""
    return float(floor(moment / WINDOW_S)) * WINDOW_S
