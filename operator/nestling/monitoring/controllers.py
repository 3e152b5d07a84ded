"""The families that controllers count in, under kube-controller-manager's names.

Each has the host namespace as `cluster` in front of its native labels. Controllers declare and count (see
`machinery.measure`); the series are kept here.
"""

from collections.abc import Iterable
from typing import TypeAlias

from prometheus_client import CollectorRegistry, Counter, Histogram

from nestling.machinery.controller import Controller
from nestling.machinery.measure import Metric, Tally

Family: TypeAlias = Counter | Histogram


class ControllerMetrics:
    """Series of what controllers have declared."""

    def __init__(self, registry: CollectorRegistry, controllers: Iterable[Controller]) -> None:
        declared = {metric.name: metric for one in controllers for metric in one.metrics}
        self._families = {name: _family(metric, registry) for name, metric in declared.items()}

    def count(self, cluster: str, tally: Tally) -> None:
        """Take one tally of a controller."""
        family = self._families[tally.metric.name]
        match family:
            case Counter():
                family.labels(cluster, *tally.labels).inc(tally.amount)
            case Histogram():
                family.labels(cluster, *tally.labels).observe(tally.amount)


def _family(metric: Metric, registry: CollectorRegistry) -> Family:
    labels = ("cluster", *metric.labels)
    if metric.buckets:
        return Histogram(metric.name, metric.text, labels, buckets=metric.buckets, registry=registry)
    return Counter(metric.name, metric.text, labels, registry=registry)
