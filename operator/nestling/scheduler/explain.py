"""Why a pod found no node: kube-scheduler's sentence, and the same as counts and the nodes that came closest.

Reads the standing of a pod class; the result is the same for every pod of the class until a row changes.
Source: Kubernetes 1.37, pkg/scheduler/framework/types.go (FitError) and schedule_one.go.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nestling.api.json import JsonObject
from nestling.scheduler.framework import FilterPlugin
from nestling.scheduler.standing import Standing
from nestling.scheduler.table import IntArray

NO_NODES: Final = "no nodes available to schedule pods"
CLOSEST: Final = 5
LONGEST_NOTE: Final = 1024  # characters of an event's message
# What the schema of a pod's status takes; a pod may ask for a thousand resources that nobody has.
LONGEST_MESSAGE: Final = 32768
MOST_REASONS: Final = 64
MOST_LACKS: Final = 32
_CUT: Final = " ..."


class NodeRefusal(NamedTuple):
    """Why one node was refused: the first plugin that did, and its reasons."""

    node: str
    plugin: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no node would do. `plugins` refused at least one each; `closest` are the few that came nearest.

    `refused` says it place by place, for whoever looks for a way out.
    """

    message: str
    nodes: int
    reasons: tuple[tuple[str, int], ...]
    plugins: frozenset[str]
    closest: tuple[NodeRefusal, ...]
    refused: tuple["Refused", ...] = field(default=(), compare=False, repr=False)

    def and_then(self, preemption: str) -> "Refusal":
        """The same with what preemption came to, as kube-scheduler appends it."""
        return replace(self, message=cut(f"{self.message} preemption: {preemption}", LONGEST_MESSAGE))

    def to_json(self, attempts: int) -> JsonObject:
        """The refusal as `status.scheduling`."""
        return {
            "attempts": attempts,
            "nodes": self.nodes,
            "feasible": 0,
            "message": self.message,
            "reasons": [{"reason": reason, "count": count} for reason, count in self.reasons[:MOST_REASONS]],
            "best": [{"node": one.node, "reasons": list(one.reasons[:MOST_LACKS])} for one in self.closest],
        }


Overlay: TypeAlias = Mapping[int, tuple[FilterPlugin, int]]
"""Rows that are judged by something besides the standing, with who refuses and the code: pods nominated
there, or an extender."""
NO_OVERLAY: Final[Overlay] = {}


def explain(standing: Standing, overlay: Overlay = NO_OVERLAY) -> Refusal:
    """Why this class may go nowhere. The caller knows that no row is feasible."""
    total = standing.nodes.count
    if total == 0:
        return Refusal(NO_NODES, 0, (), frozenset(), ())
    if standing.rejection is not None:
        plugin, rejection = standing.rejection
        return Refusal(
            sentence(total, rejection.message),
            total,
            ((rejection.message, total),),
            frozenset({plugin.name}),
            (),
        )
    counts: Counter[str] = Counter()
    plugins: set[str] = set()
    if standing.only is not None:
        plugins.update(standing.narrowed_by)
        absent = total - len(standing.only)
        if absent:
            counts[_elsewhere(standing)] += absent
    pods, nodes = standing.pods, standing.nodes
    refused = refusals(standing, overlay)
    for one in refused:
        codes, numbers = np.unique(one.codes, return_counts=True)
        if len(codes):
            plugins.add(one.plugin.name)
        for code, number in zip(codes.tolist(), numbers.tolist(), strict=True):
            for reason in one.plugin.reasons(code, pods, nodes):
                counts[reason] += number
    return Refusal(
        sentence(total, histogram(counts)),
        total,
        tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0]))),
        frozenset(plugins),
        closest(standing, refused),
        tuple(refused),
    )


def histogram(counts: Mapping[str, int]) -> str:
    """Reasons with their numbers, in kube-scheduler's order: that of the texts, so 10 comes before 9."""
    return ", ".join(sorted(f"{count} {reason}" for reason, count in counts.items()))


