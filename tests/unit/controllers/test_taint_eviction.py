"""Eviction by NoExecute taints: who has to go, when, and how it is told."""

from typing import Any

import pytest

from builders import BIRTH, NOW, a_cluster, a_condition, a_node, a_pod, key_for, view_of
from nestling.api.json import JsonObject
from nestling.api.kinds import NODE, POD
from nestling.controllers import taint_eviction
from nestling.machinery.cache import Change
from nestling.machinery.clock import timestamp
from nestling.machinery.plan import Delete, Patch, Plan
from nestling.machinery.records.node import Node
from nestling.machinery.records.pod import Pod

UNREACHABLE = "node.kubernetes.io/unreachable"
NOT_READY = "node.kubernetes.io/not-ready"


def tainted(*taints: JsonObject) -> JsonObject:
    return a_node("n1", spec={"taints": list(taints)})


def taint(key: str = "gpu", value: str = "", added_at: float | None = NOW - 10, **more: str) -> JsonObject:
    time = {"timeAdded": timestamp(added_at)} if added_at is not None else {}
    return {"key": key, "value": value, "effect": "NoExecute", **time, **more}


def pod(name: str = "p", *tolerations: JsonObject, **more: Any) -> JsonObject:
    return a_pod(name, node="n1", ready=True, spec={"tolerations": list(tolerations)}, **more)


def look(node: JsonObject, *others: JsonObject) -> Plan:
    return taint_eviction.reconcile(view_of(node, *others), key_for(node))


def evicted(plan: Plan) -> list[str]:
    return [write.key.name for write in plan.writes if isinstance(write, Delete)]


EXISTS = {"operator": "Exists"}


@pytest.mark.parametrize(
    ("node", "tolerations", "when"),
    [
        pytest.param(tainted(taint()), [], NOW, id="not tolerated"),
        pytest.param(tainted(taint(effect="NoSchedule")), [], None, id="evicts nobody"),
        pytest.param(tainted(taint()), [EXISTS], None, id="tolerates everything"),
        pytest.param(tainted(taint()), [{"key": "gpu", "operator": "Exists"}], None, id="tolerates the key"),
        pytest.param(
            tainted(taint(value="a")), [{"key": "gpu", "value": "a"}], None, id="tolerates the value"
        ),
        pytest.param(tainted(taint(value="a")), [{"key": "gpu", "value": "b"}], NOW, id="another value"),
        pytest.param(tainted(taint()), [{"key": "gpu", "effect": "NoSchedule"}], NOW, id="another effect"),
        pytest.param(tainted(taint()), [{"key": "gpu", "operator": "Perhaps"}], NOW, id="unknown operator"),
        pytest.param(tainted(taint()), [{**EXISTS, "tolerationSeconds": 30}], NOW + 20, id="for a time"),
        pytest.param(tainted(taint()), [{**EXISTS, "tolerationSeconds": 10}], NOW, id="exactly up"),
        pytest.param(tainted(taint()), [{**EXISTS, "tolerationSeconds": 0}], NOW, id="for no time"),
        pytest.param(
            tainted(taint()), [{**EXISTS, "tolerationSeconds": -5}], NOW, id="for less than no time"
        ),
        pytest.param(
            tainted(taint()),
            [{**EXISTS, "tolerationSeconds": 30}, {**EXISTS, "tolerationSeconds": 20}],
            NOW + 20,
            id="the first toleration counts",
        ),
        pytest.param(
            tainted(taint("a"), taint("b", added_at=NOW - 25)),
            [{**EXISTS, "tolerationSeconds": 30}],
            NOW + 5,
            id="of two taints the older",
        ),
        pytest.param(
            tainted(taint("a"), taint("b")),
            [{"key": "a", "operator": "Exists"}],
            NOW,
            id="one of two not tolerated",
        ),
        pytest.param(tainted(taint(UNREACHABLE)), [], NOW + 290, id="unreachable, by default"),
        pytest.param(tainted(taint(NOT_READY)), [], NOW + 290, id="not ready, by default"),
        pytest.param(
            tainted(taint(NOT_READY)),
            [{"key": NOT_READY, "effect": "NoExecute", "operator": "Exists", "tolerationSeconds": 15}],
            NOW + 5,
            id="not ready, by its own word",
        ),
        pytest.param(
            tainted(taint(NOT_READY)),
            [{"key": NOT_READY, "value": "x"}],
            NOW,
            id="its own word keeps the default out",
        ),
        pytest.param(
            tainted(taint(NOT_READY)),
            [{"key": NOT_READY, "operator": "Exists", "effect": "NoSchedule"}],
            NOW + 290,
            id="a word about another effect does not",
        ),
    ],
)
def test_pod_goes_when_its_toleration_is_up(
    node: JsonObject, tolerations: list[JsonObject], when: float | None
) -> None:
    plan = look(node, pod("p", *tolerations))
    assert evicted(plan) == (["p"] if when == NOW else [])
    assert plan.wake_at == (when if when != NOW else None)


