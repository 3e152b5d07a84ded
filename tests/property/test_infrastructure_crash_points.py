"""Crash the operator at every write while numbers are handed out and namespaces emptied."""

from collections.abc import Callable

import pytest
from invariants import watch_over
from scenarios import Scenario, settle, with_nodes, workload

from nestling.api.kinds import DEPLOYMENT, NAMESPACE, NODE, NODE_POOL, POD, SERVICE, VIRTUAL_KINDS
from simulation import CrashPoint, World


def numbers_shared_out(world: World) -> None:
    """Two pools, a node of the user's and several services, all wanting numbers at the same moment."""
    for name, count in (("a", 3), ("b", 2)):
        world.create(NODE_POOL, name, {"replicas": count})
    world.create(NODE, "mine", {})
    for index in range(4):
        world.create(SERVICE, f"s{index}", {"type": "NodePort", "ports": [{"port": 80}]})
    world.run_for(5)
    world.patch(NODE_POOL, "a", {"spec": {"replicas": 1}})
    world.patch(SERVICE, "s0", {"spec": {"type": "ClusterIP", "ports": [{"port": 80}]}})
    world.delete(SERVICE, "s1")
    world.create(SERVICE, "s4", {"type": "NodePort", "ports": [{"port": 80}]})


def namespace_emptied(world: World) -> None:
    """A namespace with pods, a rollout and a service is deleted; another one of the same content stays."""
    with_nodes(world, 2)
    world.create(NAMESPACE, "shop", {})
    for suffix in ("", ".shop"):
        world.create(DEPLOYMENT, f"web{suffix}", workload("web", 2))
        world.create(SERVICE, f"web{suffix}", {"selector": {"app": "web"}, "ports": [{"port": 80}]})
    world.run_for(5)
    world.delete(NAMESPACE, "shop")


def counts(world: World) -> object:
    """How many objects of each kind there are, and how many of them are in the namespace `shop`."""
    found = {kind.name: [obj["metadata"]["name"] for obj in world.list(kind)] for kind in VIRTUAL_KINDS}
    shop = {kind: sum(name.endswith(".shop") for name in names) for kind, names in found.items()}
    addressed = sum(1 for node in world.list(NODE) if node["spec"].get("podCIDR"))
    running = sum(1 for pod in world.list(POD) if pod["status"]["phase"] == "Running")
    return {kind: len(names) for kind, names in found.items()}, shop, addressed, running


def play(scenario: Scenario, crash: CrashPoint | None = None) -> tuple[object, int]:
    """Run a scenario to its quiet end; returns what is left and the number of writes."""
    with World(seed=2, crash=crash) as world:
        watch_over(world)
        scenario(world)
        settle(world)
        return counts(world), world.total_writes


def everything_settled(found: object) -> None:
    """Five nodes less two and one of the user's, all addressed; four services."""
    kinds, _, addressed, _ = found  # type: ignore[misc]  # what `counts` returns
    assert (kinds["VirtualNode"], addressed, kinds["VirtualService"]) == (4, 4, 4)


def only_the_other_is_left(found: object) -> None:
    """Nothing is left of `shop`, and all of the other one."""
    kinds, shop, _, running = found  # type: ignore[misc]  # what `counts` returns
    assert set(shop.values()) == {0}
    assert (kinds["VirtualNamespace"], kinds["VirtualDeployment"], running) == (0, 1, 2)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("scenario", "check"),
    [
        pytest.param(numbers_shared_out, everything_settled, id="numbers"),
        pytest.param(namespace_emptied, only_the_other_is_left, id="namespace"),
    ],
)
def test_a_crash_at_any_write_doubles_no_number_and_leaves_nothing_behind(
    scenario: Scenario, check: Callable[[object], None]
) -> None:
    expected, writes = play(scenario)
    check(expected)
    for at in range(1, writes + 1):
        for when in ("before", "after"):
            end, taken = play(scenario, CrashPoint(at, when))
            assert end == expected, f"killed {when} write {at} of {writes}"
            assert taken <= writes * 1.2 + 12, f"killed {when} write {at}: {taken} writes instead of {writes}"
