"""Connections end with the operator, also one whose other side never says goodbye."""

import asyncio
import datetime as dt
import socket
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import aiohttp
import pytest
import uvloop

from nestling.apiserver.__main__ import tls_context
from nestling.host import pki
from nestling.operators.sockets import Sockets

BEGINNING = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"


@pytest.fixture
def mute(tmp_path: Path) -> Generator[str]:
    """A TLS server that begins an answer, and then neither reads nor writes again."""
    now = dt.datetime.now(dt.UTC)
    authority = pki.authority(tmp_path, "mute", now)
    context = tls_context(*pki.leaf(authority, tmp_path, "mute", now, hosts=["localhost"]))
    over = threading.Event()

    def serve(listener: socket.socket) -> None:
        accepted, _ = listener.accept()
        with context.wrap_socket(accepted, server_side=True) as connection:
            connection.recv(4096)
            connection.sendall(BEGINNING)
            over.wait(60)

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as thread:
        serving = thread.submit(serve, listener)
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        over.set()
        serving.result(10)


async def leave_a_watch(url: str) -> None:
    """Close the connection as Kopf does: first the response, then the session."""
    made: list[socket.socket] = []
    sockets = Sockets()

    def make(address: aiohttp.AddrInfoType) -> socket.socket:  # pyright: ignore[reportUnknownParameterType]
        made.append(sockets(address))
        return made[-1]

    connector = aiohttp.TCPConnector(ssl=False, socket_factory=make)
    async with aiohttp.ClientSession(connector=connector) as session:
        response = await session.get(url)
        assert await response.content.readany() == b"{}"
        response.close()
    assert [one.fileno() >= 0 for one in made] == [True], "nothing was left to do"
    await sockets.end()
    assert [one.fileno() for one in made] == [-1]


@pytest.mark.parametrize("run", [uvloop.run, asyncio.run], ids=["uvloop", "asyncio"])
def test_a_watch_ends_without_the_other_side(mute: str, run: Callable[..., None]) -> None:
    run(leave_a_watch(mute))
