"""Declare nodes unknown whose kubelet has fallen silent.

One Lease vouches for all nodes of a kubelet process, so this loop looks at Leases, not at nodes: a renewal
costs one look, however many nodes it keeps alive, and the only timer is the one at which the Lease's word
expires. Nodes that a living kubelet has stopped vouching for are listed on the Lease with their last
heartbeat. A dead node's conditions become Unknown in one status write; taints, pods and events follow from
that (see `node_lifecycle`). Kubernetes measures silence on the controller's own clock and re-reads the
Lease before it decides. Here the time is the one on the Lease, nothing that happened before the cache began
to watch counts as silence, and the write fails if the kubelet has written the node meanwhile.
Source: Kubernetes 1.37, pkg/controller/nodelifecycle (tryUpdateNodeHealth).
"""

from collections.abc import Iterable
from typing import Final

from nestling.api.json import JsonObject
from nestling.api.kinds import LEASE, NODE
from nestling.machinery.cache import Change
from nestling.machinery.clock import seconds_or, timestamp
from nestling.machinery.conditions import conditions_of, with_condition
from nestling.machinery.controller import Controller, Route, own_key
from nestling.machinery.names import Key
from nestling.machinery.plan import Patch, Plan, Write
from nestling.machinery.records.base import condition
from nestling.machinery.records.node import Lease, Node
from nestling.machinery.view import View

BURST: Final = 500
# NetworkUnavailable is not the kubelet's to report.
KUBELET_CONDITIONS: Final = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


def posted_at(body: JsonObject) -> float:
    """When the kubelet last wrote the node's status, seconds since 1970; 0 if it never did."""
    ready = condition(body, "Ready")
    return seconds_or(ready.get("lastHeartbeatTime"), 0.0) if ready is not None else 0.0


def unknown(node: Node, body: JsonObject, now: float) -> Patch | None:
    """The write that says nothing is known of `node` any more, or None if it has been said."""
    before = conditions_of(body)
    after = before
    for kind in KUBELET_CONDITIONS:
        current = condition(body, kind)
        if current is None:
            after = with_condition(
                after,
                {
                    "type": kind,
                    "status": "Unknown",
                    "reason": "NodeStatusNeverUpdated",
                    "message": "Kubelet never posted node status.",
                    "lastHeartbeatTime": timestamp(node.created_at),
                },
                now,
            )
        elif current.get("status") != "Unknown":
            silent = {"reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status."}
            after = with_condition(after, {"type": kind, "status": "Unknown", **silent}, now)
    if after == before:
        return None
    # On the version we judged by: a kubelet that has just come back must not be overwritten.
    return Patch(
        NODE,
        node.key,
        node.uid,
        # The STATUS column is the kubelet's to write, and it cannot any more.
        {"status": {"conditions": after, "display": {"status": _shown(node)}}},
        version=node.version,
        subresource="status",
    )


def _shown(node: Node) -> str:
    return "NotReady,SchedulingDisabled" if node.unschedulable else "NotReady"


def reconcile(view: View, key: Key) -> Plan:
    """Plan the end of all nodes that one Lease no longer speaks for, or the moment it will fall silent."""
    nodes = [node for node in view.all(Node) if node.kubelet_lease == key.name and not node.deleting]
    if not nodes:
        return Plan.done("vouches for no node")
    lease = view.get(Lease, key)
    renewed_at = lease.renewed_at if lease is not None else 0.0
    silent = lease.silent if lease is not None else {}
    grace = view.settings.node_grace_s
    writes: list[Write] = []
    wake_at: float | None = None
    for node in nodes:
        due = max(silent.get(node.key.name, renewed_at), view.watching_since) + grace
        if due <= view.now:
            # A status is a heartbeat too; it is read only now, because reading costs a parse.
            body = node.body
            due = max(due, posted_at(body) + grace)
            if due <= view.now:
                patch = unknown(node, body, view.now)
                if patch is not None:
                    writes.append(patch)
                continue
        wake_at = due if wake_at is None else min(wake_at, due)
    if len(writes) > BURST:
        return Plan.of(*writes[:BURST], wake_at=view.now, why=f"{len(writes)} nodes are silent")
    return Plan.of(*writes, wake_at=wake_at, why=f"{len(writes)} of {len(nodes)} nodes are silent")


def _new_lease(view: View, change: Change) -> Iterable[Key]:
    """The Lease that vouches for a node from now on."""
    del view
    match change.old, change.new:
        case Node(kubelet_lease=before), Node(kubelet_lease=after) if before == after:
            return ()
        case _, Node(kubelet_lease=lease) if lease:
            return (Key(change.key.cluster, "", lease),)
        case _:
            return ()


CONTROLLER: Final = Controller(
    name="node-heartbeat",
    reconcile=reconcile,
    concerns={
        LEASE: (Route(own_key),),
        # A thousand nodes registering with one kubelet make one look.
        NODE: (Route(_new_lease, delay_s=0.5),),
    },
)
