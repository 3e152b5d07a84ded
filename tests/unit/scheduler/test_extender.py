"""Extenders at work: the machine asks, a function answers in their place, and pods go where that leads."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from builders import a_node, a_pod
from nestling.api.json import JsonObject
from nestling.api.kinds import POD
from nestling.machinery.controller import Answer
from nestling.machinery.plan import Ask
from nestling.machinery.records.base import condition
from nestling.scheduler.configuration import Setup
from nestling.scheduler.extender import Extender
from unit.scheduler.a_host import Host
from unit.scheduler.tables import requests

URL = "http://extender.example:8888/scheduler"


def setup(*extenders: Extender) -> Setup:
    return Setup(Setup.plain().profiles, extenders)


def filters(**options: Any) -> Extender:
    return Extender(URL, filter_verb="filter", knows_nodes=True, **options)


def nodes(count: int = 3) -> list[JsonObject]:
    return [a_node(f"n{i}", cpu="4") for i in range(1, count + 1)]


def wants(name: str = "web-0", cpu: str = "1", **spec: Any) -> JsonObject:
    body = {"containers": [requests(cpu=cpu)], **spec}
    return a_pod(name, spec=body, phase="", status={"conditions": []})


def said(host: Host, name: str = "web-0") -> tuple[str, str]:
    found = condition(host.pod(name), "PodScheduled")
    assert found is not None
    return found["reason"], found["message"]


class Service:
    """Answers by verb, and remembers what it was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[tuple[str, JsonObject]] = []

    def __call__(self, ask: Ask) -> Answer:
        verb = ask.url.rpartition("/")[2]
        self.asked.append((verb, orjson.loads(ask.body)))
        answer = self.answers[verb]
        if isinstance(answer, Answer):
            return answer
        if callable(answer):
            answer = answer(self.asked[-1][1])
        return Answer(200, orjson.dumps(answer))


def first_item(asked: JsonObject) -> JsonObject:
    return {"nodes": {"items": [asked["Nodes"]["items"][0]]}}


def all_names(asked: JsonObject) -> JsonObject:
    return {"NodeNames": asked["NodeNames"]}


def only_n1(asked: JsonObject) -> JsonObject:
    kept = [name for name in asked["NodeNames"] if name == "n1"]
    return {"NodeNames": kept, "FailedNodes": {"n2": "no"}}


def run(extender: Extender, service: Callable[[Ask], Answer], *objects: JsonObject) -> Host:
    host = Host(*objects, setup=setup(extender))
    host.extenders = service
    host.run()
    return host


# -- filter --


def test_a_pod_goes_where_its_extender_lets_it() -> None:
    service = Service(filter={"NodeNames": ["n2"], "FailedNodes": {"n1": "no", "n3": "no"}})
    host = run(filters(), service, *nodes(), wants())
    assert host.node_of("web-0") == "n2"
    (asked,) = service.asked
    assert sorted(asked[1]["NodeNames"]) == ["n1", "n2", "n3"]
    assert asked[1]["Nodes"] is None
    assert (asked[1]["Pod"]["kind"], asked[1]["Pod"]["apiVersion"]) == ("Pod", "v1")
    assert asked[1]["Pod"]["metadata"]["name"] == "web-0"


def test_an_extender_without_a_cache_gets_nodes_whole() -> None:
    service = Service(filter=first_item)
    host = run(Extender(URL, filter_verb="filter"), service, *nodes(), wants())
    listed = service.asked[0][1]["Nodes"]
    assert listed["kind"] == "NodeList"
    assert {item["kind"] for item in listed["items"]} == {"Node"}
    assert host.node_of("web-0") == listed["items"][0]["metadata"]["name"]


def test_only_nodes_that_passed_are_asked_about() -> None:
    service = Service(filter=all_names)
    run(filters(), service, a_node("big", cpu="4"), a_node("small", cpu="1"), wants(cpu="2"))
    assert service.asked[0][1]["NodeNames"] == ["big"]


def test_extenders_are_asked_one_after_the_other() -> None:
    first = Extender("http://a", filter_verb="first", knows_nodes=True)
    second = Extender("http://b", filter_verb="second", knows_nodes=True)
    service = Service(first={"NodeNames": ["n1", "n2"]}, second={"NodeNames": ["n2"]})
    host = Host(*nodes(), wants(), setup=setup(first, second))
    host.extenders = service
    host.run()
    assert [verb for verb, _ in service.asked] == ["first", "second"]
    assert sorted(service.asked[1][1]["NodeNames"]) == ["n1", "n2"]
    assert host.node_of("web-0") == "n2"


