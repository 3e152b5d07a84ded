"""The scheduler's metric families, as stock dashboards ask for them."""

from prometheus_client import CollectorRegistry

from builders import a_node, a_pod
from nestling.api.kinds import NODE, POD
from nestling.scheduler.metrics import SchedulerMetrics
from unit.scheduler.a_host import Host
from unit.scheduler.tables import requests

PROFILE = {"profile": "default-scheduler"}
TEAM = {"cluster": "team-a"}


def a_measured_host() -> tuple[CollectorRegistry, Host]:
    registry = CollectorRegistry()
    metrics = SchedulerMetrics(registry)
    host = Host(a_node("n1", cpu="2"), recorder=metrics)
    metrics.watch(host.machine.pending)
    return registry, host


def a_wish(name: str, cpu: str, **spec: object) -> dict[str, object]:
    return a_pod(name, spec={"containers": [requests(cpu=cpu)], **spec})


def test_attempts_durations_and_queues_are_counted() -> None:
    registry, host = a_measured_host()
    host.put(a_wish("fits", "1"))
    host.put(a_wish("large", "3"))
    host.put(a_wish("bad", "x"))
    host.put(a_wish("gated", "1", schedulingGates=[{"name": "example.com/wait"}]))
    host.run()
    value = registry.get_sample_value
    for result in ("scheduled", "unschedulable", "error"):
        labels = {**TEAM, **PROFILE, "result": result}
        assert value("scheduler_schedule_attempts_total", labels) == 1
        assert value("scheduler_scheduling_attempt_duration_seconds_count", labels) == 1
    assert value("scheduler_scheduling_algorithm_duration_seconds_count", TEAM) == 3
    assert value("scheduler_pod_scheduling_attempts_sum", TEAM) == 1
    assert value("scheduler_pod_scheduling_sli_duration_seconds_count", {**TEAM, "attempts": "1"}) == 1
    pending = {
        queue: value("scheduler_pending_pods", {**TEAM, "queue": queue})
        for queue in ("active", "backoff", "unschedulable", "gated")
    }
    assert pending == {"active": 0, "backoff": 0, "unschedulable": 2, "gated": 1}
    refused = {**TEAM, **PROFILE, "plugin": "NodeResourcesFit"}
    assert value("scheduler_unschedulable_pods", refused) == 1
    arrived = {**TEAM, "queue": "active", "event": "UnscheduledPodAdd"}
    assert value("scheduler_queue_incoming_pods_total", arrived) == 3


def test_extension_points_are_timed() -> None:
    registry, host = a_measured_host()
    host.put(a_wish("fits", "1"))
    host.run()
    for point in ("PreFilter", "Filter", "Score", "NormalizeScore", "Bind"):
        labels = {**TEAM, **PROFILE, "extension_point": point, "status": "Success"}
        name = "scheduler_framework_extension_point_duration_seconds_count"
        assert registry.get_sample_value(name, labels) == 1


def test_buckets_are_kube_schedulers() -> None:
    registry, host = a_measured_host()
    host.put(a_wish("fits", "1"))
    host.run()
    bounds = [
        sample.labels["le"]
        for family in registry.collect()
        if family.name == "scheduler_scheduling_algorithm_duration_seconds"
        for sample in family.samples
        if "le" in sample.labels
    ]
    assert (bounds[0], bounds[-2], len(bounds)) == ("0.001", "16.384", 16)


def test_series_vanish_with_their_cluster() -> None:
    registry, host = a_measured_host()
    host.put(a_wish("fits", "1"))
    host.run()
    host.delete(POD, "fits")
    host.delete(NODE, "n1")
    left = [
        sample for family in registry.collect() for sample in family.samples if sample.labels.get("cluster")
    ]
    assert left == []
