"""Every scenario comes out the same on Kubernetes' own controllers and on ours, step by step.

All scenarios of a run play side by side on one real control plane. Its controllers decide on caches that lag
behind, so its answers vary on a busy machine: a difference is what differs every time.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import ours
import pytest
from control_plane import control_plane
from picture import Picture
from scenario import Scenario, load_all
from theirs import Cluster, Outcome, cluster

from realhost import RealHost

pytestmark = [pytest.mark.differential, pytest.mark.timeout(900)]

ATTEMPTS: Final = 3
SCENARIOS: Final = {scenario.name: scenario for scenario in load_all()}


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest) -> Iterator[Mapping[str, Outcome | Exception]]:
    """How every scenario that this run asks for came out."""
    wanted = [
        SCENARIOS[str(item.callspec.params["name"])]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path and hasattr(item, "callspec")
    ]
    expected, failed = play_ours(wanted)
    with control_plane() as host:
        yield {**asyncio.run(play_theirs(host, wanted, expected)), **failed}


def play_ours(scenarios: Sequence[Scenario]) -> tuple[dict[str, list[Picture]], dict[str, Exception]]:
    """Our side of each scenario, or what broke."""
    found: dict[str, list[Picture]] = {}
    failed: dict[str, Exception] = {}
    for number, scenario in enumerate(scenarios):
        try:
            found[scenario.name] = ours.play(scenario, f"s{number}")
        except Exception as error:  # the test of this scenario tells
            failed[scenario.name] = error
    return found, failed


async def play_theirs(
    host: RealHost, scenarios: Sequence[Scenario], expected: Mapping[str, Sequence[Picture]]
) -> dict[str, Outcome | Exception]:
    """The real side of scenarios; those that differ again, and once more."""
    found: dict[str, Outcome | Exception] = {}
    async with cluster(host) as theirs:
        await asyncio.gather(
            *(
                _settle(theirs, scenario, expected[scenario.name], f"s{number}", found)
                for number, scenario in enumerate(scenarios)
                if scenario.name in expected
            )
        )
    return found


async def _settle(
    theirs: Cluster,
    scenario: Scenario,
    expected: Sequence[Picture],
    place: str,
    found: dict[str, Outcome | Exception],
) -> None:
    for attempt in range(ATTEMPTS):
        try:
            outcome = await theirs.play(scenario, expected, f"{place}-{attempt}")
        except Exception as error:
            found[scenario.name] = error
            continue
        found[scenario.name] = outcome
        if not outcome.lines:
            return


@pytest.mark.parametrize("name", SCENARIOS)
def test_both_sides_come_out_the_same(
    outcomes: Mapping[str, Outcome | Exception], name: str, request: pytest.FixtureRequest
) -> None:
    scenario = SCENARIOS[name]
    if scenario.unlike:
        request.applymarker(pytest.mark.xfail(reason=scenario.unlike, strict=True))
    outcome = outcomes[name]
    if isinstance(outcome, Exception):
        raise outcome
    where = f"{name}, after step {outcome.step}: {dict(scenario.steps[outcome.step - 1])}"
    assert not outcome.lines, "\n".join((where, *outcome.lines))
