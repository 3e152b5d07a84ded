"""The HTTP server of a role: pages of their own beside `/metrics`, compressed for those who take it."""

import gzip
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiohttp
from prometheus_client import CollectorRegistry, Gauge

from builders import a_node, a_pod, cache_of
from nestling.monitoring.gzip_parts import gzip_stream
from nestling.monitoring.kube_state.page import PATH, KubeState
from nestling.monitoring.server import MetricsServer
from unit.monitoring.scraping import scrape_of

WORLD = (a_node(), a_pod(node="n1", ready=True))


@asynccontextmanager
async def a_server(*, leading: bool = True) -> AsyncGenerator[str]:
    registry = CollectorRegistry()
    Gauge("up_here", "Whether it is.", registry=registry).set(1)
    state = KubeState(cache_of(*WORLD), monotonic=lambda: 0.0, serving=lambda: leading)
    server = MetricsServer(registry, live={}, ready={}, pages={PATH: state})
    port = await server.start("127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await server.stop()


async def get(url: str, *, accept: str) -> tuple[aiohttp.ClientResponse, bytes]:
    headers = {"Accept-Encoding": accept}
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.get(url, headers=headers) as answer,
    ):
        return answer, await answer.read()


async def test_a_page_comes_compressed_to_who_takes_it() -> None:
    async with a_server() as url:
        answer, body = await get(url + PATH, accept="gzip")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert b'kube_pod_status_phase{cluster="team-a"' in gzip.decompress(body)


async def test_a_page_comes_plain_to_who_does_not() -> None:
    async with a_server() as url:
        answer, body = await get(url + PATH, accept="identity")
        _, compressed = await get(url + PATH, accept="gzip, deflate")
    assert "Content-Encoding" not in answer.headers
    assert int(answer.headers["Content-Length"]) == len(body)
    assert body == gzip.decompress(compressed)


async def test_a_standby_is_up_and_empty() -> None:
    async with a_server(leading=False) as url:
        for accept, empty in (("identity", b""), ("gzip", gzip_stream([]))):
            answer, body = await get(url + PATH, accept=accept)
            assert (answer.status, body) == (200, empty)


async def test_the_process_s_own_metrics_stay_apart() -> None:
    async with a_server() as url:
        _, body = await get(f"{url}/metrics", accept="identity")
    assert b"up_here 1.0" in body
    assert b"kube_" not in body


async def test_http_carries_what_the_walk_wrote() -> None:
    async with a_server() as url:
        _, body = await get(url + PATH, accept="identity")
    assert body.decode() == scrape_of(*WORLD).text
