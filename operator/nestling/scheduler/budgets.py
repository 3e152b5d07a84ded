"""Which evictions the disruption budgets of one cluster leave room for.

Reads VirtualPodDisruptionBudgets: their selector, and what their controller has counted in the status.
Preemption prefers victims that a budget can spare; it does not ask for permission.
Source: Kubernetes 1.37, pkg/scheduler/framework/preemption/util.go (FilterVictimsWithPDBViolation).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from nestling.api.json import JsonObject
from nestling.api.selector import NOTHING, Selector
from nestling.machinery.names import Key
from nestling.machinery.records.base import Record
from nestling.scheduler.residents import Resident


@dataclass(frozen=True, slots=True)
class Budget:
    """One budget: whom it protects, how many of them may go, and whose going has been granted already."""

    namespace: str
    selector: Selector
    allowed: int
    disrupted: frozenset[str] = field(default_factory=frozenset[str])

    @classmethod
    def of(cls, record: Record) -> "Budget":
        """A budget from its object. A selector that is empty or cannot be read protects nobody."""
        body = record.body
        spec: JsonObject = body.get("spec") or {}
        status: JsonObject = body.get("status") or {}
        try:
            selector = Selector.from_json(spec.get("selector"))
        except ValueError:
            selector = NOTHING
        return cls(
            record.key.namespace,
            NOTHING if selector.everything else selector,
            int(status.get("disruptionsAllowed") or 0),
            frozenset(status.get("disruptedPods") or ()),
        )

    def protects(self, pod: Resident) -> bool:
        """Whether evicting the pod takes from this budget."""
        record = pod.record
        return (
            record.key.namespace == self.namespace
            and bool(record.labels)
            and self.selector.matches(record.labels)
            and record.key.name not in self.disrupted
        )


class Budgets:
    """The budgets of one cluster. `version` grows whenever one changes."""

    def __init__(self) -> None:
        self._budgets: dict[Key, Budget] = {}
        self.version = 0

    def __len__(self) -> int:
        """How many budgets there are."""
        return len(self._budgets)

    def put(self, key: Key, record: Record | None) -> None:
        """Learn of a budget, or forget it."""
        before = self._budgets.get(key)
        after = Budget.of(record) if record is not None else None
        if before == after:
            return
        self.version += 1
        if after is None:
            del self._budgets[key]
        else:
            self._budgets[key] = after

    def split(self, pods: Iterable[Resident]) -> tuple[list[Resident], list[Resident]]:
        """Pods whose eviction would overdraw a budget, and those whose would not; each spends as it is
        counted.

        The order of `pods` decides who finds something left.
        """
        if not self._budgets:
            return [], list(pods)
        left = {key: budget.allowed for key, budget in self._budgets.items()}
        violating: list[Resident] = []
        spared: list[Resident] = []
        for pod in pods:
            (violating if self._overdraws(pod, left) else spared).append(pod)
        return violating, spared

    def _overdraws(self, pod: Resident, left: dict[Key, int]) -> bool:
        for key, budget in self._budgets.items():
            if budget.protects(pod):
                left[key] -= 1
                if left[key] < 0:
                    return True  # as the original: the budgets after it are not charged
        return False
