"""What happened in one cluster since somebody was refused, and whom that could help: the queueing hints.

Events gather until the next decision; then the plugins that refused pods are asked, once per class and
profile, whether what happened could have changed their mind.
Source: Kubernetes 1.37, pkg/scheduler/backend/queue/scheduling_queue.go (isPodWorthRequeuing) and the
EventsToRegister of the plugins.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from nestling.scheduler.engine import Scheduler
from nestling.scheduler.framework import ClusterEvent, Rejection
from nestling.scheduler.metrics import Recorder
from nestling.scheduler.podclass import PodClass
from nestling.scheduler.queue import Place, QueuedPod, SchedulingQueue
from nestling.scheduler.residents import Residents
from nestling.scheduler.table import ALL

EXTENDER: Final = "Extender"  # who refuses where an extender does: any event may change its mind


class Hints:
    """Events of one cluster that no refused pod has been asked about yet. `noted` counts all there ever
    were."""

    def __init__(
        self,
        cluster: str,
        queue: SchedulingQueue,
        engines: Mapping[str, Scheduler],
        residents: Residents,
        recorder: Recorder,
    ) -> None:
        self.noted = 0
        self._cluster = cluster
        self._queue = queue
        self._engines = engines
        self._residents = residents
        self._recorder = recorder
        self._nodes: dict[ClusterEvent, dict[str, None]] = {}
        self._others: dict[ClusterEvent, dict[PodClass, None]] = {}

    @property
    def due(self) -> bool:
        """Whether somebody may have to be woken."""
        return bool(self._nodes) and self._queue.count[Place.UNSCHEDULABLE] > 0

    def note(self, event: ClusterEvent, node: str, *pods: PodClass) -> None:
        """Something happened on a node, to pods of these classes if it is about pods."""
        self.noted += 1
        if self._queue.count[Place.UNSCHEDULABLE]:
            self._nodes.setdefault(event, {})[node] = None
            self._others.setdefault(event, {}).update(dict.fromkeys(pods))

    def wake(self, now: float) -> None:
        """Wake the refused pods that what happened could help."""
        if not self._nodes:
            return
        events, self._nodes = self._nodes, {}
        others, self._others = self._others, {}
        cause = next(iter(events)).value
        for profile, pods, group in self._queue.groups():
            engine = self._engines.get(profile)
            if engine is None:
                continue
            suspects = {name for pod in group for name in pod.plugins}
            helped = {
                name
                for event, nodes in events.items()
                for name in self._helped(engine, event, nodes, others[event], pods, suspects)
            }
            touched = self._touched(engine, events, pods, suspects)
            for pod in group:
                if (
                    pod.plugins & helped
                    or (not pod.plugins and ClusterEvent.NODE_ADD in events)
                    or self._could_preempt(pod, touched)
                ):
                    self._queue.wake(pod, now)
                    self._recorder.queued(self._cluster, pod.place.value, cause)

    def changed_its_chances(self, pod: QueuedPod) -> bool:
        """Whether a change of the pod itself could please one of the plugins that refused it."""
        engine = self._engines.get(pod.profile)
        if engine is None or not pod.plugins or EXTENDER in pod.plugins:
            return True
        for name in pod.plugins:
            plugin = engine.profile.by_name.get(name)
            if plugin is None:
                continue
            state = plugin.prepare(pod.pods, engine.nodes)
            if isinstance(state, Rejection):
                continue
            if state is None or bool((plugin.filter(state, engine.nodes, ALL) == 0).any()):
                return True
        return False

    def _touched(
        self,
        engine: Scheduler,
        events: Mapping[ClusterEvent, Mapping[str, None]],
        pods: PodClass,
        suspects: set[str],
    ) -> list[str]:
        """Nodes of events that the refusing plugins care about: there, fewer pods may have to go by now."""
        if not engine.profile.preempts:
            return []
        cares = {
            event
            for name in suspects
            if (plugin := engine.profile.by_name.get(name)) is not None
            for event in plugin.wakes_on
        }
        only = engine.profile.only(pods)
        nodes = dict.fromkeys(node for event in events if event in cares for node in events[event])
        return [node for node in nodes if only is None or node in only]

    def _could_preempt(self, pod: QueuedPod, touched: list[str]) -> bool:
        """Whether making room has become worth another look: something happened where lesser pods are.

        Not while room is being made already: whoever goes next will tell.
        """
        if not pod.preempts:
            return False
        for node in touched:
            below = self._residents.below(node, pod.priority)
            if below and not (
                node == pod.nominated and any(resident.going_by_preemption for resident in below)
            ):
                return True
        return False

    def _helped(
        self,
        engine: Scheduler,
        event: ClusterEvent,
        names: Mapping[str, None],
        others: Mapping[PodClass, None],
        pods: PodClass,
        suspects: set[str],
    ) -> set[str]:
        nodes, profile = engine.nodes, engine.profile
        only = profile.only(pods)
        near = names if only is None else only & names.keys()
        rows = np.array([nodes.row_of[name] for name in near if name in nodes.row_of], np.intp)
        helped = {EXTENDER} if EXTENDER in suspects else set[str]()
        for name in suspects:
            plugin = profile.by_name.get(name)
            other = profile.others.get(name)
            if other is not None and event in other.wakes_on:
                helped.add(name)
            if plugin is None or event not in plugin.wakes_on or (plugin.row_by_row and not len(rows)):
                continue
            state = plugin.prepare(pods, nodes)
            if isinstance(state, Rejection):
                continue
            if state is None or plugin.helped_by(event, state, nodes, rows, others):
                helped.add(name)
        return helped
