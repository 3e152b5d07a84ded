"""Kill the operator before and after every single write of a schedule's life: the same Jobs come of it."""

import cron_job_scenarios
import job_scenarios
import pytest
from cron_job_scenarios import OneJobPerMoment, end_state
from invariants import watch_over
from job_scenarios import ExactCounts
from scenarios import Scenario, settle

from simulation import CrashPoint, World


def play(scenario: Scenario, crash: CrashPoint | None = None) -> tuple[object, int]:
    """Run a scenario to its quiet end; returns the end state and the number of writes."""
    with World(seed=1, crash=crash) as world:
        watch_over(world)
        world.always(ExactCounts())
        world.always(OneJobPerMoment())
        scenario(world)
        settle(world)
        job_scenarios.at_rest(world)
        assert world.lives == (1 if crash is None else 2), "the crash point was never reached"
        return end_state(world), world.total_writes


@pytest.mark.timeout(600)
@pytest.mark.parametrize("scenario", cron_job_scenarios.SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_crash_at_any_write_makes_the_same_jobs(scenario: Scenario) -> None:
    expected, writes = play(scenario)
    for at in range(1, writes + 1):
        for when in ("before", "after"):
            end, taken = play(scenario, CrashPoint(at, when))
            assert end == expected, f"killed {when} write {at} of {writes}"
            assert taken <= writes * 1.2 + 12, f"killed {when} write {at}: {taken} writes instead of {writes}"
