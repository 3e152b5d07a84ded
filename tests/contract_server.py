"""How the contract tests talk to a server, whichever it is: plain HTTP with nothing hidden.

What the two servers are meant to do differently is in DIFFERENCES; no test asks which server it talks to.
"""

import json
import ssl
import time
import urllib.parse
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any, Final

DIFFERENCES: Final = (
    "Fields are tracked from the first server-side apply on; until then objects carry no managedFields.",
    "The first apply to an object made otherwise meets before-first-apply, not the manager that made it.",
    "A definition is served when its creation is answered, not some milliseconds later.",
    "Errors of parsing JSON, YAML and selectors are worded by our parsers.",
    "Whoever has the token may do everything: there are no roles, no admission plugins, no quotas.",
    "Only the kinds that Nestling needs exist; there are no aggregated servers and no webhooks.",
    "CEL rules have no cost limit, and lists of type set or map compare by position.",
)

DEADLINE_S: Final = 60.0
MERGE: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
APPLY: Final = "application/apply-patch+yaml"
TABLE: Final = "application/json;as=Table;v=v1;g=meta.k8s.io"
WIDGET: Final = "test.nestling.dev/v1"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    status: int
    body: Any
    warnings: tuple[str, ...] = ()
    content_type: str = ""

    @property
    def message(self) -> str:
        """The sentence of a Status."""
        return self.body.get("message", "") if isinstance(self.body, dict) else str(self.body)


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a watch."""

    type: str
    object: dict[str, Any]

    @property
    def name(self) -> str:
        """The name of the object."""
        return self.object["metadata"].get("name", "")


@dataclass
class Stream:
    """A watch under way."""

    response: HTTPResponse
    seen: list[Event] = field(default_factory=list[Event])

    def next(self) -> Event:
        """The next event; fails when the stream ends first."""
        line = self.response.readline()
        assert line, f"the watch ended after {self.seen}"
        told = json.loads(line)
        event = Event(told["type"], told["object"])
        self.seen.append(event)
        return event

    def take(self, count: int) -> list[tuple[str, str]]:
        """Type and name of the next events."""
        return [(event.type, event.name) for event in (self.next() for _ in range(count))]

    def ended(self) -> bool:
        """Whether the server has closed the stream; waits for it."""
        return self.response.readline() == b""


@dataclass
class Server:
    """A way to talk to one server."""

    name: str
    url: str
    token: str
    ca: Path
    kubeconfig: Path

    def _connection(self, timeout: float) -> HTTPSConnection:
        address = urllib.parse.urlsplit(self.url)
        assert address.hostname
        context = ssl.create_default_context(cafile=str(self.ca))
        return HTTPSConnection(address.hostname, address.port, timeout=timeout, context=context)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        type: str = "application/json",  # noqa: A002 - the word of the header
        accept: str = "application/json",
        token: str | None = None,
        **query: str | int,
    ) -> Answer:
        """One request and its answer."""
        connection = self._connection(10)
        try:
            data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            headers = {"Authorization": f"Bearer {self.token if token is None else token}", "Accept": accept}
            if data is not None:
                headers["Content-Type"] = type
            target = f"{path}?{urllib.parse.urlencode(query)}" if query else path
            connection.request(method, target, data, headers)
            response = connection.getresponse()
            text = response.read()
            warnings = tuple(response.headers.get_all("Warning") or ())
            content_type = response.headers.get("Content-Type", "")
            try:
                return Answer(response.status, json.loads(text), warnings, content_type)
            except ValueError:
                return Answer(response.status, text.decode(), warnings, content_type)
        finally:
            connection.close()

    def expect(self, status: int, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """A request that must be answered with `status`; its body."""
        answer = self.call(method, path, body, **options)
        assert answer.status == status, f"{method} {path}: {answer.status} {answer.message}"
        return answer.body

    @contextmanager
    def watch(self, path: str, *, accept: str = "application/json", **query: str | int) -> Generator[Stream]:
        """A watch on a collection."""
        connection = self._connection(DEADLINE_S)
        try:
            target = f"{path}?{urllib.parse.urlencode({'watch': 'true', 'timeoutSeconds': 15, **query})}"
            headers = {"Authorization": f"Bearer {self.token}", "Accept": accept}
            connection.request("GET", target, None, headers)
            response = connection.getresponse()
            assert response.status == 200, response.read()
            yield Stream(response)
        finally:
            connection.close()

    def await_(self, what: str, condition: Callable[[], Any]) -> Any:
        """Ask until `condition` is true; fails with the last answer when time is over."""
        until = time.monotonic() + DEADLINE_S
        while True:
            last = condition()
            if last:
                return last
            assert time.monotonic() < until, f"{what}: still {last!r}"
            time.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Space:
    """A namespace of one test, and the paths in it."""

    server: Server
    name: str

    def path(self, plural: str = "widgets", name: str = "", sub: str = "") -> str:
        """A path in this namespace: of a test kind, or of a core kind."""
        core = plural in ("configmaps", "secrets", "events", "serviceaccounts")
        root = (
            "/api/v1" if core else "/apis/coordination.k8s.io/v1" if plural == "leases" else f"/apis/{WIDGET}"
        )
        parts = [root, "namespaces", self.name, plural, *filter(None, (name, sub))]
        return "/".join(parts)

    def create(self, name: str = "a", *, meta: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
        """A Widget that must be accepted."""
        return self.server.expect(201, "POST", self.path(), widget(name, meta=meta, **spec))

    def get(self, name: str = "a") -> dict[str, Any]:
        """A Widget as it is now."""
        return self.server.expect(200, "GET", self.path(name=name))

    def patch(self, body: dict[str, Any], name: str = "a", sub: str = "", **options: Any) -> dict[str, Any]:
        """A merge patch that must be accepted."""
        return self.server.expect(200, "PATCH", self.path(name=name, sub=sub), body, type=MERGE, **options)

    def gone(self, name: str = "a", plural: str = "widgets") -> bool:
        """Whether an object is not there any more."""
        return self.server.call("GET", self.path(plural, name)).status == 404


def widget(name: str = "a", *, meta: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """A Widget as a client sends it."""
    return {
        "apiVersion": WIDGET,
        "kind": "Widget",
        "metadata": {**({"name": name} if name else {}), **(meta or {})},
        "spec": spec,
    }
