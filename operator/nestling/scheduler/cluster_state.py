"""What the scheduler knows of one cluster: nodes, pods on them, pods that wait, plans in flight.

A pod counts on its node from the decision on; until its bound version is seen this is an assumption, taken
back when the bind fails.
Source: Kubernetes 1.37, pkg/scheduler/backend/cache.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from nestling.api.json import JsonObject
from nestling.machinery.controller import Outcome
from nestling.machinery.names import Key
from nestling.machinery.plan import Plan
from nestling.machinery.records.node import Node
from nestling.machinery.records.pod import Pod
from nestling.scheduler import plans
from nestling.scheduler.engine import Decision, Scheduler
from nestling.scheduler.evictions import Evictions
from nestling.scheduler.extension import first_refusal
from nestling.scheduler.framework import ClusterEvent
from nestling.scheduler.hints import Hints
from nestling.scheduler.metrics import Recorder
from nestling.scheduler.nominator import Nominator
from nestling.scheduler.podclass import Classes, PodClass
from nestling.scheduler.priority import PriorityClasses
from nestling.scheduler.profiles import FullProfile
from nestling.scheduler.queue import Backoff, QueuedPod, SchedulingQueue
from nestling.scheduler.residents import Resident, Residents
from nestling.scheduler.table import NodeTable

Settled: TypeAlias = Callable[[Outcome, float], None]


@dataclass(slots=True, eq=False)
class Held:
    """A bind that a plugin holds back: asked again at `retry_at`, given up at `deadline`."""

    pod: QueuedPod
    decision: Decision
    scores: Mapping[str, int]
    since: float
    deadline: float
    retry_at: float


class ClusterState:
    """One cluster as it stands, and the few steps in which it changes. Times are seconds since 1970."""

    def __init__(self, cluster: str, backoff: Backoff, recorder: Recorder, classes: Classes) -> None:
        self.cluster = cluster
        self.recorder = recorder
        self.classes = classes
        self.nodes = NodeTable()
        self.queue = SchedulingQueue(backoff)
        self.priorities = PriorityClasses()
        self.residents = Residents()
        self.nominator = Nominator()
        self.evictions = Evictions(self.residents)
        self.engines: dict[str, Scheduler] = {}
        self.profiles: dict[str, FullProfile] = {}
        self.hints = Hints(cluster, self.queue, self.engines, self.residents, recorder)
        self.waiting: dict[Key, QueuedPod] = {}
        self.strangers: dict[Key, Pod] = {}
        """Pending pods that name no scheduler of ours."""
        self.node_records: dict[str, Node] = {}
        self.held: dict[Key, Held] = {}
        self.untold: deque[QueuedPod] = deque()
        """Pods that have to be told that they wait behind gates."""
        self.outbox: deque[Plan] = deque()
        self._settled: dict[int, tuple[Plan, Settled]] = {}

    def node_of(self, name: str) -> JsonObject | None:
        """The object of a node, for extenders that want it whole."""
        record = self.node_records.get(name)
        return record.body if record is not None else None

    # -- pods that wait --

    def class_of(self, pod: Pod, *, bound: bool = False) -> PodClass:
        """What of a pod counts for scheduling."""
        body = pod.body
        return self.classes.of(
            body.get("spec") or {}, meta=body["metadata"], namespace=pod.key.namespace, bound=bound
        )

    def prioritize(self, pod: QueuedPod) -> None:
        """Give a pod the priority that its class has now."""
        priority = self.priorities.of(pod.record.body.get("spec") or {})
        pod.priority, pod.sets_priority, pod.preempts = priority.value, priority.unwritten, priority.preempts
        pod.classless = priority.unknown

    def enqueue(self, pod: QueuedPod, now: float, event: str) -> None:
        """Let a pod have its turn, or wait behind its gates."""
        pod.outdated = False
        if self.blocked(pod):
            self.queue.gate(pod)
            if pod.record.gated and pod.said != (plans.GATED, plans.GATED_MESSAGE):
                self.untold.append(pod)
        else:
            self.queue.activate(pod, now)
        self.recorder.queued(self.cluster, pod.place.value, event)

    def blocked(self, pod: QueuedPod) -> bool:
        """Whether a plugin keeps the pod from being tried: by its gates, as a rule."""
        profile = self.profiles.get(pod.profile)
        plugins = profile.around.pre_enqueue if profile is not None else ()
        if not pod.record.gated and (profile is None or profile.only_gates):
            return False
        return bool(first_refusal(plugins, pod.record.body.get("spec") or {}))

    def drop(self, pod: QueuedPod) -> None:
        """Forget a pod that waits no longer."""
        self.queue.remove(pod)
        self.evictions.drop(pod)
        self.held.pop(pod.key, None)
        self.nominate(pod, "")
        del self.waiting[pod.key]

    def nominate(self, pod: QueuedPod, node: str) -> None:
        """Nominate a pod; the node that it leaves by that may do for others now."""
        before = self.nominator.nominate(pod, node)
        if before:
            self.hints.note(ClusterEvent.POD_DELETE, before, pod.pods)

    # -- pods on nodes --

    def count(self, resident: Resident) -> None:
        """Count a pod on its node."""
        self.residents.add(resident)
        self.nodes.add_pod(resident.node, resident.pods)

    def leave(self, key: Key) -> None:
        """Stop counting a pod on its node, which makes room there."""
        resident = self.residents.remove(key)
        if resident is not None:
            self.nodes.remove_pod(resident.node, resident.pods)
            self.hints.note(ClusterEvent.POD_DELETE, resident.node, resident.pods)

    def unreserve(self, pod: QueuedPod, node: str) -> None:
        """Have the plugins give back what they had reserved."""
        profile = self.profiles.get(pod.profile)
        for plugin in reversed(profile.around.reserve if profile is not None else ()):
            plugin.unreserve(pod.pods, node)

    # -- plans --

    def send(self, plan: Plan, settled: Settled) -> Plan:
        """Have the outcome of a plan handed to somebody who knows what it was for."""
        self._settled[id(plan)] = (plan, settled)
        return plan

    def awaiting(self, plan: Plan) -> Settled | None:
        """Who waits for the outcome of a plan; nobody from now on."""
        _, settled = self._settled.pop(id(plan), (plan, None))
        return settled
