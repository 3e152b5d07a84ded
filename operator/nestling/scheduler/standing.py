"""How one pod class stands on one node table: where it may go, and with which score, kept up to date.

Computed once for all rows; afterwards the table's log says which rows changed and in which aspect. Plugins
that judge row by row answer again for these rows, if they read that aspect; those that look further catch up
with the rows that pods came to or left, and say how far that reached. A class that may go to a few named
nodes only (the pods of a DaemonSet) is computed for their rows each time and kept nowhere.
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
# As plain numbers: operations on flags cost more than the rest of a bind.
_USAGE: Final = int(Aspect.USAGE)
_NODE: Final = int(Aspect.NODE)
_IMAGES: Final = int(Aspect.IMAGES)
_EMPTY: Final = np.zeros(0, np.int64)


@dataclass(slots=True)
class FilterSlot:
    """One filter plugin at work for this class: its state, its codes by row.

    `usage` says that pods on nodes matter to it, `far` that those on other nodes do.
    """

    plugin: FilterPlugin
    state: Any
    codes: IntArray = field(default_factory=lambda: _EMPTY)
    usage: bool = field(init=False)
    far: bool = field(init=False)

    def __post_init__(self) -> None:
        self.usage = bool(int(self.plugin.reads) & _USAGE)
        self.far = not self.plugin.row_by_row


@dataclass(slots=True)
class ScoreSlot:
    """One score plugin at work: its state, its raw scores by row, and (if it normalizes or looks beyond a
    row) its share in the total: normalized and times weight; one number if all rows have the same.
    """

    plugin: ScorePlugin
    weight: int
    state: Any
    raw: IntArray = field(default_factory=lambda: _EMPTY)
    share: IntArray | int = 0
    flat: bool = False
    usage: bool = field(init=False)
    far: bool = field(init=False)

    def __post_init__(self) -> None:
        self.usage = bool(int(self.plugin.reads) & _USAGE)
        self.far = not self.plugin.row_by_row


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
        self._base: IntArray = _EMPTY  # what the local scores add up to
        self._extra: IntArray | None = None  # and the relative ones, but for those that are one number,
        self._constant = 0  # which are in here
        self._far_filters: list[FilterSlot] = []  # those that a bind elsewhere can change
        self._far_scores: list[ScoreSlot] = []
        self._all_flat = True  # no row's feasibility changes a normalized score
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
        if changes is None or 2 * len(changes) > nodes.rows:
            self._rebuild()
        elif len(changes) == 1 and changes[0] & 7 == _USAGE:
            self._update_row(changes[0] >> 3)
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
            total += slot.weight * self._normal(slot, feasible)
        return np.where(feasible, total, REFUSED).astype(np.int32)

    def shares(self, place: int) -> dict[str, int]:
        """What each score plugin gave the row at a place, times its weight: they add up to the total."""
        found = {slot.plugin.name: slot.weight * int(slot.raw[place]) for slot in self.local}
        for slot in self.relative:
            share = slot.share
            found[slot.plugin.name] = share if isinstance(share, int) else int(share[place])
        return found

    def shares_over(self, place: int, feasible: BoolArray) -> dict[str, int]:
        """The same if only these places would do."""
        relative = {
            slot.plugin.name: slot.weight * int(self._normal(slot, feasible)[place]) for slot in self.relative
        }
        return {**self.shares(place), **relative}

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
        self.feasible_count = int(np.count_nonzero(self.feasible))
        self._lap("Filter")
        self._base = np.zeros(len(self.feasible), np.int64)
        for scorer in self.profile.scores:
            state = scorer.plugin.prepare_score(pods, nodes)
            if state is not None:
                slot = ScoreSlot(scorer.plugin, scorer.weight, state, scorer.plugin.score(state, nodes, rows))
                if scorer.plugin.normalizes or slot.far:
                    self.relative.append(slot)
                else:
                    self.local.append(slot)
                    self._base += slot.weight * slot.raw
        self._far_filters = [slot for slot in self.filters if slot.far and slot.usage]
        self._far_scores = [slot for slot in self.relative if slot.far and slot.usage]
        self._lap("Score")
        self._relate(self.relative)
        self._lap("NormalizeScore")
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

    def _relate(self, moved: list[ScoreSlot], *, flipped: bool = False) -> None:
        """Normalize anew what `moved`, or with `flipped` feasible rows all that depends on them; add up."""
        for slot in self.relative:
            if slot in moved or (flipped and not slot.flat):
                slot.flat = slot.plugin.flat(slot.state, slot.raw)
                normal = self._normal(slot, self.feasible)
                if slot.flat and len(normal) and (normal == normal[0]).all():
                    slot.share = slot.weight * int(normal[0])
                else:
                    slot.share = slot.weight * normal
        self._all_flat = all(slot.flat for slot in self.relative)
        self._extra, self._constant = None, 0
        for slot in self.relative:
            if isinstance(slot.share, int):
                self._constant += slot.share
            else:
                self._extra = slot.share if self._extra is None else self._extra + slot.share
        self._add_up()

    def _normal(self, slot: ScoreSlot, feasible: BoolArray) -> IntArray:
        if self.only is None or not slot.far:
            return slot.plugin.normalize(slot.state, slot.raw, feasible)
        # Who looks beyond a row knows all of them.
        raw, mask = np.zeros(self.nodes.rows, np.int64), np.zeros(self.nodes.rows, np.bool_)
        raw[self.only], mask[self.only] = slot.raw, feasible
        return slot.plugin.normalize(slot.state, raw, mask)[self.only]

    def _add_up(self) -> None:
        total = self._base if self._extra is None else self._base + self._extra
        self.total = np.add(total, self._constant, dtype=np.int32, casting="unsafe")
        np.copyto(self.total, REFUSED, where=~self.feasible)

    # -- some rows anew --

    def _catch_up(self, changes: list[int]) -> None:
        anew: set[int] = set()
        used: set[int] = set()
        images = False
        for change in changes:
            if change & _USAGE:
                used.add(change >> 3)
            elif change & _NODE:
                anew.add(change >> 3)
            else:
                images = True
        if anew:
            used -= anew
            # Whoever looks at more than a row starts over: domains and who counts in them may have changed.
            if any(slot.far for slot in (*self.filters, *self.relative)):
                self._rebuild()
                return
            self._update(np.array(sorted(anew), np.intp), anew=True)
        if images:
            moved = [slot for slot in self.relative if int(slot.plugin.reads) & _IMAGES]
            for slot in moved:
                slot.raw = slot.plugin.score(slot.state, self.nodes, ALL)
            if moved:
                self._relate(moved)
        if len(used) > _FEW:
            self._update(np.array(sorted(used), np.intp))
        else:
            for row in used:
                self._update_row(row)

    def _update(self, rows: NDArray[np.intp], *, anew: bool = False) -> None:
        """Ask again about these rows: what depends on usage, or with `anew` everything."""
        nodes = self.nodes
        plain = rows.tolist() if self._far_filters or self._far_scores else []
        reached = [rows]
        for slot in self._far_filters:
            further = slot.plugin.catch_up(slot.state, nodes, plain, slot.codes)
            if further is not None:
                reached.append(further)
        may_go = nodes.alive[rows]
        for slot in self.filters:
            if (anew or slot.usage) and not slot.far:
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
        where = rows
        flipped = self._judge(rows, may_go)
        if len(reached) > 1:
            where = np.unique(np.concatenate(reached))
            flipped |= self._judge(where)
        moved = [
            slot
            for slot in self._far_scores
            if slot.plugin.catch_up_score(slot.state, nodes, plain, slot.raw)
        ]
        if anew:
            for slot in self.relative:
                slot.raw[rows] = slot.plugin.score(slot.state, nodes, rows)
            moved = self.relative
        if moved or (flipped and not self._all_flat):
            self._relate(moved, flipped=flipped)
        else:
            self._add_up_rows(where)

    def _judge(self, rows: NDArray[np.intp], may_go: BoolArray | None = None) -> bool:
        """These rows are feasible or not, by `may_go` or else by their codes: returns whether that is new."""
        now = may_go if may_go is not None else self._passing(rows)
        before = self.feasible[rows]
        self.feasible_count += int(np.count_nonzero(now)) - int(np.count_nonzero(before))
        self.feasible[rows] = now
        return bool((now != before).any())

    def _passing(self, rows: NDArray[np.intp]) -> BoolArray:
        passing = self.nodes.alive[rows]
        for slot in self.filters:
            passing &= slot.codes[rows] == 0
        return passing

    def _add_up_rows(self, rows: NDArray[np.intp]) -> None:
        total = self._base[rows] + self._constant
        if self._extra is not None:
            total += self._extra[rows]
        self.total[rows] = np.where(self.feasible[rows], total, REFUSED)

    def _update_row(self, row: int) -> None:
        """The same for the one row that a bind touched: the hot path, without a pass over the table."""
        nodes = self.nodes
        further: NDArray[np.intp] | None = None
        for slot in self._far_filters:
            more = slot.plugin.catch_up(slot.state, nodes, (row,), slot.codes)
            if more is not None and not (len(more) == 1 and more.item(0) == row):
                further = more if further is None else np.union1d(further, more)
        may_go = nodes.alive.item(row)
        for slot in self.filters:
            if slot.usage and not slot.far:
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
        flipped = may_go != self.feasible.item(row)
        if flipped:
            self.feasible[row] = may_go
            self.feasible_count += 1 if may_go else -1
        if further is not None:
            flipped |= self._judge(further)
        moved = [
            slot
            for slot in self._far_scores
            if slot.plugin.catch_up_score(slot.state, nodes, (row,), slot.raw)
        ]
        if moved or (flipped and not self._all_flat):
            self._relate(moved, flipped=flipped)
            return
        if further is not None:
            self._add_up_rows(further)
        score += self._constant
        if self._extra is not None:
            score += self._extra.item(row)
        self.total[row] = score if may_go else REFUSED
