"""Whose changes concern a StatefulSet, and how long they may be gathered."""

from collections.abc import Iterable
from typing import Final, cast

from nestling.api.kinds import CONTROLLER_REVISION, POD, STATEFUL_SET
from nestling.controllers.stateful_set.ordinal import is_member
from nestling.controllers.stateful_set.reconcile import reconcile
from nestling.machinery.cache import Change
from nestling.machinery.controller import Controller, Route, own_key, owner_key
from nestling.machinery.names import Key
from nestling.machinery.records.pod import Pod
from nestling.machinery.records.revisioned import StatefulSet
from nestling.machinery.view import View

# Where no pod waits for another, readiness within this time makes one look.
GATHER_S: Final = 0.05

_owner = owner_key(STATEFUL_SET)


def work(view: View, change: Change) -> Iterable[Key]:
    """StatefulSets that may have to act: a pod came, went, ended, or changed hands."""
    old, new = cast("Pod | None", change.old), cast("Pod | None", change.new)
    if old is not None and new is not None and _standing(old) == _standing(new):
        return ()
    found = dict.fromkeys(_owner(view, change))
    if new is not None and new.controller is None and not new.deleting:
        found.update(
            (sts.key, None)
            for sts in view.selecting(StatefulSet, new.key.namespace, new.labels)
            if is_member(sts, new)
        )
    return found


def turn(view: View, change: Change) -> Iterable[Key]:
    """StatefulSets in order of a pod that has become ready, or is not any more: another may be waiting."""
    return (key for key in _readiness(view, change) if not _parallel(view, key))


def figures(view: View, change: Change) -> Iterable[Key]:
    """StatefulSets in parallel of such a pod."""
    return (key for key in _readiness(view, change) if _parallel(view, key))


def revisions(view: View, change: Change) -> Iterable[Key]:
    """StatefulSets that have lost a revision, or could take one in."""
    new = change.new
    if new is None:
        return _owner(view, change)
    if new.controller is not None or new.deleting:
        return ()
    return [sts.key for sts in view.selecting(StatefulSet, new.key.namespace, new.labels)]


def _standing(pod: Pod) -> tuple[object, ...]:
    return pod.deleting, pod.terminal, pod.labels, pod.controller


def _readiness(view: View, change: Change) -> Iterable[Key]:
    old, new = cast("Pod | None", change.old), cast("Pod | None", change.new)
    if old is None or new is None or _served(old) == _served(new):
        return ()
    return _owner(view, change)


def _served(pod: Pod) -> tuple[object, ...]:
    return pod.ready, pod.ready_at, pod.phase == "Running"


def _parallel(view: View, key: Key) -> bool:
    sts = view.get(StatefulSet, key)
    return sts is not None and sts.parallel


CONTROLLER: Final = Controller(
    name="statefulset",
    reconcile=reconcile,
    concerns={
        STATEFUL_SET: (Route(own_key),),
        POD: (Route(work), Route(turn), Route(figures, delay_s=GATHER_S)),
        CONTROLLER_REVISION: (Route(revisions),),
    },
)
