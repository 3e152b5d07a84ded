"""Metrics of the machinery: queues, host writes, watches, leadership.

Names are client-go's where it has them (`workqueue_*`, `rest_client_*`, `leader_election_*`), because stock
dashboards ask for those; our own begin with `nestling_`. Everything registers in the registry it is given.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from nestling.api.kinds import Kind
from nestling.machinery.queue import Queue

# client-go's buckets: 10 ns to 10 s; the first four are below what a Python loop can do.
QUEUE_BUCKETS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
# client-go's buckets, up to a minute.
REQUEST_BUCKETS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
WRITE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class LoopMetrics:
    """The families that all loops of a process share."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.adds = Counter("workqueue_adds", "Keys put in line.", ["name"], registry=registry)
        self.retries = Counter(
            "workqueue_retries", "Keys put back after a failure.", ["name"], registry=registry
        )
        self.waited = Histogram(
            "workqueue_queue_duration_seconds",
            "Time of a key in line.",
            ["name"],
            buckets=QUEUE_BUCKETS,
            registry=registry,
        )
        self.worked = Histogram(
            "workqueue_work_duration_seconds",
            "Time of a key in work, its writes included.",
            ["name"],
            buckets=QUEUE_BUCKETS,
            registry=registry,
        )
        self.failures = Counter(
            "nestling_loop_failures",
            "Exceptions that escaped a loop: each one is a bug.",
            ["name"],
            registry=registry,
        )
        self.writes = Counter(
            "nestling_host_writes",
            "Writes to the host API server.",
            ["kind", "verb", "result"],
            registry=registry,
        )
        self.write_seconds = Histogram(
            "nestling_host_write_duration_seconds",
            "Time until the host answered a write.",
            ["verb"],
            buckets=WRITE_BUCKETS,
            registry=registry,
        )
        self.requests = Counter(
            "rest_client_requests", "Requests to the host API server.", ["code", "method"], registry=registry
        )
        self.request_seconds = Histogram(
            "rest_client_request_duration_seconds",
            "Time until the host API server answered.",
            ["verb"],
            buckets=REQUEST_BUCKETS,
            registry=registry,
        )
        self.leading = Gauge(
            "leader_election_master_status",
            "Whether this process leads (1) or stands by (0).",
            ["name"],
            registry=registry,
        )

    def queue(self, name: str) -> "OneQueue":
        """The metrics of one queue."""
        return OneQueue(self, name)

    def wrote(self, kind: Kind, verb: str, result: str, seconds: float) -> None:
        """Count one host write (see `machinery.executor.WriteMetrics`)."""
        self.writes.labels(kind.name, verb, result).inc()
        self.write_seconds.labels(verb).observe(seconds)

    def requested(self, method: str, status: int, seconds: float) -> None:
        """Count and time one request of the client."""
        self.requests.labels(str(status), method).inc()
        self.request_seconds.labels(method).observe(seconds)

    def failed(self, name: str) -> None:
        """Count one exception that escaped a loop."""
        self.failures.labels(name).inc()


class OneQueue:
    """One queue's view of the shared families (see `machinery.queue.QueueMetrics`)."""

    def __init__(self, metrics: LoopMetrics, name: str) -> None:
        self._adds = metrics.adds.labels(name)
        self._retries = metrics.retries.labels(name)
        self._waited = metrics.waited.labels(name)
        self._worked = metrics.worked.labels(name)

    def added(self) -> None:
        """A key was put in line."""
        self._adds.inc()

    def started(self, waited_s: float) -> None:
        """A key went into work."""
        self._waited.observe(waited_s)

    def finished(self, worked_s: float) -> None:
        """A key came out of work."""
        self._worked.observe(worked_s)

    def retried(self) -> None:
        """A key was put back."""
        self._retries.inc()


# Running totals that somebody else keeps, and what they count.
COUNTERS: Final[Mapping[str, str]] = {
    "watch_events": "Watch events taken in.",
    "watch_restarts": "Restarts of the watches inside the process, because they had ended or fallen silent.",
    "ghosts": "Objects that had gone unnoticed and were found missing in a listing.",
    "events_written": "Events for people written to the host.",
    "events_dropped": "Events for people not written, because there were too many or the host refused them.",
}


@dataclass(frozen=True, slots=True)
class Readings:
    """What is read when somebody scrapes, not kept up all the time.

    `counters` are running totals by the name of their family, without `nestling_` in front (see `COUNTERS`).
    """

    queues: Mapping[str, Queue]
    objects: Callable[[], Mapping[str, int]]
    lags_s: Callable[[], Mapping[str, float]]
    counters: Callable[[], Mapping[str, float]]


class ReadingsCollector(Collector):
    """Queue depths, cache sizes and watch lags at the moment of the scrape."""

    def __init__(self, readings: Readings, now: Callable[[], float]) -> None:
        self._readings = readings
        self._now = now

    def collect(self) -> Iterable[Metric]:
        """The families, made anew."""
        depth = GaugeMetricFamily("workqueue_depth", "Keys in line.", labels=["name"])
        unfinished = GaugeMetricFamily(
            "workqueue_unfinished_work_seconds",
            "Seconds of work begun and not yet finished.",
            labels=["name"],
        )
        longest = GaugeMetricFamily(
            "workqueue_longest_running_processor_seconds",
            "Age of the oldest work under way.",
            labels=["name"],
        )
        now = self._now()
        for name, queue in self._readings.queues.items():
            ages = [now - since for since in queue.working.values()]
            depth.add_metric([name], len(queue))
            unfinished.add_metric([name], sum(ages))
            longest.add_metric([name], max(ages, default=0.0))
        objects = GaugeMetricFamily("nestling_cache_objects", "Objects in the cache.", labels=["kind"])
        for kind, count in self._readings.objects().items():
            objects.add_metric([kind], count)
        lags = GaugeMetricFamily(
            "nestling_watch_echo_lag_seconds",
            "Age of the oldest own write whose watch event has not come; grows when a watch has died.",
            labels=["kind"],
        )
        for kind, lag in self._readings.lags_s().items():
            lags.add_metric([kind], lag)
        yield from (depth, unfinished, longest, objects, lags)
        for name, value in self._readings.counters().items():
            total = CounterMetricFamily(f"nestling_{name}", COUNTERS[name])
            total.add_metric([], value)
            yield total
