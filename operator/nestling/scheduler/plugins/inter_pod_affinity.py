"""Pods want to be near some pods and far from others, and the pods that are there have a say in it too.

All of it is counts by topology domain (`domains`): of pods that the newcomer's terms mean, and of pods that
hold a term which means the newcomer. A bind moves one count; only the domains where that makes the first pod
of its sort or takes away the last can change a verdict.
Source: Kubernetes 1.37, plugins/interpodaffinity (filtering.go, scoring.go, plugin.go).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from nestling.api.json import JsonObject
from nestling.scheduler.domains import Domains, union
from nestling.scheduler.framework import TOP_SCORE, ClusterEvent, FilterPlugin, ScorePlugin, Supposition
from nestling.scheduler.peers import Column, Crowd, NamespaceLabels
from nestling.scheduler.podclass import PodClass
from nestling.scheduler.podterms import AffinityTerm
from nestling.scheduler.table import Aspect, BoolArray, IntArray, NodeTable, Rows

NOT_NEAR: Final = "node(s) didn't match pod affinity rules"
NOT_FAR: Final = "node(s) didn't match pod anti-affinity rules"
KEPT_FAR: Final = "node(s) didn't satisfy existing pods anti-affinity rules"
_REASONS: Final = ("", NOT_NEAR, NOT_FAR, KEPT_FAR)
_NEAR: Final = 1
_FAR: Final = 2
_KEPT: Final = 3
_WIDEST: Final = 1 << 16  # of raw scores that a look-up table is made for
HARD_WEIGHT: Final = 1


@dataclass(slots=True)
class Terms:
    """The required terms at work. By topology key, how many pods there are that matter in each domain.

    `near`: pods that all affinity terms mean; `alone` says that no such pod is anywhere, and then
    `own` (the pod is one itself) will do. `far`: pods that an anti-affinity term means; `kept`: pods that
    hold one which means the newcomer.
    """

    pods: PodClass
    namespaces: NamespaceLabels
    near: tuple[Domains, ...]
    far: tuple[Domains, ...]
    kept: tuple[Domains, ...]
    own: bool
    alone: bool

    def lonely(self) -> bool:
        """Whether no domain of any affinity term has a pod that all of them mean."""
        return not any(domains.sums.any() for domains in self.near)


class InterPodAffinity(FilterPlugin, ScorePlugin):
    """Refuse nodes by required pod affinity and anti-affinity, of the pod and of those there; score by the
    preferred ones, and by required affinity of those there times `hard_weight`.
    """

    name: ClassVar[str] = "InterPodAffinity"
    reads: ClassVar[Aspect] = Aspect.USAGE | Aspect.NODE
    row_by_row: ClassVar[bool] = False
    normalizes: ClassVar[bool] = True
    wakes_on: ClassVar[frozenset[ClusterEvent]] = frozenset(
        {
            ClusterEvent.POD_ADD,
            ClusterEvent.POD_UPDATE,
            ClusterEvent.POD_DELETE,
            ClusterEvent.NODE_ADD,
            ClusterEvent.NODE_LABEL,
        }
    )

    def __init__(self, hard_weight: int = HARD_WEIGHT, *, ignore_preferred_of_others: bool = False) -> None:
        self.hard_weight: Final = hard_weight
        self.ignore_preferred_of_others: Final = ignore_preferred_of_others

    @classmethod
    def of(cls, args: JsonObject) -> "InterPodAffinity":
        """Build from InterPodAffinityArgs. Raises ValueError for a weight out of range."""
        weight = args.get("hardPodAffinityWeight", HARD_WEIGHT)
        if isinstance(weight, bool) or not isinstance(weight, int) or not 0 <= weight <= 100:
            raise ValueError(f"hardPodAffinityWeight is 0 to 100, not {str(weight)[:64]!r}")
        return cls(weight, ignore_preferred_of_others=args.get("ignorePreferredTermsOfExistingPods") is True)

    # -- required --

    def prepare(self, pods: PodClass, nodes: NodeTable) -> Terms | None:
        """Counts by domain, if the pod has required terms or somebody holds one against it."""
        near, peers = pods.near, nodes.peers
        against = peers.company(pods).anti
        if not (near.required or near.anti or against):
            return None
        all_near = [(1, peers.column(_crowd(*near.required)))] if near.required else []
        far: dict[str, list[tuple[int, Column]]] = {}
        for term in near.anti:
            far.setdefault(term.topology_key, []).append((1, peers.column(_crowd(term))))
        kept: dict[str, list[tuple[int, Column]]] = {}
        for key, column in against:
            kept.setdefault(key, []).append((1, column))
        terms = Terms(
            pods,
            peers.namespaces,
            tuple(Domains(nodes, key, all_near) for key in _keys(near.required)),
            tuple(Domains(nodes, key, columns) for key, columns in far.items()),
            tuple(Domains(nodes, key, columns) for key, columns in kept.items()),
            means_all(near.required, pods, peers.namespaces),
            alone=False,
        )
        terms.alone = terms.lonely()
        return terms

    def filter(self, state: Terms, nodes: NodeTable, rows: Rows) -> IntArray:
        """1 where affinity is not met, else 2 where anti-affinity is not, else 3 where others' is not."""
        count = len(nodes.alive[rows])
        far = [domains.by_row(rows) > 0 for domains in state.far]
        kept = [domains.by_row(rows) > 0 for domains in state.kept]
        there = [domains.by_row(rows) > 0 for domains in state.near]
        labelled = [domains.ids[rows] >= 0 for domains in state.near]
        return _codes(count, there, labelled, far, kept, alone=state.alone and state.own)

    def filter_row(self, state: Terms, nodes: NodeTable, row: int) -> int:
        """The same for one row in plain numbers."""
        met = True
        for domains in state.near:
            home = domains.ids.item(row)
            if home < 0:
                return _NEAR
            met &= domains.sums.item(home) > 0
        if not met and not (state.alone and state.own):
            return _NEAR
        for domains in state.far:
            if domains.sums.item(domains.ids.item(row)) > 0:
                return _FAR
        for domains in state.kept:
            if domains.sums.item(domains.ids.item(row)) > 0:
                return _KEPT
        return 0

    def catch_up(
        self, state: Terms, nodes: NodeTable, rows: Sequence[int], codes: IntArray
    ) -> NDArray[np.intp] | None:
        """Move the counts; judge the rows of those domains anew that got their first or lost their last."""
        reached: list[NDArray[np.intp]] = []
        met = False
        for domains in (*state.near, *state.far, *state.kept):
            sums = domains.sums
            turned = [
                domain for domain, before in domains.catch_up(rows) if (before > 0) != (sums.item(domain) > 0)
            ]
            if turned:
                met = True
                reached.append(domains.rows_in(turned))
        if not met:
            return None
        if state.near:
            alone = state.lonely()
            if alone != state.alone:
                state.alone = alone
                codes[:] = self.filter(state, nodes, slice(None))
                return np.arange(len(codes))
        where = union(reached)
        if len(where) == 1:
            row = where.item(0)
            codes[row] = self.filter_row(state, nodes, row)
        else:
            codes[where] = self.filter(state, nodes, where)
        return where

    def filter_if(
        self, state: Terms, nodes: NodeTable, rows: NDArray[np.intp], suppose: Supposition
    ) -> IntArray:
        """The same with the supposed pods counted."""
        pods, namespaces = state.pods, state.namespaces
        if not (pods.near.required or pods.near.anti or any(one.sums.any() for one in state.kept)):
            return np.zeros(len(rows), np.int64)  # upstream has nothing to add to, and so looks at nobody
        others = suppose.classes
        near = suppose.sums([means_all(pods.near.required, other, namespaces) for other in others])

        def counted(domains: Domains, more: IntArray) -> BoolArray:
            ids = domains.ids[rows]
            return (domains.sums[ids] + more > 0) & (ids >= 0)

        def holding(key: str, other: PodClass) -> int:
            return sum(
                term.topology_key == key and term.audience.includes(pods.who, namespaces)
                for term in other.near.anti
            )

        def meant(key: str, other: PodClass) -> int:
            return sum(
                term.topology_key == key and term.audience.includes(other.who, namespaces)
                for term in pods.near.anti
            )

        far = [
            counted(domains, suppose.sums([meant(domains.key, other) for other in others]))
            for domains in state.far
        ]
        kept = [
            counted(domains, suppose.sums([holding(domains.key, other) for other in others]))
            for domains in state.kept
        ]
        # Terms that nobody on a node holds yet, but somebody supposed does.
        known = {domains.key for domains in state.kept}
        for key in {term.topology_key for other in others for term in other.near.anti} - known:
            more = suppose.sums([holding(key, other) for other in others])
            if more.any():
                kept.append((more > 0) & (nodes.labels.ids(key)[rows] >= 0))
        there = [counted(domains, near) for domains in state.near]
        labelled = [domains.ids[rows] >= 0 for domains in state.near]
        everywhere = sum(int(domains.sums.sum()) for domains in state.near)
        here = near * sum(mask.astype(np.int64) for mask in labelled) if labelled else near
        alone = (everywhere + here == 0) & state.own
        return _codes(len(rows), there, labelled, far, kept, alone=alone)

    def resolvable(self, codes: IntArray) -> BoolArray:
        """Where somebody is in the way, not where somebody is missing."""
        return codes != _NEAR

    def reasons(self, code: int, pods: PodClass, nodes: NodeTable) -> tuple[str, ...]:
        """One of the three reasons."""
        return (_REASONS[code],)

    def helped_by(
        self,
        event: ClusterEvent,
        state: Terms,
        nodes: NodeTable,
        rows: Rows,
        others: Iterable[PodClass] = (),
    ) -> bool:
        """A pod that is wanted came, one that is in the way went, or a node that may have the label came."""
        pods, namespaces = state.pods, state.namespaces
        required, anti = pods.near.required, pods.near.anti
        match event:
            case ClusterEvent.POD_ADD:
                return any(means_all(required, other, namespaces) for other in others)
            case ClusterEvent.POD_DELETE:
                return any(
                    _means_any(anti, other, namespaces) or _means_any(other.near.anti, pods, namespaces)
                    for other in others
                )
            case ClusterEvent.POD_UPDATE:
                return any(
                    means_all(required, other, namespaces) or _means_any(anti, other, namespaces)
                    for other in others
                )
            case ClusterEvent.NODE_ADD:
                return bool(anti) or any((domains.ids[rows] >= 0).any() for domains in state.near)
            case _:
                return event in self.wakes_on

    # -- preferred --

    def prepare_score(self, pods: PodClass, nodes: NodeTable) -> tuple[Domains, ...] | None:
        """Weights by domain, one for each topology key that anybody's terms name."""
        near, peers = pods.near, nodes.peers
        if self.ignore_preferred_of_others and not near.preferred:
            return None
        columns: dict[str, list[tuple[int, Column]]] = {}
        for weight, term in near.preferred:
            columns.setdefault(term.topology_key, []).append((weight, peers.column(_crowd(term))))
        company = peers.company(pods)
        if self.hard_weight:
            for key, column in company.required:
                columns.setdefault(key, []).append((self.hard_weight, column))
        for weight, key, column in company.preferred:
            columns.setdefault(key, []).append((weight, column))
        return tuple(Domains(nodes, key, found) for key, found in columns.items()) or None

    def score(self, state: tuple[Domains, ...], nodes: NodeTable, rows: Rows) -> IntArray:
        """The sum of the weights of the row's domains, below 0 where it is kept away."""
        total = state[0].by_row(rows)
        for domains in state[1:]:
            total = total + domains.by_row(rows)
        return total

    def catch_up_score(
        self, state: tuple[Domains, ...], nodes: NodeTable, rows: Sequence[int], raw: IntArray
    ) -> bool:
        """Move the weights, and score the rows of the domains that this changes."""
        moved = False
        for domains in state:
            changed = [
                (domain, domains.sums.item(domain) - before) for domain, before in domains.catch_up(rows)
            ]
            for domain, delta in changed:
                if delta:
                    raw[domains.rows_in((domain,))] += delta
                    moved = True
        return moved

    def normalize(self, state: tuple[Domains, ...], scores: IntArray, feasible: BoolArray) -> IntArray:
        """From 0 for the lowest feasible sum to 100 for the highest; 0 for all if they are one."""
        least = int(scores.min(initial=np.iinfo(np.int64).max, where=feasible))
        most = int(scores.max(initial=np.iinfo(np.int64).min, where=feasible))
        span = most - least
        if span <= 0:
            return np.zeros_like(scores)
        if span < _WIDEST:
            return np.take(_shares(np.arange(span + 1), span), scores - least, mode="clip")
        return _shares(np.clip(scores - least, 0, span), span)


