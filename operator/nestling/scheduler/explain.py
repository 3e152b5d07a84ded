"""Why a pod found no node: kube-scheduler's sentence, and the same as counts and the nodes that came closest.

Reads the standing of a pod class; the result is the same for every pod of the class until a row changes.
Source: Kubernetes 1.37, pkg/scheduler/framework/types.go (FitError) and schedule_one.go.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestling.api.json import JsonObject
from nestling.scheduler.framework import FilterPlugin
from nestling.scheduler.standing import FilterSlot, Standing

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
    """Why no node would do. `plugins` refused at least one each; `closest` are the few that came nearest."""

    message: str
    nodes: int
    reasons: tuple[tuple[str, int], ...]
    plugins: frozenset[str]
    closest: tuple[NodeRefusal, ...]

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


def explain(standing: Standing) -> Refusal:
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
    for slot, refused in refusals(standing):
        codes, numbers = np.unique(slot.codes[refused], return_counts=True)
        if len(codes):
            plugins.add(slot.plugin.name)
        for code, number in zip(codes.tolist(), numbers.tolist(), strict=True):
            for reason in slot.plugin.reasons(code, pods, nodes):
                counts[reason] += number
    listed = sorted(f"{count} {reason}" for reason, count in counts.items())
    return Refusal(
        sentence(total, ", ".join(listed)),
        total,
        tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0]))),
        frozenset(plugins),
        closest(standing),
    )


def sentence(nodes: int, why: str) -> str:
    """kube-scheduler's sentence, without the half about preemption: nobody has tried any."""
    return _cut(f"0/{nodes} nodes are available: {why}.", LONGEST_MESSAGE)


def note(message: str) -> str:
    """A message as an event may carry it."""
    return _cut(message, LONGEST_NOTE)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - len(_CUT)] + _CUT


def refusals(standing: Standing) -> list[tuple[FilterSlot, NDArray[np.intp]]]:
    """For each filter, the places that it was the first to refuse."""
    found: list[tuple[FilterSlot, NDArray[np.intp]]] = []
    alive = standing.nodes.alive
    left = alive.copy() if standing.only is None else alive[standing.only]
    for slot in standing.filters:
        refused = left & (slot.codes != 0)
        found.append((slot, np.flatnonzero(refused)))
        left &= ~refused
    return found


def refused_nodes(standing: Standing) -> list[NodeRefusal]:
    """Every refused node with what it lacks, by name. Walks the nodes: for questions, not for each pod."""
    found = [
        _refusal(slot.plugin, standing, int(slot.codes[place]), standing.row(int(place)))
        for slot, refused in refusals(standing)
        for place in refused
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


def closest(standing: Standing) -> tuple[NodeRefusal, ...]:
    """The refused nodes that passed the most filters, and of those the ones that lack the fewest things."""
    best: list[NodeRefusal] = []
    for slot, refused in reversed(refusals(standing)):
        codes = slot.codes[refused]
        order = np.argsort(np.bitwise_count(codes), kind="stable")[: CLOSEST - len(best)]
        best += [
            _refusal(slot.plugin, standing, int(codes[place]), standing.row(int(refused[place])))
            for place in order
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
