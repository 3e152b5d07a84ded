"""Follow a change of `spec.replicas` amid a rollout, or while it is paused, without hastening it.

Every active ReplicaSet takes its share of the change by its size, so that the mixture of old and new pods,
and with it the risk, stays as it is. Rounding leaves the rest to the largest.
Source: Kubernetes 1.37, pkg/controller/deployment/sync.go (scale, isScalingEvent) and util.
"""

import re
from typing import Final

from nestling.api.json import JsonObject
from nestling.controllers.deployment.family import Decision, Family, Sizes, active, by_age, total
from nestling.controllers.deployment.fenceposts import max_surge
from nestling.machinery.records.workload import INT32_MAX, Deployment, ReplicaSet, count

_NUMBER: Final = re.compile(r"[0-9]{1,10}", re.ASCII)


def decide(deployment: Deployment, family: Family, status: JsonObject) -> Decision:
    """Sizes after a change of the wanted number. `status` is the Deployment's, as it stands."""
    return Decision(
        _sizes(deployment, family, count(status.get("replicas"), 0)),
        estimate=False,
        why="scaling, not rolling",
    )


def is_scaled(deployment: Deployment, family: Family) -> bool:
    """Whether an active ReplicaSet was last sized for another number: then we scale before we roll."""
    noted = (number(rs.desired) for rs in active(family.everyone))
    return any(desired is not None and desired != deployment.replicas for desired in noted)


def number(text: str | None) -> int | None:
    """The number that an annotation spells, None if it spells none that fits."""
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        return None
    found = int(text)
    return found if found <= INT32_MAX else None


def _sizes(deployment: Deployment, family: Family, observed: int) -> Sizes:
    wanted = deployment.replicas
    alive = active(family.everyone)
    if len(alive) <= 1:
        # Only one has pods: it takes them all. None has: the newest does.
        only = alive[0] if alive else family.new or (family.old[-1] if family.old else None)
        if only is None or (only.replicas == wanted and not is_scaled(deployment, family)):
            return {}
        return {only.uid: wanted}
    if _is_saturated(deployment, family.new):
        return {rs.uid: 0 for rs in active(family.old)}
    if deployment.recreate:
        # Nothing to share. Upstream leaves the notes as they are, and takes us for scaling ever after.
        return {rs.uid: rs.replicas for rs in alive}
    return _shares(deployment, alive, observed)


def _shares(deployment: Deployment, alive: list[ReplicaSet], observed: int) -> Sizes:
    """Sizes of all active ReplicaSets; those that stay are named too, their notes may have to change."""
    most = deployment.replicas + max_surge(deployment) if deployment.replicas > 0 else 0
    change = most - total(alive)
    # Larger first; of one size the newer when growing, the older when shrinking.
    ordered = sorted(alive, key=by_age, reverse=change > 0)
    ordered.sort(key=lambda rs: rs.replicas, reverse=True)
    sizes: Sizes = {}
    left = change
    for rs in ordered:
        share = _share(deployment, rs, most, observed)
        step = min(share, left) if change > 0 else max(share, left)
        step = step if left else 0
        sizes[rs.uid] = rs.replicas + step
        left -= step
    largest = ordered[0].uid
    sizes[largest] = max(sizes[largest] + left, 0)
    return sizes


def _share(deployment: Deployment, rs: ReplicaSet, most: int, observed: int) -> int:
    """By how much `rs` changes if the family grows from what it was sized for to `most`, rounded half up."""
    if deployment.replicas == 0:
        return -rs.replicas
    # Without the note (somebody took it off) what is there has to do.
    before = number(rs.max_replicas) or observed
    if not before:
        return 0
    return (2 * rs.replicas * most + before) // (2 * before) - rs.replicas


def _is_saturated(deployment: Deployment, new: ReplicaSet | None) -> bool:
    """Whether the new ReplicaSet has all wanted pods, available, and was sized for just as many."""
    wanted = deployment.replicas
    return new is not None and new.replicas == wanted == new.available and number(new.desired) == wanted
