"""Standings are exact: a random life of a cluster, told to a scheduler that remembers and one that forgets.

Everything in it: taints, labels, images, ports, affinity to nodes and pods, spread, services, namespaces,
pods that leave, change their labels or are on their way out.
"""

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from nestling.api.json import JsonObject
from nestling.api.selector import Selector
from nestling.scheduler.engine import PendingPod, Scheduler
from nestling.scheduler.framework import Profile, Weighted
from nestling.scheduler.nodes import images_of, read_taints
from nestling.scheduler.podclass import Classes, PodClass
from nestling.scheduler.profiles import default_profile
from nestling.scheduler.resources import allocatable
from nestling.scheduler.table import NodeFacts
from unit.scheduler.draw import NAMESPACES, Draw


class Life:
    """One cluster, known to two schedulers."""

    def __init__(self, seed: int) -> None:
        self.draw = Draw(seed)
        self.random = Random(seed)
        usual = default_profile()
        # Weights of their own, so that a forgotten one shows.
        weighed = [Weighted(one.plugin, self.random.randint(1, 9)) for one in usual.scores]
        profile = Profile(usual.filters, weighed)
        self.both = [Scheduler(profile=profile, seed=seed, remember=remember) for remember in (True, False)]
        self.classes = Classes()
        self.names = [f"n{i}" for i in range(self.random.randint(2, 12))]
        self.templates = [self._template(i) for i in range(6)]
        self.placed: list[tuple[str, PodClass, JsonObject]] = []
        self.pods = 0

    def _template(self, number: int) -> JsonObject:
        self.draw.roomy = self.random.random() < 0.8
        return self.draw.a_pod(f"t{number}", self.names)

    def class_of(self, pod: JsonObject, *, bound: bool = False) -> PodClass:
        meta = pod["metadata"]
        return self.classes.of(pod["spec"], meta=meta, namespace=meta["namespace"], bound=bound)

    def node(self) -> None:
        self.draw.roomy = self.random.random() < 0.8
        node = self.draw.a_node(self.random.choice(self.names))
        meta, spec, status = node["metadata"], node["spec"], node["status"]
        room = allocatable(status["allocatable"])
        taints, images = read_taints(spec), images_of(status)
        facts = NodeFacts(meta["name"], room, meta["labels"], taints, spec["unschedulable"], images)
        for scheduler in self.both:
            scheduler.nodes.put_node(facts)

    def images(self) -> None:
        name = self.random.choice(self.names)
        images = images_of(self.draw.a_node(name)["status"])
        for scheduler in self.both:
            before = scheduler.nodes.facts(name)
            if before is not None:
                facts = (before.allocatable, before.labels, before.taints, before.unschedulable)
                scheduler.nodes.put_node(NodeFacts(name, *facts, images))

    def gone(self) -> None:
        name = self.random.choice(self.names)
        for scheduler in self.both:
            scheduler.nodes.remove_node(name)

    def left(self) -> None:
        if self.placed:
            node, pods, _ = self.placed.pop(self.random.randrange(len(self.placed)))
            for scheduler in self.both:
                scheduler.nodes.remove_pod(node, pods)

    def changed(self) -> None:
        """A pod gets another label, or is on its way out."""
        if not self.placed:
            return
        place = self.random.randrange(len(self.placed))
        node, before, pod = self.placed[place]
        meta: dict[str, Any] = dict(pod["metadata"])
        if self.random.random() < 0.5:
            meta["deletionTimestamp"] = "2027-01-15T08:00:00Z"
        else:
            meta["labels"] = {"app": self.random.choice("xyz"), "tier": "1"}
        pod = {**pod, "metadata": meta}
        after = self.class_of(pod, bound=True)
        for scheduler in self.both:
            scheduler.nodes.remove_pod(node, before)
            scheduler.nodes.add_pod(node, after)
        self.placed[place] = (node, after, pod)

    def others(self) -> None:
        """A namespace, service or workload comes, changes or goes."""
        name = self.random.choice(NAMESPACES)
        labels = self.draw.some_labels(("team", "ab"))
        selector = Selector.from_labels(self.draw.some_labels(("app", "xyz"), ("tier", "12")))
        kind, owner = self.random.choice([("ReplicaSet", "web"), ("StatefulSet", "db")])
        gone = self.random.random() < 0.3
        workload = None if gone else Selector.from_json(self.draw.a_selector())
        match self.random.randrange(3):
            case 0:
                for scheduler in self.both:
                    scheduler.nodes.peers.put_namespace(name, None if gone else labels)
            case 1:
                for scheduler in self.both:
                    scheduler.nodes.peers.put_service(name, "s", None if gone else selector)
            case _:
                for scheduler in self.both:
                    scheduler.nodes.peers.put_workload(kind, name, owner, workload)

    def place(self) -> None:
        wishes: list[PendingPod] = []
        bodies: dict[str, JsonObject] = {}
        for _ in range(self.random.randint(1, 6)):
            self.pods += 1
            template = self.random.choice(self.templates)
            labels = dict(template["metadata"]["labels"])
            if self.random.random() < 0.3:
                labels["pod-index"] = str(self.pods)  # as the pods of a StatefulSet have
            pod = {**template, "metadata": {**template["metadata"], "labels": labels}}
            bodies[f"p{self.pods}"] = pod
            wishes.append(PendingPod(f"p{self.pods}", self.class_of(pod)))
        remembered, anew = (scheduler.place(wishes) for scheduler in self.both)
        assert remembered == anew
        self.placed += [(one.node, one.pod.pods, bodies[one.pod.name]) for one in anew if one.node]


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_remembering_changes_no_decision_whatever_happens(seed: int) -> None:
    life = Life(seed)
    steps = [life.node, life.images, life.gone, life.left, life.changed, life.others, life.place]
    for _ in range(6):
        life.node()
    for _ in range(40):
        life.random.choices(steps, [3, 1, 1, 3, 2, 2, 8])[0]()
