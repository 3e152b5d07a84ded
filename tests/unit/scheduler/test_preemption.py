"""Making room: who may, whom it costs, where, and how it goes on whatever happens in between.

The messages, the order of choices and the conditions are kube-scheduler's.
"""

from collections.abc import Callable
from typing import Any

import pytest

from builders import NOW, a_condition, a_node, a_pod, an_object
from nestling.api.json import JsonObject
from nestling.api.kinds import NODE, POD, POD_DISRUPTION_BUDGET, PRIORITY_CLASS
from nestling.machinery.clock import timestamp
from nestling.machinery.controller import Outcome
from nestling.machinery.errors import Conflict, Refused, Unavailable
from nestling.machinery.plan import Delete, Patch, Plan
from nestling.machinery.records.base import condition
from nestling.machinery.records.pod import KUBELET_FINALIZER
from unit.scheduler.a_host import Host
from unit.scheduler.tables import requests

NOT_HELPFUL = "Preemption is not helpful for scheduling"
NO_VICTIMS = "No preemption victims found for incoming pod"


def node(name: str, cpu: str = "4", **more: Any) -> JsonObject:
    return a_node(name, cpu=cpu, memory="16Gi", **more)


def runs(
    name: str, on: str, cpu: str = "1", *, priority: int = 0, since: float | None = 0.0, **more: Any
) -> JsonObject:
    """A pod that its kubelet has started `since` seconds after everybody's birth."""
    status = {} if since is None else {"startTime": timestamp(NOW - 1000 + since)}
    spec = {"containers": [requests(cpu=cpu)], "priority": priority, **more.pop("spec", {})}
    more.setdefault("finalizers", [KUBELET_FINALIZER])
    return a_pod(name, node=on, phase="Running", spec=spec, status=status, **more)


def wants(name: str, cpu: str = "4", *, priority: int = 100, **more: Any) -> JsonObject:
    spec = {"containers": [requests(cpu=cpu)], "priority": priority, **more.pop("spec", {})}
    return a_pod(name, spec=spec, phase="", status={"conditions": []}, **more)


def budget(
    name: str, allowed: int, selector: JsonObject | None, *, namespace: str = "default", **status: Any
) -> JsonObject:
    spec = {"selector": selector} if selector is not None else {}
    status["disruptionsAllowed"] = allowed
    return an_object(POD_DISRUPTION_BUDGET, name, namespace=namespace, spec=spec, status=status)


def said(host: Host, name: str) -> str:
    found = condition(host.pod(name), "PodScheduled")
    assert found is not None
    return found["message"]


def nominated(host: Host, name: str) -> str:
    return host.pod(name)["status"].get("nominatedNodeName") or ""


def messages(host: Host, reason: str) -> list[tuple[str, str]]:
    return [(event.key.name, event.message) for event in host.events if event.reason == reason]


# -- the course of it --


def test_a_more_important_pod_gets_the_room_of_a_lesser_one() -> None:
    host = Host(node("n1"), runs("low", "n1", "3"), wants("high", "3"))
    host.run()
    message = (
        "0/1 nodes are available: 1 Insufficient cpu. preemption: found a potential placement for pod "
        "on node n1, preempting 1 victims"
    )
    assert said(host, "high") == message
    assert nominated(host, "high") == "n1"
    assert condition(host.pod("low"), "DisruptionTarget") == {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "PreemptionByScheduler",
        "message": "default-scheduler: preempting to accommodate a higher priority pod",
        "lastProbeTime": None,
        "lastTransitionTime": timestamp(NOW),
        "observedGeneration": 1,
    }
    assert "deletionTimestamp" in host.pod("low")["metadata"]
    assert [(e.type, e.reason, e.message, e.action, e.component) for e in host.events] == [
        ("Warning", "FailedScheduling", message, "Scheduling", "default-scheduler"),
        (
            "Normal",
            "Preempted",
            "Preempted by pod uid-pod-high on node n1",
            "Preempting",
            "default-scheduler",
        ),
    ]
    assert host.node_of("high") == ""
    host.reap()
    host.run()
    assert host.node_of("high") == "n1"


