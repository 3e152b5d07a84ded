"""Every scenario comes out the same on Kubernetes' own controllers and on ours, step by step."""

from collections.abc import Mapping
from typing import Final

import pytest
from play import Outcome, compare, lacking
from scenario import load_all

pytestmark = [pytest.mark.differential, pytest.mark.timeout(1800)]

SCENARIOS: Final = {scenario.name: scenario for scenario in load_all()}


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest) -> Mapping[str, Outcome]:
    """How every scenario that this run asks for came out; all play side by side."""
    wanted = [
        SCENARIOS[str(item.callspec.params["name"])]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path and hasattr(item, "callspec")
    ]
    wanted = [scenario for scenario in wanted if not lacking(scenario)]
    return compare(wanted)


@pytest.mark.parametrize("name", SCENARIOS)
def test_both_sides_come_out_the_same(name: str, request: pytest.FixtureRequest) -> None:
    scenario = SCENARIOS[name]
    if lack := lacking(scenario):
        pytest.skip(f"Nestling has no {', '.join(lack)} controller yet")
    if scenario.unlike:
        request.applymarker(pytest.mark.xfail(reason=scenario.unlike, strict=True))
    outcome: Outcome = request.getfixturevalue("outcomes")[name]
    assert not outcome.differs, outcome.told(scenario)
