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


def balance(requested: IntArray, allocatable: IntArray) -> IntArray:
    """100 for equal shares in use, down to 50 for one resource full and the other empty; shape (rows,).

    With two resources the deviation is half their distance; a node that lacks one of them is in balance.
    """
    shares = np.minimum(requested / np.maximum(allocatable, 1), 1.0)
    deviation = np.abs((shares[:, 0] - shares[:, 1]) / 2)
    deviation[(allocatable == 0).any(axis=1)] = 0.0
    return ((1.0 - deviation) * TOP_SCORE).astype(np.int64)
