"""The resources every server has: namespaces, events, leases, config maps, secrets, service accounts, CRDs.

Their schemas hold what the fields are; the little behaviour they have stands beside them.
Source: Kubernetes 1.37, k8s.io/api and pkg/registry.
"""

import base64
import re
from typing import Any, Final

from nestling.api.json import JsonObject
from nestling.apiserver import crd, metadata
from nestling.apiserver.refusal import Violation, forbidden, invalid, required, unsupported
from nestling.apiserver.resource import Registry, Resource
from nestling.apiserver.schema import Schema

_TEXT: Final = {"type": "string"}
_BOOL: Final = {"type": "boolean"}
_INT: Final = {"type": "integer", "format": "int32"}
_TIME: Final = {"type": "string", "format": "date-time", "nullable": True}
_TEXT_MAP: Final = {"type": "object", "additionalProperties": _TEXT}
_BYTES_MAP: Final = {"type": "object", "additionalProperties": {"type": "string", "format": "byte"}}


def _object(**properties: JsonObject) -> JsonObject:
    return {"type": "object", "properties": properties}


def _list(items: JsonObject) -> JsonObject:
    return {"type": "array", "items": items}


_REFERENCE: Final = _object(
    kind=_TEXT,
    namespace=_TEXT,
    name=_TEXT,
    uid=_TEXT,
    apiVersion=_TEXT,
    resourceVersion=_TEXT,
    fieldPath=_TEXT,
)
_CONDITION: Final = _object(
    type=_TEXT, status=_TEXT, reason=_TEXT, message=_TEXT, lastTransitionTime=_TIME, lastProbeTime=_TIME,
    observedGeneration={"type": "integer"},
)  # fmt: skip

NAMESPACE_SCHEMA: Final = _object(
    spec=_object(finalizers=_list(_TEXT)), status=_object(phase=_TEXT, conditions=_list(_CONDITION))
)
CONFIG_MAP_SCHEMA: Final = _object(data=_TEXT_MAP, binaryData=_BYTES_MAP, immutable=_BOOL)
SECRET_SCHEMA: Final = _object(data=_BYTES_MAP, stringData=_TEXT_MAP, type=_TEXT, immutable=_BOOL)
LEASE_SCHEMA: Final = _object(
    spec=_object(
        holderIdentity=_TEXT,
        leaseDurationSeconds=_INT,
        acquireTime=_TIME,
        renewTime=_TIME,
        leaseTransitions=_INT,
        strategy=_TEXT,
        preferredHolder=_TEXT,
    )
)
SERVICE_ACCOUNT_SCHEMA: Final = _object(
    secrets=_list(_REFERENCE), imagePullSecrets=_list(_object(name=_TEXT)), automountServiceAccountToken=_BOOL
)
_SERIES: Final = _object(count=_INT, lastObservedTime=_TIME)
EVENT_SCHEMA: Final = _object(
    involvedObject=_REFERENCE,
    reason=_TEXT,
    message=_TEXT,
    source=_object(component=_TEXT, host=_TEXT),
    firstTimestamp=_TIME,
    lastTimestamp=_TIME,
    count=_INT,
    type=_TEXT,
    eventTime=_TIME,
    series=_SERIES,
    action=_TEXT,
    related=_REFERENCE,
    reportingComponent=_TEXT,
    reportingInstance=_TEXT,
)
NEW_EVENT_SCHEMA: Final = _object(
    eventTime=_TIME,
    series=_SERIES,
    reportingController=_TEXT,
    reportingInstance=_TEXT,
    action=_TEXT,
    reason=_TEXT,
    regarding=_REFERENCE,
    related=_REFERENCE,
    note=_TEXT,
    type=_TEXT,
    deprecatedSource=_object(component=_TEXT, host=_TEXT),
    deprecatedFirstTimestamp=_TIME,
    deprecatedLastTimestamp=_TIME,
    deprecatedCount=_INT,
)


