"""The HTTP server of a role: `/metrics` for Prometheus, `/livez` and `/readyz` for the kubelet of the host.

A check is a name and a function that returns an empty text when all is well, or one sentence on what is not.
Further pages of metrics, each a scrape target of its own, come as compressed parts: they may be large.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, gzip_accepted

from nestling.monitoring.gzip_parts import Part, gzip_stream

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Check = Callable[[], str]


class Page(Protocol):
    """A page of metrics that is made anew for every scrape."""

    async def scrape(self) -> Sequence[Part]:
        """Its text, in parts."""
        ...


class MetricsServer:
    """Serves one registry and two sets of checks on `host`:`port` (port 0 picks a free one).

    `pages` are served on paths of their own.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        live: Mapping[str, Check],
        ready: Mapping[str, Check],
        pages: Mapping[str, Page] | None = None,
    ) -> None:
        self._pages = pages or {}
        self._registry = registry
        self._live = live
        self._ready = ready
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port. Raises OSError if it is taken."""
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        for path, page in self._pages.items():
            app.router.add_get(path, self._page(page))
        app.router.add_get("/livez", self._check(self._live))
        app.router.add_get("/readyz", self._check(self._ready))
        app.router.add_get("/healthz", self._check(self._live))
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Close the listener and its connections."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    def _page(self, page: Page) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            parts = await page.scrape()
            headers = {"Content-Type": CONTENT_TYPE_PLAIN_0_0_4}
            if gzip_accepted(request.headers.get("Accept-Encoding", "")):
                return web.Response(body=gzip_stream(parts), headers={**headers, "Content-Encoding": "gzip"})
            response = web.StreamResponse(headers=headers)
            response.content_length = sum(part.length for part in parts)
            await response.prepare(request)
            for part in parts:
                for text in part.text():
                    await response.write(text)
            return response

        return answer

    def _check(self, checks: Mapping[str, Check]) -> Handler:
        async def answer(_request: web.Request) -> web.Response:
            failing = {name: text for name, check in checks.items() if (text := check())}
            lines = [
                f"[{'-' if name in failing else '+'}]{name} {failing.get(name, 'ok')}" for name in checks
            ]
            return web.Response(status=503 if failing else 200, text="\n".join([*lines, ""]))

        return answer
