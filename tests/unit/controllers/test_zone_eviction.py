"""Which unready nodes are evicted from, and when."""

import pytest
from prometheus_client import CollectorRegistry

from builders import HOST_NAMESPACE, NOW, a_condition, a_node, key_for, view_of
from nestling.api.json import JsonObject
from nestling.api.kinds import NODE
from nestling.controllers import node_lifecycle, zone_eviction
from nestling.machinery.cache import Change
from nestling.machinery.clock import timestamp
from nestling.machinery.names import Key
from nestling.machinery.plan import Patch, Plan
from nestling.machinery.records.node import NOT_READY, UNREACHABLE, ZONE_LABEL, Node
from nestling.monitoring.controllers import ControllerMetrics
from world import World

CLUSTER = Key(HOST_NAMESPACE, "", "")
NO_EXECUTE = "NoExecute"


def node(
    name: str = "n1",
    ready: str = "True",
    *,
    evicting: str = "",
    since: float | None = NOW,
    zone: str = "",
    **more: object,
) -> JsonObject:
    """A registered node; `evicting` is the key of the NoExecute taint that it has `since` then."""
    labels = {ZONE_LABEL: zone} if zone else {}
    time = {"timeAdded": timestamp(since)} if since is not None else {}
    taints = [{"key": evicting, "effect": NO_EXECUTE, **time}] if evicting else []
    given = {"labels": labels, "spec": {"taints": taints}, **more}
    status = {"kubeletLease": "kubelet-1", "conditions": [a_condition("Ready", ready)] if ready else []}
    return a_node(name, status=status, **given)  # type: ignore[arg-type]  # keywords of a_node


def nodes(prefix: str, count: int, ready: str = "True") -> list[JsonObject]:
    return [node(f"{prefix}{index:02}", ready) for index in range(count)]


def look(*objects: JsonObject) -> Plan:
    return zone_eviction.reconcile(view_of(*objects), CLUSTER)


def evicted(plan: Plan) -> list[str]:
    """Names of the nodes that get an evicting taint."""
    return [
        write.key.name
        for write in plan.writes
        if isinstance(write, Patch)
        and any(taint["effect"] == NO_EXECUTE for taint in write.body["spec"]["taints"])
    ]


HEALTHY = node("healthy")


@pytest.mark.parametrize(
    ("others", "names", "wake_at"),
    [
        pytest.param([HEALTHY], [], None, id="all are ready"),
        pytest.param([HEALTHY, node("a", "False")], ["a"], None, id="one is not"),
        pytest.param([HEALTHY, node("a", "")], [], None, id="one has not registered"),
        pytest.param(
            [HEALTHY, node("a", "False", deleting_at=NOW, finalizers=["x/y"])], [], None, id="one is going"
        ),
        pytest.param([node("a", "False")], [], None, id="nobody is ready: perhaps we are cut off"),
        pytest.param([HEALTHY, *nodes("x", 3, "False")], [], None, id="small zone mostly down"),
        pytest.param(
            [*nodes("r", 2), *nodes("x", 2, "False")], ["x00"], NOW + 10, id="the second has to wait"
        ),
        pytest.param(
            [*nodes("r", 2), node("a", "False"), node("b", "False", evicting=NOT_READY, since=NOW - 4)],
            [],
            NOW + 6,
            id="another went four seconds ago",
        ),
        pytest.param(
            [*nodes("r", 2), node("a", "False"), node("b", "False", evicting=NOT_READY, since=NOW - 10)],
            ["a"],
            None,
            id="another went ten seconds ago",
        ),
        pytest.param(
            [*nodes("r", 2), node("a", "False"), node("b", "False", evicting=NOT_READY, since=None)],
            ["a"],
            None,
            id="another went at an unknown time",
        ),
        pytest.param(
            [*nodes("r", 20), *nodes("x", 41, "False")], ["x00"], NOW + 100, id="large zone mostly down"
        ),
        pytest.param(
            [HEALTHY, *(node(f"{zone}{i}", "False", zone=zone) for zone in "ab" for i in (1, 2))],
            ["a1", "b1"],
            NOW + 10,
            id="two zones that are down go side by side",
        ),
    ],
)
def test_eviction_keeps_upstreams_pace(
    others: list[JsonObject], names: list[str], wake_at: float | None
) -> None:
    plan = look(*others)
    assert evicted(plan) == names
    assert plan.wake_at == wake_at


