"""A pod that names its node goes there or nowhere.

Source: Kubernetes 1.37, plugins/nodename/node_name.go.
"""

from typing import ClassVar, Final

import numpy as np

from nestling.scheduler.framework import ClusterEvent, FilterPlugin
from nestling.scheduler.podclass import PodClass
from nestling.scheduler.table import IntArray, NodeTable, Rows

OTHER_NODE: Final = "node(s) didn't match the requested node name"


class NodeName(FilterPlugin):
    """Refuse every node but the one in `spec.nodeName`; pods of the queue have none, so this is for what-if
    questions."""

    name: ClassVar[str] = "NodeName"
    wakes_on: ClassVar[frozenset[ClusterEvent]] = frozenset({ClusterEvent.NODE_ADD})

    def prepare(self, pods: PodClass, nodes: NodeTable) -> int | None:
        """The row of the named node, -1 if there is none of that name; None if the pod names no node."""
        return nodes.row_of.get(pods.node_name, -1) if pods.node_name else None

    def only(self, pods: PodClass) -> frozenset[str] | None:
        """The named node, if one is named."""
        return frozenset({pods.node_name}) if pods.node_name else None

    def filter(self, state: int, nodes: NodeTable, rows: Rows) -> IntArray:
        """1 on every row but the named node's."""
        return (np.arange(nodes.rows)[rows] != state).astype(np.int64)

    def reasons(self, code: int, pods: PodClass, nodes: NodeTable) -> tuple[str, ...]:
        """The one reason."""
        return (OTHER_NODE,)
