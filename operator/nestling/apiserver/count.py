"""How often the server was asked for what, how long it took, and what it holds: for tests, and as `/metrics`.

The families are named as kube-apiserver's, so that its dashboards read them. Counting is a dictionary;
Prometheus' own objects are made when somebody scrapes.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from nestling.apiserver.resource import Resource
from nestling.apiserver.state import State

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_LABELS: Final = ("verb", "group", "version", "resource", "subresource")

Asked = tuple[str, str, str, str, str]
"""Verb, group, version, plural and subresource."""


class Counts:
    """Counters of requests and writes."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.requests: Counter[tuple[Asked, int]] = Counter()
        self._buckets: dict[Asked, list[int]] = {}
        self._seconds: Counter[Asked] = Counter()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    @property
    def writes(self) -> Counter[tuple[str, str]]:
        """Writes that changed something, by plural and kind of change."""
        return self._state.writes

    def observe(
        self, verb: str, resource: Resource | None, subresource: str, code: int, seconds: float
    ) -> None:
        """Count one request."""
        asked: Asked = (
            (verb, resource.group, resource.version, resource.plural, subresource)
            if resource is not None
            else (verb, "", "", "", "")
        )
        self.requests[asked, code] += 1
        buckets = self._buckets.get(asked)
        if buckets is None:
            buckets = self._buckets[asked] = [0] * (len(BUCKETS) + 1)
        buckets[bisect_left(BUCKETS, seconds)] += 1
        self._seconds[asked] += seconds  # type: ignore[assignment] # a Counter adds floats as well

    def requested(self, verb: str = "", plural: str = "") -> int:
        """How many requests there were, of a verb and a plural or of all."""
        return sum(
            count
            for (asked, _), count in self.requests.items()
            if (not verb or asked[0] == verb) and (not plural or asked[3] == plural)
        )

    def exposition(self) -> bytes:
        """The metrics as Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Make the families; called by the registry."""
        total = CounterMetricFamily(
            "apiserver_request", "Requests answered.", labels=(*_LABELS, "scope", "code")
        )
        for (asked, code), count in sorted(self.requests.items()):
            scope = "resource" if asked[0] in ("get", "update", "patch", "delete", "create") else "cluster"
            total.add_metric((*asked, scope, str(code)), count)
        yield total
        duration = HistogramMetricFamily(
            "apiserver_request_duration_seconds", "Time to answer, without the network.", labels=_LABELS
        )
        for asked, buckets in sorted(self._buckets.items()):
            bounds: list[tuple[str, float]] = []
            running = 0
            for bound, count in zip((*map(str, BUCKETS), "+Inf"), buckets, strict=True):
                running += count
                bounds.append((bound, running))
            duration.add_metric(asked, bounds, self._seconds[asked])
        yield duration
        objects = GaugeMetricFamily("apiserver_storage_objects", "Objects stored.", labels=("resource",))
        for name, table in sorted(self._state.store.tables.items()):
            objects.add_metric((name,), len(table))
        yield objects
        writes = CounterMetricFamily(
            "nestling_apiserver_writes", "Changes of stored objects.", labels=("resource", "change")
        )
        for (plural, change), count in sorted(self.writes.items()):
            writes.add_metric((plural, change), count)
        yield writes
        yield GaugeMetricFamily(
            "nestling_apiserver_revision", "Revision of the last change.", value=self._state.store.revision
        )
