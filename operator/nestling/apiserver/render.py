"""The form of an answer: the objects themselves, tables for people, or metadata alone.

The Accept header decides, as kubectl and the garbage collector use it.
"""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import orjson

from nestling.api.json import JsonObject
from nestling.apiserver.exchange import Request, Response
from nestling.apiserver.resource import Resource

META_VERSION: Final = "meta.k8s.io/v1"


class Form(Protocol):
    """How objects are shown."""

    def one(self, data: bytes, status: int = 200, warnings: tuple[str, ...] = ()) -> Response:
        """Answer with one object."""
        ...

    def many(self, data: Sequence[bytes], meta: JsonObject) -> Response:
        """Answer with a list."""
        ...

    def event_renderer(self, resource: Resource) -> Callable[[bytes], bytes] | None:
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

    def event_renderer(self, resource: Resource) -> Callable[[bytes], bytes] | None:
        """The stored bytes, unless the version differs from the stored one."""
        convert = resource.from_storage
        if convert is None:
            return None
        return lambda data: orjson.dumps(convert(orjson.loads(data)))

    def bookmark(self, body: JsonObject) -> JsonObject:
        """As it is."""
        return body


def form_of(request: Request, resource: Resource) -> Form:
    """The form a request asks for."""
    return Plain(resource)
