"""Replace old pods by new ones little by little, with never too many and never too few.

Pure arithmetic on sizes and on the availability that ReplicaSets report. One look grows the new ReplicaSet
as far as the surge allows and shrinks the old ones as far as availability allows: unhealthy pods first, for
they serve nobody.
Source: Kubernetes 1.37, pkg/controller/deployment/rolling.go.
"""

from collections.abc import Sequence

from nestling.controllers.deployment.family import Decision, Family, Sizes, active, total
from nestling.controllers.deployment.fenceposts import max_surge, max_unavailable
from nestling.machinery.records.workload import Deployment, ReplicaSet


def decide(deployment: Deployment, family: Family) -> Decision:
    """Sizes after one step of the rollout.

    Upstream takes growing and shrinking in two looks; what shrinks does not depend on whether the growing was
    done, so one look plans both.
    """
    new = family.new
    size = new_size(deployment, new.replicas if new else 0, total(family.old))
    sizes: Sizes = {}
    if new is not None and size != new.replicas:
        sizes[new.uid] = size
    sizes.update(old_sizes(deployment, family.old, size, new.available if new else 0))
    if new is None:
        return Decision(sizes, create=size, why="a new template")
    return Decision(sizes, settled=not sizes, why="rolling" if sizes else "rolled out as far as it goes")


def new_size(deployment: Deployment, current: int, old_total: int) -> int:
    """How many pods the new ReplicaSet, which asks for `current`, should ask for."""
    wanted = deployment.replicas
    if current >= wanted:
        return wanted
    room = wanted + max_surge(deployment) - (old_total + current)
    return current + min(max(room, 0), wanted - current)


def old_sizes(deployment: Deployment, old: Sequence[ReplicaSet], new: int, new_available: int) -> Sizes:
    """Wanted sizes of the old ReplicaSets that can shrink, given the size and availability of the new one."""
    sets = active(old)
    least = deployment.replicas - max_unavailable(deployment)
    # New pods that are not available yet are no replacement: nobody may go on their account.
    spare = total(sets) + new - least - (new - new_available)
    if not sets or spare <= 0:
        return {}
    sizes, caught_up = unhealthy_sizes(sets, spare)
    if not caught_up:
        return sizes
    spare = sum(rs.available for rs in sets) + new_available - least
    for rs in sets:
        if spare <= 0:
            break
        current = sizes.get(rs.uid, rs.replicas)
        step = min(current, spare)
        if step:
            sizes[rs.uid] = current - step
            spare -= step
    return sizes


def unhealthy_sizes(sets: Sequence[ReplicaSet], spare: int) -> tuple[Sizes, bool]:
    """Sizes without the pods that are not available, up to `spare` of them.

    The second value is False when a ReplicaSet reports more available pods than it asks for: it has not yet
    caught up with its last scaling, and its figures would let too many go.
    """
    sizes: Sizes = {}
    for rs in sets:
        if spare <= 0:
            break
        step = min(spare, rs.replicas - rs.available)
        if step < 0:
            return sizes, False
        if step:
            sizes[rs.uid] = rs.replicas - step
            spare -= step
    return sizes, True
