"""Conditions of a Deployment, as lists of JSON: find, put, drop.

A condition that is put keeps the time of its last transition while its status stays, and is left alone while
its status and reason both stay: a state that lasts is written once.
Source: Kubernetes 1.37, pkg/controller/deployment/util (SetDeploymentCondition).
"""

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from nestling.api.json import JsonObject
from nestling.controllers.status_change import LONGEST_MESSAGE
from nestling.machinery.clock import timestamp

AVAILABLE: Final = "Available"
PROGRESSING: Final = "Progressing"

Conditions: TypeAlias = Sequence[JsonObject]


def condition(
    kind: str, status: Literal["True", "False", "Unknown"], reason: str, message: str, now: float
) -> JsonObject:
    """A condition that has come about now."""
    return {
        "type": kind,
        "status": status,
        "lastUpdateTime": timestamp(now),
        "lastTransitionTime": timestamp(now),
        "reason": reason,
        "message": message[:LONGEST_MESSAGE],
    }


def find(conditions: Conditions, kind: str) -> JsonObject | None:
    """The condition of this type, or None."""
    return next((entry for entry in conditions if entry.get("type") == kind), None)


def put(conditions: Conditions, new: JsonObject, *, renew: bool = False) -> list[JsonObject]:
    """The conditions with `new` among them. With `renew` its reason may stay and it is updated."""
    old = find(conditions, new["type"])
    if old is not None and old.get("status") == new["status"]:
        if old.get("reason") == new["reason"] and not renew:
            return list(conditions)
        new = {**new, "lastTransitionTime": old.get("lastTransitionTime") or new["lastTransitionTime"]}
    return [*drop(conditions, new["type"]), new]


def drop(conditions: Conditions, kind: str) -> list[JsonObject]:
    """The conditions without those of this type."""
    return [entry for entry in conditions if entry.get("type") != kind]
