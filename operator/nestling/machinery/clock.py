"""Time as a thing that is passed in: wall time for what objects say, monotonic time for how long to wait.

A loop never asks the operating system for the time; it asks its `Clock`. So a test moves time by hand, and a
simulation can run it faster than life.
"""

import time
from datetime import UTC, datetime
from typing import Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """Wall time in seconds since 1970 (UTC), and monotonic seconds that only ever grow."""

    def now(self) -> float:
        """Seconds since 1970, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back, whatever happens to the wall clock."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> float:
        """Seconds since 1970, UTC."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds of the operating system's monotonic clock."""
        return time.monotonic()


class ManualClock:
    """A clock that stands still until somebody moves it; for tests and for stepping a simulation."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start
        self._monotonic = 0.0

    def now(self) -> float:
        """Seconds since 1970, UTC, as last set."""
        return self._now

    def monotonic(self) -> float:
        """Seconds this clock was moved forward since it was made."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Move both clocks forward. Raises ValueError for a negative step."""
        if seconds < 0:
            raise ValueError("time does not run backwards; a wall clock may jump, see `jump`")
        self._now += seconds
        self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock off by `seconds`, either way, as an administrator or NTP would."""
        self._now += seconds


def timestamp(seconds: float) -> str:
    """RFC 3339 text of whole seconds, as Kubernetes writes `metav1.Time`: `2027-01-15T08:00:00Z`."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def timestamp_micro(seconds: float) -> str:
    """RFC 3339 text with microseconds, as Kubernetes writes `metav1.MicroTime` (Leases, Events)."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds_of(text: str) -> float:
    """Seconds since 1970 of an RFC 3339 text. Raises ValueError for anything else."""
    return datetime.fromisoformat(text).timestamp()


def seconds_or(text: object, otherwise: T) -> float | T:
    """Seconds since 1970 of a time that somebody else wrote, or `otherwise` if it is none."""
    try:
        return seconds_of(str(text)) if text else otherwise
    except ValueError:
        return otherwise
