"""Sets of completion indexes as a Job's status and success policy write them: `0-3,5,8,9`.

Kept as ordered intervals that neither touch nor overlap, so that a Job of 100,000 indexes costs as many steps
as its text has commas.
Source: Kubernetes 1.37, pkg/controller/job/indexed_job_utils.go (orderedIntervals).
"""

from bisect import bisect_right
from collections.abc import Iterable
from typing import TypeAlias

Intervals: TypeAlias = tuple[tuple[int, int], ...]
"""First and last index of each interval, both included, in order."""


def parse(text: str, completions: int) -> Intervals:
    """The indexes of a text that are below `completions`; what cannot be read is passed over."""
    found: list[tuple[int, int]] = []
    for part in text.split(",") if text else ():
        first, dash, last = part.partition("-")
        if not _is_number(first):
            continue
        low = int(first)
        if low >= completions:
            break
        if dash and not _is_number(last):
            continue
        high = min(int(last), completions - 1) if dash else low
        if found and found[-1][1] == low - 1:
            found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return tuple(found)


def text_of(intervals: Intervals) -> str:
    """The text of a set. Two neighbours are a pair, three and more a range: `1,2` and `1-3`."""
    parts: list[str] = []
    for first, last in intervals:
        parts.append(str(first) if first == last else f"{first}{',' if last == first + 1 else '-'}{last}")
    return ",".join(parts)


def total(intervals: Intervals) -> int:
    """How many indexes are in the set."""
    return sum(last - first + 1 for first, last in intervals)


def has(intervals: Intervals, index: int) -> bool:
    """Whether `index` is in the set. Takes logarithmic time."""
    at = bisect_right(intervals, index, key=_first) - 1
    return at >= 0 and index <= intervals[at][1]


def union(*sets: Intervals) -> Intervals:
    """The indexes of all sets together."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(interval for one in sets for interval in one):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return tuple(found)


def with_indexes(intervals: Intervals, indexes: Iterable[int]) -> Intervals:
    """The set with single indexes added."""
    return union(intervals, tuple((index, index) for index in indexes))


def overlap(one: Intervals, other: Intervals) -> int:
    """How many indexes are in both sets."""
    count = here = there = 0
    while here < len(one) and there < len(other):
        first, last = max(one[here][0], other[there][0]), min(one[here][1], other[there][1])
        count += max(last - first + 1, 0)
        if one[here][1] < other[there][1]:
            here += 1
        else:
            there += 1
    return count


def lowest_free(taken: Intervals, number: int, completions: int) -> list[int]:
    """The lowest `number` indexes below `completions` that are not in `taken`."""
    found: list[int] = []
    candidate = 0
    for first, last in (*taken, (completions, completions)):
        stop = min(first, completions, candidate + number - len(found))
        found.extend(range(candidate, stop))
        if len(found) == number:
            break
        candidate = max(candidate, last + 1)
    return found


def _first(interval: tuple[int, int]) -> int:
    return interval[0]


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()
