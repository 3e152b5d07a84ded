"""The load, the same for every side: create objects over a few connections, watch until all are as wished (by
default: pods that run), delete them.

The generator shares the machine with what it measures, and costs the same on either side: one process, one
watch that starts before the first create, the same manifests.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from nestling.api.json import JsonObject
from nestling.api.kinds import Kind
from nestling.machinery.client import Client
from nestling.machinery.errors import HostError, Unavailable

AT_ONCE: Final[JsonObject] = {"gracePeriodSeconds": 0, "propagationPolicy": "Background"}


@dataclass(slots=True)
class Load:
    """When each object was asked for, and when a watch showed it as wished (monotonic seconds).

    `cut` counts how often the host ended the watch: what was seen late because of it.
    """

    started: float
    asked: dict[str, float] = field(default_factory=dict[str, float])
    done: dict[str, float] = field(default_factory=dict[str, float])
    created_by: float = 0.0
    cut: int = 0

    @property
    def seconds(self) -> float:
        """From the first create to the last object as wished."""
        return max(self.done.values()) - self.started

    @property
    def per_s(self) -> float:
        """Objects that went from nothing to what was wished per second."""
        return len(self.done) / self.seconds

    @property
    def waits_s(self) -> list[float]:
        """For each object the time from sending its create until it was seen as wished, ascending."""
        return sorted(self.done[name] - asked for name, asked in self.asked.items())


def runs(pod: JsonObject) -> bool:
    """Whether a pod is Running."""
    return (pod.get("status") or {}).get("phase") == "Running"


@dataclass(frozen=True, slots=True)
class Generator:
    """Creates, watches and deletes objects of one kind in one host namespace."""

    client: Client
    kind: Kind
    namespace: str
    connections: int = 32
    wished: Callable[[JsonObject], bool] = runs

    async def run(self, manifests: list[JsonObject], *, within_s: float = 300.0) -> Load:
        """Create these objects and wait until all are as wished. Raises TimeoutError when they are not."""
        known = await self.client.list(self.kind, self.namespace, metadata_only=True)
        load = Load(time.monotonic())
        async with asyncio.timeout(within_s), asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch(load, len(manifests), known.version))
            line = iter(manifests)
            workers = [tasks.create_task(self._create(line, load)) for _ in range(self.connections)]
            await asyncio.gather(*workers)
            load.created_by = time.monotonic()
        return load

    async def _create(self, line: Iterator[JsonObject], load: Load) -> None:
        for manifest in line:
            load.asked[manifest["metadata"]["name"]] = time.monotonic()
            await self.client.create(self.kind, self.namespace, manifest)

    async def _watch(self, load: Load, count: int, version: int) -> None:
        while len(load.done) < count:
            # A server under load lets go of a watch that does not keep up; it goes on where it ended.
            async for event in self.client.watch(self.kind, self.namespace, version=version):
                found: JsonObject = event["object"]
                assert event["type"] != "ERROR", found
                version = int(found["metadata"]["resourceVersion"])
                name = found["metadata"].get("name")
                if (
                    event["type"] in {"BOOKMARK", "DELETED"}
                    or name not in load.asked
                    or not self.wished(found)
                ):
                    continue
                load.done.setdefault(name, time.monotonic())
                if len(load.done) == count:
                    return
            load.cut += 1

    async def clear(self, *, within_s: float = 300.0) -> None:
        """Delete every object and wait until they are gone."""
        path = self.kind.path(self.namespace)
        async with asyncio.timeout(within_s):
            while (await self.client.list(self.kind, self.namespace, metadata_only=True)).items:
                # A server under load gives up on a whole collection after half a minute: ask again.
                with contextlib.suppress(Unavailable):
                    await self.client.call("DELETE", path, body=AT_ONCE)
                await asyncio.sleep(0.5)


async def until(true: Callable[[], Awaitable[bool]], *, within_s: float, every_s: float = 0.2) -> None:
    """Wait until the host says so; what it cannot answer yet counts as no. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                if await true():
                    return
            except HostError:
                pass
            await asyncio.sleep(every_s)
