"""Turn one native Kubernetes object into the virtual object that stands for it.

The spec stays as it is: a virtual kind takes every native field. What changes is the identity (apiVersion,
kind, and the name, which carries the virtual namespace), and what another cluster wrote is left behind:
status, server-set metadata, owners, finalizers, allocated addresses. References inside a spec (config maps,
secrets, service accounts, services) stay as written: they are virtual names, which Nestling looks up in the
pod's own virtual namespace.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from nestling.api import kinds
from nestling.api.json import JsonObject
from nestling.api.kinds import Kind
from nestling.cli import reasons
from nestling.machinery import names

MAX_NAME: Final = 253
MAX_NAMESPACE: Final = 63
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z", re.ASCII)
_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z", re.ASCII)
# Services and namespaces name DNS labels, so Kubernetes allows them less.
_NAMES_ARE_LABELS: Final = frozenset({"Service", "Namespace"})

SERVER_SET: Final = frozenset({
    "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
    "deletionGracePeriodSeconds", "managedFields", "selfLink",
    # Owners have other UIDs in the new cluster, and nobody there would drop a finalizer of the old one.
    "ownerReferences", "finalizers",
})  # fmt: skip
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_JOB_LABELS: Final = frozenset(
    {"controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"}
)
_SYSTEM_CONFIG_MAP: Final = "kube-root-ca.crt"
_TOKEN_SECRET: Final = "kubernetes.io/service-account-token"  # noqa: S105  # the name of a type
_REUSED: Final = {("v1", "ConfigMap"): kinds.CONFIG_MAP, ("v1", "Secret"): kinds.SECRET}


class Broken(Exception):  # named after the state of the world
    """The object is not one that any cluster would take. The text names the field."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An object that has no counterpart. `expected` ones are no loss: the virtual cluster makes its own."""

    why: str
    expected: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where the virtual objects go.

    `host_namespace` may be empty: kubectl decides then. `virtual_namespace` is for objects that name none.
    """

    host_namespace: str = ""
    virtual_namespace: str = names.DEFAULT_NAMESPACE


def title(value: JsonObject) -> str:
    """How to name an object in a sentence: `Deployment shop/web`."""
    metadata = value.get("metadata")
    fields = metadata if isinstance(metadata, dict) else {}
    name = fields.get("name") or fields.get("generateName") or ""
    namespace = fields.get("namespace")
    where = f"{namespace}/{name}" if isinstance(namespace, str) and namespace else name
    return f"{value.get('kind') or 'object'} {where}".strip()


def translate(value: JsonObject, place: Place) -> JsonObject | LeftOut:
    """The virtual object for a native one, or why there is none. Raises Broken; leaves `value` as it is."""
    api_version, name_of_kind = _identity(value)
    if api_version.partition("/")[0] == kinds.GROUP:
        return _already_virtual(value, place)
    kind = kinds.BY_NATIVE.get((api_version, name_of_kind)) or _REUSED.get((api_version, name_of_kind))
    if kind is None:
        return LeftOut(reasons.why_not(api_version, name_of_kind))
    metadata = _metadata(value)
    why = _made_by_system(kind, metadata, value)
    if why:
        return LeftOut(why, expected=True)
    exported = isinstance(metadata.get("uid"), str)
    return {
        "apiVersion": kind.api_version,
        "kind": kind.name,
        "metadata": _renamed(kind, name_of_kind, metadata, place),
        **_body(kind, value, exported=exported),
    }


def owned_within(values: Iterable[JsonObject]) -> dict[int, str]:
    """The objects whose controller is among the objects as well, by position, with the owner's title.

    Only objects read from a server have UIDs, so hand-written manifests are never concerned.
    """
    listed = list(values)
    by_uid = {
        uid: title(value)
        for value in listed
        if isinstance(uid := _fields(value, "metadata").get("uid"), str)
        and (value.get("apiVersion"), value.get("kind")) in kinds.BY_NATIVE
    }
    found: dict[int, str] = {}
    for index, value in enumerate(listed):
        owners = _fields(value, "metadata").get("ownerReferences")
        for owner in owners if isinstance(owners, list) else ():
            if isinstance(owner, dict) and owner.get("controller") is True and owner.get("uid") in by_uid:
                found[index] = by_uid[owner["uid"]]
    return found


def _identity(value: JsonObject) -> tuple[str, str]:
    for field in ("apiVersion", "kind"):
        if field not in value:
            raise Broken(f"{field} is missing")
        if not isinstance(value[field], str) or not value[field]:
            raise Broken(f"{field} must be text, not {_shown(value[field])}")
    return value["apiVersion"], value["kind"]


def _metadata(value: JsonObject) -> JsonObject:
    metadata = value.get("metadata")
    if metadata is None:
        raise Broken("metadata is missing")
    if not isinstance(metadata, dict):
        raise Broken(f"metadata must be an object, not {_shown(metadata)}")
    for field in ("name", "generateName", "namespace"):
        if metadata.get(field) is not None and not isinstance(metadata[field], str):
            raise Broken(f"metadata.{field} must be text, not {_shown(metadata[field])}")
    for field in ("labels", "annotations"):
        entries = metadata.get(field)
        if entries is None:
            continue
        if not isinstance(entries, dict):
            raise Broken(f"metadata.{field} must be an object, not {_shown(entries)}")
        for key, entry in entries.items():
            if not isinstance(entry, str):
                raise Broken(f"metadata.{field}[{key}] must be text, not {_shown(entry)}; put it in quotes")
    return metadata


def _made_by_system(kind: Kind, metadata: JsonObject, value: JsonObject) -> str:
    if kind is kinds.CONFIG_MAP and metadata.get("name") == _SYSTEM_CONFIG_MAP:
        return "every cluster makes its own"
    if kind is kinds.SECRET and value.get("type") == _TOKEN_SECRET:
        return "the token of another cluster's service account is of no use here"
    if kind is kinds.SERVICE and metadata.get("name") == "kubernetes" and _is_default(metadata):
        return "it is the address of another cluster's API server"
    return ""


def _is_default(metadata: JsonObject) -> bool:
    return metadata.get("namespace") in {names.DEFAULT_NAMESPACE, None, ""}


def _renamed(kind: Kind, native: str, metadata: JsonObject, place: Place) -> JsonObject:
    """Metadata under the host's name, without what a server sets; the order of the rest is kept."""
    namespace = ""
    if kind.scoped:
        namespace = metadata.get("namespace") or place.virtual_namespace
        if not _LABEL.match(namespace) or len(namespace) > MAX_NAMESPACE:
            raise Broken(
                f'metadata.namespace "{namespace}" is not a namespace name: {_label_rule(MAX_NAMESPACE)}'
            )
    renamed: JsonObject = {}
    if metadata.get("name"):
        renamed["name"] = _host_name(native, namespace, metadata["name"])
    elif metadata.get("generateName"):
        renamed["generateName"] = _prefix(namespace, metadata["generateName"])
    else:
        raise Broken("metadata.name is missing")
    if place.host_namespace:
        renamed["namespace"] = place.host_namespace
    for field, entry in metadata.items():
        if field in {"name", "generateName", "namespace"} or field in SERVER_SET or entry is None:
            continue
        if field == "annotations":
            entry = {key: text for key, text in entry.items() if key != LAST_APPLIED}  # noqa: PLW2901
            if not entry:
                continue
        renamed[field] = entry
    return renamed


