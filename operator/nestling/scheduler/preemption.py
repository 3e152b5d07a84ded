"""Whom to remove, and where, so that a pod that found no node gets one.

On every node where removing pods could help: think all less important pods away, see whether the pod fits,
then give back as many as still leave room, those that budgets protect first and the most important first.
What is left are the node's victims; of all nodes the one that hurts least is taken. Pure: nothing is removed
here, the lane does that with what is found.

The nodes are looked at side by side, in arrays, one supposition for all of them per step. What was found for
a node holds until the node changes, so the next pod of the same class and priority asks about few.
Source: Kubernetes 1.37, pkg/scheduler/framework/preemption and plugins/defaultpreemption.
"""

from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nestling.machinery.names import Key
from nestling.scheduler.budgets import Budgets
from nestling.scheduler.explain import Refused, histogram, sentence
from nestling.scheduler.nominator import Nominator
from nestling.scheduler.podclass import PodClass
from nestling.scheduler.queue import QueuedPod
from nestling.scheduler.residents import Resident, Residents
from nestling.scheduler.standing import Standing
from nestling.scheduler.table import changed_row
from nestling.scheduler.whatif import Refusals, Tally, refused_if, refused_with_guests

NEVER: Final = "not eligible due to preemptionPolicy=Never."
TERMINATING: Final = "not eligible due to a terminating pod on the nominated node."
NO_VICTIMS: Final = "No preemption victims found for incoming pod"
NOT_HELPFUL: Final = "Preemption is not helpful for scheduling"
NO_CANDIDATE: Final = "no candidate node for preemption"
_REMEMBERED: Final = 16  # classes whose search is kept; each costs some hundred bytes per node looked at
_LIFT: Final = 2**31  # makes every priority positive, so that more victims never sum up to less


