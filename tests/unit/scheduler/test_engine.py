"""The engine: whole decisions, their explanation, and that remembering changes none of them."""

from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nestling.scheduler.engine import PendingPod, Scheduler
from nestling.scheduler.explain import LONGEST_NOTE, note
from nestling.scheduler.framework import Profile, Weighted
from nestling.scheduler.podclass import Classes
from nestling.scheduler.profiles import default_profile
from nestling.scheduler.table import NodeFacts
from unit.scheduler.tables import a_class, facts, requests


def a_scheduler(*nodes: NodeFacts, **options: Any) -> Scheduler:
    scheduler = Scheduler(**options)
    for node in nodes:
        scheduler.nodes.put_node(node)
    return scheduler


def named(*names: str) -> dict[str, Any]:
    terms = [
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]} for name in names
    ]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}


TWO_NAMES = [{"key": "metadata.name", "operator": "In", "values": [name]} for name in "ab"]
CONTRADICTION = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": TWO_NAMES}]}
    }
}


def test_pods_spread_over_equal_nodes() -> None:
    scheduler = a_scheduler(*(facts(f"n{i}") for i in range(10)))
    pods = [PendingPod(f"p{i}", a_class(requests(cpu="1", memory="1Gi"))) for i in range(10)]
    assert len({decision.node for decision in scheduler.place(pods)}) == 10


def test_the_emptier_node_wins_and_the_others_are_named() -> None:
    scheduler = a_scheduler(facts("full"), facts("empty"), facts("half"))
    scheduler.nodes.add_pod("full", a_class(requests(cpu="3", memory="6Gi")))
    scheduler.nodes.add_pod("half", a_class(requests(cpu="2", memory="4Gi")))
    decision = scheduler.decide(PendingPod("p", a_class(requests(cpu="500m", memory="1Gi"))))
    assert decision.node == "empty"
    assert [one.node for one in decision.runners_up] == ["half", "full"]
    assert [one.score for one in decision.runners_up] == [412, 387]
    assert (decision.score, decision.feasible, decision.nodes) == (462, 3, 3)


def test_the_same_question_has_the_same_answer_and_the_seed_decides_among_equals() -> None:
    pod = PendingPod("default/p", a_class())
    nodes = [facts(f"n{i}") for i in range(50)]
    assert len({a_scheduler(*nodes, seed=7).decide(pod).node for _ in range(3)}) == 1
    assert len({a_scheduler(*nodes, seed=seed).decide(pod).node for seed in range(20)}) > 5


def test_a_preferred_label_outweighs_an_emptier_node() -> None:
    wish = {
        "weight": 1,
        "preference": {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]},
    }
    pods = a_class(affinity={"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [wish]}})
    scheduler = a_scheduler(facts("plain"), facts("ssd", labels={"disk": "ssd"}))
    scheduler.nodes.add_pod("ssd", a_class(requests(cpu="3", memory="6Gi")))
    assert scheduler.decide(PendingPod("p", pods)).node == "ssd"


@pytest.mark.parametrize(
    ("pods", "message"),
    [
        pytest.param(
            a_class(requests(cpu="9", memory="99Gi"), tolerations=[{"operator": "Exists"}]),
            "0/3 nodes are available: 3 Insufficient cpu, 3 Insufficient memory.",
            id="a node may count twice",
        ),
        pytest.param(
            a_class(nodeSelector={"zone": "x"}),
            "0/3 nodes are available: 1 node(s) had untolerated taint(s), "
            "2 node(s) didn't match Pod's node affinity/selector.",
            id="the first refusal of each node",
        ),
        pytest.param(
            a_class(affinity=named("tainted")),
            "0/3 nodes are available: 1 node(s) had untolerated taint(s), "
            "2 node(s) didn't satisfy plugin(s) [NodeAffinity].",
            id="narrowed to one node",
        ),
        pytest.param(
            a_class(affinity=named("gone")),
            "0/3 nodes are available: 3 node(s) didn't satisfy plugin(s) [NodeAffinity].",
            id="narrowed to a node that is not there",
        ),
        pytest.param(
            a_class(affinity=CONTRADICTION),
            "0/3 nodes are available: pod affinity terms conflict.",
            id="contradiction",
        ),
    ],
)
def test_the_sentence_is_kube_schedulers(pods: Any, message: str) -> None:
    scheduler = a_scheduler(facts("n1"), facts("n2"), facts("tainted", taints=(("k", "", "NoExecute"),)))
    refusal = scheduler.decide(PendingPod("p", pods)).refusal
    assert refusal is not None
    assert refusal.message == message


def test_counts_sort_as_text_as_the_originals_do() -> None:
    scheduler = a_scheduler(*(facts(f"n{i}") for i in range(10)), facts("a", cpu="64"), facts("b", cpu="64"))
    refusal = scheduler.decide(PendingPod("p", a_class(requests(cpu="32", memory="9Gi")))).refusal
    assert refusal is not None
    assert refusal.message == "0/12 nodes are available: 10 Insufficient cpu, 12 Insufficient memory."
    scheduler.nodes.put_node(facts("a", taints=(("k", "", "NoSchedule"),)))
    scheduler.nodes.put_node(facts("b", taints=(("k", "", "NoSchedule"),)))
    refusal = scheduler.decide(PendingPod("p", a_class(requests(cpu="32")))).refusal
    assert refusal is not None
    assert (
        refusal.message
        == "0/12 nodes are available: 10 Insufficient cpu, 2 node(s) had untolerated taint(s)."
    )


def test_without_nodes_the_sentence_says_so() -> None:
    refusal = a_scheduler().decide(PendingPod("p", a_class())).refusal
    assert refusal is not None
    assert refusal.message == "no nodes available to schedule pods"


def test_the_closest_nodes_are_named_with_what_they_lack() -> None:
    scheduler = a_scheduler(
        *(facts(f"n{i}") for i in range(20)),
        facts("near", memory="64Gi"),
        facts("tainted", cpu="64", taints=(("k", "", "NoSchedule"),)),
    )
    refusal = scheduler.decide(PendingPod("p", a_class(requests(cpu="5", memory="16Gi")))).refusal
    assert refusal is not None
    found = refusal.to_json(attempts=3)
    assert found["attempts"] == 3
    assert found["reasons"][0] == {"reason": "Insufficient cpu", "count": 21}
    assert len(found["best"]) == 5
    assert found["best"][0] == {"node": "near", "reasons": ["Insufficient cpu (wants 5, 4 of 4 free)"]}


def test_a_note_is_cut_where_events_are() -> None:
    assert note("x" * 1024) == "x" * 1024
    assert len(note("x" * 2000)) == LONGEST_NOTE
    assert note("x" * 2000).endswith("x ...")


def test_a_malformed_pod_costs_nobody_else_anything() -> None:
    scheduler = a_scheduler(facts("n1"))
    bad = a_class(requests(cpu="much"))
    decisions = scheduler.place([PendingPod("bad", bad), PendingPod("good", a_class())])
    assert decisions[0].error == (
        "the pod's resources cannot be read: container 'main' requests cpu of 'much', which is not a quantity"
    )
    assert [decision.node for decision in decisions] == ["", "n1"]


SPECS: list[dict[str, Any]] = [
    {"containers": [requests(cpu="100m", memory="200Mi")]},
    {"containers": [requests(cpu="1")]},
    {"containers": [requests(memory="3Gi")]},
    {"containers": [{"name": "main"}]},
    {"containers": [requests(cpu="1")], "nodeSelector": {"zone": "a"}},
    {"containers": [requests(cpu="10m")], "tolerations": [{"key": "soft", "operator": "Exists"}]},
    {"containers": [requests(cpu="10m")], "tolerations": [{"operator": "Exists"}]},
    {"containers": [{"name": "main", "ports": [{"hostPort": 80}]}]},
    {"containers": [{"name": "main", "resources": {"requests": {"x.io/gpu": "1"}}}]},
    {"containers": [requests(cpu="10m")], "affinity": named("n1", "n2")},
    {
        "containers": [requests(cpu="300m")],
        "affinity": {
            "nodeAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "weight": weight,
                        "preference": {
                            "matchExpressions": [{"key": "zone", "operator": "In", "values": [zone]}]
                        },
                    }
                    for weight, zone in ((3, "a"), (7, "b"))
                ]
            }
        },
    },
]


