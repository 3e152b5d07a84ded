"""Containers that end: restart policies, back-off, crashes, and the phases that follow."""

from itertools import pairwise

import pytest

from kubelet_world import World, a_bound_pod, a_new_node, age, conditions, state_of
from nestling.api.json import JsonObject

SIM = "sim.nestling.dev/"


def a_world(annotations: dict[str, str], **spec: object) -> tuple[World, JsonObject]:
    pod = a_bound_pod(annotations={f"{SIM}{k}": v for k, v in annotations.items()}, spec=dict(spec))
    return World(a_new_node(), pod), pod


@pytest.mark.parametrize(
    ("policy", "code", "phase", "reason", "restarts"),
    [
        pytest.param("Never", "0", "Succeeded", "Completed", 0, id="never, ended well"),
        pytest.param("Never", "3", "Failed", "Error", 0, id="never, failed"),
        pytest.param("OnFailure", "0", "Succeeded", "Completed", 0, id="on failure, ended well"),
        pytest.param("OnFailure", "3", "Running", None, 1, id="on failure, failed"),
        pytest.param("Always", "0", "Running", None, 1, id="always, ended well"),
    ],
)
def test_restart_policy_decides_what_follows_the_end_of_a_run(
    policy: str, code: str, phase: str, reason: str | None, restarts: int
) -> None:
    world, pod = a_world({"run-duration": "100s", "exit-code": code}, restartPolicy=policy)
    world.run(150)
    status = world.status(pod)
    [entry] = status["containerStatuses"]
    assert (status["phase"], entry["restartCount"]) == (phase, restarts)
    if reason is None:
        assert entry["state"] == {"running": {"startedAt": entry["lastState"]["terminated"]["finishedAt"]}}
        return
    ended = entry["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == (reason, int(code))
    assert age(ended["finishedAt"]) - age(ended["startedAt"]) == 100
    assert len(world.pod_writes()) == 2
    assert status["display"]["status"] == reason
    gone = "PodCompleted" if phase == "Succeeded" else "PodFailed"
    said = {entry["type"]: entry.get("reason") for entry in status["conditions"]}
    assert (said["Ready"], said["ContainersReady"]) == (gone, gone)
    assert conditions(status)["Initialized"] == "True"


def test_a_crashing_container_backs_off_ten_seconds_doubling_to_five_minutes() -> None:
    world, pod = a_world({"run-duration": "1s", "exit-code": "1"})
    world.settle()
    starts: list[float] = [0.0]
    shown: set[str] = set()
    for _ in range(2400):
        world.run(1)
        status = world.status(pod)
        state = state_of(status)
        shown.add(status["display"]["status"])
        if "running" in state and age(state["running"]["startedAt"]) not in starts:
            starts.append(age(state["running"]["startedAt"]))
    pauses = [after - before - 1 for before, after in pairwise(starts)]
    assert pauses == [0, 10, 20, 40, 80, 160, 300, 300, 300, 300, 300, 300]
    assert shown == {"Running", "CrashLoopBackOff"}
    assert len(world.pod_writes()) <= 2 * len(starts)
    waiting = world.status(pod)["containerStatuses"][0]
    assert waiting["state"]["waiting"]["message"] == (
        "back-off 5m0s restarting failed container=main pod=web-0_default(uid-pod-web-0)"
    )
    assert world.status(pod)["display"]["restarts"] == str(waiting["restartCount"])
    assert world.status(pod)["phase"] == "Running"


def test_a_run_longer_than_ten_minutes_starts_the_back_off_over() -> None:
    world, pod = a_world({"run-duration": "601s", "exit-code": "1"})
    world.run(601 * 4)
    assert world.status(pod)["containerStatuses"][0]["restartCount"] == 4
    assert "BackOff" not in world.reasons()


def test_a_crash_probability_is_met_over_many_containers_and_repeats_itself() -> None:
    def crashed(seed: int) -> list[str]:
        pods = [
            a_bound_pod(
                f"web-{number}",
                annotations={f"{SIM}crash-probability": "0.3", f"{SIM}run-duration": "50s"},
                spec={"restartPolicy": "Never"},
            )
            for number in range(100)
        ]
        world = World(a_new_node(), *pods)
        world.put(
            {
                "apiVersion": "nestling.dev/v1alpha1",
                "kind": "VirtualCluster",
                "metadata": {"name": "cluster", "namespace": "team-a", "uid": "u", "resourceVersion": "1"},
                "spec": {"simulation": {"seed": seed}},
            }
        )
        world.run(60)
        return [pod["metadata"]["name"] for pod in pods if world.status(pod)["phase"] == "Failed"]

    assert 15 <= len(crashed(1)) <= 45
    assert crashed(1) == crashed(1)
    assert crashed(1) != crashed(2)


@pytest.mark.parametrize(
    ("container", "code", "again"),
    [
        pytest.param({"restartPolicy": "Never"}, "1", False, id="container says never"),
        pytest.param({"restartPolicy": "OnFailure"}, "0", False, id="container says on failure, ended well"),
        pytest.param({"restartPolicy": "Always"}, "0", True, id="container says always"),
        pytest.param(
            {
                "restartPolicy": "Never",
                "restartPolicyRules": [
                    {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}},
                ],
            },
            "42",
            True,
            id="rule for its exit code",
        ),
        pytest.param(
            {
                "restartPolicy": "Never",
                "restartPolicyRules": [
                    {"action": "Restart", "exitCodes": {"operator": "NotIn", "values": [42]}},
                ],
            },
            "42",
            False,
            id="rule for other exit codes",
        ),
    ],
)
def test_a_container_may_have_a_restart_policy_of_its_own(
    container: JsonObject, code: str, again: bool
) -> None:
    world, pod = a_world(
        {"run-duration": "10s", "exit-code": code},
        restartPolicy="Never",
        containers=[{"name": "main", "image": "web:1", **container}],
    )
    world.run(15)
    assert (world.status(pod)["containerStatuses"][0]["restartCount"] == 1) is again
    assert (world.status(pod)["phase"] == "Running") is again


