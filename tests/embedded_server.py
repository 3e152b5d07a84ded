"""The embedded API server on a loopback socket in a thread of the test, with a kubeconfig that leads to it.

For whatever logs in the way users do: the command line above all. Its state is in memory and gone with it.
"""

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import yaml

from nestling.apiserver.api import Api
from nestling.apiserver.exchange import Request
from nestling.apiserver.faults import Faults
from nestling.apiserver.http import Server

TOKEN: Final = "let-me-in"


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """A server that runs, and the way to it."""

    api: Api
    faults: Faults
    port: int
    kubeconfig: Path
    loop: asyncio.AbstractEventLoop

    def request(
        self, method: str, path: str, body: Any = None, *, content_type: str = "application/json"
    ) -> tuple[int, Any]:
        """One request, past the socket: status and decoded answer."""

        async def ask() -> tuple[int, Any]:
            data = b"" if body is None else orjson.dumps(body)
            path_only, _, query = path.partition("?")
            pairs = dict(pair.split("=", 1) for pair in query.split("&")) if query else {}
            headers = {"content-type": content_type}
            answer = self.api.handle(Request(method, path_only, pairs, headers, data))
            return answer.status, orjson.loads(answer.body)

        return asyncio.run_coroutine_threadsafe(ask(), self.loop).result(timeout=30)


@contextmanager
def embedded_server(directory: Path, *, context_namespace: str = "team-a") -> Generator[EmbeddedServer]:
    """A fresh server; stopped at the end."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="embedded-server", daemon=True)
    thread.start()
    faults = Faults()
    api = Api(settles=False)
    server = Server(api, tokens=frozenset({TOKEN}), faults=faults)
    port = asyncio.run_coroutine_threadsafe(server.start(port=0), loop).result(timeout=10)
    try:
        kubeconfig = directory / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(_kubeconfig(port, context_namespace)))
        yield EmbeddedServer(api, faults, port, kubeconfig, loop)
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(timeout=10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()


def _kubeconfig(port: int, namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "test", "user": {"token": TOKEN}}],
        "contexts": [
            {"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}
        ],
    }
