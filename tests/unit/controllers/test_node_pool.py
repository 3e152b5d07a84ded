"""Node pools: how many nodes, which names and addresses, who goes first."""

import pytest

from builders import (
    NOW,
    a_cluster,
    a_condition,
    a_node,
    a_node_pool,
    a_pod,
    a_pooled_node,
    key_for,
    view_of,
)
from nestling.api.json import JsonObject
from nestling.api.kinds import NODE_POOL
from nestling.controllers import node_pool
from nestling.machinery.plan import Create, Delete, Patch, Plan
from nestling.machinery.records.pool import POOL_LABEL


def plan_for(pool: JsonObject, *others: JsonObject, refusal: str = "") -> Plan:
    return node_pool.reconcile(view_of(pool, *others, refusal=refusal), key_for(pool))


def created(plan: Plan) -> list[str]:
    return [write.key.name for write in plan.writes if isinstance(write, Create)]


def deleted(plan: Plan) -> list[str]:
    return [write.key.name for write in plan.writes if isinstance(write, Delete)]


def status(plan: Plan) -> JsonObject:
    return next(w.body["status"] for w in plan.writes if isinstance(w, Patch) and w.kind is NODE_POOL)


POOL = a_node_pool("big", replicas=3)


@pytest.mark.parametrize(
    ("replicas", "present", "expected"),
    [
        pytest.param(0, [], [], id="none wanted"),
        pytest.param(3, [], ["big-0", "big-1", "big-2"], id="from nothing"),
        pytest.param(3, [0, 1, 2], [], id="enough"),
        pytest.param(3, [1], ["big-0", "big-2"], id="the lowest free indices"),
        pytest.param(2, [7], ["big-0"], id="a high index stays"),
    ],
)
def test_missing_nodes_are_created_under_the_lowest_free_names(
    replicas: int, present: list[int], expected: list[str]
) -> None:
    pool = a_node_pool("big", replicas=replicas)
    assert created(plan_for(pool, *(a_pooled_node(pool, index) for index in present))) == expected


def test_name_taken_by_a_node_of_somebody_else_is_skipped() -> None:
    assert created(plan_for(POOL, a_node("big-1"))) == ["big-0", "big-2", "big-3"]


def test_node_that_is_being_deleted_keeps_its_name_but_does_not_count() -> None:
    going = a_pooled_node(POOL, 0, deleting_at=NOW, finalizers=["x/y"])
    assert created(plan_for(POOL, going)) == ["big-1", "big-2", "big-3"]


