"""One virtual cluster as the scheduler sees it: nodes, pods on them, pods that wait, and plans in flight.

Takes changes of pods and nodes, gives one plan per pod that it decided about. A pod counts on its node from
the decision on; until its bound version is seen this is an assumption, taken back when the bind fails. The
truth is what the host says: a pod seen on another node than assumed moves there.
Source: Kubernetes 1.37, pkg/scheduler/eventhandlers.go, schedule_one.go and backend/cache.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import structlog

from nestling.api.json import JsonObject
from nestling.api.kinds import Uid
from nestling.machinery.controller import Outcome
from nestling.machinery.errors import Conflict
from nestling.machinery.names import Key
from nestling.machinery.plan import Plan
from nestling.machinery.records.node import Node
from nestling.machinery.records.pod import Pod
from nestling.scheduler import plans
from nestling.scheduler.engine import Decision, PendingPod, Scheduler
from nestling.scheduler.framework import ClusterEvent, Rejection
from nestling.scheduler.metrics import Recorder
from nestling.scheduler.nodes import facts_of, what_changed
from nestling.scheduler.podclass import PodClass
from nestling.scheduler.priority import PriorityClasses
from nestling.scheduler.queue import Flight, Place, QueuedPod, SchedulingQueue

log = structlog.get_logger(__name__)

# A bind that succeeded shows up at once, as the answer of the write. This long after, something is wrong:
# look again.
CONFIRMED_WITHIN_S: Final = 30.0
MALFORMED: Final = frozenset({"malformed"})


@dataclass(slots=True)
class Placed:
    """A pod counted on a node; `assumed` until the host has said so."""

    uid: str
    node: str
    pods: PodClass
    generation: int
    assumed: bool


class Lane:
    """The scheduling of one cluster. Times are seconds since 1970; `timer` measures how long things take."""

    def __init__(
        self, cluster: str, engine: Scheduler, recorder: Recorder, timer: Callable[[], float]
    ) -> None:
        self.cluster = cluster
        self.engine = engine
        self.queue = SchedulingQueue()
        self.priorities = PriorityClasses()
        self.waiting: dict[Key, QueuedPod] = {}
        self.placed: dict[Key, Placed] = {}
        self._recorder = recorder
        self._timer = timer
        self._events: dict[ClusterEvent, dict[str, None]] = {}
        self._others: dict[ClusterEvent, dict[PodClass, None]] = {}
        self._untold: deque[QueuedPod] = deque()

    @property
    def empty(self) -> bool:
        """Whether nothing is known of this cluster."""
        return not (self.waiting or self.placed or self.engine.nodes.count or self.priorities.own)

    # -- what changes --

    def node_changed(self, old: Node | None, new: Node | None) -> None:
        """A node came, changed or went."""
        nodes = self.engine.nodes
        if new is None:
            if old is not None and nodes.remove_node(old.key.name) is not None:
                self._happened(ClusterEvent.NODE_DELETE, old.key.name)
            return
        facts = facts_of(new)
        if facts is None:  # its kubelet has not registered it (or a re-created one has not yet)
            if nodes.remove_node(new.key.name) is not None:
                self._happened(ClusterEvent.NODE_DELETE, new.key.name)
            return
        before = nodes.facts(facts.name)
        if before == facts:
            return
        nodes.put_node(facts)
        for event in what_changed(before, facts):
            self._happened(event, facts.name)

    def pod_changed(self, key: Key, new: Pod | None, now: float) -> None:
        """A pod came, changed, finished or went."""
        placed, waiting = self.placed.get(key), self.waiting.get(key)
        alive = new is not None and not new.terminal
        if placed is not None and (new is None or not alive or placed.uid != new.uid):
            self._leave(key)
        if waiting is not None and (new is None or not alive or waiting.record.uid != new.uid):
            self._drop(waiting)
        if new is None or not alive:
            return
        if new.node_name:
            self._bound(new, now)
        else:
            self._pending(new, now)

    def priority_class_changed(self, name: str, body: JsonObject | None, now: float) -> None:
        """A priority class came, changed or went; pods that wait by its name get their priority anew."""
        if body is None:
            self.priorities.drop(name)
        else:
            self.priorities.put(name, body)
        for pod in list(self.waiting.values()):
            if pod.priority_class == name:
                priority = self.priorities.of(pod.record.body.get("spec") or {})
                pod.sets_priority = priority.unwritten
                if pod.priority != priority.value:
                    pod.priority = priority.value
                    if pod.place is Place.ACTIVE:
                        self.queue.activate(pod, now)

    # -- what to do --

    def try_one(self, now: float) -> tuple[bool, Plan | None]:
        """Try one pod: whether there was one to try, and the plan for it, if anything is to be written."""
        if self._events:
            self._wake(now)
        while self._untold:
            pod = self._untold.popleft()
            if pod.place is not Place.GATED or self.waiting.get(pod.key) is not pod:
                continue
            if pod.flight is not Flight.NONE:
                pod.again = True
                continue
            pod.said = (plans.GATED, plans.GATED_MESSAGE)
            return True, self._tell(pod, plans.tell_gated(pod, now))
        pod = self.queue.pop(now)
        if pod is None:
            return False, None
        if pod.flight is not Flight.NONE:
            pod.again = True
            return True, None
        if pod.record.gated:  # it was put off because it could not be told
            self._enqueue(pod, now, "UnscheduledPodUpdate")
            return True, None
        self._leave(pod.key)  # an assumption whose bind had no clear answer
        pod.attempts += 1
        pod.started_at = now
        started = self._timer()
        decision = self._decide(pod)
        took_s = self._timer() - started
        if decision.node:
            return True, self._assume(pod, decision, took_s)
        return True, self._turn_away(pod, decision, took_s, now)

    def settle(self, key: Key, uid: Uid, outcome: Outcome, now: float) -> None:
        """Learn how the plan about the pod of this UID went."""
        pod = self.waiting.get(key)
        if pod is None or pod.record.uid != uid or pod.flight is Flight.NONE:
            return  # bound and seen, gone, or re-created before the answer
        flight, pod.flight = pod.flight, Flight.NONE
        again, pod.again = pod.again, False
        if outcome.ok:
            if flight is Flight.BIND:
                self._scheduled(pod, now)  # and look again, should its bound version not show up
                self.queue.put_off(pod, now + CONFIRMED_WITHIN_S)
            elif again and pod.place in {Place.NOWHERE, Place.GATED}:
                self._enqueue(pod, now, "UnscheduledPodUpdate")
            return
        error = outcome.error
        assert error is not None
        if flight is Flight.TELL:
            pod.said = None
        else:
            self._recorder.attempted(self.cluster, "error", now - pod.started_at, pod.algorithm_s)
        if 400 <= error.status < 500 or pod.record.deleting:
            # Without a clear answer it stays assumed until its next turn: the bind may have happened.
            self._leave(key)
        if pod.record.deleting:
            self._drop(pod)
        elif isinstance(error, Conflict) and pod.record.version > pod.decided_on:
            self._enqueue(pod, now, "BindConflict")  # the version that was in the way is here: decide on it
        else:
            pod.outdated = isinstance(error, Conflict)
            self.queue.fail(pod, now)

    def wake_at(self) -> float | None:
        """When `try_one` may have something to do: 0 for at once."""
        if self._untold or (self._events and self.queue.count[Place.UNSCHEDULABLE]):
            return 0.0
        return self.queue.wake_at()

    # -- pods --

    def _bound(self, new: Pod, now: float) -> None:
        waiting = self.waiting.get(new.key)
        placed = self.placed.get(new.key)
        if placed is not None and placed.node == new.node_name:
            if placed.assumed:
                placed.assumed = False
                placed.generation = new.generation
            elif (
                placed.generation != new.generation
                or placed.pods.who.labels != new.labels
                or placed.pods.who.leaving != new.deleting
            ):
                self._updated(placed, new)
        else:
            if placed is not None:
                self._leave(new.key)
            pods = self._class_of(new, bound=True)
            self._count(new.key, Placed(new.uid, new.node_name, pods, new.generation, assumed=False))
            self._happened(ClusterEvent.POD_ADD, new.node_name, pods)
        if waiting is not None:
            if waiting.flight is Flight.BIND:
                self._scheduled(waiting, now)
            self._drop(waiting)

    def _updated(self, placed: Placed, new: Pod) -> None:
        """A pod on a node was resized, got other labels, or is on its way out."""
        placed.generation = new.generation
        before, pods = placed.pods, self._class_of(new, bound=True)
        if pods.key != before.key:
            self.engine.nodes.remove_pod(placed.node, before)
            self.engine.nodes.add_pod(placed.node, pods)
            placed.pods = pods
            self._happened(ClusterEvent.POD_UPDATE, placed.node, before, pods)

    def _class_of(self, pod: Pod, *, bound: bool = False) -> PodClass:
        body = pod.body
        return self.engine.classes.of(
            body.get("spec") or {}, meta=body["metadata"], namespace=pod.key.namespace, bound=bound
        )

    def _pending(self, new: Pod, now: float) -> None:
        waiting = self.waiting.get(new.key)
        before = waiting.record if waiting is not None else None
        if waiting is not None:
            waiting.record = new
        if new.deleting or new.scheduler_name != self.engine.profile.name:
            if waiting is not None and waiting.flight is not Flight.BIND:
                self._drop(waiting)
            return
        if waiting is None or before is None:
            spec = new.body.get("spec") or {}
            priority = self.priorities.of(spec)
            waiting = QueuedPod(
                new,
                self._class_of(new),
                priority.value,
                now,
                sets_priority=priority.unwritten,
                priority_class=spec.get("priorityClassName") or "",
                said=plans.said(new) if new.phase else None,
            )
            self.waiting[new.key] = waiting
            self._enqueue(waiting, now, "UnscheduledPodAdd")
            return
        if before.generation != new.generation or before.labels != new.labels:
            self._changed(waiting, now)
        elif waiting.outdated:
            self._enqueue(waiting, now, "UnscheduledPodUpdate")

    def _changed(self, pod: QueuedPod, now: float) -> None:
        """The spec or the labels of a waiting pod changed: a gate went, a toleration came."""
        place = pod.place
        if pod.flight is not Flight.BIND:
            self.queue.remove(pod)
        spec = pod.record.body.get("spec") or {}
        pod.pods = self._class_of(pod.record)
        priority = self.priorities.of(spec)
        pod.priority, pod.sets_priority = priority.value, priority.unwritten
        if pod.flight is Flight.BIND:
            return  # the bind will meet a conflict, and then the new spec is decided on
        if pod.record.gated or place is not Place.UNSCHEDULABLE:
            self._enqueue(pod, now, "UnscheduledPodUpdate")
        else:
            self.queue.wake(pod, now)

    def _enqueue(self, pod: QueuedPod, now: float, event: str) -> None:
        pod.outdated = False
        if pod.record.gated:
            self.queue.gate(pod)
            if pod.said != (plans.GATED, plans.GATED_MESSAGE):
                self._untold.append(pod)
        else:
            self.queue.activate(pod, now)
        self._recorder.queued(self.cluster, pod.place.value, event)

    def _drop(self, pod: QueuedPod) -> None:
        self.queue.remove(pod)
        del self.waiting[pod.key]

    # -- decisions --

    def _decide(self, pod: QueuedPod) -> Decision:
        wish = PendingPod(pod.key.display, pod.pods)
        try:
            return self.engine.decide(wish)
        except Exception as error:  # a bug in a plugin must cost this pod its node, not all of them theirs
            log.exception("scheduling failed", cluster=self.cluster, object=pod.key.display)
            return Decision(wish, self.engine.nodes.count, error=f"the scheduler failed: {error!r}")

    def _assume(self, pod: QueuedPod, decision: Decision, took_s: float) -> Plan:
        record = pod.record
        self._count(record.key, Placed(record.uid, decision.node, pod.pods, record.generation, assumed=True))
        pod.flight = Flight.BIND
        pod.decided_on = record.version
        pod.algorithm_s = took_s
        return plans.bind(pod, decision, self.engine.profile.name)

    def _turn_away(self, pod: QueuedPod, decision: Decision, took_s: float, now: float) -> Plan | None:
        refusal = decision.refusal
        if refusal is not None:
            said = (plans.UNSCHEDULABLE, refusal.message)
            self.queue.refuse(pod, refusal.plugins, now)
            self._recorder.attempted(self.cluster, "unschedulable", took_s, took_s)
        else:
            # Only a change of the pod can help. The pool's five minutes do no harm: nothing new is said.
            said = (plans.SCHEDULER_ERROR, decision.error)
            self.queue.refuse(pod, MALFORMED, now)
            self._recorder.attempted(self.cluster, "error", took_s, took_s)
        self._recorder.queued(self.cluster, Place.UNSCHEDULABLE.value, "ScheduleAttemptFailure")
        if pod.said == said:
            return None
        pod.said = said
        log.info(
            "pod has no node",
            cluster=self.cluster,
            object=pod.key.display,
            reason=said[0],
            why=said[1],
            attempt=pod.attempts,
        )
        return self._tell(pod, plans.refuse(pod, decision, self.engine.profile.name, now))

    def _tell(self, pod: QueuedPod, plan: Plan) -> Plan:
        pod.flight = Flight.TELL
        pod.decided_on = pod.record.version
        return plan

    def _scheduled(self, pod: QueuedPod, now: float) -> None:
        self._recorder.attempted(
            self.cluster, "scheduled", now - pod.started_at + pod.algorithm_s, pod.algorithm_s
        )
        self._recorder.scheduled(self.cluster, pod.attempts, max(now - pod.added_at, 0.0))
        self._recorder.extension_point(self.cluster, "Bind", "Success", now - pod.started_at)
        log.info(
            "pod bound",
            cluster=self.cluster,
            object=pod.key.display,
            node=self.placed[pod.key].node,
            attempt=pod.attempts,
            took_ms=round(pod.algorithm_s * 1000, 2),
        )

    # -- the table --

    def _count(self, key: Key, placed: Placed) -> None:
        self.placed[key] = placed
        self.engine.nodes.add_pod(placed.node, placed.pods)

    def _leave(self, key: Key) -> None:
        """Stop counting a pod on its node, which makes room there."""
        placed = self.placed.pop(key, None)
        if placed is not None:
            self.engine.nodes.remove_pod(placed.node, placed.pods)
            self._happened(ClusterEvent.POD_DELETE, placed.node, placed.pods)

    # -- queueing hints --

    def _happened(self, event: ClusterEvent, node: str, *pods: PodClass) -> None:
        if self.queue.count[Place.UNSCHEDULABLE]:
            self._events.setdefault(event, {})[node] = None
            self._others.setdefault(event, {}).update(dict.fromkeys(pods))

    def _wake(self, now: float) -> None:
        """Ask the plugins that refused pods whether what happened could help them; a class is asked once."""
        events, self._events = self._events, {}
        others, self._others = self._others, {}
        for pods, group in self.queue.groups():
            helped = {
                plugin
                for event, names in events.items()
                for plugin in self._helped(event, names, others[event], pods, group)
            }
            for pod in group:
                if pod.plugins & helped or (not pod.plugins and ClusterEvent.NODE_ADD in events):
                    self.queue.wake(pod, now)
                    self._recorder.queued(self.cluster, pod.place.value, next(iter(events)).value)

    def _helped(
        self,
        event: ClusterEvent,
        names: dict[str, None],
        others: dict[PodClass, None],
        pods: PodClass,
        group: list[QueuedPod],
    ) -> set[str]:
        nodes, profile = self.engine.nodes, self.engine.profile
        only = profile.only(pods)
        near = names if only is None else only & names.keys()
        rows = np.array([nodes.row_of[name] for name in near if name in nodes.row_of], np.intp)
        helped: set[str] = set()
        for name in {name for pod in group for name in pod.plugins}:
            plugin = profile.by_name.get(name)
            if plugin is None or event not in plugin.wakes_on or (plugin.row_by_row and not len(rows)):
                continue
            state = plugin.prepare(pods, nodes)
            if isinstance(state, Rejection):
                continue
            if state is None or plugin.helped_by(event, state, nodes, rows, others):
                helped.add(name)
        return helped
