"""What a controller counts: metrics as values, which a plan carries and the driver hands on.

A reconciler is pure and knows no metrics library. It says with its plan what to count once it is known how
the plan went: `Plan.measure` gets how many of the writes were done, whether all were, and the seconds from
the look to the last answer. What is declared in `Controller.metrics` is there from the start, counted or not.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Metric:
    """A counter, or with `buckets` a histogram. `name` is the native one; counters end in `_total`."""

    name: str
    text: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Tally:
    """So much of a metric: an increase, or one observation."""

    metric: Metric
    labels: tuple[str, ...] = ()
    amount: float = 1.0


Measure: TypeAlias = Callable[[int, bool, float], Iterable[Tally]]
