"""A cordoned node takes only pods that tolerate it.

Source: Kubernetes 1.37, plugins/nodeunschedulable/node_unschedulable.go.
"""

from typing import ClassVar, Final, Literal

import numpy as np

from nestling.scheduler.framework import ClusterEvent, FilterPlugin
from nestling.scheduler.podclass import PodClass
from nestling.scheduler.table import IntArray, NodeTable, Rows

UNSCHEDULABLE: Final = "node(s) were unschedulable"
TAINT_KEY: Final = "node.kubernetes.io/unschedulable"


class NodeUnschedulable(FilterPlugin):
    """Refuse nodes with `spec.unschedulable`, unless the pod tolerates the taint that goes with it."""

    name: ClassVar[str] = "NodeUnschedulable"
    wakes_on: ClassVar[frozenset[ClusterEvent]] = frozenset({ClusterEvent.NODE_ADD, ClusterEvent.NODE_TAINT})

    def prepare(self, pods: PodClass, nodes: NodeTable) -> Literal[True] | None:
        """Nothing to say to a pod that tolerates cordoned nodes."""
        return None if pods.tolerates(TAINT_KEY, "", "NoSchedule") else True

    def filter(self, state: Literal[True], nodes: NodeTable, rows: Rows) -> IntArray:
        """1 on cordoned rows."""
        return nodes.unschedulable[rows].astype(np.int64)

    def reasons(self, code: int, pods: PodClass, nodes: NodeTable) -> tuple[str, ...]:
        """The one reason."""
        return (UNSCHEDULABLE,)
