"""The condition Progressing: whether a rollout moves, has arrived, waits, or has stood still for too long.

A rollout moves when new pods come, become ready or available, or old ones go; every such step renews the time
from which the deadline runs. Without a deadline nobody judges, and there is no such condition.
Source: Kubernetes 1.37, pkg/controller/deployment/progress.go, sync.go (checkPausedConditions), util.
"""

from typing import Final

from nestling.api.json import JsonObject
from nestling.controllers.deployment.condition import PROGRESSING, Conditions, condition, put
from nestling.controllers.deployment.family import Family
from nestling.controllers.deployment.status import is_complete
from nestling.machinery.clock import seconds_or
from nestling.machinery.conditions import find_condition, without_condition
from nestling.machinery.records.workload import REPLICA_FAILURE, Deployment, count

CREATED: Final = "NewReplicaSetCreated"
CREATE_ERROR: Final = "ReplicaSetCreateError"
FOUND: Final = "FoundNewReplicaSet"
UPDATED: Final = "ReplicaSetUpdated"
ARRIVED: Final = "NewReplicaSetAvailable"
TIMED_OUT: Final = "ProgressDeadlineExceeded"
PAUSED: Final = "DeploymentPaused"
RESUMED: Final = "DeploymentResumed"


def with_pause(deployment: Deployment, conditions: Conditions, now: float) -> list[JsonObject]:
    """Note that the rollout was paused or goes on: the time it stood still must not count against it."""
    stands = find_condition(conditions, PROGRESSING)
    reason = stands.get("reason") if stands else None
    if deployment.deadline_s is None or reason == TIMED_OUT or deployment.paused == (reason == PAUSED):
        return list(conditions)
    if deployment.paused:
        return put(conditions, condition(PROGRESSING, "Unknown", PAUSED, "Deployment is paused", now))
    return put(conditions, condition(PROGRESSING, "Unknown", RESUMED, "Deployment is resumed", now))


def with_found(deployment: Deployment, conditions: Conditions, name: str, now: float) -> list[JsonObject]:
    """Start the clock for a ReplicaSet that was there before anybody cared about progress."""
    if deployment.deadline_s is None or find_condition(conditions, PROGRESSING) is not None:
        return list(conditions)
    return put(conditions, condition(PROGRESSING, "True", FOUND, f'Found new replica set "{name}"', now))


def with_created(deployment: Deployment, conditions: Conditions, name: str, now: float) -> list[JsonObject]:
    """Start the clock for a ReplicaSet that has just been made."""
    if deployment.deadline_s is None:
        return list(conditions)
    return put(conditions, condition(PROGRESSING, "True", CREATED, f'Created new replica set "{name}"', now))


def with_create_error(
    deployment: Deployment, conditions: Conditions, message: str, now: float
) -> list[JsonObject]:
    """Note that the ReplicaSet of the present template could not be made."""
    if deployment.deadline_s is None:
        return list(conditions)
    return put(conditions, condition(PROGRESSING, "False", CREATE_ERROR, message, now))


def estimated(
    deployment: Deployment,
    conditions: Conditions,
    *,
    stored: JsonObject,
    figures: JsonObject,
    new: str | None,
    now: float,
) -> list[JsonObject]:
    """The conditions with progress judged: `stored` is the status as it stands, `figures` what it will be.

    `new` is the name of the new ReplicaSet, None while there is none.
    """
    if deployment.deadline_s is None:
        return without_condition(conditions, PROGRESSING)
    stands = find_condition(conditions, PROGRESSING)
    if stands and stands.get("reason") == ARRIVED and figures["replicas"] == figures["updatedReplicas"]:
        return list(conditions)  # it has arrived before; pods that come and go since are not a rollout
    subject = f'ReplicaSet "{new}"' if new is not None else f'Deployment "{deployment.key.name}"'
    if is_complete(deployment, figures):
        message = f"{subject} has successfully progressed."
        return put(conditions, condition(PROGRESSING, "True", ARRIVED, message, now))
    if has_moved(stored, figures):
        message = f"{subject} is progressing."
        return put(conditions, condition(PROGRESSING, "True", UPDATED, message, now), renew=True)
    if stands and has_timed_out(deployment, stands, now):
        message = f"{subject} has timed out progressing."
        return put(conditions, condition(PROGRESSING, "False", TIMED_OUT, message, now))
    return list(conditions)


def has_moved(stored: JsonObject, figures: JsonObject) -> bool:
    """Whether there are more new, ready or available pods than before, or fewer old ones."""
    before = {name: count(stored.get(name), 0) for name in figures}
    old_before = before["replicas"] - before["updatedReplicas"]
    return (
        figures["replicas"] - figures["updatedReplicas"] < old_before
        or figures["updatedReplicas"] > before["updatedReplicas"]
        or figures["readyReplicas"] > before["readyReplicas"]
        or figures["availableReplicas"] > before["availableReplicas"]
    )


def has_timed_out(deployment: Deployment, stands: JsonObject, now: float) -> bool:
    """Whether the deadline has passed since the last progress that the condition tells of."""
    if stands.get("reason") == TIMED_OUT:
        return True
    if stands.get("reason") == ARRIVED or deployment.deadline_s is None:
        return False
    return seconds_or(stands.get("lastUpdateTime"), now) + deployment.deadline_s < now


def due(deployment: Deployment, conditions: Conditions, figures: JsonObject, now: float) -> float | None:
    """When to look whether the rollout has timed out; None if it cannot."""
    stands = find_condition(conditions, PROGRESSING)
    if stands is None or deployment.deadline_s is None or stands.get("reason") in {ARRIVED, TIMED_OUT}:
        return None
    if is_complete(deployment, figures):
        return None
    # A second more: times are whole seconds, and the deadline has to have passed, not only to be reached.
    return seconds_or(stands.get("lastUpdateTime"), now) + deployment.deadline_s + 1


def with_failures(conditions: Conditions, family: Family) -> list[JsonObject]:
    """The conditions with the ReplicaFailure of a ReplicaSet, the new one's before an old one's."""
    first = () if family.new is None else (family.new,)
    found = next((rs.failure for rs in (*first, *family.old) if rs.failure is not None), None)
    if found is None:
        return without_condition(conditions, REPLICA_FAILURE)
    return put(conditions, {**found, "lastUpdateTime": found.get("lastTransitionTime")})
