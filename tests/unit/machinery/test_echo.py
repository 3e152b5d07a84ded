"""The echo of our own writes: how a dead watch shows."""

from typing import Any

from nestling.api.kinds import NODE, POD
from nestling.machinery.clock import ManualClock
from nestling.machinery.echo import STALE_AFTER_S, Echo


def sighting(version: int) -> dict[str, Any]:
    return {"metadata": {"uid": "u1", "resourceVersion": str(version)}}


def test_a_write_that_is_never_heard_of_makes_its_watch_stale() -> None:
    clock = ManualClock()
    echo = Echo(clock, [POD, NODE])
    echo.wrote(POD, sighting(5))
    clock.advance(STALE_AFTER_S + 1)
    assert echo.stale() == [POD.plural]
    assert echo.lags_s()[NODE.plural] == 0.0


def test_an_event_of_that_version_or_later_settles_it_and_an_older_one_does_not() -> None:
    clock = ManualClock()
    echo = Echo(clock, [POD])
    echo.wrote(POD, sighting(5))
    clock.advance(3)
    echo.heard(POD, sighting(4), deleted=False)
    assert echo.lags_s()[POD.plural] == 3.0
    echo.heard(POD, sighting(6), deleted=False)
    assert echo.lags_s()[POD.plural] == 0.0


def test_the_age_counts_from_the_oldest_write_not_the_newest() -> None:
    clock = ManualClock()
    echo = Echo(clock, [POD])
    echo.wrote(POD, sighting(5))
    clock.advance(10)
    echo.wrote(POD, sighting(6))
    assert echo.lags_s()[POD.plural] == 10.0


def test_a_deletion_settles_whatever_was_written_before() -> None:
    echo = Echo(ManualClock(), [POD])
    echo.wrote(POD, sighting(5))
    echo.heard(POD, sighting(3), deleted=True)
    assert echo.stale() == []


def test_kinds_that_are_not_watched_owe_nothing() -> None:
    echo = Echo(ManualClock(), [POD])
    echo.wrote(NODE, sighting(5))
    assert echo.lags_s() == {POD.plural: 0.0}
