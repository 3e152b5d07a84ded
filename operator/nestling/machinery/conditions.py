"""Lists of conditions, as `status.conditions` carries them: set one by type and leave the others as they are.

Pure, and gives back a new list only if something changed, so that a loop can tell whether a write is due.
Source: Kubernetes 1.37, the condition helpers of pkg/api/v1/pod, pkg/util/node and apimachinery/pkg/api/meta.
"""

from collections.abc import Iterable
from typing import cast

from nestling.api.json import JsonObject
from nestling.machinery.clock import timestamp


def with_condition(conditions: Iterable[JsonObject], new: JsonObject, now: float) -> list[JsonObject]:
    """`conditions` with the one of `new`'s type replaced, in its place, or added at the end.

    `lastTransitionTime` moves to `now` (seconds since 1970) only when the status changes. Fields that `new`
    does not name are kept. The result equals `conditions` exactly when `new` says nothing new.
    """
    result: list[JsonObject] = []
    found = False
    for old in conditions:
        if old.get("type") != new["type"]:
            result.append(old)
            continue
        found = True
        merged = {**old, **new}
        if old.get("status") != new["status"] or "lastTransitionTime" not in old:
            merged["lastTransitionTime"] = timestamp(now)
        result.append(merged)
    if not found:
        result.append({**new, "lastTransitionTime": timestamp(now)})
    return result


def find_condition(conditions: Iterable[JsonObject], kind: str) -> JsonObject | None:
    """The condition of type `kind`, or None."""
    for entry in conditions:
        if entry.get("type") == kind:
            return entry
    return None


def without_condition(conditions: Iterable[JsonObject], kind: str) -> list[JsonObject]:
    """`conditions` without the one of type `kind`."""
    return [entry for entry in conditions if entry.get("type") != kind]


def conditions_of(obj: JsonObject) -> list[JsonObject]:
    """`status.conditions` of an object, empty if it has none."""
    return cast("list[JsonObject]", (obj.get("status") or {}).get("conditions") or [])
