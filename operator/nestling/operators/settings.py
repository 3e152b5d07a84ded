"""How we run Kopf: as a source of events and nothing else.

No finalizers, no annotations, no diff-base, no events from log lines: on a hot kind each of these costs a
write or a deep copy per event. See the measurements quoted at each setting.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any, Final

import kopf

from nestling.api.kinds import GROUP, LEASE
from nestling.machinery.records.node import KUBELET_LEASE

# What we watch of a kind that the host also uses for itself.
SELECTORS: Final = {LEASE.plural: f"{KUBELET_LEASE}=true"}


class NoDiffBase(kopf.DiffBaseStorage):
    """Keeps no last-seen state.

    Building it deep-copies each object at each event, a quarter of Kopf's time.
    """

    def build(self, *, body: kopf.Body, extra_fields: Iterable[Any] | None = None) -> kopf.BodyEssence:
        """An empty essence."""
        del body, extra_fields
        return kopf.BodyEssence({})

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        """Never anything."""
        del body

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Nothing is kept."""
        del body, patch, essence


class NoProgress(kopf.ProgressStorage):
    """Keeps no handler progress: raw event handlers have none."""

    def fetch(self, *, key: Any, body: kopf.Body) -> None:
        """Never anything."""
        del key, body

    def store(self, *, key: Any, record: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        """Nothing is kept."""
        del key, record, body, patch

    def purge(self, *, key: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        """There is nothing to purge."""
        del key, body, patch

    def touch(self, *, body: kopf.Body, patch: kopf.Patch, value: str | None) -> None:
        """Nothing is kept."""
        del body, patch, value

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        """The essence as it is."""
        return essence


class EndlessBackoff(Iterable[float]):
    """Seconds between tries of a list or watch, without end: after a finite row Kopf exits (54 s by default).

    An object with `__iter__` and no `__len__`, so that Kopf cannot count it. Kopf shows errors to no handler,
    but it takes a row per request and, before each try, the next pause: whoever comes back for more has
    failed, and who is done drops the row.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._failing: dict[object, float] = {}

    def __iter__(self) -> Iterator[float]:
        random, request, begun = Random(), object(), self._monotonic()
        try:
            for tries, step in enumerate(itertools.chain((0.1, 0.3, 1, 2, 4), itertools.repeat(5))):
                if tries == 1:
                    self._failing[request] = begun
                yield step * (1 + random.random() / 4)
        finally:
            self._failing.pop(request, None)

    def failing_s(self) -> float:
        """For how long the request that has failed the longest has been at it; 0 if none fails."""
        return self._monotonic() - min(self._failing.values()) if self._failing else 0.0


def kopf_settings(backoffs: EndlessBackoff, *, clusterwide: bool) -> kopf.OperatorSettings:
    """Settings of one Kopf operator, see DESIGN section 3."""
    settings = kopf.OperatorSettings()
    settings.queueing.idle_timeout = 1  # a worker task per object lives that long after its last event
    settings.posting.enabled = False
    settings.process.ultimate_exiting_timeout = (
        None  # Kopf would kill the process that long after its own end
    )
    settings.persistence.consistency_timeout = 0
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.persistence.progress_storage = NoProgress()
    settings.persistence.finalizer = f"{GROUP}/operator"
    settings.networking.error_backoffs = backoffs
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.watching.inactivity_timeout = 75  # the host sends bookmarks about once a minute
    settings.watching.label_selectors[LEASE.group, LEASE.version, LEASE.plural] = SELECTORS[LEASE.plural]
    settings.scanning.disabled = not clusterwide
    return settings
