"""Whether a complete object may be stored: schema, keyed lists, scale, CEL rules, a resource's own checks.

On an update, a complaint about a part that did not change is dropped, so that an object from before a
stricter schema can still be worked with.
Source: Kubernetes 1.37, apiextensions-apiserver/pkg/registry/customresource (strategy, validator,
ratcheting).
"""

import re
from dataclasses import replace
from typing import Any, Final

from nestling.api.json import JsonObject
from nestling.apiserver.refusal import Violation, invalid, quoted
from nestling.apiserver.resource import Resource
from nestling.apiserver.state import value_at

BLOCKING: Final = frozenset(
    {
        "FieldValueNotSupported",
        "FieldValueRequired",
        "FieldValueTooLong",
        "FieldValueTooMany",
        "FieldValueTypeInvalid",
    }
)
"""Complaints after which CEL rules are not asked: they could not rely on the shape of the object."""

NOT_CHECKED: Final = Violation(
    "FieldValueInvalid",
    "<nil>",
    "Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation",
)


def judge(
    resource: Resource,
    new: JsonObject,
    old: JsonObject | None,
    earlier: list[Violation],
    repeated: list[Violation],
    *,
    subresource: str = "",
) -> list[Violation]:
    """What is wrong with `new`, apart from its metadata (`earlier`) and keyed lists (`repeated`)."""
    found = resource.schema.check(new)
    if subresource == "status" and resource.custom:
        found = [_within_status(violation) for violation in found if violation.field.startswith("status")]
    else:
        found += _check_scale(resource, new)
    found += resource.check(new, old)
    found += repeated
    if found and old is not None and resource.custom:
        found = [violation for violation in found if not _unchanged(violation, new, old)]
    if resource.rules is not None:
        if any(violation.reason in BLOCKING for violation in (*earlier, *found)):
            found.append(NOT_CHECKED)
        else:
            found += resource.rules.check(new, old)
    return found


def _within_status(violation: Violation) -> Violation:
    """The sentence counts its path from the status, as this endpoint has always done."""
    return replace(violation, message=violation.message.replace(": status.", ": ", 1))


def _check_scale(resource: Resource, new: JsonObject) -> list[Violation]:
    """A scale's numbers are non-negative 32-bit integers whatever the schema says."""
    if resource.scale is None:
        return []
    found: list[Violation] = []
    for path in (resource.scale.spec, resource.scale.status):
        value = value_at(new, path)
        where = "." + ".".join(path)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            shown = value if isinstance(value, str) else quoted(value)
            type_ = _GO_TYPES.get(type(value), "unknown")
            found.append(
                invalid(where, 0, f"{where} accessor error: {shown} is of the type {type_}, expected int64")
            )
        elif value < 0:
            found.append(invalid(where, value, "should be a non-negative integer"))
        elif value > 2**31 - 1:
            found.append(invalid(where, value, f"should be less than or equal to {2**31 - 1}"))
    return found


_GO_TYPES: Final = {
    str: "string",
    float: "float64",
    bool: "bool",
    dict: "map[string]interface {}",
    list: "[]interface {}",
}
_STEP: Final = re.compile(r"[^.\[\]]+|\[\d+\]")


def _unchanged(violation: Violation, new: Any, old: Any) -> bool:
    """Whether the value a complaint is about equals the old one at the same place."""
    if violation.field == "<nil>":
        return False
    for step in _STEP.findall(violation.field):
        if new == old and isinstance(new, (dict, list)) and new:
            return True
        match new, old:
            case dict(), dict():
                if step not in new and step not in old:
                    return new == old
                if step not in new or step not in old:
                    return False
                new, old = new[step], old[step]
            case list(), list():
                index = int(step[1:-1])
                if index >= len(new) or index >= len(old):
                    return False
                new, old = new[index], old[index]
            case _:
                return new == old
    return new == old
