"""The soft half of topology spread: among the nodes that would do, those whose domains hold few of the pods.

A score is a weighted sum of counts, and what a domain weighs depends on how many domains there are among the
feasible nodes: so one bind moves the score of a whole zone, and one lost node may move all. But there are few
different scores. Rows that share their domains and have equally many of the pods form a cell; cells are
scored and normalized, and the rows look theirs up.
Source: Kubernetes 1.37, plugins/podtopologyspread/scoring.go.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nestling.scheduler.domains import Domains
from nestling.scheduler.framework import TOP_SCORE
from nestling.scheduler.peers import Column
from nestling.scheduler.table import BoolArray, IntArray

_SPARSE: Final = 4  # cells per row; beyond it rows are scored one by one
_FEW: Final = 32  # rows that turned feasible or infeasible; beyond it all are counted anew


@dataclass(slots=True)
class Part:
    """One soft constraint at work: over `domains`, or by the counts of `hosts` if over single nodes."""

    max_skew: int
    domains: Domains
    hosts: Column | None = None


@dataclass(slots=True)
class Soft:
    """The soft constraints of a class. `ignored` rows lack a label that they should have, or hold no node:
    they score 0.

    `group` is the group of each row, rows of equal domains, and `groups` the domains of each group, shape
    (parts, groups), where all nodes that have a host name are one domain. `cell` is the cell of each row, the
    last one for ignored rows; `occupied` counts the feasible rows by cell, as of `feasible`.
    """

    parts: tuple[Part, ...]
    ignored: BoolArray
    group: NDArray[np.intp] = field(init=False)
    groups: NDArray[np.intp] = field(init=False)
    width: int = field(init=False, default=0)
    cell: NDArray[np.intp] = field(init=False)
    occupied: NDArray[np.intp] = field(init=False)
    feasible: BoolArray | None = field(init=False, default=None)
    hosts: Column | None = field(init=False, default=None)
    _weights: list[float] = field(init=False, default_factory=list[float])
    _table: IntArray = field(init=False)

    def __post_init__(self) -> None:
        hosts = {part.hosts for part in self.parts if part.hosts is not None}
        if len(hosts) > 1:
            return
        keys = [
            part.domains.ids if part.hosts is None else np.minimum(part.domains.ids, 0) for part in self.parts
        ]
        self.group, self.groups = _grouped(keys, ~self.ignored)
        if hosts:
            self.hosts = hosts.pop()
            self._divide(max(8, 2 * int(self.hosts.counts.max(initial=0))))
        else:
            self._divide(1)

    @property
    def celled(self) -> bool:
        """Whether rows are scored by cell, not one by one."""
        return self.width > 0

    def catch_up(self, rows: Sequence[int]) -> bool:
        """Pods came to or left these rows. Returns whether that moves a score."""
        moved = False
        for part in self.parts:
            if part.hosts is None and part.domains.catch_up(rows):
                moved = True
        if not self.celled:
            return True
        if self.hosts is not None:
            for row in rows:
                moved |= self._move(row, self.hosts.counts.item(row))
        return moved

    def normal(self, feasible: BoolArray) -> IntArray:
        """Scores 0..100 of all rows, judged over the feasible ones."""
        return self._by_cell(feasible) if self.celled else self._by_row(feasible)

    # -- by cell --

    def _divide(self, width: int) -> None:
        """Lay out the cells: `width` per group, for 0 to `width` - 1 pods on the row."""
        groups = self.groups.shape[1]
        if groups * width > _SPARSE * len(self.ignored) + 4096:
            self.width = 0
            return
        self.width = width
        count = self.hosts.counts if self.hosts is not None else 0
        self.cell = np.where(self.ignored, groups * width, self.group * width + count).astype(np.intp)
        self.feasible = None
        self._table = np.zeros(groups * width + 1, np.int64)

    def _move(self, row: int, count: int) -> bool:
        if self.ignored.item(row):
            return False
        if count >= self.width:
            self._divide(2 * count)
            return True
        before, now = self.cell.item(row), self.group.item(row) * self.width + count
        if before == now:
            return False
        self.cell[row] = now
        if self.feasible is not None and self.feasible.item(row):
            self.occupied[before] -= 1
            self.occupied[now] += 1
        return True

    def _occupy(self, feasible: BoolArray) -> None:
        """Count the feasible rows of each cell, those that turned or all, and weigh the domains."""
        turned = (feasible != self.feasible).nonzero()[0] if self.feasible is not None else None
        if turned is not None and self.feasible is not None and len(turned) <= _FEW:
            if not len(turned):
                return
            for row in turned.tolist():
                now = feasible.item(row)
                self.occupied[self.cell.item(row)] += 1 if now else -1
                self.feasible[row] = now
        else:
            self.occupied = np.bincount(self.cell[feasible], minlength=len(self._table))
            self.feasible = feasible.copy()
        by_group = self.occupied[:-1].reshape(-1, self.width).sum(axis=1)
        peopled = by_group > 0
        self._weights = [
            _weight(_distinct(ids[peopled]) if part.hosts is None else int(by_group.sum()))
            for part, ids in zip(self.parts, self.groups, strict=True)
        ]

    def _by_cell(self, feasible: BoolArray) -> IntArray:
        self._occupy(feasible)
        score = np.zeros((self.groups.shape[1], self.width))
        for part, ids, weight in zip(self.parts, self.groups, self._weights, strict=True):
            counts = part.domains.sums[ids][:, None] if part.hosts is None else np.arange(self.width)
            more = counts * weight + (part.max_skew - 1)
            if ids.min() < 0:
                more = np.where((ids >= 0)[:, None], more, 0.0)
            score += more
        self._table[:-1] = _normal(_rounded(score).ravel(), self.occupied[:-1] > 0)
        return self._table[self.cell]

    # -- row by row --

    def _by_row(self, feasible: BoolArray) -> IntArray:
        used = feasible & ~self.ignored
        score = np.zeros(len(used))
        for part in self.parts:
            ids = part.domains.ids
            if part.hosts is None:
                counts = part.domains.sums[ids]
                weight = _weight(_distinct(ids[used]))
            else:
                counts = part.hosts.counts
                weight = _weight(int(np.count_nonzero(used)))
            score += np.where(ids >= 0, counts * weight + (part.max_skew - 1), 0.0)
        return np.where(self.ignored, 0, _normal(_rounded(score), used))


def _weight(domains: int) -> float:
    """What one pod weighs where there are so many domains: small topologies are not to be watered down."""
    return log(domains + 2)


def _distinct(ids: NDArray[np.intp] | NDArray[np.int32]) -> int:
    """How many domains there are among these; rows without the label are one together."""
    return len(np.unique(ids))


def _rounded(score: NDArray[np.float64]) -> IntArray:
    """To the nearest whole number; Go rounds halves up, but no multiple of a logarithm ends in one."""
    return np.rint(score).astype(np.int64)


def _normal(raw: IntArray, used: BoolArray) -> IntArray:
    """100 for the lowest score in use down to what the highest leaves; all 100 if that is 0."""
    found = raw[used]
    most = found.max(initial=0).item()
    if most == 0:
        return np.full_like(raw, TOP_SCORE)
    return TOP_SCORE * (most + found.min().item() - raw) // most


def _grouped(keys: Sequence[NDArray[np.int32]], used: BoolArray) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The group of each row by its domains (rows,), and the domains of each group (keys, groups).

    Groups of rows that are not used may be any.
    """
    varied = [key for key in keys if not _uniform(key[used])]
    if len(varied) == 1:  # every domain is a group, and the missing label the last one
        count = int(varied[0].max(initial=-1)) + 1
        group = np.where(varied[0] < 0, count, varied[0]).astype(np.intp)
        numbers = np.append(np.arange(count), -1)
        return group, np.array([numbers if key is varied[0] else _all(key, used, count + 1) for key in keys])
    code = np.zeros(len(used), np.int64)
    for key in varied:
        code = code * (int(key.max(initial=-1)) + 2) + key + 1
    _, first, group = np.unique(np.where(used, code, -1), return_index=True, return_inverse=True)
    return group.astype(np.intp), np.array([key[first] for key in keys], np.intp)


def _uniform(ids: NDArray[np.int32]) -> bool:
    return not len(ids) or bool((ids == ids[0]).all())


def _all(key: NDArray[np.int32], used: BoolArray, groups: int) -> NDArray[np.intp]:
    """The one domain that all used rows have in common, for each group."""
    mine = key[used]
    return np.full(groups, mine[0] if len(mine) else -1, np.intp)
