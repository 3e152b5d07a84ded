"""Keep as many VirtualNodes of one shape as a VirtualNodePool asks for.

Nodes are named `<pool>-<index>`, lowest free index first, and created complete: owner, labels, capacity and
a block of pod addresses in one write. What the template names (labels, annotations, taints, fields of
`spec`) the pool keeps as the template says, key by key; keys that others added stay. What the template
*used* to name is remembered on the node in the annotation `nestling.dev/pool-applied`, as names without
values, and removed when the template drops it. Going down, the first to go are the unready, then the
unschedulable, then those with the fewest pods, then the youngest index. Creating a node with a not-ready
taint would cost a second write to take it off again; the scheduler leaves unregistered nodes alone instead.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

import orjson

from nestling.api.json import JsonObject
from nestling.api.kinds import CLUSTER, NODE, NODE_POOL
from nestling.controllers.node_address import cluster_of, free_blocks
from nestling.controllers.pool_size import living, node_limit, shortfalls
from nestling.machinery.cache import Change
from nestling.machinery.conditions import conditions_of, with_condition, without_condition
from nestling.machinery.controller import Controller, Route, own_key, owner_key
from nestling.machinery.names import Key, suffix
from nestling.machinery.plan import Create, Delete, Emit, Patch, Plan, Write
from nestling.machinery.records.node import Node
from nestling.machinery.records.pool import POOL_APPLIED, POOL_LABEL, NodePool
from nestling.machinery.view import View

# Creates or deletes per look, as the controllers of Kubernetes have it (controller.BurstReplicas).
BURST: Final = 500
COMPONENT: Final = "node-pool-controller"
# A node's own loops decide these, whatever a template says.
NOT_FROM_TEMPLATE: Final = frozenset({"podCIDR", "podCIDRs", "taints", "unschedulable"})


def pool_label(pool: NodePool) -> str:
    """The pool's name as a label value: at most 63 characters, made unique where it had to be cut."""
    name = pool.key.name
    return name if len(name) <= 63 else f"{name[:57]}-{suffix(name)}"


def free_names(view: View, pool: NodePool) -> Iterator[str]:
    """Names for new nodes: `<pool>-<index>` with the lowest indices that no node of the cluster has."""
    index = 0
    while True:
        name = f"{pool.key.name}-{index}"
        if view.get(Node, Key(view.cluster, "", name)) is None:
            yield name
        index += 1


def retirement_order(view: View, node: Node) -> tuple[bool, bool, int, int]:
    """Sort key of nodes for scaling down; the smallest goes first."""
    pods = sum(1 for _ in view.on_node(node.key.name))
    index = node.key.name.rpartition("-")[2]
    return node.ready, not node.unschedulable, pods, -(int(index) if index.isdecimal() else 0)


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


