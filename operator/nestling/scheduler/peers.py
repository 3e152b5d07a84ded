"""The pods on the nodes as other pods see them: who is where, what they ask of newcomers, who their kin are.

Fed by the node table with pods that came or left, and by the machine with namespaces, services and workloads;
asked by the plugins that look at other pods. A `Column` counts, row by row, the pods that a term means or
those that hold one; it is made when first asked for and kept right from then on, at the price of one addition
per bind and column that means the pod. Columns that nobody asks for any more go away.

`company` says what all that comes to for one class. Classes of equal company and equal spec are judged alike,
so a thousand pods of a StatefulSet, each with a label of its own, still share one standing.
Source: Kubernetes 1.37, plugins/interpodaffinity, plugins/podtopologyspread, plugins/helper/spread.go.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, TypeAlias
from weakref import WeakValueDictionary

import numpy as np

from nestling.api.selector import Selector
from nestling.machinery.records.namespace import NAMESPACE_LABEL
from nestling.scheduler.podclass import PodClass
from nestling.scheduler.podterms import AffinityTerm, Audience, Who

_ROOM: Final = 256  # columns, or companies / 16, to keep before looking for some that nobody uses
HeldAs: TypeAlias = Literal["anti", "required", "preferred"]


class Column:
    """How many pods of one sort are on each row; int32 of shape (rows,)."""

    __slots__ = ("__weakref__", "counts")

    def __init__(self, rows: int) -> None:
        self.counts = np.zeros(rows, np.int32)


class Crowd(NamedTuple):
    """The pods that every one of these audiences means; `staying` leaves out those on their way out."""

    audiences: tuple[Audience, ...]
    staying: bool = False


class Held(NamedTuple):
    """A term that pods on nodes hold against or for newcomers; `weight` is 0 for required ones."""

    held_as: HeldAs
    weight: int
    term: AffinityTerm


@dataclass(slots=True, eq=False)
class Person:
    """Pods of one identity: on which rows how many, and the columns that mean them (as of `stamp`)."""

    at: dict[int, int] = field(default_factory=dict[int, int])
    columns: list[Column] = field(default_factory=list[Column])
    stamp: int = -1


@dataclass(frozen=True, slots=True)
class Company:
    """What other pods mean for one class: terms held on nodes that mean its pods, and its kin.

    `key` is equal for classes that are to be judged alike. `kin` selects the pods of the same services and
    workload, None if there are none.
    """

    key: tuple[bytes, int]
    anti: tuple[tuple[str, Column], ...] = ()
    required: tuple[tuple[str, Column], ...] = ()
    preferred: tuple[tuple[int, str, Column], ...] = ()
    kin: Selector | None = None


class NamespaceLabels(dict[str, Mapping[str, str]]):
    """Labels of virtual namespaces by name; one without an object has the label that every namespace has."""

    def __missing__(self, name: str) -> Mapping[str, str]:
        return {NAMESPACE_LABEL: name}


class Peers:
    """The pods of one node table. `version` grows whenever the company of a class may have changed."""

    def __init__(self, rows: int) -> None:
        self.version = 0
        self.namespaces = NamespaceLabels()
        self._rows = rows
        self._people: dict[Who, Person] = {}
        self._columns: WeakValueDictionary[Crowd, Column] = WeakValueDictionary()
        self._stamp = 0  # grows when the columns of persons have to be found anew
        self._sweep_at = _ROOM
        self._held: dict[Held, Column] = {}
        self._holdings: dict[PodClass, tuple[Column, ...]] = {}
        self._services: dict[str, dict[str, Selector]] = {}
        self._workloads: dict[tuple[str, str, str], Selector] = {}
        self._companies: dict[PodClass, Company] = {}
        self._companies_of = -1
        self._numbers: dict[Hashable, int] = {}
        self._next_number = 0

    @property
    def known(self) -> bool:
        """Whether any namespace, service or workload is known."""
        return bool(self.namespaces or self._services or self._workloads)

    # -- pods --

    def count(self, row: int, pods: PodClass, sign: int) -> None:
        """A pod came to a row (1) or left it (-1)."""
        who = pods.who
        person = self._people.get(who)
        if person is None:
            person = self._people[who] = Person()
        number = person.at.get(row, 0) + sign
        if number:
            person.at[row] = number
        else:
            person.at.pop(row, None)
            if not person.at:
                del self._people[who]
        for column in person.columns if person.stamp == self._stamp else self._meant(who, person):
            column.counts[row] += sign
        if pods.near:
            for column in self._holding(pods):
                column.counts[row] += sign

    def column(self, crowd: Crowd) -> Column:
        """The column of a crowd: shared, and kept right as long as somebody has it."""
        found = self._columns.get(crowd)
        if found is None:
            if len(self._columns) >= self._sweep_at:
                self._stamp += 1  # persons let go of their columns, and those that nobody else has go away
                for person in self._people.values():
                    person.columns = []
                self._sweep_at = _ROOM + 2 * len(self._columns)
            found = self._columns[crowd] = Column(self._rows)
            for who, person in self._people.items():
                if self.means(crowd, who):
                    if person.stamp == self._stamp:
                        person.columns.append(found)
                    rows = list(person.at)
                    found.counts[rows] += np.array(list(person.at.values()), np.int32)
        return found

    def means(self, crowd: Crowd, who: Who) -> bool:
        """Whether a crowd takes in pods of this identity."""
        if crowd.staying and who.leaving:
            return False
        return all(audience.includes(who, self.namespaces) for audience in crowd.audiences)

    def grow(self, rows: int) -> None:
        """Make room for more rows."""
        more = np.zeros(rows - self._rows, np.int32)
        self._rows = rows
        for column in {*self._columns.values(), *self._held.values()}:
            column.counts = np.concatenate((column.counts, more))

    def _meant(self, who: Who, person: Person) -> list[Column]:
        person.columns = [column for crowd, column in self._columns.items() if self.means(crowd, who)]
        person.stamp = self._stamp
        return person.columns

    def _holding(self, pods: PodClass) -> tuple[Column, ...]:
        found = self._holdings.get(pods)
        if found is None:
            if len(self._holdings) >= 16 * _ROOM:
                self._holdings.clear()
            near = pods.near
            terms = [Held("anti", 0, term) for term in near.anti]
            terms += [Held("required", 0, term) for term in near.required]
            terms += [Held("preferred", weight, term) for weight, term in near.preferred]
            found = self._holdings[pods] = tuple(map(self._held_column, terms))
        return found

    def _held_column(self, held: Held) -> Column:
        found = self._held.get(held)
        if found is None:
            if len(self._held) >= 16 * _ROOM:
                self._held = {one: column for one, column in self._held.items() if column.counts.any()}
                self._holdings.clear()
            found = self._held[held] = Column(self._rows)
            self.version += 1
        return found

    # -- what else pods are judged by --

    def put_namespace(self, name: str, labels: Mapping[str, str] | None) -> None:
        """A namespace came, got other labels, or went (None)."""
        before = self.namespaces[name]
        if labels is None:
            self.namespaces.pop(name, None)
        else:
            self.namespaces[name] = {NAMESPACE_LABEL: name, **labels}
        if self.namespaces[name] != before:
            self._stamp += 1
            self._numbers.clear()  # whatever was computed from the columns is void, though no row changed
            for crowd, column in list(self._columns.items()):
                if any(not (one.anywhere or one.namespace_selector.nothing) for one in crowd.audiences):
                    self._recount(crowd, column)
            self.version += 1

    def put_service(self, namespace: str, name: str, selector: Selector | None) -> None:
        """A service came, changed or went (None)."""
        services = self._services.setdefault(namespace, {})
        if selector is None or selector.nothing:
            changed = services.pop(name, None) is not None
        else:
            changed = services.get(name) != selector
            services[name] = selector
        if not services:
            del self._services[namespace]
        self.version += changed

    def put_workload(self, kind: str, namespace: str, name: str, selector: Selector | None) -> None:
        """A ReplicaSet, StatefulSet or ReplicationController came, changed or went (None)."""
        key = (kind, namespace, name)
        if selector is None:
            changed = self._workloads.pop(key, None) is not None
        else:
            changed = self._workloads.get(key) != selector
            self._workloads[key] = selector
        self.version += changed

    def _recount(self, crowd: Crowd, column: Column) -> None:
        column.counts[:] = 0
        for who, person in self._people.items():
            if self.means(crowd, who):
                column.counts[list(person.at)] += np.array(list(person.at.values()), np.int32)

    # -- what it comes to --

    def company(self, pods: PodClass) -> Company:
        """What other pods mean for this class now."""
        if self._companies_of != self.version or len(self._companies) > 16 * _ROOM:
            self._companies.clear()
            self._companies_of = self.version
            if len(self._numbers) > 64 * _ROOM:
                self._numbers.clear()
        found = self._companies.get(pods)
        if found is None:
            found = self._companies[pods] = self._resolve(pods)
        return found

    def _resolve(self, pods: PodClass) -> Company:
        who, near = pods.who, pods.near
        anti: list[tuple[str, Column]] = []
        required: list[tuple[str, Column]] = []
        preferred: list[tuple[int, str, Column]] = []
        for (held_as, weight, term), column in self._held.items():
            if not term.audience.includes(who, self.namespaces):
                continue
            match held_as:
                case "anti":
                    anti.append((term.topology_key, column))
                case "required":
                    required.append((term.topology_key, column))
                case "preferred":
                    preferred.append((weight, term.topology_key, column))
        kin = None if pods.spread else self.kin(who)
        own: Hashable = None
        if near or pods.spread:
            terms = (*near.required, *near.anti)
            means = tuple(term.audience.includes(who, self.namespaces) for term in terms)
            means += tuple(one.selector.matches(who.labels) for one in pods.spread)
            own = (who.namespace, near, pods.spread, means)
        elif kin is not None:
            own = who.namespace
        about: Hashable = (own, kin, tuple(anti), tuple(required), tuple(preferred))
        number = self._numbers.get(about)
        if number is None:  # never one that was given before: somebody may still keep things under it
            number = self._numbers[about] = self._next_number
            self._next_number += 1
        return Company((pods.spec_key, number), tuple(anti), tuple(required), tuple(preferred), kin)

    def kin(self, who: Who) -> Selector | None:
        """What selects the pods of the same services and workload: None if no label is asked for.

        Source: Kubernetes 1.37, plugins/helper/spread.go (DefaultSelector).
        """
        labels: dict[str, str] = {}
        for selector in self._services.get(who.namespace, {}).values():
            if selector.matches(who.labels):
                labels.update(selector.equals)
        requirements = ()
        owned: tuple[tuple[str, str], ...] = ()
        if who.owner is not None:
            kind, name = who.owner
            owner = self._workloads.get((kind, who.namespace, name))
            if owner is not None and not owner.nothing:
                requirements = owner.requirements
                owned = owner.equals
        # Both have to hold: a workload whose selector contradicts the services has no kin that it counts.
        found = Selector(tuple(sorted({*labels.items(), *owned})), requirements)
        return None if found.everything else found
