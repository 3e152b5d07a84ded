"""Random lives of a cluster, crashed at random writes, seen through old views: they end as if nothing was.

Each example lives twice: once in peace, once with the operator killed at up to three of its writes and
watches that speak when chance lets them. All along, the invariants are held after every write; at the end
both come to rest, every figure is counted anew, and the two ends are compared.
"""

from collections.abc import Sequence
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from invariants import watch_over
from workloads import (
    End,
    Workload,
    calm_workloads,
    crash_points,
    crashes,
    ending,
    hasty_workloads,
    lags,
    same_end,
)

from simulation import CrashPoint, World

Fractions = Sequence[tuple[float, Literal["before", "after"]]]


def live(workload: Workload, *, seed: int = 1, kills: Sequence[CrashPoint] = (), lag: float = 0.0) -> End:
    """One life of a workload to its rest, held to everything that must always be true."""
    with World(seed=seed, crashes=kills, lag=lag) as world:
        watch_over(world)
        workload(world)
        return ending(world)


def compare(workload: Workload, fractions: Fractions, *, seed: int, lag: float) -> None:
    """Live in peace, live with crashes, and compare."""
    reference = live(workload)
    kills = crash_points(fractions, reference.writes)
    end = live(workload, seed=seed, kills=kills, lag=lag)
    same_end(end, reference, calm=workload.calm)


@pytest.mark.timeout(900)
@given(workload=calm_workloads, fractions=crashes, seed=st.integers(0, 9), lag=lags)
def test_a_calm_life_ends_the_same_to_the_last_revision(
    workload: Workload, fractions: Fractions, seed: int, lag: float
) -> None:
    compare(workload, fractions, seed=seed, lag=lag)


@pytest.mark.timeout(900)
@given(workload=hasty_workloads, fractions=crashes, seed=st.integers(0, 9), lag=lags)
def test_a_hasty_life_ends_as_its_users_asked(
    workload: Workload, fractions: Fractions, seed: int, lag: float
) -> None:
    compare(workload, fractions, seed=seed, lag=lag)
