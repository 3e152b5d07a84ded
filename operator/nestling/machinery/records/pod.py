"""What loops read of a VirtualPod."""

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from nestling.api.json import JsonObject
from nestling.api.kinds import POD, Kind
from nestling.machinery.clock import seconds_or
from nestling.machinery.records.base import Record, condition

# The kubelet has containers to stop before the object may go; the bind write adds it, the kubelet drops it.
KUBELET_FINALIZER: Final = "nestling.dev/kubelet"
# The scheduler's account of the placement, in the bind write; the kubelet moves it to `status.scheduling`.
SCHEDULING_ANNOTATION: Final = "nestling.dev/scheduling"
# What `kubectl delete --grace-period` says of a native pod; a host tells nobody that of a custom resource.
DELETION_GRACE: Final = "nestling.dev/deletion-grace-period-seconds"
DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"
# The pod's Job has yet to count how it ended.
JOB_TRACKING: Final = "batch.kubernetes.io/job-tracking"
COMPLETION_INDEX: Final = "batch.kubernetes.io/job-completion-index"
NO_INDEX: Final = -1
TERMINAL_PHASES: Final = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod(Record):
    """One pod.

    `phase` is "" until somebody wrote a status; `ready_at` is when the Ready condition last became True.
    `target_node` is the node that it is bound to, or the only one that it may be bound to.
    `completion_index` is the pod's number in an indexed Job, NO_INDEX for all other pods.
    `started_at` is when a kubelet first took note of it, None before; `nominated_node` is where room is being
    made for it. `applied` says that this sighting showed field owners which the next `kubectl apply` will ask
    for.
    """

    KIND: ClassVar[Kind] = POD

    node_name: str
    target_node: str
    scheduler_name: str
    phase: str
    ip: str
    ready: bool
    ready_at: float
    restarts: int
    init_restarts: int
    completion_index: int
    gated: bool
    priority: int
    deletion_cost: int
    started_at: float | None = None
    nominated_node: str = ""
    applied: bool = False

    @property
    def terminal(self) -> bool:
        """Whether the pod has run its course."""
        return self.phase in TERMINAL_PHASES

    @property
    def active(self) -> bool:
        """Whether the pod counts for its controller: neither finished nor on its way out."""
        return self.deleting_at is None and self.phase not in TERMINAL_PHASES

    @property
    def tracked(self) -> bool:
        """Whether a Job has yet to count how the pod ended."""
        return JOB_TRACKING in self.finalizers

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
        notes: JsonObject = obj["metadata"].get("annotations") or {}
        fields.update(
            node_name=spec.get("nodeName") or "",
            target_node=spec.get("nodeName") or _only_node(spec),
            scheduler_name=spec.get("schedulerName") or "default-scheduler",
            phase=status.get("phase") or "",
            ip=status.get("podIP") or "",
            ready=is_ready,
            ready_at=seconds_or(ready.get("lastTransitionTime"), 0.0) if ready and is_ready else 0.0,
            restarts=sum(c.get("restartCount", 0) for c in status.get("containerStatuses") or ()),
            init_restarts=sum(c.get("restartCount", 0) for c in status.get("initContainerStatuses") or ()),
            completion_index=_index(notes.get(COMPLETION_INDEX)),
            gated=bool(spec.get("schedulingGates")),
            priority=spec.get("priority") or 0,
            deletion_cost=_integer(notes.get(DELETION_COST, "0")),
            started_at=seconds_or(status.get("startTime"), None),
            nominated_node=status.get("nominatedNodeName") or "",
            applied=applied,
        )
        return fields


def _by_apply(entry: JsonObject) -> bool:
    """Whether the fields of this entry were applied, on the server's side or by kubectl on its own."""
    return entry.get("operation") == "Apply" or entry.get("manager") == "kubectl-client-side-apply"


def _only_node(spec: JsonObject) -> str:
    """The node that the required affinity names, as that of a DaemonSet's pod does; "" if it names none.

    Source: Kubernetes 1.37, pkg/controller/daemon/util (GetTargetNodeName).
    """
    nodes: JsonObject = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required: JsonObject = nodes.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            if field.get("key") == "metadata.name" and field.get("operator") == "In":
                names: list[str] = field.get("values") or []
                return names[0] if len(names) == 1 else ""
    return ""


def _integer(text: str) -> int:
    """A whole number of 32 bits, or 0 for anything else: a bad annotation must not stop a rollout."""
    try:
        number = int(text)
    except ValueError:
        return 0
    return number if -(2**31) <= number < 2**31 else 0


def _index(text: str | None) -> int:
    """A completion index, or NO_INDEX for anything else."""
    return int(text) if text is not None and text.isdecimal() and text.isascii() else NO_INDEX
