"""One scrape: walk the cache object by object, a few milliseconds at a time, and hand out compressed text.

The event loop that answers scrapes also binds pods, so the walk gives way to it again and again. An object
that changes meanwhile is written as it was when its kind's turn came; one scrape is no more of one moment
than kube-state-metrics' own is.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import structlog

from nestling.machinery.cache import Cache
from nestling.machinery.records.base import Record
from nestling.monitoring.gzip_parts import Part
from nestling.monitoring.kube_state import (
    autoscaler,
    budget,
    cron_job,
    daemon_set,
    deployment,
    job,
    namespace,
    node,
    pod,
    replica_set,
    replication_controller,
    service,
    stateful_set,
)
from nestling.monitoring.kube_state.family import Exporter, Family, Page, Section, identity_of
from nestling.monitoring.kube_state.reading import label_pairs

log = structlog.get_logger(__name__)

PATH: Final = "/metrics/kube-state"
# A stretch longer than this gives way to the event loop; the clock is asked after that many objects.
STRETCH_S: Final = 0.003
LOOK_EVERY: Final = 8

UNREADABLE: Final = Family(
    "nestling_kube_state_unreadable_objects",
    "Objects that some series are missing of, because they could not be read.",
    ("cluster", "kind"),
)

# Kinds that a controller or a kubelet acts upon, in the order of the page: series of objects that nobody
# looks after would only raise alarms.
EXPORTERS: Final[tuple[Exporter, ...]] = (
    namespace.EXPORTER,
    node.EXPORTER,
    pod.EXPORTER,
    replica_set.EXPORTER,
    replication_controller.EXPORTER,
    deployment.EXPORTER,
    stateful_set.EXPORTER,
    daemon_set.EXPORTER,
    job.EXPORTER,
    cron_job.EXPORTER,
    service.EXPORTER,
    budget.EXPORTER,
    autoscaler.EXPORTER,
)
FAMILIES: Final[tuple[Family, ...]] = (
    *(family for exporter in EXPORTERS for family in exporter.families),
    UNREADABLE,
)
LABELS: Final[Mapping[type[Record], Family]] = {
    exporter.record: family
    for exporter in EXPORTERS
    for family in exporter.families
    if family.name.endswith("_labels")
}


class KubeState:
    """The `kube_*` families of everything that a cache holds, while `serving` says so.

    `allowed_labels` names the labels that `kube_<kind>_labels` may show, by native plural (`pods`), `*` for
    all; without it those families are empty, as they are in kube-state-metrics.
    """

    def __init__(
        self,
        cache: Cache,
        *,
        monotonic: Callable[[], float],
        serving: Callable[[], bool] = lambda: True,
        allowed_labels: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._cache = cache
        self._monotonic = monotonic
        self._serving = serving
        self._allowed = allowed_labels or {}

    async def scrape(self) -> Sequence[Part]:
        """The text of all families, in parts; nothing while somebody else serves them."""
        if not self._serving():
            return ()
        parts: list[Part] = []
        for _ in self.steps(parts):
            await asyncio.sleep(0)
        return parts

    def steps(self, parts: list[Part]) -> Iterator[None]:
        """Write every family into `parts`, and stop whenever it is time to give way."""
        page = {family: Section(family) for family in FAMILIES}
        until = self._monotonic() + STRETCH_S
        for _ in self._walk(page):
            if self._monotonic() > until:
                yield
                until = self._monotonic() + STRETCH_S
        for section in page.values():
            parts.append(section.finish())
            if self._monotonic() > until:
                yield
                until = self._monotonic() + STRETCH_S

    def _walk(self, page: Page) -> Iterator[None]:
        """Write every object; every few of them is a place to stop."""
        unreadable: dict[tuple[str, str], int] = {}
        for exporter in EXPORTERS:
            for count, record in enumerate(list(self._cache.table(exporter.record).records.values())):
                try:
                    self._write(exporter, record, page)
                except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
                    # The schema lets none pass; should one slip through, the others must stay visible.
                    place = (record.key.cluster, record.KIND.name)
                    unreadable[place] = unreadable.get(place, 0) + 1
                    log.debug(
                        "object not readable for metrics",
                        cluster=record.key.cluster,
                        kind=record.KIND.name,
                        object=record.key.display,
                        why=repr(error),
                    )
                if count % LOOK_EVERY == 0:
                    yield
        used = [key for exporter in EXPORTERS for key in self._cache.table(exporter.record).records]
        namespace.write_used(used, self._cache.table(namespace.Namespace).records, page)
        for place, count in unreadable.items():
            page[UNREADABLE].add(identity_of(UNREADABLE.identity, *place), count)

    def _write(self, exporter: Exporter, record: Record, page: Page) -> None:
        exporter.write(record, page)
        allowed = self._allowed.get(record.KIND.plural.removeprefix("virtual"))
        family = LABELS.get(exporter.record)
        if allowed and family:
            key = record.key
            names = {"cluster": key.cluster, "namespace": key.namespace or key.name, "uid": record.uid}
            who = identity_of(family.identity, *(names.get(label, key.name) for label in family.identity))
            page[family].labelled(who, label_pairs(record.labels, allowed))
