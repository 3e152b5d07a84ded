"""The seams of the scheduler: what a plugin is, what can change its mind, how plugins make a profile.

kube-scheduler's extension points up to the choice of a node, over arrays: a plugin looks at a whole node
table at once. `prepare` (PreFilter) reads what it needs of a pod class; `filter` answers a code per row, 0
where the pod may go; `prepare_score` (PreScore) and `score` answer a number per row, which `normalize`
(NormalizeScore) turns into 0..100 over the rows that passed. The points around that choice, one pod at a
time, are in `extension`.

Each plugin states which aspect of a row its answer depends on (`reads`), so that a bind makes only those
answers be computed again, and which cluster events could let a pod that it refused pass (`wakes_on`). A
plugin whose answer for one row depends on other rows (`row_by_row` is False) keeps its state up to date by
`catch_up`. What-if questions, with pods that are not there or without some that are, go to `filter_if`.
Source: Kubernetes 1.37, pkg/scheduler/framework (extension points, ClusterEvent, EventsToRegister) and
framework/runtime (Registry).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nestling.api.json import JsonObject
from nestling.machinery.errors import NestlingError
from nestling.scheduler.podclass import PodClass
from nestling.scheduler.table import Aspect, BoolArray, IntArray, NodeTable, Rows

TOP_SCORE: Final = 100
DEFAULT_SCHEDULER: Final = "default-scheduler"


class ExtensionPoint(Enum):
    """Where plugins take part in the life of a pending pod, in this order; values are kube-scheduler's."""

    PRE_ENQUEUE = "PreEnqueue"
    QUEUE_SORT = "QueueSort"
    PRE_FILTER = "PreFilter"
    FILTER = "Filter"
    POST_FILTER = "PostFilter"
    PRE_SCORE = "PreScore"
    SCORE = "Score"
    NORMALIZE_SCORE = "NormalizeScore"
    RESERVE = "Reserve"
    PERMIT = "Permit"
    PRE_BIND = "PreBind"
    BIND = "Bind"
    POST_BIND = "PostBind"


class ClusterEvent(Enum):
    """What happened, as far as it can make a refused pod fit. Values are kube-scheduler's event labels."""

    NODE_ADD = "NodeAdd"
    NODE_ALLOCATABLE = "NodeUpdateNodeAllocatable"
    NODE_LABEL = "NodeUpdateNodeLabel"
    NODE_TAINT = "NodeUpdateNodeTaint"  # taints and spec.unschedulable
    NODE_DELETE = "NodeDelete"
    POD_ADD = "AssignedPodAdd"
    POD_UPDATE = "AssignedPodUpdate"
    POD_DELETE = "AssignedPodDelete"


@dataclass(frozen=True, slots=True)
class Rejection:
    """`prepare` says that no node can do, whatever its row: one sentence in place of reasons per node."""

    message: str


@dataclass(frozen=True, slots=True)
class Supposition:
    """Pods that are not there, or pods thought away, on some rows; each row is a world of its own.

    `counts` has shape (rows, classes): how many pods of each class more there are on the row, less than 0 for
    fewer.
    """

    classes: tuple[PodClass, ...]
    counts: IntArray

    def sums(self, per_pod: Sequence[int]) -> IntArray:
        """What a quantity of which each class's pods have `per_pod` grows by on each row; shape (rows,)."""
        return self.counts @ np.asarray(per_pod, np.int64)


class Plugin(ABC):
    """One rule. Instances are immutable and shared by all clusters; what they keep per class is state."""

    name: ClassVar[str]
    reads: ClassVar[Aspect] = Aspect.NODE
    wakes_on: ClassVar[frozenset[ClusterEvent]] = frozenset()
    row_by_row: ClassVar[bool] = True
    """Whether a row's answer depends on nothing but this row, so that no bind elsewhere can change it."""


class FilterPlugin(Plugin):
    """Says which nodes a pod may go to.

    A code is 0 where it may, else a number that `reasons` can read; a plugin with one reason uses 1.
    """

    @abstractmethod
    def prepare(self, pods: PodClass, nodes: NodeTable) -> Any:
        """What `filter` needs of a class: None if there is nothing to filter, Rejection if no node can do."""

    def only(self, pods: PodClass) -> frozenset[str] | None:
        """Names of the only nodes worth looking at, or None for all: kube-scheduler's PreFilterResult."""
        return None

    @abstractmethod
    def filter(self, state: Any, nodes: NodeTable, rows: Rows) -> IntArray:
        """Codes of these rows, int64, 0 where the pod may go."""

    def filter_row(self, state: Any, nodes: NodeTable, row: int) -> int:
        """The code of one row. Worth arithmetic of its own where every bind asks: numpy is slow on one."""
        return int(self.filter(state, nodes, slice(row, row + 1))[0])

    def filter_if(
        self, state: Any, nodes: NodeTable, rows: NDArray[np.intp], suppose: Supposition
    ) -> IntArray:
        """Codes of these rows as they would be under a supposition, which has a row for each of them.

        To be overridden by every plugin whose answer depends on pods.
        """
        return self.filter(state, nodes, rows)

    def catch_up(
        self, state: Any, nodes: NodeTable, rows: Sequence[int], codes: IntArray
    ) -> NDArray[np.intp] | None:
        """Pods came to or left these rows: bring `state` and `codes` (of all rows) up to date, in place.

        For plugins that are not row by row. Returns the rows whose code may have changed, None for none.
        """
        raise NotImplementedError(f"{self.name} looks at one row at a time")

    @abstractmethod
    def reasons(self, code: int, pods: PodClass, nodes: NodeTable) -> tuple[str, ...]:
        """kube-scheduler's words for a code that is not 0."""

    def lacks(self, code: int, pods: PodClass, nodes: NodeTable, row: int) -> tuple[str, ...]:
        """The same with what one node lacks, for people; the reasons alone unless a plugin knows better."""
        return self.reasons(code, pods, nodes)

    def resolvable(self, codes: IntArray) -> BoolArray:
        """For codes that are not 0, whether removing pods from the node could help, same shape.

        What kube-scheduler calls Unschedulable, in contrast to UnschedulableAndUnresolvable.
        """
        return np.zeros(codes.shape, np.bool_)

    def helped_by(
        self, event: ClusterEvent, state: Any, nodes: NodeTable, rows: Rows, others: Iterable[PodClass] = ()
    ) -> bool:
        """Whether this event on these rows could let a refused pod of the class pass: the queueing hint.

        `others` are the classes of the pods that the event is about, if it is about pods. A row-by-row rule
        can tell from the rows themselves: does any of them pass now?
        """
        return event in self.wakes_on and bool((self.filter(state, nodes, rows) == 0).any())


