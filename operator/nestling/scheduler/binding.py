"""From a node that was found to a pod that is bound there: reserve, permit, pre-bind, bind, post-bind.

A plugin may object, or hold the bind back for a while; an extender may do it instead of us.
Source: Kubernetes 1.37, pkg/scheduler/schedule_one.go (bindingCycle).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, TypeAlias

import structlog

from nestling.api.json import JsonObject
from nestling.machinery.controller import Outcome
from nestling.machinery.plan import Plan
from nestling.scheduler import plans
from nestling.scheduler.cluster_state import ClusterState, Held
from nestling.scheduler.engine import Decision, Scheduler
from nestling.scheduler.explain import Refusal, sentence
from nestling.scheduler.extender import Extender, ExtenderFault
from nestling.scheduler.framework import ClusterEvent
from nestling.scheduler.judge import Judgement
from nestling.scheduler.queue import Flight, QueuedPod
from nestling.scheduler.residents import Resident

log = structlog.get_logger(__name__)

# A bind that succeeded shows up at once, as the answer of the write. This long after, something is wrong:
# look again.
CONFIRMED_WITHIN_S: Final = 30.0
PERMIT_EVERY_S: Final = 1.0  # how often a plugin that holds back a bind is asked again
Refuse: TypeAlias = Callable[[QueuedPod, Judgement, float], Plan | None]
Fail: TypeAlias = Callable[[QueuedPod, Decision, float], Plan | None]


class Binding:
    """The binds of one cluster. `refuse` and `fail` say why a pod does not get its node after all;
    `binder_of` is the extender that binds a pod, if one does."""

    def __init__(
        self,
        state: ClusterState,
        binder_of: Callable[[QueuedPod], Extender | None],
        refuse: Refuse,
        fail: Fail,
    ) -> None:
        self._state = state
        self._binder_of = binder_of
        self._refuse = refuse
        self._fail = fail

    def begin(self, pod: QueuedPod, decision: Decision, now: float) -> Plan | None:
        """A node was found: count the pod there, and bind it unless a plugin objects."""
        around = self._state.profiles[pod.profile].around
        node = decision.node
        for plugin in around.reserve:
            if why := plugin.reserve(pod.pods, node):
                self._state.unreserve(pod, node)
                return self._objected(pod, decision, plugin.name, why, now)
        wait_s = 0.0
        for plugin in around.permit:
            permission = plugin.permit(pod.pods, node)
            wait_s = max(wait_s, min(permission.wait_s, plugin.longest_wait_s))
            if permission.refusal:
                self._state.unreserve(pod, node)
                return self._objected(pod, decision, plugin.name, permission.refusal, now)
        record = pod.record
        # Before the pod counts there itself.
        scores = scores_of(self._state.engines[pod.profile], pod, decision)
        self._state.count(Resident(record, decision.node, pod.pods, pod.priority, assumed=True))
        if pod.nominated:
            before = self._state.nominator.nominate(pod, "")
            if before != decision.node:
                self._state.hints.note(ClusterEvent.POD_DELETE, before, pod.pods)
        pod.decided_on = record.version
        if wait_s:
            pod.flight = Flight.PERMIT
            retry_at = now + min(PERMIT_EVERY_S, wait_s)
            self._state.held[pod.key] = Held(pod, decision, scores, now, now + wait_s, retry_at)
            return None
        return self._hand_over(pod, decision, scores)

    def _objected(self, pod: QueuedPod, decision: Decision, plugin: str, why: str, now: float) -> Plan | None:
        """A plugin does not want the pod on the node that was found for it."""
        refusal = Refusal(sentence(1, f"1 {why}"), 1, ((why, 1),), frozenset({plugin}), ())
        return self._refuse(pod, Judgement(replace(decision, node="", refusal=refusal)), now)

    def ask_permission(self, held: Held, now: float) -> Plan | None:
        """Ask the plugins about a bind that they hold back."""
        pod, node = held.pod, held.decision.node
        profile = self._state.profiles.get(pod.profile)
        waits_for = ""
        for plugin in profile.around.permit if profile is not None else ():
            permission = plugin.permit(pod.pods, node)
            waits_for = plugin.name if permission.wait_s and not waits_for else waits_for
            why = permission.refusal
            if not why and waits_for and now >= held.deadline:
                waited = _go_duration(now - held.since)
                why = f"rejected due to timeout after waiting {waited} at plugin {waits_for}"
            if why:
                self.release(pod)
                return self._objected(pod, held.decision, plugin.name, why, now)
        if waits_for:
            held.retry_at = min(now + PERMIT_EVERY_S, held.deadline)
            return None
        if pod.record.version != pod.decided_on:  # it is another pod by now
            self.release(pod)
            self._state.enqueue(pod, now, "UnscheduledPodUpdate")
            return None
        del self._state.held[pod.key]
        return self._hand_over(pod, held.decision, held.scores)

    def release(self, pod: QueuedPod) -> None:
        """Give up a bind that is held back."""
        held = self._state.held.pop(pod.key)
        pod.flight = Flight.NONE
        pod.again = False
        self._state.leave(pod.key)
        self._state.unreserve(pod, held.decision.node)

    def _hand_over(self, pod: QueuedPod, decision: Decision, scores: Mapping[str, int]) -> Plan:
        """Bind the pod, or have an extender do it."""
        binder = self._binder_of(pod)
        if binder is not None:
            pod.flight = Flight.DELEGATE
            plan = Plan(asks=(binder.ask_bind(pod, decision.node),), why="an extender binds")
            return self._state.send(
                plan, lambda answer, now: self._delegated(pod, decision, scores, binder, answer, now)
            )
        return self._bind(pod, decision, scores)

    def _bind(self, pod: QueuedPod, decision: Decision, scores: Mapping[str, int]) -> Plan:
        pod.flight = Flight.BIND
        extra: JsonObject | None = None
        for plugin in self._state.profiles[pod.profile].around.pre_bind:
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
        if self._state.waiting.get(pod.key) is not pod or pod.flight is not Flight.DELEGATE:
            return  # bound and seen, or gone
        pod.flight = Flight.NONE
        try:
            binder.read_bind(outcome.answers[0])
        except ExtenderFault as fault:
            if binder.ignorable:
                self._state.outbox.append(self._bind(pod, decision, scores))
                return
            self._state.leave(pod.key)
            self._state.unreserve(pod, decision.node)
            self._state.recorder.attempted(
                self._state.cluster, pod.profile, "error", now - pod.started_at, pod.algorithm_s
            )
            wrong = Decision(decision.pod, decision.nodes, error=f"binding rejected: {fault}")
            plan = self._fail(pod, wrong, now)
            if plan is not None:
                self._state.outbox.append(plan)
            return
        self.bound(pod, decision.node, now)
        said = plans.scheduled(pod, decision.node, pod.profile)
        self._state.outbox.append(Plan.of(said, why="an extender has bound it"))
        self._state.queue.put_off(pod, now + CONFIRMED_WITHIN_S)

    def bound(self, pod: QueuedPod, node: str, now: float) -> None:
        """Count a bind, and tell of it."""
        cluster, recorder, took_s = self._state.cluster, self._state.recorder, now - pod.started_at
        recorder.attempted(cluster, pod.profile, "scheduled", took_s + pod.algorithm_s, pod.algorithm_s)
        entered_at = pod.entered_at if pod.entered_at is not None else pod.added_at
        recorder.scheduled(cluster, pod.attempts, max(now - entered_at, 0.0), flushed=pod.flushed)
        recorder.extension_point(cluster, pod.profile, "Bind", "Success", took_s)
        profile = self._state.profiles.get(pod.profile)
        for plugin in profile.around.post_bind if profile is not None else ():
            plugin.post_bind(pod.pods, node)
        log.info(
            "pod bound",
            cluster=self._state.cluster,
            object=pod.key.display,
            node=node,
            attempt=pod.attempts,
            took_ms=round(pod.algorithm_s * 1000, 2),
        )


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
