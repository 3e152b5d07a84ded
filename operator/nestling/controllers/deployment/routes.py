"""Whose changes concern a Deployment, and how long they may be gathered."""

from collections.abc import Iterable
from typing import Final, TypeVar, cast

from nestling.api.kinds import DEPLOYMENT, POD, REPLICA_SET
from nestling.controllers.deployment.reconcile import reconcile
from nestling.machinery.cache import Change
from nestling.machinery.controller import Controller, Route, own_key, owner_key
from nestling.machinery.names import Key, key_of
from nestling.machinery.records.base import Record
from nestling.machinery.records.pod import Pod
from nestling.machinery.records.workload import Deployment, ReplicaSet
from nestling.machinery.view import View

# Figures of several ReplicaSets, and of several steps of one, within this time make one look.
GATHER_S: Final = 0.05

R = TypeVar("R", bound=Record)

_owner = owner_key(DEPLOYMENT)


def work(view: View, change: Change) -> Iterable[Key]:
    """Deployments that may have to act: a ReplicaSet came, went, changed hands or size."""
    old, new = cast("ReplicaSet | None", change.old), cast("ReplicaSet | None", change.new)
    if old is not None and new is not None and _asked(old) == _asked(new):
        return ()
    found = dict.fromkeys(_owner(view, change))
    if new is not None and new.controller is None and not new.deleting:
        found.update(
            (one.key, None)
            for one in view.selecting(Deployment, new.key.namespace, new.labels)
            if not one.selector.everything
        )
    return found


def figures(view: View, change: Change) -> Iterable[Key]:
    """Deployments of a ReplicaSet that reports something new."""
    old, new = cast("ReplicaSet | None", change.old), cast("ReplicaSet | None", change.new)
    if old is None or new is None or _reported(old) == _reported(new):
        return ()
    return _owner(view, change)


def old_pods(view: View, change: Change) -> Iterable[Key]:
    """Deployments with strategy Recreate that may have waited for this pod to be gone."""
    new = cast("Pod | None", change.new)
    if new is not None and not new.terminal:
        return ()
    rs = _controller(view, change.record, ReplicaSet)
    deployment = None if rs is None else _controller(view, rs, Deployment)
    return () if deployment is None or not deployment.recreate else (deployment.key,)


def _controller(view: View, record: Record, kind: type[R]) -> R | None:
    """The record's controller, if it is of this kind and still the one that the record names."""
    owner = record.controller
    if owner is None or owner.kind != kind.KIND.name:
        return None
    found = view.get(kind, key_of(kind.KIND, record.key.cluster, owner.name))
    return found if found is not None and found.uid == owner.uid else None


def _asked(rs: ReplicaSet) -> tuple[object, ...]:
    return (
        rs.generation,
        rs.replicas,
        rs.labels,
        rs.owners,
        rs.deleting,
        rs.revision,
        rs.desired,
        rs.max_replicas,
    )


def _reported(rs: ReplicaSet) -> tuple[object, ...]:
    counts = (rs.observed_replicas, rs.ready, rs.available, rs.terminating)
    return (*counts, rs.observed_generation, rs.failure)


CONTROLLER: Final = Controller(
    name="deployment",
    reconcile=reconcile,
    concerns={
        DEPLOYMENT: (Route(own_key),),
        REPLICA_SET: (Route(work), Route(figures, delay_s=GATHER_S)),
        POD: (Route(old_pods, delay_s=GATHER_S),),
    },
)
