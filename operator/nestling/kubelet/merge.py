"""The smallest merge patch that turns one piece of JSON into another.

Objects are compared field by field, lists as a whole (a merge patch knows nothing finer), and what is
gone becomes null. Source: RFC 7386.
"""

from collections.abc import Mapping
from typing import Any

from nestling.api.json import JsonObject


def merge_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> JsonObject:
    """Fields of `new` that differ from `old`, and null for those `new` no longer has; empty if they are
    equal.
    """
    patch: JsonObject = {}
    for name, value in new.items():
        before = old.get(name)
        if before == value and (value is not None or name not in old):
            continue
        if isinstance(value, dict) and isinstance(before, dict):
            patch[name] = merge_patch(before, value)
        elif value is not None:
            patch[name] = value
    for name in old:
        if new.get(name) is None:
            patch[name] = None
    return patch