def new_node(pool: NodePool, template: JsonObject, name: str, block: str | None) -> Create:
    """The write that creates one node, with everything that would otherwise cost a further write."""
    meta: JsonObject = template.get("metadata") or {}
    spec: JsonObject = template.get("spec") or {}
    labels = {
        # The kubelet would add these at registration; here they are free.
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        **(meta.get("labels") or {}),
        POOL_LABEL: pool_label(pool),
    }
    node_spec = {field: value for field, value in spec.items() if field not in {"podCIDR", "podCIDRs"}}
    if block is not None:
        node_spec.update(podCIDR=block, podCIDRs=[block])
    key = Key(pool.key.cluster, "", name)
    body: JsonObject = {
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
    return Create(NODE, key, body, on_failure=lambda why: _failed(pool, name, why))


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
    """Plan the nodes of one pool: template first, then too many or too few, then the status."""
    pool = view.get(NodePool, key)
    if pool is None or pool.deleting:
        return Plan.done("no pool to keep")  # its nodes go with their owner
    body = pool.body
    template: JsonObject = (body.get("spec") or {}).get("template") or {}
    nodes = list(living(view, pool))
    lacking = shortfalls(view)
    create = min(lacking.get(pool.uid, 0), BURST)
    surplus = max(len(nodes) - pool.replicas, 0)

    writes: list[Write] = []
    status = _status(view, pool, body, nodes, lacking.get(pool.uid, 0))
    if status is not None:
        writes.append(status)
    if surplus:
        nodes.sort(key=lambda node: retirement_order(view, node))
        writes += [Delete(NODE, node.key, node.uid) for node in nodes[: min(surplus, BURST)]]
    kept = nodes[surplus:]
    writes += filter(None, (template_patch(pool, template, node) for node in kept))
    blocks: list[str | None] = [*islice(free_blocks(view), create)] if create else []
    names = free_names(view, pool)
    for position in range(create):
        block = blocks[position] if position < len(blocks) else None
        writes.append(new_node(pool, template, next(names), block))
    more = lacking.get(pool.uid, 0) > create or surplus > BURST
    return Plan(
        tuple(writes),
        wake_at=view.now if more else None,
        why=f"{len(nodes)} nodes of {pool.replicas}, {create} to create, {surplus} too many",
    )


def _status(view: View, pool: NodePool, body: JsonObject, nodes: list[Node], lacking: int) -> Patch | None:
    """The pool's status if it has changed. Nodes being deleted do not count."""
    ready = sum(1 for node in nodes if node.ready)
    conditions = conditions_of(body)
    if ready == len(nodes) == pool.replicas:
        state = {"status": "True", "reason": "AllNodesReady", "message": f"All {ready} nodes are ready."}
    else:
        message = f"{ready} of {pool.replicas} nodes are ready."
        state = {"status": "False", "reason": "NodesNotReady", "message": message}
    conditions = with_condition(conditions, {"type": "Ready", **state}, view.now)
    trouble = _trouble(view, pool, len(nodes), lacking)
    if trouble is None:
        conditions = without_condition(conditions, "ReplicaFailure")
    else:
        conditions = with_condition(conditions, trouble, view.now)
    status: JsonObject = {
        "observedGeneration": pool.generation,
        "replicas": len(nodes),
        "readyReplicas": ready,
        "selector": f"{POOL_LABEL}={pool_label(pool)}",
        "conditions": conditions,
    }
    current: JsonObject = body.get("status") or {}
    if all(current.get(field) == value for field, value in status.items()):
        return None
    return Patch(NODE_POOL, pool.key, pool.uid, {"status": status}, subresource="status")


def _trouble(view: View, pool: NodePool, have: int, lacking: int) -> JsonObject | None:
    """Why the pool cannot have all its nodes, as a condition."""
    failure = {"type": "ReplicaFailure", "status": "True"}
    if view.refusal:
        return {**failure, "reason": "FailedCreate", "message": view.refusal}
    if have + lacking < pool.replicas:
        limit = node_limit(view.settings)
        message = (
            f"The virtual cluster may have {limit} nodes, so {pool.replicas - have - lacking} of the"
            f" {pool.replicas} asked for are not created. Raise limits.maxNodes or lower replicas."
        )
        return {**failure, "reason": "LimitReached", "message": message}
    return None


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


def _failed(pool: NodePool, name: str, why: str) -> Emit:
    message = f"Error creating node {name}: {why}"
    return Emit(NODE_POOL, pool.key, pool.uid, "Warning", "FailedCreate", message, COMPONENT)


def _pools_in_need(view: View, change: Change) -> Iterable[Key]:
    """Pools that lack nodes: room or addresses may have come free, or the limit may have changed."""
    if change.kind is NODE and change.new is not None and not change.new.deleting:
        return ()
    lacking = [pool for pool in view.all(NodePool) if pool.replicas > sum(1 for _ in living(view, pool))]
    return [pool.key for pool in lacking]


CONTROLLER: Final = Controller(
    name="node-pool",
    reconcile=reconcile,
    concerns={
        NODE_POOL: (Route(own_key),),
        # A thousand nodes coming up make a thousand changes; their count is wanted a few times a second.
        NODE: (Route(owner_key(NODE_POOL), delay_s=0.25), Route(_pools_in_need, delay_s=0.5)),
        CLUSTER: (Route(_pools_in_need),),
    },
    lane=cluster_of,
)
