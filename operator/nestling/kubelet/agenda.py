"""What to look at next: lanes of things that are due, a heap of things that will be, and what is under way.

One thing is looked at by one plan at a time. A change during its plan is remembered; a plan that failed
brings the thing back, after a pause that grows with the failures in a row. No task, no timer and no lock
per thing.
"""

import heapq
import math
from typing import Final

from nestling.machinery.controller import Outcome
from nestling.machinery.errors import Conflict, NotFound, Refused, Throttled
from nestling.machinery.names import Key, suffix
from nestling.machinery.plan import Plan

# Waiting for the cache to catch up with our own write, or with whoever made us fail; a change comes sooner.
CATCH_UP_S: Final = 2.0
FIRST_RETRY_S: Final = 0.25
LAST_RETRY_S: Final = 30.0
REFUSED_RETRY_S: Final = 5.0
REFUSED_LAST_S: Final = 300.0
TIDY_FROM: Final = 1024


class Item:
    """One thing to look at. `version` is the one its plan was made on, `again` asks for a look after the
    plan.
    """

    __slots__ = ("again", "failures", "key", "lane", "plan", "queued", "version", "wake_at")

    def __init__(self, key: Key, lane: int) -> None:
        self.key = key
        self.lane = lane
        self.plan: Plan | None = None
        self.version = 0
        self.queued = False
        self.again = False
        self.failures = 0
        self.wake_at = math.inf


class Agenda:
    """Items in lanes; a lower lane goes first."""

    def __init__(self, lanes: int) -> None:
        self._due: tuple[dict[Item, None], ...] = tuple({} for _ in range(lanes))
        self._later: list[tuple[float, int, Item]] = []
        self._count = 0
        self._most = TIDY_FROM

    def __len__(self) -> int:
        return sum(map(len, self._due))

    def add(self, item: Item) -> None:
        """Look at the item in its turn; if a plan of its is under way, after that."""
        if item.plan is not None:
            item.again = True
        elif not item.queued:
            item.queued = True
            self._due[item.lane][item] = None

    def wake(self, item: Item, when: float) -> None:
        """Look at the item at `when`, unless an earlier look is booked."""
        if when < item.wake_at:
            item.wake_at = when
            self._count += 1
            heapq.heappush(self._later, (when, self._count, item))
            if len(self._later) > self._most:
                self._tidy()

    def rebook(self, item: Item) -> None:
        """Look at the item now, whatever was booked."""
        item.wake_at = math.inf
        self.add(item)

    def _tidy(self) -> None:
        """Take out of the heap what was cancelled or booked twice: a far booking renewed often would pile
        up.
        """
        booked = {entry[2]: entry for entry in self._later if entry[2].wake_at == entry[0]}
        self._later = list(booked.values())
        heapq.heapify(self._later)
        self._most = max(TIDY_FROM, 2 * len(self._later))

    def drop(self, item: Item) -> None:
        """Forget the item."""
        item.wake_at = math.inf
        item.again = False
        if item.queued:
            item.queued = False
            self._due[item.lane].pop(item, None)

    def take(self, now: float) -> Item | None:
        """The next item that is due, with its booking cancelled: the look will make a new one."""
        while self._later and self._later[0][0] <= now:
            when, _, item = heapq.heappop(self._later)
            if item.wake_at == when:
                item.wake_at = math.inf
                self.add(item)
        for lane in self._due:
            if lane:
                item = next(iter(lane))
                del lane[item]
                item.queued = False
                item.wake_at = math.inf
                return item
        return None

    def due_at(self) -> float | None:
        """When `take` has something to give; 0 for at once, None for never."""
        if any(self._due):
            return 0.0
        while self._later and self._later[0][2].wake_at != self._later[0][0]:
            heapq.heappop(self._later)
        return self._later[0][0] if self._later else None

    def settle(self, item: Item, outcome: Outcome, version: int, now: float) -> None:
        """Take note of how the item's plan went; `version` is the object's, as the cache has it now."""
        item.plan = None
        error = outcome.error
        behind = version == item.version
        if error is None:
            item.failures = 0
            if item.again:
                item.again = False
                self._after(item, behind=behind, now=now, pause=CATCH_UP_S)
            return
        item.again = False
        item.wake_at = math.inf  # what the look had booked followed from a write that was not done
        item.failures += 1
        match error:
            case Throttled():
                self.wake(item, now + error.retry_after_s)
            case Conflict() | NotFound():
                self._after(item, behind=behind, now=now, pause=_pause(item, FIRST_RETRY_S, CATCH_UP_S))
            case Refused():
                self.wake(item, now + _pause(item, REFUSED_RETRY_S, REFUSED_LAST_S))
            case _:
                self.wake(item, now + _pause(item, FIRST_RETRY_S, LAST_RETRY_S))

    def _after(self, item: Item, *, behind: bool, now: float, pause: float) -> None:
        """Look again: at once, or, while the cache is behind, when it has caught up (a change adds the
        item).
        """
        if behind:
            self.wake(item, now + pause)
        else:
            self.add(item)


def _pause(item: Item, first: float, last: float) -> float:
    """Doubling, with up to a fifth of jitter that depends on the item, so that a crowd spreads out."""
    jitter = sum(map(ord, suffix(*item.key, item.failures))) % 100 / 500
    return min(first * 2 ** min(item.failures - 1, 16), last) * (1 + jitter)