def test_node_is_created_complete_in_one_write() -> None:
    template = {
        "metadata": {"labels": {"disk": "ssd"}, "annotations": {"note": "hello"}},
        "spec": {"capacity": {"cpu": "8"}, "taints": [{"key": "gpu", "effect": "NoSchedule"}]},
    }
    pool = a_node_pool("big", replicas=1, template=template)
    create = plan_for(pool).writes[-1]
    assert isinstance(create, Create)
    assert create.body == {
        "apiVersion": "nestling.dev/v1alpha1",
        "kind": "VirtualNode",
        "metadata": {
            "name": "big-0",
            "namespace": "team-a",
            "labels": {
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": "big-0",
                "kubernetes.io/os": "linux",
                "disk": "ssd",
                "nestling.dev/pool": "big",
            },
            "annotations": {
                "note": "hello",
                "nestling.dev/pool-applied": '{"annotations":["note"],"capacity":["cpu"],"labels":["disk"],'
                '"spec":["capacity"],"taints":["gpu:NoSchedule"]}',
            },
            "ownerReferences": [
                {
                    "apiVersion": "nestling.dev/v1alpha1",
                    "kind": "VirtualNodePool",
                    "name": "big",
                    "uid": pool["metadata"]["uid"],
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {
            "capacity": {"cpu": "8"},
            "taints": [{"key": "gpu", "effect": "NoSchedule"}],
            "podCIDR": "10.128.0.0/24",
            "podCIDRs": ["10.128.0.0/24"],
        },
    }


def test_thousand_nodes_come_in_two_looks_without_waiting() -> None:
    pool = a_node_pool("big", replicas=1000)
    plan = plan_for(pool)
    assert created(plan) == [f"big-{index}" for index in range(500)]
    assert plan.wake_at == NOW
    first = [write.body for write in plan.writes if isinstance(write, Create)]
    held = [a_pooled_node(pool, i, spec=body["spec"]) for i, body in enumerate(first)]
    rest = plan_for(pool, *held)
    blocks = [w.body["spec"]["podCIDR"] for w in (*plan.writes, *rest.writes) if isinstance(w, Create)]
    assert len(blocks) == len(set(blocks)) == 1000
    assert rest.wake_at is None


def test_pools_that_look_at_the_same_moment_share_the_limit() -> None:
    older = a_node_pool("a", replicas=3, created_at=NOW - 20)
    younger = a_node_pool("b", replicas=3, created_at=NOW - 10)
    user = a_node("mine")  # has no block yet, and comes first
    limit = a_cluster({"limits": {"maxNodes": 5}})
    plans = [plan_for(pool, other, user, limit) for pool, other in ((older, younger), (younger, older))]
    assert [created(plan) for plan in plans] == [["a-0", "a-1", "a-2"], ["b-0"]]


def test_limit_becomes_a_condition_that_says_what_to_do() -> None:
    plan = plan_for(POOL, a_cluster({"limits": {"maxNodes": 2}}))
    assert created(plan) == ["big-0", "big-1"]
    assert status(plan)["conditions"][1] == {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "LimitReached",
        "message": "The virtual cluster may have 2 nodes, so 1 of the 3 asked for are not created."
        " Raise limits.maxNodes or lower replicas.",
        "lastTransitionTime": "2027-01-15T08:00:00Z",
    }


def test_lowered_limit_deletes_nothing() -> None:
    plan = plan_for(POOL, *(a_pooled_node(POOL, i) for i in range(3)), a_cluster({"limits": {"maxNodes": 1}}))
    assert deleted(plan) == created(plan) == []


def test_absurd_replicas_are_held_at_the_built_in_limit() -> None:
    plan = plan_for(a_node_pool("big", replicas=2**31 - 1))
    assert len(created(plan)) == 500
    assert status(plan)["conditions"][1]["reason"] == "LimitReached"


def test_nodes_without_a_block_are_created_when_blocks_have_run_out() -> None:
    plan = plan_for(POOL, a_cluster({"podCIDR": "10.0.0.0/23"}))
    specs = [write.body["spec"] for write in plan.writes if isinstance(write, Create)]
    assert [spec.get("podCIDR") for spec in specs] == ["10.0.0.0/24", "10.0.1.0/24", None]


def test_unreadable_pod_cidr_does_not_stop_the_pool() -> None:
    assert len(created(plan_for(POOL, a_cluster({"podCIDR": "not a network"})))) == 3


def test_refused_creation_becomes_a_condition_and_is_tried_again() -> None:
    plan = plan_for(POOL, refusal="spec.capacity.cpu: Invalid value")
    failure = status(plan)["conditions"][1]
    assert (failure["reason"], failure["message"]) == ("FailedCreate", "spec.capacity.cpu: Invalid value")
    assert len(created(plan)) == 3


def test_surplus_goes_unready_then_cordoned_then_empty_then_high_index() -> None:
    pool = a_node_pool("big", replicas=0)
    nodes = [
        a_pooled_node(pool, 0),
        a_pooled_node(pool, 1),
        a_pooled_node(pool, 2),
        a_pooled_node(pool, 10, spec={"unschedulable": True}),
        a_pooled_node(pool, 3, ready=False),
    ]
    pods = [a_pod("p", node="big-2")]
    assert deleted(plan_for(pool, *nodes, *pods)) == ["big-3", "big-10", "big-1", "big-0", "big-2"]


def test_deletes_come_in_bursts() -> None:
    pool = a_node_pool("big", replicas=1)
    plan = plan_for(pool, *(a_pooled_node(pool, index) for index in range(502)))
    assert len(deleted(plan)) == 500
    assert plan.wake_at == NOW
    assert "big-0" not in deleted(plan)


def test_status_counts_and_is_not_written_twice() -> None:
    nodes = [a_pooled_node(POOL, 0), a_pooled_node(POOL, 1, ready=False), a_pooled_node(POOL, 2)]
    found = status(plan_for(POOL, *nodes))
    assert found == {
        "observedGeneration": 1,
        "replicas": 3,
        "readyReplicas": 2,
        "selector": "nestling.dev/pool=big",
        "conditions": [
            {
                "type": "Ready",
                "status": "False",
                "reason": "NodesNotReady",
                "message": "2 of 3 nodes are ready.",
                "lastTransitionTime": "2027-01-15T08:00:00Z",
            }
        ],
    }
    assert plan_for({**POOL, "status": found}, *nodes) == Plan.done()


def test_condition_keeps_the_time_of_its_last_change() -> None:
    old = {"conditions": [a_condition("Ready", "False", since=NOW - 60, reason="NodesNotReady")]}
    found = status(
        plan_for({**POOL, "status": old}, *(a_pooled_node(POOL, i, ready=False) for i in range(3)))
    )
    assert found["conditions"][0]["lastTransitionTime"] == "2027-01-15T07:59:00Z"


@pytest.mark.parametrize(
    "pool",
    [
        pytest.param(a_node_pool("big", deleting_at=NOW, finalizers=["x/y"]), id="being deleted"),
        pytest.param(a_node_pool("gone"), id="absent"),
    ],
)
def test_pool_on_its_way_out_is_left_alone(pool: JsonObject) -> None:
    others = (a_node_pool("other"),) if pool["metadata"]["name"] == "gone" else (pool,)
    assert node_pool.reconcile(view_of(*others), key_for(pool)) == Plan.done()


def test_long_pool_name_becomes_a_valid_label() -> None:
    pool = a_node_pool("p" * 80, replicas=1)
    create = plan_for(pool).writes[-1]
    assert isinstance(create, Create)
    label = create.body["metadata"]["labels"][POOL_LABEL]
    assert len(label) == 63
    assert status(plan_for(pool))["selector"] == f"nestling.dev/pool={label}"
