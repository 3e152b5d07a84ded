"""The node table: rows come, change, go and are used again."""

from random import Random

import numpy as np
import pytest

from nestling.api.selector import Requirement
from nestling.scheduler.table import Aspect, NodeTable
from unit.scheduler.tables import a_class, a_table, facts, requests


def test_a_pod_counts_where_it_is() -> None:
    table = a_table(facts("n1"), facts("n2"))
    pods = a_class(requests(cpu="1", memory="1Gi"))
    table.add_pod("n2", pods)
    assert table.requested[:2, 0].tolist() == [0, 1000]
    assert table.pods[:2].tolist() == [0, 1]
    table.remove_pod("n2", pods)
    assert not table.requested.any()
    assert not table.counted.any()


def test_pods_are_counted_before_their_node_is_known() -> None:
    table = NodeTable()
    table.add_pod("late", a_class(requests(cpu="1")))
    assert table.count == 0
    table.put_node(facts("late"))
    assert table.requested[table.row_of["late"], 0] == 1000
    assert table.count == 1


def test_a_removed_node_keeps_its_row_until_its_pods_are_gone() -> None:
    table, pods = a_table(facts("n1")), a_class(requests(cpu="1"))
    table.add_pod("n1", pods)
    table.remove_node("n1")
    assert table.count == 0
    assert not table.alive.any()
    assert "n1" in table.row_of
    table.remove_pod("n1", pods)
    assert "n1" not in table.row_of
    table.put_node(facts("n2"))
    assert not table.requested[table.row_of["n2"]].any()


def test_a_node_that_comes_back_finds_its_pods() -> None:
    table, pods = a_table(facts("n1")), a_class(requests(cpu="1"))
    table.add_pod("n1", pods)
    table.remove_node("n1")
    table.put_node(facts("n1"))
    assert table.requested[table.row_of["n1"], 0] == 1000


def test_a_used_row_carries_nothing_of_its_last_node() -> None:
    table = a_table(
        facts(
            "n1",
            labels={"zone": "a"},
            taints=(("k", "", "NoSchedule"),),
            unschedulable=True,
            gpus="2",
        )
    )
    row = table.row_of["n1"]
    table.remove_node("n1")
    table.put_node(facts("n2"))
    assert table.row_of["n2"] == row
    assert table.taints_of(row) == ()
    assert not table.unschedulable[row]
    assert table.allocatable[row, table.column("x.io/gpu")] == 0
    assert not table.labels.match(Requirement("zone", "Exists"))[row]


def test_a_resource_that_a_node_loses_is_gone() -> None:
    table = a_table(facts("n1", gpus="2"))
    table.put_node(facts("n1"))
    assert table.allocatable[0, table.column("x.io/gpu")] == 0


def test_changes_are_logged_by_row_and_aspect() -> None:
    table = a_table(facts("n1"), facts("n2"))
    before = table.version
    table.add_pod("n2", a_class())
    table.put_node(facts("n1", cpu="8"))
    assert table.changes_since(before) == [1 * 8 + Aspect.USAGE, 0 * 8 + Aspect.NODE]
    assert table.changes_since(table.version) == []


def test_growing_and_long_logs_make_readers_start_over() -> None:
    table = a_table(facts("n0"))
    before = table.version
    for i in range(1, 200):
        table.put_node(facts(f"n{i}"))
    assert table.changes_since(before) is None
    before, pods = table.version, a_class()
    for _ in range(20_000):
        table.add_pod("n1", pods)
    assert table.changes_since(before) is None
    assert table.version > before


@pytest.mark.parametrize("seed", range(10))
def test_columns_equal_a_plain_account(seed: int) -> None:
    random, table = Random(seed), NodeTable(rows=4)
    kinds = [a_class(requests(cpu=f"{n}m"), requests(memory=f"{n}Ki")) for n in (1, 70, 900)]
    alive: dict[str, str] = {}
    pods: list[tuple[str, int]] = []
    for _ in range(400):
        name = f"n{random.randrange(40)}"
        match random.choice(["node", "node", "gone", "pod", "pod", "pod", "left"]):
            case "node":
                alive[name] = random.choice("abc")
                table.put_node(facts(name, labels={"zone": alive[name], "kubernetes.io/hostname": name}))
            case "gone":
                alive.pop(name, None)
                table.remove_node(name)
            case "pod":
                pods.append((name, random.randrange(3)))
                table.add_pod(name, kinds[pods[-1][1]])
            case _ if pods:
                left, kind = pods.pop(random.randrange(len(pods)))
                table.remove_pod(left, kinds[kind])
            case _:
                pass
    assert {table.names[row] for row in np.flatnonzero(table.alive)} == set(alive), f"seed {seed}"
    assert table.count == len(alive)
    for name in {*alive, *(node for node, _ in pods)}:
        row = table.row_of[name]
        mine = [kinds[kind].demand for node, kind in pods if node == name]
        assert table.pods[row] == len(mine)
        assert table.requested[row, 0] == sum(demand.amounts["cpu"] for demand in mine)
        assert table.counted[row, 1] == sum(demand.counted_memory for demand in mine)
    for zone in "abc":
        found = table.labels.match(Requirement("zone", "In", frozenset({zone}))) & table.alive
        assert {table.names[row] for row in np.flatnonzero(found)} == {
            n for n, z in alive.items() if z == zone
        }


def test_values_of_nodes_long_gone_are_cleaned_out() -> None:
    table = a_table(facts("keep", labels={"kubernetes.io/hostname": "keep"}))
    for i in range(5000):
        table.put_node(facts("n", labels={"kubernetes.io/hostname": f"n{i}"}))
    truths = table.labels.match(Requirement("kubernetes.io/hostname", "In", frozenset({"keep"})))
    assert np.flatnonzero(truths).tolist() == [table.row_of["keep"]]
    last = table.labels.match(Requirement("kubernetes.io/hostname", "In", frozenset({"n4999"})))
    assert np.flatnonzero(last).tolist() == [table.row_of["n"]]
    assert len(set(table.labels.ids("kubernetes.io/hostname").tolist())) == 3  # two values, and none
