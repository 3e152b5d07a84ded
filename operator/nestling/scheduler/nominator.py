"""Pending pods for which room is being made on a certain node.

Whoever is decided about later treats them as if they were there already, if they are at least as important.
The nomination in memory comes before the one in the pod's status, so that nobody slips in between.
Source: Kubernetes 1.37, pkg/scheduler/backend/queue/nominator.go and framework/runtime (addGENominatedPods).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from nestling.machinery.names import Key
from nestling.scheduler.queue import QueuedPod

_NOBODY: Final[Mapping[Key, QueuedPod]] = {}


class Nominator:
    """Nominations of one cluster, by node. Whoever keeps something derived from them adds a listener."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[str], None]] = []
        self._by_node: dict[str, dict[Key, QueuedPod]] = {}

    def __len__(self) -> int:
        """How many nodes somebody is nominated to."""
        return len(self._by_node)

    def nominate(self, pod: QueuedPod, node: str) -> str:
        """Nominate a pod to a node, to none if that is empty. Returns the node it leaves, empty if none."""
        before = pod.nominated
        if before == node:
            return ""
        if before:
            there = self._by_node[before]
            there.pop(pod.key, None)
            if not there:
                del self._by_node[before]
        pod.nominated = node
        if node:
            self._by_node.setdefault(node, {})[pod.key] = pod
        for changed in self.listeners:
            if before:
                changed(before)
            if node:
                changed(node)
        return before

    def yields_to(self, node: str, pod: QueuedPod) -> list[QueuedPod]:
        """The other pods nominated to a node that this one has to leave room for."""
        return [
            other
            for other in self._by_node.get(node, _NOBODY).values()
            if other.priority >= pod.priority and other is not pod
        ]

    def at_least(self, node: str, priority: int) -> list[QueuedPod]:
        """Pods nominated to a node that are as important as this priority, or more."""
        return [one for one in self._by_node.get(node, _NOBODY).values() if one.priority >= priority]

    def below(self, node: str, priority: int) -> list[QueuedPod]:
        """Pods nominated to a node that are less important than this priority."""
        return [one for one in self._by_node.get(node, _NOBODY).values() if one.priority < priority]

    def nodes(self) -> Iterator[str]:
        """Nodes that somebody is nominated to."""
        return iter(self._by_node)
