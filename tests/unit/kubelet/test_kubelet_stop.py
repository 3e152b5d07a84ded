"""Deletion of pods: containers stop, then the finalizer goes, and nothing is written after that."""

import pytest

from kubelet_world import World, a_bound_pod, a_new_node, names_of, state_of
from nestling.api.json import JsonObject
from nestling.machinery.records.pod import KUBELET_FINALIZER

SIM = "sim.nestling.dev/"
MAIN: JsonObject = {"name": "main", "image": "web:1"}


def a_world(
    annotations: dict[str, str], *, finalizers: tuple[str, ...] = (), **spec: object
) -> tuple[World, JsonObject]:
    pod = a_bound_pod(
        annotations={f"{SIM}{k}": v for k, v in annotations.items()},
        spec=dict(spec),
        finalizers=[*finalizers, KUBELET_FINALIZER],
    )
    return World(a_new_node(), pod), pod


def test_an_ordinary_pod_goes_with_one_write() -> None:
    world, pod = a_world({})
    world.run(10)
    world.delete(pod)
    world.run(10)
    assert not world.exists(pod)
    status, release = world.pod_writes()
    assert status.subresource == "status"
    assert release.body == {"metadata": {"finalizers": []}}
    assert release.version is not None
    assert [event.message for event in world.events if event.reason == "Killing"] == [
        "Stopping container main"
    ]


@pytest.mark.parametrize(
    ("annotations", "spec", "gone_after"),
    [
        pytest.param({"stop-delay": "5s"}, {}, 5, id="slow to stop"),
        pytest.param({"stop-delay": "300ms"}, {}, 0.3, id="a moment"),
        pytest.param(
            {"stop-delay": "1h"}, {"terminationGracePeriodSeconds": 20}, 20, id="killed after its grace"
        ),
        pytest.param({"stop-delay": "1h"}, {"terminationGracePeriodSeconds": 0}, 2, id="least grace"),
        pytest.param(
            {},
            {"containers": [{**MAIN, "lifecycle": {"preStop": {"sleep": {"seconds": 4}}}}]},
            4,
            id="hook",
        ),
        pytest.param(
            {"stop-delay.a": "3s", "stop-delay.b": "4s"},
            {"containers": [{"name": "a", "image": "a"}, {"name": "b", "image": "b"}]},
            4,
            id="containers stop side by side",
        ),
        pytest.param(
            {"stop-delay.side": "3s", "stop-delay.main": "4s"},
            {"initContainers": [{"name": "side", "image": "s", "restartPolicy": "Always"}]},
            7,
            id="sidecars stop last",
        ),
        pytest.param({"stop-delay": "banana"}, {}, 0, id="unreadable"),
    ],
)
def test_containers_have_their_time_to_stop(
    annotations: dict[str, str], spec: JsonObject, gone_after: float
) -> None:
    world, pod = a_world(annotations, **spec)
    world.run(10)
    world.delete(pod)
    if gone_after:
        world.run(gone_after - 0.1)
        assert world.exists(pod)
        assert (world.status(pod)["display"]["status"] == "Terminating") is (gone_after >= 1)
        world.run(0.1)
    world.run(0.001)
    assert not world.exists(pod)
    assert len(world.pod_writes()) == (3 if gone_after >= 1 else 2)
    containers = [*pod["spec"]["containers"], *pod["spec"].get("initContainers", ())]
    assert world.reasons().count("Killing") == len(containers)


def test_the_end_is_told_first_if_others_keep_the_pod() -> None:
    world, pod = a_world({}, finalizers=("batch.kubernetes.io/job-tracking",), restartPolicy="Never")
    world.run(10)
    world.delete(pod)
    world.run(10)
    found = world.get(pod)
    assert found["metadata"]["finalizers"] == ["batch.kubernetes.io/job-tracking"]
    status = found["status"]
    assert (status["phase"], state_of(status)["terminated"]["exitCode"]) == ("Failed", 143)
    assert [write.subresource for write in world.pod_writes()] == ["status", "status", ""]


def test_a_pod_that_others_show_as_terminating_is_stopped_all_the_same() -> None:
    world, pod = a_world({"stop-delay": "5s"})
    world.run(10)
    world.edit(pod, {"status": {"display": {"status": "Terminating"}}})
    world.delete(pod)
    world.run(4)
    assert world.reasons().count("Killing") == 1
    world.run(2)
    assert not world.exists(pod)
    assert len(world.pod_writes()) <= 4


def test_containers_lost_in_a_reboot_do_not_hold_up_a_deletion() -> None:
    world, pod = a_world({"stop-delay": "20s"}, finalizers=("keep.example/it",))
    world.run(10)
    off = {"metadata": {"annotations": {"sim.nestling.dev/power": "off"}}}
    world.edit(a_new_node(), off)
    world.delete(pod)
    world.run(60)
    assert KUBELET_FINALIZER in world.get(pod)["metadata"]["finalizers"]
    world.edit(a_new_node(), {"metadata": {"annotations": {"sim.nestling.dev/power": "on"}}})
    world.run(1)
    assert world.get(pod)["metadata"]["finalizers"] == ["keep.example/it"]
    assert state_of(world.status(pod))["terminated"]["exitCode"] == 255


