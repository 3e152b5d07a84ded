"""What there is of a DaemonSet's pods, node by node.

Source: Kubernetes 1.37, pkg/controller/daemon/daemon_controller.go (getNodesToDaemonPods,
podByCreationTimestampAndPhase).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nestling.api.json import JsonObject
from nestling.controllers.daemon_set.placement import Fit
from nestling.controllers.replica_set_status import is_available
from nestling.machinery.records.pod import Pod
from nestling.machinery.records.revisioned import REVISION_HASH, DaemonSet


@dataclass(frozen=True, slots=True)
class Household:
    """One look at a DaemonSet.

    `fits` has every node and what the DaemonSet means to it; `pods` those that are there or on their way
    there, first come first, without those that have ended and are going: their place is free. `leavers` are
    these. `hash` is that of the present revision, `generation` its number.
    """

    ds: DaemonSet
    template: JsonObject
    fits: Mapping[str, Fit]
    pods: Mapping[str, Sequence[Pod]]
    leavers: Mapping[str, Sequence[Pod]]
    hash: str
    generation: int
    now: float

    def on(self, node: str) -> Sequence[Pod]:
        """The pods of a node."""
        return self.pods.get(node, ())

    def available(self, pod: Pod) -> bool:
        """Whether the pod has been ready for long enough."""
        return is_available(pod, self.ds.min_ready_s, self.now)

    def updated(self, pod: Pod) -> bool:
        """Whether the pod is of the present revision."""
        return pod.labels.get(REVISION_HASH) == self.hash


def by_node(pods: Iterable[Pod]) -> tuple[dict[str, list[Pod]], dict[str, list[Pod]]]:
    """Pods by the node they are on or meant for: those that count, and those whose place is free."""
    there: dict[str, list[Pod]] = {}
    leaving: dict[str, list[Pod]] = {}
    for pod in sorted(pods, key=_order):
        if pod.target_node:
            (leaving if pod.terminal and pod.deleting else there).setdefault(pod.target_node, []).append(pod)
    return there, leaving


def _order(pod: Pod) -> tuple[bool, float, str]:
    """Those with a node first, then the oldest, of one second by name."""
    return not pod.node_name, pod.created_at, pod.key.name
