"""Conditions of a Job: the interim ones that say how it will end, the final ones, and Suspended.

FailureTarget and SuccessCriteriaMet come first and stop the Job; Failed and Complete follow when its last pod
has ended and is counted.
Source: Kubernetes 1.37, pkg/controller/job/job_controller.go (newCondition, ensureJobConditionStatus).
"""

from collections.abc import Sequence
from typing import Final, Literal

from nestling.api.json import JsonObject
from nestling.controllers.status_change import LONGEST_MESSAGE
from nestling.machinery.clock import timestamp
from nestling.machinery.conditions import find_condition

COMPLETE: Final = "Complete"
FAILED: Final = "Failed"
FAILURE_TARGET: Final = "FailureTarget"
SUCCESS_CRITERIA_MET: Final = "SuccessCriteriaMet"
SUSPENDED: Final = "Suspended"
FINAL: Final = {FAILURE_TARGET: FAILED, SUCCESS_CRITERIA_MET: COMPLETE}


def condition(
    kind: str, reason: str, message: str, now: float, *, status: Literal["True", "False"] = "True"
) -> JsonObject:
    """A condition that has come about now."""
    return {
        "type": kind,
        "status": status,
        "lastProbeTime": timestamp(now),
        "lastTransitionTime": timestamp(now),
        "reason": reason,
        "message": message[:LONGEST_MESSAGE],
    }


def is_success(ending: JsonObject) -> bool:
    """Whether a Job that is about to end this way has succeeded."""
    return ending["type"] == SUCCESS_CRITERIA_MET


def final(ending: JsonObject, now: float) -> JsonObject:
    """The last condition of a Job that was about to end this way."""
    return condition(FINAL[ending["type"]], ending.get("reason") or "", ending.get("message") or "", now)


def suspension(suspended: bool, now: float) -> JsonObject:  # noqa: FBT001  # it is the subject
    """The condition of a Job that is, or is no longer, suspended."""
    if suspended:
        return condition(SUSPENDED, "JobSuspended", "Job suspended", now)
    return condition(SUSPENDED, "JobResumed", "Job resumed", now, status="False")


def ensure(conditions: Sequence[JsonObject], new: JsonObject) -> list[JsonObject]:
    """The conditions with `new` in the place of its type. What is not so yet need not be denied."""
    old = find_condition(conditions, new["type"])
    if old is None:
        return [*conditions, new] if new["status"] == "True" else list(conditions)
    if all(old.get(name) == new[name] for name in ("status", "reason", "message")):
        return list(conditions)
    return [new if entry is old else entry for entry in conditions]
