"""Scrape the `kube_*` page of a cache and read it with prometheus_client's own parser."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from builders import RECORDS, cache_of
from nestling.api.json import JsonObject
from nestling.machinery.cache import Cache
from nestling.machinery.records.base import Record
from nestling.monitoring.gzip_parts import Part
from nestling.monitoring.kube_state.page import KubeState

Series = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Scrape:
    """One answer: its text, and what the parser makes of it."""

    text: str

    @property
    def families(self) -> dict[str, Metric]:
        """Families by name; a counter's is without its `_total`, as the parser has it."""
        found = list(text_string_to_metric_families(self.text))
        by_name = {family.name: family for family in found}
        assert len(by_name) == len(found), "a family that comes twice"
        return by_name

    @property
    def series(self) -> dict[tuple[str, Series], float]:
        """Values by name and labels."""
        samples = [sample for family in self.families.values() for sample in family.samples]
        found = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
        assert len(found) == len(samples), "a series that comes twice"
        return found

    def labels(self, name: str) -> set[frozenset[str]]:
        """The sets of label names that the series of one name have."""
        return {frozenset(dict(labels)) for found, labels in self.series if found == name}

    def values(self, name: str, *by: str, **labels: str) -> dict[tuple[str, ...], float]:
        """Values of the series of one name that have these labels, by the values of the labels `by`."""
        return {
            tuple(dict(found)[label] for label in by): value
            for (other, found), value in self.series.items()
            if other == name and labels.items() <= dict(found).items()
        }


def scrape_cache(cache: Cache, *, allowed_labels: Mapping[str, Sequence[str]] | None = None) -> Scrape:
    """One scrape of everything that a cache holds."""
    state = KubeState(cache, monotonic=time.monotonic, allowed_labels=allowed_labels)
    parts: list[Part] = []
    for _ in state.steps(parts):
        pass
    return Scrape(b"".join(text for part in parts for text in part.text()).decode())


def scrape_of(*objects: JsonObject, records: Iterable[type[Record]] = RECORDS, **more: Any) -> Scrape:
    """One scrape of a world that holds these objects."""
    return scrape_cache(cache_of(*objects, records=records), **more)
