"""What the scheduler counts and times, behind a small hook, so that the loop itself knows no metrics library.

`Recorder` is the hook; `Silent` ignores everything. `SchedulerMetrics` keeps kube-scheduler's families in a
prometheus_client registry, with the host namespace as `cluster`; a cluster that is gone takes its series
along.

Left out, with the reason: permit_wait_duration_seconds (binds wait for nobody but a third party's plugin),
plugin_execution_duration_seconds and plugin_evaluation_total (plugins run over all nodes at once; their
points are timed), goroutines, inflight_events and event_handling_duration_seconds (one thread, no events are
held while a pod is decided about), queueing_hint_execution_duration_seconds (a class is asked once, not each
pod), queued_entities, queue_incoming_entities_total, pre_queueing_hint_evaluations_total,
get_node_hint_duration_seconds, batch_* and store_schedule_results_duration_seconds (pod groups and batching,
which the classes replace), preemption_goroutines_* (deprecated in 1.37), volume_* (no volumes yet).
Source: Kubernetes 1.37, pkg/scheduler/metrics/metrics.go (names, labels, buckets).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, TypeAlias

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

Result: TypeAlias = Literal["scheduled", "unschedulable", "error"]
QUEUES: Final = ("active", "backoff", "unschedulable", "gated")
_MOST_ATTEMPTS: Final = 15  # the label of pod_scheduling_sli_duration_seconds goes no further


@dataclass(frozen=True, slots=True)
class Pending:
    """Pods that wait in one cluster: by queue, and by the plugin that refused them last and their profile.

    `kept` counts what the scheduler keeps in memory: nodes, pods, assumed_pods.
    """

    queues: Mapping[str, int]
    plugins: Mapping[tuple[str, str], int]
    kept: Mapping[str, int] = field(default_factory=dict[str, int])


class Recorder(Protocol):
    """What the scheduler tells whoever measures. Durations are seconds."""

    def attempted(
        self, cluster: str, profile: str, result: Result, attempt_s: float, algorithm_s: float
    ) -> None:
        """One attempt is over: a bind was confirmed, or the pod was turned away."""
        ...

    def scheduled(self, cluster: str, attempts: int, waited_s: float, *, flushed: bool) -> None:
        """A pod was bound, after so many attempts, so long after it could first be tried.

        `flushed`: it was tried only because it had waited for too long, so a hint has missed something.
        """
        ...

    def preempted(self, cluster: str, victims: int | None) -> None:
        """Somebody looked for victims, and found so many; None if that did not help."""
        ...

    def queued(self, cluster: str, queue: str, event: str) -> None:
        """A pod came into a queue because of an event."""
        ...

    def extension_point(self, cluster: str, profile: str, point: str, status: str, took_s: float) -> None:
        """All plugins of a point ran over all nodes: a sample, since most pods need but one row."""
        ...

    def gone(self, cluster: str) -> None:
        """A cluster has nothing left to schedule for."""
        ...


class Silent:
    """Measures nothing."""

    def attempted(
        self, cluster: str, profile: str, result: Result, attempt_s: float, algorithm_s: float
    ) -> None:
        """Ignore it."""

    def scheduled(self, cluster: str, attempts: int, waited_s: float, *, flushed: bool) -> None:
        """Ignore it."""

    def preempted(self, cluster: str, victims: int | None) -> None:
        """Ignore it."""

    def queued(self, cluster: str, queue: str, event: str) -> None:
        """Ignore it."""

    def extension_point(self, cluster: str, profile: str, point: str, status: str, took_s: float) -> None:
        """Ignore it."""

    def gone(self, cluster: str) -> None:
        """Ignore it."""


class Laps:
    """Times one extension point after the other; an empty name starts the watch."""

    def __init__(
        self, cluster: str, recorder: Recorder, timer: Callable[[], float], profile: str = ""
    ) -> None:
        self._cluster = cluster
        self._recorder = recorder
        self._timer = timer
        self._profile = profile
        self._last = 0.0

    def of(self, profile: str) -> "Laps":
        """A watch for one profile."""
        return Laps(self._cluster, self._recorder, self._timer, profile)

    def __call__(self, point: str) -> None:
        """A point is done."""
        now = self._timer()
        if point:
            self._recorder.extension_point(self._cluster, self._profile, point, "Success", now - self._last)
        self._last = now


class SchedulerMetrics:
    """kube-scheduler's families. Call `watch` with the machine's `pending` to add the gauges."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
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
        self._victims = histogram("preemption_victims", "Pods chosen to make room for one", [], 1, 7)
        self._preemptions = Counter(
            "scheduler_preemption_attempts",
            "Searches for pods whose going would help",
            ["cluster"],
            registry=registry,
        )
        self._flushed = Counter(
            "scheduler_pod_scheduled_after_flush",
            "Pods scheduled only after they had waited for too long, so no event had brought them back",
            ["cluster"],
            registry=registry,
        )

    def watch(self, pending: Callable[[], Mapping[str, Pending]]) -> None:
        """Serve pending_pods and unschedulable_pods from the machine's own counts when somebody scrapes."""
        self._registry.register(_PendingCollector(pending))

    def attempted(
        self, cluster: str, profile: str, result: Result, attempt_s: float, algorithm_s: float
    ) -> None:
        """Count an attempt and its two durations."""
        self._child(self._attempts, cluster, result, profile).inc()
        self._child(self._attempt_s, cluster, result, profile).observe(attempt_s)
        self._child(self._algorithm_s, cluster).observe(algorithm_s)

    def scheduled(self, cluster: str, attempts: int, waited_s: float, *, flushed: bool) -> None:
        """Note how often and how long a pod that is bound now was tried."""
        label = str(attempts) if attempts < _MOST_ATTEMPTS else f"{_MOST_ATTEMPTS}+"
        self._child(self._pod_attempts, cluster).observe(attempts)
        self._child(self._sli_s, cluster, label).observe(waited_s)
        if flushed:
            self._child(self._flushed, cluster).inc()

    def preempted(self, cluster: str, victims: int | None) -> None:
        """Count a search for victims, and those it found."""
        self._child(self._preemptions, cluster).inc()
        if victims is not None:
            self._child(self._victims, cluster).observe(victims)

    def queued(self, cluster: str, queue: str, event: str) -> None:
        """Count an arrival."""
        self._child(self._incoming, cluster, queue, event).inc()

    def extension_point(self, cluster: str, profile: str, point: str, status: str, took_s: float) -> None:
        """Note the time of an extension point."""
        self._child(self._points_s, cluster, point, status, profile).observe(took_s)

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
            self._victims,
            self._preemptions,
            self._flushed,
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

    def __init__(self, pending: Callable[[], Mapping[str, Pending]]) -> None:
        self._pending = pending

    def describe(self) -> list[Metric]:
        """Families without samples."""
        return list(self._families())

    def collect(self) -> Iterator[Metric]:
        """Families with the numbers of this moment."""
        waiting, refused, kept = self._families()
        for cluster, pending in self._pending().items():
            for queue in QUEUES:
                waiting.add_metric([cluster, queue], pending.queues.get(queue, 0))
            for (plugin, profile), count in pending.plugins.items():
                refused.add_metric([cluster, plugin, profile], count)
            for what, count in pending.kept.items():
                kept.add_metric([cluster, what], count)
        yield waiting
        yield refused
        yield kept

    def _families(self) -> tuple[GaugeMetricFamily, GaugeMetricFamily, GaugeMetricFamily]:
        return (
            GaugeMetricFamily(
                "scheduler_pending_pods", "Pods that wait, by queue", labels=["cluster", "queue"]
            ),
            GaugeMetricFamily(
                "scheduler_unschedulable_pods",
                "Pods that a plugin refused, by plugin",
                labels=["cluster", "plugin", "profile"],
            ),
            GaugeMetricFamily(
                "scheduler_cache_size",
                "Nodes, pods on nodes and pods whose bind is on its way, in memory",
                labels=["cluster", "type"],
            ),
        )
