"""The nodes of one cluster in columns: a row per node, one number per question a plugin asks.

Fed with nodes and with pods that came to or left a node; asked by plugins, which get whole columns. What pods
are to each other is in `peers`. Every change of a row is logged with its aspect, so that whoever keeps
something computed from the table (`standing`) can refresh the rows that changed and nothing else. Rows of
removed nodes are used again; a removed node whose pods are still known keeps its row, no longer alive, until
they are gone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntFlag
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nestling.scheduler.labels import LabelColumns
from nestling.scheduler.peers import Peers
from nestling.scheduler.podclass import EVERY_ADDRESS, HostPort, PodClass
from nestling.scheduler.resources import CPU, EPHEMERAL_STORAGE, MEMORY, PODS, counts

IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]
Rows: TypeAlias = slice | NDArray[np.intp]
"""Which rows a plugin is asked about: a slice (all, or one) or an array of row numbers."""

ALL: Final = slice(None)


class Aspect(IntFlag):
    """What of a row changed: who is on the node, what the node is, which images it has."""

    USAGE = 1
    NODE = 2
    IMAGES = 4


_USAGE: Final = int(Aspect.USAGE)


def changed_row(change: int) -> int:
    """The row that a logged change is about."""
    return change >> 3


@dataclass(frozen=True, slots=True)
class NodeTaint:
    """One taint as plugins see it; when it was added plays no part in placement."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What the table takes of a node. `allocatable` is in column units, `pods` among them; `images` are sizes
    in bytes by name."""

    name: str
    allocatable: Mapping[str, int]
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    taints: tuple[NodeTaint, ...] = ()
    unschedulable: bool = False
    images: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(slots=True)
class Image:
    """A container image: its size in bytes, and the rows that have it."""

    size: int
    rows: set[int] = field(default_factory=set[int])


class NodeTable:
    """Columns of shape (rows,) or (rows, resources), int64 unless said otherwise; `alive` says which rows
    hold a node.

    `allocatable` and `requested` count milli-CPU, bytes and items, one column per resource (`column`);
    `counted` is (rows, 2): milli-CPU and bytes in which every container counts for something, for scores
    alone.
    """

    def __init__(self, rows: int = 64) -> None:
        self.rows = rows
        self.row_of: dict[str, int] = {}
        self.names: list[str] = [""] * rows
        self.count = 0
        self.alive: BoolArray = np.zeros(rows, np.bool_)
        self.unschedulable: BoolArray = np.zeros(rows, np.bool_)
        self.taints: NDArray[np.int32] = np.zeros(rows, np.int32)
        self.pods: IntArray = np.zeros(rows, np.int64)
        self.pods_allowed: IntArray = np.zeros(rows, np.int64)
        # Column-major: plugins read one resource of many rows.
        self.allocatable: IntArray = np.zeros((rows, 3), np.int64, order="F")
        self.requested: IntArray = np.zeros((rows, 3), np.int64, order="F")
        self.counted: IntArray = np.zeros((rows, 2), np.int64, order="F")
        self.labels = LabelColumns(rows)
        self.taint_sets: list[tuple[NodeTaint, ...]] = [()]
        self.ports: dict[tuple[str, int], dict[str, dict[int, int]]] = {}
        self.columns: dict[str, int] = {CPU: 0, MEMORY: 1, EPHEMERAL_STORAGE: 2}
        self._taint_ids: dict[tuple[NodeTaint, ...], int] = {(): 0}
        self.peers = Peers(rows)
        self.images: dict[str, Image] = {}
        self._facts: list[NodeFacts | None] = [None] * rows
        self._free = list(range(rows - 1, -1, -1))
        self._log: list[int] = []
        self._log_start = 0

    # -- what changed --

    @property
    def version(self) -> int:
        """A number that grows with every change of a row."""
        return self._log_start + len(self._log)

    def changes_since(self, version: int) -> list[int] | None:
        """Logged changes after `version`, each `row * 8 + aspect` (see `changed_row`). None if too long
        ago or the table grew."""
        if version < self._log_start:
            return None
        return self._log[version - self._log_start :]

    def _touch(self, row: int, aspect: int) -> None:
        if len(self._log) > 4 * self.rows + 4096:
            self._forget_log()
        self._log.append(row * 8 + aspect)

    def _forget_log(self) -> None:
        self._log_start += len(self._log) + 1
        self._log.clear()

    # -- nodes --

    def put_node(self, facts: NodeFacts) -> NodeFacts | None:
        """Add or replace a node; returns what it was if it was known and alive."""
        row = self._row(facts.name)
        before = self._facts[row]
        for name, amount in facts.allocatable.items():
            if name == PODS:
                self.pods_allowed[row] = amount
            elif counts(name):
                column = self.column(name)  # first: a new column makes a new array
                self.allocatable[row, column] = amount
        if before is not None:
            for name in before.allocatable.keys() - facts.allocatable.keys():
                if name == PODS:
                    self.pods_allowed[row] = 0
                elif name in self.columns:
                    self.allocatable[row, self.columns[name]] = 0
        self.labels.put(row, facts.labels, before.labels if before is not None else {})
        self.taints[row] = self._taint_id(facts.taints)
        self.unschedulable[row] = facts.unschedulable
        if not self.alive[row]:
            self.alive[row] = True
            self.count += 1
        self._facts[row] = facts
        if before is None or before.images != facts.images:
            self._put_images(row, facts.images, before.images if before is not None else {})
            if before is not None and replace(before, images=facts.images) == facts:
                self._touch(row, Aspect.IMAGES)
                return before
        self._touch(row, Aspect.NODE)
        return before

    def remove_node(self, name: str) -> NodeFacts | None:
        """Take a node out; its pods stay counted until they leave. Returns what it was, None if it was not
        there."""
        row = self.row_of.get(name)
        if row is None or not self.alive[row]:
            return None
        before = self._facts[row]
        assert before is not None
        self.alive[row] = False
        self.count -= 1
        self.allocatable[row] = 0
        self.pods_allowed[row] = 0
        self.labels.put(row, {}, before.labels)
        self._put_images(row, {}, before.images)
        self.taints[row] = 0
        self.unschedulable[row] = False
        self._facts[row] = None
        self._touch(row, Aspect.NODE)
        self._release(row)
        return before

    def _put_images(self, row: int, images: Mapping[str, int], before: Mapping[str, int]) -> None:
        for name in before.keys() - images.keys():
            image = self.images[name]
            image.rows.discard(row)
            if not image.rows:
                del self.images[name]
        for name, size in images.items():
            # The size that the first node reported counts for all, as upstream has it.
            image = self.images.setdefault(name, Image(size))
            image.rows.add(row)
            if len(image.rows) == 1:
                image.size = size

    def facts(self, name: str) -> NodeFacts | None:
        """The node as it was put, or None."""
        row = self.row_of.get(name)
        return self._facts[row] if row is not None else None

    def taints_of(self, row: int) -> tuple[NodeTaint, ...]:
        """Taints of one row."""
        return self.taint_sets[self.taints[row]]

    # -- pods --

    def add_pod(self, node: str, pods: PodClass) -> None:
        """Count a pod on a node, known or not yet."""
        self._count(self._row(node), pods, 1)

    def remove_pod(self, node: str, pods: PodClass) -> None:
        """Stop counting a pod; the node must be one that `add_pod` was called with."""
        row = self.row_of[node]
        self._count(row, pods, -1)
        self._release(row)

    def _count(self, row: int, pods: PodClass, sign: int) -> None:
        demand = pods.demand
        self.pods[row] += sign
        requested = self.requested
        for name, amount in demand.amounts.items():
            column = self.columns.get(name)
            if column is None:
                column = self.column(name)
                requested = self.requested
            requested[row, column] += sign * amount
        self.counted[row, 0] += sign * demand.counted_cpu
        self.counted[row, 1] += sign * demand.counted_memory
        for port in pods.ports:
            self._count_port(row, port, sign)
        self.peers.count(row, pods, sign)
        self._touch(row, _USAGE)

    def _count_port(self, row: int, port: HostPort, sign: int) -> None:
        by_address = self.ports.setdefault((port.protocol, port.port), {})
        users = by_address.setdefault(port.address, {})
        users[row] = users.get(row, 0) + sign
        if users[row] <= 0:
            del users[row]
            if not users:
                del by_address[port.address]
                if not by_address:
                    del self.ports[port.protocol, port.port]

    def port_taken(self, port: HostPort) -> BoolArray:
        """Rows where somebody has this port, on the same address or where either side means all; shape
        (rows,)."""
        taken = np.zeros(self.rows, np.bool_)
        for address, users in self.ports.get((port.protocol, port.port), {}).items():
            if EVERY_ADDRESS in {address, port.address} or address == port.address:
                taken[list(users)] = True
        return taken

    def port_users(self, port: HostPort) -> IntArray:
        """How many ports in use on each row conflict with this one; shape (rows,)."""
        found = np.zeros(self.rows, np.int64)
        for address, users in self.ports.get((port.protocol, port.port), {}).items():
            if port.conflicts(HostPort(address, port.protocol, port.port)):
                found[list(users)] += list(users.values())
        return found

    # -- shape --

    def column(self, resource: str) -> int:
        """The column of a resource; one that nobody has named before gets a new column of zeros."""
        found = self.columns.get(resource)
        if found is None:
            found = self.columns[resource] = len(self.columns)
            empty = np.zeros((self.rows, 1), np.int64)
            self.allocatable = np.asfortranarray(np.hstack((self.allocatable, empty)))
            self.requested = np.asfortranarray(np.hstack((self.requested, empty)))
        return found

    def _row(self, name: str) -> int:
        row = self.row_of.get(name)
        if row is None:
            if not self._free:
                self._grow(self.rows + max(64, self.rows // 4))
            row = self.row_of[name] = self._free.pop()
            self.names[row] = name
        return row

    def _release(self, row: int) -> None:
        """Let another node have the row, once neither the node nor any pod of it is left."""
        if self.alive[row] or self.pods[row] > 0:
            return
        del self.row_of[self.names[row]]
        self.names[row] = ""
        self.requested[row] = 0
        self.counted[row] = 0
        self._free.append(row)

    def _grow(self, rows: int) -> None:
        more = rows - self.rows
        self._free = list(range(rows - 1, self.rows - 1, -1))
        self.names += [""] * more
        self._facts += [None] * more
        for name in ("alive", "unschedulable", "taints", "pods", "pods_allowed"):
            old = getattr(self, name)
            setattr(self, name, np.concatenate((old, np.zeros(more, old.dtype))))
        for name in ("allocatable", "requested", "counted"):
            old = getattr(self, name)
            grown = np.zeros((rows, old.shape[1]), np.int64, order="F")
            grown[: self.rows] = old
            setattr(self, name, grown)
        self.labels.grow(rows)
        self.peers.grow(rows)
        self.rows = rows
        self._forget_log()

    def _taint_id(self, taints: tuple[NodeTaint, ...]) -> int:
        found = self._taint_ids.get(taints)
        if found is None:
            found = self._taint_ids[taints] = len(self.taint_sets)
            self.taint_sets.append(taints)
        return found
