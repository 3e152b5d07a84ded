"""Play scenarios on both sides and say how each came out.

Ours are played first: they are quick, and the real side has to know what to wait for. The real controllers
decide on caches that lag behind, so on a busy machine their answers vary: a difference is what differs every
time.
"""

import asyncio
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import ours
from control_plane import control_plane
from picture import Picture
from scenario import Scenario
from theirs import Cluster, Difference, cluster

from nestling.operators.roles import ROLES
from realhost import RealHost

ATTEMPTS: Final = 3
LOOPS: Final = frozenset(loop.name for role in ROLES.values() for loop in role.controllers)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a scenario came out: alike, differently, or not at all because something broke."""

    difference: Difference | None = None
    broken: str = ""

    @property
    def differs(self) -> bool:
        """Whether there is anything to tell."""
        return self.difference is not None or bool(self.broken)

    def told(self, scenario: Scenario) -> str:
        """For people: where it differs, and how."""
        if self.difference is None:
            return f"{scenario.name}: {self.broken}"
        step = dict(scenario.steps[self.difference.step - 1])
        where = f"{scenario.name}, after step {self.difference.step}: {step}"
        return "\n".join((where, *self.difference.lines))


def lacking(scenario: Scenario) -> list[str]:
    """The loops that a scenario needs and that Nestling does not have yet."""
    return [loop for loop in scenario.needs if loop not in LOOPS]


def compare(scenarios: Sequence[Scenario]) -> dict[str, Outcome]:
    """Play scenarios side by side on one real control plane. Skips (or fails) the test when there is none."""
    found: dict[str, Outcome] = {}
    with control_plane() as host:
        expected: dict[str, list[Picture]] = {}
        for number, scenario in enumerate(scenarios):
            try:
                expected[scenario.name] = ours.play(scenario, f"s{number}")
            except Exception:  # the test of this scenario tells
                found[scenario.name] = Outcome(broken=f"on our side:\n{traceback.format_exc()}")
        asyncio.run(_play_theirs(host, scenarios, expected, found))
    return found


async def _play_theirs(
    host: RealHost,
    scenarios: Sequence[Scenario],
    expected: Mapping[str, Sequence[Picture]],
    found: dict[str, Outcome],
) -> None:
    # Those that wait most begin first: the whole takes as long as the last of them.
    patient = sorted(enumerate(scenarios), key=lambda entry: -entry[1].waits_s)
    async with cluster(host) as theirs:
        await asyncio.gather(
            *(
                _settle(theirs, scenario, expected[scenario.name], f"s{number}", found)
                for number, scenario in patient
                if scenario.name in expected
            )
        )


async def _settle(
    theirs: Cluster,
    scenario: Scenario,
    expected: Sequence[Picture],
    place: str,
    found: dict[str, Outcome],
) -> None:
    """Play one scenario until it comes out alike, a few times at most."""
    for attempt in range(ATTEMPTS):
        try:
            difference = await theirs.play(scenario, expected, f"{place}-{attempt}")
        except Exception:  # the test of this scenario tells
            found[scenario.name] = Outcome(broken=f"on the real side:\n{traceback.format_exc()}")
            continue
        found[scenario.name] = Outcome(difference)
        if difference is None or scenario.unlike:
            return
