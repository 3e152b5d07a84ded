"""The machine around the lifecycle: what it sends, what it survives, what it counts."""

from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from builders import NOW, a_cluster
from kubelet_world import World, a_bound_pod, a_new_node, age, names_of, state_of
from nestling.api.json import JsonObject
from nestling.kubelet.metrics import KubeletMetrics
from nestling.kubelet.podwrite import LARGEST_EXPLANATION
from nestling.machinery.plan import Plan
from nestling.machinery.records.pod import SCHEDULING_ANNOTATION

SIM = "sim.nestling.dev/"


def test_later_writes_send_only_what_has_changed() -> None:
    pod = a_bound_pod(annotations={f"{SIM}ready-after": "5s"})
    world = World(a_new_node(), pod)
    world.run(10)
    first, second = (write.body["status"] for write in world.pod_writes())
    assert {"phase", "podIP", "startTime", "qosClass"} <= set(first)
    assert set(second) == {"conditions", "containerStatuses", "display"}
    assert second["display"] == {"ready": "1/1"}


def test_the_schedulers_explanation_moves_into_the_status() -> None:
    account = {"node": "n1", "score": 97, "nodes": 3}
    pod = a_bound_pod(annotations={SCHEDULING_ANNOTATION: orjson.dumps(account).decode()})
    pod["status"] = {"phase": "Pending", "scheduling": {"message": "0/3 nodes are available", "attempts": 4}}
    world = World(a_new_node(), pod)
    world.run(1)
    assert world.status(pod)["scheduling"] == account
    assert len(world.pod_writes()) == 1


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{", id="broken"),
        pytest.param("[1]", id="no object"),
        pytest.param("", id="empty"),
        pytest.param('{"a": "' + "x" * LARGEST_EXPLANATION + '"}', id="too large"),
    ],
)
def test_an_account_that_is_none_is_left_out(text: str) -> None:
    pod = a_bound_pod(annotations={SCHEDULING_ANNOTATION: text})
    world = World(a_new_node(), pod)
    world.run(1)
    assert "scheduling" not in world.status(pod)
    assert world.status(pod)["phase"] == "Running"


def test_fractions_of_a_second_are_kept_while_the_process_lives() -> None:
    pod = a_bound_pod(annotations={f"{SIM}run-duration": "1500ms"}, spec={"restartPolicy": "Never"})
    world = World(a_new_node(), pod, now=NOW + 0.7)
    world.run(1.4)
    assert world.status(pod)["phase"] == "Running"
    world.run(0.2)
    assert world.status(pod)["phase"] == "Succeeded"


def test_a_brief_start_is_waited_for_without_a_write() -> None:
    pod = a_bound_pod(annotations={f"{SIM}start-delay": "800ms"})
    world = World(a_new_node(), pod, now=NOW + 0.7)
    world.run(0.7)
    assert world.pod_writes() == []
    world.run(0.2)
    assert world.status(pod)["phase"] == "Running"
    assert len(world.pod_writes()) == 1


def test_heartbeats_and_nodes_go_before_pods_and_steps_are_bounded() -> None:
    pods = [a_bound_pod(f"web-{number}") for number in range(50)]
    world = World(*pods, a_new_node(), batch=10)
    plans: list[Plan] = []
    sizes: list[int] = []
    while not plans or world.kubelet.wake_at() == 0.0:
        found = world.kubelet.step(world.now)
        sizes.append(len(found))
        plans += found
        for plan in found:
            world.kubelet.settle(plan, world.perform(plan), world.now)
    assert max(sizes) <= 10
    assert names_of([plan.writes[0] for plan in plans[:2]]) == [
        "Create Lease nestling-kubelet-0",
        "Patch VirtualNode n1",
    ]
    assert all(world.status(pod)["phase"] == "Running" for pod in pods)


def test_a_clock_that_falls_back_stops_nothing() -> None:
    pod = a_bound_pod(annotations={f"{SIM}run-duration": "60s", f"{SIM}exit-code": "1"})
    world = World(a_new_node(), pod)
    world.run(30)
    world.now -= 3600
    before = len(world.writes)
    for _ in range(300):
        world.now += 1
        world.settle()
    assert len(world.writes) - before >= 29  # heartbeats went on


