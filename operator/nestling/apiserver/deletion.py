"""Delete: at once, or a deletion timestamp while a finalizer, or its own content, holds the object.

Source: Kubernetes 1.37, k8s.io/apiserver/pkg/registry (generic/registry/store.go, rest/delete.go).
"""

from collections.abc import Mapping
from typing import Any, Final, cast

import orjson

from nestling.api.json import JsonObject
from nestling.apiserver import protobuf
from nestling.apiserver.exchange import Request
from nestling.apiserver.outcome import Outcome
from nestling.apiserver.record import Place, Record
from nestling.apiserver.refusal import (
    Refusal,
    bad_request,
    is_forbidden,
    is_invalid,
    not_found,
    qualified,
    unsupported,
)
from nestling.apiserver.resource import Resource
from nestling.apiserver.state import State

NAMESPACES: Final = "namespaces"
FOREGROUND: Final = "foregroundDeletion"
ORPHAN: Final = "orphan"
PERMANENT: Final = ("default", "kube-system", "kube-public")
"""Namespaces that may not be deleted."""


class Deleter:
    """The verb delete, for clients and for garbage collection."""

    def __init__(self, state: State) -> None:
        self._state = state

    def delete(self, resource: Resource, place: Place, request: Request) -> Outcome:
        """DELETE of one object: at once, or a deletion timestamp while somebody holds it."""
        options = delete_options(request)
        record = self._state.get(resource, place)
        if record is None:
            raise not_found(resource.group, resource.plural, place[1])
        return self.delete_record(resource, record, options)

    def delete_record(self, resource: Resource, record: Record, options: Mapping[str, Any]) -> Outcome:
        """Delete one object on `options`. Raises Refusal when its preconditions do not hold."""
        state = self._state
        stored = state.registry.stored(resource.storage) or resource
        self._check_preconditions(stored, record, options.get("preconditions") or {})
        if stored.storage == NAMESPACES and record.place[1] in PERMANENT:
            raise is_forbidden("", NAMESPACES, record.place[1], "this namespace may not be deleted")
        wanted = record.parse()
        meta = wanted["metadata"]
        finalizers = self._finalizers_of(stored, wanted, options)
        dry_run = "All" in (options.get("dryRun") or ())
        if not finalizers and not is_held(wanted):
            if dry_run:
                return Outcome(record.data, deleted=True)
            return Outcome(state.erase(stored, record), deleted=True)
        old = list(meta.get("finalizers") or ())
        if "deletionTimestamp" in meta and finalizers == old:
            return Outcome(record.data)
        if finalizers:
            meta["finalizers"] = finalizers
        if "deletionTimestamp" not in meta:
            meta["deletionTimestamp"] = state.now()
            if stored.storage == NAMESPACES:
                wanted["status"] = {**(wanted.get("status") or {}), "phase": "Terminating"}
            else:
                meta["deletionGracePeriodSeconds"] = 0
            if meta.get("generation"):
                meta["generation"] += 1
        if dry_run:
            return Outcome(orjson.dumps(wanted))
        return Outcome(state.write(stored, wanted, record, "delete").data)

    def _finalizers_of(self, resource: Resource, body: JsonObject, options: Mapping[str, Any]) -> list[str]:
        """The finalizers that a deletion with `options` leaves on the object."""
        finalizers: list[str] = list(body["metadata"].get("finalizers") or ())
        policy = options.get("propagationPolicy")
        if policy is None and (orphan := options.get("orphanDependents")) is not None:
            policy = "Orphan" if orphan else "Background"
        if policy is None:
            return finalizers
        kept = [name for name in finalizers if name not in (FOREGROUND, ORPHAN)]
        match policy:
            case "Foreground":
                return [*kept, FOREGROUND]
            case "Orphan":
                return [*kept, ORPHAN]
            case "Background":
                return kept
            case _:
                choices = ("Background", "Foreground", "Orphan", "nil")
                found = [unsupported("propagationPolicy", policy, choices)]
                raise is_invalid("", "DeleteOptions", "", found)

    def _check_preconditions(
        self, resource: Resource, record: Record, preconditions: Mapping[str, Any]
    ) -> None:
        uid, revision = preconditions.get("uid"), preconditions.get("resourceVersion")
        if uid and uid != record.uid:
            why = (
                f"the UID in the precondition ({uid}) does not match the UID in record ({record.uid}). "
                "The object might have been deleted and then recreated"
            )
        elif revision and revision != str(record.revision):
            why = (
                f"the ResourceVersion in the precondition ({revision}) does not match the ResourceVersion in "
                f"record ({record.revision}). The object might have been modified"
            )
        else:
            return
        details: JsonObject = {"name": record.place[1], "kind": resource.kind}
        if resource.group:
            details["group"] = resource.group
        subject = f'{qualified(resource.group, resource.kind)} "{record.place[1]}"'
        raise Refusal(409, f"Operation cannot be fulfilled on {subject}: {why}", details=details)


def is_held(body: JsonObject) -> bool:
    """Whether a namespace still waits for its content to go."""
    if body.get("kind") != "Namespace" or body.get("apiVersion") != "v1":
        return False
    return bool((body.get("spec") or {}).get("finalizers"))


def delete_options(request: Request) -> JsonObject:
    """The options of a deletion, from the body or the query. Raises Refusal for what is not an object."""
    options: JsonObject = {}
    if request.body.strip():
        binary = request.content_type == protobuf.CONTENT_TYPE
        try:
            value = protobuf.decode(request.body) if binary else orjson.loads(request.body)
        except ValueError as error:
            raise bad_request(
                f"couldn't get version/kind; {'' if binary else 'json '}parse error: {error}"
            ) from error
        if not isinstance(value, dict):
            raise bad_request("DeleteOptions must be an object")
        options = cast("JsonObject", value)
    query = request.query
    if "propagationPolicy" in query:
        options.setdefault("propagationPolicy", query["propagationPolicy"])
    if "orphanDependents" in query:
        options.setdefault("orphanDependents", request.flag("orphanDependents"))
    if query.get("dryRun"):
        options.setdefault("dryRun", [query["dryRun"]])
    return options
