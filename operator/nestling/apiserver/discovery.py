"""Discovery: what the server serves, as group and resource lists, and in the aggregated form of kubectl.

Source: Kubernetes 1.37, k8s.io/apiserver/pkg/endpoints/discovery and api/apidiscovery/v2.
"""

import hashlib
from typing import Final

import orjson

from nestling.api.json import JsonObject
from nestling.apiserver.exchange import Request, Response
from nestling.apiserver.resource import Registry, Resource

VERSION: Final[JsonObject] = {
    "major": "1",
    "minor": "37",
    "emulationMajor": "1",
    "emulationMinor": "37",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "36",
    "gitVersion": "v1.37.2+nestling",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "python",
    "platform": "",
}
"""The version whose behaviour is kept; the suffix tells what really answers."""

AGGREGATED: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_CHANGE_VERBS: Final = ["get", "patch", "update"]


def answer(registry: Registry, request: Request) -> Response | None:
    """Answer a discovery path, None for any other."""
    parts = [part for part in request.path.split("/") if part]
    wants_aggregated = _accepts_aggregated(request.headers.get("accept", ""))
    match parts:
        case ["version"]:
            return Response.of(VERSION)
        case ["api"] if wants_aggregated:
            return _aggregated(registry, core=True)
        case ["apis"] if wants_aggregated:
            return _aggregated(registry, core=False)
        case ["api"]:
            return Response.of({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
        case ["apis"]:
            groups = [group(name, versions) for name, versions in registry.groups().items() if name]
            return Response.of({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        case ["apis", name]:
            versions = registry.groups().get(name)
            if not name or versions is None:
                return None
            return Response.of({"kind": "APIGroup", "apiVersion": "v1", **group(name, versions)})
        case ["api", version]:
            return _resource_list(registry, "", version)
        case ["apis", name, version]:
            return _resource_list(registry, name, version)
        case _:
            return None


def _accepts_aggregated(accept: str) -> bool:
    for choice in accept.split(","):
        parameters = {part.strip() for part in choice.split(";")}
        if {"g=apidiscovery.k8s.io", "v=v2", "as=APIGroupDiscoveryList"} <= parameters:
            return True
    return False


def group(name: str, versions: list[str]) -> JsonObject:
    """One group and its versions, the preferred one first."""
    known = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": known, "preferredVersion": known[0]}


def _resource_list(registry: Registry, name: str, version: str) -> Response | None:
    if not registry.has_version(name, version):
        return None
    resources: list[JsonObject] = []
    for resource in registry:
        if (resource.group, resource.version) != (name, version) or not resource.served:
            continue
        resources.append(_resource(resource))
        resources += [_subresource(resource, sub) for sub in resource.subresources]
    group_version = f"{name}/{version}" if name else version
    return Response.of(
        {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}
    )


def _resource(resource: Resource) -> JsonObject:
    described: JsonObject = {
        "name": resource.plural,
        "singularName": resource.singular or resource.kind.lower(),
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        described["shortNames"] = list(resource.short_names)
    if resource.categories:
        described["categories"] = list(resource.categories)
    return described


def _subresource(resource: Resource, name: str) -> JsonObject:
    described: JsonObject = {
        "name": f"{resource.plural}/{name}",
        "singularName": "",
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": _CHANGE_VERBS,
    }
    if name == "scale":
        described |= {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    return described


def _aggregated(registry: Registry, *, core: bool) -> Response:
    items: list[JsonObject] = []
    for name, versions in registry.groups().items():
        if (name == "") is not core:
            continue
        described = [
            {
                "version": version,
                "resources": [
                    _aggregated_resource(r)
                    for r in registry
                    if (r.group, r.version) == (name, version) and r.served
                ],
                "freshness": "Current",
            }
            for version in versions
        ]
        items.append({"metadata": {"name": name} if name else {}, "versions": described})
    body = orjson.dumps(
        {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": "apidiscovery.k8s.io/v2",
            "metadata": {},
            "items": items,
        }
    )
    # kubectl keeps discovery in a cache of its own and asks again by this mark.
    tag = hashlib.sha256(body).hexdigest().upper()
    return Response(200, body, {"Etag": f'"{tag}"', "Vary": "Accept"}, AGGREGATED)


def _aggregated_resource(resource: Resource) -> JsonObject:
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    described: JsonObject = {
        "resource": resource.plural,
        "responseKind": kind,
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular or resource.kind.lower(),
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        described["shortNames"] = list(resource.short_names)
    if resource.categories:
        described["categories"] = list(resource.categories)
    subresources: list[JsonObject] = []
    for name in resource.subresources:
        shown = {"group": "autoscaling", "version": "v1", "kind": "Scale"} if name == "scale" else kind
        subresources.append({"subresource": name, "responseKind": shown, "verbs": _CHANGE_VERBS})
    if subresources:
        described["subresources"] = subresources
    return described
