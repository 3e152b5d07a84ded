"""The errors of the API: `Status` objects with code, reason, message and causes, in kube-apiserver's words.

Anything below the core raises `Refusal`; the core turns it into an answer. The sentences are declared here
once.
Source: Kubernetes 1.37, k8s.io/apimachinery/pkg/api/errors/errors.go and pkg/util/validation/field/errors.go.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from nestling.api.json import JsonObject
from nestling.apiserver.exchange import Response

REASONS: Final = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    409: "Conflict",
    410: "Expired",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing wrong with one field: the machine's reason, the path, and the sentence."""

    reason: str
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"

    def cause(self) -> JsonObject:
        """The form inside `Status.details.causes`."""
        return {"reason": self.reason, "message": self.message, "field": self.field}


def quoted(value: Any) -> str:
    """A value as Go prints it in a field error: JSON, with text in quotes."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def invalid(path: str, value: Any, detail: str) -> Violation:
    """`path: Invalid value: <value>: <detail>`."""
    return Violation("FieldValueInvalid", path, f"Invalid value: {quoted(value)}: {detail}")


def required(path: str, detail: str = "") -> Violation:
    """`path: Required value[: <detail>]`."""
    return Violation("FieldValueRequired", path, f"Required value: {detail}" if detail else "Required value")


def forbidden(path: str, detail: str) -> Violation:
    """`path: Forbidden: <detail>`."""
    return Violation("FieldValueForbidden", path, f"Forbidden: {detail}")


def duplicate(path: str, value: Any) -> Violation:
    """`path: Duplicate value: <value>`."""
    return Violation("FieldValueDuplicate", path, f"Duplicate value: {quoted(value)}")


def unsupported(path: str, value: Any, supported: Sequence[str]) -> Violation:
    """`path: Unsupported value: <value>: supported values: ...`."""
    choices = ", ".join(quoted(choice) for choice in supported)
    return Violation(
        "FieldValueNotSupported", path, f"Unsupported value: {quoted(value)}: supported values: {choices}"
    )


def type_invalid(path: str, value: Any, detail: str) -> Violation:
    """As `invalid`, for a value of the wrong type."""
    return Violation("FieldValueTypeInvalid", path, f"Invalid value: {quoted(value)}: {detail}")


def too_long(path: str, limit: int) -> Violation:
    """`path: Too long: may not be more than <limit> bytes`."""
    return Violation("FieldValueTooLong", path, f"Too long: may not be more than {limit} bytes")


def too_many(path: str, actual: int, limit: int) -> Violation:
    """`path: Too many: <actual>: must have at most <limit> items`."""
    noun = "item" if limit == 1 else "items"
    return Violation("FieldValueTooMany", path, f"Too many: {actual}: must have at most {limit} {noun}")


class Refusal(Exception):
    """The server's no. Carries everything the `Status` object needs."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        reason: str | None = None,
        details: JsonObject | None = None,
        retry_after: int | None = None,
        plain: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = REASONS.get(code, "") if reason is None else reason
        self.details = details
        self.retry_after = retry_after
        self.plain = plain
        self.list_continue = ""
        """For an expired list: the token with which to go on, inconsistently."""

    def status(self) -> JsonObject:
        """The `Status` object."""
        status: JsonObject = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {"continue": self.list_continue} if self.list_continue else {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        details = dict(self.details or {})
        if self.retry_after is not None:
            details["retryAfterSeconds"] = self.retry_after
        if details:
            status["details"] = details
        status["code"] = self.code
        return status

    def response(self) -> Response:
        """The whole answer."""
        if self.plain:
            return Response(self.code, f"{self.message}\n".encode(), content_type="text/plain; charset=utf-8")
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return Response(self.code, orjson.dumps(self.status()), headers=headers)


def _details(group: str, resource: str, name: str, **more: Any) -> JsonObject:
    details: JsonObject = {"name": name} if name else {}
    if group:
        details["group"] = group
    return {**details, "kind": resource, **more}


def qualified(group: str, resource: str) -> str:
    """`resource.group`, or the bare resource in the core group."""
    return f"{resource}.{group}" if group else resource


def no_such_path() -> Refusal:
    """What the server says of a path that nothing serves."""
    return Refusal(404, "404 page not found", plain=True)


def not_found(group: str, resource: str, name: str) -> Refusal:
    """The object does not exist."""
    return Refusal(
        404, f'{qualified(group, resource)} "{name}" not found', details=_details(group, resource, name)
    )


def already_exists(group: str, resource: str, name: str) -> Refusal:
    """An object of that name exists."""
    return Refusal(
        409,
        f'{qualified(group, resource)} "{name}" already exists',
        reason="AlreadyExists",
        details=_details(group, resource, name),
    )


MODIFIED: Final = (
    "the object has been modified; please apply your changes to the latest version and try again"
)


def conflict(group: str, resource: str, name: str, why: str = MODIFIED) -> Refusal:
    """The caller decided on another version of the object."""
    return Refusal(
        409,
        f'Operation cannot be fulfilled on {qualified(group, resource)} "{name}": {why}',
        details=_details(group, resource, name),
    )


def is_forbidden(
    group: str, resource: str, name: str, why: str, causes: Sequence[JsonObject] = ()
) -> Refusal:
    """The operation is not allowed on this object."""
    more = {"causes": list(causes)} if causes else {}
    return Refusal(
        403,
        f'{qualified(group, resource)} "{name}" is forbidden: {why}',
        details=_details(group, resource, name, **more),
    )


def is_invalid(group: str, kind: str, name: str, violations: Sequence[Violation]) -> Refusal:
    """The object breaks rules; every broken one is named."""
    # A sentence that several validators find is said once, while the causes keep their number.
    said = list(dict.fromkeys(str(violation) for violation in violations))
    text = said[0] if len(said) == 1 else f"[{', '.join(said)}]"
    return Refusal(
        422,
        f'{qualified(group, kind)} "{name}" is invalid: {text}',
        details=_details(group, kind, name, causes=[violation.cause() for violation in violations]),
    )


def bad_request(message: str) -> Refusal:
    """The request itself makes no sense."""
    return Refusal(400, message)


def method_not_allowed() -> Refusal:
    """The resource does not have this verb."""
    return Refusal(405, "the server does not allow this method on the requested resource")


def unknown_media_type(accepted: Sequence[str]) -> Refusal:
    """The body came in a form that this resource does not read."""
    return Refusal(
        415,
        "the body of the request was in an unknown format - accepted media types include: "
        + ", ".join(accepted),
    )


def expired(message: str) -> Refusal:
    """The history that was asked for is gone."""
    return Refusal(410, message)
