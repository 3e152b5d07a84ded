"""The plugins that look at what a node is: name, cordon, taints, labels."""

from random import Random
from typing import Any

import numpy as np
import pytest

from nestling.api.json import JsonObject
from nestling.api.selector import NodeSelector
from nestling.scheduler.framework import Rejection, normalized
from nestling.scheduler.plugins.node_affinity import CONFLICT, NO_MATCH, NodeAffinity
from nestling.scheduler.plugins.node_name import OTHER_NODE, NodeName
from nestling.scheduler.plugins.node_unschedulable import UNSCHEDULABLE, NodeUnschedulable
from nestling.scheduler.plugins.taint_toleration import UNTOLERATED, TaintToleration
from nestling.scheduler.table import ALL
from unit.scheduler.tables import a_class, a_table, facts, refusals


@pytest.mark.parametrize(
    ("wanted", "refused"),
    [
        pytest.param("", set[str](), id="no wish"),
        pytest.param("n2", {"n1"}, id="another"),
        pytest.param("gone", {"n1", "n2"}, id="none of that name"),
    ],
)
def test_node_name(wanted: str, refused: set[str]) -> None:
    found = refusals(NodeName(), a_class(nodeName=wanted), a_table(facts("n1"), facts("n2")))
    assert found == dict.fromkeys(refused, (OTHER_NODE,))


CORDONED = {"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("tolerations", "refused"),
    [
        pytest.param([], {"n2"}, id="cordoned"),
        pytest.param([CORDONED], set[str](), id="tolerated"),
        pytest.param([{**CORDONED, "effect": "NoExecute"}], {"n2"}, id="another effect tolerated"),
        pytest.param([{"operator": "Exists"}], set[str](), id="everything tolerated"),
    ],
)
def test_cordoned_nodes(tolerations: list[JsonObject], refused: set[str]) -> None:
    table = a_table(facts("n1"), facts("n2", unschedulable=True))
    found = refusals(NodeUnschedulable(), a_class(tolerations=tolerations), table)
    assert found == dict.fromkeys(refused, (UNSCHEDULABLE,))


@pytest.mark.parametrize(
    ("taint", "toleration", "may_go"),
    [
        pytest.param(("k", "v", "NoSchedule"), {}, False, id="no toleration"),
        pytest.param(("k", "v", "PreferNoSchedule"), {}, True, id="a soft taint refuses nobody"),
        pytest.param(("k", "v", "NoExecute"), {"key": "k", "value": "v"}, True, id="equal is the default"),
        pytest.param(("k", "v", "NoSchedule"), {"key": "k", "value": "w"}, False, id="another value"),
        pytest.param(("k", "v", "NoSchedule"), {"key": "k", "operator": "Exists"}, True, id="exists"),
        pytest.param(("k", "v", "NoSchedule"), {"operator": "Exists"}, True, id="exists without a key"),
        pytest.param(
            ("k", "", "NoSchedule"), {"operator": "Equal"}, True, id="equal without a key, value alike"
        ),
        pytest.param(
            ("k", "v", "NoSchedule"),
            {"key": "k", "value": "v", "effect": "NoExecute"},
            False,
            id="another effect",
        ),
        pytest.param(
            ("k", "5", "NoSchedule"), {"key": "k", "operator": "Lt", "value": "9"}, False, id="alpha Lt"
        ),
        pytest.param(
            ("k", "5", "NoSchedule"), {"key": "k", "operator": "Like", "value": "5"}, False, id="unknown"
        ),
    ],
)
def test_hard_taints(taint: tuple[str, str, str], toleration: JsonObject, may_go: bool) -> None:
    pods = a_class(tolerations=[toleration] if toleration else [])
    found = refusals(TaintToleration(), pods, a_table(facts("n1", taints=(taint,))))
    assert found == ({} if may_go else {"n1": (UNTOLERATED,)})


