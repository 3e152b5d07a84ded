"""Draw the consequences of a node's conditions: taints, pods that are no longer ready, events.

NoSchedule taints follow the conditions at once. NoExecute taints, which evict, follow at upstream's pace
per zone: one node in ten seconds; one in a hundred, or none in a small zone, when most of the zone is
unready; none at all when no node anywhere is ready, because then it is more likely we who are cut off. The
pace is read off the taints' own `timeAdded`, so it needs no memory and survives a restart. Nodes that no
Lease vouches for are also declared unknown here: never registered within the startup grace, or with a
status that somebody stopped writing. Those with a Lease are `node_heartbeat`'s. A new node carries no
not-ready taint: the scheduler does not use nodes that have not registered, and a node that registers ready
then never costs a taint write. RegisteredNode events are left out for the same reason.
Source: Kubernetes 1.37, pkg/controller/nodelifecycle/node_lifecycle_controller.go.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from nestling.api.json import JsonObject
from nestling.api.kinds import NODE, POD
from nestling.controllers.node_heartbeat import posted_at, seconds_or, unknown
from nestling.machinery.cache import Change
from nestling.machinery.clock import timestamp
from nestling.machinery.conditions import conditions_of, with_condition
from nestling.machinery.controller import Controller, Route
from nestling.machinery.names import Key
from nestling.machinery.plan import Emit, Patch, Plan, Write
from nestling.machinery.records.base import condition
from nestling.machinery.records.node import Node
from nestling.machinery.records.pod import Pod
from nestling.machinery.view import View

COMPONENT: Final = "node-controller"
BURST: Final = 500

NOT_READY: Final = "node.kubernetes.io/not-ready"
UNREACHABLE: Final = "node.kubernetes.io/unreachable"
UNSCHEDULABLE: Final = "node.kubernetes.io/unschedulable"
# Condition type and status -> taint key.
TAINT_OF: Final = {
    ("Ready", "False"): NOT_READY,
    ("Ready", "Unknown"): UNREACHABLE,
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
}
NO_SCHEDULE_KEYS: Final = frozenset({*TAINT_OF.values(), UNSCHEDULABLE})
EVICTING_KEYS: Final = frozenset({NOT_READY, UNREACHABLE})

# Source: kube-controller-manager's --node-eviction-rate, --secondary-node-eviction-rate,
# --large-cluster-size-threshold and --unhealthy-zone-threshold.
EVICTION_INTERVAL_S: Final = 10.0
SECONDARY_INTERVAL_S: Final = 100.0
LARGE_ZONE: Final = 50
UNHEALTHY_ZONE: Final = 0.55
EXCLUDED: Final = "node.kubernetes.io/exclude-disruption"


@dataclass(slots=True)
class Zone:
    """Readiness of one zone, as far as it counts for disruption."""

    ready: int = 0
    unready: int = 0

    @property
    def interval_s(self) -> float | None:
        """Seconds from one evicting taint to the next; None for no eviction at all."""
        size = self.ready + self.unready
        if self.ready and self.unready > 2 and self.unready / size >= UNHEALTHY_ZONE:
            return SECONDARY_INTERVAL_S if size > LARGE_ZONE else None
        return EVICTION_INTERVAL_S


def zone_of(node: Node) -> tuple[str, str]:
    """Region and zone of a node, empty where it has none."""
    labels = node.labels
    return labels.get("topology.kubernetes.io/region", ""), labels.get("topology.kubernetes.io/zone", "")


def zones(view: View) -> dict[tuple[str, str], Zone]:
    """Readiness of all zones of the cluster."""
    found: dict[tuple[str, str], Zone] = {}
    for node in view.all(Node):
        if EXCLUDED in node.labels:
            continue
        zone = found.setdefault(zone_of(node), Zone())
        if node.ready:
            zone.ready += 1
        else:
            zone.unready += 1
    return found


def fully_disrupted(found: dict[tuple[str, str], Zone]) -> bool:
    """Whether no node of any zone is ready."""
    return not any(zone.ready for zone in found.values())


def evicting_since(node: Node) -> float | None:
    """When the node got a NoExecute taint for being unready, seconds since 1970; None if it has none."""
    times = [seconds_or(t.added_at, 0.0) for t in node.taints if _evicts(t.key, t.effect)]
    return max(times, default=None)


def eviction_due(view: View, node: Node) -> float | None:
    """When an unready node may get its NoExecute taint, seconds since 1970; None while eviction is off."""
    found = zones(view)
    if fully_disrupted(found):
        return None
    here = zone_of(node)
    interval = found.get(here, Zone()).interval_s
    if interval is None:
        return None
    last: float | None = None
    ahead = 0
    for other in view.all(Node):
        if other.ready or zone_of(other) != here:
            continue
        since = evicting_since(other)
        if since is not None:
            last = since if last is None else max(last, since)
        elif other.key.name < node.key.name:
            ahead += 1
    first = view.now if last is None else max(last + interval, view.now)
    return first + ahead * interval


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

    evicting: str | None = TAINT_OF.get(("Ready", str(ready.get("status"))))
    if evicting is not None and not _has(body, EVICTING_KEYS, "NoExecute"):
        due = eviction_due(view, node)
        if due is None or due > view.now:
            wake_at = due
            evicting = None
    elif evicting is not None and fully_disrupted(zones(view)):
        evicting = None  # we may be the ones who are cut off: take eviction back

    writes: list[Write] = []
    taints = _taints(body, taints_by_condition(body), evicting, view.now)
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
    body: JsonObject, no_schedule: set[str], evicting: str | None, now: float
) -> list[JsonObject] | None:
    """The node's whole list of taints as it should be, or None if it is so. Foreign taints stay in place."""
    have: list[JsonObject] = (body.get("spec") or {}).get("taints") or []
    wanted = {(key, "NoSchedule") for key in no_schedule}
    if evicting is not None:
        wanted.add((evicting, "NoExecute"))
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


def _others_unready(view: View, change: Change) -> Iterable[Key]:
    """Unready nodes, whose eviction depends on how many others are ready."""
    before = isinstance(change.old, Node) and change.old.ready
    after = isinstance(change.new, Node) and change.new.ready
    if before == after:
        return ()
    return [node.key for node in view.all(Node) if not node.ready]


CONTROLLER: Final = Controller(
    name="node-lifecycle",
    reconcile=reconcile,
    concerns={
        NODE: (Route(_changed), Route(_others_unready, delay_s=1.0)),
        POD: (Route(_ready_pod_on_unready_node),),
    },
)
