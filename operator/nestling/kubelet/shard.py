"""Which kubelet process looks after a node, when several share them.

Decided by the node's name alone, so that processes agree without asking one another, and a node stays where
it is for as long as their number does.
"""

from hashlib import blake2b

from nestling.machinery.names import Key


def is_of_shard(node: Key, *, shard: int, shards: int) -> bool:
    """Whether `node` belongs to number `shard` of `shards` processes."""
    if shards == 1:
        return True
    # A checksum will not do: names that differ in a digit only can all have the same remainder.
    digest = blake2b(f"{node.cluster}/{node.name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % shards == shard
