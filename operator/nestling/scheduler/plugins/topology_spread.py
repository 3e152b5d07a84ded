"""Pods of one sort are spread evenly over the domains of a topology, at most so many more here than there.

The hard half, which refuses nodes; the soft half, a matter of score, is in `spread_score`. For each
constraint the matching pods are counted by domain, over the nodes that the constraint counts at all; a bind
moves one count, and only the domains whose verdict that changes are looked at again.
Source: Kubernetes 1.37, plugins/podtopologyspread (common.go, filtering.go, plugin.go).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from nestling.api.json import JsonObject
from nestling.api.selector import NOTHING
from nestling.scheduler.domains import Domains, union
from nestling.scheduler.framework import ClusterEvent, FilterPlugin, ScorePlugin, Supposition
from nestling.scheduler.peers import Column, Crowd
from nestling.scheduler.plugins.node_affinity import accepted
from nestling.scheduler.plugins.spread_score import Part, Soft
from nestling.scheduler.plugins.taint_toleration import refused
from nestling.scheduler.podclass import PodClass
from nestling.scheduler.podterms import HOSTNAME, ZONE, Audience, SpreadConstraint
from nestling.scheduler.table import Aspect, BoolArray, IntArray, NodeTable, Rows

NO_MATCH: Final = "node(s) didn't match pod topology spread constraints"
NO_LABEL: Final = f"{NO_MATCH} (missing required label)"
_LABEL: Final = 1
_SKEW: Final = 2
_NEVER: Final = 1 << 40  # more pods than there are

SYSTEM_DEFAULTS: Final = (
    SpreadConstraint(3, HOSTNAME, hard=False, selector=NOTHING),
    SpreadConstraint(5, ZONE, hard=False, selector=NOTHING),
)


@dataclass(slots=True)
class Rule:
    """One hard constraint at work. By domain: `present` if it has a node that counts, `bad` if too full."""

    constraint: SpreadConstraint
    namespace: str
    domains: Domains
    counted: BoolArray
    present: NDArray[np.intp]
    own: int  # 1 if the pod itself will count
    bad: BoolArray

    def least(self) -> int:
        """The count of the emptiest domain; 0 as long as there are fewer domains than there should be."""
        if len(self.present) < self.constraint.min_domains:
            return 0
        return int(self.domains.sums[self.present].min())

    def verdicts(self) -> BoolArray:
        """Which domains could not take one more pod, shape (domains + 1,); a missing label has no verdict."""
        bad = self.domains.sums + (self.own - self.least()) > self.constraint.max_skew
        bad[-1] = False
        return bad

    def skewed_if(self, rows: NDArray[np.intp], ids: NDArray[np.int32], suppose: Supposition) -> BoolArray:
        """The verdict of each row's domain under a supposition, shape (rows,)."""
        sums, present = self.domains.sums, self.present
        # Pods on their way out are not counted, but are taken off when thought away: upstream says so.
        more = suppose.sums([self.means(other) for other in suppose.classes]) * self.counted[rows]
        here = sums[ids] + more
        least: IntArray | int = 0
        if len(present) >= self.constraint.min_domains:
            found = sums[present]
            first = int(found.argmin())
            lowest = int(found[first])
            found[first] = _NEVER
            others = np.where(ids == present[first], int(found.min()), lowest)
            least = np.where(self.counted[rows], np.minimum(others, here), lowest)
        return here + self.own - least > self.constraint.max_skew

    def means(self, other: PodClass) -> bool:
        """Whether pods of that class are counted, where they stay."""
        return other.who.namespace == self.namespace and self.constraint.selector.matches(other.who.labels)


