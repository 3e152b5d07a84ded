"""The offline scheduler: manifests in, verdicts out, and a sentence for what cannot be read."""

from typing import Any

import orjson
import pytest

from builders import a_node, a_pod
from nestling.api.json import JsonObject
from nestling.api.scheduler_configuration import read_configuration
from nestling.scheduler.configuration import Setup
from nestling.scheduler.offline import Verdict, schedule
from unit.scheduler.tables import requests


def node(name: str, cpu: str = "4", **more: Any) -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, **more.pop("metadata", {})},
        "status": {"allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "10"}},
        **more,
    }


def pod(name: str, cpu: str = "1", **spec: Any) -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [requests(cpu=cpu)], **spec},
    }


def where(verdicts: list[Verdict]) -> dict[str, str]:
    return {verdict.name: verdict.node for verdict in verdicts}


def test_a_verdict_has_the_scores_of_every_feasible_node_best_first() -> None:
    nodes = [
        node("small", "2"),
        node("large", "16"),
        node("tainted", spec={"taints": [{"key": "k", "effect": "NoSchedule"}]}),
    ]
    (verdict,) = schedule(nodes, [pod("web")])
    assert verdict.to_json() == {
        "namespace": "default",
        "name": "web",
        "result": "scheduled",
        "message": "Successfully assigned default/web to large",
        "node": "large",
        "nodes": 3,
        "feasible": [
            {
                "node": "large",
                "score": 468,
                "plugins": {
                    "NodeResourcesFit": 95,
                    "NodeResourcesBalancedAllocation": 73,
                    "TaintToleration": 300,
                    "ImageLocality": 0,
                },
            },
            {
                "node": "small",
                "score": 435,
                "plugins": {
                    "NodeResourcesFit": 73,
                    "NodeResourcesBalancedAllocation": 62,
                    "TaintToleration": 300,
                    "ImageLocality": 0,
                },
            },
        ],
        "refused": [
            {
                "node": "tainted",
                "plugin": "TaintToleration",
                "reasons": ["node(s) had untolerated taint(s): k:NoSchedule"],
            }
        ],
        "nominated": "",
        "victims": [],
    }
    assert orjson.loads(orjson.dumps(verdict.to_json())) == verdict.to_json()


def test_each_pod_is_placed_on_top_of_the_ones_before_it() -> None:
    verdicts = schedule([node("n1", "2")], [pod("a"), pod("b"), pod("c")])
    assert where(verdicts) == {"a": "n1", "b": "n1", "c": ""}
    assert verdicts[2].message == (
        "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: "
        "1 No preemption victims found for incoming pod."
    )
    assert verdicts[2].refused[0].reasons == ("Insufficient cpu (wants 1, 0 of 2 free)",)


def test_priority_comes_before_the_order_given() -> None:
    gold = {"metadata": {"name": "gold"}, "value": 9}
    pods = [pod("last"), pod("first", priority=10), pod("second", priorityClassName="gold")]
    assert [verdict.name for verdict in schedule([node("n1")], pods, priority_classes=[gold])] == [
        "first",
        "second",
        "last",
    ]


def test_bound_pods_take_room_and_finished_ones_do_not() -> None:
    done = {**pod("done", "2", nodeName="n1"), "status": {"phase": "Succeeded"}}
    verdicts = schedule([node("n1", "2")], [pod("a", "2"), pod("there", "1", nodeName="n1"), done])
    assert where(verdicts) == {"a": ""}


def test_virtual_kinds_and_lists_are_taken_too() -> None:
    nodes = {"kind": "List", "items": [a_node("n1", cpu="2")]}
    pods = {"kind": "VirtualPodList", "items": [a_pod("web-0", namespace="shop")]}
    (verdict,) = schedule([nodes], [pods])
    assert (verdict.namespace, verdict.name, verdict.node) == ("shop", "web-0", "n1")


def test_a_node_that_says_nothing_of_its_size_has_the_default() -> None:
    bare = {"kind": "VirtualNode", "metadata": {"name": "n1"}}
    sized = {
        "kind": "VirtualNode",
        "metadata": {"name": "n2"},
        "spec": {"capacity": {"cpu": "1", "pods": "5"}},
    }
    assert where(schedule([bare, sized], [pod("large", "32"), pod("larger", "33")])) == {
        "large": "n1",
        "larger": "",
    }


