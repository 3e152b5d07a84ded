"""Our side: the engine as a library, fed with the manifests that the API server keeps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import orjson

from nestling.api.json import JsonObject
from nestling.api.selector import Selector
from nestling.machinery.controller import Answer
from nestling.machinery.names import host_name
from nestling.machinery.plan import Ask
from nestling.machinery.records.budget import PodDisruptionBudget
from nestling.machinery.records.pod import Pod
from nestling.scheduler.budgets import Budgets
from nestling.scheduler.engine import PendingPod, Scheduler
from nestling.scheduler.explain import Refusal
from nestling.scheduler.extender import Extender
from nestling.scheduler.framework import DEFAULT_SCHEDULER, Profile
from nestling.scheduler.judge import Judge
from nestling.scheduler.nodes import images_of, read_taints
from nestling.scheduler.nominator import Nominator
from nestling.scheduler.plans import SCHEDULER_ERROR, UNSCHEDULABLE
from nestling.scheduler.plugins.default_preemption import DefaultPreemption
from nestling.scheduler.podclass import PodClass
from nestling.scheduler.preemption import Candidate, Fruitless, Preemption, PreemptionArgs
from nestling.scheduler.profiles import default_profile
from nestling.scheduler.queue import QueuedPod
from nestling.scheduler.residents import Resident, Residents
from nestling.scheduler.resources import allocatable
from nestling.scheduler.table import NodeFacts

# Plugins of kube-scheduler's defaults that decide something about the kinds that we have.
JUDGED: Final = ("PodTopologySpread", "InterPodAffinity", "ImageLocality", "DefaultPreemption")
# Looks at every node, so that chance does not decide which candidates there are.
EVERYWHERE: Final = PreemptionArgs(percentage=100, absolute=1000)


def lacking() -> frozenset[str]:
    """Which of kube-scheduler's plugins we do not have: the judge must do without them."""
    profile = default_profile()
    have = {*profile.by_name, *(one.plugin.name for one in profile.scores), DefaultPreemption.name}
    return frozenset(JUDGED) - have


@dataclass(frozen=True, slots=True)
class Judgement:
    """Our view of one pod: every node that would do with its score, or the sentence that says why none.

    `rooms` are the nodes where others could make room, with what kube-scheduler says when it takes that one.
    """

    scores: dict[str, int]
    message: str = ""
    rooms: dict[str, tuple[Candidate, str]] = field(default_factory=dict[str, "tuple[Candidate, str]"])
    reason: str = UNSCHEDULABLE

    @property
    def best(self) -> set[str]:
        """The nodes of the highest score."""
        top = max(self.scores.values(), default=0)
        return {node for node, score in self.scores.items() if score == top}

    @property
    def best_rooms(self) -> set[str]:
        """The nodes where making room costs least."""
        least = min((room.rank for room, _ in self.rooms.values()), default=())
        return {node for node, (room, _) in self.rooms.items() if room.rank == least}


