"""Blocks of pod addresses: free ones only, never twice, and what happens when there are none left."""

import pytest

from builders import NOW, a_cluster, a_node, key_for, view_of
from nestling.api.json import JsonObject
from nestling.controllers import node_address, node_pool
from nestling.controllers.node_address import blocks_of, free_blocks
from nestling.machinery.cache import Change
from nestling.machinery.names import Key
from nestling.machinery.plan import Emit, Patch, Plan
from nestling.machinery.records.node import Node

SMALL = a_cluster({"podCIDR": "10.0.0.0/22"})


def held(name: str, block: str, **more: object) -> JsonObject:
    return a_node(name, spec={"podCIDR": block}, **more)  # type: ignore[arg-type]  # keywords of a_node


def block_for(node: JsonObject, *others: JsonObject) -> str | None:
    plan = node_address.reconcile(view_of(node, *others), key_for(node))
    match plan.writes:
        case (Patch(body={"spec": {"podCIDR": block, "podCIDRs": [same]}}, version=1),):
            assert block == same
            return block
        case _:
            return None


@pytest.mark.parametrize(
    ("others", "block"),
    [
        pytest.param([], "10.0.3.0/24", id="the last"),
        pytest.param([held("a", "10.0.3.0/24")], "10.0.2.0/24", id="the one before"),
        pytest.param([held("a", "10.0.2.0/24")], "10.0.3.0/24", id="a gap"),
        pytest.param([held("a", "10.0.2.0/23")], "10.0.1.0/24", id="somebody took two"),
        pytest.param([held("a", "10.0.3.128/25")], "10.0.2.0/24", id="somebody took half"),
        pytest.param([held("a", "192.168.3.0/24")], "10.0.3.0/24", id="somebody lives elsewhere"),
        pytest.param([held("a", "fd00::/64")], "10.0.3.0/24", id="somebody speaks IPv6"),
        pytest.param([held("a", "bad")], "10.0.3.0/24", id="somebody has nonsense"),
    ],
)
def test_node_gets_the_highest_block_that_nobody_holds(others: list[JsonObject], block: str) -> None:
    assert block_for(a_node("n"), SMALL, *others) == block


def test_pools_take_their_blocks_from_the_other_end() -> None:
    view = view_of(SMALL, held("a", "10.0.0.0/24"))
    assert list(free_blocks(view)) == ["10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24"]


def test_nodes_of_one_cluster_are_given_their_blocks_one_after_the_other() -> None:
    for loop in (node_address.CONTROLLER, node_pool.CONTROLLER):
        assert loop.lane is not None
        assert loop.lane(Key("team-a", "", "one")) == loop.lane(Key("team-a", "", "two"))
        assert loop.lane(Key("team-a", "", "one")) != loop.lane(Key("team-b", "", "one"))


def test_nodes_that_wait_together_are_served_together() -> None:
    wait = [a_node(name) for name in ("a", "b", "c", "d")]
    going = a_node("going", deleting_at=NOW, finalizers=["x/y"])
    plan = node_address.reconcile(view_of(SMALL, *wait, going, held("h", "10.0.2.0/24")), key_for(wait[1]))
    given = [(w.key.name, w.body["spec"]["podCIDR"]) for w in plan.writes if isinstance(w, Patch)]
    assert given == [("b", "10.0.3.0/24"), ("a", "10.0.1.0/24"), ("c", "10.0.0.0/24")]


def test_exhausted_network_is_told_to_the_user() -> None:
    node = a_node("n")
    view = view_of(node, a_cluster({"podCIDR": "10.0.0.0/24"}), held("a", "10.0.0.0/24"))
    [event] = node_address.reconcile(view, key_for(node)).writes
    assert isinstance(event, Emit)
    assert (event.reason, event.message) == (
        "CIDRNotAvailable",
        "Node n status is now: CIDRNotAvailable",
    )


@pytest.mark.parametrize(
    "node",
    [
        pytest.param(held("n", "10.0.0.0/24"), id="has a block"),
        pytest.param(a_node("n", deleting_at=NOW, finalizers=["x/y"]), id="being deleted"),
    ],
)
def test_node_in_no_need_is_left_alone(node: JsonObject) -> None:
    assert node_address.reconcile(view_of(node), key_for(node)) == Plan.done()


@pytest.mark.parametrize(
    ("cidr", "count", "last"),
    [
        pytest.param("10.128.0.0/9", 32768, "10.255.255.0/24", id="the default"),
        pytest.param("10.0.0.0/26", 1, "10.0.0.0/26", id="smaller than a block"),
        pytest.param("10.0.0.7/22", 4, "10.0.3.0/24", id="host bits are dropped"),
        pytest.param("fd00::/60", 16, "fd00:0:0:f::/64", id="IPv6"),
    ],
)
def test_network_is_cut_into_blocks(cidr: str, count: int, last: str) -> None:
    blocks = blocks_of(cidr)
    assert blocks is not None
    assert (blocks.count, blocks.name(blocks.count - 1)) == (count, last)


@pytest.mark.parametrize("cidr", ["", "nonsense", "10.0.0.0/33", "10.0.0/8/8", "é/24"])
def test_bad_network_gives_no_blocks(cidr: str) -> None:
    assert blocks_of(cidr) is None
    node = a_node("n")
    plan = node_address.reconcile(view_of(node, a_cluster({"podCIDR": cidr or "-"})), key_for(node))
    assert [type(write) for write in plan.writes] == [Emit]


def test_only_changes_of_blocks_wake_the_loop() -> None:
    view = view_of(a_node("n"), held("a", "10.0.0.0/24"))
    [route] = node_address.CONTROLLER.concerns[Node.KIND]
    node = view.get(Node, key_for(a_node("a")))
    assert node is not None
    keys = [
        [key.name for key in route.keys(view, Change(Node.KIND, node.key, old, new))]
        for old, new in ((None, node), (node, node), (node, None))
    ]
    assert keys == [["a"], [], ["n"]]
