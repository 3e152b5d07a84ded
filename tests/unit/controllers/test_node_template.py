"""The shape of a pool's nodes: what a template changes on them, and what it leaves to others."""

import pytest

from builders import NOW, a_node, a_node_pool, a_pooled_node, key_for, view_of
from nestling.api.json import JsonObject
from nestling.api.kinds import NODE_POOL
from nestling.controllers import node_template
from nestling.machinery.cache import Change
from nestling.machinery.plan import Patch, Plan
from nestling.machinery.records.pool import POOL_APPLIED, NodePool


def look(node: JsonObject, *others: JsonObject) -> Plan:
    return node_template.reconcile(view_of(node, *others), key_for(node))


TEMPLATE: JsonObject = {
    "metadata": {"labels": {"disk": "ssd"}, "annotations": {"note": "hello"}},
    "spec": {"capacity": {"cpu": "8"}, "taints": [{"key": "gpu", "value": "a", "effect": "NoSchedule"}]},
}
UNREACHABLE = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}


@pytest.mark.parametrize(
    ("template", "change"),
    [
        pytest.param(TEMPLATE, None, id="unchanged"),
        pytest.param(
            {**TEMPLATE, "metadata": {"labels": {"disk": "hdd"}, "annotations": {"note": "hello"}}},
            {"metadata": {"labels": {"disk": "hdd"}}},
            id="label changed",
        ),
        pytest.param(
            {**TEMPLATE, "metadata": {"labels": {"disk": "ssd"}}},
            {"metadata": {"annotations": {"note": None}}},
            id="annotation dropped, the user's stays",
        ),
        pytest.param(
            {**TEMPLATE, "spec": {**TEMPLATE["spec"], "capacity": {"memory": "1Gi"}}},
            {"spec": {"capacity": {"cpu": None, "memory": "1Gi"}}},
            id="capacity by resource",
        ),
        pytest.param(
            {**TEMPLATE, "spec": {"capacity": {"cpu": "8"}}},
            {"spec": {"taints": [UNREACHABLE]}},
            id="taint dropped, the lifecycle's stays",
        ),
        pytest.param(
            {
                **TEMPLATE,
                "spec": {
                    **TEMPLATE["spec"],
                    "taints": [{"key": "gpu", "value": "b", "effect": "NoSchedule"}],
                },
            },
            {
                "spec": {
                    "taints": [UNREACHABLE, {"key": "gpu", "value": "b", "effect": "NoSchedule"}],
                }
            },
            id="taint value changed in place",
        ),
    ],
)
def test_template_change_touches_only_what_templates_named(
    template: JsonObject, change: JsonObject | None
) -> None:
    before = a_node_pool("big", replicas=1, template=TEMPLATE)
    node = a_pooled_node(before, 0)
    node["metadata"]["labels"]["mine"] = "yes"
    node["metadata"]["annotations"]["mine"] = "yes"
    node["spec"]["taints"] = [UNREACHABLE, *node["spec"]["taints"]]
    plan = look(node, a_node_pool("big", replicas=1, template=template))
    if change is None:
        assert plan == Plan.done()
        return
    [patch] = plan.writes
    assert isinstance(patch, Patch)
    body = patch.body
    body.get("metadata", {}).get("annotations", {}).pop(POOL_APPLIED, None)
    body["metadata"] = {k: v for k, v in body.get("metadata", {}).items() if v}
    assert {part: value for part, value in body.items() if value} == change
    assert (patch.version is not None) == ("taints" in change.get("spec", {}))


@pytest.mark.parametrize("text", ["{", "[]", '{"labels": 3}', "null"], ids=repr)
def test_unreadable_memory_of_the_template_removes_nothing(text: str) -> None:
    pool = a_node_pool("big", replicas=1, template=TEMPLATE)
    node = a_pooled_node(pool, 0)
    node["metadata"]["annotations"][POOL_APPLIED] = text
    node["metadata"]["labels"]["mine"] = "yes"
    [patch] = look(node, pool).writes
    assert isinstance(patch, Patch)
    assert list(patch.body) == ["metadata"]
    assert list(patch.body["metadata"]) == ["annotations"]


OTHER_POOL = a_node_pool("big", uid="another", template=TEMPLATE)


@pytest.mark.parametrize(
    ("node", "pool"),
    [
        pytest.param(a_node("big-0"), a_node_pool("big", template=TEMPLATE), id="of no pool"),
        pytest.param(a_pooled_node(a_node_pool("big"), 0), OTHER_POOL, id="of a pool that was made anew"),
        pytest.param(
            a_pooled_node(a_node_pool("big"), 0, deleting_at=NOW, finalizers=["x/y"]),
            a_node_pool("big", template=TEMPLATE),
            id="being deleted",
        ),
        pytest.param(
            a_pooled_node(a_node_pool("big"), 0),
            a_node_pool("big", template=TEMPLATE, deleting_at=NOW, finalizers=["x/y"]),
            id="of a pool that is being deleted",
        ),
    ],
)
def test_node_that_no_pool_keeps_is_left_alone(node: JsonObject, pool: JsonObject) -> None:
    assert look(node, pool) == Plan.done()


def test_only_a_new_spec_of_the_pool_wakes_its_nodes() -> None:
    pool = a_node_pool("big")
    view = view_of(pool, a_pooled_node(pool, 0), a_pooled_node(pool, 1), a_node("mine"))
    record = view.get(NodePool, key_for(pool))
    changed = view_of(a_node_pool("big", generation=2)).get(NodePool, key_for(pool))
    assert record is not None
    [route] = node_template.CONTROLLER.concerns[NODE_POOL]
    cases = [(record, record), (record, changed), (None, record), (record, None)]
    woken = [[key.name for key in route.keys(view, Change(NODE_POOL, record.key, a, b))] for a, b in cases]
    assert woken == [[], ["big-0", "big-1"], ["big-0", "big-1"], []]
