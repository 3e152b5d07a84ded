"""What priority a pod has: its own, its class's, or the cluster's default.

Natively an admission plugin of the API server writes it into the pod; here the scheduler resolves it when it
looks.
Source: Kubernetes 1.37, plugin/pkg/admission/priority and pkg/apis/scheduling.
"""

from dataclasses import dataclass, field
from typing import Final

from nestling.api.json import JsonObject

NEVER: Final = "Never"
# Every cluster has these two.
SYSTEM: Final = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


@dataclass(frozen=True, slots=True)
class Priority:
    """A pod's priority, and whether the bind has to write it because nobody has.

    `preempts`: whether less important pods may be removed for it; `unknown`: its class does not exist.
    """

    value: int
    unwritten: bool = False
    preempts: bool = True
    unknown: bool = False


@dataclass(slots=True)
class PriorityClasses:
    """The priority classes of one cluster by name, and those that are the default for pods without one."""

    values: dict[str, int] = field(default_factory=lambda: dict(SYSTEM))
    defaults: dict[str, int] = field(default_factory=dict[str, int])
    peaceful: set[str] = field(default_factory=set[str])
    """Classes whose pods push nobody out."""

    @property
    def own(self) -> bool:
        """Whether the cluster has classes of its own."""
        return self.values.keys() != SYSTEM.keys()

    def put(self, name: str, body: JsonObject) -> None:
        """Learn a class from its object; a value that is no number counts as 0."""
        value = body.get("value", 0)
        self.drop(name)
        self.values[name] = value if isinstance(value, int) else 0
        if body.get("globalDefault") is True:
            self.defaults[name] = self.values[name]
        if body.get("preemptionPolicy") == NEVER:
            self.peaceful.add(name)

    def drop(self, name: str) -> None:
        """Forget a class."""
        self.defaults.pop(name, None)
        self.peaceful.discard(name)
        self.values.pop(name, None)
        if name in SYSTEM:
            self.values[name] = SYSTEM[name]

    def of(self, spec: JsonObject) -> Priority:
        """The priority of a pod spec. An unknown class counts as 0, unwritten: it may still be created."""
        stated = spec.get("priority")
        name = spec.get("priorityClassName")
        if isinstance(stated, int):
            return Priority(stated, preempts=self._preempts(spec, ""))
        if isinstance(name, str) and name:
            value = self.values.get(name)
            if value is None:
                return Priority(0, preempts=self._preempts(spec, ""), unknown=True)
            return Priority(value, unwritten=True, preempts=self._preempts(spec, name))
        if self.defaults:  # the API allows one; of several the lowest counts, as upstream has it
            value, name = min((value, name) for name, value in self.defaults.items())
            return Priority(value, unwritten=True, preempts=self._preempts(spec, name))
        return Priority(0, preempts=self._preempts(spec, ""))

    def _preempts(self, spec: JsonObject, name: str) -> bool:
        """What the pod says counts; else its class, as long as nobody has copied the class into the pod."""
        policy = spec.get("preemptionPolicy")
        return policy != NEVER if policy else name not in self.peaceful
