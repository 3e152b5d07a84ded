"""Read the annotations that script a simulated container: durations, ranges, numbers, curves.

`sim.nestling.dev/<setting>` holds for every container of the pod, `sim.nestling.dev/<setting>.<container>`
for one. Durations are `5s`, `1m30s`, `300ms` or a bare number of seconds, or a range such as `1s-5s`, out of
which each container gets its own, always the same for the same seed.

    start-delay        pulling the image and starting it the first time          default: the VirtualCluster's
    run-duration       from the start to the end of a run   default: none; init containers 0s, Jobs' pods 1s
    exit-code          0 to 255, of a run that ends by itself                                    default: 0
    crash-probability  0 to 1, that a run ends early, with exit-code or else 1                   default: 0
    ready-after        from the start to the first readiness probe that passes                   default: 0s
    readiness          auto, or never                                                         default: auto
    started-after      from the start to the first startup probe that passes                     default: 0s
    unhealthy-after    from the start to the moment when liveness and readiness probes fail   default: never
    stop-delay         from the signal to the end, within the grace period                       default: 0s
    cpu, memory        usage: a quantity, or a curve such as 0s=100m,1m=500m            default: requests / 10
    log-lines          lines separated by |, one a second; {n} is the number of the line        default: none

On a VirtualNode, `sim.nestling.dev/power: "off"` switches the machine off, `"on"` or nothing on, in
small letters or capitals.

A text that cannot be read yields a complaint and leaves the default, never an error: people type these by
hand. A duration beyond ten years is ten years.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from nestling.api import quantity

PREFIX: Final = "sim.nestling.dev/"
POWER: Final = f"{PREFIX}power"
LONGEST_S: Final = 10 * 365 * 86400.0
MOST_LINES: Final = 1000

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.ASCII)
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+", re.ASCII)
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?", re.ASCII)

Spread: TypeAlias = tuple[float, float]
"""The least and the most seconds a setting may come out at; equal when it is not a range."""

Curve: TypeAlias = tuple[tuple[float, float], ...]
"""Points (seconds since the start, amount), joined by straight lines."""


@dataclass(frozen=True, slots=True)
class Script:
    """How a simulated container is to behave; None where nothing was said. Times are spreads of seconds."""

    start_delay: Spread | None = None
    run_duration: Spread | None = None
    exit_code: int = 0
    crash_probability: float = 0.0
    ready_after: Spread | None = None
    started_after: Spread | None = None
    unhealthy_after: Spread | None = None
    never_ready: bool = False
    stop_delay: Spread | None = None
    cpu: Curve = ()
    memory: Curve = ()
    log_lines: str = ""
    complaints: tuple[str, ...] = field(default=(), compare=False)


PLAIN: Final = Script()
_DURATIONS: Final = {
    "start-delay": "start_delay",
    "run-duration": "run_duration",
    "ready-after": "ready_after",
    "started-after": "started_after",
    "unhealthy-after": "unhealthy_after",
    "stop-delay": "stop_delay",
}
SETTINGS: Final = frozenset(
    {*_DURATIONS, "exit-code", "crash-probability", "readiness", "cpu", "memory", "log-lines"}
)


def script_of(annotations: Mapping[str, str], container: str) -> Script:
    """The script of one container; what is said for it alone goes before what is said for the pod."""
    found: dict[str, str] = {}
    for key, text in annotations.items():
        if not key.startswith(PREFIX) or key == POWER:
            continue
        setting, dot, only = key[len(PREFIX) :].partition(".")
        if not dot:
            found.setdefault(setting, text)
        elif only == container:
            found[setting] = text
    if not found:
        return PLAIN
    values: dict[str, object] = {}
    complaints: list[str] = []
    for setting in sorted(found):
        try:
            values.update(_read(setting, found[setting]))
        except ValueError as error:
            complaints.append(f"{PREFIX}{setting}: {error}; the default holds")
    return Script(**values, complaints=tuple(complaints))  # type: ignore[arg-type]  # _read names fields only


def power_of(annotations: Mapping[str, str]) -> tuple[bool, str]:
    """Whether a node's machine has power, and a complaint if what is said about it cannot be read."""
    text = annotations.get(POWER, "on")
    word = text.strip().lower()
    if word in {"on", "off"}:
        return word == "on", ""
    return True, f'{POWER}: expected "on" or "off", found {_shown(text)}; the machine is on'


def _read(setting: str, text: str) -> dict[str, object]:
    """The fields that one annotation sets. Raises ValueError with a sentence for people."""
    if setting in _DURATIONS:
        return {_DURATIONS[setting]: spread_of(text)}
    match setting:
        case "exit-code":
            return {"exit_code": _within(text, 0, 255, whole=True)}
        case "crash-probability":
            return {"crash_probability": _within(text, 0, 1)}
        case "readiness":
            if text not in {"auto", "never"}:
                raise ValueError(f'expected "auto" or "never", found {_shown(text)}')
            return {"never_ready": text == "never"}
        case "cpu" | "memory":
            return {setting: curve_of(text, quantity.milli if setting == "cpu" else quantity.whole)}
        case "log-lines":
            return {"log_lines": text[:16384]}
        case _:
            raise ValueError(f"no such setting, known are {', '.join(sorted(SETTINGS))}")


def duration_of(text: str) -> float:
    """Seconds of `1h30m`, `2.5s`, `300ms` or a bare number of seconds; at most ten years.

    Raises ValueError for anything else.
    """
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return min(float(text), LONGEST_S)
    if len(text) > 64 or not _DURATION.fullmatch(text):
        raise ValueError(f'expected a duration such as "1m30s", found {_shown(text)}')
    return min(sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text)), LONGEST_S)


def spread_of(text: str) -> Spread:
    """A duration, or a range of them: `5s` or `1s-5s`. Raises ValueError for anything else."""
    first, dash, last = text.partition("-")
    least = duration_of(first)
    most = duration_of(last) if dash else least
    if most < least:
        raise ValueError(f"the range {_shown(text)} ends before it begins")
    return least, most


def curve_of(text: str, amount: Callable[[str], int]) -> Curve:
    """Points of a usage curve: `250m`, or `0s=100m,1m=500m,10m=200m`. Raises ValueError for anything else."""
    points: list[tuple[float, float]] = []
    for part in text.split(",")[:100]:
        when, equals, how_much = part.strip().partition("=")
        if not equals:
            when, how_much = "0", when
        value = float(amount(how_much))
        if value < 0:
            raise ValueError(f"usage cannot be negative: {_shown(how_much)}")
        points.append((duration_of(when), value))
    return tuple(sorted(points))


def _within(text: str, least: float, most: float, *, whole: bool = False) -> float | int:
    try:
        number = int(text) if whole else float(text)
    except ValueError:
        number = float("nan")
    if not least <= number <= most:  # also catches NaN
        raise ValueError(f"expected a number from {least:g} to {most:g}, found {_shown(text)}")
    return number


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}...")