def _prepare_namespace(new: JsonObject, old: JsonObject | None) -> None:
    spec = new.get("spec")
    if not isinstance(spec, dict):
        spec = new["spec"] = {}
    if old is None:
        spec["finalizers"] = ["kubernetes"]
        new["status"] = {"phase": "Active"}
        new["metadata"].setdefault("labels", {})
    else:
        # The namespace's own finalizer goes only when its content has gone; see `garbage`.
        new["spec"] = old.get("spec") or {}
    labels = new["metadata"].get("labels") or {}
    # This label cannot be taken away, so that selectors can rely on it.
    new["metadata"]["labels"] = {**labels, "kubernetes.io/metadata.name": new["metadata"].get("name", "")}


def _prepare_secret(new: JsonObject, old: JsonObject | None) -> None:
    given = new.pop("stringData", None)
    if isinstance(given, dict):
        encoded = {key: base64.b64encode(str(value).encode()).decode() for key, value in given.items()}
        new["data"] = {**(new.get("data") or {}), **encoded}
    new.setdefault("type", "Opaque")


_KEY: Final = re.compile(r"[-._a-zA-Z0-9]+", re.ASCII)


def _check_keys(new: JsonObject, field: str) -> list[Violation]:
    text = (
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
        "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
    )
    keys = new.get(field)
    if not isinstance(keys, dict):
        return []
    return [invalid(f"{field}[{key}]", key, text) for key in keys if not _KEY.fullmatch(key)]


def _check_config_map(new: JsonObject, old: JsonObject | None) -> list[Violation]:
    found = _check_keys(new, "data") + _check_keys(new, "binaryData")
    if old is not None and old.get("immutable"):
        found += _check_frozen(new, old, ("data", "binaryData"))
    return found


def _check_secret(new: JsonObject, old: JsonObject | None) -> list[Violation]:
    found = _check_keys(new, "data")
    if old is not None:
        if new.get("type") != old.get("type"):
            found.append(invalid("type", new.get("type"), "field is immutable"))
        if old.get("immutable"):
            found += _check_frozen(new, old, ("data",))
    return found


def _check_frozen(new: JsonObject, old: JsonObject, fields: tuple[str, ...]) -> list[Violation]:
    why = "field is immutable when `immutable` is set"
    found = [] if new.get("immutable") else [forbidden("immutable", why)]
    return found + [forbidden(field, why) for field in fields if new.get(field) != old.get(field)]


def _check_lease(new: JsonObject, old: JsonObject | None) -> list[Violation]:
    spec = new.get("spec")
    if not isinstance(spec, dict):
        return []
    found: list[Violation] = []
    duration = spec.get("leaseDurationSeconds")
    if isinstance(duration, int) and duration <= 0:
        found.append(invalid("spec.leaseDurationSeconds", duration, "must be greater than 0"))
    transitions = spec.get("leaseTransitions")
    if isinstance(transitions, int) and transitions < 0:
        found.append(invalid("spec.leaseTransitions", transitions, "must be greater than or equal to 0"))
    return found


def _prepare_event(new: JsonObject, old: JsonObject | None) -> None:
    new.setdefault("reason", "")
    new.setdefault("message", "")
    for field in ("involvedObject", "source"):
        new.setdefault(field, {})
    for field in ("firstTimestamp", "lastTimestamp", "eventTime"):
        new.setdefault(field, None)
    for field in ("reportingComponent", "reportingInstance"):
        new.setdefault(field, "")


def _check_event(new: JsonObject, old: JsonObject | None) -> list[Violation]:
    regarding: Any = new.get("involvedObject")
    regarding = regarding if isinstance(regarding, dict) else {}
    namespace = new["metadata"].get("namespace", "")
    told = regarding.get("namespace", "")
    found: list[Violation] = []
    if (told or "default") != namespace and not (not told and namespace in ("default", "kube-system")):
        found.append(invalid("involvedObject.namespace", told, "does not match event.namespace"))
    if new.get("eventTime") and old is None:
        if not new.get("reportingComponent"):
            found.append(required("reportingController"))
        if not new.get("reportingInstance"):
            found.append(required("reportingInstance"))
        if not new.get("action"):
            found.append(required("action"))
        if not new.get("reason"):
            found.append(required("reason"))
        if new.get("type") not in ("Normal", "Warning"):
            found.append(unsupported("type", new.get("type", ""), ("Normal", "Warning")))
    return found


