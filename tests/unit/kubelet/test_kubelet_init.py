"""Init containers in order, sidecars beside them, and when a pod is ready."""

import pytest

from builders import NOW, a_condition
from kubelet_world import World, a_bound_pod, a_new_node, age, conditions, state_of
from nestling.api.json import JsonObject

SIM = "sim.nestling.dev/"
MAIN: JsonObject = {"name": "main", "image": "web:1"}


def a_world(annotations: dict[str, str], **spec: object) -> tuple[World, JsonObject]:
    pod = a_bound_pod(annotations={f"{SIM}{k}": v for k, v in annotations.items()}, spec=dict(spec))
    return World(a_new_node(), pod), pod


def two_inits(**more: object) -> dict[str, object]:
    return {
        "initContainers": [{"name": "one", "image": "a"}, {"name": "two", "image": "b"}],
        "containers": [MAIN],
        **more,
    }


def test_init_containers_run_one_after_the_other_then_the_main_ones() -> None:
    world, pod = a_world({"run-duration.one": "5s", "run-duration.two": "7s"}, **two_inits())
    shown: list[str] = []
    for _ in range(20):
        world.run(1)
        status = world.status(pod)
        if status["display"]["status"] not in shown:
            shown.append(status["display"]["status"])
    assert shown == ["Init:0/2", "Init:1/2", "Running"]
    status = world.status(pod)
    one = state_of(status, "one", "initContainerStatuses")["terminated"]
    two = state_of(status, "two", "initContainerStatuses")["terminated"]
    assert [age(t) for t in (one["startedAt"], one["finishedAt"], two["startedAt"], two["finishedAt"])] == [
        0,
        5,
        5,
        12,
    ]
    assert age(state_of(status)["running"]["startedAt"]) == 12
    assert [entry["ready"] for entry in status["initContainerStatuses"]] == [True, True]
    assert len(world.pod_writes()) == 3


def test_conditions_say_which_init_containers_are_missing() -> None:
    world, pod = a_world({"run-duration.one": "5s", "run-duration.two": "7s"}, **two_inits())
    world.run(1)
    status = world.status(pod)
    assert status["phase"] == "Pending"
    said = {entry["type"]: (entry["status"], entry.get("message", "")) for entry in status["conditions"]}
    assert said == {
        "PodReadyToStartContainers": ("True", ""),
        "Initialized": ("False", "containers with incomplete status: [one two]"),
        "Ready": ("False", "containers with unready status: [main]"),
        "ContainersReady": ("False", "containers with unready status: [main]"),
        "PodScheduled": ("True", ""),
    }
    assert state_of(status) == {"waiting": {"reason": "PodInitializing"}}
    assert state_of(status, "two", "initContainerStatuses") == {"waiting": {"reason": "PodInitializing"}}


def test_instant_init_containers_cost_no_write() -> None:
    world, pod = a_world({"run-duration.one": "0s", "run-duration.two": "0s"}, **two_inits())
    world.run(1)
    assert world.status(pod)["phase"] == "Running"
    assert len(world.pod_writes()) == 1


def test_brief_init_containers_come_to_an_end() -> None:
    world, pod = a_world({"run-duration": "500ms", "start-delay": "300ms"}, **two_inits())
    world.run(5)
    assert [entry["restartCount"] for entry in world.status(pod)["initContainerStatuses"]] == [0, 0]
    assert world.status(pod)["containerStatuses"][0]["restartCount"] >= 1


@pytest.mark.parametrize(
    ("policy", "phase", "shown"),
    [
        pytest.param("Never", "Failed", "Init:Error", id="never"),
        pytest.param("OnFailure", "Pending", "Init:CrashLoopBackOff", id="on failure"),
        pytest.param("Always", "Pending", "Init:CrashLoopBackOff", id="always"),
    ],
)
def test_a_failing_init_container_keeps_the_pod_from_starting(policy: str, phase: str, shown: str) -> None:
    world, pod = a_world({"run-duration.one": "1s", "exit-code.one": "2"}, **two_inits(restartPolicy=policy))
    world.run(5)
    status = world.status(pod)
    assert (status["phase"], status["display"]["status"], status["display"]["ready"]) == (phase, shown, "0/1")
    assert state_of(status) == {"waiting": {"reason": "PodInitializing"}}


