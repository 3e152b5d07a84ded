"""JSON at its boundary: types of what came off the wire, before anything looked at it, and bytes to keep."""

from typing import Any, TypeAlias

import orjson

JsonValue: TypeAlias = Any
JsonObject: TypeAlias = dict[str, Any]


def packed(value: JsonValue) -> bytes:
    """JSON to keep for long. A copy: orjson leaves its output in a buffer of up to twice the size."""
    return bytes(memoryview(orjson.dumps(value)))