class Ours:
    """A cluster in our engine. `extenders` are asked too, if there are any, and `answer` for themselves."""

    def __init__(
        self,
        profile: Profile | None = None,
        extenders: Sequence[Extender] = (),
        answer: Callable[[Ask], Answer] | None = None,
    ) -> None:
        self.engine = Scheduler(profile=profile)
        self._extenders = extenders
        self._answer = answer
        self._nodes: dict[str, JsonObject] = {}
        self._left: set[str] = set()
        """The nodes that extenders have left to the last pod."""
        self.residents = Residents()
        self.nominator = Nominator()
        self.budgets = Budgets()
        self.preemption = Preemption(self.residents, self.nominator, self.budgets)

    def put_namespace(self, name: str, labels: Mapping[str, str]) -> None:
        """Add a namespace."""
        self.engine.nodes.peers.put_namespace(name, labels)

    def put_owner(self, owner: JsonObject) -> None:
        """Add a Service or a workload."""
        kind, meta, selector = owner["kind"], owner["metadata"], owner["spec"].get("selector")
        peers = self.engine.nodes.peers
        if kind == "Service":
            peers.put_service(meta["namespace"], meta["name"], Selector.from_labels(selector))
        elif kind == "ReplicationController":
            peers.put_workload(kind, meta["namespace"], meta["name"], Selector.from_labels(selector))
        else:
            peers.put_workload(kind, meta["namespace"], meta["name"], Selector.from_json(selector))

    def put_budget(self, budget: JsonObject) -> None:
        """Add a disruption budget."""
        record = PodDisruptionBudget.read(_virtual(budget))
        self.budgets.put(record.key, record)

    def put_node(self, node: JsonObject) -> None:
        """Add a node."""
        meta, spec = node["metadata"], node["spec"]
        self._nodes[meta["name"]] = node
        room = allocatable(node["status"].get("allocatable") or {})
        unschedulable = bool(spec.get("unschedulable"))
        self.engine.nodes.put_node(
            NodeFacts(
                meta["name"],
                room,
                meta.get("labels") or {},
                read_taints(spec),
                unschedulable,
                images_of(node["status"]),
            )
        )

    def add_pod(self, pod: JsonObject) -> None:
        """Count a bound pod."""
        node, pods, record = pod["spec"]["nodeName"], self._class(pod, bound=True), Pod.read(_virtual(pod))
        self.engine.nodes.add_pod(node, pods)
        self.residents.add(Resident(record, node, pods, record.priority))

    def remove_pod(self, pod: JsonObject) -> None:
        """Count it no longer."""
        self.engine.nodes.remove_pod(pod["spec"]["nodeName"], self._class(pod, bound=True))
        self.residents.remove(Pod.read(_virtual(pod)).key)

    def judge(self, pod: JsonObject) -> Judgement:
        """Our verdict, checked against what `decide` makes of it."""
        meta = pod["metadata"]
        wish = PendingPod(f"{meta['namespace']}/{meta['name']}", self._class(pod))
        if self._extenders:
            return self._judge_asking(pod, wish)
        decision = self.engine.decide(wish)
        if decision.error:
            return Judgement({}, decision.error, reason=SCHEDULER_ERROR)
        if decision.refusal is not None:
            return self._make_room(pod, wish, decision.refusal)
        standing = self.engine.standing(wish.pods)
        found = Judgement(
            {
                standing.nodes.names[standing.row(place)]: int(standing.total[place])
                for place in standing.feasible.nonzero()[0].tolist()
            }
        )
        assert decision.node in found.best
        return found

    def _judge_asking(self, pod: JsonObject, wish: PendingPod) -> Judgement:
        """Our verdict with extenders, without preemption; only the best nodes' scores are known."""
        assert self._answer is not None
        judge = Judge(
            {DEFAULT_SCHEDULER: self.engine},
            self.preemption,
            self.nominator,
            self.residents,
            self._nodes.get,
            self._extenders,
        )
        asking = judge.judge(_queued(pod, wish), None)
        considered: list[str] = []
        try:
            asks = next(asking)
            while True:
                considered = [name for ask in asks for name in _names_in(ask)] or considered
                asks = asking.send(tuple(map(self._answer, asks)))
        except StopIteration as end:
            decision = end.value.decision
        if decision.error:
            return Judgement({}, decision.error, reason=SCHEDULER_ERROR)
        if decision.refusal is not None:
            return Judgement({}, decision.refusal.message)
        if decision.feasible == 1:
            return Judgement({decision.node: decision.score})
        scored = {one.node: one.score for one in decision.runners_up}
        found = {**dict.fromkeys(considered, 0), **scored, decision.node: decision.score}
        assert len(found) == decision.feasible
        assert decision.shares is not None
        assert sum(decision.shares.values()) == decision.score
        self._left = {*found}
        return Judgement(found)

    def _make_room(self, pod: JsonObject, wish: PendingPod, refusal: Refusal) -> Judgement:
        if "DefaultPreemption" in lacking() or not self.engine.nodes.count:
            return Judgement({}, refusal.message)
        queued = _queued(pod, wish)
        standing = self.engine.standing(wish.pods)
        found = self.preemption.eligible(queued, standing) or self.preemption.candidates(
            queued, standing, refusal.refused, EVERYWHERE, 0
        )
        if isinstance(found, Fruitless):
            return Judgement({}, refusal.and_then(found.message).message)
        rooms: dict[str, tuple[Candidate, str]] = {}
        for room in found:
            said = (
                f"found a potential placement for pod on node {room.node}, "
                f"preempting {len(room.victims)} victims"
            )
            rooms[room.node] = room, refusal.and_then(said).message
        return Judgement({}, refusal.message, rooms)

    def _class(self, pod: JsonObject, *, bound: bool = False) -> PodClass:
        meta = pod["metadata"]
        return self.engine.classes.of(pod["spec"], meta=meta, namespace=meta["namespace"], bound=bound)

    def shares(self, pod: JsonObject, node: str) -> dict[str, int]:
        """What each plugin gave a node that would do."""
        standing = self.engine.standing(self._class(pod))
        names = [standing.nodes.names[standing.row(place)] for place in range(len(standing.feasible))]
        for place in standing.feasible.nonzero()[0].tolist():
            if names[place] == node and self._extenders:
                left = np.array([name in self._left for name in names])
                return standing.shares_over(place, standing.feasible & left)
            if names[place] == node:
                return standing.shares(place)
        return {}


def _queued(pod: JsonObject, wish: PendingPod) -> QueuedPod:
    spec = pod["spec"]
    return QueuedPod(
        Pod.read(_virtual(pod)),
        wish.pods,
        spec.get("priority") or 0,
        0.0,
        preempts=spec.get("preemptionPolicy") != "Never",
    )


def _names_in(ask: Ask) -> list[str]:
    """The nodes that a prioritizing extender which knows them by name is asked about."""
    return (orjson.loads(ask.body)["NodeNames"] or []) if ask.url.endswith("/prioritize") else []


def _virtual(native: JsonObject) -> JsonObject:
    """The object as it would be in a virtual cluster."""
    meta = native["metadata"]
    name = host_name(meta["namespace"], meta["name"])
    return {**native, "metadata": {**meta, "namespace": "virtual", "name": name}}
