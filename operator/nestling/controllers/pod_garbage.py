"""Remove pods that no kubelet will ever finish: those whose node is gone, and terminating ones without a
node or on one that people have declared out of service.

Looks at one pod at a time. The pod's kubelet finalizer goes first and the pod itself then; a crash in
between leaves a pod that the next look deletes. A pod that somebody else's finalizer holds (a Job counting
it) is marked Failed before, because only then will anybody read it. A node may be younger in the cache than
the pod that was bound to it, so a pod is left alone for some seconds after its binding, and nodes are given
the same time to come back under their name. Finished pods are `terminated_pods`' concern.
Source: Kubernetes 1.37, pkg/controller/podgc (quarantine there: 40 s).
"""

from collections.abc import Iterable
from typing import Final

from nestling.api.json import JsonObject
from nestling.api.kinds import NODE, POD
from nestling.controllers.taint_eviction import bound_at, disruption_target
from nestling.machinery.cache import Change
from nestling.machinery.conditions import conditions_of, with_condition
from nestling.machinery.controller import Controller, Route
from nestling.machinery.names import Key
from nestling.machinery.plan import Delete, Patch, Plan, Write
from nestling.machinery.records.node import Node
from nestling.machinery.records.pod import KUBELET_FINALIZER, Pod
from nestling.machinery.view import View

QUARANTINE_S: Final = 5.0
# Put on a dead node by whoever knows that its machine will not come back: its pods need not be waited for.
OUT_OF_SERVICE: Final = "node.kubernetes.io/out-of-service"


def is_lost(view: View, pod: Pod) -> bool:
    """Whether no kubelet will finish this pod."""
    if not pod.node_name:
        return pod.deleting and (KUBELET_FINALIZER in pod.finalizers or not pod.terminal)
    node = view.get(Node, Key(view.cluster, "", pod.node_name))
    return node is None or (pod.deleting and is_abandoned(node))


def is_abandoned(node: Node) -> bool:
    """Whether a node is dead and declared out of service."""
    return not node.ready and any(taint.key == OUT_OF_SERVICE for taint in node.taints)


def reconcile(view: View, key: Key) -> Plan:
    """Plan the removal of one pod that is lost."""
    pod = view.get(Pod, key)
    if pod is None or not is_lost(view, pod):
        return Plan.done("a kubelet will see to it")
    body = pod.body
    node_is_gone = bool(pod.node_name) and view.get(Node, Key(view.cluster, "", pod.node_name)) is None
    if node_is_gone:
        due = max(bound_at(pod, body), view.watching_since) + QUARANTINE_S
        if view.now < due:
            return Plan.wait_until(due, "its node may yet be seen")
    others = [finalizer for finalizer in pod.finalizers if finalizer != KUBELET_FINALIZER]
    if others and not pod.terminal:
        return Plan.of(
            _failed(pod, body, view.now, node_is_gone=node_is_gone), why="somebody will ask how it ended"
        )
    writes: list[Write] = []
    if KUBELET_FINALIZER in pod.finalizers:
        change: JsonObject = {"metadata": {"finalizers": others}}
        writes.append(Patch(POD, key, pod.uid, change, version=pod.version))
    if not pod.deleting:
        writes.append(Delete(POD, key, pod.uid))
    if node_is_gone:
        why = f"node {pod.node_name} no longer exists"
    else:
        why = f"node {pod.node_name} is out of service" if pod.node_name else "never had a node"
    return Plan.of(*writes, why=why)


def _failed(pod: Pod, body: JsonObject, now: float, *, node_is_gone: bool) -> Patch:
    status: JsonObject = {"phase": "Failed"}
    if node_is_gone:
        reason = disruption_target(pod, "DeletionByPodGC", "PodGC: node no longer exists")
        status["conditions"] = with_condition(conditions_of(body), reason, now)
    return Patch(POD, pod.key, pod.uid, {"status": status}, version=pod.version, subresource="status")


def _lost_pod(view: View, change: Change) -> Iterable[Key]:
    pod = change.new
    return (change.key,) if isinstance(pod, Pod) and is_lost(view, pod) else ()


def _pods_of_gone_node(view: View, change: Change) -> Iterable[Key]:
    return () if change.new is not None else [pod.key for pod in view.on_node(change.key.name)]


def _terminating_on_abandoned_node(view: View, change: Change) -> Iterable[Key]:
    node = change.new
    if not isinstance(node, Node) or not is_abandoned(node):
        return ()
    return [pod.key for pod in view.on_node(node.key.name) if pod.deleting]


CONTROLLER: Final = Controller(
    name="pod-garbage",
    reconcile=reconcile,
    concerns={
        POD: (Route(_lost_pod),),
        NODE: (Route(_pods_of_gone_node, delay_s=QUARANTINE_S), Route(_terminating_on_abandoned_node)),
    },
)
