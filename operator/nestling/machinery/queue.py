"""A work queue of keys: each at most once in line and once in work, retried with back-off, fair to clusters.

Nothing here waits: `take` answers at once, and `due_at` says when asking again is worth it. The driver does
the waiting, so a test can be the driver.

Source: the semantics of client-go's workqueue (Kubernetes 1.37, staging/src/k8s.io/client-go/util/workqueue):
a key that is added while in work is done once more afterwards; retries double from 5 ms to 1000 s.
"""

import heapq
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from random import Random
from typing import Final, Protocol

from nestling.machinery.clock import Clock
from nestling.machinery.names import Key

BASE_DELAY_S: Final = 0.005
MAX_DELAY_S: Final = 1000.0


class QueueMetrics(Protocol):
    """What a queue tells about itself, in the words of client-go's `workqueue_*` families."""

    def added(self) -> None:
        """A key was put in line."""
        ...

    def started(self, waited_s: float) -> None:
        """A key went into work after so long in line."""
        ...

    def finished(self, worked_s: float) -> None:
        """A key came out of work."""
        ...

    def retried(self) -> None:
        """A key was put back with a delay after a failure."""
        ...


class Queue:
    """Keys to look at. Not safe for threads: one event loop owns it.

    Keys of the same `lane` are never in work at the same time; by default each key is a lane of its own.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        random: Random | None = None,
        metrics: QueueMetrics | None = None,
        lane: Callable[[Key], Hashable] | None = None,
    ) -> None:
        self._clock = clock
        self._random = random or Random()
        self._metrics = metrics
        self._lines: OrderedDict[str, deque[Key]] = OrderedDict()  # one line per cluster, taken in turns
        self._waiting: dict[Key, float] = {}  # in line, since when
        self._working: dict[Key, float] = {}  # in work, since when
        self._again: set[Key] = set()  # added while in work
        self._later: list[tuple[float, int, Key]] = []
        self._due: dict[Key, float] = {}  # the earliest entry of each key in `_later`; others are stale
        self._failures: dict[Key, int] = {}
        self._sequence = 0
        self._lane = lane
        self._parked: dict[Hashable, deque[Key]] = {}  # lane in work -> its keys that have to wait

    def __len__(self) -> int:
        """Keys in line; those in work and those with a delay do not count."""
        return len(self._waiting)

    @property
    def ready(self) -> bool:
        """Whether `take` has something to give now; keys whose lane is in work do not count."""
        return bool(self._lines)

    @property
    def working(self) -> dict[Key, float]:
        """Keys in work, with the monotonic second since when."""
        return self._working

    def add(self, key: Key) -> None:
        """Put a key in line, unless it is there; if it is in work, it will be looked at once more."""
        if key in self._waiting:
            return
        if self._metrics is not None and key not in self._again:
            self._metrics.added()
        if key in self._working:
            self._again.add(key)
            return
        self._waiting[key] = self._clock.monotonic()
        self._line_up(key)

    def add_after(self, key: Key, delay_s: float) -> None:
        """Put a key in line after a delay; an earlier time that is already set stays."""
        if delay_s <= 0:
            self.add(key)
            return
        due = self._clock.monotonic() + delay_s
        if self._due.get(key, float("inf")) <= due:
            return
        self._due[key] = due
        self._sequence += 1
        heapq.heappush(self._later, (due, self._sequence, key))

    def retry(self, key: Key, *, at_least_s: float = 0.0) -> float:
        """Put a key back after a failure.

        5 ms, doubling to 1000 s, with jitter. Returns the delay in seconds.
        """
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(BASE_DELAY_S * 2 ** min(failures, 30), MAX_DELAY_S) * (1 + self._random.random() / 4)
        delay = max(delay, at_least_s)
        if self._metrics is not None:
            self._metrics.retried()
        self.add_after(key, delay)
        return delay

    def forget(self, key: Key) -> None:
        """End the back-off of a key: it has succeeded."""
        self._failures.pop(key, None)

    def take(self) -> Key | None:
        """The next key to work on, from the cluster whose turn it is; None if none is in line."""
        self._promote()
        while self._lines:
            cluster, line = self._lines.popitem(last=False)
            key = line.popleft()
            if line:
                self._lines[cluster] = line  # back at the end: the next cluster's turn
            if self._lane is not None and not self._enter(self._lane(key), key):
                continue
            now = self._clock.monotonic()
            since = self._waiting.pop(key)
            self._working[key] = now
            if self._metrics is not None:
                self._metrics.started(now - since)
            return key
        return None

    def done(self, key: Key) -> None:
        """A key is out of work; if it was added meanwhile, it goes back in line."""
        since = self._working.pop(key)
        if self._lane is not None:
            for parked in self._parked.pop(self._lane(key)):
                self._line_up(parked)
        if self._metrics is not None:
            self._metrics.finished(self._clock.monotonic() - since)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def due_at(self) -> float | None:
        """Monotonic second at which the next delayed key comes due; None if there is none."""
        while self._later and self._due.get(self._later[0][2]) != self._later[0][0]:
            heapq.heappop(self._later)
        return self._later[0][0] if self._later else None

    def _line_up(self, key: Key) -> None:
        line = self._lines.get(key.cluster)
        if line is None:
            line = self._lines[key.cluster] = deque()
        line.append(key)

    def _enter(self, lane: Hashable, key: Key) -> bool:
        """Take a lane into work; if it is there already, `key` waits until it comes out."""
        parked = self._parked.get(lane)
        if parked is None:
            self._parked[lane] = deque()
            return True
        parked.append(key)
        return False

    def _promote(self) -> None:
        now = self._clock.monotonic()
        while (due := self.due_at()) is not None and due <= now:
            _, _, key = heapq.heappop(self._later)
            del self._due[key]
            self.add(key)
