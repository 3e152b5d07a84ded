"""Shards split the nodes among them: each node has one kubelet, and about as many nodes each."""

import pytest

from nestling.kubelet.shard import is_of_shard
from nestling.machinery.names import Key

NODES = [Key(cluster, "", f"pool-{index}") for cluster in ("team-a", "team-b") for index in range(500)]


@pytest.mark.parametrize("shards", [1, 2, 3, 7])
def test_every_node_has_exactly_one_kubelet(shards: int) -> None:
    for node in NODES:
        owners = [shard for shard in range(shards) if is_of_shard(node, shard=shard, shards=shards)]
        assert len(owners) == 1


@pytest.mark.parametrize("shards", [2, 3, 7])
def test_nodes_are_spread_evenly(shards: int) -> None:
    counts = [sum(is_of_shard(node, shard=shard, shards=shards) for node in NODES) for shard in range(shards)]
    assert max(counts) - min(counts) < len(NODES) / shards / 2


@pytest.mark.parametrize("cluster", ["team-a", "split"])
def test_a_few_nodes_whose_names_differ_in_a_digit_are_shared_too(cluster: str) -> None:
    names = [f"{zone}-{index}" for zone in ("north", "south") for index in range(4)]
    owned = [is_of_shard(Key(cluster, "", name), shard=0, shards=2) for name in names]
    assert 0 < sum(owned) < len(names)
