"""Tables for people: the rows that kubectl prints, computed by the server.

A custom resource prints the columns of its definition, a built-in one those that kubectl is known for.
Source: Kubernetes 1.37, apiextensions-apiserver/pkg/registry/customresource/tableconvertor and
pkg/printers/internalversion.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import orjson

from nestling.api.json import JsonObject
from nestling.apiserver.jsonpath import JsonPath
from nestling.apiserver.resource import Column, Resource
from nestling.machinery.clock import seconds_of

NAME: Final = Column(
    "Name", "string", ".metadata.name", "Name of the object, unique within its namespace.", "name"
)
AGE: Final = Column("Age", "date", ".metadata.creationTimestamp", "Time since the object was created.")
UNKNOWN: Final = "<unknown>"
NONE: Final = "<none>"

Cells = Callable[[JsonObject, float], list[Any]]
"""From an object and the time to its row."""


def age_text(seconds: float) -> str:
    """A duration as kubectl shortens it: `45s`, `3m10s`, `25h`, `3d4h`, `2y10d`.

    Source: Kubernetes 1.37, k8s.io/apimachinery/pkg/util/duration, HumanDuration.
    """
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    if whole < 120:
        return f"{whole}s"
    minutes = whole // 60
    if minutes < 10:
        return f"{minutes}m{whole % 60}s" if whole % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours = whole // 3600
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if hours < 192:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if days < 730:
        return f"{days}d"
    years = days // 365
    if years < 8:
        return f"{years}y{days % 365}d" if days % 365 else f"{years}y"
    return f"{years}y"


def since(text: Any, now: float) -> str:
    """The age of a timestamp, `<unknown>` without a readable one."""
    if not isinstance(text, str) or not text:
        return UNKNOWN
    try:
        return age_text(now - seconds_of(text))
    except ValueError:
        return UNKNOWN


def cell(values: Sequence[Any], type_: str, now: float) -> Any:
    """The cell of a custom column from what its path found."""
    if not values or (len(values) == 1 and values[0] is None):
        return None
    value = values[0]
    match type_:
        case "date":
            return since(value, now) if isinstance(value, str) else UNKNOWN
        case "integer":
            return value if isinstance(value, int) and not isinstance(value, bool) else None
        case "number":
            return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
        case "boolean":
            return value if isinstance(value, bool) else None
        case _:
            return _text(values)


def _text(values: Sequence[Any]) -> str:
    """Several values print as one text, as Go prints a list of values."""
    texts = [
        value
        if isinstance(value, str)
        else ("true" if value else "false")
        if isinstance(value, bool)
        else orjson.dumps(value).decode()
        for value in values
    ]
    return texts[0] if len(texts) == 1 else ",".join(texts)


class TableOf:
    """Makes the rows of one resource."""

    def __init__(self, resource: Resource) -> None:
        columns, cells = layout(resource)
        self._cells = cells
        self.columns: list[JsonObject] = [
            {
                "name": column.name,
                "type": column.type,
                "format": column.format,
                "description": column.description
                or f"Custom resource definition column (in JSONPath format): {column.path}",
                "priority": column.priority,
            }
            for column in columns
        ]

    def row(self, body: JsonObject, now: float, include: str) -> JsonObject:
        """One row; `include` says how much of the object comes with it: None, Metadata or Object."""
        row: JsonObject = {"cells": self._cells(body, now)}
        match include:
            case "None":
                row["object"] = None
            case "Object":
                row["object"] = body
            case _:
                row["object"] = partial(body)
        return row

    def table(self, rows: list[JsonObject], meta: JsonObject, *, headless: bool = False) -> JsonObject:
        """The Table object. A watch sends its columns only with the first event."""
        return {
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": meta,
            "columnDefinitions": None if headless else self.columns,
            "rows": rows,
        }


def partial(body: JsonObject) -> JsonObject:
    """The object reduced to its metadata."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": body["metadata"]}


