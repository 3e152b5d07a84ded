"""Which pods of a ReplicaSet go first when there are too many.

Pods that do the least go first: those without a node, then pending ones, then those that are not ready; then
the user's say (`controller.kubernetes.io/pod-deletion-cost`), then crowded nodes, then the youngest. Ages are
coarse: among pods of about one age chance (their UID) decides, so that no zone loses all of them.
Source: Kubernetes 1.37, pkg/controller/controller_utils.go (ActivePodsWithRanks), pkg/controller/replicaset.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cmp_to_key
from math import log2
from typing import Final

from nestling.api.requests import is_sidecar
from nestling.machinery.records.pod import Pod

_PHASES: Final = {"Pending": 0, "Unknown": 1, "Running": 2}


def surplus(pods: Sequence[Pod], related: Iterable[Pod], number: int, now: float) -> list[Pod]:
    """The `number` pods to delete, first to go first.

    `related` are the pods of all ReplicaSets under the same controller, these included: they tell how crowded
    a node is.
    """
    if number >= len(pods):
        return list(pods)
    crowd = Counter(pod.node_name for pod in related if pod.active)
    # Coarse ages make no strict order: what comes out depends on what goes in, so start from a fixed one.
    start = sorted(pods, key=lambda pod: pod.uid)
    return sorted(start, key=cmp_to_key(_Order(crowd, now).compare))[:number]


class _Order:
    """Compares two pods: negative if the first should go before the second."""

    def __init__(self, crowd: Mapping[str, int], now: float) -> None:
        self._crowd = crowd
        self._now = now
        self._restarts: dict[str, tuple[int, int]] = {}

    def compare(self, a: Pod, b: Pod) -> int:
        """Compare by rule after rule, up to the first that tells them apart."""
        plain = _compare(self._plain(a), self._plain(b))
        if plain:
            return plain
        if a.ready and a.ready_at != b.ready_at:
            return self._younger(a, b, a.ready_at, b.ready_at)
        restarts = _compare(self._restarts_of(b), self._restarts_of(a))
        if restarts:
            return restarts
        if a.created_at != b.created_at:
            return self._younger(a, b, a.created_at, b.created_at)
        return 0

    def _plain(self, pod: Pod) -> tuple[bool, int, bool, int, int]:
        return (
            bool(pod.node_name),
            _PHASES.get(pod.phase, 0),
            pod.ready,
            pod.deletion_cost,
            -self._crowd.get(pod.node_name, 0),
        )

    def _younger(self, a: Pod, b: Pod, since_a: float, since_b: float) -> int:
        ages = magnitude(self._now - since_a) - magnitude(self._now - since_b)
        return ages or _compare(a.uid, b.uid)

    def _restarts_of(self, pod: Pod) -> tuple[int, int]:
        """Restarts of the pod, read from its body and remembered: ties this deep are rare."""
        found = self._restarts.get(pod.uid)
        if found is None:
            found = self._restarts[pod.uid] = most_restarts(pod)
        return found


def most_restarts(pod: Pod) -> tuple[int, int]:
    """The most restarts that one container of the pod has had, and one sidecar."""
    body = pod.body
    status = body.get("status") or {}
    spec = body.get("spec") or {}
    sidecars = {c.get("name") for c in spec.get("initContainers") or () if is_sidecar(c)}
    plain = (c.get("restartCount") or 0 for c in status.get("containerStatuses") or ())
    side = (
        c.get("restartCount") or 0
        for c in status.get("initContainerStatuses") or ()
        if c.get("name") in sidecars
    )
    return max(plain, default=0), max(side, default=0)


def magnitude(age_s: float) -> int:
    """The power of two that an age in nanoseconds has reached, -1 for none."""
    return int(log2(age_s * 1e9)) if age_s * 1e9 >= 1 else -1


def _compare(a: object, b: object) -> int:
    return (a > b) - (a < b)  # type: ignore[operator]  # both are of one ordered type