def test_it_waits_for_its_victims_without_asking_for_more() -> None:
    host = Host(node("n1"), node("n2"), runs("a", "n1", "3"), runs("b", "n2", "3"), wants("high", "3"))
    host.run()
    assert len(host.deleted) == 1
    host.edit(NODE, "n1" if nominated(host, "high") == "n2" else "n2", {"metadata": {"labels": {"x": "y"}}})
    host.clock.advance(301)  # patience runs out: it is tried again while its victim still stops
    host.run()
    assert said(host, "high") == (
        "0/2 nodes are available: 2 Insufficient cpu. preemption: not eligible due to a terminating pod on "
        "the nominated node."
    )
    assert len(host.deleted) == 1
    assert nominated(host, "high") != ""


def test_it_looks_elsewhere_when_its_node_cannot_do_any_more() -> None:
    host = Host(
        node("n1"), node("n2"), runs("a", "n1", "3"), runs("b", "n2", "3", priority=5), wants("high", "3")
    )
    host.run()
    assert nominated(host, "high") == "n1"
    host.edit(NODE, "n1", {"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}})
    host.clock.advance(301)
    host.run()
    assert nominated(host, "high") == "n2"
    assert host.deleted == ["a", "b"]


def test_victims_that_are_going_already_are_waited_for_and_not_asked_again() -> None:
    host = Host(node("n1"), runs("low", "n1", "3", deleting_at=NOW), wants("high", "3"))
    host.run()
    assert host.deleted == []
    assert nominated(host, "high") == "n1"
    host.reap()
    host.run()
    assert host.node_of("high") == "n1"


@pytest.mark.parametrize(
    ("pods", "why"),
    [
        pytest.param([runs("equal", "n1", "3", priority=100)], NO_VICTIMS, id="equally important"),
        pytest.param([runs("more", "n1", "3", priority=101)], NO_VICTIMS, id="more important"),
        pytest.param([], NOT_HELPFUL, id="too large for the node"),
        pytest.param(
            [runs("big", "n1", "3", priority=100), runs("low", "n1", "1")],
            "Insufficient cpu",
            id="the lesser ones are not enough",
        ),
    ],
)
def test_the_sentence_says_why_preemption_does_not_help(pods: list[JsonObject], why: str) -> None:
    host = Host(node("n1"), *pods, wants("high", "4" if pods else "5"))
    host.run()
    assert said(host, "high") == (
        f"0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 {why}."
    )
    assert host.deleted == []
    assert nominated(host, "high") == ""


def test_each_node_has_its_reason() -> None:
    tainted = node("n3", spec={"taints": [{"key": "k", "effect": "NoSchedule"}]})
    host = Host(node("n1"), node("n2", "1"), tainted, runs("equal", "n1", "3", priority=100), wants("high"))
    host.run()
    assert said(host, "high") == (
        "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. preemption: "
        f"0/3 nodes are available: 1 {NO_VICTIMS}, 2 {NOT_HELPFUL}."
    )


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"spec": {"preemptionPolicy": "Never"}}, id="the pod says so"),
        pytest.param({"spec": {"priority": None, "priorityClassName": "calm"}}, id="its class says so"),
    ],
)
def test_a_peaceful_pod_pushes_nobody_out(options: JsonObject) -> None:
    calm = {**an_object(PRIORITY_CLASS, "calm"), "value": 100, "preemptionPolicy": "Never"}
    host = Host(calm, node("n1"), runs("low", "n1", "3"), wants("high", "3", **options))
    host.run()
    assert said(host, "high") == (
        "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never."
    )
    assert host.deleted == []


def test_the_policy_of_the_class_is_written_with_its_priority() -> None:
    calm = {**an_object(PRIORITY_CLASS, "calm"), "value": 100, "preemptionPolicy": "Never"}
    host = Host(calm, node("n1"), wants("high", spec={"priority": None, "priorityClassName": "calm"}))
    host.run()
    assert host.pod("high")["spec"]["preemptionPolicy"] == "Never"


# -- whom it costs, and where --