def test_a_pod_of_two_containers_succeeds_when_both_have() -> None:
    world, pod = a_world(
        {"run-duration.one": "10s", "run-duration.two": "20s"},
        restartPolicy="Never",
        containers=[{"name": "one", "image": "a"}, {"name": "two", "image": "b"}],
    )
    world.run(15)
    status = world.status(pod)
    assert (status["phase"], status["display"]["ready"], status["display"]["status"]) == (
        "Running",
        "1/2",
        "NotReady",
    )
    world.run(10)
    assert world.status(pod)["phase"] == "Succeeded"
    assert len(world.pod_writes()) == 3


@pytest.mark.parametrize(
    ("image", "policy", "reason", "later"),
    [
        pytest.param("fail/web:1", None, "ErrImagePull", "ImagePullBackOff", id="under fail"),
        pytest.param("r.invalid/web", None, "ErrImagePull", "ImagePullBackOff", id="registry that never is"),
        pytest.param("fail/web", "Never", "ErrImageNeverPull", "ErrImageNeverPull", id="never pulled"),
        pytest.param("Web:1", None, "InvalidImageName", "InvalidImageName", id="capital letters"),
        pytest.param("no spaces", None, "InvalidImageName", "InvalidImageName", id="a space"),
        pytest.param("", None, "InvalidImageName", "InvalidImageName", id="empty"),
    ],
)
def test_an_image_that_cannot_be_had_keeps_the_pod_pending(
    image: str, policy: str | None, reason: str, later: str
) -> None:
    container: JsonObject = {"name": "main", "image": image}
    if policy:
        container["imagePullPolicy"] = policy
    world, pod = a_world({}, containers=[container])
    world.run(1)
    first = world.status(pod)
    assert (first["phase"], first["display"]["status"]) == ("Pending", reason)
    assert first["display"]["ready"] == "0/1"
    world.run(3600)
    status = world.status(pod)
    assert status["display"]["status"] == later
    assert len(world.pod_writes()) == (2 if later != reason else 1)
    assert "Failed" in world.reasons()


def test_a_mended_image_starts_the_pod() -> None:
    world, pod = a_world({}, containers=[{"name": "main", "image": "fail/web:1"}])
    world.run(100)
    world.edit(pod, {"spec": {"containers": [{"name": "main", "image": "web:2"}]}}, bump=True)
    world.run(1)
    status = world.status(pod)
    assert (status["phase"], status["containerStatuses"][0]["image"]) == ("Running", "web:2")
    assert status["observedGeneration"] == 2


def test_a_changed_image_restarts_the_container_whatever_the_policy() -> None:
    world, pod = a_world({}, restartPolicy="Never")
    world.run(100)
    world.edit(pod, {"spec": {"containers": [{"name": "main", "image": "web:2"}]}}, bump=True)
    world.run(1)
    [entry] = world.status(pod)["containerStatuses"]
    assert (entry["image"], entry["restartCount"]) == ("web:2", 1)
    assert "Container main definition changed, will be restarted" in [e.message for e in world.events]


def test_a_deadline_fails_the_pod() -> None:
    world, pod = a_world({}, activeDeadlineSeconds=30)
    world.run(29)
    assert world.status(pod)["phase"] == "Running"
    world.run(1)
    status = world.status(pod)
    assert (status["phase"], status["reason"], status["display"]["status"]) == (
        "Failed",
        "DeadlineExceeded",
        "Error",
    )
    assert status["message"] == "Pod was active on the node longer than the specified deadline"
    assert state_of(status)["terminated"]["exitCode"] == 143
    assert len(world.pod_writes()) == 2


def test_a_terminal_pod_is_never_touched_again() -> None:
    world, pod = a_world({"run-duration": "1s"}, restartPolicy="Never")
    world.run(10)
    before = len(world.writes)
    world.edit(pod, {"metadata": {"annotations": {f"{SIM}run-duration": "1h"}}})
    world.edit(pod, {"metadata": {"labels": {"a": "b"}}}, bump=True)
    world.run(5)
    assert len(world.pod_writes()) == 2
    assert before <= len(world.writes) <= before + 1  # heartbeats only
