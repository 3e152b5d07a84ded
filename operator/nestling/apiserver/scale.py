"""The `/scale` view of an object: the number of replicas wanted, the number there, and which pods they are.

Source: Kubernetes 1.37, apiextensions-apiserver/pkg/registry/customresource/etcd.go.
"""

from collections.abc import Callable

from nestling.api.json import JsonObject
from nestling.apiserver.refusal import Refusal, bad_request, conflict
from nestling.apiserver.resource import Resource
from nestling.apiserver.state import value_at

KIND = "Scale"
API_VERSION = "autoscaling/v1"
_SHOWN = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def view(resource: Resource, body: JsonObject) -> JsonObject:
    """The Scale object of `body`."""
    paths = resource.scale
    assert paths is not None, "only asked of resources with a scale"
    meta = body["metadata"]
    wanted = value_at(body, paths.spec)
    if wanted is None:
        raise Refusal(
            500,
            f"Internal error occurred: the spec replicas field {'.'.join(('', *paths.spec))} does not exist",
        )
    status: JsonObject = {"replicas": value_at(body, paths.status) or 0}
    if selector := value_at(body, paths.selector) if paths.selector else None:
        status["selector"] = selector
    return {
        "kind": KIND,
        "apiVersion": API_VERSION,
        "metadata": {key: meta[key] for key in _SHOWN if key in meta},
        "spec": {"replicas": wanted},
        "status": status,
    }


def mutate(
    resource: Resource,
    body: JsonObject,
    change: Callable[[JsonObject], tuple[JsonObject, list[str]]],
) -> tuple[JsonObject, list[str]]:
    """Apply `change` to the Scale of `body` and write the wanted number back into `body`."""
    before = view(resource, body)
    after, repeated = change({**before, "metadata": dict(before["metadata"]), "spec": dict(before["spec"])})
    if (after.get("kind", KIND), after.get("apiVersion", API_VERSION)) != (KIND, API_VERSION):
        raise bad_request(f"wrong object passed to Scale update: {after.get('kind')}")
    meta = after.get("metadata") or {}
    name = body["metadata"]["name"]
    if meta.get("name", name) != name:
        raise bad_request(
            f"the name of the object ({meta.get('name')}) does not match the name on the URL ({name})"
        )
    revision = meta.get("resourceVersion")
    if revision and revision != body["metadata"]["resourceVersion"]:
        raise conflict(resource.group, resource.plural, name)
    replicas = (after.get("spec") or {}).get("replicas", 0)
    if isinstance(replicas, bool) or not isinstance(replicas, int):
        raise bad_request(
            'Scale in version "v1" cannot be handled as a Scale: spec.replicas is not an integer'
        )
    assert resource.scale is not None, "only asked of resources with a scale"
    place = body
    for step in resource.scale.spec[:-1]:
        place = place.setdefault(step, {})
    place[resource.scale.spec[-1]] = replicas
    return body, repeated
