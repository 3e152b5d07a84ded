"""The judgement on one pod: where it goes, or why nowhere and whose going would help.

A generator where extenders have a say: it yields what they are to be asked and is sent their answers, so that
the scheduler stays a pure function of what it was told. The world may move meanwhile; what an extender said
is then applied to the nodes as they are now.
Source: Kubernetes 1.37, pkg/scheduler/schedule_one.go (schedulingAlgorithm, schedulePod).
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeAlias
from zlib import crc32

import numpy as np

from nestling.api.json import JsonObject
from nestling.machinery.controller import Answer
from nestling.machinery.plan import Ask
from nestling.scheduler.choice import choose, feasible, names_of, only_node
from nestling.scheduler.engine import Decision, PendingPod, Scheduler
from nestling.scheduler.explain import Overlay, Refusal
from nestling.scheduler.extender import Extender, ExtenderFault, ExtenderFilter, Refusals
from nestling.scheduler.nominator import Nominator
from nestling.scheduler.preemption import Candidate, Fruitless, Preemption, PreemptionArgs
from nestling.scheduler.queue import QueuedPod
from nestling.scheduler.residents import Residents
from nestling.scheduler.standing import Standing
from nestling.scheduler.table import BoolArray
from nestling.scheduler.yielding import Yielding


@dataclass(frozen=True, slots=True)
class Judgement:
    """A decision and, for a refused pod that may preempt, what the search for victims came to."""

    decision: Decision
    room: Candidate | Fruitless | None = None


Asking: TypeAlias = Generator[tuple[Ask, ...], tuple[Answer, ...], Judgement]


class Judge:
    """Judges the pods of one cluster. `node_of` gives the object of a node, for extenders that want it
    whole."""

    def __init__(
        self,
        engines: Mapping[str, Scheduler],
        preemption: Preemption,
        nominator: Nominator,
        residents: Residents,
        node_of: Callable[[str], JsonObject | None],
        extenders: Sequence[Extender] = (),
    ) -> None:
        self.extenders = extenders
        self._engines = engines
        self._preemption = preemption
        self._nominator = nominator
        self._residents = residents
        self._yielding = Yielding(nominator)
        self._node_of = node_of

    def judge(self, pod: QueuedPod, args: PreemptionArgs | None) -> Asking:
        """Judge a pod; without `args` nobody has to go for it."""
        extenders = self._interested(pod)
        engine = self._engines[pod.profile]
        wish = PendingPod(pod.key.display, pod.pods)
        if pod.pods.malformed or not engine.nodes.count:
            return Judgement(engine.decide(wish))
        try:
            if extenders or pod.nominated or len(self._nominator):
                decision = yield from self._choose(engine, wish, pod, extenders)
            else:
                decision = engine.decide(wish)
        except ExtenderFault as fault:
            return Judgement(Decision(wish, engine.nodes.count, error=str(fault)))
        if decision.refusal is None or args is None:
            return Judgement(decision)
        room = yield from self._make_room(engine, pod, decision.refusal, args, extenders)
        return Judgement(decision, room)

    def concerned(self, pod: QueuedPod) -> bool:
        """Whether an extender has a say about this pod."""
        return bool(self._interested(pod))

    def binder(self, pod: QueuedPod) -> Extender | None:
        """The extender that binds this pod, if one does."""
        return next((one for one in self._interested(pod) if one.bind_verb), None)

    def _interested(self, pod: QueuedPod) -> list[Extender]:
        if not self.extenders:
            return []
        spec: JsonObject = pod.record.body.get("spec") or {}
        return [one for one in self.extenders if one.interested(spec)]

    def _choose(
        self, engine: Scheduler, wish: PendingPod, pod: QueuedPod, extenders: Sequence[Extender]
    ) -> Generator[tuple[Ask, ...], tuple[Answer, ...], Decision]:
        standing, overlay, mask = self._now(engine, pod)
        if pod.nominated:
            alone = only_node(standing, mask, pod.nominated)
            if alone is not None and not extenders:
                return choose(engine, wish, standing, alone, overlay)
            if alone is not None:
                refused = yield from self._filter(pod, extenders, [pod.nominated])
                standing, overlay, mask = self._now(engine, pod)
                alone = only_node(standing, mask, pod.nominated)
                if alone is not None and not refused.nodes:
                    return choose(engine, wish, standing, alone, overlay)
        if any(one.filter_verb for one in extenders) and mask.any():
            refused = yield from self._filter(pod, extenders, names_of(standing, mask))
            standing, overlay, mask = self._now(engine, pod, refused)
        bonus: dict[str, int] = {}
        if np.count_nonzero(mask) > 1 and any(one.prioritize_verb for one in extenders):
            bonus = yield from self._prioritize(pod, extenders, names_of(standing, mask))
            refused = ExtenderFilter.of(overlay)
            standing, overlay, mask = self._now(engine, pod, refused)
        return choose(engine, wish, standing, mask, overlay, bonus)

    def _now(
        self, engine: Scheduler, pod: QueuedPod, refused: Refusals | None = None
    ) -> tuple[Standing, Overlay, BoolArray]:
        """Where the pod could go as things stand, without the nodes that extenders have refused."""
        standing = engine.standing(pod.pods)
        overlay = self._yielding.overlay(pod, standing)
        if refused is not None and refused.nodes:
            said = ExtenderFilter(refused).overlay(standing)
            mask = feasible(standing, {**said, **overlay})
            # What filters refuse now is theirs to explain.
            said = {
                row: what
                for row, what in said.items()
                if row not in overlay and standing.feasible[standing.place(row)]
            }
            return standing, {**overlay, **said}, mask
        return standing, overlay, feasible(standing, overlay)

    def _filter(
        self, pod: QueuedPod, extenders: Sequence[Extender], names: Sequence[str]
    ) -> Generator[tuple[Ask, ...], tuple[Answer, ...], Refusals]:
        """Ask one extender after the other about the nodes that the ones before it have left."""
        refused = Refusals()
        left = list(names)
        for extender in extenders:
            if not left:
                break
            if not extender.filter_verb:
                continue
            (answer,) = yield (extender.ask_filter(pod, left, self._node_of),)
            try:
                left = extender.read_filter(answer, left, refused)
            except ExtenderFault:
                if not extender.ignorable:
                    raise
        return refused

    def _prioritize(
        self, pod: QueuedPod, extenders: Sequence[Extender], names: Sequence[str]
    ) -> Generator[tuple[Ask, ...], tuple[Answer, ...], dict[str, int]]:
        """Ask all at once; one that gives no sensible answer has no say, and does no harm."""
        scorers = [one for one in extenders if one.prioritize_verb]
        answers = yield tuple(one.ask_prioritize(pod, names, self._node_of) for one in scorers)
        bonus: dict[str, int] = {}
        for extender, answer in zip(scorers, answers, strict=True):
            for node, score in extender.read_prioritize(answer).items():
                bonus[node] = bonus.get(node, 0) + score
        return bonus

    def _make_room(
        self,
        engine: Scheduler,
        pod: QueuedPod,
        refusal: Refusal,
        args: PreemptionArgs,
        extenders: Sequence[Extender],
    ) -> Generator[tuple[Ask, ...], tuple[Answer, ...], Candidate | Fruitless]:
        standing = engine.standing(pod.pods)
        barred = self._preemption.eligible(pod, standing)
        if barred is not None:
            return barred
        turn = crc32(wish_name(pod), engine.seed)
        found = self._preemption.candidates(pod, standing, refusal.refused, args, turn)
        if isinstance(found, Fruitless):
            return found
        for extender in extenders:
            if not extender.preempt_verb:
                continue
            (answer,) = yield (extender.ask_preempt(pod, found),)
            try:
                found = extender.read_preempt(answer, self._residents)
            except ExtenderFault as fault:
                if not extender.ignorable:
                    return Fruitless(str(fault))
            if not found:
                return Fruitless("no candidate node for preemption")
        return min(found, key=attrgetter("rank"))


def wish_name(pod: QueuedPod) -> bytes:
    """What decides among equals, like the name in a decision."""
    return pod.key.display.encode()
