"""A node must have room for what a pod requests; among those with room, the emptier or the fuller the better.

Source: Kubernetes 1.37, plugins/noderesources/fit.go.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from nestling.api.json import JsonObject
from nestling.api.quantity import format_binary, format_decimal, format_milli
from nestling.scheduler.framework import ClusterEvent, FilterPlugin, ScorePlugin, Supposition
from nestling.scheduler.plugins.allocation import (
    Ask,
    LeastAllocated,
    Strategy,
    asks,
    score_of_row,
    scores,
    strategy_of,
)
from nestling.scheduler.podclass import PodClass
from nestling.scheduler.resources import CPU, EPHEMERAL_STORAGE, MEMORY
from nestling.scheduler.table import Aspect, BoolArray, IntArray, NodeTable, Rows

TOO_MANY_PODS: Final = "Too many pods"
TOO_MANY: Final = 1  # bit 0 of a code; bit n + 1 is the n-th resource of the class's demand
_BITS: Final = 61  # a pod asks for a handful of resources; what does not fit in an int64 shares the last bit
_NEVER: Final = 1 << 62  # the node would be too small even when empty


def insufficient(resource: str) -> str:
    """kube-scheduler's words for a resource that a node has too little of."""
    return f"Insufficient {resource}"


@dataclass(frozen=True, slots=True)
class Wants:
    """What one class requests, by column of the table it was prepared for."""

    amounts: tuple[tuple[int, int, int], ...]  # (bit, column, amount)


