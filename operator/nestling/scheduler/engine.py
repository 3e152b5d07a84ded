"""The scheduler as a library: pods in, decisions out, no host, no waiting, no clock.

`Scheduler` holds the nodes of one cluster and places pods one after the other, each on top of the ones before
it, as kube-scheduler does. Every node is looked at and scored; among equals the choice follows from the seed
and the pod, so that the same question has the same answer. Queueing, binding and telling people are the
`machine`'s.
Source: Kubernetes 1.37, pkg/scheduler/schedule_one.go (schedulePod).
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from nestling.scheduler.explain import Refusal, explain
from nestling.scheduler.framework import Profile, Supposition
from nestling.scheduler.podclass import Classes, PodClass
from nestling.scheduler.profiles import default_profile
from nestling.scheduler.standing import Standing, no_lap
from nestling.scheduler.table import NodeTable

KEPT: Final = 64  # standings; each costs about 60 bytes per node and plugin
RUNNERS_UP: Final = 3


class PendingPod(NamedTuple):
    """A pod to place: what names it in the decision, and its class. `name` also decides among equal nodes."""

    name: str
    pods: PodClass


class Scored(NamedTuple):
    """A node that would do, and its score."""

    node: str
    score: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of one pod: its `node`, or else the `refusal` or `error` that says why it has none.

    `shares` are what the node's score is made of, where that is not what its standing says.
    """

    pod: PendingPod
    nodes: int
    node: str = ""
    score: int = 0
    feasible: int = 0
    runners_up: tuple[Scored, ...] = ()
    refusal: Refusal | None = None
    error: str = ""
    shares: Mapping[str, int] | None = None


class Scheduler:
    """Places pods on the nodes of one cluster.

    `remember=False` computes everything anew for each pod, for tests; `nodes` may be shared by several, one
    per profile; `lap` is the seam for timing.
    """

    def __init__(
        self,
        *,
        profile: Profile | None = None,
        seed: int = 0,
        remember: bool = True,
        classes: Classes | None = None,
        nodes: NodeTable | None = None,
        lap: Callable[[str], None] = no_lap,
    ) -> None:
        self.profile = profile if profile is not None else default_profile()
        self.nodes = nodes if nodes is not None else NodeTable()
        self.classes = classes if classes is not None else Classes()
        self.seed = seed
        self._remember = remember
        self._lap = lap
        self._standings: OrderedDict[tuple[bytes, int], Standing] = OrderedDict()

    def place(self, pods: Iterable[PendingPod]) -> list[Decision]:
        """Decide for each pod in turn, and count it on its node before the next one is looked at."""
        decisions: list[Decision] = []
        for pod in pods:
            decision = self.decide(pod)
            if decision.node:
                self.nodes.add_pod(decision.node, pod.pods)
            decisions.append(decision)
        return decisions

    def decide(self, pod: PendingPod) -> Decision:
        """Choose a node for one pod, changing nothing."""
        nodes = self.nodes
        if pod.pods.malformed:
            return Decision(pod, nodes.count, error=pod.pods.malformed)
        standing = self.standing(pod.pods)
        if standing.feasible_count == 0:
            if standing.memo is None:
                standing.memo = explain(standing)
            return Decision(pod, nodes.count, refusal=standing.memo)
        total = standing.total
        top = total.max()
        ties = (total == top).nonzero()[0]
        turn = crc32(pod.name.encode(), self.seed) % len(ties)
        return Decision(
            pod,
            nodes.count,
            nodes.names[standing.row(int(ties[turn]))],
            int(top),
            standing.feasible_count,
            _runners_up(standing, ties, turn),
        )

    def would_fit(
        self, pods: PodClass, rows: NDArray[np.intp], suppose: Supposition | None = None
    ) -> NDArray[np.bool_]:
        """Whether the class could go to each of these rows if the supposition held there; shape (rows,).

        Each row is a world of its own: what is supposed on one row does not hold for the others. Changes
        nothing; the cost is a few array operations per filter, whatever is supposed.
        """
        return self.standing(pods).fits_if(rows, suppose)

    def resolvable(self, pods: PodClass) -> NDArray[np.intp]:
        """Rows that refuse the class for reasons that removing pods from them could lift."""
        return self.standing(pods).resolvable()

    def standing(self, pods: PodClass) -> Standing:
        """The class's masks and scores, up to date."""
        key = self.nodes.peers.company(pods).key
        found = self._standings.get(key) if self._remember else None
        if found is not None:
            found.refresh()
            self._standings.move_to_end(key)
            return found
        made = Standing(pods, self.nodes, self.profile, self._lap)
        if self._remember and made.lasting:
            self._standings[key] = made
            if len(self._standings) > KEPT:
                self._standings.popitem(last=False)
        return made


def _runners_up(standing: Standing, ties: NDArray[np.intp], turn: int) -> tuple[Scored, ...]:
    """The next best nodes: the other equals first, in the order in which they would have had their turn."""
    names, total = standing.nodes.names, standing.total
    score = int(total[ties[0]])
    others = [ties[(turn + step) % len(ties)] for step in range(1, min(len(ties), RUNNERS_UP + 1))]
    found = [Scored(names[standing.row(int(place))], score) for place in others]
    if len(found) < RUNNERS_UP and standing.feasible_count > len(ties):
        rest = total.copy()
        rest[ties] = -1
        while len(found) < RUNNERS_UP:
            place = int(rest.argmax())
            if rest[place] < 0:
                break
            found.append(Scored(names[standing.row(place)], int(rest[place])))
            rest[place] = -1
    return tuple(found)
