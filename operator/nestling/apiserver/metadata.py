"""What every object's metadata must satisfy, at creation and at each change, in kube-apiserver's words.

Source: Kubernetes 1.37, k8s.io/apimachinery/pkg/api/validation/objectmeta.go and pkg/util/validation.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from nestling.api.json import JsonObject
from nestling.apiserver.refusal import (
    Violation,
    bad_request,
    forbidden,
    invalid,
    required,
    too_long,
)
from nestling.apiserver.schema import METADATA, Schema

_SUBDOMAIN: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED: Final = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE: Final = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
_is_subdomain: Final = re.compile(_SUBDOMAIN, re.ASCII).fullmatch
_is_label: Final = re.compile(_LABEL, re.ASCII).fullmatch
_is_qualified: Final = re.compile(_QUALIFIED, re.ASCII).fullmatch
_is_value: Final = re.compile(_VALUE, re.ASCII).fullmatch

SUBDOMAIN_TEXT: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character "
    f"(e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
LABEL_TEXT: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    "and must start and end with an alphanumeric character "
    f"(e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
QUALIFIED_TEXT: Final = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    f"character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_QUALIFIED}')"
)
KEY_TEXT: Final = (
    f"a valid label key {QUALIFIED_TEXT} "
    "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
)
VALUE_TEXT: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character "
    f"(e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '{_VALUE}')"
)
ANNOTATIONS_LIMIT: Final = 256 * 1024
GENERATED_LIMIT: Final = 63
"""A generated name is cut so that it still fits a label with its five random letters."""
SUFFIX_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"

NameCheck = Callable[[str], list[str]]


def subdomain(name: str) -> list[str]:
    """Complaints about a name that must be a DNS-1123 subdomain."""
    complaints = [f"must be no more than {253} bytes"] if len(name) > 253 else []
    return complaints if _is_subdomain(name) else [*complaints, SUBDOMAIN_TEXT]


def label(name: str) -> list[str]:
    """Complaints about a name that must be a DNS-1123 label."""
    complaints = ["must be no more than 63 bytes"] if len(name) > 63 else []
    if _is_label(name):
        return complaints
    return [*complaints, "must not contain dots" if _is_subdomain(name) else LABEL_TEXT]


def path_segment(name: str) -> list[str]:
    """Complaints about a name that only has to fit into a URL."""
    if name in (".", ".."):
        return [f"may not be '{name}'"]
    return [f"may not contain '{sign}'" for sign in "/%" if sign in name]


def qualified_name(key: str) -> list[str]:
    """Complaints about a label or annotation key, or a finalizer: `[prefix/]name`."""
    prefix, slash, name = key.rpartition("/")
    complaints: list[str] = []
    if slash:
        if "/" in prefix:
            return [KEY_TEXT]
        if not prefix:
            complaints.append("prefix part must be non-empty")
        else:
            complaints += [f"prefix part {text}" for text in subdomain(prefix)]
    if not name:
        complaints.append("name part must be non-empty")
    elif len(name) > 63:
        complaints.append("name part must be no more than 63 bytes")
    if not _is_qualified(name):
        complaints.append(f"name part {QUALIFIED_TEXT}")
    return complaints


def label_value(value: str) -> list[str]:
    """Complaints about the value of a label."""
    complaints = ["must be no more than 63 bytes"] if len(value) > 63 else []
    return complaints if _is_value(value) else [*complaints, VALUE_TEXT]


def check(meta: JsonObject, *, namespaced: bool, name_check: NameCheck = subdomain) -> list[Violation]:
    """What is wrong with the metadata of a complete object."""
    found: list[Violation] = []
    name = meta.get("name", "")
    if generate := meta.get("generateName"):
        # A prefix may end in a hyphen: the random letters come after it.
        prefix = f"{generate[:-1]}a" if generate.endswith("-") else generate
        found += [invalid("metadata.generateName", generate, text) for text in name_check(prefix)]
    if not name:
        found.append(required("metadata.name", "name or generateName is required"))
    else:
        found += [invalid("metadata.name", name, text) for text in name_check(name)]
    if namespaced:
        found += [
            invalid("metadata.namespace", meta.get("namespace", ""), text)
            for text in label(meta.get("namespace", ""))
        ]
    elif meta.get("namespace"):
        found.append(forbidden("metadata.namespace", "not allowed on this type"))
    for key, value in (meta.get("labels") or {}).items():
        found += [invalid("metadata.labels", key, text) for text in qualified_name(key)]
        found += [invalid("metadata.labels", value, text) for text in label_value(value)]
    annotations = meta.get("annotations") or {}
    for key in annotations:
        found += [invalid("metadata.annotations", key, text) for text in qualified_name(key.lower())]
    if sum(len(key) + len(value) for key, value in annotations.items()) > ANNOTATIONS_LIMIT:
        found.append(too_long("metadata.annotations", ANNOTATIONS_LIMIT))
    found += _check_owners(meta.get("ownerReferences") or [])
    for finalizer in meta.get("finalizers") or []:
        found += [invalid("metadata.finalizers", finalizer, text) for text in qualified_name(finalizer)]
    return found


def _check_owners(owners: list[JsonObject]) -> list[Violation]:
    found: list[Violation] = []
    controllers: list[JsonObject] = []
    for index, owner in enumerate(owners):
        path = f"metadata.ownerReferences[{index}]"
        found += [
            required(f"{path}.{key}", "must not be empty")
            for key in ("apiVersion", "kind", "name", "uid")
            if not owner.get(key)
        ]
        if owner.get("apiVersion") == "v1" and owner.get("kind") == "Event":
            found.append(invalid(path, owner, "/v1, Kind=Event is disallowed from being an owner"))
        if owner.get("controller"):
            controllers.append(owner)
    if len(controllers) > 1:
        first, second = controllers[0].get("name"), controllers[1].get("name")
        found.append(
            invalid(
                "metadata.ownerReferences",
                owners,
                "Only one reference can have Controller set to true. "
                f'Found "true" in references for {first} and {second}',
            )
        )
    return found


IMMUTABLE: Final = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)


def check_update(new: JsonObject, old: JsonObject) -> list[Violation]:
    """What is wrong with a change of metadata; what the server owns must already be filled in."""
    found: list[Violation] = []
    if old.get("deletionTimestamp"):
        added = sorted(set(new.get("finalizers") or ()) - set(old.get("finalizers") or ()))
        if added:
            shown = ", ".join(f'"{name}"' for name in added)
            found.append(
                forbidden(
                    "metadata.finalizers",
                    "no new finalizers can be added if the object is being deleted, "
                    f"found new finalizers []string{{{shown}}}",
                )
            )
    found += [
        invalid(f"metadata.{key}", new.get(key), "field is immutable")
        for key in IMMUTABLE
        if new.get(key) != old.get(key)
    ]
    return found


_SCHEMA: Final = Schema({"type": "object", "properties": {"meta": METADATA}})
_GO_TYPES: Final = {
    "object": "map[string]string",
    "array": "[]string",
    "string": "string",
    "integer": "int64",
    "boolean": "bool",
}
_JSON_WORDS: Final = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "bool",
    int: "number",
    float: "number",
}


def admit(body: JsonObject, kind: str, version: str) -> list[str]:
    """Prune `body["metadata"]` in place and answer the paths of unknown fields.

    Raises Refusal when a field has the wrong type: nothing sensible can be done with such an object.
    """
    meta = body.get("metadata")
    if meta is None:
        body["metadata"] = {}
        return []
    wrapped: JsonObject = {"meta": meta}
    findings = _SCHEMA.admit(wrapped)
    if wrong := _SCHEMA.check(wrapped):
        cannot = f'{kind} in version "{version}" cannot be handled as a {kind}: '
        field = wrong[0].field.removeprefix("meta").lstrip(".") or "metadata"
        value = _value_at(wrapped, wrong[0].field)
        word = _JSON_WORDS.get(type(value), "null")
        raise bad_request(
            f"{cannot}json: cannot unmarshal {word} into Go struct field ObjectMeta.{_field_name(field)} "
            f"of type {_wanted(field)}"
        )
    return [path.replace("meta", "metadata", 1) for path in findings.unknown]


def _value_at(body: Any, path: str) -> Any:
    for step in re.findall(r"[^.\[\]]+", path):
        match body:
            case dict():
                body = body.get(step)
            case list():
                body = body[int(step)]
            case _:
                return body
    return body


def _field_name(path: str) -> str:
    return re.split(r"[.\[]", path)[0] if path.startswith(("labels", "annotations", "finalizers")) else path


def _wanted(path: str) -> str:
    first = re.split(r"[.\[]", path)[0]
    spec = METADATA["properties"].get(first, {})
    if path != first and first in ("labels", "annotations", "finalizers"):
        return "string"
    return _GO_TYPES.get(spec.get("type", "string"), "string")


def owner_uids(meta: JsonObject) -> tuple[str, ...]:
    """The UIDs of the owners."""
    owners = meta.get("ownerReferences")
    return tuple(owner["uid"] for owner in owners) if owners else ()
