"""The plugins that look at what is left on a node: resources and ports."""

from math import floor, sqrt
from random import Random

import numpy as np
import pytest

from nestling.api.json import JsonObject
from nestling.scheduler.plugins.balanced_allocation import NodeResourcesBalancedAllocation
from nestling.scheduler.plugins.fit import NodeResourcesFit
from nestling.scheduler.plugins.node_ports import NO_FREE_PORTS, NodePorts
from nestling.scheduler.podclass import PodClass
from nestling.scheduler.table import ALL, NodeTable
from unit.scheduler.tables import a_class, a_table, facts, refusals, requests

GIB = 1024**3


@pytest.mark.parametrize(
    ("container", "reasons"),
    [
        pytest.param(requests(cpu="1", memory="1Gi"), (), id="room"),
        pytest.param(requests(cpu="2"), (), id="exactly what is left"),
        pytest.param(requests(cpu="2001m"), ("Insufficient cpu",), id="a thousandth more"),
        pytest.param(
            requests(memory="8Gi", cpu="3"),
            ("Insufficient cpu", "Insufficient memory"),
            id="all that is short",
        ),
        pytest.param(
            {"name": "a", "resources": {"requests": {"ephemeral-storage": "1Ti"}}},
            ("Insufficient ephemeral-storage",),
            id="ephemeral storage",
        ),
        pytest.param(
            {
                "name": "a",
                "resources": {"requests": {"example.com/gpu": "1", "b.example/x": "1", "cpu": "9"}},
            },
            ("Insufficient cpu", "Insufficient b.example/x", "Insufficient example.com/gpu"),
            id="extended resources nobody has",
        ),
        pytest.param({"name": "a", "resources": {"requests": {"example.com/gpu": "0"}}}, (), id="none of it"),
        pytest.param({"name": "a"}, (), id="no requests fit a full node"),
    ],
)
def test_resources_left_on_a_node(container: JsonObject, reasons: tuple[str, ...]) -> None:
    table = a_table(facts("n1"))
    table.add_pod("n1", a_class(requests(cpu="2", memory="1Gi")))
    expected = {"n1": reasons} if reasons else {}
    assert refusals(NodeResourcesFit(), a_class(container), table) == expected


def test_a_full_cpu_keeps_out_only_who_wants_cpu() -> None:
    table = a_table(facts("n1"))
    table.add_pod("n1", a_class(requests(cpu="5")))  # bound by somebody else: more than there is
    assert refusals(NodeResourcesFit(), a_class(requests(memory="1Gi")), table) == {}
    assert refusals(NodeResourcesFit(), a_class(requests(cpu="1m")), table) == {"n1": ("Insufficient cpu",)}


def test_pods_are_counted_too() -> None:
    table = a_table(facts("n1", pods="2"))
    for _ in range(2):
        table.add_pod("n1", a_class())
    found = refusals(NodeResourcesFit(), a_class(requests(cpu="8")), table)
    assert found == {"n1": ("Too many pods", "Insufficient cpu")}


def test_people_are_told_how_much_is_lacking() -> None:
    table = a_table(facts("n1", pods="1"))
    table.add_pod("n1", a_class(requests(cpu="3500m", memory="6Gi")))
    pods, plugin = a_class(requests(cpu="1", memory="4Gi")), NodeResourcesFit()
    code = int(plugin.filter(plugin.prepare(pods, table), table, ALL)[0])
    assert plugin.lacks(code, pods, table, 0) == (
        "Too many pods (1 of 1)",
        "Insufficient cpu (wants 1, 500m of 4 free)",
        "Insufficient memory (wants 4Gi, 2Gi of 8Gi free)",
    )


def random_table(random: Random) -> tuple[NodeTable, PodClass]:
    table = NodeTable()
    for i in range(40):
        table.put_node(
            facts(
                f"n{i}",
                cpu=random.choice(["0", "1", "4", "7", "64"]),
                memory=random.choice(["0", "1Gi", "3Gi", "333Mi", "256Gi"]),
            )
        )
        for _ in range(random.randint(0, 4)):
            table.add_pod(f"n{i}", random_class(random))
    return table, random_class(random)


def random_class(random: Random) -> PodClass:
    said = {
        "cpu": f"{random.choice([0, 1, 99, 250, 1000, 3333])}m",
        "memory": f"{random.choice([0, 1, 77, 200, 1024, 3000])}Mi",
    }
    return a_class(requests(**{name: said[name] for name in said if random.random() < 0.8}))


def least(used: int, room: int) -> int:
    return 0 if used > room else (room - used) * 100 // room


