"""Protocol buffers of the built-in kinds that typed Go clients send that way, `kubectl create` above all.

Only reading: answers are JSON, which every such client also accepts. A message is described by its field
numbers. `field` writes, for the one document that is asked for in no other form.
Source: Kubernetes 1.37, the generated.proto files of k8s.io/api and k8s.io/apimachinery.
"""

import base64
import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from nestling.api.json import JsonObject
from nestling.machinery.clock import timestamp, timestamp_micro

CONTENT_TYPE: Final = "application/vnd.kubernetes.protobuf"
MAGIC: Final = b"k8s\x00"

Message: TypeAlias = Mapping[int, tuple[str, Any]]
"""By field number: the JSON name, and the type: a word, or the message of a nested one.

Words: `text`, `int`, `bool`, `bytes`, `time`, `micro`; with `*` in front a list, with `%` a map from text.
"""

_OWNER: Final[Message] = {
    1: ("kind", "text"),
    3: ("name", "text"),
    4: ("uid", "text"),
    5: ("apiVersion", "text"),
    6: ("controller", "bool"),
    7: ("blockOwnerDeletion", "bool"),
}
_METADATA: Final[Message] = {
    1: ("name", "text"),
    2: ("generateName", "text"),
    3: ("namespace", "text"),
    4: ("selfLink", "text"),
    5: ("uid", "text"),
    6: ("resourceVersion", "text"),
    7: ("generation", "int"),
    8: ("creationTimestamp", "time"),
    9: ("deletionTimestamp", "time"),
    10: ("deletionGracePeriodSeconds", "int"),
    11: ("labels", "%text"),
    12: ("annotations", "%text"),
    13: ("ownerReferences", [_OWNER]),
    14: ("finalizers", "*text"),
}
_REFERENCE: Final[Message] = {
    1: ("kind", "text"),
    2: ("namespace", "text"),
    3: ("name", "text"),
    4: ("uid", "text"),
    5: ("apiVersion", "text"),
    6: ("resourceVersion", "text"),
    7: ("fieldPath", "text"),
}
_SOURCE: Final[Message] = {1: ("component", "text"), 2: ("host", "text")}
_SERIES: Final[Message] = {1: ("count", "int"), 2: ("lastObservedTime", "micro")}
_ATTRIBUTES: Final[Message] = {
    1: ("namespace", "text"),
    2: ("verb", "text"),
    3: ("group", "text"),
    4: ("version", "text"),
    5: ("resource", "text"),
    6: ("subresource", "text"),
    7: ("name", "text"),
}

MESSAGES: Final[Mapping[tuple[str, str], Message]] = {
    ("v1", "Namespace"): {
        1: ("metadata", _METADATA),
        2: ("spec", {1: ("finalizers", "*text")}),
        3: ("status", {1: ("phase", "text")}),
    },
    ("v1", "ConfigMap"): {
        1: ("metadata", _METADATA),
        2: ("data", "%text"),
        3: ("binaryData", "%bytes"),
        4: ("immutable", "bool"),
    },
    ("v1", "Secret"): {
        1: ("metadata", _METADATA),
        2: ("data", "%bytes"),
        3: ("type", "text"),
        4: ("stringData", "%text"),
        5: ("immutable", "bool"),
    },
    ("v1", "ServiceAccount"): {
        1: ("metadata", _METADATA),
        2: ("secrets", [_REFERENCE]),
        3: ("imagePullSecrets", [{1: ("name", "text")}]),
        4: ("automountServiceAccountToken", "bool"),
    },
    ("v1", "Event"): {
        1: ("metadata", _METADATA),
        2: ("involvedObject", _REFERENCE),
        3: ("reason", "text"),
        4: ("message", "text"),
        5: ("source", _SOURCE),
        6: ("firstTimestamp", "time"),
        7: ("lastTimestamp", "time"),
        8: ("count", "int"),
        9: ("type", "text"),
        10: ("eventTime", "micro"),
        11: ("series", _SERIES),
        12: ("action", "text"),
        13: ("related", _REFERENCE),
        14: ("reportingComponent", "text"),
        15: ("reportingInstance", "text"),
    },
    ("events.k8s.io/v1", "Event"): {
        1: ("metadata", _METADATA),
        2: ("eventTime", "micro"),
        3: ("series", _SERIES),
        4: ("reportingController", "text"),
        5: ("reportingInstance", "text"),
        6: ("action", "text"),
        7: ("reason", "text"),
        8: ("regarding", _REFERENCE),
        9: ("related", _REFERENCE),
        10: ("note", "text"),
        11: ("type", "text"),
        12: ("deprecatedSource", _SOURCE),
        13: ("deprecatedFirstTimestamp", "time"),
        14: ("deprecatedLastTimestamp", "time"),
        15: ("deprecatedCount", "int"),
    },
    ("coordination.k8s.io/v1", "Lease"): {
        1: ("metadata", _METADATA),
        2: (
            "spec",
            {
                1: ("holderIdentity", "text"),
                2: ("leaseDurationSeconds", "int"),
                3: ("acquireTime", "micro"),
                4: ("renewTime", "micro"),
                5: ("leaseTransitions", "int"),
                6: ("strategy", "text"),
                7: ("preferredHolder", "text"),
            },
        ),
    },
    ("v1", "DeleteOptions"): {
        1: ("gracePeriodSeconds", "int"),
        2: ("preconditions", {1: ("uid", "text"), 2: ("resourceVersion", "text")}),
        3: ("orphanDependents", "bool"),
        4: ("propagationPolicy", "text"),
        5: ("dryRun", "*text"),
    },
    ("authorization.k8s.io/v1", "SelfSubjectAccessReview"): {
        1: ("metadata", _METADATA),
        2: (
            "spec",
            {
                1: ("resourceAttributes", _ATTRIBUTES),
                2: ("nonResourceAttributes", {1: ("path", "text"), 2: ("verb", "text")}),
            },
        ),
    },
}
_ENVELOPE: Final[Message] = {1: ("type", {1: ("apiVersion", "text"), 2: ("kind", "text")}), 2: ("raw", "raw")}


