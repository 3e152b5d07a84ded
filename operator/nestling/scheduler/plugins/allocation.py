"""How full a node would be with the pod on it, as a score: three strategies, over any resources.

Source: Kubernetes 1.37, plugins/noderesources (resource_allocation.go, least_allocated.go, most_allocated.go,
requested_to_capacity_ratio.go), plugins/helper/shape_score.go, apis/config (validation, v1/defaults.go).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar, Final, NamedTuple

import numpy as np

from nestling.api.json import JsonObject
from nestling.scheduler.podclass import PodClass
from nestling.scheduler.resources import CPU, EPHEMERAL_STORAGE, MEMORY
from nestling.scheduler.table import IntArray, NodeTable, Rows

FULL: Final = 100


class Weigh(NamedTuple):
    """A resource and how much it counts among the others."""

    resource: str
    weight: int


CPU_AND_MEMORY: Final = (Weigh(CPU, 1), Weigh(MEMORY, 1))


def weighs_of(stated: Iterable[JsonObject]) -> tuple[Weigh, ...]:
    """Read a list of `{name, weight}`, CPU and memory if it is empty. Raises ValueError for a bad weight."""
    found: list[Weigh] = []
    for one in stated:
        weight = one.get("weight") or 1
        if isinstance(weight, bool) or not isinstance(weight, int) or not 0 < weight <= 100:
            raise ValueError(f"the weight of {one['name']} is 1 to 100, not {str(weight)[:64]!r}")
        found.append(Weigh(str(one["name"]), weight))
    return tuple(found) or CPU_AND_MEMORY


def is_scalar(resource: str) -> bool:
    """Whether a resource counts only for pods that ask for it: all but those every node has."""
    return resource not in {CPU, MEMORY, EPHEMERAL_STORAGE}


class Ask(NamedTuple):
    """One resource for one class: its column, that of `counted` (-1 for none), the amount, its weight."""

    column: int
    counted: int
    amount: int
    weight: int


@dataclass(frozen=True, slots=True)
class Strategy(ABC):
    """A score of one resource from what is used with the pod and what there is.

    With `votes_by_part` a resource that scores 0 has no vote, and the mean is rounded instead of cut off.
    """

    votes_by_part: ClassVar[bool] = False

    resources: tuple[Weigh, ...] = CPU_AND_MEMORY

    @abstractmethod
    def parts(self, used: IntArray, capacity: IntArray) -> IntArray:
        """0..100 by row; where the capacity is 0 it may be any."""

    @abstractmethod
    def part(self, used: int, capacity: int) -> int:
        """The same for one row, whose capacity is not 0."""


@dataclass(frozen=True, slots=True)
class LeastAllocated(Strategy):
    """The more is left the better."""

    def parts(self, used: IntArray, capacity: IntArray) -> IntArray:
        """Percent left."""
        return np.maximum(capacity - used, 0) * FULL // np.maximum(capacity, 1)

    def part(self, used: int, capacity: int) -> int:
        """Percent left."""
        return (capacity - used) * FULL // capacity if used < capacity else 0


@dataclass(frozen=True, slots=True)
class MostAllocated(Strategy):
    """The fuller the better."""

    def parts(self, used: IntArray, capacity: IntArray) -> IntArray:
        """Percent used."""
        return np.minimum(used, capacity) * FULL // np.maximum(capacity, 1)

    def part(self, used: int, capacity: int) -> int:
        """Percent used."""
        return min(used, capacity) * FULL // capacity


@dataclass(frozen=True, slots=True)
class RequestedToCapacityRatio(Strategy):
    """As good as a curve says: `scores` for 0 to 100 percent used."""

    votes_by_part: ClassVar[bool] = True

    scores: IntArray = field(default_factory=lambda: np.arange(FULL + 1))

    def parts(self, used: IntArray, capacity: IntArray) -> IntArray:
        """The curve at the percentage used."""
        return self.scores[np.minimum(used, capacity) * FULL // np.maximum(capacity, 1)]

    def part(self, used: int, capacity: int) -> int:
        """The curve at the percentage used."""
        return self.scores.item(min(used, capacity) * FULL // capacity)


def strategy_of(stated: JsonObject | None) -> Strategy:
    """Build from a scoringStrategy. Raises ValueError for one that makes no sense."""
    stated = stated or {}
    resources = weighs_of(stated.get("resources") or ())
    curve = stated.get("requestedToCapacityRatio")
    kind = stated.get("type") or "LeastAllocated"
    if kind == "RequestedToCapacityRatio":
        shape = [(int(one["utilization"]), int(one["score"])) for one in (curve or {}).get("shape") or ()]
        return RequestedToCapacityRatio(resources, curve_of(shape))
    if curve is not None:
        raise ValueError(f"requestedToCapacityRatio goes with the type of this name, not {str(kind)[:64]!r}")
    if kind == "LeastAllocated":
        return LeastAllocated(resources)
    if kind == "MostAllocated":
        return MostAllocated(resources)
    raise ValueError(
        f"scoringStrategy.type is LeastAllocated, MostAllocated or RequestedToCapacityRatio, "
        f"not {str(kind)[:64]!r}"
    )


def curve_of(shape: list[tuple[int, int]]) -> IntArray:
    """A score 0..100 for each of 0 to 100 percent, along straight lines between points (percent, 0..10).

    Raises ValueError without points, or for points out of range or order.
    """
    if not shape:
        raise ValueError("requestedToCapacityRatio.shape needs at least one point")
    if any(before[0] >= after[0] for before, after in pairwise(shape)):
        raise ValueError("the points of requestedToCapacityRatio.shape go up in utilization")
    if not all(0 <= percent <= FULL and 0 <= score <= 10 for percent, score in shape):
        raise ValueError("requestedToCapacityRatio.shape goes from 0 to 100 in utilization, 0 to 10 in score")
    points = [(percent, 10 * score) for percent, score in shape]
    found: list[int] = []
    for percent in range(FULL + 1):
        after = next((i for i, (end, _) in enumerate(points) if percent <= end), len(points))
        if after in {0, len(points)}:
            found.append(points[min(after, len(points) - 1)][1])
            continue
        (x0, y0), (x1, y1) = points[after - 1 : after + 1]
        rise = (y1 - y0) * (percent - x0)
        found.append(y0 + (abs(rise) // (x1 - x0)) * (1 if rise >= 0 else -1))  # Go cuts towards zero
    return np.array(found, np.int64)


def asks(strategy: Strategy, pods: PodClass, nodes: NodeTable) -> tuple[Ask, ...]:
    """What the class asks for of each resource that the strategy looks at."""
    found: list[Ask] = []
    for resource, weight in strategy.resources:
        amount = pods.demand.scored.get(resource, 0)
        if amount or not is_scalar(resource):
            column = nodes.column(resource)
            found.append(Ask(column, column if column < 2 else -1, amount, weight))
    return tuple(found)


def scores(strategy: Strategy, asked: tuple[Ask, ...], nodes: NodeTable, rows: Rows) -> IntArray:
    """The weighted mean of the parts, 0..100 by row.

    Floor per resource and again for the mean, as the original does: one rounding later would decide ties
    differently. A resource that a node has none of has no vote.
    """
    total: IntArray | None = None
    votes: IntArray | None = None
    for column, counted, amount, weight in asked:
        capacity = nodes.allocatable[rows, column]
        used = nodes.counted[rows, counted] if counted >= 0 else nodes.requested[rows, column]
        part = strategy.parts(used + amount, capacity)
        vote = np.minimum(capacity, 1)
        if strategy.votes_by_part:
            vote *= part > 0
        part *= vote
        if weight != 1:
            vote *= weight
            part *= weight
        total, votes = (part, vote) if total is None or votes is None else (total + part, votes + vote)
    if total is None or votes is None:
        return np.zeros(len(nodes.alive[rows]), np.int64)
    if strategy.votes_by_part:  # halves away from zero, as Go rounds
        return (2 * total + votes) // np.maximum(2 * votes, 1)
    return total // np.maximum(votes, 1)


def score_of_row(strategy: Strategy, asked: tuple[Ask, ...], nodes: NodeTable, row: int) -> int:
    """The same for one row in plain numbers."""
    total = votes = 0
    for column, counted, amount, weight in asked:
        capacity = nodes.allocatable.item(row, column)
        if capacity:
            used = nodes.counted.item(row, counted) if counted >= 0 else nodes.requested.item(row, column)
            part = strategy.part(used + amount, capacity)
            if part or not strategy.votes_by_part:
                total += part * weight
                votes += weight
    if not votes:
        return 0
    return (2 * total + votes) // (2 * votes) if strategy.votes_by_part else total // votes