def test_a_finished_pod_is_let_go_at_once() -> None:
    world, pod = a_world({"run-duration": "1s", "stop-delay": "1h"}, restartPolicy="Never")
    world.run(10)
    world.delete(pod)
    world.run(0.001)
    assert not world.exists(pod)
    assert len(world.pod_writes()) == 3


@pytest.mark.parametrize("registered", [True, False])
def test_a_pod_that_never_started_is_let_go_at_once(registered: bool) -> None:
    pod = a_bound_pod(annotations={f"{SIM}stop-delay": "1h"})
    world = World(a_new_node()) if registered else World()
    world.run(1)
    world.put(pod)
    world.delete(pod)
    world.run(1)
    assert not world.exists(pod)
    assert len(world.pod_writes()) == 1, names_of(world.writes)


def test_a_pod_whose_node_is_gone_is_let_go() -> None:
    world, pod = a_world({"stop-delay": "1h"})
    world.run(10)
    world.delete(a_new_node())
    world.run(10)
    assert world.exists(pod)
    assert len(world.pod_writes()) == 1
    world.delete(pod)
    world.run(1)
    assert not world.exists(pod)


def test_a_container_is_not_restarted_while_its_pod_is_deleted() -> None:
    world, pod = a_world({"run-duration": "3s", "exit-code": "1", "stop-delay": "20s"})
    world.run(1)
    world.delete(pod)
    world.run(19)
    assert world.status(pod)["containerStatuses"][0]["restartCount"] == 0
    world.run(2)
    assert not world.exists(pod)


def test_addresses_are_unique_among_the_living_and_used_again() -> None:
    pods = [a_bound_pod(f"web-{number}") for number in range(5)]
    world = World(a_new_node(), *pods)
    world.run(1)
    assert [world.status(pod)["podIP"] for pod in pods] == [f"10.244.7.{n}" for n in range(2, 7)]
    world.delete(pods[1])
    world.run(1)
    late = a_bound_pod("late")
    later = a_bound_pod("later")
    world.put(late)
    world.put(later)
    world.run(1)
    assert [world.status(pod)["podIP"] for pod in (late, later)] == ["10.244.7.3", "10.244.7.7"]


def test_addresses_survive_a_restart_of_the_kubelet() -> None:
    pods = [a_bound_pod(f"web-{number}") for number in range(3)]
    world = World(a_new_node(), *pods)
    world.run(1)
    world.delete(pods[0])
    world.run(1)
    world.crash()
    late = [a_bound_pod("late"), a_bound_pod("later")]
    for pod in late:
        world.put(pod)
    world.run(1)
    assert [world.status(pod)["podIP"] for pod in late] == ["10.244.7.2", "10.244.7.5"]


def test_pods_on_the_hosts_network_have_its_address() -> None:
    world, pod = a_world({}, hostNetwork=True)
    world.run(1)
    status = world.status(pod)
    assert status["podIP"] == status["hostIP"] == world.status(a_new_node())["addresses"][0]["address"]


def test_a_full_subnet_keeps_pods_waiting_and_says_so() -> None:
    pods = [a_bound_pod(f"web-{number}") for number in range(6)]
    world = World(a_new_node(spec={"podCIDR": "10.9.0.0/29"}), *pods)
    world.run(30)
    started = [pod for pod in pods if world.status(pod).get("phase") == "Running"]
    assert len(started) == 5
    [waiting] = [pod for pod in pods if pod not in started]
    said = {event.message for event in world.events if event.reason == "FailedCreatePodSandBox"}
    assert said == {"Failed to create pod sandbox: no IP addresses available in 10.9.0.0/29"}
    world.delete(started[0])
    world.run(15)
    assert world.status(waiting)["phase"] == "Running"


def test_a_node_without_a_subnet_keeps_its_pods_waiting_until_it_has_one() -> None:
    node = a_new_node(spec={})
    world = World(node, a_bound_pod())
    world.run(5)
    assert world.status(a_bound_pod()) == {}
    world.edit(node, {"spec": {"podCIDR": "10.244.9.0/24"}})
    world.run(1)
    assert world.status(a_bound_pod())["podIP"] == "10.244.9.2"


@pytest.mark.parametrize(
    ("asked", "gone_after"),
    [
        pytest.param("7", 7, id="less than the pod has"),
        pytest.param("90", 90, id="more than the pod has"),
        pytest.param("0", 2, id="least grace"),
        pytest.param("soon", 30, id="unreadable"),
    ],
)
def test_whoever_deletes_a_pod_may_say_how_long_it_has(asked: str, gone_after: float) -> None:
    pod = a_bound_pod(
        annotations={f"{SIM}stop-delay": "1h", "nestling.dev/deletion-grace-period-seconds": asked},
        finalizers=[KUBELET_FINALIZER],
    )
    world = World(a_new_node(), pod)
    world.run(10)
    world.delete(pod)
    world.run(gone_after - 0.5)
    assert world.exists(pod)
    world.run(1)
    assert not world.exists(pod)