def layout(resource: Resource) -> tuple[tuple[Column, ...], Cells]:
    """The columns of a resource, and how to fill them."""
    if not resource.custom:
        built_in = BUILT_IN.get(resource.storage)
        return built_in if built_in is not None else ((NAME, AGE), _name_and_age)
    columns = resource.columns or (AGE,)
    paths = [(JsonPath(column.path), column.type) for column in columns]

    def cells(body: JsonObject, now: float) -> list[Any]:
        return [body["metadata"]["name"], *(cell(path.find(body), type_, now) for path, type_ in paths)]

    return (NAME, *columns), cells


def _age(body: JsonObject, now: float) -> str:
    return since(body["metadata"].get("creationTimestamp"), now)


def _name_and_age(body: JsonObject, now: float) -> list[Any]:
    return [body["metadata"]["name"], _age(body, now)]


def _namespace(body: JsonObject, now: float) -> list[Any]:
    return [body["metadata"]["name"], (body.get("status") or {}).get("phase", ""), _age(body, now)]


def _config_map(body: JsonObject, now: float) -> list[Any]:
    count = len(body.get("data") or {}) + len(body.get("binaryData") or {})
    return [body["metadata"]["name"], count, _age(body, now)]


def _secret(body: JsonObject, now: float) -> list[Any]:
    return [body["metadata"]["name"], body.get("type", ""), len(body.get("data") or {}), _age(body, now)]


def _lease(body: JsonObject, now: float) -> list[Any]:
    return [body["metadata"]["name"], (body.get("spec") or {}).get("holderIdentity") or "", _age(body, now)]


def _definition(body: JsonObject, now: float) -> list[Any]:
    return [body["metadata"]["name"], body["metadata"].get("creationTimestamp")]


def _event(body: JsonObject, now: float) -> list[Any]:
    regarding = body.get("involvedObject") or {}
    source = body.get("source") or {}
    series = body.get("series") or {}
    first = body.get("firstTimestamp") or body.get("eventTime")
    last = series.get("lastObservedTime") or body.get("lastTimestamp") or first
    component = source.get("component") or body.get("reportingComponent") or ""
    host = source.get("host") or body.get("reportingInstance") or ""
    name = regarding.get("name", "")
    return [
        since(last, now),
        body.get("type") or "",
        body.get("reason", ""),
        f"{str(regarding.get('kind', '')).lower()}/{name}" if regarding.get("kind") else name,
        regarding.get("fieldPath", ""),
        f"{component}, {host}" if host else component,
        str(body.get("message", "")).strip(),
        since(first, now),
        series.get("count") or body.get("count") or 1,
        body["metadata"]["name"],
    ]


def _text_column(name: str, description: str, priority: int = 0) -> Column:
    return Column(name, "string", "", description, "", priority)


_AGE_TEXT: Final = _text_column("Age", AGE.description)

BUILT_IN: Final[dict[str, tuple[tuple[Column, ...], Cells]]] = {
    "namespaces": (
        (NAME, _text_column("Status", "Whether the namespace is active or going."), _AGE_TEXT),
        _namespace,
    ),
    "configmaps": ((NAME, _text_column("Data", "Number of keys."), _AGE_TEXT), _config_map),
    "secrets": (
        (
            NAME,
            _text_column("Type", "What the secret is for."),
            _text_column("Data", "Number of keys."),
            _AGE_TEXT,
        ),
        _secret,
    ),
    "leases.coordination.k8s.io": ((NAME, _text_column("Holder", "Who holds the lease."), _AGE_TEXT), _lease),
    "customresourcedefinitions.apiextensions.k8s.io": (
        (NAME, Column("Created At", "date", "", "When the definition was created.")),
        _definition,
    ),
    "events": (
        (
            _text_column("Last Seen", "Time since the event happened last."),
            _text_column("Type", "Normal or Warning."),
            _text_column("Reason", "Why it happened, as one word."),
            _text_column("Object", "What it is about."),
            _text_column("Subobject", "Which part of the object.", 1),
            _text_column("Source", "Who reported it.", 1),
            _text_column("Message", "What happened."),
            _text_column("First Seen", "Time since the event happened first.", 1),
            _text_column("Count", "How often it happened.", 1),
            Column("Name", "string", "", NAME.description, "name", 1),
        ),
        _event,
    ),
}
