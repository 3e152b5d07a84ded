"""One virtual cluster as the scheduler sees it: nodes, pods on them, pods that wait, and plans in flight.

Takes changes of pods, nodes and whatever else counts; gives one plan per pod that it decided about. A pod
counts on its node from the decision on; until its bound version is seen this is an assumption, taken back
when the bind fails. The truth is what the host says: a pod seen on another node than assumed moves there.

Who is judged how is in `judge`, whom an event could help in `hints`, who is asked to make room in
`evictions`.
Source: Kubernetes 1.37, pkg/scheduler/eventhandlers.go, schedule_one.go and backend/cache.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import structlog

from nestling.api.json import JsonObject
from nestling.api.kinds import Uid
from nestling.machinery.controller import Outcome
from nestling.machinery.errors import Conflict
from nestling.machinery.names import Key
from nestling.machinery.plan import Patch, Plan
from nestling.machinery.records.base import Record
from nestling.machinery.records.cluster import Cluster
from nestling.machinery.records.node import Node
from nestling.machinery.records.pod import Pod
from nestling.scheduler import plans
from nestling.scheduler.budgets import Budgets
from nestling.scheduler.configuration import Configuration, Setup
from nestling.scheduler.engine import Decision, PendingPod, Scheduler
from nestling.scheduler.evictions import Eviction, Evictions
from nestling.scheduler.explain import Refusal, sentence
from nestling.scheduler.extender import Extender, ExtenderFault
from nestling.scheduler.extension import first_refusal
from nestling.scheduler.framework import ClusterEvent
from nestling.scheduler.hints import Hints
from nestling.scheduler.judge import Asking, Judge, Judgement
from nestling.scheduler.metrics import Laps, Recorder
from nestling.scheduler.nodes import facts_of, what_changed
from nestling.scheduler.nominator import Nominator
from nestling.scheduler.podclass import Classes, PodClass
from nestling.scheduler.preemption import Candidate, Fruitless, Preemption, found_room
from nestling.scheduler.priority import PriorityClasses
from nestling.scheduler.profiles import FullProfile
from nestling.scheduler.queue import Flight, Place, QueuedPod, SchedulingQueue
from nestling.scheduler.residents import Resident, Residents
from nestling.scheduler.table import NodeTable

log = structlog.get_logger(__name__)

# A bind that succeeded shows up at once, as the answer of the write. This long after, something is wrong:
# look again.
CONFIRMED_WITHIN_S: Final = 30.0
PERMIT_EVERY_S: Final = 1.0  # how often a plugin that holds back a bind is asked again
MALFORMED: Final = frozenset({"malformed"})
Settled: TypeAlias = Callable[[Outcome, float], None]


@dataclass(slots=True, eq=False)
class _Consultation:
    """A pod's judgement under way; `noted` counts what had happened as it began."""

    pod: QueuedPod
    asking: Asking
    noted: int


@dataclass(slots=True, eq=False)
class _Held:
    """A bind that a plugin holds back: asked again at `retry_at`, given up at `deadline`."""

    pod: QueuedPod
    decision: Decision
    scores: Mapping[str, int]
    since: float
    deadline: float
    retry_at: float


