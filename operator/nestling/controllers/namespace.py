"""Empty a virtual namespace before its VirtualNamespace goes: pods and their makers first, then the rest.

A living namespace gets the finalizer that makes this possible, and its name as a label. `default`,
`kube-system` and `kube-public` exist without an object and are never emptied. Only our own kinds are
deleted: a ConfigMap of the host whose name happens to end in `.shop` may be anybody's. What remains is told
in the five conditions of a terminating namespace, written when they change.
Kubernetes deletes pods alone at first, and its API server refuses new ones meanwhile. A host does not know
our namespaces and refuses nothing, so what makes pods goes together with them; otherwise a ReplicaSet would
replace each pod for ever.
Source: Kubernetes 1.37, pkg/controller/namespace/deletion (OrderedNamespaceDeletion).
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from nestling.api.json import JsonObject
from nestling.api.kinds import (
    CRON_JOB,
    DAEMON_SET,
    DEPLOYMENT,
    JOB,
    NAMESPACE,
    POD,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    STATEFUL_SET,
    VIRTUAL_KINDS,
    Kind,
)
from nestling.machinery.cache import Change
from nestling.machinery.conditions import conditions_of, with_condition
from nestling.machinery.controller import Controller, Route, own_key
from nestling.machinery.names import Key
from nestling.machinery.plan import Delete, Patch, Plan, Write
from nestling.machinery.records.base import Record
from nestling.machinery.records.namespace import (
    IMMORTAL,
    NAMESPACE_FINALIZER,
    NAMESPACE_LABEL,
    Namespace,
)
from nestling.machinery.view import View

BURST: Final = 500
# Objects created just before the deletion may not have been seen yet. Kubernetes waits 5 s before it begins.
SETTLE_S: Final = 2.0
SCOPED_KINDS: Final = tuple(kind for kind in VIRTUAL_KINDS if kind.scoped)

# Who makes pods, makers of makers first.
CREATORS: Final = (
    CRON_JOB,
    DEPLOYMENT,
    JOB,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    STATEFUL_SET,
    DAEMON_SET,
)

# Condition type -> reason and message while there is nothing to complain about, in upstream's order.
FINE: Final = {
    "NamespaceDeletionDiscoveryFailure": ("ResourcesDiscovered", "All resources successfully discovered"),
    "NamespaceDeletionGroupVersionParsingFailure": (
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    "NamespaceDeletionContentFailure": (
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    "NamespaceContentRemaining": ("ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": (
        "ContentHasNoFinalizers",
        "All content-preserving finalizers finished",
    ),
}


def contents(view: View, namespace: str) -> dict[Kind, list[Record]]:
    """Everything of our kinds in a virtual namespace, by kind; kinds without objects are left out."""
    found = {
        kind: [record for record in view.every(kind) if record.key.namespace == namespace]
        for kind in SCOPED_KINDS
        if view.holds(kind)
    }
    return {kind: records for kind, records in found.items() if records}


def complaints(remaining: dict[Kind, list[Record]], refusal: str) -> dict[str, tuple[str, str]]:
    """Reason and message of the conditions that are True."""
    found: dict[str, tuple[str, str]] = {}
    if refusal:
        text = f"Failed to delete all resource types, 1 remaining: {refusal}"
        found["NamespaceDeletionContentFailure"] = ("ContentDeletionFailed", text)
    counts = sorted(
        f"{_resource(kind)} has {len(records)} resource instances" for kind, records in remaining.items()
    )
    if counts:
        text = f"Some resources are remaining: {', '.join(counts)}"
        found["NamespaceContentRemaining"] = ("SomeResourcesRemain", text)
    holding = Counter(
        finalizer
        for records in remaining.values()
        for record in records
        if record.deleting
        for finalizer in record.finalizers
    )
    if holding:
        listed = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(holding.items()))
        text = f"Some content in the namespace has finalizers remaining: {listed}"
        found["NamespaceFinalizersRemaining"] = ("SomeFinalizersRemain", text)
    return found


def reconcile(view: View, key: Key) -> Plan:
    """Plan the emptying of one namespace, or what a living one needs."""
    namespace = view.get(Namespace, key)
    if namespace is None:
        return Plan.done("exists without an object, or not at all")
    body = namespace.body
    if not namespace.deleting:
        return _living(namespace, body)
    if NAMESPACE_FINALIZER not in namespace.finalizers:
        return Plan.done("others hold it")
    if key.name in IMMORTAL:
        return Plan.of(_released(namespace), why="exists without an object too")

    remaining = contents(view, key.name)
    if not remaining:
        due = (namespace.deleting_at or 0.0) + SETTLE_S
        if view.now < due:
            return Plan.wait_until(due, "empty, as far as we have seen")
        return Plan.of(_released(namespace), why="empty")
    # Pods must be gone before anything they may depend on goes.
    turn = (*CREATORS, POD) if POD in remaining else (*CREATORS, *remaining)
    doomed = [one for kind in dict.fromkeys(turn) for one in remaining.get(kind, ()) if not one.deleting]
    writes: list[Write] = [Delete(record.KIND, record.key, record.uid) for record in doomed[:BURST]]
    status = _status(namespace, body, complaints(remaining, view.refusal), view.now)
    if status is not None:
        writes.insert(0, status)
    count = sum(map(len, remaining.values()))
    return Plan.of(*writes, wake_at=view.now if len(doomed) > BURST else None, why=f"{count} objects remain")


def _living(namespace: Namespace, body: JsonObject) -> Plan:
    """Give a living namespace its finalizer and its label, and show that it is active."""
    meta: JsonObject = {}
    if namespace.key.name not in IMMORTAL and NAMESPACE_FINALIZER not in namespace.finalizers:
        meta["finalizers"] = [*namespace.finalizers, NAMESPACE_FINALIZER]
    if namespace.labels.get(NAMESPACE_LABEL) != namespace.key.name:
        meta["labels"] = {NAMESPACE_LABEL: namespace.key.name}
    writes: list[Write] = []
    if meta:
        # Finalizers are replaced as a whole: on the version we saw.
        change: JsonObject = {"metadata": meta}
        writes.append(Patch(NAMESPACE, namespace.key, namespace.uid, change, version=namespace.version))
    if namespace.phase != "Active":
        status: JsonObject = {**(body.get("status") or {}), "phase": "Active"}
        writes.append(
            Patch(NAMESPACE, namespace.key, namespace.uid, {"status": status}, subresource="status")
        )
    return Plan.of(*writes, why="is active")


def _released(namespace: Namespace) -> Patch:
    left = [finalizer for finalizer in namespace.finalizers if finalizer != NAMESPACE_FINALIZER]
    change: JsonObject = {"metadata": {"finalizers": left}}
    return Patch(NAMESPACE, namespace.key, namespace.uid, change, version=namespace.version)


def _status(
    namespace: Namespace, body: JsonObject, found: dict[str, tuple[str, str]], now: float
) -> Patch | None:
    """The status of a terminating namespace, if it has changed."""
    before = conditions_of(body)
    after = before
    for kind, fine in FINE.items():
        reason, message = found.get(kind, fine)
        state = "True" if kind in found else "False"
        after = with_condition(
            after, {"type": kind, "status": state, "reason": reason, "message": message}, now
        )
    if after == before and namespace.phase == "Terminating":
        return None
    status: JsonObject = {"phase": "Terminating", "conditions": after}
    return Patch(NAMESPACE, namespace.key, namespace.uid, {"status": status}, subresource="status")


def _resource(kind: Kind) -> str:
    """`deployments.apps`, and `pods.` for the core group, as upstream writes it."""
    group, slash, _ = kind.native_api_version.partition("/")
    return f"{kind.plural.removeprefix('virtual')}.{group if slash else ''}"


def _terminating_namespace(view: View, change: Change) -> Iterable[Key]:
    """The namespace of an object, if it is being emptied."""
    key = Key(view.cluster, "", change.key.namespace)
    namespace = view.get(Namespace, key)
    return (key,) if namespace is not None and namespace.deleting else ()


CONTROLLER: Final = Controller(
    name="namespace",
    reconcile=reconcile,
    concerns={
        NAMESPACE: (Route(own_key),),
        # Hundreds of objects go one by one; their count is written twice a second.
        **{kind: (Route(_terminating_namespace, delay_s=0.5),) for kind in SCOPED_KINDS},
    },
)
