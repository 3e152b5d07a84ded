"""From bound to Running, and what it costs."""

import pytest

from builders import NOW, a_cluster, a_condition
from kubelet_world import World, a_bound_pod, a_new_node, age, conditions, names_of, state_of
from nestling.api.json import JsonObject
from nestling.api.kinds import POD
from nestling.machinery.plan import Patch


def test_an_ordinary_pod_takes_one_status_write_from_bound_to_running() -> None:
    world = World(a_new_node(), a_bound_pod())
    world.run(60)
    assert len(world.pod_writes()) == 1, names_of(world.writes)
    status = world.status(a_bound_pod())
    assert status["phase"] == "Running"
    assert conditions(status) == dict.fromkeys(
        ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"), "True"
    )
    assert status["display"] == {"ready": "1/1", "status": "Running", "restarts": "0"}
    assert status["podIP"] == "10.244.7.2"
    assert status["podIPs"] == [{"ip": "10.244.7.2"}]
    assert status["hostIPs"] == [{"ip": status["hostIP"]}]
    assert status["observedGeneration"] == 1
    assert status["qosClass"] == "BestEffort"
    assert state_of(status) == {"running": {"startedAt": status["startTime"]}}
    assert world.reasons() == ["Pulled", "Created", "Started"]


def test_the_first_write_sends_the_whole_status_on_the_version_that_was_seen() -> None:
    world = World(a_new_node(), a_bound_pod())
    version = int(world.get(a_bound_pod())["metadata"]["resourceVersion"])
    world.settle()
    write = world.pod_writes()[0]
    assert isinstance(write, Patch)
    assert (write.subresource, write.version) == ("status", version)


def test_a_pod_waits_for_its_node_to_register() -> None:
    world = World(a_bound_pod())
    world.run(60)
    assert world.writes == []
    world.put(a_new_node())
    world.run(1)
    assert world.status(a_bound_pod())["phase"] == "Running"


def test_conditions_of_others_survive_the_first_write() -> None:
    pod = a_bound_pod(status={"conditions": [a_condition("DisruptionTarget", "True", since=NOW - 5)]})
    world = World(a_new_node(), pod)
    world.settle()
    assert conditions(world.status(pod))["DisruptionTarget"] == "True"


def test_a_condition_written_meanwhile_is_not_lost() -> None:
    pod = a_bound_pod()
    fresh = World(a_new_node())
    fresh.settle()
    fresh.put(pod)
    [plan] = fresh.kubelet.step(fresh.now)
    # Somebody else writes between our decision and our write; the watch is late.
    stored = fresh.get(pod)
    stored["status"] = {"conditions": [a_condition("DisruptionTarget", "True")]}
    fresh.version += 1
    stored["metadata"]["resourceVersion"] = str(fresh.version)
    fresh.kubelet.settle(plan, fresh.perform(plan), fresh.now)
    fresh.see(POD, stored)
    fresh.run(5)
    found = conditions(fresh.status(pod))
    assert (found["DisruptionTarget"], found["Ready"]) == ("True", "True")


@pytest.mark.parametrize(
    ("annotations", "cluster", "started", "writes"),
    [
        pytest.param({}, {}, 0, 1, id="nothing said"),
        pytest.param({"sim.nestling.dev/start-delay": "5s"}, {}, 5, 2, id="delay worth telling"),
        pytest.param({"sim.nestling.dev/start-delay": "300ms"}, {}, 0, 1, id="brief delay is not told"),
        pytest.param({}, {"simulation": {"startDelaySeconds": 3}}, 3, 2, id="default of the cluster"),
        pytest.param(
            {"sim.nestling.dev/start-delay": "0s"},
            {"simulation": {"startDelaySeconds": 3}},
            0,
            1,
            id="annotation beats the cluster",
        ),
        pytest.param({"sim.nestling.dev/start-delay.main": "2"}, {}, 2, 2, id="for one container"),
        pytest.param({"sim.nestling.dev/start-delay.other": "2"}, {}, 0, 1, id="for another container"),
        pytest.param({"sim.nestling.dev/start-delay": "banana"}, {}, 0, 1, id="unreadable"),
    ],
)
def test_start_delay_decides_when_the_container_runs(
    annotations: dict[str, str], cluster: JsonObject, started: float, writes: int
) -> None:
    pod = a_bound_pod(annotations=annotations)
    world = World(a_cluster(cluster), a_new_node(), pod)
    world.run(30)
    status = world.status(pod)
    assert status["phase"] == "Running"
    assert age(state_of(status)["running"]["startedAt"]) == started
    assert len(world.pod_writes()) == writes


def test_an_unreadable_annotation_is_told_once() -> None:
    pod = a_bound_pod(
        annotations={"sim.nestling.dev/start-delay": "banana", "sim.nestling.dev/exit-code": "900"}
    )
    world = World(a_new_node(), pod)
    world.run(600)
    said = [event.message for event in world.events if event.reason == "InvalidSimulation"]
    assert said == [
        "sim.nestling.dev/exit-code: expected a number from 0 to 255, found '900'; the default holds",
        (
            "sim.nestling.dev/start-delay: "
            "expected a duration such as \"1m30s\", found 'banana'; the default holds"
        ),
    ]
