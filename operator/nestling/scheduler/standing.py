"""How one pod class stands on one node table: which rows it may go to, and the score of each, kept up to
date.

Computed once for all rows; afterwards the table's log says which rows changed and in which aspect, and only
the plugins that read this aspect answer again, for these rows. A class that may go to a few named nodes only
(the pods of a DaemonSet) is computed for their rows each time and kept nowhere.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nestling.scheduler.framework import FilterPlugin, Profile, Rejection, ScorePlugin
from nestling.scheduler.podclass import PodClass
from nestling.scheduler.table import ALL, Aspect, BoolArray, IntArray, NodeTable, Rows

REFUSED: Final = -1
_EMPTY: Final = np.zeros(0, np.int64)


@dataclass(slots=True)
class FilterSlot:
    """One filter plugin at work for this class: its state and its codes by row."""

    plugin: FilterPlugin
    state: Any
    codes: IntArray = field(default_factory=lambda: _EMPTY)


@dataclass(slots=True)
class ScoreSlot:
    """One score plugin at work: its state, raw scores, and (if it normalizes) the normalized ones times
    weight.

    `flat` says that all raw scores are zero, so that no row's feasibility can change the normalized ones.
    """

    plugin: ScorePlugin
    weight: int
    state: Any
    raw: IntArray = field(default_factory=lambda: _EMPTY)
    share: IntArray = field(default_factory=lambda: _EMPTY)
    flat: bool = False


class Standing:
    """Masks and scores of one class on one table. Arrays are as long as the table, or as the rows of `only`.

    `total` is int32: the weighted sum of scores, or -1 where the pod may not go.
    """

    def __init__(self, pods: PodClass, nodes: NodeTable, profile: Profile) -> None:
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
        if changes is not None and len(changes) == 1:
            row, aspect = divmod(changes[0], 4)
            self._update_row(row, Aspect(aspect))
        elif changes is not None and 2 * len(changes) < nodes.rows:
            changed = {change >> 2 for change in changes if change & Aspect.NODE}
            used = {change >> 2 for change in changes} - changed
            for rows, aspect in ((changed, Aspect.NODE | Aspect.USAGE), (used, Aspect.USAGE)):
                if rows:
                    self._update(np.array(sorted(rows), np.intp), aspect)
        else:
            self._rebuild()
        self.seen = nodes.version
        return True

    def row(self, place: int) -> int:
        """The table's row behind a place in our arrays."""
        return int(self.only[place]) if self.only is not None else place

    def shares(self, place: int) -> dict[str, int]:
        """What each score plugin gave the row at a place, times its weight: they add up to the total."""
        found = {slot.plugin.name: slot.weight * int(slot.raw[place]) for slot in self.local}
        found.update((slot.plugin.name, int(slot.share[place])) for slot in self.relative)
        return found

    # -- everything anew --

    def _rebuild(self) -> None:
        pods, nodes = self.pods, self.nodes
        self.filters, self.local, self.relative = [], [], []
        self.rejection = None
        self._narrow()
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
        self._relate()
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
        for slot in self.relative:
            slot.flat = not slot.raw.any()
            slot.share = slot.weight * slot.plugin.normalize(slot.state, slot.raw, self.feasible)
            total += slot.share
        self.total = np.where(self.feasible, total, REFUSED).astype(np.int32)
        self.feasible_count = int(np.count_nonzero(self.feasible))

    # -- some rows anew --

    def _update(self, rows: NDArray[np.intp], aspect: Aspect) -> None:
        nodes = self.nodes
        for slot in self.filters:
            if slot.plugin.reads & aspect:
                wide = slot.plugin.affected(slot.state, nodes, rows)
                slot.codes[wide] = slot.plugin.filter(slot.state, nodes, wide)
        feasible = nodes.alive.copy()
        for slot in self.filters:
            feasible &= slot.codes == 0
        self.feasible = feasible
        for slot in (*self.local, *self.relative):
            if slot.plugin.reads & aspect:
                wide = slot.plugin.affected(slot.state, nodes, rows)
                slot.raw[wide] = slot.plugin.score(slot.state, nodes, wide)
        base = np.zeros(len(feasible), np.int64)
        for slot in self.local:
            base += slot.weight * slot.raw
        self._base = base
        self._relate()

    def _update_row(self, row: int, aspect: Aspect) -> None:
        """The same for the one row that a bind touched: the hot path, without a pass over the table."""
        nodes, rows = self.nodes, slice(row, row + 1)
        if aspect != Aspect.USAGE or not self.profile.row_by_row:
            self._update(np.array([row], np.intp), Aspect.NODE | Aspect.USAGE)
            return
        may_go = bool(nodes.alive[row])
        for slot in self.filters:
            if slot.plugin.reads & Aspect.USAGE:
                slot.codes[rows] = slot.plugin.filter(slot.state, nodes, rows)
            if slot.codes[row]:
                may_go = False
        score = 0
        for slot in self.local:
            if slot.plugin.reads & Aspect.USAGE:
                slot.raw[rows] = slot.plugin.score(slot.state, nodes, rows)
            score += slot.weight * int(slot.raw[row])
        self._base[row] = score
        flipped = may_go != self.feasible[row]
        self.feasible[row] = may_go
        if flipped:
            self.feasible_count += 1 if may_go else -1
            if any(not slot.flat for slot in self.relative):
                self._relate()
                return
        for slot in self.relative:
            score += int(slot.share[row])
        self.total[row] = score if may_go else REFUSED
