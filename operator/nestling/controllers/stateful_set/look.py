"""One look at a StatefulSet: its pods by ordinal, and its two revisions.

Source: Kubernetes 1.37, pkg/controller/statefulset/stateful_set_control.go (updateStatefulSet).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nestling.api.json import JsonObject
from nestling.controllers.replica_set_status import is_available
from nestling.controllers.stateful_set.ordinal import NONE, ordinal_of
from nestling.machinery.records.pod import Pod
from nestling.machinery.records.revisioned import REVISION_HASH, StatefulSet


@dataclass(frozen=True, slots=True)
class Look:
    """What there is.

    `pods` are those whose numbers are wanted, lowest first; `condemned` all others, highest first. `current`
    and `update` are names of revisions. `template` is that of the update revision, `old_template` that of the
    current one.
    """

    sts: StatefulSet
    body: JsonObject
    pods: Mapping[int, Pod]
    condemned: Sequence[Pod]
    current: str
    update: str
    collisions: int
    old_template: JsonObject
    now: float

    @property
    def ordinals(self) -> range:
        """The wanted numbers."""
        return range(self.sts.start, self.sts.start + self.sts.replicas)

    @property
    def everyone(self) -> Iterable[Pod]:
        """All pods that have a number."""
        return (*self.pods.values(), *self.condemned)

    def ready(self, pod: Pod) -> bool:
        """Whether the pod runs and is ready."""
        return pod.phase == "Running" and pod.ready

    def available(self, pod: Pod) -> bool:
        """Whether the pod has been ready for long enough."""
        return is_available(pod, self.sts.min_ready_s, self.now)

    def unavailable(self, pod: Pod) -> bool:
        """Whether the pod is on its way out, or not there yet."""
        return pod.deleting or not self.available(pod)

    def outdated(self, pod: Pod) -> bool:
        """Whether the pod is of another revision than it should become."""
        return revision_of(pod) != self.update


def revision_of(pod: Pod) -> str:
    """The name of the revision that the pod was made from."""
    return pod.labels.get(REVISION_HASH, "")


def sorted_out(sts: StatefulSet, held: Iterable[Pod]) -> tuple[dict[int, Pod], list[Pod]]:
    """The pods whose numbers are wanted, lowest first, and the others, highest first. Those without a number
    are nobody's.
    """
    numbered = sorted(((ordinal_of(pod), pod) for pod in held), key=lambda pair: pair[0])
    wanted = range(sts.start, sts.start + sts.replicas)
    pods = {number: pod for number, pod in numbered if number in wanted}
    return pods, [pod for number, pod in reversed(numbered) if number != NONE and number not in wanted]
