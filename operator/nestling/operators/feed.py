"""Feed the events that Kopf brings into the cache, and wake the loops they concern.

One raw event filter for all kinds: a sighting goes into the cache, and what changed goes to the drivers that
asked for the kind. No decisions, no writes to the host. Kopf says nothing of objects that vanished while a
watch was cut: so after a re-list, and every few minutes, a listing of metadata is compared with the cache,
and ghosts are dropped.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

import kopf
import structlog

from nestling.api.kinds import BY_PLURAL, Kind, Uid
from nestling.machinery.cache import Cache, Change
from nestling.machinery.client import Client
from nestling.machinery.driver import Driver
from nestling.machinery.echo import Echo
from nestling.machinery.errors import HostError
from nestling.machinery.names import Key, key_of
from nestling.operators.settings import SELECTORS

log = structlog.get_logger(__name__)

SWEEP_EVERY_S: Final = 300.0
SWEEP_SOON_S: Final = 1.0


class Hub:
    """Passes each change on to the drivers that asked for its kind."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[Driver]] = {}
        self.events: dict[str, int] = {}

    def attach(self, driver: Driver, kinds: Iterable[Kind]) -> None:
        """Let `driver` hear of changes to `kinds`."""
        for kind in kinds:
            self._listeners.setdefault(kind.plural, []).append(driver)

    def changed(self, change: Change) -> None:
        """One object has changed, whoever told us."""
        for driver in self._listeners.get(change.kind.plural, ()):
            driver.observe(change)


class Feed:
    """The way from Kopf's events to the cache, and the upkeep that Kopf's events lack.

    `clusters` are the host namespaces to serve; empty means all of them.
    """

    def __init__(
        self, client: Client, cache: Cache, hub: Hub, echo: Echo, *, clusters: Sequence[str] = ()
    ) -> None:
        self._client = client
        self._cache = cache
        self._hub = hub
        self._echo = echo
        self._scopes: Sequence[str | None] = clusters or (None,)
        self._relisted: dict[str, Kind] = {}
        self._alarm = asyncio.Event()
        self.synced = False
        self.events = 0
        self.ghosts = 0

    def register(self, registry: kopf.OperatorRegistry) -> None:
        """Attach to every kind that the cache holds."""
        kinds = self._cache.kinds
        plurals = {kind.plural for kind in kinds}

        def held(resource: kopf.Resource) -> bool:
            return resource.plural in plurals

        async def never(**_: object) -> None: ...

        # One handler per group, not per kind: Kopf asks every handler several times per event.
        for group, version in dict.fromkeys((kind.group, kind.version) for kind in kinds):
            kopf.on.event(held, group=group, version=version, id="feed", when=self.hear, registry=registry)(
                never
            )

    def hear(self, *, event: kopf.RawEvent, resource: kopf.Resource, **_: object) -> bool:
        """Kopf asks whether to handle an event: we take it, and say no.

        What Kopf does to call a handler is 26 of its 105 us per event. Does not raise: an event that we
        cannot read must not end all the others.
        """
        try:
            self.take(BY_PLURAL[resource.plural], event)
        except Exception:
            log.exception("event lost", kind=resource.kind, type=event["type"])
        return False

    def take(self, kind: Kind, event: kopf.RawEvent) -> None:
        """One event: into the cache, and on to whom it concerns. Type None marks the objects of a listing."""
        self.events += 1
        obj = dict(event["object"])
        deleted = event["type"] == "DELETED"
        self._echo.heard(kind, obj, deleted=deleted)
        change = self._cache.see(kind, obj, deleted=deleted)
        # Kopf's view of an event is a cycle, and waits for the garbage collector with all that it holds.
        for part in ("spec", "status"):
            event["object"].pop(part, None)
        if change is not None:
            self._hub.changed(change)
        if event["type"] is None and self.synced and kind.plural not in self._relisted:
            self._relisted[kind.plural] = kind
            self._alarm.set()

    async def sync(self) -> None:
        """Wait until everything that exists has been seen once: no loop may decide on half a world."""
        await asyncio.gather(*(self._sync(kind) for kind in self._cache.kinds))
        self.synced = True

    async def _sync(self, kind: Kind) -> None:
        while True:
            try:
                missing = await self._unseen(kind)
                if not missing:
                    return
                for _ in range(100):
                    await asyncio.sleep(0.05)
                    if not (
                        missing := [key for key in missing if key not in self._cache.table_of(kind).records]
                    ):
                        break
            except HostError as error:
                log.warning("waiting for the host to list", kind=kind.name, why=str(error))
                await asyncio.sleep(1)

    async def _unseen(self, kind: Kind) -> list[Key]:
        known = self._cache.table_of(kind).records
        unseen: list[Key] = []
        for scope in self._scopes:
            living, _ = await self._living(kind, scope)
            unseen.extend(key for key, uid in living.items() if key not in known or known[key].uid != uid)
        return unseen

    async def _living(self, kind: Kind, scope: str | None) -> tuple[dict[Key, Uid], int]:
        """Who exists, by a listing of metadata, and the resourceVersion of that listing."""
        selector = SELECTORS.get(kind.plural, "")
        listing = await self._client.list(kind, scope, metadata_only=True, selector=selector)
        metas = [item["metadata"] for item in listing.items]
        return {
            key_of(kind, meta["namespace"], meta["name"]): Uid(meta["uid"]) for meta in metas
        }, listing.version

    async def upkeep(self) -> None:
        """Drop ghosts: soon after a re-list, and every few minutes in any case. Runs until cancelled."""
        while True:
            try:
                async with asyncio.timeout(SWEEP_EVERY_S):
                    await self._alarm.wait()
                await asyncio.sleep(SWEEP_SOON_S)  # the re-list is still coming in
                kinds = list(self._relisted.values())
            except TimeoutError:
                kinds = list(self._cache.kinds)
            self._alarm.clear()
            self._relisted.clear()
            for kind in kinds:
                await self.sweep(kind)

    async def sweep(self, kind: Kind) -> None:
        """Compare the cache with a listing of metadata, and drop what is no more."""
        try:
            for scope in self._scopes:
                living, version = await self._living(kind, scope)
                for change in self._cache.sweep(kind, scope, living, version):
                    self.ghosts += 1
                    log.warning(
                        "object vanished unseen",
                        kind=kind.name,
                        cluster=change.key.cluster,
                        object=change.key.display,
                    )
                    self._hub.changed(change)
        except HostError as error:
            log.warning("sweep put off", kind=kind.name, why=str(error))
            return
        self._echo.settle(kind)
