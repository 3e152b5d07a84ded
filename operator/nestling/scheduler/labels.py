"""Node labels as columns of small numbers: one condition on one label is one look-up for all nodes at once.

Each label key is a column of value ids. A condition is asked once per distinct value; the answers, with the
one for "no such label" at the end, make a truth table that the column of ids then indexes.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nestling.api.selector import Requirement

ABSENT: Final = -1
_SPARE: Final = 1024  # values of nodes long gone that a column may carry before it is cleaned


class LabelColumn:
    """One label key: `ids` of shape (rows,), int32, -1 where the node lacks the label."""

    def __init__(self, rows: int) -> None:
        self.ids: NDArray[np.int32] = np.full(rows, ABSENT, np.int32)
        self.values: dict[str, int] = {}

    def put(self, row: int, value: str | None) -> None:
        """Set or clear the label of one row."""
        if value is None:
            self.ids[row] = ABSENT
            return
        if value not in self.values and len(self.values) > len(self.ids) + _SPARE:
            self._clean()
        self.ids[row] = self.values.setdefault(value, len(self.values))

    def grow(self, rows: int) -> None:
        """Make room for more rows, without the label."""
        grown = np.full(rows, ABSENT, np.int32)
        grown[: len(self.ids)] = self.ids
        self.ids = grown

    def truths(self, requirement: Requirement) -> NDArray[np.bool_]:
        """Answers by value id, shape (values + 1,); the last is for a node without the label."""
        table = np.zeros(len(self.values) + 1, np.bool_)
        match requirement.operator:
            case "In" | "NotIn":  # a hostname column has as many values as nodes: do not ask each
                named = [self.values[value] for value in requirement.values if value in self.values]
                table[named] = True
                return table if requirement.operator == "In" else ~table
            case _:
                for value, number in self.values.items():
                    table[number] = requirement.matches({requirement.key: value})
                table[ABSENT] = requirement.matches({})
                return table

    def _clean(self) -> None:
        living = set(self.ids.tolist())
        kept = [value for value, number in self.values.items() if number in living]
        moved = np.full(len(self.values) + 1, ABSENT, np.int32)
        moved[[self.values[value] for value in kept]] = np.arange(len(kept), dtype=np.int32)
        self.ids = moved[self.ids]
        self.values = {value: number for number, value in enumerate(kept)}


class LabelColumns:
    """All label keys that any node has carried."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._columns: dict[str, LabelColumn] = {}

    def put(self, row: int, labels: Mapping[str, str], before: Mapping[str, str]) -> None:
        """Replace the labels `before` of one row by `labels`."""
        for key in before:
            if key not in labels:
                self._columns[key].put(row, None)
        for key, value in labels.items():
            column = self._columns.get(key)
            if column is None:
                column = self._columns[key] = LabelColumn(self._rows)
            column.put(row, value)

    def grow(self, rows: int) -> None:
        """Make room for more rows."""
        self._rows = rows
        for column in self._columns.values():
            column.grow(rows)

    def match(self, requirement: Requirement) -> NDArray[np.bool_]:
        """Which rows meet one condition, shape (rows,); a row without a node is one without labels."""
        column = self._columns.get(requirement.key)
        if column is None:
            return np.full(self._rows, requirement.matches({}), np.bool_)
        return column.truths(requirement)[column.ids]

    def values(self, key: str) -> int:
        """How many value ids a key has: 0 and up, some of nodes long gone."""
        column = self._columns.get(key)
        return len(column.values) if column is not None else 0

    def ids(self, key: str) -> NDArray[np.int32]:
        """Value ids of one key by row (int32, -1 without the label): the domains of a topology key."""
        column = self._columns.get(key)
        return column.ids if column is not None else np.full(self._rows, ABSENT, np.int32)
