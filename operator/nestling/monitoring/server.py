"""The HTTP server of a role: `/metrics` for Prometheus, `/livez` and `/readyz` for the kubelet of the host.

A check is a name and a function that returns an empty text when all is well, or one sentence on what is not.
"""

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Check = Callable[[], str]


class MetricsServer:
    """Serves one registry and two sets of checks on `host`:`port` (port 0 picks a free one)."""

    def __init__(
        self, registry: CollectorRegistry, *, live: Mapping[str, Check], ready: Mapping[str, Check]
    ) -> None:
        self._registry = registry
        self._live = live
        self._ready = ready
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port. Raises OSError if it is taken."""
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
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

    def _check(self, checks: Mapping[str, Check]) -> Handler:
        async def answer(_request: web.Request) -> web.Response:
            failing = {name: text for name, check in checks.items() if (text := check())}
            lines = [
                f"[{'-' if name in failing else '+'}]{name} {failing.get(name, 'ok')}" for name in checks
            ]
            return web.Response(status=503 if failing else 200, text="\n".join([*lines, ""]))

        return answer
