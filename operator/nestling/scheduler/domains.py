"""Pods counted by topology domain: the counts of rows added up by the value of one node label.

Made for one class and kept up to date from the rows that changed, one row at a time: the sums of a table of
20,000 nodes follow a bind by one addition.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nestling.scheduler.peers import Column
from nestling.scheduler.table import BoolArray, IntArray, NodeTable


class Domains:
    """Sums of weighted columns over the domains of one topology key.

    `ids` is the domain of each row (int32, -1 without the label); `sums` is int64 of shape (domains + 1,),
    with a last entry that stays 0, so that `sums[ids]` is right for rows without the label too. Only rows in
    `counted` are added up, all by default. Good until a label of a node changes.
    """

    def __init__(
        self,
        nodes: NodeTable,
        key: str,
        columns: Sequence[tuple[int, Column]],
        counted: BoolArray | None = None,
    ) -> None:
        self.key = key
        self.ids = nodes.labels.ids(key)
        self.columns = columns
        self.count = nodes.labels.values(key)
        self._seen = self._of_rows()
        self._homes = self.ids if counted is None else np.where(counted, self.ids, -1)
        sums = np.bincount(self._homes + 1, self._seen, self.count + 1).astype(np.int64)
        self.sums: IntArray = np.append(sums[1:], 0)
        self._rows: dict[int, NDArray[np.intp]] = {}

    def catch_up(self, rows: Sequence[int]) -> list[tuple[int, int]]:
        """Pods came to or left these rows: returns the domains that change, each with its sum before."""
        changed: dict[int, int] = {}
        for row in rows:
            now = 0
            for weight, column in self.columns:
                now += weight * column.counts.item(row)
            delta = now - self._seen.item(row)
            if delta:
                self._seen[row] = now
                home = self._homes.item(row)
                if home >= 0:
                    before = self.sums.item(home)
                    changed.setdefault(home, before)
                    self.sums[home] = before + delta
        return list(changed.items())

    def by_row(self, rows: slice | NDArray[np.intp] = slice(None)) -> IntArray:
        """The sum of each row's domain, 0 without the label; shape (rows,)."""
        return self.sums[self.ids[rows]]

    def rows_in(self, domains: Sequence[int]) -> NDArray[np.intp]:
        """The rows of these domains."""
        if len(domains) == 1:
            found = self._rows.get(domains[0])
            if found is None:
                found = self._rows[domains[0]] = np.flatnonzero(self.ids == domains[0])
            return found
        inside = np.zeros(self.count + 1, np.bool_)
        inside[list(domains)] = True
        return np.flatnonzero(inside[self.ids])

    def _of_rows(self) -> IntArray:
        total = np.zeros(len(self.ids), np.int64)
        for weight, column in self.columns:
            total += weight * column.counts.astype(np.int64)
        return total


def union(rows: Sequence[NDArray[np.intp]]) -> NDArray[np.intp]:
    """Rows that are in any of these, each once; every one of them has each row once."""
    if len(rows) == 1:
        return rows[0]
    if all(len(one) == 1 for one in rows):
        return np.array(sorted({one.item(0) for one in rows}), np.intp)
    return np.unique(np.concatenate(rows))