def test_refusals_are_in_the_sentence_and_any_event_makes_it_ask_again() -> None:
    service = Service(
        filter={
            "NodeNames": [],
            "FailedNodes": {"n1": "no licence", "n2": "no licence"},
            "FailedAndUnresolvableNodes": {"n2": "wrong rack"},
        }
    )
    host = run(filters(), service, *nodes(2), wants())
    assert said(host) == (
        "Unschedulable",
        (
            "0/2 nodes are available: 1 no licence, 1 wrong rack. preemption: 0/2 nodes are available: "
            "1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling."
        ),
    )
    assert len(service.asked) == 1
    host.clock.advance(301)
    service.answers["filter"] = {"NodeNames": ["n1"]}
    host.put(a_node("n9", cpu="0"))
    host.run()
    assert host.node_of("web-0") == "n1"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        pytest.param(
            Answer(error=f'Post "{URL}/filter": connection refused'),
            f'Post "{URL}/filter": connection refused',
            id="dead",
        ),
        pytest.param(Answer(503), f"failed filter with extender at URL {URL}/filter, code 503", id="code"),
        pytest.param(
            Answer(200, b"<html>"),
            f"extender {URL} answered to filter with something unreadable",
            id="nonsense",
        ),
        pytest.param({"Error": "my database is gone"}, "my database is gone", id="its own word"),
        pytest.param(
            {"NodeNames": ["n7"]},
            f'extender "{URL}" claims a filtered node "n7" which is not found in the input node list',
            id="a node that nobody named",
        ),
    ],
)
def test_an_extender_in_trouble_costs_its_pods_a_sentence(answer: Any, message: str) -> None:
    host = run(filters(), Service(filter=answer), *nodes(), wants())
    assert said(host) == ("SchedulerError", message)
    assert [event.message for event in host.events] == [message]
    assert host.node_of("web-0") == ""


def test_a_dead_extender_is_no_spin_and_its_pods_go_when_it_is_back() -> None:
    service = Service(filter=Answer(error="dead"))
    host = run(filters(), service, *nodes(), wants())
    for _ in range(60):
        host.clock.advance(1)
        host.run()
    assert 5 <= len(service.asked) <= 12  # 1, 2, 4, 8, 10, 10, ... seconds apart
    assert len(host.events) == 1
    service.answers["filter"] = {"NodeNames": ["n1"]}
    host.clock.advance(12)
    host.run()
    assert host.node_of("web-0") == "n1"


def test_one_that_may_be_ignored_is() -> None:
    host = run(filters(ignorable=True), Service(filter=Answer(error="dead")), *nodes(), wants())
    assert host.node_of("web-0") != ""


