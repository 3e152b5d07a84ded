"""Draw the consequences of a node's conditions: taints, pods that are no longer ready, events.

NoSchedule taints follow the conditions at once. The NoExecute taint of an unready node, which evicts, is put
on by `zone_eviction` in its time; here it follows the condition (not ready, unreachable) and goes when the
node is ready again. Nodes that no Lease vouches for are also declared unknown here: never registered within
the startup grace, or with a status that somebody stopped writing. Those with a Lease are `node_heartbeat`'s.
A new node carries no not-ready taint: the scheduler does not use nodes that have not registered, and a node
that registers ready then never costs a taint write. RegisteredNode events are left out for the same reason.
Source: Kubernetes 1.37, pkg/controller/nodelifecycle/node_lifecycle_controller.go.
"""

from collections.abc import Iterable
from typing import Final, Literal

from nestling.api.json import JsonObject
from nestling.api.kinds import NODE, POD
from nestling.controllers.node_heartbeat import posted_at, unknown
from nestling.machinery.cache import Change
from nestling.machinery.clock import seconds_or, timestamp
from nestling.machinery.conditions import conditions_of, with_condition
from nestling.machinery.controller import Controller, Route
from nestling.machinery.names import Key
from nestling.machinery.plan import Emit, Patch, Plan, Write
from nestling.machinery.records.base import condition
from nestling.machinery.records.node import UNREADY_TAINTS, Node
from nestling.machinery.records.pod import Pod
from nestling.machinery.view import View

COMPONENT: Final = "node-controller"
BURST: Final = 500

UNSCHEDULABLE: Final = "node.kubernetes.io/unschedulable"
# Condition type and status -> taint key.
TAINT_OF: Final = {
    **{("Ready", status): key for status, key in UNREADY_TAINTS.items()},
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
}
NO_SCHEDULE_KEYS: Final = frozenset({*TAINT_OF.values(), UNSCHEDULABLE})
EVICTING_KEYS: Final = frozenset(UNREADY_TAINTS.values())


def taints_by_condition(body: JsonObject) -> set[str]:
    """Keys of the NoSchedule taints that a node's conditions and its cordon ask for."""
    keys = {
        TAINT_OF[state]
        for entry in conditions_of(body)
        if (state := (str(entry.get("type")), str(entry.get("status")))) in TAINT_OF
    }
    if (body.get("spec") or {}).get("unschedulable"):
        keys.add(UNSCHEDULABLE)
    return keys


def reconcile(view: View, key: Key) -> Plan:
    """Plan the taints of one node and what its unreadiness means for its pods."""
    node = view.get(Node, key)
    if node is None or node.deleting:
        return Plan.done("no node to look after")
    body = node.body
    wake_at: float | None = None
    if not node.kubelet_lease:
        wake_at = _silent_at(view, node, body)
        if wake_at <= view.now:
            patch = unknown(node, body, view.now)
            if patch is not None:
                return Plan.of(patch, why="nobody posts its status")  # and the change brings us back
            wake_at = None
    ready = condition(body, "Ready")
    if ready is None:
        return Plan(wake_at=wake_at, why="has not registered")

    writes: list[Write] = []
    taints = _taints(body, taints_by_condition(body), UNREADY_TAINTS.get(node.readiness), view.now)
    if taints is not None:
        writes.append(_taint_patch(node, body, ready, taints))
    pods = _pods_to_mark(view, node, ready)
    writes += [_pod_not_ready(pod, view.now) for pod in pods[:BURST]]
    if len(pods) > BURST:
        wake_at = view.now
    return Plan.of(*writes, wake_at=wake_at, why=f"Ready is {ready.get('status')}")


def _silent_at(view: View, node: Node, body: JsonObject) -> float:
    """When a node without a Lease counts as silent."""
    settings = view.settings
    if condition(body, "Ready") is None:
        return max(node.created_at, view.watching_since) + settings.node_startup_grace_s
    return max(posted_at(body), view.watching_since) + settings.node_grace_s


