"""Random scenarios come out the same on both sides: a few on every run, many when asked for.

NESTLING_WORKLOAD_CASES sets how many, NESTLING_WORKLOAD_SEED where to start, NESTLING_WORKLOAD_KINDS about
which kinds (`Job,Deployment`). The test prints the seed of what differs.
"""

import os
from typing import Final

import pytest
from generate import KINDS, generated
from play import compare, lacking

pytestmark = [pytest.mark.differential]

CASES: Final = int(os.environ.get("NESTLING_WORKLOAD_CASES", "15"))
SEED: Final = int(os.environ.get("NESTLING_WORKLOAD_SEED", "1"))
CHOSEN: Final = tuple(filter(None, os.environ.get("NESTLING_WORKLOAD_KINDS", "").split(","))) or KINDS


@pytest.mark.timeout(300 + 20 * CASES)
def test_random_steps_come_out_the_same_on_both_sides() -> None:
    drawn = [generated(seed, CHOSEN) for seed in range(SEED, SEED + CASES)]
    scenarios = {scenario.name: scenario for scenario in drawn if not lacking(scenario)}
    found = compare(list(scenarios.values()))
    differing = [found[name].told(scenario) for name, scenario in scenarios.items() if found[name].differs]
    assert not differing, "\n\n".join(differing)