def test_soft_taints_cost_points_in_proportion() -> None:
    soft = tuple((key, "", "PreferNoSchedule") for key in "abc")
    table = a_table(facts("none"), facts("one", taints=soft[:1]), facts("three", taints=soft))
    plugin, pods = TaintToleration(), a_class()
    raw = plugin.score(plugin.prepare_score(pods, table), table, ALL)
    assert raw[:3].tolist() == [0, 1, 3]
    feasible = table.alive.copy()
    assert plugin.normalize(pods, raw, feasible)[:3].tolist() == [100, 67, 0]
    feasible[2] = False  # the worst of the feasible ones is the measure
    assert plugin.normalize(pods, raw, feasible)[:2].tolist() == [100, 0]
    tolerant = a_class(tolerations=[{"key": "a", "operator": "Exists", "effect": "PreferNoSchedule"}])
    assert plugin.score(tolerant, table, ALL)[:3].tolist() == [0, 0, 2]


def test_the_untolerated_taint_is_named_to_people() -> None:
    table = a_table(facts("n1", taints=(("ok", "", "NoSchedule"), ("gpu", "yes", "NoSchedule"))))
    pods = a_class(tolerations=[{"key": "ok", "operator": "Exists"}])
    assert TaintToleration().lacks(1, pods, table, 0) == (f"{UNTOLERATED}: gpu=yes:NoSchedule",)