def sentence(nodes: int, why: str) -> str:
    """kube-scheduler's sentence, up to what preemption has to add."""
    return cut(f"0/{nodes} nodes are available:{f' {why}.' if why else ''}", LONGEST_MESSAGE)


def note(message: str) -> str:
    """A message as an event may carry it."""
    return cut(message, LONGEST_NOTE)


def cut(text: str, longest: int) -> str:
    """A text of at most so many characters; what is left out is marked."""
    return text if len(text) <= longest else text[: longest - len(_CUT)] + _CUT


class Refused(NamedTuple):
    """The places that one filter was the first to refuse, and its code for each."""

    plugin: FilterPlugin
    places: NDArray[np.intp]
    codes: IntArray


def refusals(standing: Standing, overlay: Overlay = NO_OVERLAY) -> list[Refused]:
    """For each filter, the places that it was the first to refuse; an overlay has the last word on its
    rows."""
    found: list[Refused] = []
    alive = standing.nodes.alive
    left = alive.copy() if standing.only is None else alive[standing.only]
    others: dict[FilterPlugin, tuple[list[int], list[int]]] = {}
    whole = standing.only is None  # then rows are places
    for row, (plugin, code) in overlay.items():
        place = row if whole else standing.place(row)
        if place is not None:
            places, codes = others.setdefault(plugin, ([], []))
            places.append(place)
            codes.append(code)
            left[place] = False
    for slot in standing.filters:
        refused = left & (slot.codes != 0)
        at = np.flatnonzero(refused)
        found.append(Refused(slot.plugin, at, slot.codes[at]))
        left &= ~refused
    for plugin, (listed, said) in others.items():
        found.append(Refused(plugin, np.array(listed, np.intp), np.array(said, np.int64)))
    return found


def refused_nodes(standing: Standing, overlay: Overlay = NO_OVERLAY) -> list[NodeRefusal]:
    """Every refused node with what it lacks, by name. Walks the nodes: for questions, not for each pod."""
    found = [
        _refusal(one.plugin, standing, code, standing.row(place))
        for one in refusals(standing, overlay)
        for place, code in zip(one.places.tolist(), one.codes.tolist(), strict=True)
    ]
    names = {one.node for one in found}
    if standing.only is not None or standing.rejection is not None:
        plugin, why = _for_the_rest(standing)
        rows = np.flatnonzero(standing.nodes.alive)
        candidates = (
            set(standing.only.tolist())
            if standing.only is not None and not standing.rejection
            else set[int]()
        )
        found += [
            NodeRefusal(standing.nodes.names[row], plugin, (why,))
            for row in rows.tolist()
            if row not in candidates and standing.nodes.names[row] not in names
        ]
    return sorted(found)


def closest(standing: Standing, refused: Sequence[Refused]) -> tuple[NodeRefusal, ...]:
    """The refused nodes that passed the most filters, and of those the ones that lack the fewest things."""
    best: list[NodeRefusal] = []
    for one in reversed(refused):
        order = np.argsort(np.bitwise_count(one.codes), kind="stable")[: CLOSEST - len(best)]
        best += [
            _refusal(one.plugin, standing, int(one.codes[at]), standing.row(int(one.places[at])))
            for at in order
        ]
        if len(best) == CLOSEST:
            break
    return tuple(best)


def _refusal(plugin: FilterPlugin, standing: Standing, code: int, row: int) -> NodeRefusal:
    nodes = standing.nodes
    return NodeRefusal(nodes.names[row], plugin.name, plugin.lacks(code, standing.pods, nodes, row))


def _for_the_rest(standing: Standing) -> tuple[str, str]:
    if standing.rejection is not None:
        plugin, rejection = standing.rejection
        return plugin.name, rejection.message
    return ",".join(standing.narrowed_by), _elsewhere(standing)


def _elsewhere(standing: Standing) -> str:
    """kube-scheduler's words for nodes that are none of those that plugins insist on."""
    return f"node(s) didn't satisfy plugin(s) [{' '.join(standing.narrowed_by)}]"
