"""Carry out plans: the only place that writes objects to the host.

Takes a Plan, performs its stages in order and the writes of one stage side by side, hands every answer to the
cache at once (read your own writes), and reports how far it came. It never repeats a write by itself: after
any failure the loop looks again and decides anew, because the world may have moved. Only waiting is its
business: no more than `concurrency` writes at a time, and none before the moment the host has asked us to
wait for.
"""

import asyncio
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Protocol, assert_never

import structlog

from nestling.api.json import JsonObject
from nestling.api.kinds import Kind
from nestling.machinery.cache import Cache, Change
from nestling.machinery.client import Client
from nestling.machinery.clock import Clock
from nestling.machinery.controller import Answer, Outcome
from nestling.machinery.errors import AlreadyExists, Conflict, HostError, NotFound, Refused, Throttled
from nestling.machinery.plan import Ask, Create, Delete, Emit, Patch, Plan, Write

log = structlog.get_logger(__name__)


class WriteMetrics(Protocol):
    """What the executor tells about host writes."""

    def wrote(self, kind: Kind, verb: str, result: str, seconds: float) -> None:
        """One write was answered; `result` is `ok` or the name of the error."""
        ...


class Events(Protocol):
    """Where events for people go."""

    def record(self, event: Emit) -> None:
        """Take one event, without waiting."""
        ...


class Asker(Protocol):
    """Who carries questions to services beside the host."""

    async def ask(self, ask: Ask) -> Answer:
        """Ask, and come back with whatever comes of it: does not raise."""
        ...


