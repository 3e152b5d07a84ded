"""The types of JSON at its boundary: what came off the wire, before anything has looked at it."""

from typing import Any, TypeAlias

JsonValue: TypeAlias = Any
JsonObject: TypeAlias = dict[str, Any]