def with_sidecar(main: JsonObject = MAIN, **sidecar: object) -> dict[str, object]:
    return {
        "initContainers": [{"name": "side", "image": "s", "restartPolicy": "Always", **sidecar}],
        "containers": [main],
        "restartPolicy": "Never",
    }


def test_a_sidecar_starts_first_and_counts_for_readiness() -> None:
    world, pod = a_world({}, **with_sidecar())
    world.run(1)
    status = world.status(pod)
    assert status["display"] == {"ready": "2/2", "status": "Running", "restarts": "0"}
    assert conditions(status)["Ready"] == "True"
    assert len(world.pod_writes()) == 1


def test_main_containers_wait_until_the_sidecar_has_started() -> None:
    probe = {"httpGet": {"port": 80}, "periodSeconds": 5, "failureThreshold": 10}
    world, pod = a_world({}, **with_sidecar(startupProbe=probe))
    world.run(3)
    assert world.status(pod)["display"]["status"] == "Init:0/1"
    world.run(3)
    status = world.status(pod)
    assert age(state_of(status)["running"]["startedAt"]) == 5
    assert status["display"]["ready"] == "2/2"


def test_sidecars_end_with_the_main_containers() -> None:
    world, pod = a_world({"run-duration.main": "10s", "stop-delay.side": "3s"}, **with_sidecar())
    world.run(12)
    assert world.status(pod)["phase"] == "Running"
    world.run(2)
    status = world.status(pod)
    assert (status["phase"], status["display"]["status"]) == ("Succeeded", "Completed")
    assert age(state_of(status, "side", "initContainerStatuses")["terminated"]["finishedAt"]) == 13


def test_a_crashing_sidecar_is_restarted_whatever_the_pods_policy_and_does_not_stop_the_pod() -> None:
    world, pod = a_world({"run-duration.side": "5s", "exit-code.side": "1"}, **with_sidecar())
    world.run(8)
    status = world.status(pod)
    assert status["initContainerStatuses"][0]["restartCount"] == 1
    assert (status["phase"], status["display"]["restarts"]) == ("Running", "1")
    world.run(3)
    status = world.status(pod)
    assert (status["phase"], status["display"]["ready"]) == ("Running", "1/2")
    assert (conditions(status)["Ready"], conditions(status)["Initialized"]) == ("False", "True")


PROBE: JsonObject = {"httpGet": {"port": 80}}


@pytest.mark.parametrize(
    ("container", "annotations", "ready_at"),
    [
        pytest.param({}, {}, 0, id="no probe"),
        pytest.param({}, {"ready-after": "7s"}, 7, id="no probe, slow"),
        pytest.param({}, {"readiness": "never"}, None, id="never"),
        pytest.param({"readinessProbe": PROBE}, {}, 10, id="first period"),
        pytest.param(
            {"readinessProbe": {**PROBE, "initialDelaySeconds": 5, "periodSeconds": 3}}, {}, 8, id="delay"
        ),
        pytest.param(
            {"readinessProbe": {**PROBE, "periodSeconds": 3, "successThreshold": 2}}, {}, 6, id="threshold"
        ),
        pytest.param(
            {"readinessProbe": {**PROBE, "periodSeconds": 3}}, {"ready-after": "7s"}, 9, id="probe, slow"
        ),
        pytest.param({"startupProbe": {**PROBE, "periodSeconds": 4}}, {}, 4, id="after startup"),
        pytest.param(
            {
                "startupProbe": {**PROBE, "periodSeconds": 4},
                "readinessProbe": {**PROBE, "periodSeconds": 3},
            },
            {"started-after": "5s"},
            9,
            id="startup holds readiness back",
        ),
        pytest.param({"livenessProbe": PROBE}, {}, 0, id="liveness alone does not"),
        pytest.param({"lifecycle": {"postStart": {"sleep": {"seconds": 6}}}}, {}, 6, id="postStart hook"),
    ],
)
def test_a_container_becomes_ready_when_its_probes_have_passed(
    container: JsonObject, annotations: dict[str, str], ready_at: float | None
) -> None:
    world, pod = a_world(annotations, containers=[{**MAIN, **container}])
    found: float | None = None
    for _ in range(200):
        world.run(0.5)
        ready = [c for c in world.status(pod)["conditions"] if c["type"] == "Ready"]
        if ready and ready[0]["status"] == "True":
            found = age(ready[0]["lastTransitionTime"])
            break
    assert found == ready_at


