"""Questions over TLS, to a real server: who is trusted, who shows a certificate, and what is said if not."""

import datetime as dt
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from nestling.api.kinds import Uid
from nestling.host import pki
from nestling.machinery.asking import HttpAsker
from nestling.machinery.controller import Answer
from nestling.machinery.names import Key
from nestling.machinery.plan import Ask, Tls


@asynccontextmanager
async def serving(folder: Path, *, wants_client: bool = False) -> AsyncGenerator[str]:
    """A service called `extender.example.com` at a free port of loopback; yields its URL."""
    ca = pki.authority(folder, "test", dt.datetime.now(dt.UTC))
    cert, key = pki.leaf(ca, folder, "server", dt.datetime.now(dt.UTC), hosts=["extender.example.com"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(ca.cert))
    context.load_cert_chain(cert, key)
    if wants_client:
        context.verify_mode = ssl.CERT_REQUIRED

    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        peer = request.transport.get_extra_info("peercert") or {}
        names = dict(pair for [pair] in peer.get("subject", ()))
        return web.Response(text=names.get("commonName", "nobody"))

    app = web.Application()
    app.router.add_post("/filter", answer)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=context)
    try:
        yield str(server.make_url("/filter"))
    finally:
        await server.close()


async def asked(url: str, tls: Tls | None) -> Answer:
    asker = HttpAsker()
    try:
        return await asker.ask(Ask(Key("team-a", "default", "web-0"), Uid("uid"), url, b"{}", 5.0, tls))
    finally:
        await asker.close()


@pytest.mark.parametrize("as_data", [False, True], ids=["file", "data"])
async def test_a_server_of_the_named_authority_and_name_is_trusted(tmp_path: Path, as_data: bool) -> None:
    async with serving(tmp_path) as url:
        ca = tmp_path / "test-ca.crt"
        trust = Tls(ca_data=ca.read_text()) if as_data else Tls(ca_file=str(ca))
        assert await asked(url, replace(trust, server_name="extender.example.com")) == Answer(200, b"nobody")


@pytest.mark.parametrize("as_data", [False, True], ids=["file", "data"])
async def test_a_client_certificate_is_shown_to_who_asks_for_one(tmp_path: Path, as_data: bool) -> None:
    async with serving(tmp_path, wants_client=True) as url:
        ca = pki.authority(tmp_path, "test", dt.datetime.now(dt.UTC))
        cert, key = pki.leaf(ca, tmp_path, "scheduler", dt.datetime.now(dt.UTC))
        trust = Tls(server_name="extender.example.com", ca_file=str(ca.cert))
        own = (
            replace(trust, cert_data=cert.read_text(), key_data=key.read_text())
            if as_data
            else replace(trust, cert_file=str(cert), key_file=str(key))
        )
        assert await asked(url, own) == Answer(200, b"scheduler")
        refused = await asked(url, trust)
        assert refused.status == 0
        assert refused.error.startswith(f'Post "{url}": ')


@pytest.mark.parametrize(
    ("tls", "why"),
    [
        pytest.param(None, "certificate verify failed", id="an authority nobody knows"),
        pytest.param(Tls(server_name="extender.example.com"), "certificate verify failed", id="none named"),
        pytest.param(Tls(ca_file="TEST"), "not valid for '127.0.0.1'", id="another name"),
        pytest.param(Tls(ca_file="/nowhere/ca.crt"), "No such file", id="no such file"),
        pytest.param(Tls(ca_data="rubbish"), "does not contain a certificate", id="no certificate"),
    ],
)
async def test_who_is_not_trusted_is_not_asked_and_the_reason_is_told(
    tmp_path: Path, tls: Tls | None, why: str
) -> None:
    async with serving(tmp_path) as url:
        if tls is not None and tls.ca_file == "TEST":
            tls = Tls(ca_file=str(tmp_path / "test-ca.crt"))
        answer = await asked(url, tls)
    assert answer.status == 0
    assert answer.error.startswith(f'Post "{url}": ')
    assert why in answer.error


async def test_insecure_means_that_anybody_will_do(tmp_path: Path) -> None:
    async with serving(tmp_path) as url:
        assert await asked(url, Tls(insecure=True)) == Answer(200, b"nobody")
