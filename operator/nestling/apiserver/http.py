"""The embedded API server on HTTP: aiohttp in front of the core.

A request is answered when everything it may have seen is durable, and a watch sends only durable changes, so
a client never learns of something that a crash could take back. Everything but health needs the bearer token.
Source: Kubernetes 1.37, k8s.io/apiserver/pkg/endpoints/handlers and pkg/server/healthz.
"""

import asyncio
import hmac
import ssl
from typing import Final

import orjson
import structlog
from aiohttp import web

from nestling.apiserver.api import Api
from nestling.apiserver.exchange import Request, Response
from nestling.apiserver.faults import AnswerLost, Faults, StreamFaults
from nestling.apiserver.refusal import Refusal
from nestling.apiserver.watch import Watch

log = structlog.get_logger(__name__)

HEALTH: Final = ("/livez", "/readyz", "/healthz")
MAX_BODY: Final = 4 * 1024 * 1024
GARBAGE_PER_TURN: Final = 50
"""Pieces of garbage collected before the event loop gets its turn."""

_UNAUTHORIZED: Final = Refusal(401, "Unauthorized")
_NOT_STORED: Final = Refusal(500, "Internal error occurred: the data file cannot be written")


class Server:
    """Serves one `Api` on a loopback port."""

    def __init__(self, api: Api, *, tokens: frozenset[str], faults: Faults | None = None) -> None:
        """Serve `api` to whoever knows one of `tokens`; faults strike only when they are given."""
        self._api = api
        self._tokens = [token.encode() for token in tokens]
        self._faults = faults
        self._runner: web.AppRunner | None = None
        self._wakers: set[asyncio.Event] = set()
        self._stopping = asyncio.Event()
        self._collecting: asyncio.Task[None] | None = None
        self._garbage = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self, *, port: int, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> int:
        """Listen and answer the port: the given one, or a free one for 0."""
        self._loop = asyncio.get_running_loop()
        self._api.state.store.when_durable(self._wake_from_anywhere)
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/{path:.*}", self._serve)
        # A client that goes away takes its watch with it at once.
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=2.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, ssl_context=tls)
        await site.start()
        self._collecting = asyncio.create_task(self._collect())
        bound = self._runner.addresses[0][1]
        log.info("api server listening", address=f"{'https' if tls else 'http'}://{host}:{bound}")
        return int(bound)

    async def stop(self) -> None:
        """End watches, finish requests under way, stop listening."""
        self._stopping.set()
        self._wake()
        if self._collecting is not None:
            self._collecting.cancel()
            await asyncio.gather(self._collecting, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()

    def _wake_from_anywhere(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for waker in self._wakers:
            waker.set()

    async def _collect(self) -> None:
        """Collect garbage in small turns whenever there may be some."""
        while True:
            await self._garbage.wait()
            self._garbage.clear()
            while not self._api.idle:
                for _ in range(GARBAGE_PER_TURN):
                    if not self._api.step():
                        break
                await asyncio.sleep(0)

    # One request

    async def _serve(self, http: web.Request) -> web.StreamResponse:
        if http.path not in HEALTH and not self._knows(http.headers.get("Authorization", "")):
            return _answer(_UNAUTHORIZED.response())
        try:
            body = await http.read() if http.body_exists else b""
        except web.HTTPRequestEntityTooLarge:
            return _answer(Refusal(413, "Request entity too large: limit is 3145728").response())
        request = Request(
            http.method,
            http.path,
            dict(http.query),
            {name.lower(): value for name, value in http.headers.items()},
            body,
        )
        if self._faults is not None and (delay := self._faults.delay_s(request)):
            await asyncio.sleep(delay)
        if request.watching:
            return await self._serve_watch(http, request)
        try:
            response = self._handle(request)
        except AnswerLost:
            _hang_up(http)
            return web.Response(status=500)
        if not self._api.idle:
            self._garbage.set()
        if not await self._until_durable(self._api.revision):
            return _answer(_NOT_STORED.response())
        return _answer(response)

    def _handle(self, request: Request) -> Response:
        try:
            if self._faults is None:
                return self._api.handle(request)
            return self._faults.pass_through(request, self._api.handle, self._api.compact)
        except AnswerLost:
            raise
        except Exception as error:  # the outermost turn: one bad request must not end the server
            log.exception("request failed", method=request.method, path=request.path)
            return Refusal(500, f"Internal error occurred: {type(error).__name__}").response()

    def _knows(self, authorization: str) -> bool:
        kind, _, token = authorization.partition(" ")
        given = token.strip().encode()
        return kind.lower() == "bearer" and any(hmac.compare_digest(given, known) for known in self._tokens)

    async def _until_durable(self, revision: int) -> bool:
        """Wait until `revision` cannot be lost; False when that will never be."""
        store = self._api.state.store
        if store.durable >= revision:
            return True
        waker = asyncio.Event()
        self._wakers.add(waker)
        try:
            while store.durable < revision:
                if store.failure is not None:
                    return False
                waker.clear()
                await waker.wait()
            return True
        finally:
            self._wakers.discard(waker)

    # Watches

    async def _serve_watch(self, http: web.Request, request: Request) -> web.StreamResponse:
        faults = None if self._faults is None else self._faults.stream(request)
        if faults is not None and faults.refusal is not None:
            return _answer(faults.refusal.response())
        watch = self._api.watch(request)
        if isinstance(watch, Response):
            return _answer(watch)
        if not await self._until_durable(self._api.revision):
            return _answer(_NOT_STORED.response())
        stream = web.StreamResponse(
            headers={"Content-Type": "application/json", "Cache-Control": "no-cache, private"}
        )
        stream.enable_chunked_encoding()
        await stream.prepare(http)
        waker = asyncio.Event()
        self._wakers.add(waker)
        try:
            await self._pump(http, stream, watch, waker, faults)
        finally:
            watch.close()
            self._wakers.discard(waker)
        return stream

    async def _pump(
        self,
        http: web.Request,
        stream: web.StreamResponse,
        watch: Watch,
        waker: asyncio.Event,
        faults: StreamFaults | None,
    ) -> None:
        while not self._stopping.is_set():
            waker.clear()
            lines, cut = watch.poll(), False
            if faults is not None:
                lines, cut = faults.filter(lines)
            if lines:
                await stream.write(b"".join(lines))
            if cut:
                _hang_up(http)
                return
            if watch.closed:
                break
            timeout = max(watch.wakes_at - self._api.state.clock.monotonic(), 0.0)
            try:
                async with asyncio.timeout(timeout):
                    await waker.wait()
            except TimeoutError:
                continue
        await stream.write_eof()


def _hang_up(http: web.Request) -> None:
    if http.transport is not None:
        http.transport.close()


def _answer(response: Response) -> web.Response:
    answer = web.Response(status=response.status, body=response.body, headers=dict(response.headers))
    answer.headers["Content-Type"] = response.content_type
    answer.headers["Cache-Control"] = "no-cache, private"
    for warning in response.warnings:
        answer.headers.add("Warning", f"299 - {orjson.dumps(warning).decode()}")
    return answer
