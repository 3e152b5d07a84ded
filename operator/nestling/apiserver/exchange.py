"""One request and its answer, free of sockets.

The HTTP server, the in-process transport and the tests all speak these two records with the core, so that the
core can be driven without an event loop.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

JSON_TYPE: Final = "application/json"
MERGE_PATCH: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
STRATEGIC_PATCH: Final = "application/strategic-merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"

_NOTHING: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks. Header names are lower case; a query parameter given twice keeps its last value."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    headers: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    body: bytes = b""

    def flag(self, name: str) -> bool:
        """A boolean parameter as kube-apiserver reads it: present and neither `0` nor `false`."""
        value = self.query.get(name)
        return value is not None and value.lower() not in ("0", "false")

    @property
    def watching(self) -> bool:
        """Whether the client asks for a stream of changes instead of one answer."""
        return self.method == "GET" and ("watch" in self.query) and self.flag("watch")

    @property
    def content_type(self) -> str:
        """The media type of the body, without parameters."""
        return self.headers.get("content-type", JSON_TYPE).partition(";")[0].strip().lower()

    @property
    def manager(self) -> str:
        """Who writes, for managed fields: `fieldManager`, or the first word of the User-Agent."""
        return self.query.get("fieldManager") or self.headers.get("user-agent", "unknown").partition("/")[0]


@dataclass(frozen=True, slots=True)
class Response:
    """The answer: a status, headers and a complete body."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    content_type: str = JSON_TYPE
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, value: Any, status: int = 200, warnings: tuple[str, ...] = ()) -> "Response":
        """Answer with a JSON value."""
        return cls(status, orjson.dumps(value), warnings=warnings)

    def json(self) -> Any:
        """The body as JSON; for tests and in-process callers."""
        return orjson.loads(self.body)
