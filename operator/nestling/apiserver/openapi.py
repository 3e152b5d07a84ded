"""OpenAPI: enough for `kubectl explain`, and for kubectl to see that the server itself validates.

`/openapi/v3` lists one document per group version, made when asked for. `/openapi/v2` exists for clients that
still read it, as one JSON document of definitions; kubectl reads v3. Where v3 knows no such group version,
kubectl asks v2 before it says so, and takes protocol buffers only: these carry a document without any kind.
Source: Kubernetes 1.37, k8s.io/kube-openapi/pkg/handler and handler3,
apiextensions-apiserver/pkg/controller/openapi/builder, and OpenAPIv2.proto of gnostic-models 0.7.
"""

import hashlib
from collections.abc import Iterable
from typing import Any, Final

from nestling.api.json import JsonObject
from nestling.apiserver.exchange import (
    APPLY_PATCH,
    JSON_PATCH,
    JSON_TYPE,
    MERGE_PATCH,
    STRATEGIC_PATCH,
    Request,
    Response,
)
from nestling.apiserver.protobuf import field
from nestling.apiserver.refusal import Refusal
from nestling.apiserver.resource import Registry, Resource
from nestling.apiserver.schema import METADATA

OBJECT_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
INFO: Final = {"title": "Nestling's embedded Kubernetes API", "version": "v1.37.2"}
PROTOBUF: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_PROTOBUF_TYPES: Final = (PROTOBUF, "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
_DESCRIPTIONS: Final = {
    "apiVersion": "Version of the API that this object is written in, as group/version.",
    "kind": "Kind of the object, in CamelCase.",
    "metadata": "What every object has: name, namespace, labels, annotations, owners and more.",
}


def answer(registry: Registry, request: Request) -> Response | None:
    """Answer an OpenAPI path, None for any other."""
    path = request.path.rstrip("/")
    if path == "/openapi/v2":
        return _answer_version_2(registry, request)
    if path == "/openapi/v3":
        return Response.of(
            {"paths": {name: {"serverRelativeURL": _url(registry, name)} for name in _roots(registry)}}
        )
    if not path.startswith("/openapi/v3/"):
        return None
    name = path.removeprefix("/openapi/v3/")
    return Response.of(document(registry, name)) if name in _roots(registry) else None


def _roots(registry: Registry) -> list[str]:
    versions = [(group, version) for group, known in registry.groups().items() for version in known]
    return [f"apis/{group}/{version}" if group else f"api/{version}" for group, version in versions]


def _url(registry: Registry, name: str) -> str:
    """The address of a document, with a mark that changes when it may have changed."""
    mark = hashlib.sha256(f"{name} {registry.generation}".encode()).hexdigest().upper()
    return f"/openapi/v3/{name}?hash={mark}"


def _resources(registry: Registry, name: str) -> list[Resource]:
    parts = name.split("/")
    group, version = ("", parts[1]) if parts[0] == "api" else (parts[1], parts[2])
    return [r for r in registry if (r.group, r.version) == (group, version) and r.served]


def definition_name(resource: Resource) -> str:
    """The name of a kind's schema: the group backwards, the version, the kind."""
    if not resource.custom:
        short = resource.group.removesuffix(".k8s.io") or "core"
        return f"io.k8s.api.{short}.{resource.version}.{resource.kind}"
    return ".".join((*reversed(resource.group.split(".")), resource.version, resource.kind))


def schema_of(resource: Resource, prefix: str) -> JsonObject:
    """The published schema of a kind: its own, with metadata and identity."""
    source = resource.schema.source
    properties: JsonObject = {
        "apiVersion": {"type": "string", "description": _DESCRIPTIONS["apiVersion"]},
        "kind": {"type": "string", "description": _DESCRIPTIONS["kind"]},
        "metadata": {
            "description": _DESCRIPTIONS["metadata"],
            "allOf": [{"$ref": f"{prefix}{OBJECT_META}"}],
            "default": {},
        },
    }
    properties |= {
        name: child for name, child in (source.get("properties") or {}).items() if name not in properties
    }
    gvk = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    schema = {key: value for key, value in source.items() if key != "properties"}
    return {**schema, "properties": properties, "x-kubernetes-group-version-kind": [gvk]}


def document(registry: Registry, name: str) -> JsonObject:
    """The OpenAPI v3 document of one group version, such as `apis/nestling.dev/v1alpha1`."""
    resources = _resources(registry, name)
    prefix = "#/components/schemas/"
    schemas: JsonObject = {definition_name(resource): schema_of(resource, prefix) for resource in resources}
    schemas[OBJECT_META] = METADATA
    return {
        "openapi": "3.0.0",
        "info": INFO,
        "paths": {path: item for resource in resources for path, item in _paths(resource, f"/{name}")},
        "components": {"schemas": schemas},
    }


def _parameter(name: str, type_: str, where: str = "query", description: str = "") -> JsonObject:
    parameter: JsonObject = {
        "name": name,
        "in": where,
        "description": description or name,
        "schema": {"type": type_, "uniqueItems": True},
    }
    if where == "path":
        parameter["required"] = True
    return parameter


_WRITE: Final = [
    _parameter("dryRun", "string", description="All: judge the request, store nothing."),
    _parameter("fieldManager", "string", description="Who makes this change."),
    _parameter(
        "fieldValidation", "string", description="Ignore, Warn or Strict: what to do about unknown fields."
    ),
]
_FORCE: Final = _parameter("force", "boolean", description="Take over fields that others own.")
_LIST: Final = [
    _parameter("labelSelector", "string"),
    _parameter("fieldSelector", "string"),
    _parameter("limit", "integer"),
    _parameter("continue", "string"),
    _parameter("resourceVersion", "string"),
    _parameter("resourceVersionMatch", "string"),
    _parameter("timeoutSeconds", "integer"),
    _parameter("watch", "boolean"),
    _parameter("allowWatchBookmarks", "boolean"),
    _parameter("sendInitialEvents", "boolean"),
]
_DELETE: Final = [
    _parameter("dryRun", "string"),
    _parameter("gracePeriodSeconds", "integer"),
    _parameter("propagationPolicy", "string"),
]


def _paths(resource: Resource, root: str) -> Iterable[tuple[str, JsonObject]]:
    space = "/namespaces/{namespace}" if resource.namespaced else ""
    own = [_parameter("namespace", "string", "path")] if resource.namespaced else []
    collection = f"{root}{space}/{resource.plural}"
    yield (
        collection,
        {
            "get": _operation(resource, "list", _LIST),
            "post": _operation(resource, "post", _WRITE, body=True),
            "delete": _operation(resource, "deletecollection", [*_DELETE, *_LIST]),
            "parameters": own,
        },
    )
    if resource.namespaced:
        yield f"{root}/{resource.plural}", {"get": _operation(resource, "list", _LIST), "parameters": []}
    named = [_parameter("name", "string", "path"), *own]
    yield (
        f"{collection}/{{name}}",
        {**_changes(resource), "delete": _operation(resource, "delete", _DELETE), "parameters": named},
    )
    for subresource in resource.subresources:
        yield f"{collection}/{{name}}/{subresource}", {**_changes(resource), "parameters": named}


def _changes(resource: Resource) -> JsonObject:
    types = [JSON_PATCH, MERGE_PATCH, APPLY_PATCH]
    if not resource.custom:
        types.append(STRATEGIC_PATCH)
    patch = _operation(resource, "patch", [*_WRITE, _FORCE])
    patch["requestBody"] = {
        "content": {type_: {"schema": {"type": "object"}} for type_ in types},
        "required": True,
    }
    return {
        "get": _operation(resource, "get", []),
        "put": _operation(resource, "put", _WRITE, body=True),
        "patch": patch,
    }


def _operation(
    resource: Resource, action: str, parameters: list[JsonObject], *, body: bool = False
) -> JsonObject:
    reference = {"schema": {"$ref": f"#/components/schemas/{definition_name(resource)}"}}
    operation: JsonObject = {
        "parameters": parameters,
        "responses": {"200": {"description": "OK", "content": {"application/json": reference}}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {
            "group": resource.group,
            "version": resource.version,
            "kind": resource.kind,
        },
    }
    if body:
        operation["requestBody"] = {"content": {"application/json": reference}, "required": True}
    return operation


def _answer_version_2(registry: Registry, request: Request) -> Response:
    """The document in the first form of the Accept header that exists. Raises Refusal when there is none."""
    for choice in (request.headers.get("accept") or "*/*").split(","):
        media = choice.partition(";")[0].strip().lower()
        if media in (JSON_TYPE, "application/*", "*/*"):
            return Response.of(_version_2(registry))
        if media in _PROTOBUF_TYPES:
            return Response(200, _empty_version_2(), content_type=PROTOBUF)
    raise Refusal(406, "", plain=True)


def _empty_version_2() -> bytes:
    """A document that describes nothing, as protocol buffers."""
    info = field(1, INFO["title"].encode()) + field(2, INFO["version"].encode())
    return field(1, b"2.0") + field(2, info) + field(8, b"")


def _version_2(registry: Registry) -> JsonObject:
    definitions: dict[str, Any] = {
        definition_name(r): schema_of(r, "#/definitions/") for r in registry if r.served
    }
    definitions[OBJECT_META] = METADATA
    return {
        "swagger": "2.0",
        "info": INFO,
        "paths": {},
        "definitions": definitions,
    }