_EVENT_FIELDS: Final = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_CORE_FIELDS: Final = {core: new for new, core in _EVENT_FIELDS.items()}


def event_to_core(body: JsonObject) -> JsonObject:
    """An events.k8s.io/v1 Event as the core/v1 Event that is stored."""
    return {_EVENT_FIELDS.get(key, key): value for key, value in body.items()} | {"apiVersion": "v1"}


def event_from_core(body: JsonObject) -> JsonObject:
    """A stored core/v1 Event as events.k8s.io/v1 shows it."""
    return {_CORE_FIELDS.get(key, key): value for key, value in body.items()} | {
        "apiVersion": "events.k8s.io/v1"
    }


def _paths(*dotted: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((text, tuple(text.split("."))) for text in dotted)


_EVENT_SELECTABLE: Final = (
    *_paths(*(f"involvedObject.{key}" for key in _REFERENCE["properties"])),
    *_paths("reason", "reportingComponent", "type"),
    ("source", ("source", "component")),
)  # fmt: skip
_NEW_EVENT_SELECTABLE: Final = tuple(
    (
        name.replace("involvedObject", "regarding").replace("reportingComponent", "reportingController"),
        path,
    )
    for name, path in _EVENT_SELECTABLE
)

NAMESPACE: Final = "namespaces"
EVENT: Final = "events"


def resources() -> list[Resource]:
    """The built-in resources; the core version of a kind comes before its others."""
    return [
        Resource("", "v1", NAMESPACE, "Namespace", NAMESPACE, namespaced=False, short_names=("ns",),
                 schema=Schema(NAMESPACE_SCHEMA), has_status=True, name_check=metadata.label,
                 prepare=_prepare_namespace, selectable=_paths("status.phase")),
        Resource("", "v1", EVENT, "Event", EVENT, short_names=("ev",), schema=Schema(EVENT_SCHEMA),
                 prepare=_prepare_event, check=_check_event, selectable=_EVENT_SELECTABLE,
                 create_on_update=True),
        Resource("events.k8s.io", "v1", EVENT, "Event", EVENT, short_names=("ev",),
                 schema=Schema(NEW_EVENT_SCHEMA),
                 to_storage=event_to_core, from_storage=event_from_core, selectable=_NEW_EVENT_SELECTABLE,
                 create_on_update=True),
        Resource("", "v1", "configmaps", "ConfigMap", "configmaps", short_names=("cm",),
                 schema=Schema(CONFIG_MAP_SCHEMA), check=_check_config_map),
        Resource("", "v1", "secrets", "Secret", "secrets", schema=Schema(SECRET_SCHEMA),
                 prepare=_prepare_secret, check=_check_secret, selectable=_paths("type")),
        Resource("", "v1", "serviceaccounts", "ServiceAccount", "serviceaccounts", short_names=("sa",),
                 schema=Schema(SERVICE_ACCOUNT_SCHEMA),
                 merge_keys={"secrets": "name", "imagePullSecrets": "name"}),
        Resource("coordination.k8s.io", "v1", "leases", "Lease", "leases.coordination.k8s.io",
                 schema=Schema(LEASE_SCHEMA), check=_check_lease, unconditional_update=False,
                 create_on_update=True),
        crd.RESOURCE,
    ]  # fmt: skip


def register(registry: Registry) -> None:
    """Serve the built-in resources."""
    seen: set[str] = set()
    for resource in resources():
        registry.add(resource, storage=resource.storage not in seen)
        seen.add(resource.storage)
