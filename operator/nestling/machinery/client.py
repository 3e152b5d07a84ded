"""The one way to talk to the host API server: raw JSON in and out, errors sorted by what to do next.

A `Transport` moves bytes: aiohttp for a real host, the embedded server in the same process for tests. The
`Client` above it knows paths, content types and errors. It decides nothing, retries nothing and keeps
nothing: the executor does the first two, the cache the third.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, TypeAlias, cast

import aiohttp
import orjson

from nestling.api.json import JsonObject
from nestling.api.kinds import Kind, Uid
from nestling.machinery.errors import (
    AlreadyExists,
    Conflict,
    Gone,
    HostError,
    NotFound,
    Refused,
    Throttled,
    Unavailable,
)
from nestling.machinery.plan import Propagation

PatchType: TypeAlias = Literal["merge", "json", "apply"]

JSON: Final = "application/json"
PATCH_TYPES: Final[Mapping[PatchType, str]] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}
METADATA_ONLY: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
PAGE: Final = 500
NO_QUERY: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: HTTP status, headers of an error (names in lower case), body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    """Moves one request to the host and its answer back. Raises Unavailable when there was no answer."""

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        body: bytes | None,
        content_type: str,
        accept: str = JSON,
    ) -> Answer:
        """Send one request and read the whole answer."""
        ...

    def stream(self, path: str, *, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        """Lines of a watch, each a whole JSON document; ends when the host closes the stream."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


@dataclass(frozen=True, slots=True)
class Listing:
    """A complete listing of a collection, and the resourceVersion it was taken at."""

    items: list[JsonObject]
    version: int


class Client:
    """The verbs of the Kubernetes API on our kinds.

    Every method may raise any of `HostError`'s subclasses.
    """

    def __init__(
        self, transport: Transport, *, observe: Callable[[str, int, float], None] | None = None
    ) -> None:
        self._transport = transport
        self._observe = observe

    async def get(self, kind: Kind, cluster: str, host_name: str) -> JsonObject:
        """Read one object."""
        return await self.call("GET", kind.path(cluster, host_name))

    async def list(
        self,
        kind: Kind,
        cluster: str | None = None,
        *,
        selector: str = "",
        fields: str = "",
        metadata_only: bool = False,
    ) -> Listing:
        """Read a whole collection, page by page; from all host namespaces if `cluster` is None.

        With `metadata_only`, items carry nothing but metadata: the cheap way to ask who exists.
        """
        query = {"limit": str(PAGE)}
        if selector:
            query["labelSelector"] = selector
        if fields:
            query["fieldSelector"] = fields
        items: list[JsonObject] = []
        while True:
            page = await self.call(
                "GET", kind.path(cluster), query=query, accept=METADATA_ONLY if metadata_only else JSON
            )
            items.extend(page.get("items") or ())
            token = page["metadata"].get("continue")
            if not token:
                return Listing(items, int(page["metadata"].get("resourceVersion") or 0))
            query["continue"] = token

    async def create(
        self, kind: Kind, cluster: str, body: JsonObject, *, dry_run: bool = False
    ) -> JsonObject:
        """Create one object."""
        query = {"dryRun": "All"} if dry_run else NO_QUERY
        return await self.call("POST", kind.path(cluster), body=body, query=query)

    async def patch(
        self,
        kind: Kind,
        cluster: str,
        host_name: str,
        body: Any,
        *,
        subresource: str = "",
        how: PatchType = "merge",
        query: Mapping[str, str] = NO_QUERY,
    ) -> JsonObject:
        """Patch one object or one of its subresources.

        A `resourceVersion` in the body makes it conditional.
        """
        path = kind.path(cluster, host_name, subresource)
        return await self.call("PATCH", path, body=body, content_type=PATCH_TYPES[how], query=query)

    async def replace(
        self, kind: Kind, cluster: str, body: JsonObject, *, subresource: str = ""
    ) -> JsonObject:
        """Write the whole object; the resourceVersion in its metadata makes it conditional."""
        path = kind.path(cluster, body["metadata"]["name"], subresource)
        return await self.call("PUT", path, body=body)

    async def delete(
        self,
        kind: Kind,
        cluster: str,
        host_name: str,
        *,
        uid: Uid | None = None,
        version: int | None = None,
        propagation: Propagation = "Background",
    ) -> JsonObject:
        """Ask for the deletion of one object. Returns the object if finalizers hold it, else a Status."""
        conditions: JsonObject = {}
        if uid is not None:
            conditions["uid"] = uid
        if version is not None:
            conditions["resourceVersion"] = str(version)
        options: JsonObject = {"propagationPolicy": propagation}
        if conditions:
            options["preconditions"] = conditions
        return await self.call("DELETE", kind.path(cluster, host_name), body=options)

    async def watch(
        self, kind: Kind, cluster: str | None = None, *, version: int, selector: str = ""
    ) -> AsyncIterator[JsonObject]:
        """Watch events `{type, object}` from `version` on, until the host ends the stream.

        For tools and tests.
        """
        query = {"watch": "true", "resourceVersion": str(version), "allowWatchBookmarks": "true"}
        if selector:
            query["labelSelector"] = selector
        async for line in self._transport.stream(kind.path(cluster), query=query):
            yield cast("JsonObject", orjson.loads(line))

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, str] = NO_QUERY,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> JsonObject:
        """Send any request whose answer is a JSON object."""
        data = None if body is None else orjson.dumps(body)
        started = time.perf_counter()
        answer = await self._transport.send(
            method, path, query=query, body=data, content_type=content_type, accept=accept
        )
        if self._observe is not None:
            self._observe(method, answer.status, time.perf_counter() - started)
        if answer.status >= 400:
            raise error_of(answer, method, path)
        return cast("JsonObject", orjson.loads(answer.body)) if answer.body[:1] in {b"{", b"["} else {}

    async def close(self) -> None:
        """Let go of connections."""
        await self._transport.close()


