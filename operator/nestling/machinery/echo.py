"""Does the watch still speak? Every write of ours must come back as an event; how long is the oldest due?

A watch can die without a word: the connection is open, and nothing comes. Kopf does not show bookmarks to
handlers, so silence alone proves nothing. But what we wrote, the host must tell us: an answer whose event
stays away for long means that the stream of this kind is stale. Listings that were compared with the cache
settle the account too.
"""

from collections.abc import Iterable
from typing import Final

from nestling.api.json import JsonObject
from nestling.api.kinds import Kind, Uid
from nestling.machinery.clock import Clock

STALE_AFTER_S: Final = 45.0


class Echo:
    """Writes that have been answered and not yet heard of, per kind."""

    def __init__(self, clock: Clock, kinds: Iterable[Kind]) -> None:
        self._clock = clock
        self._open: dict[str, dict[Uid, tuple[int, float]]] = {kind.plural: {} for kind in kinds}

    def wrote(self, kind: Kind, answer: JsonObject) -> None:
        """A write was answered with this object; its event is to come."""
        unheard = self._open.get(kind.plural)
        if unheard is None:
            return  # a kind that is not watched
        meta: JsonObject = answer["metadata"]
        uid = Uid(meta["uid"])
        since = unheard[uid][1] if uid in unheard else self._clock.monotonic()
        unheard[uid] = (int(meta["resourceVersion"]), since)

    def heard(self, kind: Kind, obj: JsonObject, *, deleted: bool) -> None:
        """An event came in."""
        unheard = self._open.get(kind.plural)
        if not unheard:
            return
        meta: JsonObject = obj["metadata"]
        uid = Uid(meta["uid"])
        waiting = unheard.get(uid)
        if waiting is not None and (deleted or int(meta["resourceVersion"]) >= waiting[0]):
            del unheard[uid]

    def settle(self, kind: Kind) -> None:
        """A complete listing was compared with the cache, or the stream began anew.

        Nothing is owed any more.
        """
        self._open.get(kind.plural, {}).clear()

    def lags_s(self) -> dict[str, float]:
        """Per plural, the age in seconds of the oldest write whose event has not come.

        0 if nothing is owed.
        """
        now = self._clock.monotonic()
        return {
            plural: now - min(since for _, since in unheard.values()) if unheard else 0.0
            for plural, unheard in self._open.items()
        }

    def stale(self) -> list[str]:
        """Plurals of the kinds whose watch has fallen silent."""
        return [plural for plural, lag_s in self.lags_s().items() if lag_s > STALE_AFTER_S]
