"""Conditions of a Deployment: made, and put among the others.

A condition that is put keeps the time of its last transition while its status stays, and is left alone while
its status and reason both stay: a state that lasts is written once.
Source: Kubernetes 1.37, pkg/controller/deployment/util (SetDeploymentCondition).
"""

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from nestling.api.json import JsonObject
from nestling.controllers.status_change import LONGEST_MESSAGE
from nestling.machinery.clock import timestamp
from nestling.machinery.conditions import find_condition, without_condition

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


def put(conditions: Conditions, new: JsonObject, *, renew: bool = False) -> list[JsonObject]:
    """The conditions with `new` among them. With `renew` its reason may stay and it is updated."""
    old = find_condition(conditions, new["type"])
    if old is not None and old.get("status") == new["status"]:
        if old.get("reason") == new["reason"] and not renew:
            return list(conditions)
        new = {**new, "lastTransitionTime": old.get("lastTransitionTime") or new["lastTransitionTime"]}
    return [*without_condition(conditions, new["type"]), new]
