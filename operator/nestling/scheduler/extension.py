"""The seams around the choice of a node, one pod at a time: before the queue, and until the bind.

What a plugin says here about one pod is a value, never a write: the machine turns it into the plan. A plugin
may fill any number of these points beside the array points of `framework`.
Source: Kubernetes 1.37, k8s.io/kube-scheduler/framework (interface.go).
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from nestling.api.json import JsonObject
from nestling.scheduler.framework import Plugin
from nestling.scheduler.podclass import PodClass


class PreEnqueuePlugin(Plugin):
    """Says which pods are not to be tried yet."""

    @abstractmethod
    def pre_enqueue(self, spec: JsonObject) -> str:
        """Why the pod has to wait, in one sentence; "" if it may be tried."""


class QueueSortPlugin(Plugin):
    """Says who comes first. A profile has exactly one, and all profiles of a process the same."""

    @abstractmethod
    def order(self, priority: int, since_s: float) -> tuple[float, ...]:
        """What to sort by, lowest first; `since_s` is when the pod came to the queue, seconds since 1970."""


class PostFilterPlugin(Plugin):
    """Looks for a way out for a pod that found no node. The one there is searches for victims."""


class BindPlugin(Plugin):
    """Binds a pod to its node. The one there is does it by the machine's own write."""


class ReservePlugin(Plugin):
    """Sets something aside for a pod on its node, and gives it back when the bind comes to nothing."""

    @abstractmethod
    def reserve(self, pods: PodClass, node: str) -> str:
        """Set it aside: "" if that worked, else why not; then the pod is refused."""

    @abstractmethod
    def unreserve(self, pods: PodClass, node: str) -> None:
        """Give it back; must not fail, and may come without a `reserve` before it."""


@dataclass(frozen=True, slots=True)
class Permission:
    """Whether a bind may go ahead: at once, after `wait_s` seconds at most, or not at all with `refusal`."""

    refusal: str = ""
    wait_s: float = 0.0


GRANTED: Final = Permission()


class PermitPlugin(Plugin):
    """Lets a bind go ahead, holds it back for a while, or refuses it."""

    longest_wait_s: ClassVar[float] = 900.0

    @abstractmethod
    def permit(self, pods: PodClass, node: str) -> Permission:
        """The word on one bind."""


class PreBindPlugin(Plugin):
    """Adds to the write that binds a pod."""

    @abstractmethod
    def pre_bind(self, pods: PodClass, node: str) -> JsonObject:
        """A merge patch of the pod, to be made in the same write as the bind."""


class PostBindPlugin(Plugin):
    """Is told of binds that happened."""

    @abstractmethod
    def post_bind(self, pods: PodClass, node: str) -> None:
        """Take note; nothing can be changed any more."""


def first_refusal(plugins: Sequence[PreEnqueuePlugin], spec: JsonObject) -> str:
    """The first sentence with which a plugin keeps a pod out of the queue, "" if none does."""
    for plugin in plugins:
        why = plugin.pre_enqueue(spec)
        if why:
            return why
    return ""
