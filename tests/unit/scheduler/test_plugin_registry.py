"""Plugins by name: our own, other packages', and what is said of those that cannot be made."""

from importlib.metadata import EntryPoint, EntryPoints
from typing import Any, ClassVar

import pytest

from nestling.api.json import JsonObject
from nestling.scheduler.framework import PluginError, Registry, ScorePlugin
from nestling.scheduler.plugins import registry
from nestling.scheduler.plugins.priority_sort import PrioritySort
from nestling.scheduler.plugins.scheduling_gates import SchedulingGates
from nestling.scheduler.podclass import PodClass
from nestling.scheduler.table import IntArray, NodeTable, Rows


class Sideways(ScorePlugin):
    """A stranger's plugin."""

    name: ClassVar[str] = "Sideways"

    def __init__(self, args: JsonObject) -> None:
        self.step = int(args.get("step", 1))

    def prepare_score(self, pods: PodClass, nodes: NodeTable) -> bool:
        return True

    def score(self, state: Any, nodes: NodeTable, rows: Rows) -> IntArray:
        return nodes.pods[rows] * self.step


def offered(monkeypatch: pytest.MonkeyPatch, *entries: tuple[str, str]) -> Registry:
    found = EntryPoints(EntryPoint(name, value, registry.GROUP) for name, value in entries)

    def entry_points(*, group: str) -> EntryPoints:
        return found.select(group=group)

    monkeypatch.setattr(registry, "entry_points", entry_points)
    return registry.installed.__wrapped__()


def test_every_plugin_of_ours_can_be_made_without_arguments() -> None:
    ours = registry.in_tree()
    assert [ours.make(name).name for name in ours.names] == list(ours.names)


def test_a_package_can_offer_a_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = offered(monkeypatch, ("Sideways", f"{__name__}:Sideways")).make("Sideways", {"step": 3})
    assert isinstance(plugin, Sideways)
    assert plugin.step == 3


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        pytest.param(("NodeName", f"{__name__}:Sideways"), "one of this name already", id="taken"),
        pytest.param(("Other", "math:pi"), "math:pi is nothing that makes a plugin", id="not callable"),
    ],
)
def test_a_package_cannot_offer_what_makes_no_sense(
    monkeypatch: pytest.MonkeyPatch, entry: tuple[str, str], says: str
) -> None:
    with pytest.raises(PluginError, match=says):
        offered(monkeypatch, entry)


@pytest.mark.parametrize(
    ("name", "args", "says"),
    [
        pytest.param("Nonsense", {}, "none of this name; there are SchedulingGates, ", id="unknown"),
        pytest.param("NodeName", {"a": 1}, "takes no arguments, not a", id="arguments"),
    ],
)
def test_a_plugin_that_cannot_be_made_is_a_sentence(name: str, args: JsonObject, says: str) -> None:
    with pytest.raises(PluginError, match=says) as error:
        registry.in_tree().make(name, args)
    assert error.value.name == name


def test_gates_keep_a_pod_waiting_and_are_named() -> None:
    gates = SchedulingGates()
    assert gates.pre_enqueue({"schedulingGates": [{"name": "a"}, {"name": "b.io/c"}]}) == (
        "waiting for scheduling gates: [a b.io/c]"
    )
    assert gates.pre_enqueue({}) == ""


def test_the_more_important_pod_comes_first_then_the_one_that_waited_longer() -> None:
    sort = PrioritySort()
    assert sorted([(0, 1.0), (5, 3.0), (5, 2.0), (-1, 0.0)], key=lambda one: sort.order(*one)) == [
        (5, 2.0),
        (5, 3.0),
        (0, 1.0),
        (-1, 0.0),
    ]