def test_an_idle_cluster_costs_heartbeats_only() -> None:
    pods = [a_bound_pod(f"web-{number}", spec={"readinessProbe": {}}) for number in range(50)]
    world = World(a_new_node(), *pods)
    world.run(30)
    before = len(world.writes)
    world.run(3600)
    assert len(world.writes) - before <= 361


def test_the_echo_of_our_own_write_is_not_looked_at() -> None:
    world = World(a_new_node(), a_bound_pod())
    world.settle()
    due = world.kubelet.wake_at()
    assert due is not None
    assert due > world.now  # nothing but the next heartbeat is booked
    assert due <= world.now + 10


def test_a_status_that_somebody_stomped_on_is_mended() -> None:
    world = World(a_new_node(), a_bound_pod())
    world.run(10)
    world.edit(a_bound_pod(), {"status": {"podIP": "1.2.3.4", "podIPs": [{"ip": "1.2.3.4"}]}})
    world.run(1)
    assert world.status(a_bound_pod())["podIP"] == "10.244.7.2"


def test_settings_of_the_cluster_reach_pods_that_start_later() -> None:
    world = World(a_cluster({"simulation": {"startDelaySeconds": 4}}), a_new_node(), a_bound_pod())
    world.run(10)
    assert age(state_of(world.status(a_bound_pod()))["running"]["startedAt"]) == 4


def test_routine_events_can_be_left_out_and_warnings_cannot() -> None:
    pods = [
        a_bound_pod("good"),
        a_bound_pod("bad", spec={"containers": [{"name": "main", "image": "fail/a"}]}),
    ]
    world = World(a_new_node(), *pods, routine_events=False)
    world.run(1)
    assert world.reasons() == ["Failed", "Failed"]


def test_pods_of_a_job_end_by_themselves() -> None:
    pod = a_bound_pod(spec={"restartPolicy": "Never"})
    pod["metadata"]["ownerReferences"] = [
        {
            "apiVersion": "nestling.dev/v1alpha1",
            "kind": "VirtualJob",
            "name": "j",
            "uid": "j",
            "controller": True,
        }
    ]
    world = World(a_new_node(), pod)
    world.run(3)
    assert world.status(pod)["phase"] == "Succeeded"


def test_metrics_have_the_names_that_dashboards_ask_for() -> None:
    registry = CollectorRegistry()
    ticks = iter(range(1000))
    pods = [a_bound_pod(f"web-{n}", created_at=NOW - 3) for n in range(3)]
    bad = a_bound_pod("bad", spec={"containers": [{"name": "main", "image": "fail/a"}]})
    big = a_bound_pod(
        "big", spec={"containers": [{"name": "a", "image": "a", "resources": {"requests": {"cpu": "64"}}}]}
    )
    world = World(
        a_new_node(),
        *pods,
        bad,
        big,
        metrics=KubeletMetrics(registry),
        stopwatch=lambda: float(next(ticks)) / 1000,
    )
    world.run(1)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    where = {"cluster": "team-a", "node": "n1"}
    assert value("kubelet_node_name", **where) == 1
    assert value("kubelet_running_pods", **where) == 3
    assert value("kubelet_running_containers", **where, container_state="running") == 3
    assert value("kubelet_pod_start_duration_seconds_count") == 3
    assert value("kubelet_pod_start_sli_duration_seconds_sum") == 9
    assert value("kubelet_started_pods_total") == 3
    assert value("kubelet_started_containers_total", container_type="container") == 3
    assert value("kubelet_runtime_operations_total", operation_type="start_container") == 3
    assert value("kubelet_runtime_operations_errors_total", operation_type="pull_image") == 1
    assert value("kubelet_admission_rejections_total", reason="OutOfcpu") == 1
    assert (value("kubelet_pod_worker_duration_seconds_count", operation_type="sync") or 0) >= 5
    for pod in pods:
        world.delete(pod)
    world.run(1)
    assert value("kubelet_running_pods", **where) == 0
    assert value("kubelet_runtime_operations_total", operation_type="stop_container") == 3
    world.delete(a_new_node())
    world.run(1)
    assert value("kubelet_running_pods", **where) is None


