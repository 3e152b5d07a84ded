"""Who is on which node of one cluster: pods that are bound, and pods whose bind is on its way.

Fed by the lane with what it sees and decides; read by preemption. The node table counts the same pods class
by class; here each stays a pod, with its priority and its last version.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import inf
from typing import Final

from nestling.machinery.conditions import find_condition
from nestling.machinery.names import Key
from nestling.machinery.records.pod import Pod
from nestling.scheduler.podclass import PodClass

DISRUPTION_TARGET: Final = "DisruptionTarget"
PREEMPTED_BY_SCHEDULER: Final = "PreemptionByScheduler"


@dataclass(slots=True, eq=False)
class Resident:
    """A pod counted on a node; `assumed` until the host has said so. `record` is its last version."""

    record: Pod
    node: str
    pods: PodClass
    priority: int
    assumed: bool = False

    @property
    def key(self) -> Key:
        """Where the pod lives."""
        return self.record.key

    @property
    def start(self) -> float:
        """When it started, seconds since 1970; infinite while it has not: then it is the youngest of all."""
        return inf if self.record.started_at is None else self.record.started_at

    @property
    def going_by_preemption(self) -> bool:
        """Whether it is on its way out because a scheduler asked for its room."""
        if not self.record.deleting:
            return False
        found = find_condition(
            (self.record.body.get("status") or {}).get("conditions") or (), DISRUPTION_TARGET
        )
        return (
            found is not None
            and found.get("status") == "True"
            and found.get("reason") == PREEMPTED_BY_SCHEDULER
        )


class Residents:
    """Residents by key and by node."""

    def __init__(self) -> None:
        self._by_key: dict[Key, Resident] = {}
        self._by_node: dict[str, dict[Key, Resident]] = {}

    def __len__(self) -> int:
        """How many pods are on nodes."""
        return len(self._by_key)

    def get(self, key: Key) -> Resident | None:
        """The resident of this name, if there is one."""
        return self._by_key.get(key)

    def add(self, resident: Resident) -> None:
        """Let a pod move in; it must not live anywhere else."""
        self._by_key[resident.key] = resident
        self._by_node.setdefault(resident.node, {})[resident.key] = resident

    def remove(self, key: Key) -> Resident | None:
        """Let a pod move out."""
        found = self._by_key.pop(key, None)
        if found is not None:
            on_node = self._by_node[found.node]
            del on_node[key]
            if not on_node:
                del self._by_node[found.node]
        return found

    def on(self, node: str) -> Iterable[Resident]:
        """The pods on a node, in the order in which they came."""
        return self._by_node.get(node, _NOBODY).values()

    def below(self, node: str, priority: int) -> list[Resident]:
        """The pods on a node that have a lower priority."""
        return [one for one in self._by_node.get(node, _NOBODY).values() if one.priority < priority]

    def __iter__(self) -> Iterator[Resident]:
        """All of them."""
        return iter(self._by_key.values())


_NOBODY: Final[Mapping[Key, Resident]] = {}
