"""When a schedule is due: cron expressions and `@every`, read as Kubernetes reads them.

The search is cronsim's; it is given the fields written out, because robfig/cron, which Kubernetes uses, reads
some of them otherwise: `*/2` is a choice of days and no star (so that day of month and day of week are joined
by or), a step ends with the field, Sunday is 0 alone. And it is given a seconds field, for then it does not
play Debian's cron when clocks are changed: a moment that does not exist is left out, one that comes twice is
due twice.
Source: Kubernetes 1.37, github.com/robfig/cron v3 (parser.go, spec.go, constantdelay.go).
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from math import floor
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

_EVERY: Final = "@every "
_NAMED: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION: Final = re.compile(r"(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+", re.ASCII)
_PART: Final = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)


class Unparseable(ValueError):
    """A schedule that cannot be read. The text says what is wrong with it."""


class UnknownZone(ValueError):
    """A time zone that the time zone database does not have."""


class Schedule(Protocol):
    """Moments without end."""

    def next(self, after: float) -> float | None:
        """The first moment later than `after` (seconds since 1970); None if there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Every:
    """Moments at a distance of whole seconds, counted from the one before."""

    seconds: int

    def next(self, after: float) -> float | None:
        """The moment so many seconds after the whole second of `after`."""
        return floor(after) + float(self.seconds)


@dataclass(frozen=True, slots=True)
class Cron:
    """Moments of a cron expression in a time zone. `fields` has six, written out."""

    fields: str
    zone: tzinfo

    def next(self, after: float) -> float | None:
        """The first minute that the expression has, later than `after`."""
        try:
            return next(CronSim(self.fields, datetime.fromtimestamp(after, self.zone))).timestamp()
        except (CronSimError, StopIteration, OverflowError):
            return None  # the 31st of February, for example


@lru_cache(maxsize=1024)
def parse(text: str, zone: str) -> Schedule:
    """The schedule of a CronJob. `zone` is empty for UTC. Raises Unparseable or UnknownZone."""
    where = zone_of(zone)
    if text.startswith(_EVERY):
        return Every(_period(text))
    expression = _NAMED.get(text, text)
    if expression.startswith("@"):
        raise Unparseable(f"unrecognized descriptor: {text}")
    fields = expression.split()
    if len(fields) != 5:
        raise Unparseable(f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]")
    minute, hour, day, month, weekday = fields
    written = (
        "0",
        _field(minute, 0, 59),
        _field(hour, 0, 23),
        _field(day, 1, 31),
        _field(month, 1, 12, _MONTHS),
        _field(weekday, 0, 6, _DAYS),
    )
    return Cron(" ".join(written), where)


@lru_cache(maxsize=256)
def zone_of(name: str) -> tzinfo:
    """The time zone of this name, UTC for none. Raises UnknownZone."""
    if not name:
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # a folder of zones is an OSError
        raise UnknownZone(f"unknown time zone {name}") from error


def _field(text: str, least: int, most: int, names: tuple[str, ...] = ()) -> str:
    """One field written out: `*` where it has a star, else every value."""
    values: set[int] = set()
    for part in text.split(","):
        chosen = _range(part, least, most, names)
        if chosen is None:
            return "*"
        values.update(chosen)
    return ",".join(map(str, sorted(values)))


def _range(text: str, least: int, most: int, names: tuple[str, ...]) -> range | None:
    """The values of one range with its step; None for a star that leaves out nothing."""
    span, slash, step = text.partition("/")
    first, dash, last = span.partition("-")
    every = _number(step, (), 0) if slash else 1
    if first in {"*", "?"}:
        start, end = least, most
        if every <= 1:
            return None if every else _fail(f"step of range should be a positive number: {text}")
    else:
        start = _number(first, names, least)
        end = _number(last, names, least) if dash else most if slash else start
    if start < least:
        _fail(f"beginning of range ({start}) below minimum ({least}): {text}")
    if end > most:
        _fail(f"end of range ({end}) above maximum ({most}): {text}")
    if start > end:
        _fail(f"beginning of range ({start}) beyond end of range ({end}): {text}")
    if not every:
        _fail(f"step of range should be a positive number: {text}")
    return range(start, end + 1, every)


def _number(text: str, names: tuple[str, ...], least: int) -> int:
    if text.lower() in names:
        return names.index(text.lower()) + least
    if not (text.isascii() and text.isdecimal()):
        _fail(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)


def _fail(message: str) -> None:
    raise Unparseable(message)


def _period(text: str) -> int:
    """Whole seconds of `@every 1h30m`, at least one."""
    duration = text.removeprefix(_EVERY)
    if not _DURATION.fullmatch(duration):
        _fail(f'failed to parse duration {text}: time: invalid duration "{duration}"')
    return max(int(sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(duration)) + 1e-9), 1)