class PodTopologySpread(FilterPlugin, ScorePlugin):
    """Refuse nodes whose domain has too many of the pods already; prefer those whose domains have few.

    Pods without constraints of their own get `defaults` over the pods of their services and workload.
    `system` marks the built-in defaults, which do not ask for nodes to have all the labels.
    """

    name: ClassVar[str] = "PodTopologySpread"
    reads: ClassVar[Aspect] = Aspect.USAGE | Aspect.NODE
    row_by_row: ClassVar[bool] = False
    normalizes: ClassVar[bool] = True
    wakes_on: ClassVar[frozenset[ClusterEvent]] = frozenset(
        {
            ClusterEvent.POD_ADD,
            ClusterEvent.POD_UPDATE,
            ClusterEvent.POD_DELETE,
            ClusterEvent.NODE_ADD,
            ClusterEvent.NODE_DELETE,
            ClusterEvent.NODE_LABEL,
            ClusterEvent.NODE_TAINT,
        }
    )

    def __init__(
        self, defaults: Sequence[SpreadConstraint] = SYSTEM_DEFAULTS, *, system: bool = True
    ) -> None:
        self.defaults: Final = tuple(defaults)
        self.system: Final = system

    @classmethod
    def of(cls, args: JsonObject) -> "PodTopologySpread":
        """Build from PodTopologySpreadArgs. Raises ValueError for arguments that make no sense.

        Source: Kubernetes 1.37, apis/config/validation (ValidatePodTopologySpreadArgs) and v1/defaults.go.
        """
        kind = args.get("defaultingType") or ("List" if args.get("defaultConstraints") else "System")
        stated = args.get("defaultConstraints") or []
        if kind == "System":
            if stated:
                raise ValueError("defaultConstraints go with defaultingType List, not System")
            return cls()
        if kind != "List":
            raise ValueError(f"defaultingType is System or List, not {str(kind)[:64]!r}")
        if any(one.get("labelSelector") is not None for one in stated):
            raise ValueError(
                "defaultConstraints state no labelSelector: it comes from services and workloads"
            )
        defaults = [SpreadConstraint.from_json(one) for one in stated]
        if any(one.max_skew <= 0 for one in defaults):
            raise ValueError("maxSkew of defaultConstraints has to be greater than 0")
        return cls(defaults, system=False)

    # -- hard --

    def constraints(self, pods: PodClass, nodes: NodeTable, *, hard: bool) -> list[SpreadConstraint]:
        """The constraints of one sort that hold for a class: its own, or else the defaults."""
        if pods.spread:
            return [one for one in pods.spread if one.hard == hard]
        defaults = [one for one in self.defaults if one.hard == hard]
        if not defaults:
            return []
        kin = nodes.peers.company(pods).kin
        return [one.of(kin) for one in defaults] if kin is not None else []

    def prepare(self, pods: PodClass, nodes: NodeTable) -> list[Rule] | None:
        """Counts and verdicts by domain, one rule for each hard constraint."""
        constraints = self.constraints(pods, nodes, hard=True)
        if not constraints:
            return None
        labelled = complete(constraints, nodes)
        return [_rule(one, pods, nodes, labelled) for one in constraints]

    def filter(self, state: list[Rule], nodes: NodeTable, rows: Rows) -> IntArray:
        """For the first constraint that is not met: 1 where its label is missing, 2 where it is skewed."""
        codes: IntArray | None = None
        for rule in reversed(state):
            ids = rule.domains.ids[rows]
            own = np.where(rule.bad[ids], _SKEW, 0)
            own[ids < 0] = _LABEL
            codes = own if codes is None else np.where(own != 0, own, codes)
        assert codes is not None
        return codes

    def catch_up(
        self, state: list[Rule], nodes: NodeTable, rows: Sequence[int], codes: IntArray
    ) -> NDArray[np.intp] | None:
        """Move the counts, and judge the rows of those domains anew whose verdict is another now."""
        reached: list[NDArray[np.intp]] = []
        for rule in state:
            if rule.domains.catch_up(rows):
                bad = rule.verdicts()
                turned = np.flatnonzero(bad != rule.bad)
                if len(turned):
                    rule.bad = bad
                    reached.append(rule.domains.rows_in(turned.tolist()))
        if not reached:
            return None
        where = union(reached)
        codes[where] = self.filter(state, nodes, where)
        return where

    def filter_if(
        self, state: list[Rule], nodes: NodeTable, rows: NDArray[np.intp], suppose: Supposition
    ) -> IntArray:
        """The same with the supposed pods counted, and the emptiest domain found anew for each row."""
        codes = np.zeros(len(rows), np.int64)
        for rule in reversed(state):
            ids = rule.domains.ids[rows]
            own = np.where(rule.skewed_if(rows, ids, suppose), _SKEW, 0)
            own[ids < 0] = _LABEL
            codes = np.where(own != 0, own, codes)
        return codes

    def resolvable(self, codes: IntArray) -> BoolArray:
        """Where the label is there."""
        return codes == _SKEW

    def reasons(self, code: int, pods: PodClass, nodes: NodeTable) -> tuple[str, ...]:
        """One of the two reasons."""
        return (NO_LABEL if code == _LABEL else NO_MATCH,)

    def helped_by(
        self,
        event: ClusterEvent,
        state: list[Rule],
        nodes: NodeTable,
        rows: Rows,
        others: Iterable[PodClass] = (),
    ) -> bool:
        """A pod that is counted came, changed or went; a node with all the labels came or changed."""
        match event:
            case ClusterEvent.POD_ADD | ClusterEvent.POD_UPDATE | ClusterEvent.POD_DELETE:
                return any(rule.means(other) for rule in state for other in others)
            case ClusterEvent.NODE_ADD | ClusterEvent.NODE_TAINT:
                return bool(np.all([rule.domains.ids[rows] >= 0 for rule in state], axis=0).any())
            case _:  # nobody knows any more which labels a node had before
                return event in self.wakes_on

    # -- soft --

    def prepare_score(self, pods: PodClass, nodes: NodeTable) -> Soft | None:
        """Counts by domain and by node, one part for each soft constraint."""
        constraints = self.constraints(pods, nodes, hard=False)
        if not constraints:
            return None
        # Nodes without a zone can still be spread over by host name, under the built-in defaults alone.
        strict = bool(pods.spread) or not self.system
        labelled = complete(constraints, nodes)
        counted = labelled if strict else nodes.alive
        parts: list[Part] = []
        for one in constraints:
            column = _column(one, pods, nodes)
            if one.topology_key == HOSTNAME:  # policies play no part here, as upstream has it
                host = column if column is not None else Column(nodes.rows)
                parts.append(Part(one.max_skew, Domains(nodes, HOSTNAME, ()), host))
            else:
                rows = counted & allowed(one, pods, nodes)
                parts.append(Part(one.max_skew, Domains(nodes, one.topology_key, _of(column), rows)))
        return Soft(tuple(parts), ~(labelled if strict else nodes.alive))

    def score(self, state: Soft, nodes: NodeTable, rows: Rows) -> IntArray:
        """Nothing yet: what a pod weighs depends on which nodes are feasible."""
        return np.zeros(nodes.rows, np.int64)[rows]

    def catch_up_score(self, state: Soft, nodes: NodeTable, rows: Sequence[int], raw: IntArray) -> bool:
        """Move the counts."""
        return state.catch_up(rows)

    def normalize(self, state: Soft, scores: IntArray, feasible: BoolArray) -> IntArray:
        """100 where the fewest pods are, less the more there are."""
        return state.normal(feasible)

    def flat(self, state: Soft, scores: IntArray) -> bool:
        """Never: a domain weighs less with every domain that turns feasible."""
        return False


