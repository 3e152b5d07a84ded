"""Registration, heartbeats, and the power switch of simulated machines."""

import pytest

from builders import a_condition
from kubelet_world import World, a_bound_pod, a_new_node, age, conditions, names_of, state_of
from nestling.api.json import JsonObject
from nestling.api.kinds import LEASE, NODE
from nestling.machinery.errors import Refused, Unavailable
from nestling.machinery.names import Key
from nestling.machinery.plan import Create, Delete
from nestling.machinery.records.node import Lease, Node

OFF = {"metadata": {"annotations": {"sim.nestling.dev/power": "off"}}}
ON = {"metadata": {"annotations": {"sim.nestling.dev/power": None}}}


def lease_of(world: World) -> Lease:
    found = world.lease()
    assert found is not None
    return Lease.read(dict(found))


def test_a_node_registers_with_one_write() -> None:
    node = a_new_node(labels={"node-role.kubernetes.io/worker": "", "kubernetes.io/arch": "arm64"})
    world = World(node)
    world.run(60)
    assert len(world.node_writes()) == 1, names_of(world.writes)
    status = world.status(node)
    assert status["capacity"] == {
        "cpu": "32",
        "memory": "256Gi",
        "pods": "110",
        "ephemeral-storage": "512Gi",
    }
    assert status["allocatable"] == status["capacity"]
    assert {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]} == {
        "MemoryPressure": ("False", "KubeletHasSufficientMemory"),
        "DiskPressure": ("False", "KubeletHasNoDiskPressure"),
        "PIDPressure": ("False", "KubeletHasSufficientPID"),
        "Ready": ("True", "KubeletReady"),
    }
    assert status["nodeInfo"]["kubeletVersion"] == "v1.37.2-nestling"
    assert status["nodeInfo"]["containerRuntimeVersion"].startswith("simulated://")
    assert status["nodeInfo"]["architecture"] == "arm64"
    assert status["kubeletLease"] == "nestling-kubelet-0"
    assert status["display"] == {"status": "Ready", "roles": "worker"}
    record = Node.read(dict(world.get(node)))
    assert (record.ready, record.kubelet_lease) == (True, "nestling-kubelet-0")
    assert [event.reason for event in world.events] == ["Starting", "NodeReady"]


def test_node_addresses_differ() -> None:
    nodes = [a_new_node(f"n{i}", spec={"podCIDR": f"10.128.{i}.0/24"}) for i in range(40)]
    nodes += [a_new_node(f"m{i}", spec={}) for i in range(40)]
    world = World(*nodes)
    world.run(1)
    assert len({world.status(node)["addresses"][0]["address"] for node in nodes}) == len(nodes)


@pytest.mark.parametrize(
    ("edit", "field", "value"),
    [
        pytest.param(
            {"spec": {"capacity": {"cpu": "8"}}},
            "capacity",
            {"cpu": "8", "memory": "256Gi", "pods": "110", "ephemeral-storage": "512Gi"},
            id="capacity",
        ),
        pytest.param(
            {"spec": {"unschedulable": True}},
            "display",
            {"status": "Ready,SchedulingDisabled", "roles": "<none>"},
            id="cordon",
        ),
    ],
)
def test_status_follows_the_spec_and_nothing_else_is_sent(
    edit: JsonObject, field: str, value: object
) -> None:
    world = World(a_new_node())
    world.run(30)
    world.edit(a_new_node(), edit, bump=True)
    world.run(30)
    assert world.status(a_new_node())[field] == value
    sent = world.node_writes()[-1].body["status"]
    assert len(world.node_writes()) == 2
    assert set(sent) <= {"capacity", "allocatable", "display"}


def test_conditions_of_others_on_the_node_survive() -> None:
    world = World(a_new_node())
    world.run(1)
    node = world.get(a_new_node())
    network = a_condition("NetworkUnavailable", "False")
    world.edit(node, {"status": {"conditions": [*node["status"]["conditions"], network]}})
    world.edit(node, {"spec": {"unschedulable": True}})
    world.run(1)
    assert conditions(world.status(node))["NetworkUnavailable"] == "False"


