"""From the bytes of a request to an object that may be stored: decoding, identity, pruning, defaults.

Unknown and duplicate fields are refused, warned of or ignored, as `fieldValidation` says.
Source: Kubernetes 1.37, k8s.io/apiserver/pkg/endpoints/handlers and apiextensions-apiserver's decoder.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import orjson
import yaml

from nestling.api.json import JsonObject
from nestling.apiserver import metadata, protobuf
from nestling.apiserver.exchange import JSON_TYPE, Request
from nestling.apiserver.refusal import (
    Refusal,
    Violation,
    bad_request,
    invalid,
    is_invalid,
    unknown_media_type,
)
from nestling.apiserver.resource import Resource

MAX_BODY: Final = 3 * 1024 * 1024
YAML_TYPE: Final = "application/yaml"
_FIELD_VALIDATION: Final = ("Ignore", "Warn", "Strict")


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """The query parameters every write understands."""

    dry_run: bool
    field_validation: str
    manager: str

    @classmethod
    def of(cls, request: Request, kind: str = "CreateOptions") -> "WriteOptions":
        """Read and check them. Raises Refusal for values that do not exist."""
        query = request.query
        found: list[Violation] = []
        dry_run = query.get("dryRun")
        if dry_run is not None and dry_run not in ("All", ""):
            message = f'Unsupported value: "{dry_run}": supported values: "All"'
            found.append(Violation("FieldValueNotSupported", "dryRun", message))
        mode = query.get("fieldValidation") or "Warn"
        if mode not in _FIELD_VALIDATION:
            message = f'Unsupported value: "{mode}": supported values: "Ignore", "Strict", "Warn"'
            found.append(Violation("FieldValueNotSupported", "fieldValidation", message))
        if found:
            raise is_invalid("meta.k8s.io", kind, "", found)
        return cls(bool(dry_run), mode, request.manager)


def _duplicates(body: bytes) -> list[str]:
    """The paths of fields that occur twice in one object, in the order of the text."""
    found: list[str] = []

    class Pairs(list[tuple[str, Any]]):
        """An object as its pairs, so that nothing is lost."""

    def search(value: Any, path: str) -> None:
        if isinstance(value, Pairs):
            seen: set[str] = set()
            for key, item in value:
                here = f"{path}.{key}" if path else key
                if key in seen:
                    found.append(here)
                seen.add(key)
                search(item, here)
        elif isinstance(value, list):
            for index, item in enumerate(cast("list[Any]", value)):
                search(item, f"{path}[{index}]")

    search(json.loads(body, object_pairs_hook=Pairs), "")
    return found


def decode(request: Request, resource: Resource) -> tuple[JsonObject, list[str]]:
    """Parse the body; answer the object and the fields that were given twice.

    Raises Refusal for what is not an object of JSON or YAML.
    """
    body = request.body
    if len(body) > MAX_BODY:
        raise Refusal(413, f"Request entity too large: limit is {MAX_BODY}")
    content_type = request.content_type
    unrecognized = f"the object provided is unrecognized (must be of type {resource.kind}): "
    if content_type == YAML_TYPE:
        try:
            value = yaml.safe_load(body)
            body = orjson.dumps(value)
        except (yaml.YAMLError, TypeError) as error:
            raise bad_request(
                f"{unrecognized}couldn't get version/kind; yaml parse error: {error}"
            ) from error
    elif content_type == protobuf.CONTENT_TYPE and not resource.custom:
        try:
            return protobuf.decode(body), []
        except ValueError as error:
            raise bad_request(f"{unrecognized}{error}") from error
    elif content_type != JSON_TYPE:
        accepted = (
            (JSON_TYPE, YAML_TYPE) if resource.custom else (JSON_TYPE, YAML_TYPE, protobuf.CONTENT_TYPE)
        )
        raise unknown_media_type(accepted)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        shown = body[:60].decode(errors="replace")
        raise bad_request(
            f"{unrecognized}couldn't get version/kind; json parse error: {error} ({shown})"
        ) from error
    if not isinstance(value, dict):
        raise bad_request(f"{unrecognized}couldn't get version/kind; json parse error: not an object")
    return cast("JsonObject", value), repeated_fields(body, value)


def repeated_fields(body: bytes, value: Any) -> list[str]:
    """Fields given twice in `body`, whose parsed form is `value`."""
    # A compact text without repetitions is as long as what we would write: only others need a slow look.
    if len(orjson.dumps(value)) == len(body):
        return []
    return _duplicates(body)


def identify(body: JsonObject, resource: Resource, request: Request) -> None:
    """Check that the object is of the resource's kind and version. Raises Refusal."""
    kind, api_version = body.get("kind"), body.get("apiVersion")
    unrecognized = f"the object provided is unrecognized (must be of type {resource.kind}): "
    for name, value in (("Kind", kind), ("apiVersion", api_version)):
        if not value or not isinstance(value, str):
            if not resource.custom and not kind and not api_version:
                body["kind"], body["apiVersion"] = resource.kind, resource.api_version
                return
            text = request.body[:200].decode(errors="replace")
            shown = f"{text[:40]} ..." if len(text) > 40 else text
            raise bad_request(f"{unrecognized}Object '{name}' is missing in '{text}' ({shown})")
    if api_version != resource.api_version:
        raise bad_request(
            f"the API version in the data ({api_version}) does not match the expected API version "
            f"({resource.api_version})"
        )
    if kind != resource.kind:
        meta = body.get("metadata")
        name = meta.get("name", "") if isinstance(meta, dict) else ""
        if not resource.custom:
            raise bad_request(
                f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
                f'no kind "{kind}" is registered for version "{api_version}"'
            )
        raise is_invalid(resource.group, str(kind), name, [invalid("kind", kind, f"must be {resource.kind}")])


def locate(body: JsonObject, namespace: str, name: str | None) -> None:
    """Check metadata against the URL and fill in what the URL says. Raises Refusal."""
    meta = body["metadata"]
    given = meta.get("namespace") or ""
    if given and given != namespace:
        raise bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    if namespace:
        meta["namespace"] = namespace
    else:
        meta.pop("namespace", None)
    if name is not None:
        told = meta.get("name") or ""
        if told and told != name:
            raise bad_request(f"the name of the object ({told}) does not match the name on the URL ({name})")
        if not told:
            meta["name"] = name


def admit(
    body: JsonObject, resource: Resource, repeated: list[str], options: WriteOptions
) -> tuple[list[Violation], tuple[str, ...]]:
    """Prune and default `body` in place; answer duplicates in keyed lists, and warnings.

    Raises Refusal under Strict when a field is unknown or was given twice.
    """
    unknown = metadata.admit(body, resource.kind, resource.version)
    findings = resource.schema.admit(body)
    unknown += findings.unknown
    complaints = [f'duplicate field "{path}"' for path in repeated]
    complaints += [f'unknown field "{path}"' for path in sorted(unknown)]
    if complaints and options.field_validation == "Strict":
        raise bad_request(
            f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
            f"strict decoding error: {', '.join(complaints)}"
        )
    warnings = tuple(complaints) if options.field_validation == "Warn" else ()
    return findings.duplicates, warnings


def without(body: Mapping[str, Any], *keys: str) -> JsonObject:
    """A shallow copy without some top-level fields."""
    return {key: value for key, value in body.items() if key not in keys}
