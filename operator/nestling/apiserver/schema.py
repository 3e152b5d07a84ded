"""A structural schema, compiled once: what to drop, what to fill in, what to refuse.

`Schema.admit` walks an object a single time: it prunes what the schema does not know, drops nulls where null
is not allowed, fills in defaults, and notes duplicates in keyed lists. `Schema.check` then asks a compiled
JSON Schema validator, in Rust, and only when that says no are the sentences made. CEL rules live in `rules`.
Source: Kubernetes 1.37, k8s.io/apiextensions-apiserver/pkg/apiserver/schema (pruning, defaulting, listtype).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jsonschema_rs
import orjson

from nestling.api.json import JsonObject
from nestling.apiserver import formats, verdict
from nestling.apiserver.refusal import Violation, duplicate

_SCALARS: Final = (str, int, float, bool)
_STRUCTURE: Final = (
    *("minLength", "maxLength", "pattern", "minItems", "maxItems", "minProperties", "maxProperties"),
    *("multipleOf", "enum", "required", "uniqueItems"),
)
INT32: Final = {"minimum": -(2**31), "maximum": 2**31 - 1}


@dataclass(slots=True, eq=False)
class Node:
    """One place in a schema, with what the walk needs at hand."""

    source: JsonObject
    properties: dict[str, "Node"] = field(default_factory=dict)
    extra: "Node | None" = None
    items: "Node | None" = None
    keep_unknown: bool = False
    embedded: bool = False
    nullable: bool = False
    map_keys: tuple[str, ...] = ()
    is_set: bool = False
    fills: tuple[tuple[str, Any, bytes], ...] = ()
    """Properties with a default: name, the value itself if immutable, else None and its JSON."""

    @property
    def default_json(self) -> bytes | None:
        """The default as JSON, or None without one."""
        return orjson.dumps(self.source["default"]) if "default" in self.source else None


def compile_node(source: JsonObject) -> Node:
    """Compile one schema place and everything below it."""
    extra = source.get("additionalProperties")
    items = source.get("items")
    node = Node(
        source,
        properties={name: compile_node(child) for name, child in (source.get("properties") or {}).items()},
        extra=compile_node(extra) if isinstance(extra, dict) else None,
        items=compile_node(items) if isinstance(items, dict) else None,
        keep_unknown=bool(source.get("x-kubernetes-preserve-unknown-fields")) or extra is True,
        embedded=bool(source.get("x-kubernetes-embedded-resource")),
        nullable=bool(source.get("nullable")),
        map_keys=tuple(source.get("x-kubernetes-list-map-keys") or ())
        if source.get("x-kubernetes-list-type") == "map"
        else (),
        is_set=source.get("x-kubernetes-list-type") == "set",
    )
    fills: list[tuple[str, Any, bytes]] = []
    for name, child in node.properties.items():
        text = child.default_json
        if text is not None:
            value = orjson.loads(text)
            fills.append((name, value if isinstance(value, _SCALARS) else None, text))
    node.fills = tuple(fills)
    return node


_TEXT: Final = {"type": "string"}
_TEXT_MAP: Final = {"type": "object", "additionalProperties": _TEXT}
METADATA: Final[JsonObject] = {
    "type": "object",
    "properties": {
        "name": _TEXT,
        "generateName": _TEXT,
        "namespace": _TEXT,
        "selfLink": _TEXT,
        "uid": _TEXT,
        "resourceVersion": _TEXT,
        "generation": {"type": "integer"},
        "creationTimestamp": {"type": "string", "nullable": True, "format": "date-time"},
        "deletionTimestamp": {"type": "string", "nullable": True, "format": "date-time"},
        "deletionGracePeriodSeconds": {"type": "integer"},
        "labels": _TEXT_MAP,
        "annotations": _TEXT_MAP,
        "ownerReferences": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "apiVersion": _TEXT,
                    "kind": _TEXT,
                    "name": _TEXT,
                    "uid": _TEXT,
                    "controller": {"type": "boolean"},
                    "blockOwnerDeletion": {"type": "boolean"},
                },
            },
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["uid"],
        },
        "finalizers": {"type": "array", "items": _TEXT, "x-kubernetes-list-type": "set"},
        "managedFields": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "manager": _TEXT,
                    "operation": _TEXT,
                    "apiVersion": _TEXT,
                    "time": {"type": "string", "nullable": True},
                    "fieldsType": _TEXT,
                    "fieldsV1": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                    "subresource": _TEXT,
                },
            },
        },
    },
}
"""What an object's metadata may hold; the same for every kind."""


@dataclass(slots=True)
class Findings:
    """What the walk noticed: unknown fields by path, and duplicates in sets and keyed lists."""

    unknown: list[str] = field(default_factory=list)
    duplicates: list[Violation] = field(default_factory=list)


def _key_of(item: Any, keys: tuple[str, ...]) -> Any:
    return tuple(item.get(key) if type(item.get(key)) in _SCALARS else None for key in keys)