class Executor:
    """Performs plans against one host.

    `changed` is told of everything that the answers taught the cache, `wrote` of every answer whose event is
    still to come.
    """

    def __init__(
        self,
        client: Client,
        cache: Cache,
        clock: Clock,
        *,
        events: Events,
        changed: Callable[[Change], None],
        wrote: Callable[[Kind, JsonObject], None] | None = None,
        metrics: WriteMetrics | None = None,
        concurrency: int = 32,
        random: Random | None = None,
        asker: Asker | None = None,
    ) -> None:
        self._client = client
        self._asker = asker
        self._cache = cache
        self._clock = clock
        self._events = events
        self._changed = changed
        self._wrote = wrote
        self._metrics = metrics
        self._slots = asyncio.Semaphore(concurrency)
        self._random = random or Random()
        self._not_before = 0.0  # monotonic; set by the host's Retry-After

    @property
    def busy(self) -> bool:
        """Whether writes are waiting for a slot: a hint to everything that can wait."""
        return self._slots.locked()

    async def perform(self, plan: Plan) -> Outcome:
        """Do the writes of `plan` in order, up to the first failure; or ask what it asks."""
        if plan.asks:
            return Outcome(0, answers=tuple(await asyncio.gather(*map(self._ask, plan.asks))))
        done = 0
        for stage in plan.stages():
            for batch in _slow_start(stage):
                if len(batch) == 1:
                    results = [await self._attempt(batch[0])]
                else:
                    results = await asyncio.gather(*map(self._attempt, batch))
                failed = [error for error in results if error is not None]
                done += len(batch) - len(failed)
                if failed:
                    return Outcome(done, failed[0])
        return Outcome(done)

    async def _ask(self, ask: Ask) -> Answer:
        if self._asker is None:
            return Answer(error="this process asks nobody")
        return await self._asker.ask(ask)

    async def _attempt(self, write: Write) -> HostError | None:
        """One write, its events and its metrics. Returns what went wrong."""
        if isinstance(write, Emit):
            self._events.record(write)
            return None
        started = self._clock.monotonic()
        error: HostError | None = None
        try:
            async with self._slots:
                await self._wait_for_host()
                started = self._clock.monotonic()
                await self._write(write)
        except HostError as found:
            error = found
        if self._metrics is not None:
            result = "ok" if error is None else type(error).__name__
            self._metrics.wrote(write.kind, _verb(write), result, self._clock.monotonic() - started)
        if error is None:
            if write.on_success is not None:
                self._events.record(write.on_success)
        elif isinstance(error, Throttled):
            pause = error.retry_after_s * (1 + self._random.random() / 10)
            self._not_before = max(self._not_before, self._clock.monotonic() + pause)
        elif isinstance(error, Refused) and write.on_failure is not None:
            self._events.record(write.on_failure(error.message))
        return error

    async def _wait_for_host(self) -> None:
        while (pause := self._not_before - self._clock.monotonic()) > 0:
            await asyncio.sleep(pause)

    async def _write(self, write: Create | Patch | Delete) -> None:
        match write:
            case Create():
                await self._create(write)
            case Patch():
                await self._patch(write)
            case Delete():
                await self._delete(write)
            case _:
                assert_never(write)

    async def _create(self, write: Create) -> None:
        try:
            answer = await self._client.create(write.kind, write.key.cluster, write.body)
        except AlreadyExists:
            # Perhaps our own write, whose answer was lost: then it has the owner we wanted it to have.
            answer = await self._client.get(write.kind, write.key.cluster, write.key.host_name)
            self._learn(write.kind, answer)
            if _controller_uid(answer) is None or _controller_uid(answer) != _controller_uid(write.body):
                raise
            return
        self._learn(write.kind, answer)

    async def _patch(self, write: Patch) -> None:
        meta: JsonObject = {**write.body.get("metadata", {})}
        version = write.version
        if version is None and write.subresource:
            version = self._version_of(write)  # a host does not compare UIDs when a subresource is patched
        if version is not None:
            meta["resourceVersion"] = str(version)
        meta["uid"] = write.uid
        try:
            answer = await self._client.patch(
                write.kind,
                write.key.cluster,
                write.key.host_name,
                {**write.body, "metadata": meta},
                subresource=write.subresource,
            )
        except NotFound:
            self._forget(write)
            raise
        except Refused as error:
            # A host answers 422 when the name has been taken over by another UID: that is our view being old.
            if error.status == 422 and "metadata.uid" in error.message:
                raise Conflict(error.message, status=409, reason="Conflict") from error
            raise
        if write.subresource == "scale":
            return  # the answer is a Scale, not the object: its event will tell
        answered: JsonObject = answer["metadata"]
        if answered.get("deletionTimestamp") and not answered.get("finalizers"):
            self._forget(write)  # this write let go of the last finalizer
            return
        self._learn(write.kind, answer)

    async def _delete(self, write: Delete) -> None:
        try:
            answer = await self._client.delete(
                write.kind,
                write.key.cluster,
                write.key.host_name,
                uid=write.uid,
                version=write.version,
                propagation=write.propagation,
            )
        except NotFound:
            self._forget(write)
            return  # somebody else was faster; what we wanted is so
        if "uid" in answer.get("metadata", {}):
            self._learn(write.kind, answer)
        else:
            self._forget(write)

    def _version_of(self, write: Patch) -> int:
        """The version by which this UID is known. Raises Conflict if the name is not its own any more."""
        known = self._cache.table_of(write.kind).records.get(write.key)
        if known is None or known.uid != write.uid:
            raise Conflict(f"{write.kind.name} {write.key.display} is not the one this was decided on")
        return known.version

    def _learn(self, kind: Kind, obj: JsonObject) -> None:
        if not self._cache.holds(kind):
            return
        change = self._cache.see(kind, obj)
        if change is None:
            return  # the event came before the answer, or the write changed nothing: no event is to come
        if self._wrote is not None:
            self._wrote(kind, obj)
        self._changed(change)

    def _forget(self, write: Patch | Delete) -> None:
        if not self._cache.holds(write.kind):
            return
        change = self._cache.forget(write.kind, write.key, write.uid)
        if change is not None:
            self._changed(change)


def _slow_start(stage: tuple[Write, ...]) -> Iterator[tuple[Write, ...]]:
    """Creates in batches of 1, 2, 4, ...

    So that a quota or a bad template costs one refusal, not five hundred.
    """
    if not isinstance(stage[0], Create):
        yield stage
        return
    start, size = 0, 1
    while start < len(stage):
        yield stage[start : start + size]
        start, size = start + size, size * 2


def _verb(write: Create | Patch | Delete) -> str:
    match write:
        case Create():
            return "create"
        case Patch(subresource=""):
            return "patch"
        case Patch():
            return write.subresource
        case Delete():
            return "delete"


def _controller_uid(obj: JsonObject) -> Any:
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return owner.get("uid")
    return None
