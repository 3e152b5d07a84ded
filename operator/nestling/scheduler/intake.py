"""What changes in one cluster, taken into its state: pods, nodes, priority classes, budgets, configuration.

The truth is what the host says: a pod seen on another node than assumed moves there.
Source: Kubernetes 1.37, pkg/scheduler/eventhandlers.go.
"""

from nestling.api.json import JsonObject
from nestling.machinery.names import Key
from nestling.machinery.records.base import Record
from nestling.machinery.records.cluster import Cluster
from nestling.machinery.records.node import Node
from nestling.machinery.records.pod import Pod
from nestling.scheduler import plans
from nestling.scheduler.binding import Binding
from nestling.scheduler.budgets import Budgets
from nestling.scheduler.cluster_state import ClusterState
from nestling.scheduler.configuration import Configuration
from nestling.scheduler.engine import Scheduler
from nestling.scheduler.framework import ClusterEvent
from nestling.scheduler.metrics import Laps
from nestling.scheduler.nodes import facts_of, what_changed
from nestling.scheduler.preemption import Preemption
from nestling.scheduler.queue import Flight, Place, QueuedPod
from nestling.scheduler.residents import Resident


class Intake:
    """Takes changes into the state of a cluster, and wakes the pods that they could help."""

    def __init__(
        self,
        state: ClusterState,
        configuration: Configuration,
        budgets: Budgets,
        preemption: Preemption,
        binding: Binding,
        laps: Laps,
    ) -> None:
        self._state = state
        self._configuration = configuration
        self._budgets = budgets
        self._preemption = preemption
        self._binding = binding
        self._laps = laps
        self._seed = 0

    @property
    def seed(self) -> int:
        """Decides among nodes of equal score."""
        return self._seed

    @seed.setter
    def seed(self, seed: int) -> None:
        self._seed = seed
        for engine in self._state.engines.values():
            engine.seed = seed

    def cluster_changed(self, record: Cluster | None, now: float) -> None:
        """The VirtualCluster came, changed or went: its seed, its profiles."""
        self.seed = record.settings.seed if record is not None else 0
        self._configuration.take(record)
        self.configure(now)

    def configure(self, now: float) -> None:
        """Put into force what is configured; pods that wait under a changed profile are tried anew."""
        profiles, before = self._configuration.profiles, self._state.profiles
        self._state.queue.backoff = self._configuration.backoff
        changed = {name for name, profile in profiles.items() if before.get(name) is not profile}
        gone = before.keys() - profiles.keys()
        self._state.profiles = dict(profiles)
        for name in gone:
            del self._state.engines[name]
        for name in changed:
            self._state.engines[name] = Scheduler(
                profile=profiles[name],
                seed=self.seed,
                classes=self._state.classes,
                nodes=self._state.nodes,
                lap=self._laps.of(name),
            )
        sort = next((profile.around.sort for profile in profiles.values()), None)
        if sort is not None:
            self._state.queue.order = sort.order
        for pod in list(self._state.waiting.values()):
            if pod.profile in gone and pod.flight is Flight.NONE:
                self._state.strangers[pod.key] = pod.record
                self._state.drop(pod)
            elif pod.profile in changed and pod.place in {Place.UNSCHEDULABLE, Place.GATED}:
                self._state.enqueue(pod, now, "ProfileChange")
        for key, record in list(self._state.strangers.items()):
            if record.scheduler_name in profiles:
                del self._state.strangers[key]
                self._pending(record, now)

    def node_changed(self, old: Node | None, new: Node | None) -> None:
        """A node came, changed or went."""
        nodes = self._state.nodes
        if new is None:
            if old is not None:
                self._state.node_records.pop(old.key.name, None)
                if nodes.remove_node(old.key.name) is not None:
                    self._state.hints.note(ClusterEvent.NODE_DELETE, old.key.name)
            return
        self._state.node_records[new.key.name] = new
        facts = facts_of(new)
        if facts is None:  # its kubelet has not registered it (or a re-created one has not yet)
            if nodes.remove_node(new.key.name) is not None:
                self._state.hints.note(ClusterEvent.NODE_DELETE, new.key.name)
            return
        before = nodes.facts(facts.name)
        if before == facts:
            return
        nodes.put_node(facts)
        for event in what_changed(before, facts):
            self._state.hints.note(event, facts.name)

    def pod_changed(self, key: Key, new: Pod | None, now: float) -> None:
        """A pod came, changed, finished or went."""
        resident, waiting = self._state.residents.get(key), self._state.waiting.get(key)
        alive = new is not None and not new.terminal
        if resident is not None and (new is None or not alive or resident.record.uid != new.uid):
            self._state.leave(key)
        if waiting is not None and (new is None or not alive or waiting.record.uid != new.uid):
            self._state.drop(waiting)
        self._state.strangers.pop(key, None)
        if new is None or not alive:
            return
        if new.node_name:
            self._bound(new, now)
        else:
            self._pending(new, now)

    def priority_class_changed(self, name: str, body: JsonObject | None, now: float) -> None:
        """A priority class came, changed or went; pods that wait by its name get their priority anew."""
        if body is None:
            self._state.priorities.drop(name)
        else:
            self._state.priorities.put(name, body)
        for pod in list(self._state.waiting.values()):
            if pod.priority_class == name:
                before = pod.priority
                self._state.prioritize(pod)
                if pod.priority != before and pod.place is Place.ACTIVE:
                    self._state.queue.activate(pod, now)

    def budget_changed(self, key: Key, record: Record | None) -> None:
        """A disruption budget came, changed or went. It wakes nobody: budgets are no reason to wait."""
        self._budgets.put(key, record)

    # -- pods --

    def _bound(self, new: Pod, now: float) -> None:
        waiting = self._state.waiting.get(new.key)
        resident = self._state.residents.get(new.key)
        if resident is not None and resident.node == new.node_name:
            before, resident.record = resident.record, new
            if resident.assumed:
                resident.assumed = False
            elif (
                before.generation != new.generation
                or before.labels != new.labels
                or before.deleting != new.deleting
            ):
                self._updated(resident)
            if before.started_at != new.started_at or before.labels != new.labels:
                self._preemption.forget(self._state.nodes.row_of.get(resident.node))
        else:
            if resident is not None:
                self._state.leave(new.key)
            pods = self._state.class_of(new, bound=True)
            priority = self._state.priorities.of(new.body.get("spec") or {}).value
            self._state.count(Resident(new, new.node_name, pods, priority))
            self._state.hints.note(ClusterEvent.POD_ADD, new.node_name, pods)
        if waiting is not None:
            if waiting.flight in {Flight.BIND, Flight.DELEGATE}:
                self._binding.bound(waiting, new.node_name, now)
            self._state.drop(waiting)

    def _updated(self, resident: Resident) -> None:
        """A pod on a node was resized, got other labels, or is on its way out."""
        before, pods = resident.pods, self._state.class_of(resident.record, bound=True)
        if pods.key != before.key:
            self._state.nodes.remove_pod(resident.node, before)
            self._state.nodes.add_pod(resident.node, pods)
            resident.pods = pods
            self._state.hints.note(ClusterEvent.POD_UPDATE, resident.node, before, pods)

    def _pending(self, new: Pod, now: float) -> None:
        waiting = self._state.waiting.get(new.key)
        if new.scheduler_name not in self._state.profiles:
            self._state.strangers[new.key] = new
            if waiting is not None and waiting.flight is Flight.NONE:
                self._state.drop(waiting)
            return
        if waiting is None:
            spec = new.body.get("spec") or {}
            waiting = QueuedPod(
                new,
                self._state.class_of(new),
                0,
                now,
                profile=new.scheduler_name,
                priority_class=spec.get("priorityClassName") or "",
                said=plans.said(new) if new.phase else None,
            )
            self._state.prioritize(waiting)
            self._state.waiting[new.key] = waiting
            if new.nominated_node:
                self._state.nominator.nominate(waiting, new.nominated_node)
            self._state.enqueue(waiting, now, "UnscheduledPodAdd")
            return
        before, waiting.record = waiting.record, new
        if before.nominated_node != new.nominated_node and waiting.flight is Flight.NONE:
            self._state.nominate(waiting, new.nominated_node)  # somebody else's word
        if new.deleting and waiting.flight is Flight.PERMIT:
            self._binding.release(waiting)
            self._state.enqueue(waiting, now, "UnscheduledPodUpdate")
            return
        if new.deleting and waiting.flight in {Flight.NONE, Flight.TELL}:
            return  # when its turn comes, it is told so
        if before.generation != new.generation or before.labels != new.labels:
            self._changed(waiting, now)
        elif waiting.outdated:
            self._state.enqueue(waiting, now, "UnscheduledPodUpdate")

    def _changed(self, pod: QueuedPod, now: float) -> None:
        """The spec or the labels of a waiting pod changed: a gate went, a toleration came."""
        place = pod.place
        decided = pod.flight in {Flight.BIND, Flight.DELEGATE, Flight.CONSULT, Flight.PERMIT}
        if not decided:
            self._state.queue.remove(pod)
        pod.pods = self._state.class_of(pod.record)
        self._state.prioritize(pod)
        if decided:
            return  # the bind will meet a conflict, and then the new spec is decided on
        if place is not Place.UNSCHEDULABLE or self._state.blocked(pod) or pod.outdated:
            self._state.enqueue(pod, now, "UnscheduledPodUpdate")
        else:
            self._state.queue.keep(pod)
            if self._state.hints.changed_its_chances(pod):
                self._state.queue.wake(pod, now)
                self._state.recorder.queued(self._state.cluster, pod.place.value, "TargetPodUpdate")
