"""Facts about the native schemas: which fields each type of Kubernetes has, and of which type they are.

`summary` takes them from the OpenAPI documents of a real API server; `differences` says where a structural
schema of ours lacks a field or has another type. The summary of 1.37 is checked in (names and types only),
so the comparison also runs where no API server is. Renew it with NESTLING_RENEW=1 and the integration test.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from nestling.api.kinds import Kind

Types = dict[str, dict[str, str]]

SUMMARY_FILE: Final = Path(__file__).parent / "unit/api/testdata/native-1.37.json"
DOCUMENTS: Final = (
    "api/v1",
    "apis/apps/v1",
    "apis/autoscaling/v2",
    "apis/batch/v1",
    "apis/discovery.k8s.io/v1",
    "apis/policy/v1",
    "apis/scheduling.k8s.io/v1",
)

# Kubernetes' own scalar types, under the names that our structural schemas have for them.
_SCALARS: Final = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "int-or-string",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "int-or-string",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "string/date-time",
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "string/date-time",
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": "object",
    "io.k8s.apimachinery.pkg.runtime.RawExtension": "object",
}
# What every object has of itself; the API server owns these.
_OF_EVERY_OBJECT: Final = frozenset({"apiVersion", "kind", "metadata"})


def definition(kind: Kind) -> str:
    """Name of the native type behind `kind`."""
    group, _, version = kind.native_api_version.rpartition("/")
    return f"io.k8s.api.{group.removesuffix('.k8s.io') or 'core'}.{version}.{kind.native}"


def summary(schemas: Mapping[str, Any], roots: Iterator[str]) -> Types:
    """Fields and types of `roots` and of every type they lead to.

    A type is `string`, `integer/int32` and so on, another type's name, `[T]` for a list or `{T}` for a map.
    """
    types: Types = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in types:
            continue
        schema = schemas[name]
        is_root = "x-kubernetes-group-version-kind" in schema and name.rpartition(".")[2] != "DeleteOptions"
        fields = {
            field: _type_of(below)
            for field, below in sorted(schema.get("properties", {}).items())
            if not (is_root and field in _OF_EVERY_OBJECT)
        }
        types[name] = fields
        waiting += [inner for text in fields.values() if (inner := text.strip("[]{}")) in schemas]
    return dict(sorted(types.items()))


def differences(ours: Mapping[str, Any], native: str, types: Types, path: str = "") -> Iterator[str]:
    """Sentences about each field of `native` that `ours` lacks or types differently."""
    properties: Mapping[str, Any] = ours.get("properties", {})
    for field, wanted in types[native].items():
        here = f"{path}.{field}"
        if field not in properties:
            yield f"{here}: missing"
        else:
            yield from _compare(properties[field], wanted, types, here)


def _compare(ours: Mapping[str, Any], wanted: str, types: Types, path: str) -> Iterator[str]:
    found = shape(ours)
    if wanted.startswith("["):
        if found != "array":
            yield f"{path}: a list there, {found} here"
        else:
            yield from _compare(ours["items"], wanted[1:-1], types, f"{path}[]")
    elif wanted.startswith("{"):
        if not isinstance(ours.get("additionalProperties"), dict):
            yield f"{path}: a map there, {found} here"
        else:
            yield from _compare(ours["additionalProperties"], wanted[1:-1], types, f"{path}{{}}")
    elif wanted in types:
        if found != "object":
            yield f"{path}: an object there, {found} here"
        else:
            yield from differences(ours, wanted, types, path)
    elif found != wanted:
        yield f"{path}: {wanted} there, {found} here"


def shape(schema: Mapping[str, Any]) -> str:
    """The type of one node of a structural schema, in the words of the summary."""
    if schema.get("x-kubernetes-int-or-string"):
        return "int-or-string"
    kind: str = schema.get("type", "?")
    form = schema.get("format")
    return f"{kind}/{form}" if form in {"int32", "int64", "date-time"} else kind


def _type_of(schema: Mapping[str, Any]) -> str:
    for place in (schema, *schema.get("allOf", ())):
        if "$ref" in place:
            name: str = place["$ref"].rpartition("/")[2]
            return _SCALARS.get(name, name)
    if schema.get("type") == "array":
        return f"[{_type_of(schema['items'])}]"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"{{{_type_of(schema['additionalProperties'])}}}"
    return shape(schema)
