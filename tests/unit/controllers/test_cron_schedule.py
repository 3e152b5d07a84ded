"""Schedules of CronJobs: when they are due, in every zone and on the days when clocks change.

The moments are robfig/cron's own: `tests/differential/test_cron_schedule.py` asks it about thousands more.
"""

from datetime import UTC, datetime

import pytest

from nestling.api.schedule import UnknownZone, Unparseable, parse
from nestling.controllers.cron_job.missed import Impossible, Missed, missed, next_look


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def moments(expression: str, after: str, count: int, zone: str = "") -> list[str]:
    """Moments in UTC, as `month-day hour:minute`."""
    schedule, found, moment = parse(expression, zone), list[str](), at(after)
    for _ in range(count):
        following = schedule.next(moment)
        assert following is not None
        moment = following
        found.append(datetime.fromtimestamp(moment, UTC).strftime("%m-%d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        pytest.param("*/20 * * * *", ["06-01 10:20", "06-01 10:40"], id="steps"),
        pytest.param("7 * * * *", ["06-01 11:07"], id="later than now, not now"),
        pytest.param("0 9-17/4 * * *", ["06-01 13:00", "06-01 17:00"], id="range with step"),
        pytest.param("50/4 10 * * *", ["06-01 10:50", "06-01 10:54"], id="a step goes to the end"),
        pytest.param("0 0 1 feb,MAR *", ["02-01 00:00", "03-01 00:00"], id="names of months"),
        pytest.param("0 0 * * mon-wed", ["06-02 00:00", "06-03 00:00"], id="names of days"),
        pytest.param(
            "0 0 13 * 5", ["06-05 00:00", "06-12 00:00", "06-13 00:00"], id="day of month or of week"
        ),
        pytest.param("0 0 */2 * 1", ["06-03 00:00", "06-05 00:00"], id="a step of days is no star"),
        pytest.param("0 0 ? * 1", ["06-08 00:00"], id="a question mark is a star"),
        pytest.param("0 0 * * 1/2", ["06-03 00:00", "06-05 00:00", "06-08 00:00"], id="Sunday is 0 alone"),
        pytest.param("@daily", ["06-02 00:00"], id="daily"),
        pytest.param("@weekly", ["06-07 00:00"], id="weekly"),
        pytest.param("@monthly", ["07-01 00:00"], id="monthly"),
        pytest.param("@yearly", ["01-01 00:00"], id="yearly"),
        pytest.param("@every 1h30m", ["06-01 11:37", "06-01 13:07"], id="every so often"),
    ],
)
def test_moments(expression: str, wanted: list[str]) -> None:
    # 1 June 2026 is a Monday.
    assert moments(expression, "2026-06-01T10:07:00", len(wanted)) == wanted


@pytest.mark.parametrize(
    ("expression", "after", "wanted"),
    [
        pytest.param(
            "30 2 * * *", "2026-03-28T12:00:00", ["03-30 00:30"], id="an hour that does not exist is left out"
        ),
        pytest.param(
            "30 2 * * *", "2026-10-24T12:00:00", ["10-25 00:30", "10-25 01:30"], id="one that comes twice"
        ),
        pytest.param("0 * * * *", "2026-03-29T00:30:00", ["03-29 01:00", "03-29 02:00"], id="hours go on"),
        pytest.param("0 12 * * *", "2026-03-28T12:00:00", ["03-29 10:00"], id="noon comes earlier"),
    ],
)
def test_moments_when_clocks_change(expression: str, after: str, wanted: list[str]) -> None:
    assert moments(expression, after, len(wanted), "Europe/Berlin") == wanted


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("@every 90s", 90),
        ("@every 1.5h", 5400),
        ("@every 300ms", 1),
        ("@every 2500ms", 2),
        ("@every 1m1s", 61),
    ],
)
def test_every_takes_whole_seconds_and_at_least_one(text: str, seconds: int) -> None:
    assert parse(text, "").next(1000.9) == 1000 + seconds


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("* * *", "expected exactly 5 fields, found 3: [* * *]"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("@every x", 'failed to parse duration @every x: time: invalid duration "x"'),
        ("@fortnightly", "unrecognized descriptor: @fortnightly"),
    ],
)
def test_what_cannot_be_read_says_why(text: str, why: str) -> None:
    with pytest.raises(Unparseable) as caught:
        parse(text, "")
    assert str(caught.value) == why


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "Europe", "europe/berlin "])
def test_zone_that_does_not_exist(zone: str) -> None:
    with pytest.raises(UnknownZone, match="unknown time zone"):
        parse("@daily", zone)


def test_day_that_never_comes() -> None:
    assert parse("59 23 31 2 *", "").next(0.0) is None


# --- what was missed ------------------------------------------------------------------------------

HOUR = 3600.0
NOON = at("2026-06-01T12:00:00")


@pytest.mark.parametrize(
    ("expression", "since", "now", "wanted"),
    [
        pytest.param("0 * * * *", NOON, NOON + 59, Missed(NOON, None, 0), id="nothing yet"),
        pytest.param("0 * * * *", NOON, NOON + HOUR, Missed(NOON, NOON + HOUR, 0), id="exactly due"),
        pytest.param(
            "0 * * * *", NOON, NOON + 2 * HOUR, Missed(NOON, NOON + 2 * HOUR, 2), id="two, the later"
        ),
        pytest.param("* * * * *", NOON, NOON + 2 * HOUR, Missed(NOON, NOON + 2 * HOUR, 120), id="very many"),
        pytest.param("@every 7m", NOON, NOON + 1000, Missed(NOON, NOON + 840, 2), id="every keeps its beat"),
        # Estimated by the first hours of Monday; the last one due was on Monday at 14:00.
        pytest.param(
            "0 6-14/4 * * 1",
            NOON,
            NOON + 20 * HOUR,
            Missed(NOON, NOON + 2 * HOUR, 0),
            id="uneven, one missed",
        ),
    ],
)
def test_latest_missed_moment(expression: str, since: float, now: float, wanted: Missed) -> None:
    assert missed(parse(expression, ""), since, now) == wanted


def test_day_that_never_comes_is_impossible_to_miss() -> None:
    with pytest.raises(Impossible, match="less than 1 second"):
        missed(parse("59 23 31 2 *", ""), NOON, NOON)
    assert next_look(parse("59 23 31 2 *", ""), NOON, NOON) is None


@pytest.mark.parametrize(
    ("since", "now", "wanted"),
    [
        pytest.param(NOON, NOON + 1, NOON + HOUR + 0.1, id="the next"),
        pytest.param(NOON, NOON + HOUR, NOON + 2 * HOUR + 0.1, id="the one after what is due"),
        pytest.param(NOON, NOON + 50.5 * HOUR, NOON + 51 * HOUR + 0.1, id="after a long pause"),
    ],
)
def test_next_look_comes_a_little_after_the_moment(since: float, now: float, wanted: float) -> None:
    assert next_look(parse("0 * * * *", ""), since, now) == pytest.approx(wanted)
