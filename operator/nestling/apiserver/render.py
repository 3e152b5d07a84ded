"""The form of an answer: the objects themselves, tables for people, or metadata alone.

The Accept header decides; kubectl asks for tables, garbage collectors and caches for metadata.
Source: Kubernetes 1.37, k8s.io/apiserver/pkg/endpoints/handlers/response.go.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, Protocol

import orjson

from nestling.api.json import JsonObject
from nestling.apiserver.exchange import JSON_TYPE, Request, Response
from nestling.apiserver.refusal import Refusal
from nestling.apiserver.resource import Resource
from nestling.apiserver.table import TableOf, partial

META_VERSION: Final = "meta.k8s.io/v1"
_PLAIN_TYPES: Final = ("application/json", "application/*", "*/*", "")


class Form(Protocol):
    """How objects are shown."""

    def one(self, data: bytes, status: int = 200, warnings: tuple[str, ...] = ()) -> Response:
        """Answer with one object."""
        ...

    def many(self, data: Sequence[bytes], meta: JsonObject) -> Response:
        """Answer with a list."""
        ...

    def event_renderer(self) -> Callable[[bytes], bytes] | None:
        """How a watch shows an object; None for the stored bytes."""
        ...

    def bookmark(self, body: JsonObject) -> JsonObject:
        """How a watch shows a bookmark."""
        ...


class Plain:
    """The objects as they are: their bytes, joined."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource

    def one(self, data: bytes, status: int = 200, warnings: tuple[str, ...] = ()) -> Response:
        """Answer with one object."""
        return Response(status, data, warnings=warnings)

    def many(self, data: Sequence[bytes], meta: JsonObject) -> Response:
        """Answer with a list."""
        head = b'{"kind":%s,"apiVersion":%s,"metadata":%s,"items":[' % (
            orjson.dumps(self._resource.list_kind or f"{self._resource.kind}List"),
            orjson.dumps(self._resource.api_version),
            orjson.dumps(meta),
        )
        return Response(200, b"".join((head, b",".join(data), b"]}")))

    def event_renderer(self) -> Callable[[bytes], bytes] | None:
        """The stored bytes, unless the version differs from the stored one."""
        convert = self._resource.from_storage
        if convert is None:
            return None
        return lambda data: orjson.dumps(convert(orjson.loads(data)))

    def bookmark(self, body: JsonObject) -> JsonObject:
        """As it is."""
        return body


class Metadata:
    """The metadata of objects, nothing else."""

    def __init__(self, parameters: str) -> None:
        self._type = parameters

    def one(self, data: bytes, status: int = 200, warnings: tuple[str, ...] = ()) -> Response:
        """Answer with one object."""
        return self._answer(partial(orjson.loads(data)), status, warnings)

    def many(self, data: Sequence[bytes], meta: JsonObject) -> Response:
        """Answer with a list."""
        items = [partial(orjson.loads(item)) for item in data]
        return self._answer(
            {
                "kind": "PartialObjectMetadataList",
                "apiVersion": META_VERSION,
                "metadata": meta,
                "items": items,
            }
        )

    def event_renderer(self) -> Callable[[bytes], bytes] | None:
        """One object's metadata."""
        return lambda data: orjson.dumps(partial(orjson.loads(data)))

    def bookmark(self, body: JsonObject) -> JsonObject:
        """Nothing but metadata anyway."""
        return partial(body)

    def _answer(self, value: JsonObject, status: int = 200, warnings: tuple[str, ...] = ()) -> Response:
        return Response(status, orjson.dumps(value), content_type=self._type, warnings=warnings)


@lru_cache(maxsize=256)
def _table_of(resource: Resource) -> TableOf:
    return TableOf(resource)


class Tabular:
    """Rows of cells."""

    def __init__(self, resource: Resource, include: str, parameters: str, now: Callable[[], float]) -> None:
        self._table = _table_of(resource)
        self._stored = resource.to_storage
        self._include = include
        self._type = parameters
        self._now = now
        self._headless = False

    def one(self, data: bytes, status: int = 200, warnings: tuple[str, ...] = ()) -> Response:
        """Answer with a table of one row."""
        return Response(status, self._one(data, headless=False), content_type=self._type, warnings=warnings)

    def many(self, data: Sequence[bytes], meta: JsonObject) -> Response:
        """Answer with a table."""
        now = self._now()
        rows = [self._row(orjson.loads(item), now) for item in data]
        return Response(200, orjson.dumps(self._table.table(rows, meta)), content_type=self._type)

    def event_renderer(self) -> Callable[[bytes], bytes] | None:
        """A table of one row per event, the first one with the columns."""

        def render(data: bytes) -> bytes:
            shown = self._one(data, headless=self._headless)
            self._headless = True
            return shown

        return render

    def bookmark(self, body: JsonObject) -> JsonObject:
        """A row without cells carries the revision."""
        row = {"cells": [None] * len(self._table.columns), "object": partial(body)}
        return self._table.table(
            [row], {"resourceVersion": body["metadata"]["resourceVersion"]}, headless=True
        )

    def _one(self, data: bytes, *, headless: bool) -> bytes:
        body = orjson.loads(data)
        meta = {"resourceVersion": body["metadata"].get("resourceVersion", "")}
        return orjson.dumps(self._table.table([self._row(body, self._now())], meta, headless=headless))

    def _row(self, body: JsonObject, now: float) -> JsonObject:
        return self._table.row(body if self._stored is None else self._stored(body), now, self._include)


def form_of(request: Request, resource: Resource, now: Callable[[], float]) -> Form:
    """The first acceptable form. Raises Refusal when the client takes none that exists."""
    accept = request.headers.get("accept", "")
    for choice in accept.split(","):
        media, *rest = (part.strip() for part in choice.split(";"))
        parameters: dict[str, Any] = dict(part.split("=", 1) for part in rest if "=" in part)
        wanted = parameters.get("as")
        if media not in _PLAIN_TYPES:
            continue
        if wanted is None:
            return Plain(resource)
        if parameters.get("g") != "meta.k8s.io" or parameters.get("v") != "v1":
            continue
        match wanted:
            case "Table":
                include = request.query.get("includeObject") or "Metadata"
                return Tabular(resource, include, f"{JSON_TYPE};as=Table;g=meta.k8s.io;v=v1", now)
            case "PartialObjectMetadata" | "PartialObjectMetadataList":
                return Metadata(f"{JSON_TYPE};as={wanted};g=meta.k8s.io;v=v1")
            case _:
                continue
    raise Refusal(
        406, "only the following media types are accepted: application/json, application/json;stream=watch"
    )
