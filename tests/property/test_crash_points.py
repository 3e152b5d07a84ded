"""Kill the operator before and after every single write of a scenario: the world must come out the same.

The reference run counts the writes; then each of them is a crash point, twice. What is compared is the
end as a user sees it, and that it is quiet: the two oracles that have found nearly all operator bugs of
this family.
"""

import pytest
from invariants import watch_over
from scenarios import Scenario, end_state, settle, with_nodes, workload

from nestling.api.kinds import DEPLOYMENT, NODE, NODE_POOL, POD, REPLICA_SET, SERVICE
from simulation import CrashPoint, World


def scale_up_and_down(world: World) -> None:
    """A ReplicaSet of 4, then 7, then 2."""
    with_nodes(world)
    world.create(REPLICA_SET, "web", workload("web", 4))
    world.run_for(10)
    world.patch(REPLICA_SET, "web", {"spec": {"replicas": 7}})
    world.run_for(10)
    world.patch(REPLICA_SET, "web", {"spec": {"replicas": 2}})


def pods_deleted(world: World) -> None:
    """A user deletes pods, and pods arrive before there are nodes."""
    world.create(REPLICA_SET, "web", workload("web", 3))
    world.run_for(5)
    with_nodes(world)
    for pod in world.list(POD)[:2]:
        world.delete(POD, pod["metadata"]["name"])


def pool_shrinks_and_grows(world: World) -> None:
    """Nodes go away under running pods, others come."""
    with_nodes(world, 4)
    world.create(REPLICA_SET, "web", workload("web", 6))
    world.run_for(10)
    world.patch(NODE_POOL, "pool", {"spec": {"replicas": 2}})
    world.run_for(60)
    world.patch(NODE_POOL, "pool", {"spec": {"replicas": 3}})


def machine_dies(world: World) -> None:
    """A machine loses power, its pods move, it comes back."""
    with_nodes(world)
    world.create(REPLICA_SET, "web", workload("web", 4))
    world.run_for(10)
    world.patch(NODE, "pool-1", {"metadata": {"annotations": {"sim.nestling.dev/power": "off"}}})
    world.run_for(400)
    world.patch(NODE, "pool-1", {"metadata": {"annotations": {"sim.nestling.dev/power": None}}})


def rolling_update(world: World) -> None:
    """A Deployment is rolled out to a new image."""
    with_nodes(world)
    world.create(DEPLOYMENT, "web", workload("web", 4))
    world.run_for(10)
    world.patch(DEPLOYMENT, "web", {"spec": {"template": {"spec": {"containers": [_main("web:2")]}}}})


def stuck_and_rolled_back(world: World) -> None:
    """A rollout to an image that cannot be pulled, and back."""
    with_nodes(world)
    world.create(DEPLOYMENT, "web", workload("web", 4))
    world.run_for(10)
    world.patch(DEPLOYMENT, "web", {"spec": {"template": {"spec": {"containers": [_main("fail/web:2")]}}}})
    world.run_for(10)
    world.patch(DEPLOYMENT, "web", {"spec": {"template": {"spec": {"containers": [_main("web:1")]}}}})


def recreated(world: World) -> None:
    """The Recreate strategy: all old pods go before the first new one comes."""
    with_nodes(world)
    world.create(DEPLOYMENT, "web", workload("web", 3, strategy={"type": "Recreate"}))
    world.run_for(10)
    world.patch(DEPLOYMENT, "web", {"spec": {"template": {"spec": {"containers": [_main("web:2")]}}}})


def owner_deleted(world: World) -> None:
    """A Deployment is deleted in the middle of a rollout; nothing of it stays."""
    with_nodes(world)
    world.create(DEPLOYMENT, "web", workload("web", 3))
    world.run_for(10)
    world.patch(DEPLOYMENT, "web", {"spec": {"template": {"spec": {"containers": [_main("web:2")]}}}})
    world.run_for(0.1)
    world.delete(DEPLOYMENT, "web")


def service_follows(world: World) -> None:
    """A Service and its endpoints follow the pods."""
    with_nodes(world)
    world.create(SERVICE, "web", {"selector": {"app": "web"}, "ports": [{"port": 80}]})
    world.create(DEPLOYMENT, "web", workload("web", 3))
    world.run_for(10)
    world.patch(DEPLOYMENT, "web", {"spec": {"replicas": 5}})


def _main(image: str) -> dict[str, object]:
    return {"name": "main", "image": image, "resources": {"requests": {"cpu": "100m"}}}


SCENARIOS = [
    scale_up_and_down,
    pods_deleted,
    pool_shrinks_and_grows,
    machine_dies,
    rolling_update,
    stuck_and_rolled_back,
    recreated,
    owner_deleted,
    service_follows,
]


def play(scenario: Scenario, crash: CrashPoint | None = None) -> tuple[object, int]:
    """Run a scenario to its quiet end; returns the end state and the number of writes."""
    with World(seed=1, crash=crash) as world:
        watch_over(world)
        scenario(world)
        settle(world)
        assert world.lives == (1 if crash is None else 2), "the crash point was never reached"
        return end_state(world), world.total_writes


@pytest.mark.timeout(600)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_crash_at_any_write_changes_nothing_in_the_end(scenario: Scenario) -> None:
    expected, writes = play(scenario)
    for at in range(1, writes + 1):
        for when in ("before", "after"):
            end, taken = play(scenario, CrashPoint(at, when))
            assert end == expected, f"killed {when} write {at} of {writes}"
            assert taken <= writes * 1.2 + 12, f"killed {when} write {at}: {taken} writes instead of {writes}"
