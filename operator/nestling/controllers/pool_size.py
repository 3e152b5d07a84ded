"""How many nodes each pool lacks, reckoned for all pools of a cluster at once.

Pools share two scarce things, the cluster's limit of nodes and its pod addresses, but are reconciled side
by side. So each of them reckons for all, in the same order (oldest first) and from the same cache, and
takes its own part: no two pools take the same share, and no lock is needed.
"""

from collections.abc import Iterator
from typing import Final

from nestling.api.json import JsonObject
from nestling.api.kinds import Uid
from nestling.machinery.records.cluster import Settings
from nestling.machinery.records.node import Node
from nestling.machinery.records.pool import NodePool
from nestling.machinery.view import View

# Twice what Kubernetes supports: a typo in `replicas` must not fill the host.
MOST_NODES: Final = 10_000


def node_limit(settings: Settings) -> int:
    """The most nodes that this virtual cluster may have."""
    limits: JsonObject = settings.body.get("limits") or {}
    limit = limits.get("maxNodes")
    return limit if isinstance(limit, int) and limit >= 0 else MOST_NODES


def living(view: View, pool: NodePool) -> Iterator[Node]:
    """Nodes of a pool that nobody has asked to delete."""
    return (node for node in view.owned(Node, pool.uid) if not node.deleting)


def shortfalls(view: View) -> dict[Uid, int]:
    """Nodes to create per pool, oldest pool first. The sum stays within the cluster's limit.

    The limit only holds back: nodes beyond it, because it was lowered, stay.
    """
    room = node_limit(view.settings) - sum(1 for node in view.all(Node) if not node.deleting)
    found: dict[Uid, int] = {}
    for pool in sorted(view.all(NodePool), key=lambda pool: (pool.created_at, pool.uid)):
        if pool.deleting:
            continue
        missing = max(pool.replicas - sum(1 for _ in living(view, pool)), 0)
        found[pool.uid] = min(missing, max(room, 0))
        room -= found[pool.uid]
    return found
