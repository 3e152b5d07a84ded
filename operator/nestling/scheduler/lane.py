"""One virtual cluster's scheduling: one plan per pod that was decided about.

What is known of the cluster is in `cluster_state`, how it changes in `intake`, who is judged how in `judge`,
what follows when a node was found in `binding`, whom an event could help in `hints`, who is asked to make
room in `evictions`.
Source: Kubernetes 1.37, pkg/scheduler/schedule_one.go.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import structlog

from nestling.api.kinds import Uid
from nestling.machinery.controller import Outcome
from nestling.machinery.errors import Conflict
from nestling.machinery.names import Key
from nestling.machinery.plan import Patch, Plan
from nestling.scheduler import plans
from nestling.scheduler.binding import CONFIRMED_WITHIN_S, Binding
from nestling.scheduler.budgets import Budgets
from nestling.scheduler.cluster_state import ClusterState
from nestling.scheduler.configuration import Configuration, Setup
from nestling.scheduler.engine import Decision, PendingPod
from nestling.scheduler.evictions import Eviction
from nestling.scheduler.intake import Intake
from nestling.scheduler.judge import Asking, Judge, Judgement
from nestling.scheduler.metrics import Laps, Recorder
from nestling.scheduler.podclass import Classes
from nestling.scheduler.preemption import Candidate, Fruitless, Preemption, found_room
from nestling.scheduler.queue import Flight, Place, QueuedPod

log = structlog.get_logger(__name__)

MALFORMED: Final = frozenset({"malformed"})


@dataclass(slots=True, eq=False)
class _Consultation:
    """A pod's judgement under way; `noted` counts what had happened as it began."""

    pod: QueuedPod
    asking: Asking
    noted: int


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
        self.configuration = Configuration(setup)
        self.state = ClusterState(
            cluster, setup.backoff, recorder, classes if classes is not None else Classes()
        )
        state = self.state
        self._budgets = Budgets()
        preemption = Preemption(state.residents, state.nominator, self._budgets)
        state.nominator.listeners.append(lambda node: preemption.forget(state.nodes.row_of.get(node)))
        self._judge = Judge(
            state.engines, preemption, state.nominator, state.residents, state.node_of, setup.extenders
        )
        self._binding = Binding(state, self._judge.binder, self._turn_away, self._fail)
        laps = Laps(cluster, recorder, timer)
        self.intake = Intake(state, self.configuration, self._budgets, preemption, self._binding, laps)
        self._timer = timer
        self._consulting: _Consultation | None = None
        self._line: deque[_Consultation] = deque()
        self._answers: deque[tuple[_Consultation, Outcome]] = deque()
        self.intake.configure(0.0)

    @property
    def empty(self) -> bool:
        """Whether nothing is known of this cluster."""
        state = self.state
        return not (
            state.waiting
            or state.strangers
            or len(state.residents)
            or state.nodes.count
            or state.priorities.own
            or len(self._budgets)
            or state.nodes.peers.known
            or self.intake.seed
        )

    # -- what to do --

    def try_one(self, now: float) -> tuple[bool, Plan | None]:
        """Try one pod: whether there was one to try, and the plan for it, if anything is to be written."""
        if self.state.outbox:
            return True, self.state.outbox.popleft()
        due_at = self.configuration.due_at
        if due_at is not None and due_at <= now:
            plan = self.configuration.tell(now)
            if plan is not None:
                return True, self.state.send(plan, self.configuration.told)
        if self.state.hints.due:
            self.state.hints.wake(now)
        if self._answers:
            return True, self._advance(*self._answers.popleft(), now)
        held = next((held for held in self.state.held.values() if held.retry_at <= now), None)
        if held is not None:
            return True, self._binding.ask_permission(held, now)
        if self._line and self._consulting is None:
            return True, self._advance(self._line.popleft(), None, now)
        while self.state.untold:
            pod = self.state.untold.popleft()
            if pod.place is not Place.GATED or self.state.waiting.get(pod.key) is not pod:
                continue
            if pod.flight is not Flight.NONE:
                pod.again = True
                continue
            pod.said = (plans.GATED, plans.GATED_MESSAGE)
            return True, self._tell(pod, plans.tell_gated(pod, now))
        pod = self.state.queue.pop(now)
        if pod is None:
            return False, None
        if pod.flight is not Flight.NONE:
            pod.again = True
            return True, None
        if pod.record.deleting:
            self.state.drop(pod)
            return True, plans.skip_deleting(pod, pod.profile)
        if self.state.blocked(pod):  # it was put off because it could not be told
            self.state.enqueue(pod, now, "UnscheduledPodUpdate")
            return True, None
        self.state.leave(pod.key)  # an assumption whose bind had no clear answer
        pod.attempts += 1
        pod.started_at = now
        pod.algorithm_s = 0.0
        return True, self._try(pod, now)

    def settle(self, plan: Plan, outcome: Outcome, now: float) -> None:
        """Learn how a plan went."""
        settled = self.state.awaiting(plan)
        if settled is not None:
            settled(outcome, now)
        elif plan.writes and isinstance(plan.writes[0], Patch):
            write = plan.writes[0]
            self._settle(write.key, write.uid, outcome, now)

    def wake_at(self) -> float | None:
        """When `try_one` may have something to do: 0 for at once."""
        if self.state.outbox or self.state.untold or self._answers or self.state.hints.due:
            return 0.0
        if self._line and self._consulting is None:
            return 0.0
        times = [at for at in (self.state.queue.wake_at(), self.configuration.due_at) if at is not None]
        times += [held.retry_at for held in self.state.held.values()]
        return min(times, default=None)

    # -- decisions --

    def _try(self, pod: QueuedPod, now: float) -> Plan | None:
        """Judge a pod; it waits in line while extenders are asked about another one."""
        profile = self.state.profiles[pod.profile]
        asking = self._judge.judge(pod, profile.around.preemption)
        consultation = _Consultation(pod, asking, self.state.hints.noted)
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
        if self.state.waiting.get(pod.key) is not pod:  # gone while its extenders were thinking
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
            judgement = Judgement(
                Decision(wish, self.state.nodes.count, error=f"the scheduler failed: {error!r}")
            )
        else:
            pod.algorithm_s += self._timer() - started
            pod.flight = Flight.CONSULT
            self._consulting = consultation
            plan = Plan(asks=asks, why="extenders have a say")
            return self.state.send(plan, lambda answer, _now: self._answers.append((consultation, answer)))
        pod.algorithm_s += self._timer() - started
        if outcome is not None and (pod.again or pod.record.deleting):
            # It changed while extenders were thinking: what they said is about another pod.
            pod.again = False
            self.state.enqueue(pod, now, "UnscheduledPodUpdate")
            return None
        if judgement.decision.node:
            return self._binding.begin(pod, judgement.decision, now)
        return self._turn_away(pod, judgement, now, moved=self.state.hints.noted != consultation.noted)

    def _turn_away(
        self, pod: QueuedPod, judgement: Judgement, now: float, *, moved: bool = False
    ) -> Plan | None:
        """No node was found: say so, and make room if that is possible. `moved`: things happened
        meanwhile."""
        decision, room = judgement.decision, judgement.room
        refusal = decision.refusal
        if refusal is None:
            self.state.recorder.attempted(
                self.cluster, pod.profile, "error", now - pod.started_at + pod.algorithm_s, pod.algorithm_s
            )
            return self._fail(pod, decision, now)
        self.state.recorder.attempted(
            self.cluster,
            pod.profile,
            "unschedulable",
            now - pod.started_at + pod.algorithm_s,
            pod.algorithm_s,
        )
        match room:
            case Candidate():
                self.state.recorder.preempted(self.cluster, len(room.victims))
                refusal = refusal.and_then(found_room(room))
                self.state.nominate(pod, room.node)
                self._yield_to(pod, room.node)
                self.state.evictions.plan(pod, room)
            case Fruitless():
                self.state.recorder.preempted(self.cluster, None)
                refusal = refusal.and_then(room.message)
                if room.hopeless:
                    self.state.nominate(pod, "")
            case None:
                if pod.nominated:
                    self.state.nominate(pod, "")
        self.state.queue.refuse(pod, refusal.plugins, now)
        self.state.recorder.queued(self.cluster, Place.UNSCHEDULABLE.value, "ScheduleAttemptFailure")
        if moved:
            self.state.queue.wake(pod, now)
        return self._say(pod, replace(decision, refusal=refusal), (plans.UNSCHEDULABLE, refusal.message), now)

    def _fail(self, pod: QueuedPod, decision: Decision, now: float) -> Plan | None:
        """Something else than a plugin stood in the way: say so, and try again after a while."""
        if decision.pod.pods.malformed:
            # Only a change of the pod can help. The pool's five minutes do no harm: nothing new is said.
            self.state.queue.refuse(pod, MALFORMED, now)
        else:
            self.state.queue.fail(pod, now)
        self.state.nominate(pod, "")
        self.state.recorder.queued(self.cluster, pod.place.value, "ScheduleAttemptFailure")
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

    def _settle(self, key: Key, uid: Uid, outcome: Outcome, now: float) -> None:
        """Learn how the bind of the pod of this UID went, or the write that says why there is none."""
        pod = self.state.waiting.get(key)
        if pod is None or pod.record.uid != uid or pod.flight not in {Flight.BIND, Flight.TELL}:
            return  # bound and seen, gone, or re-created before the answer
        flight, pod.flight = pod.flight, Flight.NONE
        if outcome.ok:
            if flight is Flight.BIND:
                pod.again = False
                resident = self.state.residents.get(key)
                self._binding.bound(pod, resident.node if resident is not None else "", now)
                self.state.queue.put_off(pod, now + CONFIRMED_WITHIN_S)  # look again, should it not show up
                return
            self._ask_victims(pod, now)
            if pod.flight is Flight.NONE:
                self._again(pod, now)
            return
        pod.again = False
        self.state.evictions.drop(pod)
        error = outcome.error
        assert error is not None
        if flight is Flight.TELL:
            pod.said = None
        else:
            self.state.recorder.attempted(
                self.cluster, pod.profile, "error", now - pod.started_at, pod.algorithm_s
            )
            resident = self.state.residents.get(key)
            if resident is not None:
                self.state.unreserve(pod, resident.node)
        if 400 <= error.status < 500 or pod.record.deleting:
            # Without a clear answer it stays assumed until its next turn: the bind may have happened.
            self.state.leave(key)
        if pod.record.deleting:
            self.state.drop(pod)
        elif isinstance(error, Conflict) and pod.record.version > pod.decided_on:
            # The version that was in the way is here: decide on it.
            self.state.enqueue(pod, now, "BindConflict")
        else:
            pod.outdated = isinstance(error, Conflict)
            self.state.queue.fail(pod, now)

    def _again(self, pod: QueuedPod, now: float) -> None:
        """A plan of the pod is done. If its turn came meanwhile, it has it now."""
        again, pod.again = pod.again, False
        if again and pod.place in {Place.NOWHERE, Place.GATED}:
            self.state.enqueue(pod, now, "UnscheduledPodUpdate")

    # -- making room --

    def _yield_to(self, pod: QueuedPod, node: str) -> None:
        """Take back the nominations to a node of those less important: the room will not be for them."""
        for other in self.state.nominator.below(node, pod.priority):
            self.state.nominate(other, "")
            self.state.evictions.drop(other)
            if other.record.nominated_node and other.flight is Flight.NONE:
                self.state.outbox.append(self.state.send(plans.clear_nomination(other), _never_mind))

    def _ask_victims(self, pod: QueuedPod, now: float) -> None:
        """Have those victims asked whose turn it is."""
        for eviction in self.state.evictions.ask(pod):
            pod.flight = Flight.PREEMPT
            self.state.outbox.append(self._evict(eviction, now))

    def _evict(self, eviction: Eviction, now: float) -> Plan:
        pod = eviction.pod
        plan = plans.evict(eviction.victim, pod, eviction.node, pod.profile, now)
        return self.state.send(plan, lambda outcome, now: self._evicted(eviction, outcome, now))

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
        ok, again = self.state.evictions.asked(eviction, outcome)
        if again is not None:
            self.state.outbox.append(self._evict(again, now))
            return
        if pod.flight is not Flight.PREEMPT or self.state.waiting.get(pod.key) is not pod:
            return
        if not ok:
            log.warning(
                "preemption failed, will look again",
                cluster=self.cluster,
                object=pod.key.display,
                why=str(outcome.error),
            )
        self._ask_victims(pod, now)
        if self.state.evictions.holds(pod):
            return  # others are still being asked
        pod.flight = Flight.NONE
        if not ok:
            pod.again = False
            self.state.queue.fail(pod, now)  # not at once: who refuses now will refuse then
        else:
            self._again(pod, now)


def _never_mind(_outcome: Outcome, _now: float) -> None:
    """It was worth a try."""