@pytest.mark.parametrize(
    ("ready", "key"),
    [
        pytest.param("False", NOT_READY, id="not ready"),
        pytest.param("Unknown", UNREACHABLE, id="unreachable"),
    ],
)
def test_evicting_taint_joins_the_others_with_its_time_on_the_version_we_saw(ready: str, key: str) -> None:
    gpu = {"key": "gpu", "effect": "NoSchedule"}
    [patch] = look(HEALTHY, node("n1", ready, version=9, spec={"taints": [gpu]})).writes
    assert isinstance(patch, Patch)
    assert patch.version == 9
    assert patch.body["spec"]["taints"] == [
        gpu,
        {"key": key, "effect": NO_EXECUTE, "timeAdded": timestamp(NOW)},
    ]


def test_eviction_is_taken_back_when_no_node_is_ready() -> None:
    kept = {"key": UNREACHABLE, "effect": "NoSchedule"}
    spec = {"taints": [kept, {"key": UNREACHABLE, "effect": NO_EXECUTE}]}
    [patch] = look(node("n1", "Unknown", spec=spec), node("n2", "Unknown")).writes
    assert isinstance(patch, Patch)
    assert patch.body == {"spec": {"taints": [kept]}}


def test_many_are_spared_in_bursts() -> None:
    plan = look(*(node(f"n{index}", "Unknown", evicting=UNREACHABLE) for index in range(501)))
    assert (len(plan.writes), plan.wake_at) == (500, NOW)


def test_node_that_comes_back_loses_both_taints() -> None:
    world = World(HEALTHY, node("n1", "Unknown"))
    world.settle(node_lifecycle.CONTROLLER)
    world.perform(zone_eviction.reconcile(world.view(), CLUSTER))
    world.settle(node_lifecycle.CONTROLLER)
    taints = world.get(NODE, "n1")["spec"]["taints"]
    assert [(t["key"], t["effect"]) for t in taints] == [
        (UNREACHABLE, "NoSchedule"),
        (UNREACHABLE, NO_EXECUTE),
    ]
    world.edit(NODE, "n1", {"status": {"conditions": [a_condition("Ready")]}})
    world.settle(node_lifecycle.CONTROLLER)
    assert world.get(NODE, "n1")["spec"]["taints"] == []


def record(obj: JsonObject | None) -> Node | None:
    return None if obj is None else view_of(obj).get(Node, key_for(obj))


@pytest.mark.parametrize(
    ("before", "after", "woken"),
    [
        pytest.param(node(), node(ready="False"), True, id="went unready"),
        pytest.param(node(ready="False"), node(), True, id="is ready again"),
        pytest.param(None, node(ready=""), True, id="is new"),
        pytest.param(node(), None, True, id="is gone"),
        pytest.param(node(ready="False"), node(ready="False", evicting=NOT_READY), True, id="was tainted"),
        pytest.param(node(), node(zone="a"), True, id="changed its zone"),
        pytest.param(node(), node(version=2, annotations={"a": "b"}), False, id="anything else"),
    ],
)
def test_only_what_the_pace_depends_on_wakes_the_cluster(
    before: JsonObject | None, after: JsonObject | None, woken: bool
) -> None:
    change = Change(NODE, Key(HOST_NAMESPACE, "", "n1"), record(before), record(after))
    [route] = zone_eviction.CONTROLLER.concerns[NODE]
    assert list(route.keys(view_of(), change)) == ([CLUSTER] if woken else [])


def test_metrics_tell_of_every_zone_and_forget_those_that_are_gone() -> None:
    registry = CollectorRegistry()
    metrics = ControllerMetrics(registry, [zone_eviction.CONTROLLER])

    def take(plan: Plan, *, ok: bool = True) -> None:
        assert plan.measure is not None
        for found in plan.measure(len(plan.writes), ok, 0.1):
            metrics.count("team-a", found)

    def value(name: str, zone: str) -> float | None:
        return registry.get_sample_value(f"node_collector_{name}", {"cluster": "team-a", "zone": zone})

    a = [node(f"a{index}", zone="a") for index in range(3)]
    lost = look(*a, node("a3", "Unknown", zone="a"), node("b0", zone="b"))
    take(lost, ok=False)
    assert value("evictions_total", ":\x00:a") is None
    take(lost)
    assert value("zone_size", ":\x00:a") == 4
    assert value("zone_health", ":\x00:a") == 75
    assert value("unhealthy_nodes_in_zone", ":\x00:a") == 1
    assert value("evictions_total", ":\x00:a") == 1
    assert value("zone_health", ":\x00:b") == 100
    take(look(*a, HEALTHY))
    assert value("zone_size", ":\x00:a") == 3
    assert value("zone_size", "") == 1
    assert value("zone_size", ":\x00:b") is None
    assert value("evictions_total", ":\x00:a") == 1
