"""Whose changes concern a DaemonSet, and how long they may be gathered."""

from collections.abc import Iterable
from typing import Final, cast

from nestling.api.json import JsonObject
from nestling.api.kinds import CONTROLLER_REVISION, DAEMON_SET, NODE, POD
from nestling.controllers.daemon_set.placement import Placement
from nestling.controllers.daemon_set.reconcile import reconcile
from nestling.machinery.cache import Change
from nestling.machinery.controller import Controller, Route, own_key, owner_key
from nestling.machinery.names import Key
from nestling.machinery.records.node import Node
from nestling.machinery.records.pod import Pod
from nestling.machinery.records.revisioned import DaemonSet
from nestling.machinery.view import View

# Readiness of many pods, or the arrival of many nodes, within this time makes one look.
GATHER_S: Final = 0.05

_owner = owner_key(DAEMON_SET)


def work(view: View, change: Change) -> Iterable[Key]:
    """DaemonSets that may have to act: a pod came, went, ended, or changed hands."""
    old, new = cast("Pod | None", change.old), cast("Pod | None", change.new)
    if old is not None and new is not None and _standing(old) == _standing(new):
        return ()
    found = dict.fromkeys(_owner(view, change))
    if new is not None and new.controller is None and not new.deleting:
        found.update((ds.key, None) for ds in view.selecting(DaemonSet, new.key.namespace, new.labels))
    return found


def figures(view: View, change: Change) -> Iterable[Key]:
    """DaemonSets of a pod that has become ready, is not any more, or has got its node."""
    old, new = cast("Pod | None", change.old), cast("Pod | None", change.new)
    if old is None or new is None or _served(old) == _served(new):
        return ()
    return _owner(view, change)


def nodes(view: View, change: Change) -> Iterable[Key]:
    """DaemonSets to which a node means something new, or that have not acted upon what it means."""
    old, new = cast("Node | None", change.old), cast("Node | None", change.new)
    if old is not None and new is not None and (old.labels, old.taints) == (new.labels, new.taints):
        return ()
    placed = {pod.controller.uid for pod in view.on_node(change.key.name) if pod.controller is not None}
    for ds in view.all(DaemonSet):
        placement = Placement.of(_template(ds))
        before = None if old is None else placement.on(old)
        after = None if new is None else placement.on(new)
        there = ds.uid in placed
        if after is None:
            concerned = there or (before is not None and before.runs)
        else:
            changed = before is not None and before.runs != after.runs
            acts = (after.runs and not there) or (not after.stays and there)
            concerned = changed or acts or (there and ds.misscheduled > 0)
        if concerned:
            yield ds.key


def revisions(view: View, change: Change) -> Iterable[Key]:
    """DaemonSets that have lost a revision, or could take one in."""
    new = change.new
    if new is None:
        return _owner(view, change)
    if new.controller is not None or new.deleting:
        return ()
    return [ds.key for ds in view.selecting(DaemonSet, new.key.namespace, new.labels)]


def _standing(pod: Pod) -> tuple[object, ...]:
    return pod.deleting, pod.terminal, pod.labels, pod.controller


def _served(pod: Pod) -> tuple[object, ...]:
    return pod.ready, pod.ready_at, pod.node_name


def _template(ds: DaemonSet) -> JsonObject:
    return (ds.body["spec"].get("template") or {}).get("spec") or {}


CONTROLLER: Final = Controller(
    name="daemonset",
    reconcile=reconcile,
    concerns={
        DAEMON_SET: (Route(own_key),),
        POD: (Route(work), Route(figures, delay_s=GATHER_S)),
        NODE: (Route(nodes, delay_s=GATHER_S),),
        CONTROLLER_REVISION: (Route(revisions),),
    },
)
