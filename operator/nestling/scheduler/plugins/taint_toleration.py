"""Taints keep pods away that do not tolerate them; the soft ones only make a node less welcome.

Nodes share few sets of taints, so each set is judged once and the rows look the answer up.
Source: Kubernetes 1.37, plugins/tainttoleration/taint_toleration.go.
"""

from typing import ClassVar, Final

import numpy as np

from nestling.scheduler.framework import ClusterEvent, FilterPlugin, ScorePlugin, normalized
from nestling.scheduler.podclass import PodClass
from nestling.scheduler.table import BoolArray, IntArray, NodeTable, NodeTaint, Rows

# 1.37 says this, whatever the key of the taint (and not the text of the constant it declares beside it).
UNTOLERATED: Final = "node(s) had untolerated taint(s)"
HARD: Final = frozenset({"NoSchedule", "NoExecute"})
SOFT: Final = "PreferNoSchedule"


class TaintToleration(FilterPlugin, ScorePlugin):
    """Refuse nodes with a hard taint that the pod does not tolerate; prefer those with fewer soft ones."""

    name: ClassVar[str] = "TaintToleration"
    wakes_on: ClassVar[frozenset[ClusterEvent]] = frozenset({ClusterEvent.NODE_ADD, ClusterEvent.NODE_TAINT})
    normalizes: ClassVar[bool] = True

    def prepare(self, pods: PodClass, nodes: NodeTable) -> PodClass:
        """The class itself: taints come and go, tolerations stay."""
        return pods

    def filter(self, state: PodClass, nodes: NodeTable, rows: Rows) -> IntArray:
        """1 on rows with an untolerated NoSchedule or NoExecute taint."""
        verdicts = np.array([refused(taints, state) for taints in nodes.taint_sets], np.int64)
        return verdicts[nodes.taints[rows]]

    def reasons(self, code: int, pods: PodClass, nodes: NodeTable) -> tuple[str, ...]:
        """The one reason."""
        return (UNTOLERATED,)

    def lacks(self, code: int, pods: PodClass, nodes: NodeTable, row: int) -> tuple[str, ...]:
        """The reason with the first untolerated taint."""
        taint = next(t for t in nodes.taints_of(row) if t.effect in HARD and not _tolerated(t, pods))
        value = f"={taint.value}" if taint.value else ""
        return (f"{UNTOLERATED}: {taint.key}{value}:{taint.effect}",)

    def prepare_score(self, pods: PodClass, nodes: NodeTable) -> PodClass:
        """The class itself."""
        return pods

    def score(self, state: PodClass, nodes: NodeTable, rows: Rows) -> IntArray:
        """How many PreferNoSchedule taints of the row the pod does not tolerate."""
        verdicts = np.array([unwelcome(taints, state) for taints in nodes.taint_sets], np.int64)
        return verdicts[nodes.taints[rows]]

    def normalize(self, state: PodClass, scores: IntArray, feasible: BoolArray) -> IntArray:
        """100 for none, 0 for as many as any feasible node has."""
        return normalized(scores, feasible, reverse=True)


def refused(taints: tuple[NodeTaint, ...], pods: PodClass) -> bool:
    """Whether any taint that keeps pods away is not tolerated."""
    return any(taint.effect in HARD and not _tolerated(taint, pods) for taint in taints)


def unwelcome(taints: tuple[NodeTaint, ...], pods: PodClass) -> int:
    """How many soft taints are not tolerated."""
    return sum(taint.effect == SOFT and not _tolerated(taint, pods) for taint in taints)


def _tolerated(taint: NodeTaint, pods: PodClass) -> bool:
    return pods.tolerates(taint.key, taint.value, taint.effect)