def complete(constraints: Iterable[SpreadConstraint], nodes: NodeTable) -> BoolArray:
    """Rows of nodes that have all the labels, shape (rows,)."""
    mask = nodes.alive.copy()
    for key in {one.topology_key for one in constraints}:
        mask &= nodes.labels.ids(key) >= 0
    return mask


def allowed(constraint: SpreadConstraint, pods: PodClass, nodes: NodeTable) -> BoolArray:
    """Rows that the constraint counts, going by its policies for affinity and taints; shape (rows,)."""
    mask = np.ones(nodes.rows, np.bool_)
    if constraint.honor_affinity and (pods.affinity.selector or pods.affinity.terms is not None):
        mask &= accepted(pods.affinity, nodes)
    if constraint.honor_taints:
        verdicts = np.array([not refused(taints, pods) for taints in nodes.taint_sets], np.bool_)
        mask &= verdicts[nodes.taints]
    return mask


def _rule(constraint: SpreadConstraint, pods: PodClass, nodes: NodeTable, labelled: BoolArray) -> Rule:
    counted = labelled & allowed(constraint, pods, nodes)
    domains = Domains(nodes, constraint.topology_key, _of(_column(constraint, pods, nodes)), counted)
    present = np.unique(domains.ids[counted]).astype(np.intp)
    own = int(constraint.selector.matches(pods.who.labels))
    rule = Rule(constraint, pods.who.namespace, domains, counted, present, own, np.zeros(0, np.bool_))
    rule.bad = rule.verdicts()
    return rule


def _column(constraint: SpreadConstraint, pods: PodClass, nodes: NodeTable) -> Column | None:
    """Counts of the pods that the constraint means; None if it means none.

    An empty selector counts nobody, although the pod itself matches it: upstream says so.
    """
    selector = constraint.selector
    if selector.nothing or selector.everything:
        return None
    audience = Audience(selector, frozenset({pods.who.namespace}))
    return nodes.peers.column(Crowd((audience,), staying=True))


def _of(column: Column | None) -> list[tuple[int, Column]]:
    return [(1, column)] if column is not None else []
