"""What a StatefulSet tells of the pods that it creates, changes and deletes.

Source: Kubernetes 1.37, pkg/controller/statefulset/stateful_pod_control.go (recordPodEvent).
"""

from collections.abc import Callable
from functools import partial
from typing import Final, Literal

from nestling.api.kinds import STATEFUL_SET
from nestling.machinery.names import Key
from nestling.machinery.plan import Emit
from nestling.machinery.records.revisioned import StatefulSet

COMPONENT: Final = "statefulset-controller"
Verb = Literal["Create", "Update", "Delete"]


def done(sts: StatefulSet, verb: Verb, pod: Key) -> Emit:
    """The event of a write that succeeded."""
    message = f"{verb} Pod {pod.name} in StatefulSet {sts.key.name} successful"
    return Emit(STATEFUL_SET, sts.key, sts.uid, "Normal", f"Successful{verb}", message, COMPONENT)


def refused(sts: StatefulSet, verb: Verb, pod: Key) -> Callable[[str], Emit]:
    """The event of a write that the host refuses, given what it says."""
    return partial(_refused, sts, verb, pod)


def _refused(sts: StatefulSet, verb: Verb, pod: Key, error: str) -> Emit:
    message = f"{verb} Pod {pod.name} in StatefulSet {sts.key.name} failed error: {error}"
    return Emit(STATEFUL_SET, sts.key, sts.uid, "Warning", f"Failed{verb}", message, COMPONENT)
