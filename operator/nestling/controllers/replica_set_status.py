"""What a ReplicaSet says about itself: how many pods it has, and why it cannot have those it wants.

Reads the pods that the ReplicaSet holds; the caller writes. Zeros are written out: every column has a figure.
Source: Kubernetes 1.37, pkg/controller/replicaset/replica_set_utils.go.
"""

from collections.abc import Iterable, Sequence

from nestling.api.json import JsonObject
from nestling.api.kinds import REPLICA_SET
from nestling.controllers.status_change import LONGEST_MESSAGE, selector_text
from nestling.machinery.clock import timestamp
from nestling.machinery.conditions import without_condition
from nestling.machinery.records.pod import Pod
from nestling.machinery.records.workload import REPLICA_FAILURE, ReplicaSet


def status_of(
    rs: ReplicaSet, active: Sequence[Pod], terminating: int, *, failure: tuple[str, str] | None, now: float
) -> JsonObject:
    """The whole status. `failure` is reason and message of what keeps pods from being created or deleted."""
    ready = [pod for pod in active if pod.ready]
    wanted = rs.template_labels.items()
    status: JsonObject = {
        "replicas": len(active),
        "fullyLabeledReplicas": sum(wanted <= pod.labels.items() for pod in active),
        "readyReplicas": len(ready),
        "availableReplicas": sum(is_available(pod, rs.min_ready_s, now) for pod in ready),
        "observedGeneration": rs.generation,
        "selector": selector_text(rs.selector),
        "conditions": _conditions(rs, failure, now),
    }
    # A ReplicationController has no such field.
    return {**status, "terminatingReplicas": terminating} if rs.KIND == REPLICA_SET else status


def is_available(pod: Pod, min_ready_s: int, now: float) -> bool:
    """Whether the pod has been ready for long enough. Without a minimum no clock is asked."""
    due = pod.available_at(min_ready_s)
    return due is not None and (min_ready_s == 0 or due <= now)


def next_available(active: Iterable[Pod], min_ready_s: int, now: float) -> float | None:
    """When the next ready pod will have been ready for long enough; None if none is on its way there."""
    if min_ready_s == 0:
        return None
    dues = (pod.available_at(min_ready_s) for pod in active)
    return min((due for due in dues if due is not None and due > now), default=None)


def _conditions(rs: ReplicaSet, failure: tuple[str, str] | None, now: float) -> list[JsonObject] | None:
    """Conditions with ReplicaFailure as it should be; one that stands keeps its first reason."""
    stored: list[JsonObject] = (rs.body.get("status") or {}).get("conditions") or []
    if failure is not None and rs.failure is not None:
        return stored
    kept = without_condition(stored, REPLICA_FAILURE)
    if failure is None:
        return kept or None
    reason, message = failure
    return [
        *kept,
        {
            "type": REPLICA_FAILURE,
            "status": "True",
            "lastTransitionTime": timestamp(now),
            "reason": reason,
            "message": message[:LONGEST_MESSAGE],
        },
    ]
