"""Node selectors and node affinity: which nodes a pod accepts by label and name, and which it would rather
have.

Source: Kubernetes 1.37, plugins/nodeaffinity/node_affinity.go and
component-helpers/scheduling/corev1/nodeaffinity.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from nestling.api.json import JsonObject
from nestling.api.selector import NodeSelectorTerm, Requirement
from nestling.scheduler.framework import (
    ClusterEvent,
    FilterPlugin,
    Rejection,
    ScorePlugin,
    normalized,
)
from nestling.scheduler.podclass import NodeAffinity as Affinity
from nestling.scheduler.podclass import PodClass
from nestling.scheduler.table import BoolArray, IntArray, NodeTable, Rows

NO_MATCH: Final = "node(s) didn't match Pod's node affinity/selector"
ENFORCED: Final = "node(s) didn't match scheduler-enforced node affinity"
_OWN: Final = 1
_ADDED: Final = 2
CONFLICT: Final = "pod affinity terms conflict"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one class has to meet: its own affinity, and what the profile adds, if they ask for any."""

    own: Affinity | None
    added: Affinity | None


class NodeAffinity(FilterPlugin, ScorePlugin):
    """Refuse nodes outside `nodeSelector` and required node affinity; prefer those that meet the preferred
    terms. `added` holds for every pod of the profile, beside its own.
    """

    name: ClassVar[str] = "NodeAffinity"
    wakes_on: ClassVar[frozenset[ClusterEvent]] = frozenset({ClusterEvent.NODE_ADD, ClusterEvent.NODE_LABEL})
    normalizes: ClassVar[bool] = True

    def __init__(self, added: Affinity | None = None) -> None:
        self.added: Final = added if added is not None else Affinity()

    @classmethod
    def of(cls, args: JsonObject) -> "NodeAffinity":
        """Build from NodeAffinityArgs. Raises ValueError for an affinity that cannot be read."""
        return cls(Affinity.of({"affinity": {"nodeAffinity": args.get("addedAffinity")}}))

    def prepare(self, pods: PodClass, nodes: NodeTable) -> Wanted | Rejection | None:
        """The affinities, if they ask for anything."""
        wanted = Wanted(
            pods.affinity if pods.affinity.selector or pods.affinity.terms is not None else None,
            self.added if self.added.terms is not None else None,
        )
        if wanted.own is None and wanted.added is None:
            return None
        if self.only(pods) == frozenset():
            return Rejection(CONFLICT)
        return wanted

    def only(self, pods: PodClass) -> frozenset[str] | None:
        """The nodes that the terms name, if every term names some: the pods of a DaemonSet name one each."""
        terms = pods.affinity.terms
        if not terms:
            return None
        names: frozenset[str] = frozenset()
        for term in terms:
            named = [field.values for field in term.fields if field.operator == "In"]
            if not named:
                return None
            names |= frozenset.intersection(*named)
        return names

    def filter(self, state: Wanted, nodes: NodeTable, rows: Rows) -> IntArray:
        """2 on rows that the added affinity keeps out, 1 on others that do not match."""
        codes = np.zeros(nodes.rows, np.int64)
        if state.own is not None:
            codes[~accepted(state.own, nodes)] = _OWN
        if state.added is not None:
            codes[~accepted(state.added, nodes)] = _ADDED
        return codes[rows]

    def reasons(self, code: int, pods: PodClass, nodes: NodeTable) -> tuple[str, ...]:
        """One of the two reasons."""
        return (NO_MATCH if code == _OWN else ENFORCED,)

    def prepare_score(
        self, pods: PodClass, nodes: NodeTable
    ) -> tuple[tuple[int, NodeSelectorTerm], ...] | None:
        """The preferred terms of both."""
        return (*pods.affinity.preferred, *self.added.preferred) or None

    def score(
        self, state: tuple[tuple[int, NodeSelectorTerm], ...], nodes: NodeTable, rows: Rows
    ) -> IntArray:
        """Sum of the weights of the preferred terms that the row meets."""
        total = np.zeros(nodes.rows, np.int64)
        for weight, term in state:
            total += weight * meets(term, nodes)
        return total[rows]

    def normalize(
        self, state: tuple[tuple[int, NodeSelectorTerm], ...], scores: IntArray, feasible: BoolArray
    ) -> IntArray:
        """The highest sum among feasible nodes counts 100."""
        return normalized(scores, feasible)


def accepted(affinity: Affinity, nodes: NodeTable) -> BoolArray:
    """Rows in the selector and in one of the required terms, shape (rows,)."""
    mask = np.ones(nodes.rows, np.bool_)
    for key, value in affinity.selector:
        mask &= nodes.labels.match(Requirement(key, "In", frozenset({value})))
    if affinity.terms is not None:
        either = np.zeros(nodes.rows, np.bool_)
        for term in affinity.terms:
            either |= meets(term, nodes)
        mask &= either
    return mask


def meets(term: NodeSelectorTerm, nodes: NodeTable) -> BoolArray:
    """Rows that meet every condition of a term, shape (rows,); a term without conditions is met by none."""
    if not (term.labels or term.fields):
        return np.zeros(nodes.rows, np.bool_)
    mask = np.ones(nodes.rows, np.bool_)
    for requirement in term.labels:
        mask &= nodes.labels.match(requirement)
    for requirement in term.fields:
        mask &= _named(requirement, nodes)
    return mask


def _named(requirement: Requirement, nodes: NodeTable) -> BoolArray:
    """Rows whose node name meets a condition on `metadata.name`: In or NotIn, one name."""
    found = np.zeros(nodes.rows, np.bool_)
    for name in requirement.values:
        row = nodes.row_of.get(name)
        if row is not None:
            found[row] = True
    return found if requirement.operator == "In" else ~found
