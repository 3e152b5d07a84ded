"""Give every node a block of pod addresses: `spec.podCIDR`, a /24 (IPv6: /64) out of the cluster's pod CIDR.

Nodes of a pool are created with their block, taken from the bottom of the network (see `node_pool`); this
loop writes for nodes that users made, and takes from the top. Each of the two decides for one key at a time
per cluster (its keys share a lane), so neither meets itself, and they meet each other only when the network
is all but used up. The API server refuses to change a block once it is set.
Source: Kubernetes 1.37, pkg/controller/nodeipam/ipam/range_allocator.go and cidrset.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Final

from nestling.api.json import JsonObject
from nestling.api.kinds import CLUSTER, NODE
from nestling.machinery.cache import Change
from nestling.machinery.controller import Controller, Route
from nestling.machinery.names import Key
from nestling.machinery.plan import Emit, Patch, Plan
from nestling.machinery.records.cluster import Cluster
from nestling.machinery.records.node import Node
from nestling.machinery.view import View

# Source: kube-controller-manager --node-cidr-mask-size-ipv4 and -ipv6. A /24 holds the 110 pods of a node
# twice.
BLOCK_MASK: Final = {4: 24, 6: 64}
COMPONENT: Final = "cidrAllocator"
BURST: Final = 500


@dataclass(frozen=True, slots=True)
class Blocks:
    """A network cut into `count` blocks of `2 ** bits` addresses, numbered from 0."""

    network: ipaddress.IPv4Network | ipaddress.IPv6Network
    bits: int
    count: int

    def name(self, index: int) -> str:
        """Block `index` as text: `10.128.3.0/24`."""
        address = self.network.network_address + (index << self.bits)
        return f"{address}/{self.network.max_prefixlen - self.bits}"

    def covered(self, cidr: str) -> range:
        """Numbers of the blocks that `cidr` touches; none if it is no CIDR or lies elsewhere."""
        try:
            other = ipaddress.ip_network(cidr, strict=False)
        except ValueError:
            return range(0)
        if other.version != self.network.version:
            return range(0)
        start = int(self.network.network_address)
        first = (int(other.network_address) - start) >> self.bits
        last = (int(other.broadcast_address) - start) >> self.bits
        return range(max(first, 0), min(last + 1, self.count))


@lru_cache(maxsize=256)
def blocks_of(cidr: str) -> Blocks | None:
    """The blocks of a cluster's pod CIDR, None if it is unreadable. A network smaller than a block is one."""
    try:
        network = ipaddress.ip_network(cidr, strict=False)
    except ValueError:
        return None
    mask = max(BLOCK_MASK[network.version], network.prefixlen)
    return Blocks(network, network.max_prefixlen - mask, 1 << (mask - network.prefixlen))


@lru_cache(maxsize=16_384)
def _covered(cidr: str, pod_cidr: str) -> range:
    blocks = blocks_of(cidr)
    return blocks.covered(pod_cidr) if blocks is not None else range(0)


def free_blocks(view: View, *, from_the_top: bool = False) -> Iterator[str]:
    """Blocks that no node holds, in order; none if the cluster's pod CIDR is unreadable."""
    cidr = view.settings.pod_cidr
    blocks = blocks_of(cidr)
    if blocks is None:
        return
    held = {index for node in view.all(Node) if node.pod_cidr for index in _covered(cidr, node.pod_cidr)}
    indexes = range(blocks.count)
    for index in reversed(indexes) if from_the_top else indexes:
        if index not in held:
            yield blocks.name(index)


def reconcile(view: View, key: Key) -> Plan:
    """Plan the block of one node that has none, and those of others that wait with it.

    Finding what is free means asking all nodes: once for a crowd that comes together, not once for each.
    """
    node = view.get(Node, key)
    if node is None or node.deleting:
        return Plan.done("no node to give addresses to")
    if node.pod_cidr:
        return Plan.done("has its addresses")
    others = (
        other
        for other in view.all(Node)
        if other.uid != node.uid and not other.pod_cidr and not other.deleting
    )
    crowd = islice((node, *others), BURST)
    # The first of the two to run out ends it; a node of the crowd that gets none will look for itself.
    given = list(zip(free_blocks(view, from_the_top=True), crowd, strict=False))
    if not given:
        return Plan.of(_no_block(node), why=f"no block left in {view.settings.pod_cidr}")
    return Plan.of(
        *(_given(other, cidr) for cidr, other in given), why=f"{len(given)} nodes get blocks of pod addresses"
    )


def cluster_of(key: Key) -> str:
    """The lane of all loops that hand out blocks of one cluster."""
    return key.cluster


def _given(node: Node, cidr: str) -> Patch:
    spec: JsonObject = {"podCIDR": cidr, "podCIDRs": [cidr]}
    return Patch(NODE, node.key, node.uid, {"spec": spec}, version=node.version)


def _no_block(node: Node) -> Emit:
    return Emit(
        NODE,
        node.key,
        node.uid,
        "Normal",
        "CIDRNotAvailable",
        f"Node {node.key.name} status is now: CIDRNotAvailable",
        COMPONENT,
    )


def _changed_node(view: View, change: Change) -> Iterable[Key]:
    """The node itself when it is new or its block changed; all who wait for a block when one came free."""
    match change.old, change.new:
        case _, None:
            return [node.key for node in view.all(Node) if not node.pod_cidr]
        case Node(pod_cidr=before), Node(pod_cidr=after) if before == after:
            return ()
        case _:
            return (change.key,)


def _changed_cluster(view: View, change: Change) -> Iterable[Key]:
    """All who wait for a block, when the network that blocks are cut from has changed."""
    match change.old, change.new:
        case Cluster(settings=before), Cluster(settings=after) if before.pod_cidr == after.pod_cidr:
            return ()
        case _:
            return [node.key for node in view.all(Node) if not node.pod_cidr]


CONTROLLER: Final = Controller(
    name="node-address",
    reconcile=reconcile,
    concerns={
        NODE: (Route(_changed_node),),
        CLUSTER: (Route(_changed_cluster),),
    },
    lane=cluster_of,
)