def test_default_times_are_the_clusters() -> None:
    settings = a_cluster({"defaultTolerationSeconds": {"notReady": 20, "unreachable": 30}})
    assert look(tainted(taint(NOT_READY)), pod(), settings).wake_at == NOW + 10
    assert look(tainted(taint(UNREACHABLE)), pod(), settings).wake_at == NOW + 20


def test_pod_bound_later_has_its_full_time() -> None:
    late = pod(status={"conditions": [a_condition("PodScheduled", since=NOW - 4)]})
    assert look(tainted(taint(UNREACHABLE, added_at=NOW - 200)), late).wake_at == NOW + 296


def test_evicted_pod_learns_why_and_is_deleted_by_uid() -> None:
    told, delete = look(tainted(taint()), pod("p", version=7, generation=3)).writes
    assert isinstance(told, Patch)
    assert (told.kind, told.subresource, told.version) == (POD, "status", 7)
    assert told.body["status"] == {
        "conditions": [
            a_condition("Ready", since=BIRTH),
            {
                "type": "DisruptionTarget",
                "status": "True",
                "observedGeneration": 3,
                "reason": "DeletionByTaintManager",
                "message": "Taint manager: deleting due to NoExecute taint",
                "lastTransitionTime": timestamp(NOW),
            },
        ],
        "display": {"status": "Terminating"},
    }
    assert isinstance(delete, Delete)
    assert (delete.uid, delete.version) == ("uid-pod-p", None)
    assert delete.on_success is not None
    assert (delete.on_success.reason, delete.on_success.message) == (
        "TaintManagerEviction",
        "Marking for deletion Pod default/p",
    )


def test_pods_on_their_way_out_or_elsewhere_are_left_alone() -> None:
    going = pod("going", deleting_at=NOW, finalizers=["x/y"])
    assert look(tainted(taint()), going, a_pod("other", node="n2")) == Plan.done()


def test_taint_without_a_time_is_given_one_before_it_is_counted_from() -> None:
    node = tainted(taint(UNREACHABLE, added_at=None), {"key": "x", "effect": "NoSchedule"})
    [patch] = look(node, pod()).writes
    assert isinstance(patch, Patch)
    assert patch.version == 1
    assert patch.body["spec"]["taints"] == [
        taint(UNREACHABLE, added_at=NOW),
        {"key": "x", "effect": "NoSchedule"},
    ]


def test_taint_without_a_time_is_left_alone_when_nobody_counts() -> None:
    node = tainted(taint(added_at=None))
    assert look(node, pod("p", EXISTS)) == Plan.done()
    assert evicted(look(node, pod())) == ["p"]


def test_many_evictions_come_in_bursts() -> None:
    plan = look(tainted(taint()), *(pod(f"p{index}") for index in range(600)))
    assert (len(evicted(plan)), plan.wake_at) == (500, NOW)
    assert [type(stage[0]) for stage in plan.stages()] == [Patch, Delete]


def test_gone_node_evicts_nobody() -> None:
    assert taint_eviction.reconcile(view_of(pod()), key_for(a_node("n1"))) == Plan.done()


@pytest.mark.parametrize(
    ("old", "new", "woken"),
    [
        pytest.param(None, pod(), True, id="new"),
        pytest.param(a_pod("p"), pod(), True, id="bound"),
        pytest.param(pod(), pod(generation=2), True, id="spec changed"),
        pytest.param(pod(), pod(restarts=1), False, id="status changed"),
        pytest.param(pod(), None, False, id="gone"),
        pytest.param(None, a_pod("p"), False, id="not bound"),
        pytest.param(None, a_pod("p", node="n2"), False, id="on a node without taints"),
    ],
)
def test_only_new_pods_on_tainted_nodes_wake_the_loop(
    old: JsonObject | None, new: JsonObject | None, woken: bool
) -> None:
    view = view_of(tainted(taint()), a_node("n2"))
    [route] = taint_eviction.CONTROLLER.concerns[POD]
    change = Change(POD, key_for(pod()), *(Pod.read(one) if one else None for one in (old, new)))
    assert [key.name for key in route.keys(view, change)] == (["n1"] if woken else [])


def test_only_evicting_taints_wake_the_loop() -> None:
    [route] = taint_eviction.CONTROLLER.concerns[NODE]
    plain, cordoned, evicting = (
        Node.read(node) for node in (a_node("n1"), tainted(taint(effect="NoSchedule")), tainted(taint()))
    )
    cases = [(None, plain), (plain, cordoned), (plain, evicting), (evicting, plain), (evicting, evicting)]
    woken = [bool(list(route.keys(view_of(), Change(NODE, plain.key, a, b)))) for a, b in cases]
    assert woken == [False, False, True, True, False]
