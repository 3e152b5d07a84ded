"""Questions to services beside the host, over real sockets: every one has an answer, in time."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from nestling.api.kinds import Uid
from nestling.machinery.asking import HttpAsker
from nestling.machinery.controller import Answer
from nestling.machinery.names import Key
from nestling.machinery.plan import Ask

ABOUT = Key("team-a", "default", "web-0")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncGenerator[tuple[HttpAsker, str]]:
    """A service at a free port, and somebody who asks it."""
    app = web.Application()
    app.router.add_post("/filter", handler)
    asker = HttpAsker()
    async with TestServer(app) as server:
        try:
            yield asker, str(server.make_url("/filter"))
        finally:
            await asker.close()


def ask(url: str, *, timeout_s: float = 5.0) -> Ask:
    return Ask(ABOUT, Uid("uid"), url, b'{"Pod":null}', timeout_s)


async def test_an_answer_comes_back_as_it_is() -> None:
    async def echo(request: web.Request) -> web.StreamResponse:
        assert request.content_type == "application/json"
        return web.Response(body=await request.read(), status=201)

    async with serving(echo) as (asker, url):
        assert await asker.ask(ask(url)) == Answer(201, b'{"Pod":null}')


async def test_a_refusal_to_talk_is_an_answer_too() -> None:
    asker = HttpAsker()
    answer = await asker.ask(ask("http://127.0.0.1:1/filter"))
    await asker.close()
    assert answer.status == 0
    assert answer.error.startswith('Post "http://127.0.0.1:1/filter": ')
    assert "connect" in answer.error.lower()


async def test_silence_ends_in_time() -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"{")
        await asyncio.Event().wait()  # never
        return response

    async with serving(slow) as (asker, url):
        assert await asker.ask(ask(url, timeout_s=0.2)) == Answer(
            error=f'Post "{url}": no answer within 0.2 s'
        )


async def test_nobody_is_sent_elsewhere() -> None:
    async def away(_: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("http://elsewhere.example/")

    async with serving(away) as (asker, url):
        assert (await asker.ask(ask(url))).status == 302


async def test_an_endless_answer_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nestling.machinery.asking.LARGEST", 10)

    async def much(_: web.Request) -> web.StreamResponse:
        return web.Response(body=b"x" * 100)

    async with serving(much) as (asker, url):
        assert (await asker.ask(ask(url))).error == f'Post "{url}": the answer has more than 10 bytes'
