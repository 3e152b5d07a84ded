"""Would a class fit on a node if some pods were not there, or some others were?

The question that preemption asks about pods that could go, and every decision about pods that are nominated:
of many rows at once, each a world of its own. Plugins answer by `filter_if`; nothing is changed by asking.
Source: Kubernetes 1.37, pkg/scheduler/framework/runtime (RunFilterPluginsWithNominatedPods).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nestling.scheduler.framework import FilterPlugin, Supposition
from nestling.scheduler.podclass import PodClass
from nestling.scheduler.standing import Standing
from nestling.scheduler.table import BoolArray, IntArray

PASSES: Final = -1


@dataclass(frozen=True, slots=True)
class Refusals:
    """For some rows, the first filter that refuses: its place among the standing's filters (-1: none) and
    code."""

    standing: Standing
    which: IntArray
    codes: IntArray

    @property
    def fits(self) -> BoolArray:
        """Where no filter refuses."""
        return self.which == PASSES

    def plugin(self, place: int) -> FilterPlugin:
        """The filter that refuses at a place."""
        return self.standing.filters[self.which[place]].plugin

    def reasons(self, place: int) -> tuple[str, ...]:
        """Its reasons."""
        return self.plugin(place).reasons(int(self.codes[place]), self.standing.pods, self.standing.nodes)


class Tally:
    """Counts of pods by row and class, for suppositions."""

    def __init__(self, rows: int, classes: Iterable[PodClass]) -> None:
        self._column: dict[bytes, int] = {}
        known: list[PodClass] = []
        for pods in classes:
            if pods.key not in self._column:
                self._column[pods.key] = len(known)
                known.append(pods)
        self.classes = tuple(known)
        self.counts: IntArray = np.zeros((rows, len(known)), np.int64)

    def add(self, place: int, pods: PodClass, number: int = 1) -> None:
        """So many pods more of a class at a place."""
        self.counts[place, self._column[pods.key]] += number

    def column(self, pods: PodClass) -> int:
        """The column of a class."""
        return self._column[pods.key]


def refused_if(
    standing: Standing, rows: NDArray[np.intp], classes: Sequence[PodClass], counts: IntArray
) -> Refusals:
    """What would refuse on these rows if so many pods more (or fewer) of these classes were there.

    The rows are alive and among those that the standing looks at.
    """
    suppose = Supposition(tuple(classes), counts)
    which = np.full(len(rows), PASSES, np.int64)
    codes = np.zeros(len(rows), np.int64)
    for number, slot in enumerate(standing.filters):
        if slot.usage:
            found = slot.plugin.filter_if(slot.state, standing.nodes, rows, suppose)
        elif standing.only is None:
            found = slot.codes[rows]
        else:
            found = slot.plugin.filter(slot.state, standing.nodes, rows)
        first = (found != 0) & (which == PASSES)
        which[first] = number
        codes[first] = found[first]
    return Refusals(standing, which, codes)


def refused_with_guests(
    standing: Standing,
    rows: NDArray[np.intp],
    classes: Sequence[PodClass],
    counts: IntArray,
    guests: IntArray,
) -> Refusals:
    """The same, where the pod must fit both with the nominated pods there (`guests`) and without them."""
    with_guests = refused_if(standing, rows, classes, counts + guests)
    again = np.flatnonzero(with_guests.fits & guests.any(axis=1))
    if len(again):
        without = refused_if(standing, rows[again], classes, counts[again])
        with_guests.which[again] = without.which
        with_guests.codes[again] = without.codes
    return with_guests
