"""The objects in memory, and their recent history.

Every write gets the next revision of one counter. The store knows nothing about Kubernetes: it keeps records
by resource and place, a bounded history per resource for watches and for lists at an older revision, and
hands every change to a journal, which says when it is durable. Memory is the only place that is read.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from typing import Final, Protocol

from nestling.apiserver.record import Change, Place, Record

HISTORY: Final = 10_000
"""Changes kept per resource. Older ones are compacted: a watch from before them is told to list again."""

SNAPSHOTS: Final = 16
"""Lists under way that are kept whole between two pages."""


class Compacted(Exception):
    """History does not reach back to the revision that was asked for. `oldest` is the first one it has."""

    def __init__(self, oldest: int) -> None:
        super().__init__(f"compacted up to {oldest}")
        self.oldest = oldest


class Journal(Protocol):
    """Where changes go to outlive the process."""

    def append(self, change: Change) -> None:
        """Take one change; it may become durable later."""
        ...

    @property
    def durable(self) -> int:
        """The last revision that a crash cannot take back."""
        ...

    def when_durable(self, callback: Callable[[], None]) -> None:
        """Call back, from any thread, each time `durable` has grown, and when it never will again."""
        ...

    @property
    def failure(self) -> Exception | None:
        """Why nothing becomes durable any more, None as long as all is well."""
        ...


class NoJournal:
    """Durable at once, gone with the process: the journal of a store in memory."""

    def __init__(self) -> None:
        self._durable = 0
        self._callbacks: list[Callable[[], None]] = []

    def append(self, change: Change) -> None:
        """Forget the change and say that it is safe."""
        self._durable = change.revision
        for callback in self._callbacks:
            callback()

    @property
    def durable(self) -> int:
        """The last revision seen."""
        return self._durable

    def when_durable(self, callback: Callable[[], None]) -> None:
        """Call back at every change."""
        self._callbacks.append(callback)

    @property
    def failure(self) -> Exception | None:
        """Memory does not fail."""
        return None


class Table:
    """The objects of one resource, by namespace and name, and what happened to them lately."""

    __slots__ = ("_ordered", "_snapshots", "compacted", "history", "limit", "spaces")

    def __init__(self, limit: int = HISTORY, compacted: int = 0) -> None:
        self.spaces: dict[str, dict[str, Record]] = {}
        self.history: deque[Change] = deque()
        self.limit = limit
        self.compacted = compacted
        self._ordered: dict[str | None, Sequence[Record]] = {}
        self._snapshots: OrderedDict[tuple[int, str | None], Sequence[Record]] = OrderedDict()

    def get(self, place: Place) -> Record | None:
        """The current version of one object."""
        space = self.spaces.get(place[0])
        return None if space is None else space.get(place[1])

    def records(self, namespace: str | None = None) -> Sequence[Record]:
        """All current records in key order, of one namespace or of all. Do not change the answer."""
        ordered = self._ordered.get(namespace)
        if ordered is None:
            if namespace is None:
                ordered = [r for name in sorted(self.spaces) for r in self.records(name)]
            else:
                space = self.spaces.get(namespace, {})
                ordered = [space[name] for name in sorted(space)]
            self._ordered[namespace] = ordered
        return ordered

    def __len__(self) -> int:
        return sum(map(len, self.spaces.values()))

    def at(self, revision: int, namespace: str | None) -> Sequence[Record]:
        """The records as they were at `revision`. Raises Compacted when history does not reach back."""
        key = (revision, namespace)
        if (kept := self._snapshots.get(key)) is not None:
            self._snapshots.move_to_end(key)
            return kept
        if revision < self.compacted:
            raise Compacted(self.compacted)
        past = {record.place: record for record in self.records(namespace)}
        for change in reversed(self.history):
            if change.revision <= revision:
                break
            if namespace is not None and change.place[0] != namespace:
                continue
            if change.before is None:
                past.pop(change.place, None)
            else:
                past[change.place] = change.before
        return self.keep(revision, namespace, [past[place] for place in sorted(past)])

    def keep(self, revision: int, namespace: str | None, records: Sequence[Record]) -> Sequence[Record]:
        """Remember a list for its next pages, at the cost of references only."""
        self._snapshots[revision, namespace] = records
        if len(self._snapshots) > SNAPSHOTS:
            self._snapshots.popitem(last=False)
        return records

    def apply(self, change: Change) -> None:
        """Make one change current and part of history."""
        namespace, name = change.place
        if change.after is None:
            space = self.spaces[namespace]
            del space[name]
            if not space:
                del self.spaces[namespace]
        else:
            self.spaces.setdefault(namespace, {})[name] = change.after
        self._ordered.pop(namespace, None)
        self._ordered.pop(None, None)
        self.history.append(change)
        if len(self.history) > self.limit:
            self.compacted = self.history.popleft().revision

    def renew(self, record: Record) -> None:
        """Put a record in the place of one that differs only in what the server notes beside the bytes."""
        namespace, name = record.place
        self.spaces[namespace][name] = record
        self._ordered.pop(namespace, None)
        self._ordered.pop(None, None)

    def since(self, revision: int) -> list[Change]:
        """The changes after `revision`, oldest first. Raises Compacted when some of them are gone."""
        if revision < self.compacted:
            raise Compacted(self.compacted)
        # A watcher is nearly always a few changes behind, so walk back from the end.
        behind = list(takewhile(lambda change: change.revision > revision, reversed(self.history)))
        behind.reverse()
        return behind

    def compact(self, revision: int) -> None:
        """Forget history up to and including `revision`, and the lists that were being read."""
        while self.history and self.history[0].revision <= revision:
            self.history.popleft()
        self.compacted = max(self.compacted, revision)
        self._snapshots.clear()


class Store:
    """All tables, one counter, one journal."""

    def __init__(self, journal: Journal | None = None, history: int = HISTORY) -> None:
        self.revision = 0
        self.tables: dict[str, Table] = {}
        self._history = history
        self._journal = NoJournal() if journal is None else journal
        self._listeners: list[Callable[[Change], None]] = []

    def table(self, resource: str) -> Table:
        """The table of one resource, made when first asked for."""
        table = self.tables.get(resource)
        if table is None:
            # What a resource of this name did before is forgotten, so history begins here.
            table = self.tables[resource] = Table(self._history, self.revision)
        return table

    def load(self, entries: Iterator[tuple[str, Record]], revision: int) -> None:
        """Start from what a journal kept. History before this moment is gone."""
        self.revision = revision
        for resource, record in entries:
            self.table(resource).spaces.setdefault(record.place[0], {})[record.place[1]] = record

    def forget(self, resource: str) -> None:
        """Drop an empty table, when its definition goes."""
        self.tables.pop(resource, None)

    def listen(self, listener: Callable[[Change], None]) -> None:
        """Call `listener` with every change, at once and in order."""
        self._listeners.append(listener)

    def commit(self, change: Change) -> None:
        """Make one change; its revision must be the next one."""
        assert change.revision == self.revision + 1, "revisions have no gaps"
        self.revision = change.revision
        self.table(change.resource).apply(change)
        self._journal.append(change)
        for listener in self._listeners:
            listener(change)

    @property
    def durable(self) -> int:
        """The last revision that watchers may see and answers may speak of."""
        return self._journal.durable

    def when_durable(self, callback: Callable[[], None]) -> None:
        """Call back, from any thread, each time `durable` has grown, and when it never will again."""
        self._journal.when_durable(callback)

    @property
    def failure(self) -> Exception | None:
        """Why nothing becomes durable any more, None as long as all is well."""
        return self._journal.failure

    def compact(self, revision: int | None = None) -> None:
        """Forget history up to `revision`, by default all of it."""
        for table in self.tables.values():
            table.compact(self.revision if revision is None else revision)