class NodeResourcesFit(FilterPlugin, ScorePlugin):
    """Refuse nodes without room; score by a strategy, by default the share of CPU and memory that stays free.

    `ignored` are extended resources, `ignored_groups` what they have before the slash, that somebody else
    keeps the accounts of.
    """

    name: ClassVar[str] = "NodeResourcesFit"
    reads: ClassVar[Aspect] = Aspect.USAGE | Aspect.NODE
    wakes_on: ClassVar[frozenset[ClusterEvent]] = frozenset(
        {
            ClusterEvent.NODE_ADD,
            ClusterEvent.NODE_ALLOCATABLE,
            ClusterEvent.POD_DELETE,
            ClusterEvent.POD_UPDATE,
        }
    )

    def __init__(
        self,
        strategy: Strategy | None = None,
        ignored: frozenset[str] = frozenset(),
        ignored_groups: frozenset[str] = frozenset(),
    ) -> None:
        self.strategy: Final[Strategy] = strategy if strategy is not None else LeastAllocated()
        self.ignored: Final = ignored
        self.ignored_groups: Final = ignored_groups

    @classmethod
    def of(cls, args: JsonObject) -> "NodeResourcesFit":
        """Build from NodeResourcesFitArgs. Raises ValueError for arguments that make no sense."""
        groups = frozenset(map(str, args.get("ignoredResourceGroups") or ()))
        if any("/" in group for group in groups):
            raise ValueError("a group of ignoredResourceGroups has no slash")
        ignored = frozenset(map(str, args.get("ignoredResources") or ()))
        return cls(strategy_of(args.get("scoringStrategy")), ignored, groups)

    def _ignores(self, resource: str) -> bool:
        group, slash, _ = resource.partition("/")
        return bool(slash) and (resource in self.ignored or group in self.ignored_groups)

    def prepare(self, pods: PodClass, nodes: NodeTable) -> Wants:
        """Bits, columns and amounts of the requests. A pod without any still counts against the number of
        pods."""
        return Wants(
            tuple(
                (1 << min(place + 1, _BITS), nodes.column(resource), amount)
                for place, (resource, amount) in enumerate(pods.demand.amounts.items())
                if not self._ignores(resource)
            )
        )

    def filter(self, state: Wants, nodes: NodeTable, rows: Rows) -> IntArray:
        """Bits of everything the row is short of."""
        return _codes(state, nodes, rows, nodes.pods[rows], {})

    def filter_if(
        self, state: Wants, nodes: NodeTable, rows: NDArray[np.intp], suppose: Supposition
    ) -> IntArray:
        """The same with the requests of supposed pods added."""
        names = {column: name for name, column in nodes.columns.items()}
        more = {
            column: suppose.sums([pods.demand.amounts.get(names[column], 0) for pods in suppose.classes])
            for _, column, _ in state.amounts
        }
        pods = nodes.pods[rows] + suppose.sums([1] * len(suppose.classes))
        return _codes(state, nodes, rows, pods, more)

    def resolvable(self, codes: IntArray) -> BoolArray:
        """Wherever the node is large enough."""
        return codes & _NEVER == 0

    def filter_row(self, state: Wants, nodes: NodeTable, row: int) -> int:
        """The same for one row in plain numbers: 1.5 us instead of 9 (tests/benchmarks/scheduler.py)."""
        code = TOO_MANY if nodes.pods.item(row) >= nodes.pods_allowed.item(row) else 0
        requested, allocatable = nodes.requested, nodes.allocatable
        for bit, column, amount in state.amounts:
            room = allocatable.item(row, column)
            if requested.item(row, column) + amount > room:
                code |= bit if amount <= room else bit | _NEVER
        return code

    def reasons(self, code: int, pods: PodClass, nodes: NodeTable) -> tuple[str, ...]:
        """One reason for each thing that is short, pods first."""
        short = [TOO_MANY_PODS] if code & TOO_MANY else []
        return (*short, *(insufficient(resource) for resource in _short(code, pods)))

    def lacks(self, code: int, pods: PodClass, nodes: NodeTable, row: int) -> tuple[str, ...]:
        """The same with what the pod wants and what the node has left."""
        texts = (
            [f"{TOO_MANY_PODS} ({nodes.pods[row]} of {nodes.pods_allowed[row]})"] if code & TOO_MANY else []
        )
        for resource in _short(code, pods):
            column = nodes.columns[resource]
            total = int(nodes.allocatable[row, column])
            free = max(total - int(nodes.requested[row, column]), 0)
            wants, left, of = (written(resource, n) for n in (pods.demand.amounts[resource], free, total))
            texts.append(f"{insufficient(resource)} (wants {wants}, {left} of {of} free)")
        return tuple(texts)

    def prepare_score(self, pods: PodClass, nodes: NodeTable) -> tuple[Ask, ...]:
        """What the pod counts for, by resource of the strategy."""
        return asks(self.strategy, pods, nodes)

    def score(self, state: tuple[Ask, ...], nodes: NodeTable, rows: Rows) -> IntArray:
        """How well the strategy likes what the node would be used with the pod on it, 0..100."""
        return scores(self.strategy, state, nodes, rows)

    def score_row(self, state: tuple[Ask, ...], nodes: NodeTable, row: int) -> int:
        """The same for one row in plain numbers."""
        return score_of_row(self.strategy, state, nodes, row)


def _codes(
    state: Wants, nodes: NodeTable, rows: Rows, pods: IntArray, more: Mapping[int, IntArray]
) -> IntArray:
    codes = (pods >= nodes.pods_allowed[rows]).astype(np.int64)
    for bit, column, amount in state.amounts:
        room = nodes.allocatable[rows, column]
        used = nodes.requested[rows, column]
        short = (used + more[column] if more else used) + amount > room
        codes |= short * bit | (short & (amount > room)) * _NEVER
    return codes


@lru_cache(4096)
def written(resource: str, amount: int) -> str:
    """An amount in column units as people write it."""
    if resource == CPU:
        return format_milli(amount)
    if resource in {MEMORY, EPHEMERAL_STORAGE} or resource.startswith("hugepages-"):
        return format_binary(Fraction(amount))
    return format_decimal(Fraction(amount))


def _short(code: int, pods: PodClass) -> list[str]:
    return [
        resource for place, resource in enumerate(pods.demand.amounts) if code & (1 << min(place + 1, _BITS))
    ]