@pytest.mark.parametrize(
    ("there", "cpu", "victims"),
    [
        pytest.param(
            [runs("a", "n1", "1"), runs("b", "n1", "3")], "1", ["b"], id="given back: who started first"
        ),
        pytest.param(
            [runs("old", "n1", "2"), runs("young", "n1", "2", since=5)], "2", ["young"], id="the younger one"
        ),
        pytest.param(
            [runs("started", "n1", "2"), runs("not", "n1", "2", since=None)],
            "2",
            ["not"],
            id="one not started",
        ),
        pytest.param(
            [runs("less", "n1", "2", priority=1), runs("more", "n1", "2", priority=2, since=9)],
            "2",
            ["less"],
            id="the less important one",
        ),
        pytest.param(
            [
                runs("a", "n1", "1", priority=3),
                runs("b", "n1", "1", priority=2),
                runs("c", "n1", "2", priority=1),
            ],
            "3",
            ["b", "c"],
            id="as few as possible, the most important kept",
        ),
        pytest.param(
            [runs("keeps", "n1", "2", priority=100), runs("goes", "n1", "2", priority=99)],
            "2",
            ["goes"],
            id="only lesser ones",
        ),
    ],
)
def test_victims_of_a_node(there: list[JsonObject], cpu: str, victims: list[str]) -> None:
    host = Host(node("n1"), *there, wants("high", cpu))
    host.run()
    assert sorted(host.deleted) == victims


MINE = {"matchLabels": {"app": "web"}}
OTHER = {"app": "other"}


@pytest.mark.parametrize(
    ("there", "budgets", "chosen"),
    [
        pytest.param(
            [runs("a", "n1", "4", priority=9), runs("b", "n2", "4", labels=OTHER)],
            [budget("pdb", 0, MINE)],
            "n2",
            id="fewest budgets overdrawn",
        ),
        pytest.param(
            [runs("a", "n1", "4"), runs("b", "n2", "4", labels=OTHER, priority=50)],
            [budget("pdb", 0, MINE)],
            "n2",
            id="a budget counts more than priority",
        ),
        pytest.param(
            [runs("a", "n1", "4", priority=7), runs("b", "n2", "4", priority=6)],
            [],
            "n2",
            id="lowest top priority",
        ),
        pytest.param(
            [
                runs("a", "n1", "2", priority=5),
                runs("b", "n1", "2", priority=5),
                runs("c", "n2", "2", priority=5),
                runs("d", "n2", "2", priority=4),
            ],
            [],
            "n2",
            id="smallest sum of priorities",
        ),
        pytest.param(
            [
                runs("a", "n1", "2", priority=-9),
                runs("b", "n1", "2", priority=-9),
                runs("c", "n2", "4", priority=-9),
            ],
            [],
            "n2",
            id="negative priorities do not make more victims cheaper",
        ),
        pytest.param(
            [runs("a", "n1", "4"), runs("b", "n2", "4", since=5)],
            [],
            "n2",
            id="the latest start of the first victim",
        ),
        pytest.param(
            [runs("a", "n1", "4"), runs("b", "n2", "4", since=None)],
            [],
            "n2",
            id="not started is latest of all",
        ),
    ],
)
def test_choice_of_the_node(there: list[JsonObject], budgets: list[JsonObject], chosen: str) -> None:
    host = Host(node("n1"), node("n2"), *there, *budgets, wants("high"))
    host.run()
    assert nominated(host, "high") == chosen


@pytest.mark.parametrize(
    ("pdb", "victims"),
    [
        pytest.param(budget("pdb", 1, MINE), ["old"], id="room for one: the first that is counted"),
        pytest.param(budget("pdb", 0, MINE), ["other"], id="no room: somebody else, though older"),
        pytest.param(budget("pdb", 0, {}), ["young"], id="an empty selector protects nobody"),
        pytest.param(budget("pdb", 0, None), ["young"], id="neither does none"),
        pytest.param(
            budget(
                "pdb", 0, MINE, disruptedPods={"old": "2027-01-15T08:00:00Z", "young": "2027-01-15T08:00:00Z"}
            ),
            ["young"],
            id="what was granted already is not charged again",
        ),
        pytest.param(budget("pdb", 0, MINE, namespace="shop"), ["young"], id="a budget of another namespace"),
    ],
)
def test_budgets_protect_whom_they_can(pdb: JsonObject, victims: list[str]) -> None:
    host = Host(
        node("n1", "6"),
        runs("other", "n1", "2", labels=OTHER),
        runs("old", "n1", "2", since=1),
        runs("young", "n1", "2", since=2),
        pdb,
        wants("high", "2"),
    )
    host.run()
    assert host.deleted == victims


def test_budgets_are_a_wish_not_a_ban() -> None:
    host = Host(node("n1"), runs("low", "n1"), budget("pdb", 0, MINE), wants("high"))
    host.run()
    assert host.deleted == ["low"]


