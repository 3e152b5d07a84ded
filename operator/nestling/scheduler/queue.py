"""Pending pods of one cluster: who is next, who waits out a failure, who waits for the cluster to change.

Four places. Active: a heap by priority, then by time. Backing off: 1 s doubling to 10 s unless told
otherwise, in windows of a second, apart for refusals and for errors; an idle scheduler takes refused pods out
early. Unschedulable: grouped by profile and pod class, until an event that could help, at most five minutes.
Gated: until the last gate goes. Pure: time is passed in.
Source: Kubernetes 1.37, pkg/scheduler/backend/queue (scheduling_queue.go, backoff_queue.go).
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from heapq import heappop, heappush
from math import floor, inf
from typing import Final, TypeAlias

from nestling.machinery.names import Key
from nestling.machinery.records.pod import Pod
from nestling.scheduler.framework import DEFAULT_SCHEDULER
from nestling.scheduler.podclass import PodClass

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
    """What is being carried out for a pod: until it is done the pod is not tried.

    CONSULT asks extenders where it may go, PERMIT waits for a plugin's word on its bind, DELEGATE asks an
    extender to bind it, PREEMPT makes room for it.
    """

    NONE = 0
    BIND = 1
    TELL = 2
    CONSULT = 3
    DELEGATE = 4
    PREEMPT = 5
    PERMIT = 6


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long pods wait after a failure: `first_s` doubling up to `longest_s`; 0 for the latter means
    never."""

    first_s: float = 1.0
    longest_s: float = 10.0

    def after(self, failures: int) -> float:
        """Seconds to wait after the n-th failure; 0 before any."""
        if failures <= 0:
            return 0.0
        return min(self.first_s * 2 ** min(failures - 1, 32), self.longest_s)


@dataclass(slots=True, eq=False)
class QueuedPod:
    """One pending pod. `record` is its last version; times are seconds since 1970.

    `refusals` counts attempts that plugins refused, `errors` those that failed in a row for another reason;
    `plugins` are those that refused it last; `said` is the reason and message that its condition carries;
    `decided_on` is the version that the plan in flight is about; `outdated`: the host has a newer one.
    `entered_at` is when it could first be tried, None before; `flushed`: only patience brought it back, no
    event. `classless`: its priority class does not exist. `nominated` is the node on which room is made for
    it; only the nominator changes it.
    """

    record: Pod
    pods: PodClass
    priority: int
    added_at: float
    profile: str = DEFAULT_SCHEDULER
    sets_priority: bool = False
    priority_class: str = ""
    preempts: bool = True
    classless: bool = False
    since: float = 0.0
    entered_at: float | None = None
    attempts: int = 0
    refusals: int = 0
    errors: int = 0
    plugins: frozenset[str] = frozenset()
    flushed: bool = False
    nominated: str = ""
    said: tuple[str, str] | None = None
    place: Place = Place.NOWHERE
    ticket: int = 0
    flight: Flight = Flight.NONE
    again: bool = False
    started_at: float = 0.0
    algorithm_s: float = 0.0
    decided_on: int = 0
    outdated: bool = False

    def __post_init__(self) -> None:
        self.since = self.since or self.added_at

    @property
    def key(self) -> Key:
        """Where the pod lives."""
        return self.record.key


Order: TypeAlias = Callable[[int, float], tuple[float, ...]]
"""What active pods are sorted by, lowest first, from priority and the time since when they wait
(QueueSort)."""


def by_priority(priority: int, since_s: float) -> tuple[float, ...]:
    """The more important first, then who waits longer."""
    return -priority, since_s


class SchedulingQueue:
    """The pods of one cluster that want a node, each in one place; heaps forget lazily, by ticket."""

    def __init__(self, backoff: Backoff | None = None) -> None:
        self.backoff = backoff if backoff is not None else Backoff()
        self.order: Order = by_priority
        self._active: list[tuple[tuple[float, ...], int, QueuedPod]] = []
        self._backoff: list[tuple[float, tuple[float, ...], int, QueuedPod]] = []
        self._errors: list[tuple[float, int, QueuedPod]] = []
        self._pool: dict[tuple[str, bytes], dict[Key, QueuedPod]] = {}
        self._stays: deque[tuple[float, int, QueuedPod]] = deque()
        self._tickets = 0
        self.count: dict[Place, int] = dict.fromkeys(Place, 0)

    # -- in --

    def activate(self, pod: QueuedPod, now: float) -> None:
        """Try it as soon as its turn comes."""
        if pod.entered_at is None:
            pod.entered_at = now
        ticket = self._move(pod, Place.ACTIVE)
        heappush(self._active, (self.order(pod.priority, pod.since), ticket, pod))

    def gate(self, pod: QueuedPod) -> None:
        """Do not try it until its gates are gone."""
        self._move(pod, Place.GATED)

    def refuse(self, pod: QueuedPod, plugins: frozenset[str], now: float) -> None:
        """Plugins refused it: let it wait for a change that could help."""
        pod.refusals += 1
        pod.errors = 0
        pod.plugins = plugins
        pod.flushed = False
        pod.since = now
        ticket = self._move(pod, Place.UNSCHEDULABLE)
        self._pool.setdefault(_group(pod), {})[pod.key] = pod
        self._stays.append((now, ticket, pod))

    def keep(self, pod: QueuedPod) -> None:
        """Put a refused pod back to wait as it did: it has changed, but nothing has been tried."""
        ticket = self._move(pod, Place.UNSCHEDULABLE)
        self._pool.setdefault(_group(pod), {})[pod.key] = pod
        self._stays.append((pod.since, ticket, pod))

    def fail(self, pod: QueuedPod, now: float) -> None:
        """Something other than a plugin went wrong: try again after a while, whatever happens."""
        pod.errors += 1
        pod.plugins = frozenset()
        pod.flushed = False
        pod.since = now
        self.put_off(pod, _window(now + self.backoff.after(pod.errors)))

    def put_off(self, pod: QueuedPod, until: float) -> None:
        """Try it again once the window that starts at `until` is over."""
        ticket = self._move(pod, Place.BACKOFF)
        heappush(self._errors, (until, ticket, pod))

    def wake(self, pod: QueuedPod, now: float) -> None:
        """Something happened that could help a refused pod: active again, once its back-off is over."""
        delay_s = self.backoff.after(pod.refusals)
        until = _window(pod.since + delay_s)
        if delay_s and until >= _window(now):
            ticket = self._move(pod, Place.BACKOFF)
            heappush(self._backoff, (until, self.order(pod.priority, pod.since), ticket, pod))
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
            pod = self._stays.popleft()[-1]
            pod.flushed = True
            self.wake(pod, now)
            self._tidy()

    # -- looking --

    def groups(self) -> Iterator[tuple[str, PodClass, list[QueuedPod]]]:
        """Unschedulable pods by profile and class."""
        for (profile, _), group in list(self._pool.items()):
            pods = list(group.values())
            yield profile, pods[0].pods, pods

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
            group = self._pool[_group(pod)]
            del group[pod.key]
            if not group:
                del self._pool[_group(pod)]
        self.count[pod.place] -= 1
        self.count[place] += 1
        pod.place = place
        self._tickets += 1
        pod.ticket = self._tickets
        return pod.ticket


def _group(pod: QueuedPod) -> tuple[str, bytes]:
    return pod.profile, pod.pods.key


def _window(moment: float) -> float:
    """The start of the second that `moment` lies in."""
    return float(floor(moment / WINDOW_S)) * WINDOW_S
