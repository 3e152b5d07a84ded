"""The embedded API server as a transport of Nestling's client, without sockets.

Whatever the client can do to a host, it can do here: the same bytes go in and out. An event loop is needed
only to wait for the next change of a watch. Faults strike here as they would on the way.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Final

from nestling.apiserver.api import Api
from nestling.apiserver.exchange import JSON_TYPE, Request, Response
from nestling.apiserver.faults import AnswerLost, Faults
from nestling.machinery.client import Answer
from nestling.machinery.errors import Unavailable

USER_AGENT: Final = "nestling"


class InProcess:
    """A `Transport` onto an `Api` in the same process."""

    def __init__(
        self,
        api: Api,
        faults: Faults | None = None,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Serve from `api`; with `faults`, its rules strike. `sleep` waits out injected latency."""
        self._api = api
        self._faults = Faults() if faults is None else faults
        self._sleep = sleep
        self._wakers: set[asyncio.Event] = set()
        self._closed = False
        api.state.store.when_durable(self._wake)

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        body: bytes | None,
        content_type: str,
        accept: str = JSON_TYPE,
    ) -> Answer:
        """Send one request. Raises Unavailable when a fault loses it or its answer."""
        request = _request(method, path, query, body or b"", content_type, accept)
        if delay := self._faults.delay_s(request):
            await self._sleep(delay)
        try:
            response = self._faults.pass_through(request, self._api.handle, self._api.compact)
        except AnswerLost as lost:
            raise Unavailable(str(lost)) from lost
        return Answer(response.status, _headers(response), response.body)

    async def stream(self, path: str, *, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        """Lines of a watch, each a whole JSON document, until the server or a fault ends it.

        Raises Unavailable when the server refuses to start, and when a fault cuts a line in two.
        """
        request = _request("GET", path, {**query, "watch": "true"}, b"", JSON_TYPE, JSON_TYPE)
        faults = self._faults.stream(request)
        watch = self._api.watch(request) if faults.refusal is None else faults.refusal.response()
        if isinstance(watch, Response):
            raise Unavailable(watch.body.decode(errors="replace"), status=watch.status)
        waker = asyncio.Event()
        self._wakers.add(waker)
        try:
            while not self._closed:
                waker.clear()
                lines, cut = faults.filter(watch.poll())
                for line in lines:
                    if not line.endswith(b"\n"):
                        raise Unavailable("the watch was cut in the middle of a line")
                    yield line.rstrip(b"\n")
                if cut or watch.closed:
                    return
                await self._wait(waker, watch.wakes_at)
        finally:
            watch.close()
            self._wakers.discard(waker)

    async def close(self) -> None:
        """End all streams."""
        self._closed = True
        self._wake()

    async def _wait(self, waker: asyncio.Event, until: float) -> None:
        timeout = max(until - self._api.state.clock.monotonic(), 0.0)
        try:
            async with asyncio.timeout(timeout):
                await waker.wait()
        except TimeoutError:
            return

    def _wake(self) -> None:
        for waker in self._wakers:
            waker.set()


def _request(
    method: str, path: str, query: Mapping[str, str], body: bytes, content_type: str, accept: str
) -> Request:
    headers = {"content-type": content_type, "accept": accept, "user-agent": USER_AGENT}
    return Request(method, path, dict(query), headers, body)


def _headers(response: Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()} | {
        "content-type": response.content_type
    }
