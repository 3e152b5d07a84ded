"""Keep as many VirtualNodes of one shape as a VirtualNodePool asks for.

Nodes are named `<pool>-<index>`, lowest free index first, and created complete: owner, labels, capacity and
a block of pod addresses in one write. Going down, the first to go are the unready, then the unschedulable,
then those with the fewest pods, then the youngest index. What a node looks like, and what a change of the
template changes on it, is `node_template`'s.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Final

from nestling.api.json import JsonObject
from nestling.api.kinds import CLUSTER, NODE, NODE_POOL
from nestling.controllers.node_address import cluster_of, free_blocks
from nestling.controllers.node_template import node_body, pool_label
from nestling.controllers.pool_size import living, node_limit, shortfalls
from nestling.machinery.cache import Change
from nestling.machinery.conditions import conditions_of, with_condition, without_condition
from nestling.machinery.controller import Controller, Route, own_key, owner_key
from nestling.machinery.names import Key
from nestling.machinery.plan import Create, Delete, Emit, Patch, Plan, Write
from nestling.machinery.records.node import Node
from nestling.machinery.records.pool import POOL_LABEL, NodePool
from nestling.machinery.view import View

# Creates or deletes per look, as the controllers of Kubernetes have it (controller.BurstReplicas).
BURST: Final = 500
COMPONENT: Final = "node-pool-controller"


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


def reconcile(view: View, key: Key) -> Plan:
    """Plan the nodes of one pool: its status, then those that are too many or too few."""
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
    blocks: list[str | None] = [*islice(free_blocks(view), create)] if create else []
    names = free_names(view, pool)
    for position in range(create):
        block = blocks[position] if position < len(blocks) else None
        node = Key(pool.key.cluster, "", next(names))
        new = node_body(pool, template, node, block)
        writes.append(Create(NODE, node, new, on_failure=partial(_failed, pool, node.name)))
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


def _failed(pool: NodePool, name: str, why: str) -> Emit:
    message = f"Error creating node {name}: {why}"
    return Emit(NODE_POOL, pool.key, pool.uid, "Warning", "FailedCreate", message, COMPONENT)


def _all_pools(view: View, change: Change) -> Iterable[Key]:
    """All pools, for any may lack nodes: room or addresses have come free, or the limit has changed.

    They are few, and counting their nodes for each of a thousand that go would cost more than a look at them.
    """
    if change.kind is NODE and change.new is not None and not change.new.deleting:
        return ()
    return [pool.key for pool in view.all(NodePool)]


CONTROLLER: Final = Controller(
    name="node-pool",
    reconcile=reconcile,
    concerns={
        NODE_POOL: (Route(own_key),),
        # A thousand nodes coming up make a thousand changes; their count is wanted a few times a second.
        NODE: (Route(owner_key(NODE_POOL), delay_s=0.25), Route(_all_pools, delay_s=0.5)),
        CLUSTER: (Route(_all_pools),),
    },
    lane=cluster_of,
)
