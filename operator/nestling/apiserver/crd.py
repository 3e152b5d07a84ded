"""CustomResourceDefinitions: what makes one acceptable, and the resources that come of it.

A definition is established at once: names are checked against what is served already, and the conditions
NamesAccepted and Established tell.
Source: Kubernetes 1.37, k8s.io/apiextensions-apiserver/pkg/apis/apiextensions (validation) and
pkg/controller.
"""

from collections.abc import Callable
from typing import Any, Final

from nestling.api.json import JsonObject
from nestling.apiserver import metadata
from nestling.apiserver.refusal import Violation, invalid, required, unsupported
from nestling.apiserver.resource import Column, Resource, ScalePaths, priority
from nestling.apiserver.rules import Rules
from nestling.apiserver.schema import Schema

GROUP: Final = "apiextensions.k8s.io"
PLURAL: Final = "customresourcedefinitions"
STORAGE: Final = f"{PLURAL}.{GROUP}"
CLEANUP: Final = "customresourcecleanup.apiextensions.k8s.io"

_TEXT: Final = {"type": "string"}
_TEXTS: Final = {"type": "array", "items": _TEXT}
_ANY: Final = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_NAMES: Final[JsonObject] = {
    "type": "object",
    "required": ["plural", "kind"],
    "properties": {
        "plural": _TEXT,
        "singular": _TEXT,
        "kind": _TEXT,
        "listKind": _TEXT,
        "shortNames": _TEXTS,
        "categories": _TEXTS,
    },
}
_COLUMN: Final[JsonObject] = {
    "type": "object",
    "required": ["name", "type", "jsonPath"],
    "properties": {
        "name": _TEXT,
        "type": _TEXT,
        "format": _TEXT,
        "description": _TEXT,
        "priority": {"type": "integer", "format": "int32"},
        "jsonPath": _TEXT,
    },
}
_VERSION: Final[JsonObject] = {
    "type": "object",
    "required": ["name", "served", "storage"],
    "properties": {
        "name": _TEXT,
        "served": {"type": "boolean"},
        "storage": {"type": "boolean"},
        "deprecated": {"type": "boolean"},
        "deprecationWarning": {"type": "string", "nullable": True},
        "schema": {"type": "object", "properties": {"openAPIV3Schema": _ANY}},
        "subresources": {
            "type": "object",
            "properties": {
                "status": _ANY,
                "scale": {
                    "type": "object",
                    "required": ["specReplicasPath", "statusReplicasPath"],
                    "properties": {
                        "specReplicasPath": _TEXT,
                        "statusReplicasPath": _TEXT,
                        "labelSelectorPath": _TEXT,
                    },
                },
            },
        },
        "additionalPrinterColumns": {"type": "array", "items": _COLUMN},
        "selectableFields": {
            "type": "array",
            "items": {"type": "object", "required": ["jsonPath"], "properties": {"jsonPath": _TEXT}},
        },
    },
}
SCHEMA: Final[JsonObject] = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "required": ["group", "names", "scope", "versions"],
            "properties": {
                "group": _TEXT,
                "names": _NAMES,
                "scope": _TEXT,
                "versions": {"type": "array", "items": _VERSION},
                "conversion": {**_ANY, "default": {"strategy": "None"}},
                "preserveUnknownFields": {"type": "boolean"},
            },
        },
        "status": _ANY,
    },
}