def most(used: int, room: int) -> int:
    return min(used, room) * 100 // room


def ratio(shape: list[tuple[int, int]], used: int, room: int) -> int:
    """The broken line, segment by segment, cut towards zero as Go does."""
    percent = 100 if used > room else used * 100 // room
    for i, (end, score) in enumerate(shape):
        if percent <= end:
            if i == 0:
                return score * 10
            start, before = shape[i - 1]
            return before * 10 + int((score - before) * 10 * (percent - start) / (end - start))
    return shape[-1][1] * 10


def strategy_score(
    kind: str,
    shape: list[tuple[int, int]],
    table: NodeTable,
    pods: PodClass,
    weights: dict[str, int],
    row: int,
) -> int:
    """The rule, number by number."""
    score = votes = 0
    for name, weight in weights.items():
        wants, column = pods.demand.scored.get(name, 0), table.columns[name]
        room = int(table.allocatable[row, column])
        if room == 0 or (wants == 0 and name not in {"cpu", "memory", "ephemeral-storage"}):
            continue
        counts = table.counted if name in {"cpu", "memory"} else table.requested
        used = int(counts[row, column]) + wants
        match kind:
            case "LeastAllocated":
                part = least(used, room)
            case "MostAllocated":
                part = most(used, room)
            case _:
                part = ratio(shape, used, room)
        if part or kind != "RequestedToCapacityRatio":
            score += part * weight
            votes += weight
    if not votes:
        return 0
    return floor(score / votes + 0.5) if kind == "RequestedToCapacityRatio" else score // votes


SHAPES: list[list[tuple[int, int]]] = [
    [(0, 0), (100, 10)],
    [(0, 10), (100, 0)],
    [(20, 9), (60, 4), (90, 10)],
    [(50, 7)],
]


