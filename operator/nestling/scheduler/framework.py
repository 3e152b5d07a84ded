"""The seams of the scheduler: what a plugin is, what can change its mind, how plugins make a profile.

A plugin looks at a whole node table at once. `prepare` reads what it needs of a pod class (kube-scheduler's
PreFilter and PreScore); `filter` answers a code per row, 0 where the pod may go; `score` answers a number per
row, which `normalize` may turn into 0..100 over the rows that passed. Each plugin states which aspect of a
row its answer depends on (`reads`), so that a bind makes only those answers be computed again, and which
cluster events could let a pod that it refused pass (`wakes_on`).
Source: Kubernetes 1.37, pkg/scheduler/framework (extension points, ClusterEvent, EventsToRegister).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Final

import numpy as np

from nestling.scheduler.podclass import PodClass
from nestling.scheduler.table import Aspect, BoolArray, IntArray, NodeTable, Rows

TOP_SCORE: Final = 100
DEFAULT_SCHEDULER: Final = "default-scheduler"


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
    `resolvable` tells preemption whether removing pods from a refused node could help.
    """

    resolvable: ClassVar[bool] = False

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

    @abstractmethod
    def reasons(self, code: int, pods: PodClass, nodes: NodeTable) -> tuple[str, ...]:
        """kube-scheduler's words for a code that is not 0."""

    def lacks(self, code: int, pods: PodClass, nodes: NodeTable, row: int) -> tuple[str, ...]:
        """The same with what one node lacks, for people; the reasons alone unless a plugin knows better."""
        return self.reasons(code, pods, nodes)

    def helped_by(self, event: ClusterEvent, state: Any, nodes: NodeTable, rows: Rows) -> bool:
        """Whether this event on these rows could let a refused pod of the class pass: the queueing hint.

        A row-by-row rule can tell from the rows themselves: does any of them pass now?
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
        """Scores of these rows, int64: 0..100, or any non-negative number for a plugin that normalizes."""

    def score_row(self, state: Any, nodes: NodeTable, row: int) -> int:
        """The score of one row; see `filter_row`."""
        return int(self.score(state, nodes, slice(row, row + 1))[0])

    def normalize(self, state: Any, scores: IntArray, feasible: BoolArray) -> IntArray:
        """Raw scores of all rows as 0..100, judged over the feasible ones; same shape."""
        return scores


def normalized(scores: IntArray, feasible: BoolArray, *, reverse: bool = False) -> IntArray:
    """Scores scaled so that the highest feasible one is 100, or with `reverse` 0 and the lowest possible 100.

    Source: Kubernetes 1.37, plugins/helper/normalize_score.go.
    """
    top = int(scores.max(initial=0, where=feasible))
    if top == 0:
        return np.full_like(scores, TOP_SCORE) if reverse else scores
    scaled = TOP_SCORE * scores // top
    return TOP_SCORE - scaled if reverse else scaled


@dataclass(frozen=True, slots=True)
class Weighted:
    """A score plugin and how much its score counts."""

    plugin: ScorePlugin
    weight: int


class Profile:
    """An ordered set of plugins for the pods that name this scheduler."""

    def __init__(
        self, filters: Sequence[FilterPlugin], scores: Iterable[Weighted], *, name: str = DEFAULT_SCHEDULER
    ) -> None:
        self.name = name
        self.filters: Final = tuple(filters)
        self.scores: Final = tuple(scores)
        self.by_name: Final = {plugin.name: plugin for plugin in self.filters}

    def only(self, pods: PodClass) -> frozenset[str] | None:
        """Names of the only nodes that all plugins would look at, None for all nodes."""
        names: frozenset[str] | None = None
        for plugin in self.filters:
            only = plugin.only(pods)
            if only is not None:
                names = only if names is None else names & only
        return names
