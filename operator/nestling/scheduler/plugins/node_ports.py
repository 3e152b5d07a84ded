"""A port of the node can be had by one pod only.

Source: Kubernetes 1.37, plugins/nodeports/node_ports.go and kube-scheduler/framework (HostPortInfo).
"""

from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from nestling.scheduler.framework import ClusterEvent, FilterPlugin, Supposition
from nestling.scheduler.podclass import HostPort, PodClass
from nestling.scheduler.table import Aspect, BoolArray, IntArray, NodeTable, Rows

NO_FREE_PORTS: Final = "node(s) didn't have free ports for the requested pod ports"


class NodePorts(FilterPlugin):
    """Refuse nodes where another pod has one of the host ports, on the same address or on all."""

    name: ClassVar[str] = "NodePorts"
    reads: ClassVar[Aspect] = Aspect.USAGE
    # NODE_ADD because the row of a new node may have been refused for pods that its predecessor still had.
    wakes_on: ClassVar[frozenset[ClusterEvent]] = frozenset({ClusterEvent.POD_DELETE, ClusterEvent.NODE_ADD})

    def prepare(self, pods: PodClass, nodes: NodeTable) -> tuple[HostPort, ...] | None:
        """The host ports, if the pod wants any."""
        return pods.ports or None

    def filter(self, state: tuple[HostPort, ...], nodes: NodeTable, rows: Rows) -> IntArray:
        """1 on rows where one of the ports is taken."""
        taken = np.zeros(nodes.rows, np.bool_)
        for port in state:
            taken |= nodes.port_taken(port)
        return taken[rows].astype(np.int64)

    def filter_if(
        self, state: tuple[HostPort, ...], nodes: NodeTable, rows: NDArray[np.intp], suppose: Supposition
    ) -> IntArray:
        """The same with the ports of supposed pods taken, or given back."""
        taken = np.zeros(len(rows), np.bool_)
        for port in state:
            users = nodes.port_users(port)[rows]
            taken |= users + suppose.sums([_conflicts(port, pods.ports) for pods in suppose.classes]) > 0
        return taken.astype(np.int64)

    def resolvable(self, codes: IntArray) -> BoolArray:
        """Everywhere."""
        return np.ones(codes.shape, np.bool_)

    def reasons(self, code: int, pods: PodClass, nodes: NodeTable) -> tuple[str, ...]:
        """The one reason."""
        return (NO_FREE_PORTS,)


def _conflicts(port: HostPort, others: tuple[HostPort, ...]) -> int:
    return sum(port.conflicts(other) for other in others)
