"""Prefer nodes whose CPU and memory a pod would bring closer to being used in equal shares.

Source: Kubernetes 1.37, plugins/noderesources/balanced_allocation.go.
"""

from typing import ClassVar

import numpy as np

from nestling.scheduler.framework import TOP_SCORE, ScorePlugin
from nestling.scheduler.podclass import PodClass
from nestling.scheduler.resources import CPU, MEMORY
from nestling.scheduler.table import Aspect, IntArray, NodeTable, Rows


class NodeResourcesBalancedAllocation(ScorePlugin):
    """Score by how much the balance improves: about 75 if it stays, towards 100 better, towards 50 worse."""

    name: ClassVar[str] = "NodeResourcesBalancedAllocation"
    reads: ClassVar[Aspect] = Aspect.USAGE | Aspect.NODE

    def prepare_score(self, pods: PodClass, nodes: NodeTable) -> tuple[int, int] | None:
        """Milli-CPU and bytes requested; pods that request neither would all gather on one node, so they are
        not scored."""
        wants = (pods.demand.amounts.get(CPU, 0), pods.demand.amounts.get(MEMORY, 0))
        return wants if any(wants) else None

    def score(self, state: tuple[int, int], nodes: NodeTable, rows: Rows) -> IntArray:
        """Half of 100, plus half of what the balance gains, itself taken from -50..50 to 0..100."""
        allocatable = nodes.allocatable[rows, :2]
        requested = nodes.requested[rows, :2]
        gain = balance(requested + state, allocatable) - balance(requested, allocatable)
        return TOP_SCORE // 2 + (TOP_SCORE // 2 + gain) // 2

    def score_row(self, state: tuple[int, int], nodes: NodeTable, row: int) -> int:
        """The same for one row in plain numbers: 2 us instead of 20 (tests/benchmarks/scheduler.py)."""
        room = nodes.allocatable.item(row, 0), nodes.allocatable.item(row, 1)
        used = nodes.requested.item(row, 0), nodes.requested.item(row, 1)
        gain = _balance(used[0] + state[0], used[1] + state[1], *room) - _balance(*used, *room)
        return TOP_SCORE // 2 + (TOP_SCORE // 2 + gain) // 2


def balance(requested: IntArray, allocatable: IntArray) -> IntArray:
    """100 for equal shares in use, down to 50 for one resource full and the other empty; shape (rows,).

    With two resources the deviation is half their distance; a node that lacks one of them is in balance.
    """
    shares = np.minimum(requested / np.maximum(allocatable, 1), 1.0)
    deviation = np.abs((shares[:, 0] - shares[:, 1]) / 2)
    deviation[(allocatable == 0).any(axis=1)] = 0.0
    return ((1.0 - deviation) * TOP_SCORE).astype(np.int64)


def _balance(cpu: int, memory: int, all_cpu: int, all_memory: int) -> int:
    if not (all_cpu and all_memory):
        return TOP_SCORE
    deviation = abs((min(cpu / all_cpu, 1.0) - min(memory / all_memory, 1.0)) / 2)
    return int((1.0 - deviation) * TOP_SCORE)
