"""Evict pods from nodes with NoExecute taints that they do not tolerate, or no longer.

Looks at a node and all its pods at once, and only at nodes that have such a taint. A toleration of so many
seconds runs from the taint's `timeAdded` (or from the pod's binding, if that came later); a taint that
people added without a time is given one first, so that the count survives a restart. Pods that say nothing
about unready nodes tolerate them for the cluster's default times, as admission would have written into
them. An evicted pod learns why in its status and is then deleted as usual: if its kubelet is dead, it stays
terminating until the kubelet answers or the node is gone. A cancelled eviction has no event of its own
here: nothing was planned that would have to be taken back.
Source: Kubernetes 1.37, pkg/controller/tainteviction and plugin/pkg/admission/defaulttolerationseconds.
"""

from collections.abc import Iterable, Sequence
from math import inf
from typing import Final

from nestling.api.json import JsonObject
from nestling.api.kinds import CLUSTER, NODE, POD
from nestling.api.toleration import Toleration, tolerations_of
from nestling.machinery.cache import Change
from nestling.machinery.clock import seconds_or, timestamp
from nestling.machinery.conditions import conditions_of, with_condition
from nestling.machinery.controller import Controller, Route
from nestling.machinery.names import Key
from nestling.machinery.plan import Delete, Emit, Patch, Plan
from nestling.machinery.records.base import condition
from nestling.machinery.records.cluster import Settings
from nestling.machinery.records.node import NOT_READY, UNREACHABLE, Node, Taint
from nestling.machinery.records.pod import Pod
from nestling.machinery.view import View

COMPONENT: Final = "taint-eviction-controller"
BURST: Final = 500


def no_execute(node: Node) -> list[Taint]:
    """The taints of a node that evict."""
    return [taint for taint in node.taints if taint.effect == "NoExecute"]


def with_defaults(tolerations: Sequence[Toleration], settings: Settings) -> list[Toleration]:
    """A pod's tolerations and those that admission adds to pods that do not mention unready nodes."""
    found = list(tolerations)
    defaults = {NOT_READY: settings.not_ready_toleration_s, UNREACHABLE: settings.unreachable_toleration_s}
    for key, seconds in defaults.items():
        mentioned = any(one.key in {"", key} and one.effect in {"", "NoExecute"} for one in tolerations)
        if not mentioned:
            found.append(Toleration(key, "Exists", effect="NoExecute", seconds=seconds))
    return found


def eviction_at(
    taints: list[Taint], tolerations: list[Toleration], bound_at: float, now: float
) -> float | None:
    """When a pod has to go, seconds since 1970: 0 for at once, None for never.

    Of several tolerations of one taint the first counts; of several taints the one that is up first.
    """
    due = inf
    for taint in taints:
        used = next((one for one in tolerations if one.tolerates(taint.key, taint.value, taint.effect)), None)
        if used is None:
            return 0.0
        if used.seconds is None:
            continue
        if used.seconds <= 0:
            return 0.0
        due = min(due, max(seconds_or(taint.added_at, now), bound_at) + used.seconds)
    return None if due == inf else due


def bound_at(pod: Pod, body: JsonObject) -> float:
    """When a pod got its node, as far as anybody wrote it down."""
    scheduled = condition(body, "PodScheduled")
    if scheduled is None or scheduled.get("status") != "True":
        return pod.created_at
    return seconds_or(scheduled.get("lastTransitionTime"), pod.created_at)


def disruption_target(pod: Pod, reason: str, message: str) -> JsonObject:
    """The condition by which a pod learns why it is being taken away."""
    return {
        "type": "DisruptionTarget",
        "status": "True",
        "observedGeneration": pod.generation,
        "reason": reason,
        "message": message,
    }


def reconcile(view: View, key: Key) -> Plan:
    """Plan the evictions from one node that are due, and the moment of the next."""
    node = view.get(Node, key)
    if node is None:
        return Plan.done("no node")
    taints = no_execute(node)
    if not taints:
        return Plan.done("nothing evicts here")
    evicted: list[tuple[Pod, JsonObject]] = []
    next_at: float | None = None
    for pod in view.on_node(key.name):
        if pod.deleting:
            continue
        body = pod.body
        tolerations = with_defaults(tolerations_of(body.get("spec") or {}), view.settings)
        due = eviction_at(taints, tolerations, bound_at(pod, body), view.now)
        if due is None:
            continue
        if due <= view.now:
            evicted.append((pod, body))
        else:
            next_at = due if next_at is None else min(next_at, due)
    if next_at is not None and not all(taint.added_at for taint in taints):
        return Plan.of(_stamped(node, view.now), why="a taint without a time cannot be counted from")
    now = evicted[:BURST]
    more = len(evicted) > BURST
    return Plan.of(
        *(_told(pod, body, view.now) for pod, body in now),
        *(_deletion(pod) for pod, _ in now),
        wake_at=view.now if more else next_at,
        why=f"{len(evicted)} pods do not tolerate the node's taints",
    )


def _told(pod: Pod, body: JsonObject, now: float) -> Patch:
    """The status write by which a pod learns why it goes; for people it is terminating from now on."""
    reason = disruption_target(
        pod, "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint"
    )
    conditions = with_condition(conditions_of(body), reason, now)
    status: JsonObject = {"conditions": conditions}
    if not pod.terminal:
        status["display"] = {"status": "Terminating"}
    return Patch(POD, pod.key, pod.uid, {"status": status}, version=pod.version, subresource="status")


def _deletion(pod: Pod) -> Delete:
    message = f"Marking for deletion Pod {pod.key.namespace}/{pod.key.name}"
    event = Emit(POD, pod.key, pod.uid, "Normal", "TaintManagerEviction", message, COMPONENT)
    return Delete(POD, pod.key, pod.uid, on_success=event)


def _stamped(node: Node, now: float) -> Patch:
    """The write that gives evicting taints without a time one."""
    taints: list[JsonObject] = (node.body.get("spec") or {}).get("taints") or []
    stamped = [
        {**taint, "timeAdded": timestamp(now)}
        if taint.get("effect") == "NoExecute" and not taint.get("timeAdded")
        else taint
        for taint in taints
    ]
    return Patch(NODE, node.key, node.uid, {"spec": {"taints": stamped}}, version=node.version)


def _tainted_node(view: View, change: Change) -> Iterable[Key]:
    """A node whose evicting taints have changed."""
    del view
    before = no_execute(change.old) if isinstance(change.old, Node) else []
    after = no_execute(change.new) if isinstance(change.new, Node) else []
    return (change.key,) if before != after else ()


def _new_pod_on_tainted_node(view: View, change: Change) -> Iterable[Key]:
    """The node of a pod that was just bound, or whose spec has changed, if anything evicts there."""
    old, new = change.old, change.new
    if not isinstance(new, Pod) or not new.node_name or new.deleting:
        return ()
    if isinstance(old, Pod) and (old.node_name, old.generation) == (new.node_name, new.generation):
        return ()
    key = Key(view.cluster, "", new.node_name)
    node = view.get(Node, key)
    return (key,) if node is not None and no_execute(node) else ()


def _tainted_nodes(view: View, change: Change) -> Iterable[Key]:
    """Every node with an evicting taint: the default times may have changed."""
    del change
    return [node.key for node in view.all(Node) if no_execute(node)]


CONTROLLER: Final = Controller(
    name="taint-eviction",
    reconcile=reconcile,
    concerns={
        NODE: (Route(_tainted_node),),
        POD: (Route(_new_pod_on_tainted_node),),
        CLUSTER: (Route(_tainted_nodes),),
    },
)