def _host_name(native: str, namespace: str, name: str) -> str:
    as_label = native in _NAMES_ARE_LABELS
    limit = MAX_NAMESPACE if as_label else MAX_NAME
    if not (_LABEL if as_label else _SUBDOMAIN).match(name) or len(name) > limit:
        shown = name if len(name) <= 80 else f"{name[:60]}... ({len(name)} characters)"
        rule = _label_rule(limit) if as_label else _subdomain_rule()
        raise Broken(f'metadata.name "{shown}" is not a name: {rule}')
    host_name = names.host_name(namespace, name)
    if len(host_name) > MAX_NAME:
        raise Broken(
            f"metadata.name is too long: with its namespace it takes {len(host_name)} characters on the "
            f"host, and {MAX_NAME} are allowed; shorten it by {len(host_name) - MAX_NAME}"
        )
    return host_name


def _prefix(namespace: str, prefix: str) -> str:
    if namespace not in {"", names.DEFAULT_NAMESPACE} or "." in prefix:
        raise Broken(
            "metadata.generateName cannot carry a virtual namespace, which ends a name; write metadata.name"
        )
    return prefix


def _already_virtual(value: JsonObject, place: Place) -> JsonObject:
    """A virtual object passes as it is; only the host namespace is filled in."""
    metadata = _metadata(value)
    if not metadata.get("name") and not metadata.get("generateName"):
        raise Broken("metadata.name is missing")
    if not place.host_namespace or metadata.get("namespace"):
        return value
    return {**value, "metadata": {**metadata, "namespace": place.host_namespace}}


