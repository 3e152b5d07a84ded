"""The figures of a Deployment, added up from what its ReplicaSets report, and the condition Available.

Zeros are written out, so that every column has a figure.
Source: Kubernetes 1.37, pkg/controller/deployment/sync.go (calculateStatus).
"""

from collections.abc import Iterable

from nestling.api.json import JsonObject
from nestling.controllers.deployment.condition import AVAILABLE, Conditions, condition, put
from nestling.controllers.deployment.family import Family, Sizes
from nestling.controllers.deployment.fenceposts import max_unavailable
from nestling.controllers.status_change import selector_text
from nestling.machinery.records.workload import Deployment, ReplicaSet, count


def figures_of(deployment: Deployment, family: Family, sizes: Sizes, created: int) -> JsonObject:
    """All fields but the conditions, once `sizes` are written and one of size `created` is made."""
    everyone = family.everyone
    available = sum(rs.available for rs in everyone)
    ready = sum(rs.ready for rs in everyone)
    asked = sum(sizes.get(rs.uid, rs.replicas) for rs in everyone) + created
    return {
        "observedGeneration": deployment.generation,
        "replicas": sum(rs.observed_replicas for rs in everyone),
        "updatedReplicas": family.new.observed_replicas if family.new else 0,
        "readyReplicas": ready,
        "availableReplicas": available,
        "unavailableReplicas": max(asked - available, 0),
        "terminatingReplicas": terminating(everyone),
        "selector": selector_text(deployment.selector),
        "display": {"ready": f"{ready}/{deployment.replicas}"},
    }


def terminating(sets: Iterable[ReplicaSet]) -> int | None:
    """Terminating pods of all ReplicaSets; None if one that was looked at did not say."""
    found = 0
    for rs in sets:
        if rs.terminating is None and rs.observed_generation:
            return None
        found += rs.terminating or 0
    return found


def is_complete(deployment: Deployment, status: JsonObject) -> bool:
    """Whether all wanted pods are of the present template and available, and no others are left."""
    figures = {count(status.get(name), 0) for name in ("updatedReplicas", "replicas", "availableReplicas")}
    return (
        figures == {deployment.replicas}
        and count(status.get("observedGeneration"), 0) >= deployment.generation
    )


def with_availability(
    deployment: Deployment, figures: JsonObject, conditions: Conditions, now: float
) -> list[JsonObject]:
    """The conditions with Available as the figures have it."""
    if figures["availableReplicas"] >= deployment.replicas - max_unavailable(deployment):
        found = condition(
            AVAILABLE, "True", "MinimumReplicasAvailable", "Deployment has minimum availability.", now
        )
    else:
        found = condition(
            AVAILABLE,
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
            now,
        )
    return put(conditions, found)