def field(number: int, value: bytes) -> bytes:
    """One field to send: a text in UTF-8 or a nested message, of a number up to 15 and 127 bytes at most."""
    assert len(value) < 128, "a longer one needs a length of more than one byte"
    return bytes((number << 3 | 2, len(value))) + value


def decode(body: bytes) -> JsonObject:
    """The JSON of one object. Raises ValueError for what is not readable or of another kind."""
    if not body.startswith(MAGIC):
        raise ValueError("the body does not start as Kubernetes' protocol buffers do")
    try:
        envelope = _message(body[len(MAGIC) :], _ENVELOPE)
        identity = envelope.get("type") or {}
        api_version, kind = identity.get("apiVersion", ""), identity.get("kind", "")
        known = MESSAGES.get((api_version, kind)) or (
            MESSAGES["v1", kind] if kind == "DeleteOptions" else None
        )
        if known is None:
            raise ValueError(f"protocol buffers of {api_version} {kind} are not read here")
        return {"apiVersion": api_version, "kind": kind, **_message(envelope.get("raw", b""), known)}
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise ValueError(f"broken protocol buffer: {error}") from error


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    position, end = 0, len(data)
    while position < end:
        tag, position = _varint(data, position)
        match tag & 7:
            case 0:
                value, position = _varint(data, position)
                yield tag >> 3, value
            case 1:
                yield tag >> 3, data[position : position + 8]
                position += 8
            case 2:
                length, position = _varint(data, position)
                if position + length > end:
                    raise ValueError("broken protocol buffer: a field is longer than its message")
                yield tag >> 3, data[position : position + length]
                position += length
            case 5:
                yield tag >> 3, data[position : position + 4]
                position += 4
            case other:
                raise ValueError(f"broken protocol buffer: wire type {other}")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("broken protocol buffer: a number without end")


def _message(data: bytes, known: Message) -> JsonObject:
    found: JsonObject = {}
    for number, value in _fields(data):
        if number not in known:
            continue
        name, type_ = known[number]
        match type_:
            case list():
                found.setdefault(name, []).append(_message(_bytes(value), type_[0]))
            case str() if type_.startswith("*"):
                found.setdefault(name, []).append(_value(value, type_[1:]))
            case str() if type_.startswith("%"):
                entry = _message(_bytes(value), {1: ("key", "key"), 2: ("value", f"={type_[1:]}")})
                found.setdefault(name, {})[entry.get("key", "")] = entry.get("value", "")
            case str():
                read = _value(value, type_.removeprefix("="))
                # Go writes empty texts and zero times too; in JSON they are absent.
                if read not in ("", None) or type_.startswith("=") or type_ == "key":
                    found[name] = read
            case _:
                found[name] = _message(_bytes(value), type_)
    return found


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("broken protocol buffer: a number in the place of a message")
    return value


def _value(value: int | bytes, type_: str) -> Any:
    match type_:
        case "int":
            number = value if isinstance(value, int) else 0
            return number - 2**64 if number >= 2**63 else number
        case "bool":
            return bool(value)
        case "bytes":
            return base64.b64encode(_bytes(value)).decode()
        case "raw":
            return value
        case "time" | "micro":
            moment = _message(_bytes(value), {1: ("seconds", "int"), 2: ("nanos", "int")})
            seconds, nanos = moment.get("seconds", 0), moment.get("nanos", 0)
            if not seconds or seconds < -62_000_000_000:
                return None
            return timestamp(seconds) if type_ == "time" else timestamp_micro(seconds + nanos / 1e9)
        case _:
            return _bytes(value).decode()
