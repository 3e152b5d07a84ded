"""Kubernetes Events: written behind everything else, folded when they repeat, dropped before they do harm.

An event is for people. It rides in a lane of its own: it waits while objects are being written, is limited
per second and in number, and a failure to write one is counted and forgotten. Its name depends on what it
says, so a repeat finds its predecessor and raises `count`. Source: Kubernetes 1.37, client-go tools/record
(aggregation within 10 minutes, correlation by source and message).
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
from nestling.machinery.errors import AlreadyExists, HostError, NotFound
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
        self._waiting: OrderedDict[str, tuple[Emit, int, float]] = OrderedDict()
        self._told: OrderedDict[str, tuple[int, float]] = OrderedDict()  # name -> count, last time
        self._wake = asyncio.Event()
        self.written = 0
        self.dropped = 0

    def __len__(self) -> int:
        """Events that wait to be written."""
        return len(self._waiting)

    def record(self, event: Emit) -> None:
        """Take one event; a repeat of one that still waits only raises its count."""
        name = event_name(event)
        known = self._waiting.get(name)
        self._waiting[name] = (event, known[1] + 1 if known else 1, self._clock.now())
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
        name, (event, times, last) = self._waiting.popitem(last=False)
        count, before = self._told.pop(name, (0, 0.0))
        if last - before > FOLD_WITHIN_S:
            count = 0
        count += times
        try:
            if count > times:
                body: JsonObject = {"count": count, "lastTimestamp": timestamp(last)}
                await self._client.patch(EVENT, event.key.cluster, name, body)
            else:
                await self._create(name, event, times, last)
        except NotFound:
            await self._quietly(name, event, times, last)  # expired meanwhile, or its namespace is gone
        except HostError as error:
            self._lost(event, error)
            return
        self._told[name] = (count, last)
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        self.written += 1

    async def _quietly(self, name: str, event: Emit, times: int, last: float) -> None:
        try:
            await self._create(name, event, times, last)
        except HostError as error:
            self._lost(event, error)

    async def _create(self, name: str, event: Emit, times: int, last: float) -> None:
        try:
            await self._client.create(EVENT, event.key.cluster, event_body(name, event, times, last))
        except AlreadyExists:  # told before we were restarted
            found = await self._client.get(EVENT, event.key.cluster, name)
            body = {"count": int(found.get("count") or 0) + times, "lastTimestamp": timestamp(last)}
            await self._client.patch(EVENT, event.key.cluster, name, body)

    def _lost(self, event: Emit, error: HostError) -> None:
        self.dropped += 1
        log.debug(
            "event not written",
            cluster=event.key.cluster,
            object=event.key.display,
            reason=event.reason,
            why=str(error),
        )


def event_name(event: Emit) -> str:
    """Name of the Event object: the object's host name and what is said about it, so that repeats meet."""
    tail = suffix(event.uid, event.type, event.reason, event.message, event.component, length=12)
    return f"{event.key.host_name[:240]}.{tail}"


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