def _evicts(key: str, effect: str) -> bool:
    return key in EVICTING_KEYS and effect == "NoExecute"


def _has(body: JsonObject, keys: frozenset[str], effect: Literal["NoSchedule", "NoExecute"]) -> bool:
    taints: list[JsonObject] = (body.get("spec") or {}).get("taints") or []
    return any(taint.get("key") in keys and taint.get("effect") == effect for taint in taints)


def _taints(
    body: JsonObject, no_schedule: set[str], unready: str | None, now: float
) -> list[JsonObject] | None:
    """The node's whole list of taints as it should be, or None if it is so. Foreign taints stay in place.

    `unready` is the key that goes with the node's readiness: its evicting taint, if it has one, has this key.
    """
    have: list[JsonObject] = (body.get("spec") or {}).get("taints") or []
    wanted = {(key, "NoSchedule") for key in no_schedule}
    if unready is not None and _has(body, EVICTING_KEYS, "NoExecute"):
        wanted.add((unready, "NoExecute"))
    result: list[JsonObject] = []
    for taint in have:
        name = (str(taint.get("key")), str(taint.get("effect")))
        ours = (name[1] == "NoSchedule" and name[0] in NO_SCHEDULE_KEYS) or _evicts(*name)
        if not ours or name in wanted:
            result.append(taint)
        wanted.discard(name)
    result += [{"key": key, "effect": effect, "timeAdded": timestamp(now)} for key, effect in sorted(wanted)]
    return result if result != have else None


def _taint_patch(node: Node, body: JsonObject, ready: JsonObject, taints: list[JsonObject]) -> Patch:
    went_unready = ready.get("status") != "True" and not _has(body, EVICTING_KEYS, "NoSchedule")
    never_ready = ready.get("reason") == "NodeStatusNeverUpdated"
    event = None
    if went_unready and not never_ready:
        message = f"Node {node.key.name} status is now: NodeNotReady"
        event = Emit(NODE, node.key, node.uid, "Normal", "NodeNotReady", message, COMPONENT)
    # A list is replaced as a whole: only as we saw it.
    return Patch(
        NODE, node.key, node.uid, {"spec": {"taints": taints}}, version=node.version, on_success=event
    )


def _pods_to_mark(view: View, node: Node, ready: JsonObject) -> list[Pod]:
    """Pods that still say they are ready although their node is not.

    A pod that became ready after its node went unready was reported by a living kubelet, whose word stands.
    """
    if ready.get("status") == "True":
        return []
    since = seconds_or(ready.get("lastTransitionTime"), view.now)
    return [pod for pod in view.on_node(node.key.name) if pod.ready and pod.ready_at <= since]


def _pod_not_ready(pod: Pod, now: float) -> Patch:
    conditions = with_condition(conditions_of(pod.body), {"type": "Ready", "status": "False"}, now)
    return Patch(
        POD,
        pod.key,
        pod.uid,
        {"status": {"conditions": conditions}},
        version=pod.version,
        subresource="status",
        on_success=Emit(POD, pod.key, pod.uid, "Warning", "NodeNotReady", "Node is not ready", COMPONENT),
    )


def _ready_pod_on_unready_node(view: View, change: Change) -> Iterable[Key]:
    """The node of a pod that says it is ready although the node is not."""
    pod = change.new
    if not isinstance(pod, Pod) or not pod.ready or not pod.node_name:
        return ()
    key = Key(view.cluster, "", pod.node_name)
    node = view.get(Node, key)
    return (key,) if node is not None and not node.ready else ()


def _changed(view: View, change: Change) -> Iterable[Key]:
    del view
    return (change.key,) if change.new is not None else ()


CONTROLLER: Final = Controller(
    name="node-lifecycle",
    reconcile=reconcile,
    concerns={
        NODE: (Route(_changed),),
        POD: (Route(_ready_pod_on_unready_node),),
    },
)