def test_an_object_that_breaks_a_look_does_not_stop_the_others() -> None:
    broken = a_bound_pod("broken")
    broken["spec"]["containers"] = [7]
    world = World(a_new_node(), broken, a_bound_pod())
    with capture_logs() as logs:
        world.run(1)
    assert world.status(a_bound_pod())["phase"] == "Running"
    assert [(line["event"], line["object"]) for line in logs] == [("look failed", "default/broken")]


WORDS = st.sampled_from(
    ["", "a", "main", "one", "5s", "Always", "Never", "True", "2027-01-15T08:00:00Z", "junk", "é"]
)
STATES = st.sampled_from(["running", "terminated", "waiting"])
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "startedAt": WORDS,
        "finishedAt": WORDS,
        "reason": WORDS,
        "message": WORDS,
        "exitCode": st.integers(-5, 300),
    },
)
ENTRIES = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["main", "one", "gone"])},
        optional={
            "state": st.dictionaries(STATES, FIELDS, max_size=2),
            "lastState": st.dictionaries(STATES, FIELDS, max_size=1),
            "restartCount": st.integers(-1, 99),
            "image": WORDS,
            "ready": st.booleans(),
            "started": st.booleans(),
        },
    ),
    max_size=3,
)
STATUSES = st.fixed_dictionaries(
    {},
    optional={
        "phase": st.sampled_from(["", "Pending", "Running", "Succeeded", "Failed", "Unknown"]),
        "podIP": st.sampled_from(["", "10.244.7.9", "junk"]),
        "startTime": WORDS,
        "reason": WORDS,
        "conditions": st.lists(st.fixed_dictionaries({"type": WORDS, "status": WORDS}), max_size=3),
        "containerStatuses": ENTRIES,
        "initContainerStatuses": ENTRIES,
        "display": st.dictionaries(WORDS, WORDS, max_size=2),
    },
)
PROBES = st.fixed_dictionaries(
    {},
    optional={
        name: st.integers(-1, 9)
        for name in ("periodSeconds", "initialDelaySeconds", "failureThreshold", "successThreshold")
    },
)
CONTAINER: dict[str, Any] = {
    "image": WORDS,
    "restartPolicy": st.sampled_from(["Always", "Never", "OnFailure", "junk"]),
    "readinessProbe": PROBES,
    "livenessProbe": PROBES,
    "startupProbe": PROBES,
    "resources": st.fixed_dictionaries({}, optional={"requests": st.dictionaries(WORDS, WORDS, max_size=2)}),
    "lifecycle": st.fixed_dictionaries(
        {}, optional={"preStop": st.just({"sleep": {"seconds": 3}}), "postStart": st.just({"exec": {}})}
    ),
}


@st.composite
def pods(draw: st.DrawFn) -> JsonObject:
    """Pods that a schema may let through, statuses that anybody may have written."""
    containers = [{"name": "main", **draw(st.fixed_dictionaries({}, optional=CONTAINER))}]
    inits = [{"name": "one", **draw(st.fixed_dictionaries({}, optional=CONTAINER))}]
    spec: JsonObject = {"containers": containers, "restartPolicy": draw(WORDS)}
    if draw(st.booleans()):
        spec["initContainers"] = inits
    if draw(st.booleans()):
        spec["activeDeadlineSeconds"] = draw(st.integers(-1, 50))
    if draw(st.booleans()):
        spec["terminationGracePeriodSeconds"] = draw(st.integers(-1, 50))
    settings_of = st.sampled_from(
        ["run-duration", "exit-code", "stop-delay", "crash-probability", "readiness"]
    )
    annotations = draw(st.dictionaries(settings_of.map(lambda name: f"{SIM}{name}"), WORDS, max_size=3))
    pod = a_bound_pod(spec=spec, annotations=annotations)
    pod["status"] = draw(STATUSES)
    return pod


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pods(), st.booleans())
def test_no_pod_breaks_the_kubelet_or_keeps_it_busy(pod: JsonObject, crash: bool) -> None:
    with capture_logs() as logs:
        world = World(a_new_node(), pod)
        world.run(30)
        if crash:
            world.crash()
        world.run(700)
        assert len(world.pod_writes()) < 60, names_of(world.writes)
        world.delete(pod)
        world.run(90)
    assert logs == []
    assert not world.exists(pod)