def a_random_node(random: Random, name: str) -> NodeFacts:
    taints = [
        ("soft", "", "PreferNoSchedule"),
        ("softer", "", "PreferNoSchedule"),
        ("hard", "", "NoSchedule"),
    ]
    return facts(
        name,
        cpu=random.choice(["0", "1", "4", "16"]),
        memory=random.choice(["1Gi", "8Gi", "64Gi"]),
        pods=random.choice(["2", "5", "110"]),
        labels={"zone": random.choice("abc")} if random.random() < 0.8 else {},
        taints=tuple(taint for taint in taints if random.random() < 0.2),
        unschedulable=random.random() < 0.1,
        gpus=random.choice(["", "", "2"]),
    )


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_remembering_changes_no_decision_and_no_node_is_overcommitted(seed: int) -> None:
    """Random life of a cluster, told to two schedulers: one keeps standings, one computes all anew."""
    random = Random(seed)
    usual = default_profile()
    # Weights of their own, so that a forgotten one shows.
    profile = Profile(usual.filters, [Weighted(one.plugin, random.randint(1, 9)) for one in usual.scores])
    both = [Scheduler(profile=profile, seed=seed, remember=remember) for remember in (True, False)]
    placed: list[tuple[str, Any]] = []
    classes = Classes()
    for step in range(60):
        name = f"n{random.randrange(12)}"
        match random.choices(["node", "gone", "left", "pods"], [3, 1, 2, 6])[0]:
            case "node":
                node = a_random_node(random, name)
                for scheduler in both:
                    before = scheduler.nodes.facts(name)
                    # A node that shrinks under its pods is overcommitted by its owner, not by us.
                    if before is None and name not in scheduler.nodes.row_of:
                        scheduler.nodes.put_node(node)
                    elif before is not None:
                        kept = NodeFacts(
                            name, before.allocatable, node.labels, node.taints, node.unschedulable
                        )
                        scheduler.nodes.put_node(kept)
            case "gone":
                for scheduler in both:
                    scheduler.nodes.remove_node(name)
            case "left" if placed:
                node_name, pods = placed.pop(random.randrange(len(placed)))
                for scheduler in both:
                    scheduler.nodes.remove_pod(node_name, pods)
            case "pods":
                wishes = [
                    PendingPod(f"p{step}-{i}", classes.of(random.choice(SPECS)))
                    for i in range(random.randint(1, 6))
                ]
                remembered, anew = (scheduler.place(wishes) for scheduler in both)
                assert remembered == anew
                placed += [(one.node, one.pod.pods) for one in anew if one.node]
            case _:
                pass
        nodes = both[0].nodes
        rows = np.flatnonzero(nodes.alive)
        assert (nodes.requested[rows] <= nodes.allocatable[rows]).all()
        assert (nodes.pods[rows] <= nodes.pods_allowed[rows]).all()
        assert all(
            count == 1
            for users in nodes.ports.values()
            for rows_ in users.values()
            for count in rows_.values()
        )
