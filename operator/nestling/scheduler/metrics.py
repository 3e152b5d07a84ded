"""What the scheduler counts and times, behind a small hook, so that the loop itself knows no metrics library.

`Recorder` is the hook; `Silent` ignores everything. `SchedulerMetrics` keeps kube-scheduler's families in a
prometheus_client registry, with the host namespace as `cluster`; a cluster that is gone takes its series
along.
Source: Kubernetes 1.37, pkg/scheduler/metrics/metrics.go (names, labels, buckets).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, TypeAlias

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

Result: TypeAlias = Literal["scheduled", "unschedulable", "error"]
QUEUES: Final = ("active", "backoff", "unschedulable", "gated")
_MOST_ATTEMPTS: Final = 15  # the label of pod_scheduling_sli_duration_seconds goes no further


@dataclass(frozen=True, slots=True)
class Pending:
    """Pods that wait in one cluster: by queue, and by the plugin that refused them last."""

    queues: Mapping[str, int]
    plugins: Mapping[str, int]


class Recorder(Protocol):
    """What the scheduler tells whoever measures. Durations are seconds."""

    def attempted(self, cluster: str, result: Result, attempt_s: float, algorithm_s: float) -> None:
        """One attempt is over: a bind was confirmed, or the pod was turned away."""
        ...

    def scheduled(self, cluster: str, attempts: int, waited_s: float) -> None:
        """A pod was bound, after so many attempts, so long after it was first seen."""
        ...

    def queued(self, cluster: str, queue: str, event: str) -> None:
        """A pod came into a queue because of an event."""
        ...

    def extension_point(self, cluster: str, point: str, status: str, took_s: float) -> None:
        """All plugins of a point ran over all nodes: a sample, since most pods need but one row."""
        ...

    def gone(self, cluster: str) -> None:
        """A cluster has nothing left to schedule for."""
        ...


class Silent:
    """Measures nothing."""

    def attempted(self, cluster: str, result: Result, attempt_s: float, algorithm_s: float) -> None:
        """Ignore it."""

    def scheduled(self, cluster: str, attempts: int, waited_s: float) -> None:
        """Ignore it."""

    def queued(self, cluster: str, queue: str, event: str) -> None:
        """Ignore it."""

    def extension_point(self, cluster: str, point: str, status: str, took_s: float) -> None:
        """Ignore it."""

    def gone(self, cluster: str) -> None:
        """Ignore it."""


class Laps:
    """Times one extension point after the other; an empty name starts the watch."""

    def __init__(self, cluster: str, recorder: Recorder, timer: Callable[[], float]) -> None:
        self._cluster = cluster
        self._recorder = recorder
        self._timer = timer
        self._last = 0.0

    def __call__(self, point: str) -> None:
        """A point is done."""
        now = self._timer()
        if point:
            self._recorder.extension_point(self._cluster, point, "Success", now - self._last)
        self._last = now


class SchedulerMetrics:
    """kube-scheduler's families. Call `watch` with the machine's `pending` to add the gauges."""

    def __init__(self, registry: CollectorRegistry, profile: str = "default-scheduler") -> None:
        self._registry = registry
        self._profile = profile
        self._children: dict[tuple[str, ...], Any] = {}

        def histogram(name: str, text: str, labels: list[str], first: float, count: int) -> Histogram:
            buckets = [first * 2**power for power in range(count)]
            return Histogram(
                f"scheduler_{name}", text, ["cluster", *labels], registry=registry, buckets=buckets
            )

        self._attempts = Counter(
            "scheduler_schedule_attempts",
            "Attempts to schedule pods, by result",
            ["cluster", "result", "profile"],
            registry=registry,
        )
        self._attempt_s = histogram(
            "scheduling_attempt_duration_seconds",
            "Time of one attempt, binding included",
            ["result", "profile"],
            0.001,
            15,
        )
        self._algorithm_s = histogram(
            "scheduling_algorithm_duration_seconds", "Time to choose a node", [], 0.001, 15
        )
        self._pod_attempts = histogram(
            "pod_scheduling_attempts", "Attempts until a pod was scheduled", [], 1, 5
        )
        self._sli_s = histogram(
            "pod_scheduling_sli_duration_seconds",
            "Time from the first sight of a pod without gates until it was scheduled",
            ["attempts"],
            0.01,
            20,
        )
        self._incoming = Counter(
            "scheduler_queue_incoming_pods",
            "Pods added to scheduling queues, by event and queue",
            ["cluster", "queue", "event"],
            registry=registry,
        )
        self._points_s = histogram(
            "framework_extension_point_duration_seconds",
            "Time of all plugins of one extension point",
            ["extension_point", "status", "profile"],
            0.0001,
            12,
        )

    def watch(self, pending: Callable[[], Mapping[str, Pending]]) -> None:
        """Serve pending_pods and unschedulable_pods from the machine's own counts when somebody scrapes."""
        self._registry.register(_PendingCollector(pending, self._profile))

    def attempted(self, cluster: str, result: Result, attempt_s: float, algorithm_s: float) -> None:
        """Count an attempt and its two durations."""
        self._child(self._attempts, cluster, result, self._profile).inc()
        self._child(self._attempt_s, cluster, result, self._profile).observe(attempt_s)
        self._child(self._algorithm_s, cluster).observe(algorithm_s)

    def scheduled(self, cluster: str, attempts: int, waited_s: float) -> None:
        """Note how often and how long a pod that is bound now was tried."""
        label = str(attempts) if attempts < _MOST_ATTEMPTS else f"{_MOST_ATTEMPTS}+"
        self._child(self._pod_attempts, cluster).observe(attempts)
        self._child(self._sli_s, cluster, label).observe(waited_s)

    def queued(self, cluster: str, queue: str, event: str) -> None:
        """Count an arrival."""
        self._child(self._incoming, cluster, queue, event).inc()

    def extension_point(self, cluster: str, point: str, status: str, took_s: float) -> None:
        """Note the time of an extension point."""
        self._child(self._points_s, cluster, point, status, self._profile).observe(took_s)

    def gone(self, cluster: str) -> None:
        """Drop the cluster's series."""
        for family in (
            self._attempts,
            self._attempt_s,
            self._algorithm_s,
            self._pod_attempts,
            self._sli_s,
            self._incoming,
            self._points_s,
        ):
            family.remove_by_labels({"cluster": cluster})
        self._children = {names: child for names, child in self._children.items() if names[1] != cluster}

    def _child(self, family: Counter | Histogram, *labels: str) -> Any:
        """The series of these labels; remembered, because `labels` costs more than counting does."""
        name = (str(id(family)), *labels)
        child = self._children.get(name)
        if child is None:
            child = self._children[name] = family.labels(*labels)
        return child


class _PendingCollector(Collector):
    """Gauges read from the machine when somebody asks."""

    def __init__(self, pending: Callable[[], Mapping[str, Pending]], profile: str) -> None:
        self._pending = pending
        self._profile = profile

    def describe(self) -> list[Metric]:
        """Families without samples."""
        return list(self._families())

    def collect(self) -> Iterator[Metric]:
        """Families with the numbers of this moment."""
        waiting, refused = self._families()
        for cluster, pending in self._pending().items():
            for queue in QUEUES:
                waiting.add_metric([cluster, queue], pending.queues.get(queue, 0))
            for plugin, count in pending.plugins.items():
                refused.add_metric([cluster, plugin, self._profile], count)
        yield waiting
        yield refused

    def _families(self) -> tuple[GaugeMetricFamily, GaugeMetricFamily]:
        return (
            GaugeMetricFamily(
                "scheduler_pending_pods", "Pods that wait, by queue", labels=["cluster", "queue"]
            ),
            GaugeMetricFamily(
                "scheduler_unschedulable_pods",
                "Pods that a plugin refused, by plugin",
                labels=["cluster", "plugin", "profile"],
            ),
        )