@pytest.mark.parametrize(
    ("given", "result", "says"),
    [
        pytest.param(
            pod("p", schedulingGates=[{"name": "a"}, {"name": "b"}]),
            "gated",
            "waiting for scheduling gates: [a b]",
            id="gated",
        ),
        pytest.param(
            pod("p", schedulerName="other"), "ignored", "left to scheduler 'other'", id="another scheduler"
        ),
        pytest.param(pod("p", "x"), "error", "which is not a quantity", id="junk quantity"),
        pytest.param(
            {"kind": "Deployment", "metadata": {"name": "p"}}, "error", "is not a Pod", id="not a pod"
        ),
        pytest.param({"kind": "Pod"}, "error", "cannot be read", id="no metadata"),
        pytest.param(
            {"kind": "Pod", "metadata": {"name": "p"}, "spec": [1]},
            "error",
            "cannot be read",
            id="spec a list",
        ),
        pytest.param(None, "error", "cannot be read", id="nothing"),
        pytest.param("text", "error", "cannot be read", id="a text"),
        pytest.param(
            pod("p", schedulingGates=5), "gated", "waiting for scheduling gates: [5]", id="gates a number"
        ),
        pytest.param(
            pod("p", priorityClassName=[1], priority="x"), "scheduled", "assigned", id="junk priority"
        ),
        pytest.param(pod("p", affinity="x"), "error", "node affinity cannot be read", id="affinity a text"),
        pytest.param(
            pod("p", nodeSelector={"a": "x" * 150_000}),
            "unschedulable",
            "didn't match",
            id="150 KiB selector",
        ),
    ],
)
def test_what_is_not_placed_gets_its_sentence(given: Any, result: str, says: str) -> None:
    verdicts = schedule([node("n1")], [given, pod("good")])
    verdict = next(one for one in verdicts if one.name != "good")
    assert verdict.result == result
    assert says in verdict.message
    assert len(verdict.message) < 400
    assert where(verdicts)["good"] == "n1"


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(None, id="nothing"),
        pytest.param({}, id="no metadata"),
        pytest.param({"metadata": {"name": "b"}, "status": {"allocatable": 5}}, id="allocatable a number"),
        pytest.param(
            {"metadata": {"name": "b"}, "spec": {"taints": [{"effect": "NoSchedule"}]}},
            id="taint without key",
        ),
        pytest.param({"metadata": {"name": "b", "labels": ["x"]}}, id="labels a list"),
    ],
)
def test_a_node_that_cannot_be_read_is_among_the_refused(broken: Any) -> None:
    (verdict,) = schedule([node("n1"), broken], [pod("p")])
    assert verdict.node == "n1"
    assert "cannot be read" in verdict.refused[0].reasons[0]


def test_the_seed_repeats_the_choice() -> None:
    nodes, pods = [node(f"n{i}") for i in range(20)], [pod("p")]
    assert schedule(nodes, pods, seed=3) == schedule(nodes, pods, seed=3)
    assert len({schedule(nodes, pods, seed=seed)[0].node for seed in range(10)}) > 3


def test_a_pod_names_the_profile_that_judges_it() -> None:
    found = read_configuration(
        {
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "profiles": [
                {"schedulerName": "brave", "plugins": {"filter": {"disabled": [{"name": "TaintToleration"}]}}}
            ],
        }
    )
    tainted = node("n1", spec={"taints": [{"key": "k", "effect": "NoSchedule"}]})
    pods = [pod("plain"), pod("bold", schedulerName="brave")]
    verdicts = {one.name: one for one in schedule([tainted], pods, setup=Setup.of(found))}
    assert verdicts["plain"].result == "ignored"
    assert verdicts["bold"].node == "n1"


def test_who_would_have_to_go_is_named_and_later_pods_leave_the_room_alone() -> None:
    there = pod("low", "4", nodeName="n1")
    verdicts = {
        one.name: one
        for one in schedule(
            [node("n1", "4")], [there, pod("high", "3", priority=9), pod("late", "1", priority=5)]
        )
    }
    high = verdicts["high"]
    assert (high.result, high.nominated, high.victims) == ("unschedulable", "n1", ("default/low",))
    assert high.message.endswith("found a potential placement for pod on node n1, preempting 1 victims")
    assert verdicts["late"].node == ""
