"""DaemonSets whose operator is killed at every write, or sees the world late: one pod per node in the end."""

import pytest
from daemons import DAEMONS, OneOfEach, watch_daemons
from invariants import Binds, watch_over
from scenarios import Scenario, end_state, settle

from nestling.apiserver.faults import Rule
from simulation import CrashPoint, World


def play(scenario: Scenario, crash: CrashPoint | None = None) -> tuple[object, int]:
    """Run a scenario to its quiet end; returns the end state and the number of writes."""
    with World(seed=1, crash=crash) as world:
        watch_over(world)
        watch_daemons(world)
        scenario(world)
        settle(world)
        assert world.lives == (1 if crash is None else 2), "the crash point was never reached"
        return end_state(world), world.total_writes


@pytest.mark.timeout(600)
@pytest.mark.parametrize("scenario", DAEMONS, ids=lambda scenario: scenario.__name__)
def test_a_crash_at_any_write_changes_nothing_in_the_end(scenario: Scenario) -> None:
    expected, writes = play(scenario)
    for at in range(1, writes + 1):
        for when in ("before", "after"):
            end, taken = play(scenario, CrashPoint(at, when))
            assert end == expected, f"killed {when} write {at} of {writes}"
            assert taken <= writes * 1.2 + 12, f"killed {when} write {at}: {taken} writes instead of {writes}"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("scenario", DAEMONS, ids=lambda scenario: scenario.__name__)
def test_old_views_a_twin_and_lost_answers_change_nothing_in_the_end(scenario: Scenario) -> None:
    expected, _ = play(scenario)
    for seed, lag, operators in ((2, 0.5, 1), (3, 0.9, 1), (4, 0.5, 2), (5, 0.9, 2)):
        with World(seed=seed, lag=lag, operators=operators) as world:
            world.always(Binds())
            world.always(OneOfEach(old_views=True))
            world.add_fault(Rule("lose-answer", method="POST", path="/virtualpods", times=2))
            world.add_fault(Rule("lose-answer", method="PATCH", path="/virtual", skip=5, times=4))
            scenario(world)
            world.faults.clear()
            settle(world, patience_s=120)
            assert end_state(world) == expected, f"seed {seed}, lag {lag}, {operators} operators"