def test_pods_that_are_not_its_business_do_not_wait_for_it() -> None:
    asked: list[Ask] = []

    def never(ask: Ask) -> Answer:
        asked.append(ask)
        return Answer(error="dead")

    gpu = {"name": "main", "resources": {"limits": {"x.io/gpu": "1"}}}
    extender = filters(managed=frozenset({"x.io/gpu"}))
    host = Host(*nodes(), wants("plain"), setup=setup(extender))
    host.put(
        a_node(
            "g", cpu="4", status={"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "9", "x.io/gpu": "1"}}
        )
    )
    host.put(a_pod("gpu", spec={"containers": [gpu]}, phase="", status={"conditions": []}))
    host.extenders = never
    host.run()
    assert host.node_of("plain") != ""
    assert len(asked) == 1
    assert said(host, "gpu") == ("SchedulerError", "dead")


def test_a_pod_in_consultation_does_not_hold_up_the_others() -> None:
    gpu = {"name": "main", "resources": {"requests": {"x.io/gpu": "0"}}}
    extender = filters(managed=frozenset({"x.io/gpu"}))
    objects = [
        a_pod(f"g{i}", spec={"containers": [gpu]}, phase="", status={"conditions": []}) for i in range(2)
    ]
    host = Host(*nodes(), *objects, wants("plain"), setup=setup(extender))
    plans = host.step()
    assert [bool(plan.asks) for plan in plans] == [True, False]  # the second one waits in line
    assert host.step() == []
    host.extenders = Service(filter={"NodeNames": ["n1"]})
    for plan in plans:
        host.carry_out(plan)
    host.run()
    assert [host.node_of(name) for name in ("g0", "g1")] == ["n1", "n1"]
    assert host.node_of("plain") != ""


def test_what_happens_while_an_extender_thinks_is_not_lost() -> None:
    host = Host(*nodes(2), wants(cpu="3"), setup=setup(filters()))
    host.extenders = Service(filter=only_n1)
    (plan,) = host.step()
    host.put(a_pod("other", node="n1", spec={"containers": [requests(cpu="2")]}))
    host.carry_out(plan)
    host.run()
    assert host.node_of("web-0") == ""
    reason, message = said(host)
    assert reason == "Unschedulable"
    assert "1 Insufficient cpu, 1 no." in message


def test_a_pod_that_goes_while_its_extender_thinks_is_forgotten() -> None:
    host = Host(*nodes(), wants("a"), wants("b"), setup=setup(filters()))
    host.extenders = Service(filter={"NodeNames": ["n1"]})
    (plan,) = host.step()
    host.delete(POD, "a")
    host.carry_out(plan)
    host.run()
    assert host.node_of("b") == "n1"
    assert host.run() == 0


# -- prioritize --


def test_scores_of_extenders_are_added_with_their_weight() -> None:
    extender = Extender(URL, prioritize_verb="prioritize", weight=5, knows_nodes=True)
    service = Service(
        prioritize=[{"Host": "n1", "Score": 0}, {"Host": "n2", "Score": 10}, {"Host": "n3", "Score": 1}]
    )
    host = run(extender, service, *nodes(), wants())
    assert host.node_of("web-0") == "n2"
    placed = orjson.loads(host.pod("web-0")["metadata"]["annotations"]["nestling.dev/scheduling"])
    scores = {one["plugin"]: one["score"] for one in placed["scores"]}
    assert scores.pop("Extender") == 10 * 5 * 10
    plain = sum(scores.values())
    assert placed["score"] == plain + 10 * 5 * 10
    assert [one["score"] - plain for one in placed["best"]] == [50, 0]


@pytest.mark.parametrize(
    "answer", [Answer(error="dead"), Answer(500), {"no": "list"}, [{"Host": 1, "Score": "x"}]]
)
def test_without_sensible_scores_the_own_ones_decide(answer: Any) -> None:
    extender = Extender(URL, prioritize_verb="prioritize", weight=5, knows_nodes=True)
    assert run(extender, Service(prioritize=answer), *nodes(), wants()).node_of("web-0") != ""


def test_a_single_node_needs_no_scores() -> None:
    extender = Extender(URL, prioritize_verb="prioritize", weight=5, knows_nodes=True)
    service = Service(prioritize=[])
    run(extender, service, *nodes(1), wants())
    assert service.asked == []


# -- preempt --


def low(name: str, on: str) -> JsonObject:
    return a_pod(
        name, node=on, phase="Running", spec={"containers": [requests(cpu="4")]}, finalizers=["x.io/keep"]
    )


def test_an_extender_chooses_among_the_nodes_to_make_room_on() -> None:
    extender = Extender(URL, preempt_verb="preempt", knows_nodes=True)
    service = Service(preempt={"NodeNameToMetaVictims": {"n2": {"Pods": [{"UID": "uid-pod-b"}]}}})
    host = run(extender, service, *nodes(2), low("a", "n1"), low("b", "n2"), wants(cpu="4", priority=9))
    assert host.deleted == ["b"]
    asked = service.asked[0][1]
    assert asked["NodeNameToVictims"] is None
    assert asked["NodeNameToMetaVictims"] == {
        "n1": {"Pods": [{"UID": "uid-pod-a"}], "NumPDBViolations": 0},
        "n2": {"Pods": [{"UID": "uid-pod-b"}], "NumPDBViolations": 0},
    }


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        pytest.param(Answer(error="dead"), "dead", id="dead"),
        pytest.param(
            {"NodeNameToMetaVictims": {"n1": {"Pods": []}}},
            'expected at least one victim pod on node "n1"',
            id="nobody",
        ),
        pytest.param({"NodeNameToMetaVictims": {}}, "no candidate node for preemption", id="nowhere"),
        pytest.param(
            {"NodeNameToMetaVictims": {"n1": {"Pods": [{"UID": "x"}]}}},
            f"extender: {URL} claims to preempt pod (UID: x) on node: n1, "
            "but the pod is not found on that node",
            id="a stranger",
        ),
    ],
)
def test_without_its_consent_nobody_has_to_go(answer: Any, why: str) -> None:
    extender = Extender(URL, preempt_verb="preempt", knows_nodes=True)
    host = run(extender, Service(preempt=answer), *nodes(1), low("a", "n1"), wants(cpu="4", priority=9))
    assert host.deleted == []
    assert said(host)[1] == f"0/1 nodes are available: 1 Insufficient cpu. preemption: {why}"


# -- bind --


def test_an_extender_that_binds_is_asked_to_and_the_bind_is_not_done_twice() -> None:
    extender = Extender(URL, bind_verb="bind")
    service = Service(bind={})
    host = run(extender, service, *nodes(1), wants())
    assert service.asked == [
        ("bind", {"PodName": "web-0", "PodNamespace": "default", "PodUID": "uid-pod-web-0", "Node": "n1"})
    ]
    assert host.patches == []
    assert [event.reason for event in host.events] == ["Scheduled"]
    host.edit(POD, "web-0", {"spec": {"nodeName": "n1"}})  # as the extender does
    host.clock.advance(60)
    assert host.run() == 0


def test_a_bind_that_it_refuses_is_told_and_tried_again() -> None:
    extender = Extender(URL, bind_verb="bind")
    service = Service(bind={"Error": "no"})
    host = run(extender, service, *nodes(1), wants())
    assert said(host) == ("SchedulerError", "binding rejected: no")
    assert not host.machine.lanes()[0].state.nodes.pods.any()
    service.answers["bind"] = {}
    host.clock.advance(3)
    host.run()
    assert [event.reason for event in host.events] == ["FailedScheduling", "Scheduled"]


def test_a_binder_that_may_be_ignored_is_replaced() -> None:
    extender = Extender(URL, bind_verb="bind", ignorable=True)
    host = run(extender, Service(bind=Answer(error="dead")), *nodes(1), wants())
    assert host.node_of("web-0") == "n1"
