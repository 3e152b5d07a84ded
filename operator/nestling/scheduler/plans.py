"""What the scheduler writes: the bind that gives a pod its node, and the condition that says why it has none.

Pure functions from a queued pod and a decision to a Plan. The bind carries everything in one write: node,
priority, the finalizer that lets the kubelet stop containers in peace, and the explanation as an annotation,
which the kubelet's first status write moves to `status.scheduling`.
Source: Kubernetes 1.37, pkg/scheduler/schedule_one.go (handleSchedulingFailure) and plugins/defaultbinder.
"""

from typing import Any, Final

import orjson

from nestling.api.json import JsonObject
from nestling.api.kinds import POD
from nestling.machinery.clock import timestamp
from nestling.machinery.names import Key
from nestling.machinery.plan import Emit, Patch, Plan
from nestling.machinery.records.base import condition
from nestling.machinery.records.pod import KUBELET_FINALIZER, SCHEDULING_ANNOTATION, Pod
from nestling.scheduler.engine import Decision
from nestling.scheduler.explain import note
from nestling.scheduler.queue import QueuedPod

POD_SCHEDULED: Final = "PodScheduled"
UNSCHEDULABLE: Final = "Unschedulable"
SCHEDULER_ERROR: Final = "SchedulerError"
GATED: Final = "SchedulingGated"
GATED_MESSAGE: Final = "Scheduling is blocked due to non-empty scheduling gates"
BIND_WHY: Final = "a node was found"


def bind(pod: QueuedPod, decision: Decision, scheduler: str) -> Plan:
    """Give the pod its node, if it is still exactly the version that was decided on."""
    record = pod.record
    key = record.key
    metadata: dict[str, Any] = {
        "annotations": {SCHEDULING_ANNOTATION: placed_text(decision, pod.attempts)},
    }
    if KUBELET_FINALIZER not in record.finalizers:
        metadata["finalizers"] = [*record.finalizers, KUBELET_FINALIZER]
    if record.controller is not None or not record.applied:
        # Nobody will ask who owns which field: without field tracking the object is half the bytes, and the
        # host does a quarter less work for the pod.
        metadata["managedFields"] = [{}]
    spec: dict[str, Any] = {"nodeName": decision.node}
    if pod.sets_priority:
        spec["priority"] = pod.priority

    def refused(message: str) -> Emit:
        return _failed(key, record, f"binding rejected: {message}", scheduler)

    return Plan(
        (
            Patch(
                POD,
                key,
                record.uid,
                {"metadata": metadata, "spec": spec},
                version=record.version,
                on_success=Emit(
                    POD,
                    key,
                    record.uid,
                    "Normal",
                    "Scheduled",
                    f"Successfully assigned {key.namespace}/{key.name} to {decision.node}",
                    scheduler,
                    "Binding",
                ),
                on_failure=refused,
            ),
        ),
        why=BIND_WHY,
    )


def placed_text(decision: Decision, attempts: int) -> str:
    """The explanation of a placement, in the form of `status.scheduling`, as compact JSON."""
    return orjson.dumps(
        {
            "node": decision.node,
            "score": decision.score,
            "feasible": decision.feasible,
            "nodes": decision.nodes,
            "attempts": attempts,
            "best": [{"node": one.node, "score": one.score} for one in decision.runners_up],
        }
    ).decode()


def refuse(pod: QueuedPod, decision: Decision, scheduler: str, now: float) -> Plan:
    """Say why the pod has no node: in its condition, in `status.scheduling`, and by an event."""
    if decision.refusal is not None:
        scheduling = decision.refusal.to_json(pod.attempts)
        return _tell(pod, UNSCHEDULABLE, decision.refusal.message, scheduling, scheduler, now)
    scheduling = {
        "attempts": pod.attempts,
        "nodes": decision.nodes,
        "feasible": 0,
        "message": decision.error,
        "reasons": [],
        "best": [],
    }
    return _tell(pod, SCHEDULER_ERROR, decision.error, scheduling, scheduler, now)


def tell_gated(pod: QueuedPod, now: float) -> Plan:
    """Say that the pod waits for its gates, as the API server does natively at creation; without an event."""
    patch = _condition_patch(pod.record, GATED, GATED_MESSAGE, now)
    return Plan.of(patch, why="the pod has scheduling gates")


def said(record: Pod) -> tuple[str, str] | None:
    """Reason and message of a PodScheduled=False condition, or None: what a restart need not repeat."""
    found = condition(record.body, POD_SCHEDULED)
    if found is None or found.get("status") != "False":
        return None
    return found.get("reason") or "", found.get("message") or ""


def _tell(
    pod: QueuedPod, reason: str, message: str, scheduling: JsonObject, scheduler: str, now: float
) -> Plan:
    patch = _condition_patch(pod.record, reason, message, now)
    patch.body["status"]["scheduling"] = scheduling
    return Plan.of(patch, _failed(pod.key, pod.record, message, scheduler), why="no node would do")


def _condition_patch(record: Pod, reason: str, message: str, now: float) -> Patch:
    body = record.body
    before = condition(body, POD_SCHEDULED)
    moved = before is None or before.get("status") != "False"
    entry: JsonObject = {
        "type": POD_SCHEDULED,
        "status": "False",
        "reason": reason,
        "message": message,
        "lastProbeTime": None,
        "lastTransitionTime": timestamp(now) if before is None or moved else before.get("lastTransitionTime"),
        "observedGeneration": record.generation,
    }
    # A merge patch replaces the list as a whole: the conditions of others go along.
    others = [
        one for one in (body.get("status") or {}).get("conditions") or () if one.get("type") != POD_SCHEDULED
    ]
    status: JsonObject = {"conditions": [*others, entry], "display": _display(body, reason)}
    if not record.phase:
        status["phase"] = "Pending"
    return Patch(
        POD, record.key, record.uid, {"status": status}, version=record.version, subresource="status"
    )


def _display(body: JsonObject, reason: str) -> JsonObject:
    """What kubectl's columns show of a pod that no kubelet has seen."""
    spec: JsonObject = body.get("spec") or {}
    sidecars = sum(one.get("restartPolicy") == "Always" for one in spec.get("initContainers") or ())
    containers = len(spec.get("containers") or ()) + sidecars
    return {
        "ready": f"0/{containers}",
        "status": GATED if reason == GATED else "Pending",
        "restarts": "0",
    }


def _failed(key: Key, record: Pod, message: str, scheduler: str) -> Emit:
    return Emit(POD, key, record.uid, "Warning", "FailedScheduling", note(message), scheduler, "Scheduling")