@pytest.mark.parametrize("kind", ["LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"])
@pytest.mark.parametrize("seed", range(25))
def test_each_strategy_agrees_with_the_scalar_rule(seed: int, kind: str) -> None:
    random = Random(seed)
    table, pods = random_table(random)
    names = ["cpu", "memory", "ephemeral-storage", "x.io/gpu"]
    weights = {name: random.choice([1, 3, 100]) for name in names if random.random() < 0.7} or {"cpu": 1}
    for name in weights:
        table.column(name)
    shape = random.choice(SHAPES)
    stated: JsonObject = {
        "type": kind,
        "resources": [{"name": name, "weight": weight} for name, weight in weights.items()],
    }
    if kind == "RequestedToCapacityRatio":
        points = [{"utilization": percent, "score": score} for percent, score in shape]
        stated["requestedToCapacityRatio"] = {"shape": points}
    plugin = NodeResourcesFit.of({"scoringStrategy": stated})
    state = plugin.prepare_score(pods, table)
    found = plugin.score(state, table, ALL)
    for row in np.flatnonzero(table.alive).tolist():
        expected = strategy_score(kind, shape, table, pods, weights, row)
        assert found[row] == expected, f"seed {seed}, row {row}"
        assert plugin.score_row(state, table, row) == expected, f"seed {seed}, row {row}"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        pytest.param({"scoringStrategy": {"type": "Best"}}, "not 'Best'", id="unknown type"),
        pytest.param(
            {"scoringStrategy": {"resources": [{"name": "cpu", "weight": 101}]}}, "1 to 100", id="weight"
        ),
        pytest.param(
            {"scoringStrategy": {"type": "RequestedToCapacityRatio"}}, "at least one point", id="no shape"
        ),
        pytest.param(
            {"scoringStrategy": {"type": "MostAllocated", "requestedToCapacityRatio": {}}},
            "goes with the type of this name",
            id="shape without its type",
        ),
        pytest.param({"ignoredResourceGroups": ["a/b"]}, "has no slash", id="group with a slash"),
    ],
)
def test_arguments_without_sense_are_refused(args: JsonObject, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        NodeResourcesFit.of(args)


def test_ignored_resources_refuse_no_node() -> None:
    plugin = NodeResourcesFit.of({"ignoredResources": ["x.io/gpu"], "ignoredResourceGroups": ["y.io"]})
    table = a_table(facts("n1"))
    assert refusals(plugin, a_class(requests(**{"x.io/gpu": "1", "y.io/tpu": "2"})), table) == {}
    assert refusals(plugin, a_class(requests(**{"x.io/other": "1"})), table) == {
        "n1": ("Insufficient x.io/other",)
    }


def balance(used: list[int], capacity: list[int]) -> int:
    """The rule, number by number."""
    shares = [min(u / c, 1.0) for u, c in zip(used, capacity, strict=True) if c]
    deviation = 0.0
    if len(shares) == 2:
        deviation = abs((shares[0] - shares[1]) / 2)
    elif len(shares) > 2:
        mean = sum(shares) / len(shares)
        deviation = sqrt(sum((share - mean) ** 2 for share in shares) / len(shares))
    return int((1 - deviation) * 100)


@pytest.mark.parametrize("resources", [["cpu", "memory"], ["cpu", "memory", "ephemeral-storage", "x.io/gpu"]])
@pytest.mark.parametrize("seed", range(25))
def test_balanced_allocation_agrees_with_the_scalar_rule(seed: int, resources: list[str]) -> None:
    table, pods = random_table(Random(seed))
    plugin = NodeResourcesBalancedAllocation.of({"resources": [{"name": name} for name in resources]})
    state = plugin.prepare_score(pods, table)
    amounts = pods.demand.amounts
    if state is None:
        assert not set(resources) & amounts.keys()
        return
    asked = [name for name in resources if "/" not in name or name in amounts]
    found = plugin.score(state, table, ALL)
    for row in np.flatnonzero(table.alive).tolist():
        columns = [table.columns[name] for name in asked]
        capacity = [int(table.allocatable[row, column]) for column in columns]
        used = [int(table.requested[row, column]) for column in columns]
        after = [before + amounts.get(name, 0) for before, name in zip(used, asked, strict=True)]
        expected = 50 + (50 + balance(after, capacity) - balance(used, capacity)) // 2
        assert found[row] == expected, f"seed {seed}, row {row}"
        assert plugin.score_row(state, table, row) == expected, f"seed {seed}, row {row}"


@pytest.mark.parametrize("seed", range(25))
def test_room_is_the_same_for_one_row_and_for_all(seed: int) -> None:
    table, pods = random_table(Random(seed))
    plugin = NodeResourcesFit()
    state = plugin.prepare(pods, table)
    codes = plugin.filter(state, table, ALL)
    rows = np.flatnonzero(table.alive).tolist()
    assert [plugin.filter_row(state, table, row) for row in rows] == codes[rows].tolist()


def test_a_neutral_placement_scores_75() -> None:
    table, plugin = a_table(facts("n1", cpu="4", memory="4Gi")), NodeResourcesBalancedAllocation()
    state = plugin.prepare_score(a_class(requests(cpu="1", memory="1Gi")), table)
    assert state is not None
    assert plugin.score(state, table, ALL)[0] == 75


def test_pods_without_requests_are_not_balanced() -> None:
    assert NodeResourcesBalancedAllocation().prepare_score(a_class(), a_table(facts("n1"))) is None


def port(number: int, address: str = "", protocol: str = "") -> JsonObject:
    found: JsonObject = {"containerPort": 80, "hostPort": number}
    if address:
        found["hostIP"] = address
    if protocol:
        found["protocol"] = protocol
    return {"name": "main", "ports": [found]}


@pytest.mark.parametrize(
    ("wanted", "refused"),
    [
        pytest.param(port(80), True, id="the same"),
        pytest.param(port(81), False, id="another port"),
        pytest.param(port(80, protocol="UDP"), False, id="another protocol"),
        pytest.param(port(80, "10.0.0.1"), True, id="one address of a node taken whole"),
        pytest.param(port(90), True, id="all addresses where one is taken"),
        pytest.param(port(90, "10.0.0.1"), True, id="the same address"),
        pytest.param(port(90, "10.0.0.2"), False, id="another address"),
        pytest.param(port(90, "0.0.0.0"), True, id="all addresses, spelt out"),
        pytest.param({"name": "main"}, False, id="no port"),
    ],
)
def test_host_ports(wanted: JsonObject, refused: bool) -> None:
    table = a_table(facts("n1"), facts("n2"))
    table.add_pod("n1", a_class(port(80)))
    table.add_pod("n1", a_class(port(90, "10.0.0.1")))
    assert refusals(NodePorts(), a_class(wanted), table) == ({"n1": (NO_FREE_PORTS,)} if refused else {})


def test_a_port_is_free_when_its_last_user_left() -> None:
    table, pods = a_table(facts("n1")), a_class(port(80))
    table.add_pod("n1", pods)
    table.add_pod("n1", pods)
    table.remove_pod("n1", pods)
    assert refusals(NodePorts(), pods, table) == {"n1": (NO_FREE_PORTS,)}
    table.remove_pod("n1", pods)
    assert refusals(NodePorts(), pods, table) == {}
    assert table.ports == {}
