"""Kubernetes Events: written behind everything else, folded when they repeat, dropped before they do harm.

An event is for people. It rides in a lane of its own: it waits while objects are being written, is limited
per second and in number, and a failure to write one is counted and forgotten. Its name ends with the moment
at which it was said, as natively: timestamps are whole seconds, and what sorts by them leaves those of one
second in the order of their names. A repeat raises `count` while this process remembers the first one.
Source: Kubernetes 1.37, client-go tools/record (aggregation within 10 minutes, correlation by source and
message).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import structlog

from nestling.api.json import JsonObject
from nestling.api.kinds import EVENT
from nestling.machinery.client import Client
from nestling.machinery.clock import Clock, timestamp
from nestling.machinery.errors import HostError, NotFound
from nestling.machinery.names import suffix
from nestling.machinery.plan import Emit

log = structlog.get_logger(__name__)

MESSAGE_LIMIT: Final = 1024
FOLD_WITHIN_S: Final = 600.0
REMEMBERED: Final = 4096


class EventRecorder:
    """Takes events at any time, writes them when there is room.

    `busy` tells whether object writes are waiting; while it does, events wait too, for up to `patience_s`.
    At most `backlog` events wait, the oldest go first when it is full; at most `per_second` are written.
    """

    def __init__(
        self,
        client: Client,
        clock: Clock,
        *,
        busy: Callable[[], bool] = lambda: False,
        per_second: float = 50.0,
        backlog: int = 2000,
        patience_s: float = 5.0,
    ) -> None:
        self._client = client
        self._clock = clock
        self._busy = busy
        self._pause_s = 1.0 / per_second
        self._backlog = backlog
        self._patience_s = patience_s
        # What is said, as a short text -> the event, its name, how often, last time.
        self._waiting: OrderedDict[str, tuple[Emit, str, int, float]] = OrderedDict()
        self._told: OrderedDict[str, tuple[str, int, float]] = OrderedDict()  # -> name, count, last time
        self._moment = 0  # of the last name, in nanoseconds since 1970
        self._wake = asyncio.Event()
        self.written = 0
        self.dropped = 0

    def __len__(self) -> int:
        """Events that wait to be written."""
        return len(self._waiting)

    def record(self, event: Emit) -> None:
        """Take one event; a repeat of one that still waits only raises its count."""
        content = suffix(event.uid, event.type, event.reason, event.message, event.component, length=12)
        now = self._clock.now()
        if content in self._waiting:
            _, name, times, _ = self._waiting[content]
        else:
            name, times = self._name(event, now), 0
        self._waiting[content] = (event, name, times + 1, now)
        if len(self._waiting) > self._backlog:
            self._waiting.popitem(last=False)
            self.dropped += 1
        self._wake.set()

    async def run(self) -> None:
        """Write events until cancelled."""
        while True:
            while self._waiting:
                waited = 0.0
                while self._busy() and waited < self._patience_s:
                    await asyncio.sleep(0.02)
                    waited += 0.02
                await self.write_one()
                await asyncio.sleep(self._pause_s)
            self._wake.clear()
            await self._wake.wait()

    async def drain(self) -> None:
        """Write what waits, without pauses: for shutdown and for tests."""
        while self._waiting:
            await self.write_one()

    async def write_one(self) -> None:
        """Write the oldest waiting event; what the host refuses is dropped."""
        if not self._waiting:
            return
        content, (event, name, times, last) = self._waiting.popitem(last=False)
        told, count, before = self._told.pop(content, ("", 0, 0.0))
        try:
            if (
                told
                and last - before <= FOLD_WITHIN_S
                and await self._raise_count(event, told, count + times, last)
            ):
                name, times = told, count + times
            else:
                body = event_body(name, event, times, last)
                await self._client.create(EVENT, event.key.cluster, body)
        except HostError as error:
            self._lost(event, error)
            return
        self._told[content] = (name, times, last)
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        self.written += 1

    async def _raise_count(self, event: Emit, name: str, count: int, last: float) -> bool:
        """Say it once more; False if the event has expired meanwhile."""
        body: JsonObject = {"count": count, "lastTimestamp": timestamp(last)}
        try:
            await self._client.patch(EVENT, event.key.cluster, name, body)
        except NotFound:
            return False
        return True

    def _name(self, event: Emit, now: float) -> str:
        """Name of a new Event object: the object's host name and a moment that no other name of ours has."""
        self._moment = max(self._moment + 1, int(now * 1e9))
        return f"{event.key.host_name[:236]}.{self._moment:x}"

    def _lost(self, event: Emit, error: HostError) -> None:
        self.dropped += 1
        log.debug(
            "event not written",
            cluster=event.key.cluster,
            object=event.key.display,
            reason=event.reason,
            why=str(error),
        )


def event_body(name: str, event: Emit, times: int, last: float) -> JsonObject:
    """The core/v1 Event that says it."""
    message = (
        event.message if len(event.message) <= MESSAGE_LIMIT else f"{event.message[: MESSAGE_LIMIT - 4]} ..."
    )
    body: JsonObject = {
        "apiVersion": EVENT.api_version,
        "kind": EVENT.name,
        "metadata": {"name": name, "namespace": event.key.cluster},
        "involvedObject": {
            "apiVersion": event.kind.api_version,
            "kind": event.kind.name,
            "name": event.key.host_name,
            "namespace": event.key.cluster,
            "uid": event.uid,
        },
        "type": event.type,
        "reason": event.reason,
        "message": message,
        "source": {"component": event.component},
        "reportingComponent": event.component,
        "reportingInstance": "",
        "firstTimestamp": timestamp(last),
        "lastTimestamp": timestamp(last),
        "count": times,
    }
    if event.action:
        body["action"] = event.action
    return body
