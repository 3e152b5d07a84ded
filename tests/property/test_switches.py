"""Controllers switched off and on while the cluster lives: idle meanwhile, then all is made good."""

from collections.abc import Sequence

import pytest
from invariants import watch_over
from scenarios import end_state, settle, with_nodes, workload

from nestling.api.kinds import CLUSTER, DEPLOYMENT, POD, REPLICA_SET, SERVICE
from simulation import World


def switched(world: World, controllers: Sequence[str]) -> None:
    world.patch(CLUSTER, "cluster", {"spec": {"controllers": list(controllers)}})
    world.run_for(1)


def live(world: World, off: Sequence[str], *, on: Sequence[str] = ("*",)) -> tuple[int, int, int]:
    """Start with `off`, ask for things, then switch to `on`; returns what there was before."""
    watch_over(world)
    world.create(CLUSTER, "cluster", {"controllers": list(off)})
    with_nodes(world)
    world.create(SERVICE, "web", {"selector": {"app": "web"}, "ports": [{"port": 80}]})
    world.create(DEPLOYMENT, "web", workload("web", 2))
    world.run_for(30)
    before = tuple(len(world.list(kind)) for kind in (DEPLOYMENT, REPLICA_SET, POD))
    switched(world, on)
    settle(world)
    return before  # type: ignore[return-value]  # three of them


@pytest.mark.parametrize(
    ("off", "before"),
    [
        pytest.param(["*"], (1, 1, 2), id="none off"),
        pytest.param(["*", "-replicaset"], (1, 1, 0), id="ReplicaSets off"),
        pytest.param(["*", "-deployment-controller"], (1, 0, 0), id="Deployments off"),
        pytest.param([], (1, 0, 0), id="all off"),
        pytest.param(["node-pool-controller", "nodeipam", "deployment"], (1, 1, 0), id="three on"),
    ],
)
def test_what_was_left_undone_is_done_when_the_controller_is_switched_on(
    off: Sequence[str], before: tuple[int, int, int]
) -> None:
    with World(seed=1) as world:
        live(world, ["*"])
        reference = end_state(world)
    with World(seed=1) as world:
        assert live(world, off) == before
        assert end_state(world) == reference


def test_switched_off_in_the_middle_a_controller_stops_at_once() -> None:
    with World(seed=1) as world:
        live(world, ["*"])
        switched(world, ["*", "-replicaset"])
        world.patch(DEPLOYMENT, "web", {"spec": {"replicas": 5}})
        world.delete(POD, world.list(POD)[0]["metadata"]["name"])
        world.run_for(60)
        assert len(world.list(POD)) == 1
        (rs,) = world.list(REPLICA_SET)
        assert rs["spec"]["replicas"] == 5  # the Deployment's controller runs on
        world.delete(CLUSTER, "cluster")  # and without the object all run
        settle(world)
        assert len(world.list(POD)) == 5
