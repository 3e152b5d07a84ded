"""How one pod class stands on one node table: where it may go, and with which score, kept up to date.

Computed once for all rows; afterwards the table's log says which rows changed and in which aspect, and only
the plugins that read this aspect answer again, for these rows. A class that may go to a few named nodes only
(the pods of a DaemonSet) is computed for their rows each time and kept nowhere.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nestling.scheduler.framework import FilterPlugin, Profile, Rejection, ScorePlugin, Supposition
from nestling.scheduler.podclass import PodClass
from nestling.scheduler.table import ALL, Aspect, BoolArray, IntArray, NodeTable, Rows

REFUSED: Final = -1
_FEW: Final = 12  # rows; up to here plain numbers, row by row, beat numpy (tests/benchmarks/scheduler.py)
_USAGE: Final = int(Aspect.USAGE)  # as a plain number: operations on flags cost more than the rest of a bind
_EMPTY: Final = np.zeros(0, np.int64)


@dataclass(slots=True)
class FilterSlot:
    """One filter plugin at work for this class: its state, its codes by row, whether it reads usage."""

    plugin: FilterPlugin
    state: Any
    codes: IntArray = field(default_factory=lambda: _EMPTY)
    usage: bool = field(init=False)

    def __post_init__(self) -> None:
        self.usage = bool(self.plugin.reads & Aspect.USAGE)


@dataclass(slots=True)
class ScoreSlot:
    """One score plugin at work: its state, raw scores, and (if it normalizes) the normalized ones times
    weight.
    """

    plugin: ScorePlugin
    weight: int
    state: Any
    raw: IntArray = field(default_factory=lambda: _EMPTY)
    share: IntArray = field(default_factory=lambda: _EMPTY)
    usage: bool = field(init=False)

    def __post_init__(self) -> None:
        self.usage = bool(self.plugin.reads & Aspect.USAGE)


def no_lap(_point: str) -> None:
    """Nobody measures."""


class Standing:
    """Masks and scores of one class on one table. Arrays are as long as the table, or as the rows of `only`.

    `total` is int32: the weighted sum of scores, or -1 where the pod may not go. `lap` is called with "" when
    all rows are computed anew, then with the name of each extension point that is done.
    """

    def __init__(
        self, pods: PodClass, nodes: NodeTable, profile: Profile, lap: Callable[[str], None] = no_lap
    ) -> None:
        self.pods = pods
        self.nodes = nodes
        self.profile = profile
        self.only: NDArray[np.intp] | None = None
        self.narrowed_by: tuple[str, ...] = ()
        self.rejection: tuple[FilterPlugin, Rejection] | None = None
        self.filters: list[FilterSlot] = []
        self.local: list[ScoreSlot] = []
        self.relative: list[ScoreSlot] = []
        self.feasible: BoolArray = np.zeros(0, np.bool_)
        self.feasible_count = 0
        self.total: NDArray[np.int32] = np.zeros(0, np.int32)
        self.seen = -1
        self.memo: Any = None  # what a caller derived from this state; dropped at the next change
        self._base: IntArray = _EMPTY
        # All raw scores of the relative plugins are zero: no row's feasibility changes the normalized ones.
        self._all_flat = True
        self._row_by_row = True
        self._lap = lap
        self._rebuild()

    @property
    def lasting(self) -> bool:
        """Whether it is worth keeping: it covers the whole table."""
        return self.only is None and self.rejection is None

    def refresh(self) -> bool:
        """Catch up with the table. Returns whether anything had changed."""
        nodes = self.nodes
        if nodes.version == self.seen:
            return False
        self.memo = None
        changes = nodes.changes_since(self.seen) if self.lasting else None
        if changes is None or 2 * len(changes) > nodes.rows or not self._row_by_row:
            self._rebuild()
        elif len(changes) == 1 and changes[0] & 3 == _USAGE:
            self._update_row(changes[0] >> 2)
        else:
            self._catch_up(changes)
        self.seen = nodes.version
        return True

    def row(self, place: int) -> int:
        """The table's row behind a place in our arrays."""
        return int(self.only[place]) if self.only is not None else place

    def place(self, row: int) -> int | None:
        """The place of a table's row in our arrays, None if it is not among the rows looked at."""
        if self.only is None:
            return row
        found = np.flatnonzero(self.only == row)
        return int(found[0]) if len(found) else None

    def totals_over(self, feasible: BoolArray) -> NDArray[np.int32]:
        """Scores as they would be if only these places would do, -1 elsewhere; changes nothing."""
        total = self._base.copy()
        for slot in self.relative:
            total += slot.weight * slot.plugin.normalize(slot.state, slot.raw, feasible)
        return np.where(feasible, total, REFUSED).astype(np.int32)

    def shares(self, place: int) -> dict[str, int]:
        """What each score plugin gave the row at a place, times its weight: they add up to the total."""
        found = {slot.plugin.name: slot.weight * int(slot.raw[place]) for slot in self.local}
        found.update((slot.plugin.name, int(slot.share[place])) for slot in self.relative)
        return found

    # -- what if --

    def fits_if(self, rows: NDArray[np.intp], suppose: Supposition | None) -> BoolArray:
        """Whether each of these rows would take the class if the supposition held there; shape (rows,)."""
        nodes = self.nodes
        if self.rejection is not None:
            return np.zeros(len(rows), np.bool_)
        fits = nodes.alive[rows]
        if self.only is not None:
            fits &= np.isin(rows, self.only)
        for slot in self.filters:
            if suppose is not None and slot.usage:
                codes = slot.plugin.filter_if(slot.state, nodes, rows, suppose)
            elif self.only is None:
                codes = slot.codes[rows]
            else:
                codes = slot.plugin.filter(slot.state, nodes, rows)
            fits &= codes == 0
        return fits

    def resolvable(self) -> NDArray[np.intp]:
        """Rows whose first refusal could be lifted by removing pods from them."""
        alive = self.nodes.alive
        left = alive.copy() if self.only is None else alive[self.only]
        found = np.zeros(len(left), np.bool_)
        for slot in self.filters:
            refused = left & (slot.codes != 0)
            found |= refused & slot.plugin.resolvable(slot.codes)
            left &= ~refused
        places = np.flatnonzero(found)
        return places if self.only is None else self.only[places]

    # -- everything anew --

    def _rebuild(self) -> None:
        pods, nodes = self.pods, self.nodes
        self.filters, self.local, self.relative = [], [], []
        self.rejection = None
        self._lap("")
        self._narrow()
        self._lap("PreFilter")
        rows: Rows = ALL if self.only is None else self.only
        self.feasible = nodes.alive[rows].copy()
        for plugin in self.profile.filters:
            state = plugin.prepare(pods, nodes)
            if isinstance(state, Rejection):
                self.rejection = (plugin, state)
                self.feasible[:] = False
                break
            if state is not None:
                slot = FilterSlot(plugin, state, plugin.filter(state, nodes, rows))
                self.filters.append(slot)
                self.feasible &= slot.codes == 0
        self._lap("Filter")
        self._base = np.zeros(len(self.feasible), np.int64)
        for scorer in self.profile.scores:
            state = scorer.plugin.prepare_score(pods, nodes)
            if state is not None:
                slot = ScoreSlot(scorer.plugin, scorer.weight, state, scorer.plugin.score(state, nodes, rows))
                if scorer.plugin.normalizes:
                    self.relative.append(slot)
                else:
                    self.local.append(slot)
                    self._base += slot.weight * slot.raw
        self._lap("Score")
        self._relate()
        self._lap("NormalizeScore")
        # A bind elsewhere cannot change a row, unless one of the plugins at work here looks further than it.
        slots = (*self.filters, *self.local, *self.relative)
        self._row_by_row = all(slot.plugin.row_by_row for slot in slots)
        self.seen = nodes.version

    def _narrow(self) -> None:
        names = self.profile.only(self.pods)
        if names is None:
            return
        self.narrowed_by = tuple(
            sorted(plugin.name for plugin in self.profile.filters if plugin.only(self.pods) is not None)
        )
        nodes = self.nodes
        rows = [nodes.row_of[name] for name in names if name in nodes.row_of]
        self.only = np.array(sorted(row for row in rows if nodes.alive[row]), np.intp)

    def _relate(self) -> None:
        """Normalize what is judged relative to the feasible rows, and add up."""
        total = self._base.copy()
        self._all_flat = True
        for slot in self.relative:
            self._all_flat &= not slot.raw.any()
            slot.share = slot.weight * slot.plugin.normalize(slot.state, slot.raw, self.feasible)
            total += slot.share
        self.total = np.where(self.feasible, total, REFUSED).astype(np.int32)
        self.feasible_count = int(np.count_nonzero(self.feasible))

    # -- some rows anew --

    def _catch_up(self, changes: list[int]) -> None:
        changed = {change >> 2 for change in changes if change & Aspect.NODE}
        used = {change >> 2 for change in changes} - changed
        if changed:
            self._update(np.array(sorted(changed), np.intp), anew=True)
        if len(used) > _FEW:
            self._update(np.array(sorted(used), np.intp))
        else:
            for row in used:
                self._update_row(row)

    def _update(self, rows: NDArray[np.intp], *, anew: bool = False) -> None:
        """Ask again about these rows: what depends on usage, or with `anew` everything."""
        nodes = self.nodes
        may_go = nodes.alive[rows]
        for slot in self.filters:
            if anew or slot.usage:
                slot.codes[rows] = codes = slot.plugin.filter(slot.state, nodes, rows)
            else:
                codes = slot.codes[rows]
            may_go &= codes == 0
        score = np.zeros(len(rows), np.int64)
        for slot in self.local:
            if anew or slot.usage:
                slot.raw[rows] = raw = slot.plugin.score(slot.state, nodes, rows)
            else:
                raw = slot.raw[rows]
            score += slot.weight * raw
        self._base[rows] = score
        flipped = bool((may_go != self.feasible[rows]).any())
        self.feasible[rows] = may_go
        if anew:
            for slot in self.relative:
                slot.raw[rows] = slot.plugin.score(slot.state, nodes, rows)
        if anew or (flipped and not self._all_flat):
            self._relate()
            return
        for slot in self.relative:
            score += slot.share[rows]
        self.total[rows] = np.where(may_go, score, REFUSED)
        self.feasible_count = int(np.count_nonzero(self.feasible))

    def _update_row(self, row: int) -> None:
        """The same for the one row that a bind touched: the hot path, without a pass over the table."""
        nodes = self.nodes
        may_go = nodes.alive.item(row)
        for slot in self.filters:
            if slot.usage:
                slot.codes[row] = code = slot.plugin.filter_row(slot.state, nodes, row)
            else:
                code = slot.codes.item(row)
            if code:
                may_go = False
        score = 0
        for slot in self.local:
            if slot.usage:
                slot.raw[row] = raw = slot.plugin.score_row(slot.state, nodes, row)
            else:
                raw = slot.raw.item(row)
            score += slot.weight * raw
        self._base[row] = score
        if may_go != self.feasible.item(row):
            self.feasible[row] = may_go
            self.feasible_count += 1 if may_go else -1
            if not self._all_flat:
                self._relate()
                return
        for slot in self.relative:
            score += slot.share.item(row)
        self.total[row] = score if may_go else REFUSED
