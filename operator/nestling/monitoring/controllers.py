"""The families that controllers count in, under kube-controller-manager's names.

Each has the host namespace as `cluster` in front of its native labels. Controllers declare and count (see
`machinery.measure`); the series are kept here.
"""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from nestling.machinery.controller import Controller
from nestling.machinery.measure import Levels, Measurement, Metric

Family: TypeAlias = Counter | Histogram | Gauge


class ControllerMetrics:
    """Series of what controllers have declared."""

    def __init__(self, registry: CollectorRegistry, controllers: Iterable[Controller]) -> None:
        declared = {metric.name: metric for one in controllers for metric in one.metrics}
        self._families = {name: _family(metric, registry) for name, metric in declared.items()}
        self._standing: dict[tuple[str, str], frozenset[tuple[str, ...]]] = {}

    def count(self, cluster: str, found: Measurement) -> None:
        """Take what a controller has measured."""
        family = self._families[found.metric.name]
        if isinstance(found, Levels):
            assert isinstance(family, Gauge), found.metric.name
            self._set(family, cluster, found.metric.name, found.values)
            return
        match family:
            case Counter():
                family.labels(cluster, *found.labels).inc(found.amount)
            case Histogram():
                family.labels(cluster, *found.labels).observe(found.amount)
            case Gauge():
                raise TypeError(f"{found.metric.name} is a gauge: its levels are set together")

    def _set(self, family: Gauge, cluster: str, name: str, values: Mapping[tuple[str, ...], float]) -> None:
        standing = frozenset(values)
        for gone in self._standing.get((name, cluster), frozenset()) - standing:
            family.remove(cluster, *gone)
        for labels, value in values.items():
            family.labels(cluster, *labels).set(value)
        self._standing[name, cluster] = standing


def _family(metric: Metric, registry: CollectorRegistry) -> Family:
    labels = ("cluster", *metric.labels)
    if metric.gauge:
        return Gauge(metric.name, metric.text, labels, registry=registry)
    if metric.buckets:
        return Histogram(metric.name, metric.text, labels, buckets=metric.buckets, registry=registry)
    return Counter(metric.name, metric.text, labels, registry=registry)
