"""Where a pod has to leave room for others: the nodes that nominated pods keep it from.

It has to fit there both with the pods nominated there that are at least as important, and without them. The
answer for a node is the same for all pods of a class and priority that are not nominated there themselves; it
is kept until the node or its nominations change.
Source: Kubernetes 1.37, pkg/scheduler/framework/runtime (RunFilterPluginsWithNominatedPods,
addGENominatedPods).
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from nestling.scheduler.explain import NO_OVERLAY, Overlay
from nestling.scheduler.framework import FilterPlugin
from nestling.scheduler.nominator import Nominator
from nestling.scheduler.queue import QueuedPod
from nestling.scheduler.standing import Standing
from nestling.scheduler.table import changed_row
from nestling.scheduler.whatif import PASSES, Tally, refused_with_guests

_REMEMBERED: Final = 16


@dataclass(slots=True)
class _Kept:
    """What is known for one class and priority: who refuses where, and the nodes to look at again."""

    version: int
    refused: dict[int, tuple[FilterPlugin, int]] = field(
        default_factory=dict[int, "tuple[FilterPlugin, int]"]
    )
    stale: set[str] = field(default_factory=set[str])


class Yielding:
    """Overlays by nominations, for one cluster."""

    def __init__(self, nominator: Nominator) -> None:
        self._nominator = nominator
        self._kept: OrderedDict[tuple[bytes, int, int], _Kept] = OrderedDict()
        nominator.listeners.append(self._changed)

    def overlay(self, pod: QueuedPod, standing: Standing) -> Overlay:
        """Rows that nominated pods keep this pod from, with the filter that refuses and its code."""
        if not (len(self._nominator) or self._kept) or standing.rejection is not None:
            return NO_OVERLAY
        kept = self._up_to_date(standing, pod)
        row = standing.nodes.row_of.get(pod.nominated) if pod.nominated else None
        if row is None:
            return kept.refused
        found = {**kept.refused}
        found.pop(row, None)
        self._look(pod, standing, [pod.nominated], found)
        return found

    def _changed(self, node: str) -> None:
        for kept in self._kept.values():
            kept.stale.add(node)

    def _up_to_date(self, standing: Standing, pod: QueuedPod) -> _Kept:
        nodes = standing.nodes
        key = (standing.pods.key, pod.priority, id(standing.profile))
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = _Kept(nodes.version, stale=set(self._nominator.nodes()))
            if len(self._kept) > _REMEMBERED:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
            near = all(slot.plugin.row_by_row for slot in standing.filters)
            changes = nodes.changes_since(kept.version) if near else None
            if changes is None:
                kept.stale.update(self._nominator.nodes())
                kept.refused.clear()
            else:
                for row in {changed_row(change) for change in changes}:
                    kept.refused.pop(row, None)
                    kept.stale.add(nodes.names[row])
        kept.version = nodes.version
        if kept.stale:
            for node in kept.stale:
                row = nodes.row_of.get(node)
                if row is not None:
                    kept.refused.pop(row, None)
            self._look(pod, standing, sorted(kept.stale), kept.refused, anybody=True)
            kept.stale.clear()
        return kept

    def _look(
        self,
        pod: QueuedPod,
        standing: Standing,
        names: list[str],
        refused: dict[int, tuple[FilterPlugin, int]],
        *,
        anybody: bool = False,
    ) -> None:
        """Ask about these nodes: for this pod, or for `anybody` of its class who is not nominated there."""
        nodes = standing.nodes
        yields_to: Callable[[str, QueuedPod], list[QueuedPod]] = (
            (lambda node, one: self._nominator.at_least(node, one.priority))
            if anybody
            else self._nominator.yields_to
        )
        rows: list[int] = []
        guests: list[list[QueuedPod]] = []
        for node in names:
            row = nodes.row_of.get(node)
            if row is None or not nodes.alive[row] or standing.place(row) is None:
                continue
            others = yields_to(node, pod)
            if others:
                rows.append(row)
                guests.append(others)
        if not rows:
            return
        tally = Tally(len(rows), (guest.pods for some in guests for guest in some))
        for place, some in enumerate(guests):
            for guest in some:
                tally.add(place, guest.pods)
        found = refused_with_guests(
            standing, np.array(rows, np.intp), tally.classes, np.zeros_like(tally.counts), tally.counts
        )
        for place, row in enumerate(rows):
            if found.which[place] != PASSES:
                refused[row] = (found.plugin(place), int(found.codes[place]))
