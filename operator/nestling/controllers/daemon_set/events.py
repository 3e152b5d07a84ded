"""What a DaemonSet tells of the pods that it creates, deletes and finds ended.

Source: Kubernetes 1.37, pkg/controller/daemon/daemon_controller.go, pkg/controller/controller_utils.go.
"""

from functools import partial
from typing import Final, Literal

from nestling.api.json import JsonObject
from nestling.api.kinds import DAEMON_SET, POD
from nestling.machinery.names import Key
from nestling.machinery.plan import Create, Delete, Emit
from nestling.machinery.records.pod import Pod
from nestling.machinery.records.revisioned import DaemonSet

COMPONENT: Final = "daemonset-controller"


def event(ds: DaemonSet, kind: Literal["Normal", "Warning"], reason: str, message: str) -> Emit:
    """One event about a DaemonSet."""
    return Emit(DAEMON_SET, ds.key, ds.uid, kind, reason, message, COMPONENT)


def selecting_all(ds: DaemonSet) -> Emit:
    """Its selector is empty."""
    message = "This daemon set is selecting all pods. A non-empty selector is required."
    return event(ds, "Warning", "SelectingAll", message)


def failed_pod(ds: DaemonSet, pod: Pod, node: str) -> Emit:
    """A pod that failed will be replaced."""
    message = f"Found failed daemon pod {pod.key.display} on node {node}, will try to kill it"
    return event(ds, "Warning", "FailedDaemonPod", message)


def succeeded_pod(ds: DaemonSet, pod: Pod, node: str) -> Emit:
    """A pod that ended well will be replaced."""
    message = f"Found succeeded daemon pod {pod.key.display} on node {node}, will try to delete it"
    return event(ds, "Normal", "SucceededDaemonPod", message)


def creation(ds: DaemonSet, key: Key, body: JsonObject) -> Create:
    """The creation of a pod, and what is said of it."""
    return Create(
        POD,
        key,
        body,
        on_success=event(ds, "Normal", "SuccessfulCreate", f"Created pod: {key.name}"),
        on_failure=partial(_failed, ds, "FailedCreate", "Error creating"),
    )


def deletion(ds: DaemonSet, pod: Pod) -> Delete:
    """The deletion of a pod, and what is said of it."""
    return Delete(
        POD,
        pod.key,
        pod.uid,
        on_success=event(ds, "Normal", "SuccessfulDelete", f"Deleted pod: {pod.key.name}"),
        on_failure=partial(_failed, ds, "FailedDelete", "Error deleting"),
    )


def _failed(ds: DaemonSet, reason: str, step: str, message: str) -> Emit:
    return event(ds, "Warning", reason, f"{step}: {message}")
