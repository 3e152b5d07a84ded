"""Delete the oldest finished pods of a cluster when there are too many.

Reads all pods of a cluster at once, under a key without a name, at most every twenty seconds while pods
finish. Pods that a node evicted go first: nobody's controller keeps them on purpose.
Source: Kubernetes 1.37, pkg/controller/podgc/gc_controller.go (gcTerminated),
kube-controller-manager --terminated-pod-gc-threshold.
"""

from collections.abc import Iterable
from typing import Final

from nestling.api.kinds import POD
from nestling.machinery.cache import Change
from nestling.machinery.controller import Controller, Route
from nestling.machinery.names import Key
from nestling.machinery.plan import Delete, Plan
from nestling.machinery.records.pod import Pod
from nestling.machinery.view import View

THRESHOLD: Final = 12_500
CHECK_S: Final = 20.0
BURST: Final = 500


def reconcile(view: View, key: Key, *, threshold: int = THRESHOLD) -> Plan:
    """Plan the deletion of the finished pods beyond `threshold`."""
    del key
    finished = [pod for pod in view.all(Pod) if pod.terminal]
    surplus = len(finished) - threshold
    if surplus <= 0:
        return Plan.done(f"{len(finished)} finished pods are not too many")
    oldest = sorted(finished, key=_order)[:surplus]
    # Those on their way out count, so that they are not replaced by younger ones.
    doomed = [pod for pod in oldest if not pod.deleting]
    return Plan.of(
        *(Delete(POD, pod.key, pod.uid) for pod in doomed[:BURST]),
        why=f"{surplus} finished pods too many",
        wake_at=view.now if len(doomed) > BURST else None,
    )


def _order(pod: Pod) -> tuple[bool, float, str]:
    return not _evicted(pod), pod.created_at, pod.key.name


def _evicted(pod: Pod) -> bool:
    return pod.phase == "Failed" and (pod.body.get("status") or {}).get("reason") == "Evicted"


def _finished(view: View, change: Change) -> Iterable[Key]:
    old, new = change.old, change.new
    if not isinstance(new, Pod) or not new.terminal or (isinstance(old, Pod) and old.terminal):
        return ()
    return (Key(view.cluster, "", ""),)


CONTROLLER: Final = Controller(
    name="terminated-pods",
    reconcile=reconcile,
    concerns={POD: (Route(_finished, delay_s=CHECK_S),)},
)