def test_a_node_that_was_taken_for_dead_is_ready_again() -> None:
    world = World(a_new_node())
    world.run(1)
    node = world.get(a_new_node())
    said = node["status"]["conditions"]
    lost = [{**entry, "status": "Unknown", "reason": "NodeStatusUnknown"} for entry in said]
    world.edit(node, {"status": {"conditions": lost}})
    world.run(1)
    assert conditions(world.status(node))["Ready"] == "True"
    assert [event.reason for event in world.events] == ["Starting", "NodeReady", "NodeReady"]


def test_one_lease_per_cluster_is_renewed_every_ten_seconds() -> None:
    nodes = [a_new_node(f"n{i}", spec={"podCIDR": f"10.128.{i}.0/24"}) for i in range(50)]
    world = World(*nodes)
    world.run(1)
    before = len(world.writes)
    world.run(600)
    assert 59 <= len(world.writes) - before <= 61
    lease = lease_of(world)
    assert (lease.holder, lease.duration_s) == ("nestling-kubelet-0", 40.0)
    assert world.now - lease.renewed_at <= 10


def test_a_deleted_lease_comes_back() -> None:
    world = World(a_new_node())
    world.run(15)
    lease = world.lease()
    assert lease is not None
    key = lease_of(world).key
    del world.objects[LEASE.plural, key]
    world.see(LEASE, lease, deleted=True)
    world.run(1)
    assert world.lease() is not None


def test_the_lease_goes_with_the_last_node() -> None:
    world = World(a_new_node())
    world.run(15)
    world.delete(a_new_node())
    world.run(100)
    assert world.lease() is None
    assert isinstance(world.writes[-1], Delete)
    world.put(a_new_node(uid="another"))
    world.run(1)
    assert world.lease() is not None


def test_a_lease_of_an_earlier_life_is_taken_over() -> None:
    world = World(a_new_node())
    world.run(15)
    first = lease_of(world)
    world.now += 1000
    world.crash()
    world.run(1)
    assert lease_of(world).uid == first.uid
    assert world.now - lease_of(world).renewed_at <= 1
    assert sum(isinstance(write, Create) for write in world.writes) == 1
    assert len(world.node_writes()) == 1


def test_a_machine_without_power_falls_silent() -> None:
    world = World(a_new_node(), a_new_node("n2", spec={"podCIDR": "10.244.8.0/24"}), a_bound_pod())
    world.run(25)
    last = lease_of(world).renewed_at
    world.edit(a_new_node(), OFF)
    writes = len(world.node_writes()) + len(world.pod_writes())
    late = a_bound_pod("late")
    world.put(late)
    world.delete(a_bound_pod())
    world.run(100)
    assert len(world.node_writes()) + len(world.pod_writes()) == writes
    assert world.exists(a_bound_pod())
    assert dict(lease_of(world).silent) == {"n1": pytest.approx(last, abs=1e-5)}
    world.crash()
    world.run(100)
    assert dict(lease_of(world).silent) == {"n1": pytest.approx(last, abs=1e-5)}
    assert len(world.node_writes()) + len(world.pod_writes()) == writes


@pytest.mark.parametrize(("text", "silent"), [("Off", True), (" OFF", True), ("On", False), ("on", False)])
def test_the_power_switch_is_read_whatever_its_capitals(text: str, silent: bool) -> None:
    world = World(a_new_node())
    world.run(25)
    world.edit(a_new_node(), {"metadata": {"annotations": {"sim.nestling.dev/power": text}}})
    world.run(25)
    assert list(lease_of(world).silent) == (["n1"] if silent else [])
    assert "InvalidSimulation" not in [event.reason for event in world.events]