def _child(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


class Schema:
    """The compiled schema of one version of one kind."""

    def __init__(self, source: JsonObject, *, defaulting: bool = True) -> None:
        self.source = source
        self.root = compile_node(source)
        self.root.embedded = False
        for name, place in (("apiVersion", _TEXT), ("kind", _TEXT)):
            self.root.properties[name] = compile_node(place)
        # Metadata has checks of its own, with their own words; see `metadata`.
        self.root.properties.pop("metadata", None)
        self.root.fills = tuple(fill for fill in self.root.fills if fill[0] != "metadata")
        self._defaulting = defaulting
        self._validator = jsonschema_rs.validator_for(
            json_schema(source, root=True),
            formats=dict(formats.CHECKS),
            validate_formats=True,
            ignore_unknown_formats=True,
            pattern_options=jsonschema_rs.RegexOptions(),
            offline=True,
        )

    def admit(self, body: JsonObject) -> Findings:
        """Prune and default `body` in place; `metadata` is left alone."""
        findings = Findings()
        metadata = body.pop("metadata", None)
        self._walk(self.root, body, "", findings)
        if metadata is not None:
            body["metadata"] = metadata
        return findings

    def check(self, body: JsonObject) -> list[Violation]:
        """What the schema forbids in `body`, as kube-apiserver words it. Empty for a good object."""
        if self._validator.is_valid(body):
            return []
        return verdict.violations(self._validator.iter_errors(body), body)

    def _walk(self, node: Node, value: Any, path: str, findings: Findings) -> None:
        if type(value) is dict:
            self._walk_map(node, value, path, findings)
        elif type(value) is list and node.items is not None:
            items = node.items
            for index, item in enumerate(value):
                if type(item) is dict or type(item) is list:
                    self._walk(items, item, f"{path}[{index}]", findings)
            if node.map_keys or node.is_set:
                self._find_repeated(node, value, path, findings)

    def _walk_map(self, node: Node, value: JsonObject, path: str, findings: Findings) -> None:
        properties, extra = node.properties, node.extra
        drop: list[str] | None = None
        for name, item in value.items():
            child = properties.get(name, extra)
            if child is None:
                if node.embedded and name in ("apiVersion", "kind", "metadata"):
                    continue
                if not node.keep_unknown:
                    findings.unknown.append(_child(path, name))
                    drop = [*drop, name] if drop else [name]
            elif item is None:
                # Null stands for absence wherever the schema does not say that null is a value.
                if not child.nullable and name in properties:
                    drop = [*drop, name] if drop else [name]
            elif type(item) is dict or type(item) is list:
                self._walk(child, item, _child(path, name), findings)
        if drop:
            for name in drop:
                del value[name]
        if self._defaulting:
            for name, scalar, text in node.fills:
                if name not in value:
                    value[name] = orjson.loads(text) if scalar is None else scalar
                    if scalar is None:
                        self._walk(properties[name], value[name], _child(path, name), findings)

    def _find_repeated(self, node: Node, value: list[Any], path: str, findings: Findings) -> None:
        seen: set[Any] = set()
        for index, item in enumerate(value):
            if node.map_keys:
                if type(item) is not dict:
                    return
                key: Any = _key_of(item, node.map_keys)
                shown: Any = {name: item[name] for name in node.map_keys if name in item}
            else:
                key = orjson.dumps(item, option=orjson.OPT_SORT_KEYS)
                shown = item
            if key in seen:
                findings.duplicates.append(duplicate(f"{path}[{index}]", shown))
            seen.add(key)


def json_schema(source: Mapping[str, Any], *, root: bool = False) -> JsonObject:
    """The JSON Schema (2020-12) that accepts what the structural schema `source` accepts."""
    schema: JsonObject = {key: source[key] for key in _STRUCTURE if key in source}
    type_ = source.get("type")
    if source.get("x-kubernetes-int-or-string"):
        schema["type"] = ["integer", "string"]
    elif type_:
        schema["type"] = type_
    if source.get("nullable") and "type" in schema:
        schema["type"] = [*(schema["type"] if isinstance(schema["type"], list) else [schema["type"]]), "null"]
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if bound in source:
            schema[exclusive if source.get(exclusive) is True else bound] = source[bound]
    every = [json_schema(part) for part in source.get("allOf") or ()]
    match source.get("format"):
        case "int32" if type_ == "integer":
            every.append(dict(INT32))
        case str(name) if type_ == "string" and name in formats.CHECKS:
            schema["format"] = name
        case _:
            pass
    if every:
        schema["allOf"] = every
    for key in ("anyOf", "oneOf"):
        if source.get(key):
            schema[key] = [json_schema(part) for part in source[key]]
    if isinstance(source.get("not"), dict):
        schema["not"] = json_schema(source["not"])
    properties = {
        name: json_schema(child)
        for name, child in (source.get("properties") or {}).items()
        if not (root and name in ("metadata", "apiVersion", "kind"))
    }
    if properties:
        schema["properties"] = properties
    if isinstance(source.get("additionalProperties"), dict):
        schema["additionalProperties"] = json_schema(source["additionalProperties"])
    if isinstance(source.get("items"), dict):
        schema["items"] = json_schema(source["items"])
    return schema
