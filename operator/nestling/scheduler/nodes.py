"""What the node table takes of a VirtualNode, and which events the difference of two sightings is.

Only a node that its kubelet has registered can take pods: one without `status.allocatable` does not count.
Whether it is well is said by its taints, which the node lifecycle controller sets.
Source: Kubernetes 1.37, pkg/scheduler/framework/events.go (node scheduling properties).
"""

from collections.abc import Iterator

from nestling.api.json import JsonObject
from nestling.machinery.records.node import Node
from nestling.scheduler.framework import ClusterEvent
from nestling.scheduler.resources import allocatable
from nestling.scheduler.table import NodeFacts, NodeTaint


def facts_of(node: Node) -> NodeFacts | None:
    """The node as the table wants it; None while it is not registered."""
    stated = (node.body.get("status") or {}).get("allocatable")
    if not stated:
        return None
    return NodeFacts(
        node.key.name,
        allocatable(stated),
        node.labels,
        tuple(NodeTaint(taint.key, taint.value, taint.effect) for taint in node.taints),
        node.unschedulable,
        images_of(node.body.get("status") or {}),
    )


def read_taints(spec: JsonObject) -> tuple[NodeTaint, ...]:
    """The taints of a node spec."""
    return tuple(
        NodeTaint(taint["key"], taint.get("value") or "", taint["effect"])
        for taint in spec.get("taints") or ()
    )


def images_of(status: JsonObject) -> dict[str, int]:
    """The images that a node reports, sizes in bytes by name."""
    return {
        str(name): size
        for image in status.get("images") or ()
        if isinstance(size := image.get("sizeBytes", 0), int)
        for name in image.get("names") or ()
    }


def what_changed(before: NodeFacts | None, after: NodeFacts) -> Iterator[ClusterEvent]:
    """The events that a new sighting of a node amounts to."""
    if before is None:
        yield ClusterEvent.NODE_ADD
        return
    if before.allocatable != after.allocatable:
        yield ClusterEvent.NODE_ALLOCATABLE
    if before.labels != after.labels:
        yield ClusterEvent.NODE_LABEL
    if before.taints != after.taints or before.unschedulable != after.unschedulable:
        yield ClusterEvent.NODE_TAINT
