"""The more important pod comes first, and of equals the one that has waited longer.

Source: Kubernetes 1.37, plugins/queuesort/priority_sort.go.
"""

from typing import ClassVar

from nestling.scheduler.extension import QueueSortPlugin


class PrioritySort(QueueSortPlugin):
    """Order by priority, then by time."""

    name: ClassVar[str] = "PrioritySort"

    def order(self, priority: int, since_s: float) -> tuple[float, ...]:
        """Highest priority first, then the earliest."""
        return -priority, since_s
