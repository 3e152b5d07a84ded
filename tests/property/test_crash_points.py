"""Kill the operator before and after every single write of a scenario: the world must come out the same.

The reference run counts the writes; then each of them is a crash point, twice. What is compared is the
end as a user sees it, and that it is quiet: the two oracles that have found nearly all operator bugs of
this family.
"""

import pytest
from invariants import watch_over
from scenarios import SCENARIOS, Scenario, end_state, settle

from simulation import CrashPoint, World


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