def means_all(terms: Sequence[AffinityTerm], other: PodClass, namespaces: NamespaceLabels) -> bool:
    """Whether there are terms and all of them mean pods of that class."""
    return bool(terms) and all(term.audience.includes(other.who, namespaces) for term in terms)


def _means_any(terms: Sequence[AffinityTerm], other: PodClass, namespaces: NamespaceLabels) -> bool:
    return any(term.audience.includes(other.who, namespaces) for term in terms)


def _crowd(*terms: AffinityTerm) -> Crowd:
    return Crowd(tuple(term.audience for term in terms))


def _keys(terms: Iterable[AffinityTerm]) -> list[str]:
    return list(dict.fromkeys(term.topology_key for term in terms))


def _shares(sums: IntArray, span: int) -> IntArray:
    """The original's arithmetic on floats, cut down to whole numbers."""
    return (TOP_SCORE * (sums / span)).astype(np.int64)


def _codes(
    count: int,
    there: Sequence[BoolArray],
    labelled: Sequence[BoolArray],
    far: Sequence[BoolArray],
    kept: Sequence[BoolArray],
    *,
    alone: BoolArray | bool,
) -> IntArray:
    codes = np.zeros(count, np.int64)
    for mask in kept:
        codes[mask] = _KEPT
    for mask in far:
        codes[mask] = _FAR
    if there:
        met = np.logical_and.reduce(there) | alone
        codes[~(met & np.logical_and.reduce(labelled))] = _NEAR
    return codes
