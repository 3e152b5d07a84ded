"""The ReplicaSets of one Deployment, sorted: the one of the present template, and those of earlier ones.

Source: Kubernetes 1.37, pkg/controller/deployment/util (FindNewReplicaSet, FindOldReplicaSets).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from nestling.api.kinds import Uid
from nestling.machinery.records.workload import Deployment, ReplicaSet

Sizes: TypeAlias = dict[Uid, int]


@dataclass(frozen=True, slots=True)
class Family:
    """`new` has the present template, if there is one yet; `old` are all others, oldest first."""

    new: ReplicaSet | None
    old: tuple[ReplicaSet, ...]

    @property
    def everyone(self) -> tuple[ReplicaSet, ...]:
        """The old ones, oldest first, and the new one last."""
        return self.old if self.new is None else (*self.old, self.new)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a strategy wants of the family.

    `sizes` has the wanted replicas of those to visit; `create` is the size of a ReplicaSet to be made.
    `settled` says that there was nothing to scale, so history may be cut; `estimate` that the rollout moves
    or should, so its progress is judged.
    """

    sizes: Sizes = field(default_factory=dict[Uid, int])
    create: int | None = None
    settled: bool = False
    estimate: bool = True
    why: str = ""


def family_of(deployment: Deployment, sets: Iterable[ReplicaSet]) -> Family:
    """Sort ReplicaSets by template; of several that have the present one the oldest is the new one."""
    ordered = sorted(sets, key=by_age)
    new = next((rs for rs in ordered if rs.template_digest == deployment.template_digest), None)
    return Family(new, tuple(rs for rs in ordered if rs is not new))


def by_age(rs: ReplicaSet) -> tuple[float, str]:
    """Oldest first; of one second by name."""
    return rs.created_at, rs.key.name


def active(sets: Iterable[ReplicaSet]) -> list[ReplicaSet]:
    """Those that have, or ought to have, pods."""
    return [rs for rs in sets if rs.replicas > 0]


def total(sets: Iterable[ReplicaSet]) -> int:
    """Pods that these ReplicaSets ask for."""
    return sum(rs.replicas for rs in sets)
