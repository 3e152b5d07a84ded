"""The embedded API server in this process: requests in one line, and a clock that stands still."""

from random import Random
from typing import Any
from urllib.parse import parse_qsl

import orjson

from nestling.apiserver.api import Api
from nestling.apiserver.exchange import MERGE_PATCH, Request, Response
from nestling.apiserver.store import Store
from nestling.apiserver.watch import Watch
from nestling.machinery.clock import ManualClock

WIDGETS = "/apis/test.nestling.dev/v1/namespaces/default/widgets"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGET_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "replicas": {"type": "integer", "minimum": 0, "default": 1},
                "node": {"type": "string"},
            },
        },
        "status": {"type": "object", "properties": {"phase": {"type": "string"}}},
    },
}


def definition(
    plural: str = "widgets",
    kind: str = "Widget",
    schema: dict[str, Any] | None = None,
    **version: Any,
) -> dict[str, Any]:
    """A namespaced definition with one version."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.test.nestling.dev"},
        "spec": {
            "group": "test.nestling.dev",
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema or WIDGET_SCHEMA},
                    "subresources": {"status": {}},
                    "selectableFields": [{"jsonPath": ".spec.node"}] if schema is None else [],
                    **version,
                }
            ],
        },
    }


def widget(name: str = "a", *, meta: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """A Widget as a client sends it."""
    metadata = {**({"name": name} if name else {}), **(meta or {})}
    return {"apiVersion": "test.nestling.dev/v1", "kind": "Widget", "metadata": metadata, "spec": spec}


class World:
    """An `Api` with a definition of widgets, and short ways to ask it."""

    def __init__(self, *, seed: int = 1, store: Store | None = None, settles: bool = True) -> None:
        self.clock = ManualClock()
        self.api = Api(store, clock=self.clock, random=Random(seed), settles=settles)
        if self.ask("GET", f"{DEFINITIONS}/widgets.test.nestling.dev").status == 404:
            self.expect(201, "POST", DEFINITIONS, definition())

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        type: str = "application/json",  # noqa: A002 - the header's word
        accept: str = "",
    ) -> Response:
        """One request; the path may carry a query."""
        return self.api.handle(request(method, path, body, type=type, accept=accept))

    def expect(self, status: int, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """A request that must be answered with `status`; its JSON."""
        response = self.ask(method, path, body, **options)
        assert response.status == status, response.body
        return response.json()

    def create(self, name: str = "a", **rest: Any) -> dict[str, Any]:
        """A Widget that must be accepted."""
        return self.expect(201, "POST", WIDGETS, widget(name, **rest))

    def patch(self, body: Any, name: str = "a", sub: str = "") -> dict[str, Any]:
        """A merge patch that must be accepted."""
        return self.expect(200, "PATCH", f"{WIDGETS}/{name}{sub}", body, type=MERGE_PATCH)

    def delete(self, name: str = "a", **options: Any) -> Any:
        """A deletion that must be accepted."""
        return self.expect(200, "DELETE", f"{WIDGETS}/{name}", options or None)

    def names(self, path: str = WIDGETS) -> list[str]:
        """The names in a collection."""
        return [item["metadata"]["name"] for item in self.expect(200, "GET", path)["items"]]

    def watch(self, query: str = "", path: str = WIDGETS) -> Watch:
        """A watch that must be opened."""
        opened = self.api.watch(request("GET", f"{path}?watch=true&{query}"))
        assert isinstance(opened, Watch), opened.body
        return opened


def request(
    method: str,
    path: str,
    body: Any = None,
    *,
    type: str = "application/json",  # noqa: A002 - the header's word
    accept: str = "",
) -> Request:
    """A request as a transport makes it."""
    path, _, query = path.partition("?")
    data = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
    headers = {"content-type": type, "accept": accept, "user-agent": "test/1"}
    return Request(method, path, dict(parse_qsl(query, keep_blank_values=True)), headers, data)


def told(watch: Watch) -> list[tuple[str, str]]:
    """Type and name of what a watch has to tell now."""
    events = [orjson.loads(line) for line in watch.poll()]
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]
