"""Keep the nodes of a VirtualNodePool as its template says.

What the template names (labels, annotations, taints, fields of `spec`) the pool keeps as the template says,
key by key; keys that others added stay. What the template *used* to name is remembered on the node in the
annotation `nestling.dev/pool-applied`, as names without values, and removed when the template drops it.
Looks at one node at a time, so that a change of one does not have thousands read again. Creating a node with
a not-ready taint would cost a second write to take it off again; the scheduler leaves unregistered nodes
alone instead. How many nodes there are is `node_pool`'s.
"""

from collections.abc import Iterable
from typing import Any, Final

import orjson

from nestling.api.json import JsonObject
from nestling.api.kinds import NODE, NODE_POOL
from nestling.machinery.cache import Change
from nestling.machinery.controller import Controller, Route
from nestling.machinery.names import Key, key_of, suffix
from nestling.machinery.plan import Patch, Plan
from nestling.machinery.records.node import Node
from nestling.machinery.records.pool import POOL_APPLIED, POOL_LABEL, NodePool
from nestling.machinery.view import View

# A node's own loops decide these, whatever a template says.
NOT_FROM_TEMPLATE: Final = frozenset({"podCIDR", "podCIDRs", "taints", "unschedulable"})


def pool_label(pool: NodePool) -> str:
    """The pool's name as a label value: at most 63 characters, made unique where it had to be cut."""
    name = pool.key.name
    return name if len(name) <= 63 else f"{name[:57]}-{suffix(name)}"


def applied_names(template: JsonObject) -> JsonObject:
    """What a template names, without the values: enough to know later what is ours to take away."""
    meta: JsonObject = template.get("metadata") or {}
    spec: JsonObject = template.get("spec") or {}
    named = {
        "labels": sorted(meta.get("labels") or ()),
        "annotations": sorted(meta.get("annotations") or ()),
        "spec": sorted(set(spec) - NOT_FROM_TEMPLATE),
        "capacity": sorted(spec.get("capacity") or ()),
        "taints": sorted(_taint_name(taint) for taint in spec.get("taints") or ()),
    }
    return {kind: names for kind, names in named.items() if names}


def node_body(pool: NodePool, template: JsonObject, key: Key, block: str | None) -> JsonObject:
    """One node of the pool with everything that would otherwise cost a further write."""
    meta: JsonObject = template.get("metadata") or {}
    spec: JsonObject = template.get("spec") or {}
    labels = {
        # The kubelet would add these at registration; here they are free.
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": key.name,
        "kubernetes.io/os": "linux",
        **(meta.get("labels") or {}),
        POOL_LABEL: pool_label(pool),
    }
    node_spec = {field: value for field, value in spec.items() if field not in {"podCIDR", "podCIDRs"}}
    if block is not None:
        node_spec.update(podCIDR=block, podCIDRs=[block])
    return {
        "apiVersion": NODE.api_version,
        "kind": NODE.name,
        "metadata": {
            "name": key.host_name,
            "namespace": key.cluster,
            "labels": labels,
            "annotations": {**(meta.get("annotations") or {}), POOL_APPLIED: _text(applied_names(template))},
            "ownerReferences": [pool.as_owner().to_json()],
        },
        "spec": node_spec,
    }