class ScorePlugin(Plugin):
    """Says which of the nodes that passed are better."""

    normalizes: ClassVar[bool] = False

    @abstractmethod
    def prepare_score(self, pods: PodClass, nodes: NodeTable) -> Any:
        """What `score` needs of a class, or None if all nodes are the same to it."""

    @abstractmethod
    def score(self, state: Any, nodes: NodeTable, rows: Rows) -> IntArray:
        """Scores of these rows, int64: 0..100, or any number for a plugin that normalizes."""

    def score_row(self, state: Any, nodes: NodeTable, row: int) -> int:
        """The score of one row; see `filter_row`."""
        return int(self.score(state, nodes, slice(row, row + 1))[0])

    def catch_up_score(self, state: Any, nodes: NodeTable, rows: Sequence[int], raw: IntArray) -> bool:
        """Pods came to or left these rows: bring `state` and `raw` (of all rows) up to date, in place.

        For plugins that normalize and are not row by row. Returns whether a normalized score may differ now.
        """
        raise NotImplementedError(f"{self.name} looks at one row at a time")

    def normalize(self, state: Any, scores: IntArray, feasible: BoolArray) -> IntArray:
        """Raw scores of all rows as 0..100, judged over the feasible ones; same shape."""
        return scores

    def flat(self, state: Any, scores: IntArray) -> bool:
        """Whether the normalized scores are the same whichever rows are feasible."""
        return not scores.any()


def normalized(scores: IntArray, feasible: BoolArray, *, reverse: bool = False) -> IntArray:
    """Scores scaled so that the highest feasible one is 100, or with `reverse` 0 and the lowest possible 100.

    Source: Kubernetes 1.37, plugins/helper/normalize_score.go.
    """
    top = int(scores.max(initial=0, where=feasible))
    if top == 0:
        return np.full_like(scores, TOP_SCORE) if reverse else scores
    scaled = TOP_SCORE * scores // top
    return TOP_SCORE - scaled if reverse else scaled


Factory: TypeAlias = Callable[[JsonObject], Plugin]
"""Makes a plugin of its arguments, as a KubeSchedulerConfiguration spells them in `pluginConfig[].args`, `{}`
for defaults. Raises ValueError with a sentence for arguments that make no sense."""


class PluginError(NestlingError):
    """A plugin that cannot be made: there is none of that name, or its arguments make no sense."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"scheduler plugin {name!r}: {why}")
        self.name = name
        self.why = why


class Registry:
    """Plugins that a profile can name, as functions that make them."""

    def __init__(self, factories: Mapping[str, Factory] | None = None) -> None:
        self._factories: dict[str, Factory] = dict(factories or {})

    @property
    def names(self) -> tuple[str, ...]:
        """Names in the order of registration."""
        return tuple(self._factories)

    def register(self, name: str, factory: Factory) -> None:
        """Add a plugin. Raises PluginError if the name is taken: nobody replaces a rule unseen."""
        if name in self._factories:
            raise PluginError(name, "there is one of this name already")
        self._factories[name] = factory

    def make(self, name: str, args: JsonObject | None = None) -> Plugin:
        """A plugin with these arguments. Raises PluginError if there is none or it refuses them."""
        factory = self._factories.get(name)
        if factory is None:
            raise PluginError(name, f"there is none of this name; there are {', '.join(self.names)}")
        try:
            return factory(args or {})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise PluginError(name, str(error)) from error


@dataclass(frozen=True, slots=True)
class Weighted:
    """A score plugin and how much its score counts."""

    plugin: ScorePlugin
    weight: int


class Profile:
    """An ordered set of plugins for the pods that name this scheduler.

    `preempts`: whether it makes room for a pod that found no node. `others` are plugins that are no filters
    and can refuse a pod all the same, by name.
    """

    preempts: bool = False

    def __init__(
        self, filters: Sequence[FilterPlugin], scores: Iterable[Weighted], *, name: str = DEFAULT_SCHEDULER
    ) -> None:
        self.name = name
        self.filters: Final = tuple(filters)
        self.scores: Final = tuple(scores)
        self.by_name: Final = {plugin.name: plugin for plugin in self.filters}
        self.others: Mapping[str, Plugin] = {}

    def only(self, pods: PodClass) -> frozenset[str] | None:
        """Names of the only nodes that all plugins would look at, None for all nodes."""
        names: frozenset[str] | None = None
        for plugin in self.filters:
            only = plugin.only(pods)
            if only is not None:
                names = only if names is None else names & only
        return names