def _part(body: JsonObject, *path: str) -> Any:
    value: Any = body
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def prepare(new: JsonObject, old: JsonObject | None) -> None:
    """Fill in names and make the definition established."""
    spec = new.get("spec")
    if not isinstance(spec, dict) or not isinstance(spec.get("names"), dict):
        return
    names: JsonObject = spec["names"]
    kind = names.get("kind")
    if isinstance(kind, str):
        names.setdefault("singular", kind.lower())
        names.setdefault("listKind", f"{kind}List")
    spec.setdefault("conversion", {"strategy": "None"})
    # Instances outlive their definition otherwise: nobody could ever reach them again.
    finalizers = new["metadata"].setdefault("finalizers", [])
    if old is None and CLEANUP not in finalizers:
        finalizers.append(CLEANUP)
    if old is not None and not finalizers:
        del new["metadata"]["finalizers"]
    stored = [
        v["name"] for v in spec.get("versions") or () if isinstance(v, dict) and v.get("storage") is True
    ]
    status: JsonObject = new["status"] if isinstance(new.get("status"), dict) else {}
    known: list[str] = status.get("storedVersions") or []
    since = new["metadata"].get("creationTimestamp")
    new["status"] = {
        "conditions": status.get("conditions")
        or [
            _condition("NamesAccepted", "NoConflicts", "no conflicts found", since),
            _condition("Established", "InitialNamesAccepted", "the initial names have been accepted", since),
        ],
        "acceptedNames": dict(names),
        "storedVersions": [*known, *(name for name in stored if name not in known)],
    }


def _condition(type_: str, reason: str, message: str, since: str | None) -> JsonObject:
    return {
        "type": type_,
        "status": "True",
        "lastTransitionTime": since,
        "reason": reason,
        "message": message,
    }


