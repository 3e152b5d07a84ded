"""The kubelet's metrics, under the names that stock dashboards ask for, for all nodes of one process.

Counts of what exists are computed when somebody scrapes, from the state that the machine has anyway: a
pod start pays for counters and one histogram only, and series vanish with their object.
Source: Kubernetes 1.37, pkg/kubelet/metrics/metrics.go (names, help, buckets).
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

_START_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 120, 300, 600)
_WORK_BUCKETS: Final = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.1, 1)
_REASONS: Final = frozenset(
    {"OutOfcpu", "OutOfmemory", "OutOfpods", "OutOfephemeral-storage", "NodeAffinity", "NodePorts"}
    | {"TaintToleration", "PodOSNotSupported"}
)


class NodeCount(NamedTuple):
    """What runs on one node."""

    cluster: str
    node: str
    pods: int
    containers: int


class Counted(Protocol):
    """What the collector asks the machine for, at each scrape."""

    def counts(self) -> Iterable[NodeCount]:
        """One entry per node of this process."""
        ...


class KubeletMetrics:
    """Counters and histograms of one kubelet process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.pod_start = Histogram(
            "kubelet_pod_start_duration_seconds",
            "Duration in seconds from kubelet seeing a pod for the first time to the pod starting to run",
            registry=registry,
            buckets=_START_BUCKETS,
        )
        self.pod_start_sli = Histogram(
            "kubelet_pod_start_sli_duration_seconds",
            "Duration in seconds from creation of a pod to all its containers running",
            registry=registry,
            buckets=_START_BUCKETS,
        )
        self.worker = Histogram(
            "kubelet_pod_worker_duration_seconds",
            "Duration in seconds to look at one pod and decide",
            registry=registry,
            buckets=_WORK_BUCKETS,
            labelnames=("operation_type",),
        )
        self._operations = Counter(
            "kubelet_runtime_operations_total",
            "Operations on the container runtime",
            registry=registry,
            labelnames=("operation_type",),
        )
        self._errors = Counter(
            "kubelet_runtime_operations_errors_total",
            "Operations on the container runtime that failed",
            registry=registry,
            labelnames=("operation_type",),
        )
        self.started_pods = Counter("kubelet_started_pods_total", "Pods started", registry=registry)
        self._started_containers = Counter(
            "kubelet_started_containers_total",
            "Containers started",
            registry=registry,
            labelnames=("container_type",),
        )
        self._rejections = Counter(
            "kubelet_admission_rejections_total",
            "Pods that a node did not take",
            registry=registry,
            labelnames=("reason",),
        )
        self.sync = self.worker.labels("sync")
        self._children = {
            name: self._operations.labels(name)
            for name in ("pull_image", "create_container", "start_container", "stop_container")
        }
        self._containers = self._started_containers.labels("container")

    def did(self, operations: Iterable[str]) -> None:
        """Count operations on the runtime; `pull_image:error` is one that failed."""
        for operation in operations:
            name, _, error = operation.partition(":")
            self._children[name].inc()
            if error:
                self._errors.labels(name).inc()
            if name == "start_container":
                self._containers.inc()

    def rejected(self, reason: str) -> None:
        """Count a pod that its node did not take."""
        self._rejections.labels(reason if reason in _REASONS else "Other").inc()

    def watch(self, machine: Counted) -> None:
        """Compute the gauges of this machine at each scrape."""
        self.registry.register(_Gauges(machine))


class _Gauges(Collector):
    def __init__(self, machine: Counted) -> None:
        self._machine = machine

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """The families, without a sample."""
        return self._families()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One sample per node."""
        names, pods, containers = self._families()
        for count in self._machine.counts():
            where = (count.cluster, count.node)
            names.add_metric(where, 1)
            pods.add_metric(where, count.pods)
            containers.add_metric((*where, "running"), count.containers)
        yield from (names, pods, containers)

    @staticmethod
    def _families() -> tuple[GaugeMetricFamily, GaugeMetricFamily, GaugeMetricFamily]:
        where = ("cluster", "node")
        return (
            GaugeMetricFamily("kubelet_node_name", "The node's name. The count is always 1.", labels=where),
            GaugeMetricFamily("kubelet_running_pods", "Pods with a running sandbox", labels=where),
            GaugeMetricFamily(
                "kubelet_running_containers", "Containers running", labels=(*where, "container_state")
            ),
        )