def affinity(*terms: JsonObject, preferred: list[tuple[int, JsonObject]] | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if terms:
        found["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": list(terms)}
    if preferred:
        found["preferredDuringSchedulingIgnoredDuringExecution"] = [
            {"weight": weight, "preference": preference} for weight, preference in preferred
        ]
    return {"nodeAffinity": found}


def on(key: str, operator: str, *values: str) -> JsonObject:
    return {"key": key, "operator": operator, "values": list(values)}


def labels(*expressions: JsonObject) -> JsonObject:
    return {"matchExpressions": list(expressions)}


def fields(*expressions: JsonObject) -> JsonObject:
    return {"matchFields": list(expressions)}


NODES = (
    facts("n1", labels={"zone": "a", "cores": "4"}),
    facts("n2", labels={"zone": "b", "cores": "16"}),
    facts("n3", labels={"disk": "ssd"}),
)


@pytest.mark.parametrize(
    ("spec", "may_go"),
    [
        pytest.param({"nodeSelector": {"zone": "a"}}, {"n1"}, id="selector"),
        pytest.param({"nodeSelector": {"zone": "a", "disk": "ssd"}}, set[str](), id="selector of two"),
        pytest.param({"nodeSelector": {"rack": "1"}}, set[str](), id="label nobody has"),
        pytest.param({"affinity": affinity(labels(on("zone", "In", "a", "b")))}, {"n1", "n2"}, id="In"),
        pytest.param(
            {"affinity": affinity(labels(on("zone", "NotIn", "a")))}, {"n2", "n3"}, id="NotIn, absent too"
        ),
        pytest.param({"affinity": affinity(labels(on("disk", "Exists")))}, {"n3"}, id="Exists"),
        pytest.param(
            {"affinity": affinity(labels(on("disk", "DoesNotExist")))}, {"n1", "n2"}, id="DoesNotExist"
        ),
        pytest.param({"affinity": affinity(labels(on("cores", "Gt", "8")))}, {"n2"}, id="Gt"),
        pytest.param({"affinity": affinity(labels(on("cores", "Lt", "8")))}, {"n1"}, id="Lt"),
        pytest.param(
            {"affinity": affinity(labels(on("rack", "NotIn", "1")))}, {"n1", "n2", "n3"}, id="unknown key"
        ),
        pytest.param(
            {"affinity": affinity(labels(on("zone", "In", "a")), labels(on("disk", "Exists")))},
            {"n1", "n3"},
            id="terms are alternatives",
        ),
        pytest.param(
            {"affinity": affinity(labels(on("zone", "Exists"), on("cores", "Gt", "8")))},
            {"n2"},
            id="expressions add up",
        ),
        pytest.param({"affinity": affinity({})}, set[str](), id="an empty term selects nothing"),
        pytest.param({"affinity": affinity(fields(on("metadata.name", "In", "n2")))}, {"n2"}, id="by name"),
        pytest.param(
            {"affinity": affinity(fields(on("metadata.name", "NotIn", "n2")))}, {"n1", "n3"}, id="not by name"
        ),
        pytest.param(
            {"nodeSelector": {"zone": "a"}, "affinity": affinity(labels(on("zone", "In", "b")))},
            set[str](),
            id="selector and affinity both",
        ),
    ],
)
def test_required_node_affinity(spec: dict[str, Any], may_go: set[str]) -> None:
    found = refusals(NodeAffinity(), a_class(**spec), a_table(*NODES))
    assert found == dict.fromkeys({"n1", "n2", "n3"} - may_go, (NO_MATCH,))


def test_terms_that_name_nodes_narrow_the_search() -> None:
    plugin = NodeAffinity()
    both = affinity(fields(on("metadata.name", "In", "n1")), fields(on("metadata.name", "In", "n2")))
    assert plugin.only(a_class(affinity=both)) == {"n1", "n2"}
    half = affinity(fields(on("metadata.name", "In", "n1")), labels(on("zone", "Exists")))
    assert plugin.only(a_class(affinity=half)) is None


def test_terms_that_contradict_themselves_are_refused_at_once() -> None:
    never = affinity(fields(on("metadata.name", "In", "n1"), on("metadata.name", "In", "n2")))
    assert NodeAffinity().prepare(a_class(affinity=never), a_table(*NODES)) == Rejection(CONFLICT)


def test_preferred_terms_add_their_weights() -> None:
    wishes = affinity(
        preferred=[(10, labels(on("zone", "Exists"))), (5, labels(on("cores", "Gt", "8"))), (7, {})]
    )
    table, plugin = a_table(*NODES), NodeAffinity()
    state = plugin.prepare_score(a_class(affinity=wishes), table)
    assert state is not None
    raw = plugin.score(state, table, ALL)
    assert raw[:3].tolist() == [10, 15, 0]
    assert plugin.normalize(state, raw, table.alive)[:3].tolist() == [66, 100, 0]


def test_no_wish_is_no_score() -> None:
    assert NodeAffinity().prepare_score(a_class(), a_table(*NODES)) is None


@pytest.mark.parametrize("seed", range(20))
def test_affinity_agrees_with_asking_node_by_node(seed: int) -> None:
    random = Random(seed)
    keys, values = ["a", "b", "c"], ["1", "2", "30", "x"]
    nodes = [
        facts(f"n{i}", labels={key: random.choice(values) for key in keys if random.random() < 0.7})
        for i in range(30)
    ]
    table = a_table(*nodes)
    for gone in random.sample(nodes, 5):  # rows are used again, values outlive their nodes
        table.remove_node(gone.name)
    nodes = [node for node in nodes if node.name in table.row_of]

    def expression() -> JsonObject:
        operator = random.choice(["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"])
        match operator:
            case "In" | "NotIn":
                chosen = random.sample(values, random.randint(1, 3))
            case "Gt" | "Lt":
                chosen = [random.choice(["0", "2", "29"])]
            case _:
                chosen = []
        return on(random.choice([*keys, "missing"]), operator, *chosen)

    def term() -> JsonObject:
        found = labels(*(expression() for _ in range(random.randint(0, 2))))
        if random.random() < 0.3:
            found.update(
                fields(on("metadata.name", random.choice(["In", "NotIn"]), f"n{random.randrange(30)}"))
            )
        return found

    for _ in range(20):
        spec = affinity(*(term() for _ in range(random.randint(1, 3))))
        selector = NodeSelector.from_json(
            spec["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        )
        pods, plugin = a_class(affinity=spec), NodeAffinity()
        if isinstance(plugin.prepare(pods, table), Rejection):
            continue
        expected = {node.name for node in nodes if not selector.matches(node.labels, node.name)}
        assert set(refusals(plugin, pods, table)) == expected, f"seed {seed}"


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_normalizing_agrees_with_the_scalar_rule(seed: int, reverse: bool) -> None:
    random = Random(seed)
    scores = [random.choice([0, 0, random.randint(0, 1000)]) for _ in range(50)]
    feasible = [random.random() < 0.6 for _ in range(50)]
    top = max((score for score, may_go in zip(scores, feasible, strict=True) if may_go), default=0)

    def scalar(score: int) -> int:
        if top == 0:
            return 100 if reverse else score
        scaled = 100 * score // top
        return 100 - scaled if reverse else scaled

    found = normalized(np.array(scores, np.int64), np.array(feasible), reverse=reverse)
    for score, may_go, one in zip(scores, feasible, found.tolist(), strict=True):
        assert not may_go or one == scalar(score)