def template_patch(pool: NodePool, template: JsonObject, node: Node) -> Patch | None:
    """What must change on `node` to be as the template says, or None. Foreign keys are left alone."""
    body = node.body
    meta: JsonObject = body["metadata"]
    spec: JsonObject = body.get("spec") or {}
    annotations: JsonObject = meta.get("annotations") or {}
    named = applied_names(template)
    before = _applied(annotations.get(POOL_APPLIED))
    wanted: JsonObject = template.get("metadata") or {}
    wanted_spec: JsonObject = template.get("spec") or {}

    labels = {**(wanted.get("labels") or {}), POOL_LABEL: pool_label(pool)}
    label_changes = _changes(meta.get("labels") or {}, labels, before.get("labels", ()))
    annotation_changes = _changes(
        annotations,
        {**(wanted.get("annotations") or {}), POOL_APPLIED: _text(named)},
        before.get("annotations", ()),
    )
    plain = {field: wanted_spec[field] for field in named.get("spec", ()) if field != "capacity"}
    spec_changes = _changes(spec, plain, [field for field in before.get("spec", ()) if field != "capacity"])
    capacity = _changes(
        spec.get("capacity") or {}, wanted_spec.get("capacity") or {}, before.get("capacity", ())
    )
    if capacity:
        spec_changes["capacity"] = capacity
    taints = _taints(spec.get("taints") or [], wanted_spec.get("taints") or [], before.get("taints", ()))
    if taints is not None:
        spec_changes["taints"] = taints

    change: JsonObject = {}
    parts = {"labels": label_changes, "annotations": annotation_changes}
    if metadata := {part: changes for part, changes in parts.items() if changes}:
        change["metadata"] = metadata
    if spec_changes:
        change["spec"] = spec_changes
    if not change:
        return None
    # Taints are a list that the node lifecycle writes too: replace it only as we saw it.
    return Patch(NODE, node.key, node.uid, change, version=node.version if taints is not None else None)


def reconcile(view: View, key: Key) -> Plan:
    """Plan what one node lacks to be as the template of its pool says."""
    node = view.get(Node, key)
    owner = node.controller if node is not None else None
    if node is None or node.deleting or owner is None or owner.kind != NODE_POOL.name:
        return Plan.done("no node of a pool")
    pool = view.get(NodePool, key_of(NODE_POOL, key.cluster, owner.name))
    if pool is None or pool.uid != owner.uid or pool.deleting:
        return Plan.done("its pool is gone, and so will it be")
    patch = template_patch(pool, (pool.body.get("spec") or {}).get("template") or {}, node)
    if patch is None:
        return Plan.done("is as the template says")
    return Plan.of(patch, why="the template says something else")


def _changes(have: JsonObject, want: JsonObject, before: Iterable[str]) -> JsonObject:
    """Merge patch that takes the map `have` to `want` and drops what `before` named and `want` does not."""
    changes: dict[str, Any] = {name: value for name, value in want.items() if have.get(name) != value}
    changes |= {name: None for name in before if name in have and name not in want}
    return changes


def _taints(have: list[JsonObject], want: list[JsonObject], before: Iterable[str]) -> list[JsonObject] | None:
    """The whole new list of taints, or None if it stays. A taint is the same by key and effect."""
    wanted = {_taint_name(taint): taint for taint in want}
    dropped = set(before) - wanted.keys()
    result: list[JsonObject] = []
    for taint in have:
        name = _taint_name(taint)
        if name in dropped:
            continue
        template = wanted.pop(name, None)
        if template is not None and (template.get("value") or "") != (taint.get("value") or ""):
            result.append(template)
        else:
            result.append(taint)
    result += wanted.values()
    return result if result != have else None


def _taint_name(taint: JsonObject) -> str:
    return f"{taint.get('key')}:{taint.get('effect')}"


def _text(value: JsonObject) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _applied(text: str | None) -> dict[str, list[str]]:
    """What a node says its template named last; nothing if the annotation is gone or unreadable."""
    try:
        found: Any = orjson.loads(text or "{}")
        return {str(kind): [str(name) for name in names] for kind, names in found.items()}
    except (ValueError, AttributeError, TypeError):
        return {}


def _node(view: View, change: Change) -> Iterable[Key]:
    del view
    return (change.key,) if change.new is not None else ()


def _nodes_of_pool(view: View, change: Change) -> Iterable[Key]:
    """All nodes of a pool whose spec has changed."""
    old, new = change.old, change.new
    if new is None or (old is not None and old.generation == new.generation):
        return ()
    return [node.key for node in view.owned(Node, new.uid)]


CONTROLLER: Final = Controller(
    name="node-template",
    reconcile=reconcile,
    concerns={NODE: (Route(_node),), NODE_POOL: (Route(_nodes_of_pool),)},
)