def test_what_is_kept_of_a_search_follows_every_change() -> None:
    """Two searches of one class: the second asks anew about what changed in between, and only that."""
    host = Host(node("n1"), node("n2"), runs("a", "n1", "4", priority=5), runs("b", "n2", "4", priority=6))
    host.put(wants("one"))
    host.run()
    assert nominated(host, "one") == "n1"
    host.put(budget("pdb", 0, MINE))
    host.put(runs("c", "n2", "0", labels=OTHER))
    host.put(wants("two"))
    host.run()
    assert nominated(host, "two") == "n2"
    assert sorted(host.deleted) == ["a", "b"]


# -- those who come later --


def test_the_room_is_kept_for_whom_it_is_made() -> None:
    host = Host(node("n1"), runs("low", "n1", "4"), wants("high", "4"))
    host.run()
    host.put(wants("late", "1", priority=50))
    host.reap()
    host.run()
    assert host.node_of("high") == "n1"
    assert host.node_of("late") == ""


def test_an_equal_may_not_take_it_either() -> None:
    host = Host(node("n1"), runs("low", "n1", "4"), wants("first", "4"))
    host.run()
    host.reap()
    host.put(wants("equal", "1"))
    plans = host.step()  # both are decided in one step, the older one first or not
    for plan in plans:
        host.carry_out(plan)
    host.run()
    assert host.node_of("first") == "n1"
    assert host.node_of("equal") == ""


def test_a_more_important_one_may_and_the_nomination_of_the_other_is_taken_back() -> None:
    host = Host(node("n1"), runs("low", "n1", "4"), wants("high", "4"))
    host.run()
    assert nominated(host, "high") == "n1"
    host.put(wants("higher", "4", priority=200))
    host.run()
    assert nominated(host, "higher") == "n1"
    assert nominated(host, "high") == ""
    host.reap()
    host.run()
    assert host.node_of("higher") == "n1"
    assert host.node_of("high") == ""


def test_nominated_pods_are_counted_on_their_node_in_the_sentence() -> None:
    host = Host(node("n1"), runs("low", "n1", "4"), wants("high", "4"))
    host.run()
    host.reap()
    host.put(wants("late", "1", priority=50, uid="late"))
    lane = host.machine.lanes()[0]
    high = next(pod for pod in lane.state.waiting.values() if pod.key.name == "high")
    lane.state.queue.remove(high)  # it has not had its turn yet
    host.run()
    assert said(host, "late").startswith(
        "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are"
    )


def test_the_nominated_node_is_taken_although_another_would_do_by_then() -> None:
    host = Host(node("n1"), runs("low", "n1", "4"), wants("high", "4"))
    host.run()
    host.reap()
    host.put(node("n0", "64"))
    host.run()
    assert host.node_of("high") == "n1"


def test_room_that_comes_elsewhere_first_is_taken() -> None:
    host = Host(node("n1"), runs("low", "n1", "4"), wants("high", "4"))
    host.run()
    host.put(node("n0", "64"))
    host.run()
    assert host.node_of("high") == "n0"
    host.put(wants("late", "4", priority=50))  # nobody is nominated to n1 any more
    host.reap()
    host.run()
    assert host.node_of("late") != ""


def test_who_waited_for_a_nominated_pod_is_woken_when_that_is_gone() -> None:
    host = Host(node("n1"), runs("low", "n1", "4"), wants("high", "4"))
    host.run()
    host.put(wants("late", "1", priority=50))
    host.run()
    host.delete(POD, "high")
    host.reap()
    host.clock.advance(5)
    host.run()
    assert host.node_of("late") == "n1"


def test_a_nomination_that_somebody_else_writes_counts() -> None:
    host = Host(node("n1"), wants("held", "4", spec={"schedulingGates": [{"name": "x.io/g"}]}))
    host.run()
    host.edit(POD, "held", {"status": {"nominatedNodeName": "n1"}})
    host.put(wants("late", "1", priority=50))
    host.run()
    assert host.node_of("late") == ""
    host.edit(POD, "held", {"status": {"nominatedNodeName": None}})
    host.clock.advance(5)
    host.run()
    assert host.node_of("late") == "n1"


# -- when things go wrong --


