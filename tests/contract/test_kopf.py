"""Kopf itself against both servers: it finds the kinds, lists, watches, and sees every change.

It leaves while its TLS connections still say goodbye, so it runs on the operators' loop, which closes them.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import kopf
import pytest
import uvloop

from contract_server import Server, Space, widget

PLURAL = ("test.nestling.dev", "v1", "widgets")


class Operator:
    """A Kopf operator on one namespace that only takes notes."""

    def __init__(self, server: Server, namespace: str) -> None:
        self.seen: asyncio.Queue[tuple[str | None, str]] = asyncio.Queue()
        self._namespace = namespace
        self._stop = asyncio.Event()
        self._ready = asyncio.Event()
        self._registry = kopf.OperatorRegistry()

        def login(**_: object) -> kopf.ConnectionInfo:
            return kopf.ConnectionInfo(server=server.url, token=server.token, ca_path=str(server.ca))

        async def feed(*, event: kopf.RawEvent, name: str, **_: Any) -> None:
            self.seen.put_nowait((event["type"], name))

        def configure(*, settings: kopf.OperatorSettings, **_: object) -> None:
            settings.batching.batch_window = 0
            settings.posting.enabled = False

        kopf.on.login(registry=self._registry)(login)
        kopf.on.startup(registry=self._registry)(configure)
        kopf.on.event(*PLURAL, registry=self._registry)(feed)

    async def __aenter__(self) -> "Operator":
        self._task = asyncio.create_task(
            kopf.operator(
                registry=self._registry,
                namespaces=[self._namespace],
                standalone=True,
                ready_flag=self._ready,
                stop_flag=self._stop,
            )
        )
        await asyncio.wait_for(self._ready.wait(), 30)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await asyncio.wait_for(self._task, 30)

    async def next(self) -> tuple[str | None, str]:
        """What the handler saw next."""
        return await asyncio.wait_for(self.seen.get(), 30)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_kopf_sees_what_was_there_and_every_change(space: Space) -> None:
    with ThreadPoolExecutor(1) as thread:  # elsewhere than in the main thread Kopf leaves signals alone
        thread.submit(uvloop.run, watch_every_change(space)).result(120)


async def watch_every_change(space: Space) -> None:
    space.create("before")
    async with Operator(space.server, space.name) as operator:
        assert await operator.next() == (None, "before")
        call = space.server.expect
        await asyncio.to_thread(call, 201, "POST", space.path(), widget("a"))
        assert await operator.next() == ("ADDED", "a")
        await asyncio.to_thread(space.patch, {"spec": {"replicas": 3}}, "a")
        assert await operator.next() == ("MODIFIED", "a")
        await asyncio.to_thread(call, 200, "DELETE", space.path(name="a"))
        assert await operator.next() == ("DELETED", "a")
    assert operator.seen.empty()
