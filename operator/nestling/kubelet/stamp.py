"""Timestamps as statuses carry them, made once per second instead of once per pod.

In a burst thousands of statuses carry the same second; writing it out is a tenth of the work on an
ordinary pod.
"""

from functools import lru_cache

from nestling.machinery.clock import seconds_or, timestamp


def stamp(seconds: float) -> str:
    """RFC 3339 text of whole seconds."""
    return _text(int(seconds))


@lru_cache(maxsize=256)
def _text(seconds: int) -> str:
    return timestamp(seconds)


@lru_cache(maxsize=4096)
def moment(text: str) -> float:
    """Seconds since 1970 of a timestamp; 0 for one that cannot be read (nobody but us should write them)."""
    return seconds_or(text, 0.0)