def victims_of(plans: list[Plan]) -> list[str]:
    return [plan.writes[-1].key.name for plan in plans if isinstance(plan.writes[-1], Delete)]


def test_the_last_victim_is_asked_when_the_others_have_been() -> None:
    low = [runs(f"low-{i}", "n1", "1", since=i) for i in range(4)]
    host = Host(node("n1"), *low, wants("high"))
    (tell,) = host.step()
    assert isinstance(tell.writes[0], Patch)
    host.carry_out(tell)
    first = host.step()
    assert victims_of(first) == ["low-0", "low-1", "low-2"]
    assert host.step() == []
    for plan in first:
        host.carry_out(plan)
    assert victims_of(host.step()) == ["low-3"]


def test_the_nomination_comes_before_the_first_eviction() -> None:
    host = Host(node("n1"), runs("low", "n1", "4"), wants("high"))
    (tell,) = host.step()
    host.settle(tell, Outcome(0, Unavailable("no answer")))
    assert host.deleted == []
    host.clock.advance(5)
    host.run()
    assert host.deleted == ["low"]


def test_a_victim_that_changed_meanwhile_is_asked_again() -> None:
    host = Host(node("n1"), runs("low", "n1", "4"), wants("high"))
    host.carry_out(host.step()[0])
    (evict,) = host.step()
    host.edit(POD, "low", {"metadata": {"annotations": {"x": "y"}}})
    assert isinstance(host.carry_out(evict).error, Conflict)
    host.run()
    assert host.deleted == ["low"]


def test_a_victim_that_is_gone_is_as_good_as_asked() -> None:
    low = [runs(f"low-{i}", "n1", "1", since=i) for i in range(4)]
    host = Host(node("n1"), *low, wants("high"))
    host.carry_out(host.step()[0])
    first = host.step()
    host.delete(POD, "low-0")
    for plan in first:
        host.carry_out(plan)
    host.run()
    host.reap()
    host.run()
    assert host.node_of("high") == "n1"


def test_a_refused_eviction_is_no_spin() -> None:
    host = Host(node("n1"), runs("low", "n1", "4"), wants("high"))
    host.carry_out(host.step()[0])
    for seconds in range(60):
        for plan in host.step():
            if isinstance(plan.writes[-1], Delete):
                host.settle(plan, Outcome(0, Refused("no", status=403)))
            else:
                host.carry_out(plan)
        host.clock.advance(1.0)
        del seconds
    attempts = next(iter(host.machine.lanes()[0].state.waiting.values())).attempts
    assert 3 <= attempts <= 40
    assert host.deleted == []


def test_who_goes_while_it_makes_room_leaves_the_others_alone() -> None:
    low = [runs(f"low-{i}", "n1", "1", since=i) for i in range(4)]
    host = Host(node("n1"), *low, wants("high"))
    host.carry_out(host.step()[0])
    first = host.step()
    host.delete(POD, "high")
    for plan in first:
        host.carry_out(plan)
    assert host.step() == []


def after_nomination(host: Host) -> None:
    host.carry_out(host.step()[0])


def after_the_mark(host: Host) -> None:
    after_nomination(host)
    plan = host.step()[0]
    host.carry_out(Plan(plan.writes[:1]))


def after_some_deletions(host: Host) -> None:
    after_nomination(host)
    for plan in host.step()[:2]:
        host.carry_out(plan)


@pytest.mark.parametrize("killed", [after_nomination, after_the_mark, after_some_deletions])
def test_a_restart_goes_on_where_it_was(killed: Callable[[Host], None]) -> None:
    low = [runs(f"low-{i}", "n1", "1", since=i) for i in range(4)]
    host = Host(node("n1"), *low, wants("high"))
    killed(host)
    host.restart()
    host.run()
    for _ in range(4):
        host.reap()
        host.clock.advance(20)
        host.run()
    assert host.node_of("high") == "n1"
    assert sorted(host.deleted) == [f"low-{i}" for i in range(4)]


def test_an_unbound_mark_of_disruption_does_not_hinder_anybody() -> None:
    mark = a_condition("DisruptionTarget", "True", reason="PreemptionByScheduler")
    low = runs("low", "n1", "4")
    low["status"]["conditions"].append(mark)
    host = Host(node("n1"), low, wants("high"))
    host.run()
    assert host.deleted == ["low"]