def check(new: JsonObject, old: JsonObject | None) -> list[Violation]:
    """What makes a definition unacceptable beyond the shape of its fields."""
    spec = new.get("spec")
    names = _part(new, "spec", "names")
    if not isinstance(spec, dict) or not isinstance(names, dict):
        return []
    found: list[Violation] = []
    name = new["metadata"].get("name", "")
    group, plural = spec.get("group"), names.get("plural")
    if isinstance(group, str) and isinstance(plural, str):
        wanted = f"{plural}.{group}"
        if name != wanted:
            found.append(invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group'))
        found += [invalid("spec.group", group, text) for text in metadata.subdomain(group)]
        if "." not in group:
            found.append(invalid("spec.group", group, "should be a domain with at least one dot"))
        found += [invalid("spec.names.plural", plural, text) for text in metadata.label(plural)]
    if spec.get("scope") not in ("Namespaced", "Cluster"):
        found.append(unsupported("spec.scope", spec.get("scope", ""), ("Cluster", "Namespaced")))
    versions = [version for version in spec.get("versions") or () if isinstance(version, dict)]
    if sum(version.get("storage") is True for version in versions) != 1:
        found.append(invalid("spec.versions", [], "must have exactly one version marked as storage version"))
    for index, version in enumerate(versions):
        found += _check_version(version, f"spec.versions[{index}]")
    if old is not None:
        for path in (("scope",), ("group",), ("names", "kind"), ("names", "plural")):
            if _part(old, "spec", *path) != _part(new, "spec", *path) and path[0] in ("scope", "group"):
                value = _part(new, "spec", *path)
                found.append(invalid(f"spec.{'.'.join(path)}", value, "field is immutable"))
    return found


def _check_version(version: JsonObject, path: str) -> list[Violation]:
    schema = _part(version, "schema", "openAPIV3Schema")
    if not isinstance(schema, dict):
        return [required(f"{path}.schema.openAPIV3Schema", "schemas are required")]
    return _check_structure(schema, f"{path}.schema.openAPIV3Schema")


def _check_structure(schema: JsonObject, path: str) -> list[Violation]:
    """Every place of a structural schema says its type, and keyed lists say their keys."""
    found: list[Violation] = []
    if not schema.get("type") and not (
        schema.get("x-kubernetes-int-or-string") or schema.get("x-kubernetes-preserve-unknown-fields")
    ):
        found.append(required(f"{path}.type", "must not be empty for specified object fields"))
    if schema.get("type") == "array" and not isinstance(schema.get("items"), dict):
        found.append(required(f"{path}.items", "must be specified"))
    if schema.get("x-kubernetes-list-type") == "map" and not schema.get("x-kubernetes-list-map-keys"):
        found.append(
            required(
                f"{path}.x-kubernetes-list-map-keys", "must not be empty if x-kubernetes-list-type is map"
            )
        )
    for name, child in (schema.get("properties") or {}).items():
        if isinstance(child, dict):
            found += _check_structure(child, f"{path}.properties[{name}]")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            found += _check_structure(schema[key], f"{path}.{key}")
    return found


def _field_path(text: str) -> tuple[str, ...]:
    """The field names of a simple JSONPath such as `.spec.replicas`."""
    return tuple(step for step in text.strip().lstrip("$").split(".") if step)


def resources_of(body: JsonObject) -> list[Resource]:
    """The resources a stored definition serves, the storage version first."""
    spec = body["spec"]
    versions = sorted(spec["versions"], key=lambda version: not version["storage"])
    storage_version = versions[0]["name"]
    return [_resource(spec, version, storage_version) for version in versions]


def _resource(spec: JsonObject, version: JsonObject, storage_version: str) -> Resource:
    names = spec["names"]
    group, name = spec["group"], version["name"]
    source = _part(version, "schema", "openAPIV3Schema") or {"type": "object"}
    subresources = version.get("subresources") or {}
    scale = subresources.get("scale")

    def convert_to(target: str) -> Callable[[JsonObject], JsonObject]:
        def convert(body: JsonObject) -> JsonObject:
            return {**body, "apiVersion": f"{group}/{target}"}

        return convert

    converts = name != storage_version
    return Resource(
        group=group,
        version=name,
        plural=names["plural"],
        kind=names["kind"],
        storage=f"{names['plural']}.{group}",
        namespaced=spec["scope"] == "Namespaced",
        singular=names.get("singular") or names["kind"].lower(),
        list_kind=names.get("listKind") or f"{names['kind']}List",
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        schema=Schema(source),
        rules=Rules(source),
        columns=tuple(
            Column(
                column["name"],
                column["type"],
                column["jsonPath"],
                column.get("description", ""),
                column.get("format", ""),
                column.get("priority", 0),
            )
            for column in version.get("additionalPrinterColumns") or ()
        ),
        selectable=tuple(
            (entry["jsonPath"].lstrip("."), _field_path(entry["jsonPath"]))
            for entry in version.get("selectableFields") or ()
        ),
        has_status="status" in subresources,
        scale=None
        if not scale
        else ScalePaths(
            _field_path(scale["specReplicasPath"]),
            _field_path(scale["statusReplicasPath"]),
            _field_path(scale.get("labelSelectorPath") or ""),
        ),
        custom=True,
        counts_generations=True,
        unconditional_update=False,
        served=bool(version["served"]),
        deprecation=_deprecation(spec, version),
        to_storage=convert_to(storage_version) if converts else None,
        from_storage=convert_to(name) if converts else None,
    )


def _deprecation(spec: JsonObject, version: JsonObject) -> str:
    """The warning of a deprecated version, which names the one to use."""
    if not version.get("deprecated"):
        return ""
    if told := version.get("deprecationWarning"):
        return str(told)
    group, kind = spec["group"], spec["names"]["kind"]
    text = f"{group}/{version['name']} {kind} is deprecated"
    others = [v["name"] for v in spec["versions"] if v["served"] and not v.get("deprecated")]
    better = sorted((name for name in others if priority(name) < priority(version["name"])), key=priority)
    return f"{text}; use {group}/{better[0]} {kind}" if better else text


RESOURCE: Final = Resource(
    GROUP,
    "v1",
    PLURAL,
    "CustomResourceDefinition",
    STORAGE,
    namespaced=False,
    singular="customresourcedefinition",
    short_names=("crd", "crds"),
    categories=("api-extensions",),
    schema=Schema(SCHEMA),
    has_status=True,
    counts_generations=True,
    unconditional_update=False,
    prepare=prepare,
    check=check,
)
