"""Which kubelet process looks after a node, when several share them.

Decided by the node's name alone, so that processes agree without asking one another, and a node stays where
it is for as long as their number does.
"""

from zlib import crc32

from nestling.machinery.names import Key


def is_of_shard(node: Key, *, shard: int, shards: int) -> bool:
    """Whether `node` belongs to number `shard` of `shards` processes."""
    return shards == 1 or crc32(f"{node.cluster}/{node.name}".encode()) % shards == shard