def _body(kind: Kind, value: JsonObject, *, exported: bool) -> JsonObject:
    """Everything but the identity."""
    body = {
        field: entry
        for field, entry in value.items()
        if field not in {"apiVersion", "kind", "metadata", "status"}
    }
    spec = body.get("spec")
    if spec is not None and not isinstance(spec, dict):
        raise Broken(f"spec must be an object, not {_shown(spec)}")
    if kind is kinds.NODE:
        capacity = _fields(value, "status").get("capacity")
        if isinstance(capacity, dict) and "capacity" not in (spec or {}):
            body["spec"] = {**(spec or {}), "capacity": capacity}
    elif kind is kinds.NAMESPACE and spec is not None:
        # A native Namespace's own finalizer is for a native namespace controller.
        body["spec"] = {field: entry for field, entry in spec.items() if field != "finalizers"}
        if not body["spec"]:
            del body["spec"]
    elif exported and kind is kinds.SERVICE:
        body["spec"] = _unallocated(spec or {})
    elif exported and kind is kinds.JOB and not (spec or {}).get("manualSelector"):
        body["spec"] = _unselected(spec or {})
    return body


def _unallocated(spec: JsonObject) -> JsonObject:
    """A Service's spec without the addresses and ports that the other cluster gave it."""
    free = {
        field: entry
        for field, entry in spec.items()
        if field not in {"clusterIP", "clusterIPs", "healthCheckNodePort"}
    }
    if spec.get("clusterIP") == "None":
        free["clusterIP"] = "None"
    ports = spec.get("ports")
    if isinstance(ports, list):
        free["ports"] = [
            {field: entry for field, entry in port.items() if field != "nodePort"}
            if isinstance(port, dict)
            else port
            for port in ports
        ]
    return free


def _unselected(spec: JsonObject) -> JsonObject:
    """A Job's spec without the selector and labels that the other cluster generated from its UID."""
    free = {field: entry for field, entry in spec.items() if field != "selector"}
    template = _fields(free, "template")
    metadata = _fields(template, "metadata")
    labels = _fields(metadata, "labels")
    if labels:
        kept = {key: text for key, text in labels.items() if key not in _JOB_LABELS}
        free["template"] = {**template, "metadata": {**metadata, "labels": kept}}
    return free


def _fields(value: JsonObject, field: str) -> JsonObject:
    found = value.get(field)
    return found if isinstance(found, dict) else {}


def _label_rule(limit: int) -> str:
    return f"at most {limit} lower-case letters, digits and dashes, with a letter or digit at both ends"


def _subdomain_rule() -> str:
    return (
        f"at most {MAX_NAME} lower-case letters, digits, dashes and dots, with a letter or digit at both "
        "ends and beside every dot"
    )


def _shown(value: Any) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value[:40]}"'
        case int() | float():
            return str(value)
        case list():
            return "a list"
        case _:
            return "an object"
