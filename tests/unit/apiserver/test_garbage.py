"""Garbage collection step by step: nothing happens by itself, every step leaves a sensible state."""

from typing import Any

from apiserver_world import WIDGETS, World
from nestling.apiserver.exchange import MERGE_PATCH


def owned_by(*owners: dict[str, Any], block: bool = False) -> dict[str, Any]:
    return {
        "ownerReferences": [
            {
                "apiVersion": owner["apiVersion"],
                "kind": owner["kind"],
                "name": owner["metadata"]["name"],
                "uid": owner["metadata"]["uid"],
                "blockOwnerDeletion": block,
            }
            for owner in owners
        ]
    }


def a_family(world: World, *, block: bool = False) -> None:
    """A grandparent, its child, and the child's child."""
    top = world.create("top")
    middle = world.create("middle", meta=owned_by(top, block=block))
    world.create("leaf", meta=owned_by(middle, block=block))
    world.api.settle()


def steps(world: World) -> list[list[str]]:
    """What is there after each step, until nothing is left to do."""
    seen: list[list[str]] = [world.names()]
    while world.api.step():
        if (names := world.names()) != seen[-1]:
            seen.append(names)
    return seen


def test_background_deletion_goes_down_the_tree() -> None:
    world = World(settles=False)
    a_family(world)
    world.delete("top", propagationPolicy="Background")
    assert steps(world) == [["leaf", "middle"], ["leaf"], []]


def test_foreground_deletion_comes_up_the_tree() -> None:
    world = World(settles=False)
    a_family(world, block=True)
    world.delete("top", propagationPolicy="Foreground")
    assert steps(world) == [["leaf", "middle", "top"], ["middle", "top"], ["top"], []]


def test_orphans_stay_without_their_owner() -> None:
    world = World(settles=False)
    a_family(world)
    world.delete("top", propagationPolicy="Orphan")
    world.api.settle()
    assert world.names() == ["leaf", "middle"]
    assert "ownerReferences" not in world.expect(200, "GET", f"{WIDGETS}/middle")["metadata"]


def test_an_owner_of_an_unknown_kind_is_left_alone() -> None:
    world = World()
    reference = {"apiVersion": "other.dev/v1", "kind": "Thing", "name": "x", "uid": "x"}
    world.create(meta={"ownerReferences": [reference]})
    assert world.names() == ["a"]


def test_an_owner_of_another_incarnation_is_gone() -> None:
    world = World()
    first = world.create("owner")
    world.delete("owner")
    world.create("owner")
    world.create("child", meta=owned_by(first))
    assert world.names() == ["owner"]


def test_owners_that_own_each_other_do_not_hang_the_server() -> None:
    world = World()
    one = world.create("one")
    two = world.create("two", meta=owned_by(one))
    world.patch({"metadata": owned_by(two)}, "one")
    world.delete("one")
    assert world.names() == []


def test_a_namespace_waits_for_finalizers() -> None:
    world = World()
    world.expect(201, "POST", "/api/v1/namespaces", {"metadata": {"name": "n"}})
    path = WIDGETS.replace("default", "n")
    body = {
        "apiVersion": "test.nestling.dev/v1",
        "kind": "Widget",
        "metadata": {"name": "held", "finalizers": ["a/b"]},
    }
    world.expect(201, "POST", path, body)
    world.expect(200, "DELETE", "/api/v1/namespaces/n")
    assert world.expect(200, "GET", f"{path}/held")["metadata"]["deletionTimestamp"]
    assert world.expect(200, "GET", "/api/v1/namespaces/n")["status"]["phase"] == "Terminating"
    world.expect(200, "PATCH", f"{path}/held", {"metadata": {"finalizers": None}}, type=MERGE_PATCH)
    assert world.ask("GET", "/api/v1/namespaces/n").status == 404
    assert world.api.idle


def test_without_settling_nothing_is_collected_by_itself() -> None:
    world = World(settles=False)
    a_family(world)
    world.delete("top", propagationPolicy="Background")
    assert world.names() == ["leaf", "middle"]
    assert not world.api.idle
