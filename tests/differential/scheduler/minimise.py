"""Make a disagreement small: leave out objects and fields as long as both sides still disagree."""

from collections.abc import Awaitable, Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

from differential.scheduler.clusters import Cluster
from differential.scheduler.duel import Difference, Tally, duel
from differential.scheduler.theirs import Judge
from nestling.machinery.errors import HostError

Holds = Callable[[Cluster], Awaitable[bool]]
_OBJECTS = ("bound", "owners", "budgets", "nodes")
# Without these an object is not one; and without a grace of 0 victims would stay, for no kubelet ends them.
_KEPT = {
    "apiVersion",
    "kind",
    "name",
    "namespace",
    "metadata",
    "spec",
    "containers",
    "nodeName",
    "terminationGracePeriodSeconds",
    "status",
    "allocatable",
}


async def minimise(judge: Judge, difference: Difference) -> Cluster:
    """The smallest cluster found that still shows a difference of the same kind."""

    async def holds(cluster: Cluster) -> bool:
        tally = Tally()
        try:
            await duel(judge, cluster, tally)
        except (HostError, TimeoutError):
            return False  # left out too much: no valid object any more, or none that comes to an end
        return any(one.what == difference.what for one in tally.differences)

    small = difference.case
    if not await holds(small):
        return small
    for part in _OBJECTS:
        small = await _fewer(small, part, holds)
    for part in ("pending", *_OBJECTS):
        for place in range(len(getattr(small, part))):
            small = await _barer(small, part, place, holds)
    return small


async def _fewer(cluster: Cluster, part: str, holds: Holds) -> Cluster:
    """Leave out runs of objects, long ones first."""
    size = len(getattr(cluster, part))
    while size:
        start = 0
        while start < len(getattr(cluster, part)):
            objects = getattr(cluster, part)
            shorter = replace(cluster, **{part: objects[:start] + objects[start + size :]})
            if await holds(shorter):
                cluster = shorter
            else:
                start += size
        size //= 2
    return cluster


async def _barer(cluster: Cluster, part: str, place: int, holds: Holds) -> Cluster:
    """Leave out fields and list items of one object, outermost first."""
    tried: set[tuple[Any, ...]] = set()
    while True:
        path = next((one for one in _paths(getattr(cluster, part)[place]) if one not in tried), None)
        if path is None:
            return cluster
        tried.add(path)
        objects = deepcopy(getattr(cluster, part))
        inner = objects[place]
        for step in path[:-1]:
            inner = inner[step]
        del inner[path[-1]]
        barer = replace(cluster, **{part: objects})
        if await holds(barer):
            cluster = barer
            if isinstance(path[-1], int):  # the items behind it have moved up
                tried = {one for one in tried if one[: len(path) - 1] != path[:-1]}


def _paths(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [(key, inner) for key, inner in items]
    for key, _ in found:
        if key not in _KEPT:
            yield (*above, key)
    for key, inner in found:
        yield from _paths(inner, (*above, key))
