"""Carry questions to services beside the host, by HTTP: whatever happens, there is an answer, in time.

The rim of the loops that ask (`Plan.asks`). It neither repeats nor judges; a refusal to connect, a time-out
or nonsense on the line become an `Answer` whose `error` is one sentence.
"""

import ssl
import tempfile
from pathlib import Path
from typing import Final

import aiohttp

from nestling.machinery.controller import Answer
from nestling.machinery.plan import Ask, Tls

LARGEST: Final = 64 * 1024 * 1024  # bytes of an answer; a list of 5,000 nodes with all their fields has 40 MB


class HttpAsker:
    """Asks over HTTP, with connections that are kept. Made anywhere, used within one event loop."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._contexts: dict[Tls | None, ssl.SSLContext] = {}

    async def ask(self, ask: Ask) -> Answer:
        """Ask, and come back with whatever comes of it: does not raise."""
        if self._session is None:
            self._session = aiohttp.ClientSession()
        try:
            async with self._session.post(
                ask.url,
                data=ask.body,
                headers={"Content-Type": "application/json"},
                timeout=aiohttp.ClientTimeout(total=ask.timeout_s),
                ssl=self._context(ask.tls) if ask.url.startswith("https:") else True,
                server_hostname=(ask.tls.server_name or None) if ask.tls is not None else None,
                allow_redirects=False,
            ) as response:
                return Answer(response.status, await _read(response))
        except TimeoutError:
            return Answer(error=f'Post "{ask.url}": no answer within {ask.timeout_s:g} s')
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Answer(error=f'Post "{ask.url}": {_why(error)}')

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _context(self, tls: Tls | None) -> ssl.SSLContext:
        found = self._contexts.get(tls)
        if found is None:
            found = self._contexts[tls] = _context_of(tls)
        return found


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > LARGEST:
            raise ValueError(f"the answer has more than {LARGEST} bytes")
    return bytes(body)


def _why(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return (error.os_error.strerror or str(error.os_error)).lower()
    return str(error) or type(error).__name__


def _context_of(tls: Tls | None) -> ssl.SSLContext:
    """A context by these settings; without any the server is checked as on the web."""
    if tls is None:
        return ssl.create_default_context()
    if tls.insecure:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        cafile = None if tls.ca_data else tls.ca_file or None
        context = ssl.create_default_context(cafile=cafile, cadata=tls.ca_data or None)
    if tls.cert_data or tls.cert_file:
        with tempfile.TemporaryDirectory() as folder:
            context.load_cert_chain(
                _file(folder, "cert", tls.cert_data, tls.cert_file),
                _file(folder, "key", tls.key_data, tls.key_file),
            )
    return context


def _file(folder: str, name: str, data: str, file: str) -> str:
    """A file with these data: the library loads client certificates from files alone."""
    if not data:
        return file
    path = Path(folder) / name
    path.touch(mode=0o600)
    path.write_text(data)
    return str(path)