def error_of(answer: Answer, method: str, path: str) -> HostError:
    """The error that tells the caller of a refused request what to do next."""
    message, reason, details = _status_of(answer)
    message = message or f"{method} {path} answered {answer.status}"
    match answer.status:
        case 404:
            return NotFound(message, status=404, reason=reason)
        case 409 if reason == "AlreadyExists":
            return AlreadyExists(message, status=409, reason=reason)
        case 409:
            return Conflict(message, status=409, reason=reason)
        case 410:
            return Gone(message, status=410, reason=reason)
        case 429:
            wait = (
                _number(answer.headers.get("retry-after")) or _number(details.get("retryAfterSeconds")) or 1.0
            )
            return Throttled(message, reason=reason, retry_after_s=wait)
        case status if status >= 500 or status == 408:
            return Unavailable(message, status=status, reason=reason)
        case status:
            return Refused(message, status=status, reason=reason)


def _status_of(answer: Answer) -> tuple[str, str, JsonObject]:
    try:
        status = orjson.loads(answer.body)
    except orjson.JSONDecodeError:  # a proxy's page, or nothing
        return "", "", {}
    if not isinstance(status, dict):
        return "", "", {}
    found = cast("JsonObject", status)
    return str(found.get("message") or ""), str(found.get("reason") or ""), found.get("details") or {}


def _number(text: object) -> float:
    try:
        return float(cast("str", text))
    except (TypeError, ValueError):
        return 0.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """How to reach the host.

    Its base URL, TLS, and a way to ask for the Authorization header of the moment.
    """

    server: str
    tls: ssl.SSLContext | None = None
    authorization: Callable[[], Awaitable[str | None]] | None = None


class HttpTransport:
    """Requests over aiohttp, at most `connections` at a time."""

    def __init__(self, credentials: Credentials, *, connections: int = 32, timeout_s: float = 30.0) -> None:
        self._credentials = credentials
        self._connections = connections
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=10)
        self._session: aiohttp.ClientSession | None = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=self._connections, ssl=self._credentials.tls or True, keepalive_timeout=60
            )
            self._session = aiohttp.ClientSession(
                self._credentials.server, connector=connector, timeout=self._timeout, raise_for_status=False
            )
        return self._session

    async def _headers(self, content_type: str | None, accept: str) -> dict[str, str]:
        headers = {"Accept": accept, "User-Agent": "nestling"}
        if content_type is not None:
            headers["Content-Type"] = content_type
        if self._credentials.authorization is not None:
            authorization = await self._credentials.authorization()
            if authorization:
                headers["Authorization"] = authorization
        return headers

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        body: bytes | None,
        content_type: str,
        accept: str = JSON,
    ) -> Answer:
        """Send one request and read the whole answer."""
        headers = await self._headers(content_type if body is not None else None, accept)
        try:
            async with self._open().request(
                method, path, params=query or None, data=body, headers=headers
            ) as response:
                data = await response.read()
                # Only an error's headers are of use, and ten of them per answer add up.
                named = response.headers.items() if response.status >= 400 else ()
                return Answer(response.status, {name.lower(): value for name, value in named}, data)
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise Unavailable(f"no answer to {method} {path}: {error or type(error).__name__}") from error

    async def stream(self, path: str, *, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        """Lines of a watch. Reads chunks and splits them itself: aiohttp's line reader dies on long lines."""
        headers = await self._headers(None, JSON)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=90)
        try:
            async with self._open().get(path, params=query, headers=headers, timeout=timeout) as response:
                if response.status >= 400:
                    answer = Answer(response.status, {}, await response.read())
                    raise error_of(answer, "WATCH", path)
                rest = b""
                async for chunk in response.content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        if line:
                            yield line
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise Unavailable(f"the watch of {path} broke: {error or type(error).__name__}") from error

    async def close(self) -> None:
        """Close the session and give its connections a turn of the loop to go."""
        if self._session is not None:
            await self._session.close()
            self._session = None
            await asyncio.sleep(0)