def test_a_power_switch_that_cannot_be_read_is_told_once_per_value() -> None:
    def switch(text: str | None) -> None:
        world.edit(a_new_node(), {"metadata": {"annotations": {"sim.nestling.dev/power": text}}})
        world.run(25)
        world.edit(a_new_node(), {"metadata": {"labels": {"seen-at": str(world.now)}}})
        world.run(25)

    world = World(a_new_node())
    world.run(25)
    world.fail_next = [Unavailable("no answer")]  # the event must not go with the write
    world.edit(a_new_node(), {"spec": {"capacity": {"cpu": "8"}}}, bump=True)
    for text in ("offf", "0", None, "0", "off", "0", "on"):
        switch(text)
    assert world.fail_next == []
    assert list(lease_of(world).silent) == []
    told = [event for event in world.events if event.reason == "InvalidSimulation"]
    assert {(event.kind, event.type, event.key.name) for event in told} == {(NODE, "Warning", "n1")}
    assert [event.message for event in told] == [
        f'sim.nestling.dev/power: expected "on" or "off", found \'{text}\'; the machine is on'
        for text in ("offf", "0", "0", "0")
    ]


@pytest.mark.parametrize("crash", ["", "while off", "after on"])
def test_power_back_means_a_reboot(crash: str) -> None:
    policies = ("Always", "OnFailure", "Never")
    pods = [a_bound_pod(policy.lower(), spec={"restartPolicy": policy}) for policy in policies]
    world = World(a_new_node(), *pods)
    world.run(25)
    boot = world.status(a_new_node())["nodeInfo"]["bootID"]
    addresses = [world.status(pod)["podIP"] for pod in pods]
    world.edit(a_new_node(), OFF)
    world.run(100)
    if crash == "while off":
        world.crash()
    world.edit(a_new_node(), ON)
    if crash == "after on":
        world.crash()
    world.run(60)
    assert world.status(a_new_node())["nodeInfo"]["bootID"] != boot
    assert dict(lease_of(world).silent) == {}
    found = [world.status(pod) for pod in pods]
    assert [status["phase"] for status in found] == ["Running", "Running", "Failed"]
    assert [status["containerStatuses"][0]["restartCount"] for status in found] == [1, 1, 0]
    assert [status["podIP"] for status in found] == addresses
    ended = state_of(found[2])["terminated"]
    assert (ended["exitCode"], ended["reason"], age(ended["finishedAt"])) == (255, "Unknown", 125)
    assert [event.reason for event in world.events if event.kind is NODE].count("Rebooted") == 1


def test_failures_of_the_host_are_waited_out_with_growing_pauses() -> None:
    world = World()
    world.fail_next = [Unavailable("no answer")] * 6
    world.put(a_new_node())
    world.run(200)
    assert conditions(world.status(a_new_node()))["Ready"] == "True"


def test_a_namespace_that_refuses_is_asked_ever_less_often() -> None:
    world = World()
    world.fail_next = [Refused("namespace is being terminated", status=403)] * 1000
    world.put(a_new_node())
    world.run(3600)
    assert len(world.fail_next) > 900


def _is_first(node: Key) -> bool:
    return node.name == "n1"


def test_nodes_of_other_shards_are_left_alone() -> None:
    other = a_new_node("n2", spec={"podCIDR": "10.244.8.0/24"})
    world = World(
        a_new_node(),
        other,
        a_bound_pod(),
        a_bound_pod("web-1", node="n2"),
        owns=_is_first,
        identity="7",
    )
    world.run(10)
    assert "status" not in world.get(other)
    assert world.status(a_bound_pod("web-1", node="n2")) == {}
    assert world.status(a_bound_pod())["phase"] == "Running"
    assert world.lease("7") is not None


def test_a_node_made_anew_under_the_same_name_is_another_machine() -> None:
    world = World(a_new_node(), a_bound_pod())
    world.run(10)
    world.delete(a_new_node())
    world.put(a_new_node(uid="another"))
    world.run(10)
    assert conditions(world.status(a_new_node()))["Ready"] == "True"
    [entry] = world.status(a_bound_pod())["containerStatuses"]
    assert entry["restartCount"] == 1
    assert entry["lastState"]["terminated"]["exitCode"] == 255
