"""Turn models into CustomResourceDefinitions with structural schemas.

pydantic's JSON schema goes in; out comes what the API server accepts: references inlined, "or null"
dropped, titles dropped, defaults kept. Nothing here knows a kind by name except where Kubernetes itself has
a special case.
Source: Kubernetes 1.37, k8s.io/apiextensions-apiserver/pkg/apis/apiextensions (v1, validation).
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from nestling.api import kinds
from nestling.api.columns import COLUMNS
from nestling.api.json import JsonObject
from nestling.api.kinds import VIRTUAL_KINDS, Kind
from nestling.api.objects import MODELS
from nestling.api.schema import Schema

CATEGORY: Final = "nestling"
SELECTABLE: Final = {kinds.POD: (".spec.nodeName", ".status.phase")}

_TYPE_META: Final[JsonObject] = {
    "apiVersion": {
        "description": "Group and version of the schema that the object is written in.",
        "type": "string",
    },
    "kind": {"description": "Kind of the object.", "type": "string"},
    "metadata": {"type": "object"},  # the API server knows the rest, and forbids to say more
}
# additionalProperties: false is what pruning does anyway, and structural schemas forbid saying it.
_DROPPED: Final = frozenset({"title", "additionalProperties", "$defs", "$ref", "const"})


def structural(schema: JsonObject, definitions: JsonObject) -> JsonObject:
    """The structural form of one pydantic JSON schema node."""
    node = dict(schema)
    if reference := node.pop("$ref", None):
        # What stands beside a reference (the field's description, its rules) wins over the model's own words.
        node = _merged(definitions[reference.rpartition("/")[2]], node)
    if "x-kubernetes-int-or-string" not in node and "anyOf" in node:
        choices = [choice for choice in node.pop("anyOf") if choice.get("type") != "null"]
        assert len(choices) == 1, f"a union has no structural form: {choices}"
        return structural(_merged(choices[0], node), definitions)
    out: JsonObject = {key: value for key, value in sorted(node.items()) if key not in _DROPPED}
    if isinstance(node.get("additionalProperties"), dict):
        out["additionalProperties"] = structural(node["additionalProperties"], definitions)
    if "const" in node:
        out["enum"] = [node["const"]]
    if "items" in out:
        out["items"] = structural(out["items"], definitions)
    if "properties" in out:
        out["properties"] = {
            name: structural(out["properties"][name], definitions) for name in sorted(out["properties"])
        }
    if "default" in out:
        default = _without_nulls(out.pop("default"))
        if default is not None:
            out["default"] = default
    return dict(sorted(out.items()))


def object_schema(model: type[Schema]) -> JsonObject:
    """The schema of a whole object: type and metadata, and the model's own fields."""
    whole = model.model_json_schema()
    schema = structural(whole, whole.get("$defs", {}))
    schema["properties"] = dict(sorted({**_TYPE_META, **schema["properties"]}.items()))
    if "status" in schema["properties"]:
        _drop_rules(schema["properties"]["status"])
    return schema


def crd(kind: Kind) -> JsonObject:
    """The CustomResourceDefinition of `kind`."""
    model = MODELS[kind]
    subresources: JsonObject = {"status": {}} if "status" in model.model_fields else {}
    if kind.scale:
        subresources["scale"] = {
            "labelSelectorPath": ".status.selector",
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
        }
    version: JsonObject = {
        "additionalPrinterColumns": [column.as_json() for column in COLUMNS[kind]],
        "name": kind.version,
        "schema": {"openAPIV3Schema": object_schema(model)},
        "served": True,
        "storage": True,
    }
    if kind in SELECTABLE:
        version["selectableFields"] = [{"jsonPath": path} for path in SELECTABLE[kind]]
    if subresources:
        version["subresources"] = dict(sorted(subresources.items()))
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{kind.group}"},
        "spec": {
            "group": kind.group,
            "names": {
                "categories": [CATEGORY],
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "shortNames": list(kind.short_names),
                "singular": kind.name.lower(),
            },
            "scope": "Namespaced",
            "versions": [dict(sorted(version.items()))],
        },
    }


@cache
def crds() -> Mapping[str, JsonObject]:
    """Every CustomResourceDefinition, by plural; made once, not to be changed."""
    return {kind.plural: crd(kind) for kind in VIRTUAL_KINDS}


def _merged(below: JsonObject, above: JsonObject) -> JsonObject:
    """`below` with what `above` says on top; rules of both hold."""
    rules = [*below.get("x-kubernetes-validations", ()), *above.get("x-kubernetes-validations", ())]
    merged = {**below, **above}
    if rules:
        merged["x-kubernetes-validations"] = rules
    return merged


def _drop_rules(schema: JsonObject) -> None:
    """Take the rules out of a status: only loops write it, and each rule is checked on each write."""
    schema.pop("x-kubernetes-validations", None)
    below = [schema.get("items"), schema.get("additionalProperties"), *schema.get("properties", {}).values()]
    for part in below:
        if isinstance(part, dict):
            _drop_rules(part)


def _without_nulls(value: Any) -> Any:
    match value:
        case dict():
            return {key: _without_nulls(below) for key, below in value.items() if below is not None}
        case list():
            return [_without_nulls(below) for below in value]
        case _:
            return value