@dataclass(frozen=True, slots=True)
class PreemptionArgs:
    """How many nodes to find before choosing: a share of those that could help, and at least so many."""

    percentage: int = 10
    absolute: int = 100

    def wanted(self, nodes: int) -> int:
        """Candidates to look for among so many nodes."""
        return max(min(max(nodes * self.percentage // 100, self.absolute), nodes), 1)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node where room can be made, and by whose going; the most important victim first.

    `rank` is what it costs, and the lowest is best: numbers in kube-scheduler's order, compared one after the
    other.
    """

    node: str
    victims: tuple[Resident, ...]
    violations: int = 0
    rank: tuple[float, ...] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        top = self.victims[0].priority
        rank = (
            self.violations,
            top,
            sum(victim.priority + _LIFT for victim in self.victims),
            len(self.victims),
            -min(victim.start for victim in self.victims if victim.priority == top),
        )
        object.__setattr__(self, "rank", rank)


@dataclass(frozen=True, slots=True)
class Fruitless:
    """Preemption does not help now. `message` says why; `hopeless` says that an old nomination is void."""

    message: str
    hopeless: bool = False


def found_room(candidate: Candidate) -> str:
    """What is said of a search that found something."""
    count = len(candidate.victims)
    return f"found a potential placement for pod on node {candidate.node}, preempting {count} victims"


Reasons: TypeAlias = tuple[str, ...]


@dataclass(slots=True)
class _Search:
    """What is known of the nodes for one class and priority, by row; empty where nothing is."""

    version: int
    budgets: int
    found: dict[int, Candidate | Reasons] = field(default_factory=dict[int, "Candidate | Reasons"])


class Preemption:
    """The search for victims in one cluster."""

    def __init__(self, residents: Residents, nominator: Nominator, budgets: Budgets) -> None:
        self._residents = residents
        self._nominator = nominator
        self._budgets = budgets
        self._searches: OrderedDict[tuple[bytes, int, int], _Search] = OrderedDict()

    def forget(self, row: int | None) -> None:
        """Pods on a row changed in a way that the table does not tell: their start, their labels."""
        if row is not None:
            for search in self._searches.values():
                search.found.pop(row, None)

    def eligible(self, pod: QueuedPod, standing: Standing) -> Fruitless | None:
        """Why this pod may not preempt, None if it may."""
        if not pod.preempts:
            return Fruitless(NEVER)
        if pod.nominated and self._may_help(pod.nominated, standing):
            waits_for = self._residents.below(pod.nominated, pod.priority)
            if any(victim.going_by_preemption for victim in waits_for):
                return Fruitless(TERMINATING)
        return None

    def candidates(
        self, pod: QueuedPod, standing: Standing, refused: Sequence[Refused], args: PreemptionArgs, turn: int
    ) -> list[Candidate] | Fruitless:
        """Nodes where room can be made, in the order in which they were looked at; `turn` says where to
        begin."""
        rows = possible(standing, refused)
        wanted = args.wanted(len(rows))
        if len(rows):
            rows = np.roll(rows, -(turn % len(rows)))
        search = self._search(pod, standing)
        found: list[Candidate] = []
        clean = 0
        fruitless: list[Reasons] = []
        for start in range(0, len(rows), wanted):
            part: list[int] = rows[start : start + wanted].tolist()
            for looked in self._look(pod, standing, search, part):
                if isinstance(looked, Candidate):
                    found.append(looked)
                    clean += not looked.violations
                    if clean and len(found) >= wanted:
                        return found
                else:
                    fruitless.append(looked)
        if found:
            return found
        why = Counter(chain.from_iterable(fruitless))
        total = standing.nodes.count
        if total > len(rows):
            why[NOT_HELPFUL] += total - len(rows)
        return Fruitless(sentence(total, histogram(why)), hopeless=True)

    def _may_help(self, node: str, standing: Standing) -> bool:
        """Whether removing pods from the node could help this class, or it would do as it is."""
        row = standing.nodes.row_of.get(node)
        if row is None or not standing.nodes.alive[row]:
            return False
        place = np.flatnonzero(standing.only == row) if standing.only is not None else np.array([row])
        if not len(place) or standing.rejection is not None:
            return False
        for slot in standing.filters:
            codes = slot.codes[place]
            if codes[0]:
                return bool(slot.plugin.resolvable(codes)[0])
        return True

    def _search(self, pod: QueuedPod, standing: Standing) -> _Search:
        """What is still known; nothing where the answer for a node depends on other nodes."""
        nodes = standing.nodes
        if not all(slot.plugin.row_by_row for slot in standing.filters):
            return _Search(nodes.version, self._budgets.version)
        key = (standing.pods.key, pod.priority, id(standing.profile))
        search = self._searches.get(key)
        if search is None or search.budgets != self._budgets.version:
            search = self._searches[key] = _Search(nodes.version, self._budgets.version)
            if len(self._searches) > _REMEMBERED:
                self._searches.popitem(last=False)
            return search
        self._searches.move_to_end(key)
        changed = nodes.changes_since(search.version)
        search.version = nodes.version
        if changed is None:
            search.found.clear()
        else:
            for change in changed:
                search.found.pop(changed_row(change), None)
        return search

    def _look(
        self, pod: QueuedPod, standing: Standing, search: _Search, rows: list[int]
    ) -> list[Candidate | Reasons]:
        known = search.found
        # Where the pod itself is nominated the answer is for it alone: it does not yield to itself.
        own = standing.nodes.row_of.get(pod.nominated) if pod.nominated else None
        anew = [row for row in rows if row not in known or row == own]
        fresh = dict(zip(anew, self._dry_run(pod, standing, anew), strict=True)) if anew else {}
        known.update((row, found) for row, found in fresh.items() if row != own)
        return [fresh[row] if row in fresh else known[row] for row in rows]

    def _dry_run(self, pod: QueuedPod, standing: Standing, rows: list[int]) -> list[Candidate | Reasons]:
        """For each row its victims, or why removing pods does not help there."""
        names = standing.nodes.names
        outcome: list[Candidate | Reasons] = [(NO_VICTIMS,)] * len(rows)
        below = {place: self._residents.below(names[row], pod.priority) for place, row in enumerate(rows)}
        places = [place for place, pods in below.items() if pods]
        if not places:
            return outcome
        guests = {place: self._nominator.yields_to(names[rows[place]], pod) for place in places}
        trial = _Trial(
            standing,
            np.array([rows[place] for place in places], np.intp),
            [[resident.pods for resident in below[place]] for place in places],
            [[guest.pods for guest in guests[place]] for place in places],
        )
        emptied = trial.refused(np.arange(len(places)))
        orders: dict[int, tuple[list[Resident], list[Resident]]] = {}
        for at, place in enumerate(places):
            if emptied.fits[at]:
                orders[at] = self._budgets.split(sorted(below[place], key=importance))
            else:
                outcome[place] = emptied.reasons(at)
        for at, victims in trial.reprieve({at: [*v, *s] for at, (v, s) in orders.items()}).items():
            node = names[rows[places[at]]]
            protected, spared = orders[at]
            if protected and spared:
                victims.sort(key=importance)
            outcome[places[at]] = (
                Candidate(node, tuple(victims), sum(victim in protected for victim in victims))
                if victims
                else (f'expected at least one victim pod on node "{node}"',)
            )
        return outcome


class _Trial:
    """Some rows with all less important pods thought away, to be given back one by one."""

    def __init__(
        self,
        standing: Standing,
        rows: NDArray[np.intp],
        below: Sequence[Sequence[PodClass]],
        guests: Sequence[Sequence[PodClass]],
    ) -> None:
        self._standing = standing
        self._rows = rows
        self._tally = Tally(len(rows), chain.from_iterable((*below, *guests)))
        self._guests = np.zeros_like(self._tally.counts)
        for at, (gone, come) in enumerate(zip(below, guests, strict=True)):
            for pods in gone:
                self._tally.counts[at, self._tally.column(pods)] -= 1
            for pods in come:
                self._guests[at, self._tally.column(pods)] += 1
        self._guested = bool(self._guests.any())

    def refused(self, places: NDArray[np.intp]) -> Refusals:
        """What refuses the pod at these places, as things are thought now."""
        rows, counts, classes = self._rows[places], self._tally.counts[places], self._tally.classes
        if self._guested:
            return refused_with_guests(self._standing, rows, classes, counts, self._guests[places])
        return refused_if(self._standing, rows, classes, counts)

    def reprieve(self, orders: Mapping[int, Sequence[Resident]]) -> dict[int, list[Resident]]:
        """Give back, in this order, everybody without whose going the pod fits; who is left, by place.

        All places take their next step together: as many looks as the longest order has pods.
        """
        victims: dict[int, list[Resident]] = {at: [] for at in orders}
        counts = self._tally.counts
        for step in range(max(map(len, orders.values()), default=0)):
            places = np.array([at for at, order in orders.items() if len(order) > step], np.intp)
            columns = np.array([self._tally.column(orders[at][step].pods) for at in places.tolist()], np.intp)
            counts[places, columns] += 1
            refused = ~self.refused(places).fits
            counts[places[refused], columns[refused]] -= 1
            for at in places[refused].tolist():
                victims[at].append(orders[at][step])
        return victims


def importance(pod: Resident) -> tuple[float, float, Key]:
    """Sorts the most important first: higher priority, then longer running.

    Of equals the name decides, so that a search after a restart comes to the same victims.
    """
    return (-pod.priority, pod.start, pod.key)


def possible(standing: Standing, refused: Sequence[Refused]) -> NDArray[np.intp]:
    """Rows on which the class was refused for something that removing pods could change."""
    found = [one.places[one.plugin.resolvable(one.codes)] for one in refused]
    places = np.sort(np.concatenate(found)) if found else np.zeros(0, np.intp)
    return standing.only[places] if standing.only is not None else places
