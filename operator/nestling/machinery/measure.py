"""What a controller counts: metrics as values, which a plan carries and the driver hands on.

A reconciler is pure and knows no metrics library. It says with its plan what to count once it is known how
the plan went: `Plan.measure` gets how many of the writes were done, whether all were, and the seconds from
the look to the last answer. What is declared in `Controller.metrics` is there from the start, counted or not.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Metric:
    """A counter, with `buckets` a histogram, or a `gauge`.

    `name` is the native one; counters end in `_total`.
    """

    name: str
    text: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    gauge: bool = False


@dataclass(frozen=True, slots=True)
class Tally:
    """So much of a metric: an increase, or one observation."""

    metric: Metric
    labels: tuple[str, ...] = ()
    amount: float = 1.0


@dataclass(frozen=True, slots=True)
class Levels:
    """A gauge as it stands by now, by its labels: what is not among them is gone."""

    metric: Metric
    values: Mapping[tuple[str, ...], float]


Measurement: TypeAlias = Tally | Levels
Measure: TypeAlias = Callable[[int, bool, float], Iterable[Measurement]]
