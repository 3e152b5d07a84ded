"""What loops read of a VirtualPod."""

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from nestling.api.json import JsonObject
from nestling.api.kinds import POD, Kind
from nestling.machinery.clock import seconds_of
from nestling.machinery.records.base import Record, condition

# The kubelet has containers to stop before the object may go; the bind write adds it, the kubelet drops it.
KUBELET_FINALIZER: Final = "nestling.dev/kubelet"
# The scheduler's account of the placement, in the bind write; the kubelet moves it to `status.scheduling`.
SCHEDULING_ANNOTATION: Final = "nestling.dev/scheduling"
DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"
TERMINAL_PHASES: Final = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod(Record):
    """One pod.

    `phase` is "" until somebody wrote a status; `ready_at` is when the Ready condition last became True.
    `applied` says that this sighting showed field owners which the next `kubectl apply` will ask for.
    """

    KIND: ClassVar[Kind] = POD

    node_name: str
    scheduler_name: str
    phase: str
    ip: str
    ready: bool
    ready_at: float
    restarts: int
    gated: bool
    priority: int
    deletion_cost: int
    applied: bool = False

    @property
    def terminal(self) -> bool:
        """Whether the pod has run its course."""
        return self.phase in TERMINAL_PHASES

    @property
    def active(self) -> bool:
        """Whether the pod counts for its controller: neither finished nor on its way out."""
        return self.deleting_at is None and self.phase not in TERMINAL_PHASES

    def available_at(self, min_ready_s: float) -> float | None:
        """When the pod counts (or will count) as available.

        Ready for `min_ready_s` seconds. None while not ready.
        """
        return self.ready_at + min_ready_s if self.ready else None

    @classmethod
    def fields_of(cls, obj: JsonObject) -> dict[str, Any]:
        """Constructor arguments taken from a VirtualPod."""
        applied = any(map(_by_apply, obj["metadata"].get("managedFields") or ()))  # dropped by the base
        fields = super(Pod, cls).fields_of(obj)
        spec: JsonObject = obj.get("spec") or {}
        status: JsonObject = obj.get("status") or {}
        ready = condition(obj, "Ready")
        is_ready = ready is not None and ready.get("status") == "True"
        cost = (obj["metadata"].get("annotations") or {}).get(DELETION_COST, "0")
        fields.update(
            node_name=spec.get("nodeName") or "",
            scheduler_name=spec.get("schedulerName") or "default-scheduler",
            phase=status.get("phase") or "",
            ip=status.get("podIP") or "",
            ready=is_ready,
            ready_at=seconds_of(ready["lastTransitionTime"]) if ready and is_ready else 0.0,
            restarts=sum(c.get("restartCount", 0) for c in status.get("containerStatuses") or ()),
            gated=bool(spec.get("schedulingGates")),
            priority=spec.get("priority") or 0,
            deletion_cost=_integer(cost),
            applied=applied,
        )
        return fields


def _by_apply(entry: JsonObject) -> bool:
    """Whether the fields of this entry were applied, on the server's side or by kubectl on its own."""
    return entry.get("operation") == "Apply" or entry.get("manager") == "kubectl-client-side-apply"


def _integer(text: str) -> int:
    """A whole number of 32 bits, or 0 for anything else: a bad annotation must not stop a rollout."""
    try:
        number = int(text)
    except ValueError:
        return 0
    return number if -(2**31) <= number < 2**31 else 0
