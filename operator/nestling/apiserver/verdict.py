"""The sentences of schema validation: what the Rust validator found, in kube-apiserver's words.

Only an invalid object comes here, so this may take its time.
Source: Kubernetes 1.37, k8s.io/kube-openapi/pkg/validation and
apiextensions-apiserver/pkg/apiserver/validation.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import jsonschema_rs
import orjson

from nestling.api.json import JsonObject
from nestling.apiserver.refusal import (
    Violation,
    invalid,
    required,
    too_long,
    too_many,
    type_invalid,
    unsupported,
)

_TYPES: Final = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
}


def path_text(path: Sequence[str | int]) -> str:
    """`spec.ports[0].name` of `["spec", "ports", 0, "name"]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


def type_name(value: Any) -> str:
    """The JSON type of a value, as the sentences call it."""
    return "null" if value is None else _TYPES[type(value)]


def number(value: Any) -> str:
    """A bound without a needless fraction."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _at(body: Any, path: Sequence[str | int]) -> Any:
    for step in path:
        body = body[step]
    return body


def _is_int32_bound(limit: Any) -> bool:
    return limit in (-(2**31), 2**31 - 1)


def violations(errors: Iterable[jsonschema_rs.ValidationError], body: JsonObject) -> list[Violation]:
    """Put every error into words, in the order of paths."""
    found: list[Violation] = []
    for error in errors:
        path: list[str | int] = list(error.instance_path)
        found.extend(_sentence(error, path, _at(body, path)))
    # The validator walks in its own order; keep what belongs together together, each sentence once.
    return list(dict.fromkeys(found))


def _sentence(error: jsonschema_rs.ValidationError, path: list[str | int], value: Any) -> list[Violation]:
    where = path_text(path)
    subject = f"{where} in body" if where else "in body"
    kind = error.kind
    given: Any = kind.as_dict()
    match kind.name:
        case "required":
            return [required(path_text([*path, given["property"]]))]
        case "type":
            wanted = [name for name in given["types"] if name != "null"]
            # Upstream lists integer before string; the validator's own order is by its bit set.
            name = ",".join(sorted(wanted))
            actual = type_name(value)
            return [type_invalid(where, actual, f'{subject} must be of type {name}: "{actual}"')]
        case "enum":
            options = [option for option in given["options"] if option is not None]
            texts = [
                option if isinstance(option, str) else orjson.dumps(option).decode() for option in options
            ]
            return [unsupported(where, value, texts)]
        case "maximum" | "minimum" if _is_int32_bound(given["limit"]):
            return [
                Violation(
                    "FieldValueInvalid",
                    "<nil>",
                    f'Invalid value: "": Checked value must be of type integer with format int32 in {where}',
                )
            ]
        case "minimum":
            text = f"should be greater than or equal to {number(given['limit'])}"
        case "maximum":
            text = f"should be less than or equal to {number(given['limit'])}"
        case "exclusiveMinimum":
            text = f"should be greater than {number(given['limit'])}"
        case "exclusiveMaximum":
            text = f"should be less than {number(given['limit'])}"
        case "multipleOf":
            text = f"should be a multiple of {number(given['multiple_of'])}"
        case "pattern":
            text = f"should match '{given['pattern']}'"
        case "minLength":
            text = f"should be at least {given['limit']} chars long"
        case "maxLength":
            return [too_long(where, given["limit"])]
        case "minItems":
            text = f"should have at least {given['limit']} items"
        case "maxItems" | "maxProperties":
            return [too_many(where, len(value), given["limit"])]
        case "minProperties":
            text = f"should have at least {given['limit']} properties"
        case "uniqueItems":
            text = "shouldn't contain duplicates"
        case "format":
            text = f"must be of type {given['format']}: {orjson.dumps(value).decode()}"
            return [type_invalid(where, value, f"{subject} {text}")]
        case "anyOf":
            return [_combined(where, value, "must validate at least one schema (anyOf)")]
        case "oneOf" | "oneOfNotValid" | "oneOfMultipleValid":
            return [_combined(where, value, "must validate one and only one schema (oneOf)")]
        case "not":
            return [_combined(where, value, "must not validate the schema (not)")]
        case _:
            text = error.message
    return [invalid(where, value, f"{subject} {text}")]


def _combined(where: str, value: Any, rule: str) -> Violation:
    quoted_path = f'"{where}"'
    return Violation("FieldValueInvalid", "<nil>", f'Invalid value: "": {quoted_path} {rule}')