def test_a_container_that_turns_unhealthy_is_restarted_by_its_liveness_probe() -> None:
    probe = {**PROBE, "periodSeconds": 10, "failureThreshold": 2}
    world, pod = a_world({"unhealthy-after": "25s"}, containers=[{**MAIN, "livenessProbe": probe}])
    world.run(39)
    assert world.status(pod)["containerStatuses"][0]["restartCount"] == 0
    world.run(1)
    [entry] = world.status(pod)["containerStatuses"]
    assert (entry["restartCount"], entry["lastState"]["terminated"]["exitCode"]) == (1, 137)
    assert "Container main failed liveness probe, will be restarted" in [e.message for e in world.events]


def test_a_container_that_turns_unhealthy_is_taken_out_by_its_readiness_probe() -> None:
    probe = {**PROBE, "periodSeconds": 5, "failureThreshold": 2}
    world, pod = a_world({"unhealthy-after": "12s"}, containers=[{**MAIN, "readinessProbe": probe}])
    world.run(19)
    assert world.status(pod)["display"]["ready"] == "1/1"
    world.run(1)
    assert world.status(pod)["display"]["ready"] == "0/1"
    assert world.reasons()[-1] == "Unhealthy"


def test_a_startup_probe_that_never_passes_kills_the_container() -> None:
    probe = {**PROBE, "periodSeconds": 5, "failureThreshold": 3}
    world, pod = a_world({"started-after": "1h"}, containers=[{**MAIN, "startupProbe": probe}])
    world.run(14)
    assert (
        world.status(pod)["containerStatuses"][0] | {"restartCount": 0, "started": False}
        == (world.status(pod)["containerStatuses"][0])
    )
    world.run(1)
    assert world.status(pod)["containerStatuses"][0]["restartCount"] == 1


def test_readiness_can_be_changed_while_the_pod_runs() -> None:
    world, pod = a_world({})
    world.run(10)
    world.edit(pod, {"metadata": {"annotations": {f"{SIM}readiness": "never"}}})
    world.run(1)
    assert conditions(world.status(pod))["Ready"] == "False"
    world.edit(pod, {"metadata": {"annotations": {f"{SIM}readiness": None}}})
    world.run(1)
    assert conditions(world.status(pod))["Ready"] == "True"


def test_readiness_gates_wait_for_the_conditions_of_others() -> None:
    world, pod = a_world({}, containers=[MAIN], readinessGates=[{"conditionType": "shop.example/up"}])
    world.run(10)
    status = world.status(pod)
    [ready] = [entry for entry in status["conditions"] if entry["type"] == "Ready"]
    assert (ready["status"], ready["reason"]) == ("False", "ReadinessGatesNotReady")
    assert ready["message"] == (
        'corresponding condition of pod readiness gate "shop.example/up" does not exist.'
    )
    assert status["display"]["readinessGates"] == "0/1"
    up = a_condition("shop.example/up", "True", since=NOW)
    world.edit(pod, {"status": {"conditions": [*status["conditions"], up]}})
    world.run(1)
    status = world.status(pod)
    assert (conditions(status)["Ready"], conditions(status)["shop.example/up"]) == ("True", "True")
    assert status["display"]["readinessGates"] == "1/1"