class Lane:
    """The scheduling of one cluster. Times are seconds since 1970; `timer` measures how long things take."""

    def __init__(
        self,
        cluster: str,
        setup: Setup,
        recorder: Recorder,
        timer: Callable[[], float],
        *,
        classes: Classes | None = None,
    ) -> None:
        self.cluster = cluster
        self.nodes = NodeTable()
        self.queue = SchedulingQueue(setup.backoff)
        self.configuration = Configuration(setup)
        self.priorities = PriorityClasses()
        self.budgets = Budgets()
        self.residents = Residents()
        self.nominator = Nominator()
        self.waiting: dict[Key, QueuedPod] = {}
        self.strangers: dict[Key, Pod] = {}
        """Pending pods that name no scheduler of ours."""
        self._engines: dict[str, Scheduler] = {}
        self._profiles: dict[str, FullProfile] = {}
        self._classes = classes if classes is not None else Classes()
        self._seed = 0
        self._recorder = recorder
        self._timer = timer
        self._laps = Laps(cluster, recorder, timer)
        self._node_records: dict[str, Node] = {}
        self._preemption = Preemption(self.residents, self.nominator, self.budgets)
        self.nominator.listeners.append(lambda node: self._preemption.forget(self.nodes.row_of.get(node)))
        self._evictions = Evictions(self.residents)
        self._judge = Judge(
            self._engines,
            self._preemption,
            self.nominator,
            self.residents,
            lambda name: record.body if (record := self._node_records.get(name)) is not None else None,
            setup.extenders,
        )
        self.hints = Hints(cluster, self.queue, self._engines, self.residents, recorder)
        self._untold: deque[QueuedPod] = deque()
        self._outbox: deque[Plan] = deque()
        self._settled: dict[int, tuple[Plan, Settled]] = {}
        self._consulting: _Consultation | None = None
        self._line: deque[_Consultation] = deque()
        self._answers: deque[tuple[_Consultation, Outcome]] = deque()
        self._held: dict[Key, _Held] = {}
        self._configure(0.0)

    @property
    def empty(self) -> bool:
        """Whether nothing is known of this cluster."""
        return not (
            self.waiting
            or self.strangers
            or len(self.residents)
            or self.nodes.count
            or self.priorities.own
            or len(self.budgets)
            or self.nodes.peers.known
        )

    @property
    def seed(self) -> int:
        """Decides among nodes of equal score."""
        return self._seed

    @seed.setter
    def seed(self, seed: int) -> None:
        self._seed = seed
        for engine in self._engines.values():
            engine.seed = seed

    # -- what changes --

    def cluster_changed(self, record: Cluster | None, now: float) -> None:
        """The VirtualCluster came, changed or went: its seed, its profiles."""
        self.seed = record.settings.seed if record is not None else 0
        self.configuration.take(record)
        self._configure(now)

    def _configure(self, now: float) -> None:
        """Put into force what is configured; pods that wait under a changed profile are tried anew."""
        profiles = self.configuration.profiles
        self.queue.backoff = self.configuration.backoff
        changed = {name for name, profile in profiles.items() if self._profiles.get(name) is not profile}
        gone = self._profiles.keys() - profiles.keys()
        self._profiles = dict(profiles)
        for name in gone:
            del self._engines[name]
        for name in changed:
            self._engines[name] = Scheduler(
                profile=profiles[name],
                seed=self._seed,
                classes=self._classes,
                nodes=self.nodes,
                lap=self._laps.of(name),
            )
        sort = next((profile.around.sort for profile in profiles.values()), None)
        if sort is not None:
            self.queue.order = sort.order
        for pod in list(self.waiting.values()):
            if pod.profile in gone and pod.flight is Flight.NONE:
                self.strangers[pod.key] = pod.record
                self._drop(pod)
            elif pod.profile in changed and pod.place in {Place.UNSCHEDULABLE, Place.GATED}:
                self._enqueue(pod, now, "ProfileChange")
        for key, record in list(self.strangers.items()):
            if record.scheduler_name in profiles:
                del self.strangers[key]
                self._pending(record, now)

    def node_changed(self, old: Node | None, new: Node | None) -> None:
        """A node came, changed or went."""
        nodes = self.nodes
        if new is None:
            if old is not None:
                self._node_records.pop(old.key.name, None)
                if nodes.remove_node(old.key.name) is not None:
                    self.hints.note(ClusterEvent.NODE_DELETE, old.key.name)
            return
        self._node_records[new.key.name] = new
        facts = facts_of(new)
        if facts is None:  # its kubelet has not registered it (or a re-created one has not yet)
            if nodes.remove_node(new.key.name) is not None:
                self.hints.note(ClusterEvent.NODE_DELETE, new.key.name)
            return
        before = nodes.facts(facts.name)
        if before == facts:
            return
        nodes.put_node(facts)
        for event in what_changed(before, facts):
            self.hints.note(event, facts.name)

    def pod_changed(self, key: Key, new: Pod | None, now: float) -> None:
        """A pod came, changed, finished or went."""
        resident, waiting = self.residents.get(key), self.waiting.get(key)
        alive = new is not None and not new.terminal
        if resident is not None and (new is None or not alive or resident.record.uid != new.uid):
            self._leave(key)
        if waiting is not None and (new is None or not alive or waiting.record.uid != new.uid):
            self._drop(waiting)
        self.strangers.pop(key, None)
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
                before = pod.priority
                self._prioritize(pod)
                if pod.priority != before and pod.place is Place.ACTIVE:
                    self.queue.activate(pod, now)

    def budget_changed(self, key: Key, record: Record | None) -> None:
        """A disruption budget came, changed or went. It wakes nobody: budgets are no reason to wait."""
        self.budgets.put(key, record)

    # -- what to do --

    def try_one(self, now: float) -> tuple[bool, Plan | None]:
        """Try one pod: whether there was one to try, and the plan for it, if anything is to be written."""
        if self._outbox:
            return True, self._outbox.popleft()
        due_at = self.configuration.due_at
        if due_at is not None and due_at <= now:
            plan = self.configuration.tell(now)
            if plan is not None:
                return True, self._send(plan, self.configuration.told)
        if self.hints.due:
            self.hints.wake(now)
        if self._answers:
            return True, self._advance(*self._answers.popleft(), now)
        held = next((held for held in self._held.values() if held.retry_at <= now), None)
        if held is not None:
            return True, self._ask_permission(held, now)
        if self._line and self._consulting is None:
            return True, self._advance(self._line.popleft(), None, now)
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
        if pod.record.deleting:
            self._drop(pod)
            return True, plans.skip_deleting(pod, pod.profile)
        if self._blocked(pod):  # it was put off because it could not be told
            self._enqueue(pod, now, "UnscheduledPodUpdate")
            return True, None
        self._leave(pod.key)  # an assumption whose bind had no clear answer
        pod.attempts += 1
        pod.started_at = now
        pod.algorithm_s = 0.0
        return True, self._try(pod, now)

    def settle(self, plan: Plan, outcome: Outcome, now: float) -> None:
        """Learn how a plan went."""
        _, settled = self._settled.pop(id(plan), (plan, None))
        if settled is not None:
            settled(outcome, now)
        elif plan.writes and isinstance(plan.writes[0], Patch):
            write = plan.writes[0]
            self._settle(write.key, write.uid, outcome, now)

    def wake_at(self) -> float | None:
        """When `try_one` may have something to do: 0 for at once."""
        if self._outbox or self._untold or self._answers or self.hints.due:
            return 0.0
        if self._line and self._consulting is None:
            return 0.0
        times = [at for at in (self.queue.wake_at(), self.configuration.due_at) if at is not None]
        times += [held.retry_at for held in self._held.values()]
        return min(times, default=None)

    # -- pods --

    def _bound(self, new: Pod, now: float) -> None:
        waiting = self.waiting.get(new.key)
        resident = self.residents.get(new.key)
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
                self._preemption.forget(self.nodes.row_of.get(resident.node))
        else:
            if resident is not None:
                self._leave(new.key)
            pods = self._class_of(new, bound=True)
            priority = self.priorities.of(new.body.get("spec") or {}).value
            self._count(Resident(new, new.node_name, pods, priority))
            self.hints.note(ClusterEvent.POD_ADD, new.node_name, pods)
        if waiting is not None:
            if waiting.flight in {Flight.BIND, Flight.DELEGATE}:
                self._scheduled(waiting, new.node_name, now)
            self._drop(waiting)

    def _updated(self, resident: Resident) -> None:
        """A pod on a node was resized, got other labels, or is on its way out."""
        before, pods = resident.pods, self._class_of(resident.record, bound=True)
        if pods.key != before.key:
            self.nodes.remove_pod(resident.node, before)
            self.nodes.add_pod(resident.node, pods)
            resident.pods = pods
            self.hints.note(ClusterEvent.POD_UPDATE, resident.node, before, pods)

    def _pending(self, new: Pod, now: float) -> None:
        waiting = self.waiting.get(new.key)
        if new.scheduler_name not in self._profiles:
            self.strangers[new.key] = new
            if waiting is not None and waiting.flight is Flight.NONE:
                self._drop(waiting)
            return
        if waiting is None:
            spec = new.body.get("spec") or {}
            waiting = QueuedPod(
                new,
                self._class_of(new),
                0,
                now,
                profile=new.scheduler_name,
                priority_class=spec.get("priorityClassName") or "",
                said=plans.said(new) if new.phase else None,
            )
            self._prioritize(waiting)
            self.waiting[new.key] = waiting
            if new.nominated_node:
                self.nominator.nominate(waiting, new.nominated_node)
            self._enqueue(waiting, now, "UnscheduledPodAdd")
            return
        before, waiting.record = waiting.record, new
        if before.nominated_node != new.nominated_node and waiting.flight is Flight.NONE:
            self._nominate(waiting, new.nominated_node)  # somebody else's word
        if new.deleting and waiting.flight is Flight.PERMIT:
            self._release(waiting)
            self._enqueue(waiting, now, "UnscheduledPodUpdate")
            return
        if new.deleting and waiting.flight in {Flight.NONE, Flight.TELL}:
            return  # when its turn comes, it is told so
        if before.generation != new.generation or before.labels != new.labels:
            self._changed(waiting, now)
        elif waiting.outdated:
            self._enqueue(waiting, now, "UnscheduledPodUpdate")

    def _changed(self, pod: QueuedPod, now: float) -> None:
        """The spec or the labels of a waiting pod changed: a gate went, a toleration came."""
        place = pod.place
        decided = pod.flight in {Flight.BIND, Flight.DELEGATE, Flight.CONSULT, Flight.PERMIT}
        if not decided:
            self.queue.remove(pod)
        pod.pods = self._class_of(pod.record)
        self._prioritize(pod)
        if decided:
            return  # the bind will meet a conflict, and then the new spec is decided on
        if place is not Place.UNSCHEDULABLE or self._blocked(pod) or pod.outdated:
            self._enqueue(pod, now, "UnscheduledPodUpdate")
        else:
            self.queue.keep(pod)
            if self.hints.changed_its_chances(pod):
                self.queue.wake(pod, now)
                self._recorder.queued(self.cluster, pod.place.value, "TargetPodUpdate")

    def _prioritize(self, pod: QueuedPod) -> None:
        priority = self.priorities.of(pod.record.body.get("spec") or {})
        pod.priority, pod.sets_priority, pod.preempts = priority.value, priority.unwritten, priority.preempts
        pod.classless = priority.unknown

    def _class_of(self, pod: Pod, *, bound: bool = False) -> PodClass:
        body = pod.body
        return self._classes.of(
            body.get("spec") or {}, meta=body["metadata"], namespace=pod.key.namespace, bound=bound
        )

    def _enqueue(self, pod: QueuedPod, now: float, event: str) -> None:
        pod.outdated = False
        if self._blocked(pod):
            self.queue.gate(pod)
            if pod.record.gated and pod.said != (plans.GATED, plans.GATED_MESSAGE):
                self._untold.append(pod)
        else:
            self.queue.activate(pod, now)
        self._recorder.queued(self.cluster, pod.place.value, event)

    def _blocked(self, pod: QueuedPod) -> bool:
        """Whether a plugin keeps the pod from being tried: by its gates, as a rule."""
        profile = self._profiles.get(pod.profile)
        plugins = profile.around.pre_enqueue if profile is not None else ()
        if not pod.record.gated and (profile is None or profile.only_gates):
            return False
        return bool(first_refusal(plugins, pod.record.body.get("spec") or {}))

    def _drop(self, pod: QueuedPod) -> None:
        self.queue.remove(pod)
        self._evictions.drop(pod)
        self._held.pop(pod.key, None)
        self._nominate(pod, "")
        del self.waiting[pod.key]

    def _nominate(self, pod: QueuedPod, node: str) -> None:
        """Nominate a pod; the node that it leaves by that may do for others now."""
        before = self.nominator.nominate(pod, node)
        if before:
            self.hints.note(ClusterEvent.POD_DELETE, before, pod.pods)

    # -- decisions --

    def _try(self, pod: QueuedPod, now: float) -> Plan | None:
        """Judge a pod; it waits in line while extenders are asked about another one."""
        profile = self._profiles[pod.profile]
        consultation = _Consultation(pod, self._judge.judge(pod, profile.around.preemption), self.hints.noted)
        if self._consulting is not None and self._judge.concerned(pod):
            pod.flight = Flight.CONSULT
            self._line.append(consultation)
            return None
        return self._advance(consultation, None, now)

    def _advance(self, consultation: _Consultation, outcome: Outcome | None, now: float) -> Plan | None:
        """Take a judgement a step further: to a decision, or to what is to be asked."""
        pod, asking = consultation.pod, consultation.asking
        if self._consulting is consultation:
            self._consulting = None
        if self.waiting.get(pod.key) is not pod:  # gone while its extenders were thinking
            asking.close()
            return None
        pod.flight = Flight.NONE
        started = self._timer()
        try:
            asks = next(asking) if outcome is None else asking.send(outcome.answers)
        except StopIteration as stop:
            judgement: Judgement = stop.value
        except Exception as error:  # a bug in a plugin must cost this pod its node, not all of them theirs
            log.exception("scheduling failed", cluster=self.cluster, object=pod.key.display)
            wish = PendingPod(pod.key.display, pod.pods)
            judgement = Judgement(Decision(wish, self.nodes.count, error=f"the scheduler failed: {error!r}"))
        else:
            pod.algorithm_s += self._timer() - started
            pod.flight = Flight.CONSULT
            self._consulting = consultation
            plan = Plan(asks=asks, why="extenders have a say")
            return self._send(plan, lambda answer, _now: self._answers.append((consultation, answer)))
        pod.algorithm_s += self._timer() - started
        if outcome is not None and (pod.again or pod.record.deleting):
            # It changed while extenders were thinking: what they said is about another pod.
            pod.again = False
            self._enqueue(pod, now, "UnscheduledPodUpdate")
            return None
        if judgement.decision.node:
            return self._settle_on(pod, judgement.decision, now)
        return self._turn_away(pod, judgement, now, moved=self.hints.noted != consultation.noted)

    def _settle_on(self, pod: QueuedPod, decision: Decision, now: float) -> Plan | None:
        """A node was found: count the pod there, and bind it unless a plugin objects."""
        around = self._profiles[pod.profile].around
        node = decision.node
        for plugin in around.reserve:
            if why := plugin.reserve(pod.pods, node):
                self._unreserve(pod, node)
                return self._objected(pod, decision, plugin.name, why, now)
        wait_s = 0.0
        for plugin in around.permit:
            permission = plugin.permit(pod.pods, node)
            wait_s = max(wait_s, min(permission.wait_s, plugin.longest_wait_s))
            if permission.refusal:
                self._unreserve(pod, node)
                return self._objected(pod, decision, plugin.name, permission.refusal, now)
        record = pod.record
        scores = scores_of(self._engines[pod.profile], pod, decision)  # before the pod counts there itself
        self._count(Resident(record, decision.node, pod.pods, pod.priority, assumed=True))
        if pod.nominated:
            before = self.nominator.nominate(pod, "")
            if before != decision.node:
                self.hints.note(ClusterEvent.POD_DELETE, before, pod.pods)
        pod.decided_on = record.version
        if wait_s:
            pod.flight = Flight.PERMIT
            retry_at = now + min(PERMIT_EVERY_S, wait_s)
            self._held[pod.key] = _Held(pod, decision, scores, now, now + wait_s, retry_at)
            return None
        return self._hand_over(pod, decision, scores)

    def _objected(self, pod: QueuedPod, decision: Decision, plugin: str, why: str, now: float) -> Plan | None:
        """A plugin does not want the pod on the node that was found for it."""
        refusal = Refusal(sentence(1, f"1 {why}"), 1, ((why, 1),), frozenset({plugin}), ())
        return self._turn_away(pod, Judgement(replace(decision, node="", refusal=refusal)), now)

    def _ask_permission(self, held: _Held, now: float) -> Plan | None:
        """Ask the plugins about a bind that they hold back."""
        pod, node = held.pod, held.decision.node
        profile = self._profiles.get(pod.profile)
        waits_for = ""
        for plugin in profile.around.permit if profile is not None else ():
            permission = plugin.permit(pod.pods, node)
            waits_for = plugin.name if permission.wait_s and not waits_for else waits_for
            why = permission.refusal
            if not why and waits_for and now >= held.deadline:
                waited = _go_duration(now - held.since)
                why = f"rejected due to timeout after waiting {waited} at plugin {waits_for}"
            if why:
                self._release(pod)
                return self._objected(pod, held.decision, plugin.name, why, now)
        if waits_for:
            held.retry_at = min(now + PERMIT_EVERY_S, held.deadline)
            return None
        if pod.record.version != pod.decided_on:  # it is another pod by now
            self._release(pod)
            self._enqueue(pod, now, "UnscheduledPodUpdate")
            return None
        del self._held[pod.key]
        return self._hand_over(pod, held.decision, held.scores)

    def _release(self, pod: QueuedPod) -> None:
        """Give up a bind that is held back."""
        held = self._held.pop(pod.key)
        pod.flight = Flight.NONE
        pod.again = False
        self._leave(pod.key)
        self._unreserve(pod, held.decision.node)

    def _hand_over(self, pod: QueuedPod, decision: Decision, scores: Mapping[str, int]) -> Plan:
        """Bind the pod, or have an extender do it."""
        binder = self._judge.binder(pod)
        if binder is not None:
            pod.flight = Flight.DELEGATE
            plan = Plan(asks=(binder.ask_bind(pod, decision.node),), why="an extender binds")
            return self._send(
                plan, lambda answer, now: self._delegated(pod, decision, scores, binder, answer, now)
            )
        return self._bind(pod, decision, scores)

    def _bind(self, pod: QueuedPod, decision: Decision, scores: Mapping[str, int]) -> Plan:
        pod.flight = Flight.BIND
        extra: JsonObject | None = None
        for plugin in self._profiles[pod.profile].around.pre_bind:
            extra = plans.merged(extra or {}, plugin.pre_bind(pod.pods, decision.node))
        return plans.bind(pod, decision, scores, pod.profile, extra)

    def _delegated(
        self,
        pod: QueuedPod,
        decision: Decision,
        scores: Mapping[str, int],
        binder: Extender,
        outcome: Outcome,
        now: float,
    ) -> None:
        """An extender has bound the pod, or has not."""
        if self.waiting.get(pod.key) is not pod or pod.flight is not Flight.DELEGATE:
            return  # bound and seen, or gone
        pod.flight = Flight.NONE
        try:
            binder.read_bind(outcome.answers[0])
        except ExtenderFault as fault:
            if binder.ignorable:
                self._outbox.append(self._bind(pod, decision, scores))
                return
            self._leave(pod.key)
            self._unreserve(pod, decision.node)
            self._recorder.attempted(
                self.cluster, pod.profile, "error", now - pod.started_at, pod.algorithm_s
            )
            wrong = Decision(decision.pod, decision.nodes, error=f"binding rejected: {fault}")
            plan = self._fail(pod, wrong, now)
            if plan is not None:
                self._outbox.append(plan)
            return
        self._scheduled(pod, decision.node, now)
        said = plans.scheduled(pod, decision.node, pod.profile)
        self._outbox.append(Plan.of(said, why="an extender has bound it"))
        self.queue.put_off(pod, now + CONFIRMED_WITHIN_S)

    def _turn_away(
        self, pod: QueuedPod, judgement: Judgement, now: float, *, moved: bool = False
    ) -> Plan | None:
        """No node was found: say so, and make room if that is possible. `moved`: things happened
        meanwhile."""
        decision, room = judgement.decision, judgement.room
        refusal = decision.refusal
        if refusal is None:
            self._recorder.attempted(
                self.cluster, pod.profile, "error", now - pod.started_at + pod.algorithm_s, pod.algorithm_s
            )
            return self._fail(pod, decision, now)
        self._recorder.attempted(
            self.cluster,
            pod.profile,
            "unschedulable",
            now - pod.started_at + pod.algorithm_s,
            pod.algorithm_s,
        )
        match room:
            case Candidate():
                self._recorder.preempted(self.cluster, len(room.victims))
                refusal = refusal.and_then(found_room(room))
                self._nominate(pod, room.node)
                self._yield_to(pod, room.node)
                self._evictions.plan(pod, room)
            case Fruitless():
                self._recorder.preempted(self.cluster, None)
                refusal = refusal.and_then(room.message)
                if room.hopeless:
                    self._nominate(pod, "")
            case None:
                if pod.nominated:
                    self._nominate(pod, "")
        self.queue.refuse(pod, refusal.plugins, now)
        self._recorder.queued(self.cluster, Place.UNSCHEDULABLE.value, "ScheduleAttemptFailure")
        if moved:
            self.queue.wake(pod, now)
        return self._say(pod, replace(decision, refusal=refusal), (plans.UNSCHEDULABLE, refusal.message), now)

    def _fail(self, pod: QueuedPod, decision: Decision, now: float) -> Plan | None:
        """Something else than a plugin stood in the way: say so, and try again after a while."""
        if decision.pod.pods.malformed:
            # Only a change of the pod can help. The pool's five minutes do no harm: nothing new is said.
            self.queue.refuse(pod, MALFORMED, now)
        else:
            self.queue.fail(pod, now)
        self._nominate(pod, "")
        self._recorder.queued(self.cluster, pod.place.value, "ScheduleAttemptFailure")
        return self._say(pod, decision, (plans.SCHEDULER_ERROR, decision.error), now)

    def _say(self, pod: QueuedPod, decision: Decision, said: tuple[str, str], now: float) -> Plan | None:
        if pod.said == said and pod.nominated == pod.record.nominated_node:
            self._ask_victims(pod, now)
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
        return self._tell(pod, plans.refuse(pod, decision, pod.profile, now))

    def _tell(self, pod: QueuedPod, plan: Plan) -> Plan:
        pod.flight = Flight.TELL
        pod.decided_on = pod.record.version
        return plan

    def _scheduled(self, pod: QueuedPod, node: str, now: float) -> None:
        self._recorder.attempted(
            self.cluster, pod.profile, "scheduled", now - pod.started_at + pod.algorithm_s, pod.algorithm_s
        )
        entered_at = pod.entered_at if pod.entered_at is not None else pod.added_at
        self._recorder.scheduled(self.cluster, pod.attempts, max(now - entered_at, 0.0), flushed=pod.flushed)
        self._recorder.extension_point(self.cluster, pod.profile, "Bind", "Success", now - pod.started_at)
        for plugin in self._profiles[pod.profile].around.post_bind if pod.profile in self._profiles else ():
            plugin.post_bind(pod.pods, node)
        log.info(
            "pod bound",
            cluster=self.cluster,
            object=pod.key.display,
            node=node,
            attempt=pod.attempts,
            took_ms=round(pod.algorithm_s * 1000, 2),
        )

    def _settle(self, key: Key, uid: Uid, outcome: Outcome, now: float) -> None:
        """Learn how the bind of the pod of this UID went, or the write that says why there is none."""
        pod = self.waiting.get(key)
        if pod is None or pod.record.uid != uid or pod.flight not in {Flight.BIND, Flight.TELL}:
            return  # bound and seen, gone, or re-created before the answer
        flight, pod.flight = pod.flight, Flight.NONE
        if outcome.ok:
            if flight is Flight.BIND:
                pod.again = False
                resident = self.residents.get(key)
                self._scheduled(pod, resident.node if resident is not None else "", now)
                self.queue.put_off(pod, now + CONFIRMED_WITHIN_S)  # look again, should it not show up
                return
            self._ask_victims(pod, now)
            if pod.flight is Flight.NONE:
                self._again(pod, now)
            return
        pod.again = False
        self._evictions.drop(pod)
        error = outcome.error
        assert error is not None
        if flight is Flight.TELL:
            pod.said = None
        else:
            self._recorder.attempted(
                self.cluster, pod.profile, "error", now - pod.started_at, pod.algorithm_s
            )
            resident = self.residents.get(key)
            if resident is not None:
                self._unreserve(pod, resident.node)
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

    def _again(self, pod: QueuedPod, now: float) -> None:
        """A plan of the pod is done. If its turn came meanwhile, it has it now."""
        again, pod.again = pod.again, False
        if again and pod.place in {Place.NOWHERE, Place.GATED}:
            self._enqueue(pod, now, "UnscheduledPodUpdate")

    # -- making room --

    def _yield_to(self, pod: QueuedPod, node: str) -> None:
        """Take back the nominations to a node of those less important: the room will not be for them."""
        for other in self.nominator.below(node, pod.priority):
            self._nominate(other, "")
            self._evictions.drop(other)
            if other.record.nominated_node and other.flight is Flight.NONE:
                self._outbox.append(self._send(plans.clear_nomination(other), _never_mind))

    def _ask_victims(self, pod: QueuedPod, now: float) -> None:
        """Have those victims asked whose turn it is."""
        for eviction in self._evictions.ask(pod):
            pod.flight = Flight.PREEMPT
            self._outbox.append(self._evict(eviction, now))

    def _evict(self, eviction: Eviction, now: float) -> Plan:
        pod = eviction.pod
        plan = plans.evict(eviction.victim, pod, eviction.node, pod.profile, now)
        return self._send(plan, lambda outcome, now: self._evicted(eviction, outcome, now))

    def _evicted(self, eviction: Eviction, outcome: Outcome, now: float) -> None:
        """One victim was asked to go, or was not to be asked."""
        pod = eviction.pod
        if outcome.ok:
            log.info(
                "pod preempted",
                cluster=self.cluster,
                object=eviction.victim.key.display,
                node=eviction.node,
                why=f"for {pod.key.display}",
            )
        ok, again = self._evictions.asked(eviction, outcome)
        if again is not None:
            self._outbox.append(self._evict(again, now))
            return
        if pod.flight is not Flight.PREEMPT or self.waiting.get(pod.key) is not pod:
            return
        if not ok:
            log.warning(
                "preemption failed, will look again",
                cluster=self.cluster,
                object=pod.key.display,
                why=str(outcome.error),
            )
        self._ask_victims(pod, now)
        if self._evictions.holds(pod):
            return  # others are still being asked
        pod.flight = Flight.NONE
        if not ok:
            pod.again = False
            self.queue.fail(pod, now)  # not at once: who refuses now will refuse then
        else:
            self._again(pod, now)

    # -- the table --

    def _count(self, resident: Resident) -> None:
        self.residents.add(resident)
        self.nodes.add_pod(resident.node, resident.pods)

    def _leave(self, key: Key) -> None:
        """Stop counting a pod on its node, which makes room there."""
        resident = self.residents.remove(key)
        if resident is not None:
            self.nodes.remove_pod(resident.node, resident.pods)
            self.hints.note(ClusterEvent.POD_DELETE, resident.node, resident.pods)

    def _unreserve(self, pod: QueuedPod, node: str) -> None:
        profile = self._profiles.get(pod.profile)
        for plugin in reversed(profile.around.reserve if profile is not None else ()):
            plugin.unreserve(pod.pods, node)

    def _send(self, plan: Plan, settled: Settled) -> Plan:
        """Have the outcome of a plan handed to somebody who knows what it was for."""
        self._settled[id(plan)] = (plan, settled)
        return plan


def scores_of(engine: Scheduler, pod: QueuedPod, decision: Decision) -> Mapping[str, int]:
    """What the plugins gave the node of a decision, for the explanation."""
    if decision.shares is not None:
        return decision.shares
    standing = engine.standing(pod.pods)
    row = engine.nodes.row_of.get(decision.node)
    place = standing.place(row) if row is not None else None
    return standing.shares(place) if place is not None else {}


def _go_duration(seconds: float) -> str:
    """Whole seconds as Go writes them: 15m0s."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _never_mind(_outcome: Outcome, _now: float) -> None:
    """It was worth a try."""
