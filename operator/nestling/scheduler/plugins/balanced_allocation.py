"""Prefer nodes whose resources a pod would bring closer to being used in equal shares.

Source: Kubernetes 1.37, plugins/noderesources/balanced_allocation.go.
"""

from collections.abc import Sequence
from math import sqrt
from typing import ClassVar, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nestling.api.json import JsonObject
from nestling.scheduler.framework import TOP_SCORE, ScorePlugin
from nestling.scheduler.plugins.allocation import CPU_AND_MEMORY, Weigh, is_scalar, weighs_of
from nestling.scheduler.podclass import PodClass
from nestling.scheduler.table import Aspect, BoolArray, IntArray, NodeTable, Rows

Asked: TypeAlias = tuple[tuple[int, int], ...]
"""Column and amount of each resource that counts for the class."""
Shares: TypeAlias = NDArray[np.float64]


class NodeResourcesBalancedAllocation(ScorePlugin):
    """Score by how much the balance improves: about 75 if it stays, towards 100 better, towards 50 worse."""

    name: ClassVar[str] = "NodeResourcesBalancedAllocation"
    reads: ClassVar[Aspect] = Aspect.USAGE | Aspect.NODE

    def __init__(self, resources: Sequence[Weigh] = CPU_AND_MEMORY) -> None:
        self.resources: Final = tuple(one.resource for one in resources)

    @classmethod
    def of(cls, args: JsonObject) -> "NodeResourcesBalancedAllocation":
        """Build from NodeResourcesBalancedAllocationArgs. Raises ValueError for arguments without sense."""
        resources = weighs_of(args.get("resources") or ())
        if any(one.weight != 1 for one in resources):
            raise ValueError("all resources weigh 1 here")
        if len({one.resource for one in resources}) < len(resources):
            raise ValueError("a resource is named twice")
        return cls(resources)

    def prepare_score(self, pods: PodClass, nodes: NodeTable) -> Asked | None:
        """What is requested; pods that request nothing would all gather on one node, so they are not
        scored."""
        amounts = pods.demand.amounts
        if not any(amounts.get(resource) for resource in self.resources):
            return None
        return tuple(
            (nodes.column(resource), amounts.get(resource, 0))
            for resource in self.resources
            if amounts.get(resource) or not is_scalar(resource)
        )

    def score(self, state: Asked, nodes: NodeTable, rows: Rows) -> IntArray:
        """Half of 100, plus half of what the balance gains, itself taken from -50..50 to 0..100."""
        columns = [column for column, _ in state]
        allocatable = [nodes.allocatable[rows, column] for column in columns]
        before = [nodes.requested[rows, column] for column in columns]
        after = [used + amount for used, (_, amount) in zip(before, state, strict=True)]
        gain = balance(after, allocatable) - balance(before, allocatable)
        return TOP_SCORE // 2 + (TOP_SCORE // 2 + gain) // 2

    def score_row(self, state: Asked, nodes: NodeTable, row: int) -> int:
        """The same for one row in plain numbers: 2 us instead of 20 (tests/benchmarks/scheduler.py)."""
        before: list[float] = []
        after: list[float] = []
        for column, amount in state:
            room = nodes.allocatable.item(row, column)
            if room:
                used = nodes.requested.item(row, column)
                before.append(used / room if used < room else 1.0)
                after.append((used + amount) / room if used + amount < room else 1.0)
        gain = _balance(after) - _balance(before)
        return TOP_SCORE // 2 + (TOP_SCORE // 2 + gain) // 2


def balance(requested: Sequence[IntArray], allocatable: Sequence[IntArray]) -> IntArray:
    """100 for equal shares in use, the lower the further apart; by row, from columns of shape (rows,).

    With two resources the deviation is half their distance; a resource that a node lacks does not count.
    """
    shares = [
        np.minimum(used / np.maximum(room, 1), 1.0) for used, room in zip(requested, allocatable, strict=True)
    ]
    there = [room > 0 for room in allocatable]
    if len(shares) == 2:
        deviation = np.abs((shares[0] - shares[1]) / 2)
        deviation[~(there[0] & there[1])] = 0.0
    else:
        deviation = _deviation(shares, there)
    return ((1.0 - deviation) * TOP_SCORE).astype(np.int64)


def _deviation(shares: Sequence[Shares], there: Sequence[BoolArray]) -> Shares:
    """The standard deviation of the shares that count; half the distance if they are two, 0 for fewer."""
    count = np.zeros(len(shares[0]), np.int64)
    total = np.zeros(len(shares[0]))
    for share, mask in zip(shares, there, strict=True):
        count += mask
        total += np.where(mask, share, 0.0)
    mean = total / np.maximum(count, 1)
    squares = np.zeros(len(shares[0]))
    most, least = np.zeros(len(shares[0])), np.ones(len(shares[0]))
    for share, mask in zip(shares, there, strict=True):
        squares += np.where(mask, (share - mean) * (share - mean), 0.0)
        most = np.where(mask, np.maximum(most, share), most)
        least = np.where(mask, np.minimum(least, share), least)
    spread = np.sqrt(squares / np.maximum(count, 1))
    return np.where(count > 2, spread, np.where(count == 2, np.abs((most - least) / 2), 0.0))


def _balance(shares: list[float]) -> int:
    deviation = 0.0
    if len(shares) == 2:
        deviation = abs((shares[0] - shares[1]) / 2)
    elif len(shares) > 2:
        mean = sum(shares) / len(shares)
        deviation = sqrt(sum((share - mean) * (share - mean) for share in shares) / len(shares))
    return int((1.0 - deviation) * TOP_SCORE)
