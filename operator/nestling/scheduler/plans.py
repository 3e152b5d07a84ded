"""What the scheduler writes: the bind that gives a pod its node, the condition that says why it has none, and
what makes room for it: its nomination, the eviction of others.

Pure functions from a queued pod and a decision to a Plan. The bind carries everything in one write: node,
priority, the finalizer that lets the kubelet stop containers in peace, and the explanation as an annotation,
which the kubelet's first status write moves to `status.scheduling`.
Source: Kubernetes 1.37, pkg/scheduler/schedule_one.go (handleSchedulingFailure), plugins/defaultbinder and
framework/preemption/executor.go.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from nestling.api.json import JsonObject
from nestling.api.kinds import POD
from nestling.machinery.clock import timestamp
from nestling.machinery.conditions import conditions_of, with_condition
from nestling.machinery.names import Key
from nestling.machinery.plan import Delete, Emit, Patch, Plan, Write
from nestling.machinery.records.base import condition
from nestling.machinery.records.pod import KUBELET_FINALIZER, SCHEDULING_ANNOTATION, Pod
from nestling.scheduler.engine import Decision
from nestling.scheduler.explain import note
from nestling.scheduler.priority import NEVER
from nestling.scheduler.queue import QueuedPod
from nestling.scheduler.residents import DISRUPTION_TARGET, PREEMPTED_BY_SCHEDULER, Resident

POD_SCHEDULED: Final = "PodScheduled"
UNSCHEDULABLE: Final = "Unschedulable"
SCHEDULER_ERROR: Final = "SchedulerError"
GATED: Final = "SchedulingGated"
GATED_MESSAGE: Final = "Scheduling is blocked due to non-empty scheduling gates"
BIND_WHY: Final = "a node was found"
EVICT_WHY: Final = "a more important pod needs the room"
MOST_SCORES: Final = 32  # of plugins, in a pod's status


def bind(
    pod: QueuedPod,
    decision: Decision,
    scores: Mapping[str, int],
    scheduler: str,
    extra: JsonObject | None = None,
) -> Plan:
    """Give the pod its node, if it is still exactly the version that was decided on.

    `scores` are the winner's by plugin, `extra` is what PreBind plugins have to add to the write.
    """
    record = pod.record
    key = record.key
    metadata: dict[str, Any] = {
        "annotations": {SCHEDULING_ANNOTATION: placed_text(decision, scores, pod.attempts)},
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
        if not pod.preempts:
            spec["preemptionPolicy"] = NEVER
    body = (
        merged(extra, {"metadata": metadata, "spec": spec}) if extra else {"metadata": metadata, "spec": spec}
    )

    def refused(message: str) -> Emit:
        return _failed(key, record, f"binding rejected: {message}", scheduler)

    patch = Patch(
        POD,
        key,
        record.uid,
        body,
        version=record.version,
        on_success=scheduled(pod, decision.node, scheduler),
        on_failure=refused,
    )
    return Plan((patch, _classless(pod, scheduler)) if pod.classless else (patch,), why=BIND_WHY)


def _classless(pod: QueuedPod, scheduler: str) -> Emit:
    """The event about a pod that natively could not have been created."""
    message = f"no PriorityClass with name {pod.priority_class} was found, so the pod has priority 0"
    return Emit(
        POD, pod.key, pod.record.uid, "Warning", "UnknownPriorityClass", message, scheduler, "Binding"
    )


def scheduled(pod: QueuedPod, node: str, scheduler: str) -> Emit:
    """The event that tells of a bind."""
    message = f"Successfully assigned {pod.key.namespace}/{pod.key.name} to {node}"
    return Emit(POD, pod.key, pod.record.uid, "Normal", "Scheduled", message, scheduler, "Binding")


def merged(first: JsonObject, then: JsonObject) -> JsonObject:
    """Two merge patches as one; where both say something, the second counts."""
    found = dict(first)
    for name, value in then.items():
        before = found.get(name)
        found[name] = merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return found


def placed_text(decision: Decision, scores: Mapping[str, int], attempts: int) -> str:
    """The explanation of a placement, in the form of `status.scheduling`, as compact JSON."""
    return orjson.dumps(
        {
            "node": decision.node,
            "score": decision.score,
            "feasible": decision.feasible,
            "nodes": decision.nodes,
            "attempts": attempts,
            "scores": [
                {"plugin": plugin, "score": score} for plugin, score in list(scores.items())[:MOST_SCORES]
            ],
            "best": [{"node": one.node, "score": one.score} for one in decision.runners_up],
        }
    ).decode()


def refuse(pod: QueuedPod, decision: Decision, scheduler: str, now: float) -> Plan:
    """Say why the pod has no node, and which one is made room on: in its condition, in `status.scheduling`,
    in `status.nominatedNodeName`, and by an event."""
    if decision.refusal is not None:
        scheduling = decision.refusal.to_json(pod.attempts)
        return _tell(pod, UNSCHEDULABLE, decision.refusal.message, scheduling, scheduler, now)
    scheduling: JsonObject = {
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


def skip_deleting(pod: QueuedPod, scheduler: str) -> Plan:
    """Say that the pod is not tried any more because somebody has deleted it."""
    message = f"skip schedule deleting pod: {pod.key.namespace}/{pod.key.name}"
    return Plan.of(_failed(pod.key, pod.record, message, scheduler), why="the pod is being deleted")


def evict(victim: Resident, preemptor: QueuedPod, node: str, scheduler: str, now: float) -> Plan:
    """Ask a pod to go, in favour of another: mark it as a target of disruption, then delete it.

    Killed in between, the mark alone does no harm; whoever comes next finds the same victim and goes on.
    """
    record = victim.record
    before = conditions_of(record.body)
    target: JsonObject = {
        "type": DISRUPTION_TARGET,
        "status": "True",
        "reason": PREEMPTED_BY_SCHEDULER,
        "message": f"{scheduler}: preempting to accommodate a higher priority pod",
        "lastProbeTime": None,
        "observedGeneration": record.generation,
    }
    after = with_condition(before, target, now)
    writes: list[Write] = []
    if after != before:
        body: JsonObject = {"status": {"conditions": after}}
        # A merge patch replaces the list as a whole: only on the version that was seen.
        writes.append(Patch(POD, record.key, record.uid, body, version=record.version, subresource="status"))
    said = Emit(
        POD,
        record.key,
        record.uid,
        "Normal",
        "Preempted",
        f"Preempted by pod {preemptor.record.uid} on node {node}",
        scheduler,
        "Preempting",
    )
    writes.append(Delete(POD, record.key, record.uid, on_success=said))
    return Plan(tuple(writes), why=EVICT_WHY)


def clear_nomination(pod: QueuedPod) -> Plan:
    """Take back a nomination: somebody more important gets the room."""
    body: JsonObject = {"status": {"nominatedNodeName": None}}
    patch = Patch(POD, pod.key, pod.record.uid, body, version=pod.record.version, subresource="status")
    return Plan.of(patch, why="a more important pod gets the room")


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
    if pod.nominated != pod.record.nominated_node:
        patch.body["status"]["nominatedNodeName"] = pod.nominated or None
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
