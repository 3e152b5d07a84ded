"""Our side: the engine as a library, fed with the manifests that the API server keeps."""

from dataclasses import dataclass
from typing import Final

from nestling.api.json import JsonObject
from nestling.scheduler.engine import PendingPod, Scheduler
from nestling.scheduler.framework import Profile
from nestling.scheduler.nodes import read_taints
from nestling.scheduler.podclass import PodClass
from nestling.scheduler.profiles import default_profile
from nestling.scheduler.resources import allocatable
from nestling.scheduler.table import NodeFacts

# Plugins of kube-scheduler's defaults that decide something about the kinds that we have.
JUDGED: Final = ("PodTopologySpread", "InterPodAffinity", "ImageLocality", "DefaultPreemption")


def lacking() -> frozenset[str]:
    """Which of kube-scheduler's plugins we do not have: the judge must do without them."""
    profile = default_profile()
    have = {*profile.by_name, *(one.plugin.name for one in profile.scores)}
    return frozenset(JUDGED) - have


@dataclass(frozen=True, slots=True)
class Judgement:
    """Our view of one pod: every node that would do with its score, or the sentence that says why none."""

    scores: dict[str, int]
    message: str = ""

    @property
    def best(self) -> set[str]:
        """The nodes of the highest score."""
        top = max(self.scores.values(), default=0)
        return {node for node, score in self.scores.items() if score == top}


class Ours:
    """A cluster in our engine."""

    def __init__(self, profile: Profile | None = None) -> None:
        self.engine = Scheduler(profile=profile)

    def put_node(self, node: JsonObject) -> None:
        """Add a node."""
        meta, spec = node["metadata"], node["spec"]
        room = allocatable(node["status"]["allocatable"])
        unschedulable = bool(spec.get("unschedulable"))
        self.engine.nodes.put_node(
            NodeFacts(meta["name"], room, meta.get("labels") or {}, read_taints(spec), unschedulable)
        )

    def add_pod(self, pod: JsonObject) -> None:
        """Count a bound pod."""
        self.engine.nodes.add_pod(pod["spec"]["nodeName"], self._class(pod, bound=True))

    def remove_pod(self, pod: JsonObject) -> None:
        """Count it no longer."""
        self.engine.nodes.remove_pod(pod["spec"]["nodeName"], self._class(pod, bound=True))

    def judge(self, pod: JsonObject) -> Judgement:
        """Our verdict, checked against what `decide` makes of it."""
        meta = pod["metadata"]
        wish = PendingPod(f"{meta['namespace']}/{meta['name']}", self._class(pod))
        decision = self.engine.decide(wish)
        if decision.error:
            return Judgement({}, f"error: {decision.error}")
        if decision.refusal is not None:
            return Judgement({}, decision.refusal.message)
        standing = self.engine.standing(wish.pods)
        found = Judgement(
            {
                standing.nodes.names[standing.row(place)]: int(standing.total[place])
                for place in standing.feasible.nonzero()[0].tolist()
            }
        )
        assert decision.node in found.best
        return found

    def _class(self, pod: JsonObject, *, bound: bool = False) -> PodClass:
        meta = pod["metadata"]
        return self.engine.classes.of(pod["spec"], meta=meta, namespace=meta["namespace"], bound=bound)

    def shares(self, pod: JsonObject, node: str) -> dict[str, int]:
        """What each plugin gave a node that would do."""
        standing = self.engine.standing(self._class(pod))
        for place in standing.feasible.nonzero()[0].tolist():
            if standing.nodes.names[standing.row(place)] == node:
                return standing.shares(place)
        return {}
