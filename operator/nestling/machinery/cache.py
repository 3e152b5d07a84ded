"""What the host last told us: every object of every cluster we serve, as records with indexes.

Three sources feed it, and all may be late or double: watch events (through Kopf), the answers of our own
writes, and the sweep that follows a re-list. So it never goes back in resourceVersion, compares by UID, and
remembers for a while which UIDs are gone, because the answer of a write may arrive after the event of a
deletion.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeAlias, TypeVar, cast

from nestling.api.json import JsonObject
from nestling.api.kinds import Kind, Uid
from nestling.api.selector import Selector
from nestling.machinery.names import Key, key_of
from nestling.machinery.records.base import Record
from nestling.machinery.records.budget import PodDisruptionBudget
from nestling.machinery.records.job import Job
from nestling.machinery.records.pod import Pod
from nestling.machinery.records.revisioned import ControllerRevision, DaemonSet, StatefulSet
from nestling.machinery.records.service import Service
from nestling.machinery.records.workload import Deployment, ReplicaSet

R = TypeVar("R", bound=Record)

# UIDs that are gone: enough for every write that can still be in flight when its object goes.
REMEMBERED_DELETIONS: Final = 20_000
# Cluster, virtual namespace, and one label that the selector asks for (None if it asks for no plain one).
SelectorIndex: TypeAlias = dict[tuple[str, str, tuple[str, str] | None], dict[Key, None]]
# Kinds that others select by label.
SELECTED: Final = (Pod, ReplicaSet, ControllerRevision)
# Kinds of which a changed object asks: which of you select me?
SELECTING: Final = (Service, ReplicaSet, Deployment, StatefulSet, DaemonSet, PodDisruptionBudget, Job)


@dataclass(frozen=True, slots=True)
class Change:
    """What one event did to one object.

    `old` or `new` is None at its birth and its end, `old` also at a re-creation.
    """

    kind: Kind
    key: Key
    old: Record | None
    new: Record | None

    @property
    def record(self) -> Record:
        """The object as it is now, or as it last was."""
        found = self.new if self.new is not None else self.old
        assert found is not None
        return found


class Table(Generic[R]):
    """The objects of one kind.

    Indexes are dictionaries used as ordered sets, so that iteration repeats itself.
    """

    def __init__(self, record: type[R], *, by_label: bool = False, by_selector: bool = False) -> None:
        self.record = record
        self.kind = record.KIND
        self.records: dict[Key, R] = {}
        self._clusters: dict[str, dict[Key, None]] = {}
        self._owned: dict[Uid, dict[Key, None]] = {}
        self._named: dict[Uid, dict[Key, None]] = {}  # owners that do not control; nearly always empty
        self._on_node: dict[tuple[str, str], dict[Key, None]] = {}
        self._labelled: dict[tuple[str, str, str, str], dict[Key, None]] | None = {} if by_label else None
        self._selecting: SelectorIndex | None = {} if by_selector else None

    def put(self, record: R) -> None:
        """Add or replace one object."""
        old = self.records.get(record.key)
        if old is not None:
            self._unindex(old, record)
        self.records[record.key] = record
        self._index(record, old)

    def drop(self, key: Key) -> R | None:
        """Forget one object and return what it was."""
        old = self.records.pop(key, None)
        if old is not None:
            self._unindex(old, None)
        return old

    def of_cluster(self, cluster: str) -> Iterator[R]:
        """Objects of one cluster, oldest sighting first."""
        return self._resolve(self._clusters.get(cluster))

    def owned_by(self, uid: Uid) -> Iterator[R]:
        """Objects whose controller has this UID."""
        return self._resolve(self._owned.get(uid))

    def naming(self, uid: Uid) -> Iterator[R]:
        """Objects that name this UID as an owner, controller or not."""
        yield from self.owned_by(uid)
        yield from self._resolve(self._named.get(uid))

    def on_node(self, cluster: str, node: str) -> Iterator[R]:
        """Pods bound to this node (kinds without nodes have none)."""
        return self._resolve(self._on_node.get((cluster, node)))

    def labelled(self, cluster: str, namespace: str, label: str, value: str) -> Iterator[R]:
        """Objects of a virtual namespace that carry this label.

        Only for kinds that are selected by labels.
        """
        if self._labelled is None:
            raise LookupError(f"{self.kind.name} is not indexed by label")
        return self._resolve(self._labelled.get((cluster, namespace, label, value)))

    def count_labelled(self, cluster: str, namespace: str, label: str, value: str) -> int:
        """How many objects of a virtual namespace carry this label."""
        return len((self._labelled or {}).get((cluster, namespace, label, value), ()))

    def selecting(self, cluster: str, namespace: str, labels: Mapping[str, str]) -> Iterator[R]:
        """Objects of a virtual namespace whose selector matches these labels.

        Asks only those that select one of the labels, or none by name. Only for kinds that have selectors.
        """
        if self._selecting is None:
            raise LookupError(f"{self.kind.name} is not indexed by selector")
        for pair in (*labels.items(), None):
            for record in self._resolve(self._selecting.get((cluster, namespace, pair))):
                if _selector_of(record).matches(labels):
                    yield record

    def clusters(self) -> Iterable[str]:
        """Host namespaces that hold at least one object of this kind."""
        return tuple(self._clusters)

    def _resolve(self, keys: dict[Key, None] | None) -> Iterator[R]:
        records = self.records
        return iter([records[key] for key in keys]) if keys else iter(())

    def _index(self, record: R, old: R | None) -> None:
        key = record.key
        if old is None:
            self._clusters.setdefault(key.cluster, {})[key] = None
        for place, name in _places(record):
            cast("dict[Any, dict[Key, None]]", getattr(self, place)).setdefault(name, {})[key] = None
        if self._labelled is not None and (old is None or old.labels != record.labels):
            for label, value in record.labels.items():
                self._labelled.setdefault((key.cluster, key.namespace, label, value), {})[key] = None
        if self._selecting is not None and (old is None or _selector_of(old) != _selector_of(record)):
            self._index_selector(self._selecting, key, _selector_of(record))

    @staticmethod
    def _index_selector(index: SelectorIndex, key: Key, selector: Selector) -> None:
        if selector.nothing:
            return
        # Of several pairs the one that fewest select: a label that all objects share would tell nothing.
        places = [(key.cluster, key.namespace, pair) for pair in selector.equals]
        rarest = min(places, key=lambda place: len(index.get(place, ())), default=None)
        index.setdefault(rarest or (key.cluster, key.namespace, None), {})[key] = None

    def _unindex(self, old: R, new: R | None) -> None:
        key = old.key
        if new is None:
            _discard(self._clusters, key.cluster, key)
        kept = set(_places(new)) if new is not None else set[tuple[str, Any]]()
        for place, name in _places(old):
            if (place, name) not in kept:
                _discard(getattr(self, place), name, key)
        if self._labelled is not None and (new is None or new.labels != old.labels):
            for label, value in old.labels.items():
                _discard(self._labelled, (key.cluster, key.namespace, label, value), key)
        if self._selecting is not None:
            before = _selector_of(old)
            if new is None or _selector_of(new) != before:
                for pair in (*before.equals, None):
                    _discard(self._selecting, (key.cluster, key.namespace, pair), key)


def _selector_of(record: Record) -> Selector:
    """The selector of a record of a kind that has one."""
    return cast(
        "Service | ReplicaSet | Deployment | StatefulSet | DaemonSet | PodDisruptionBudget | Job", record
    ).selector


def _places(record: Record) -> Iterator[tuple[str, Any]]:
    """Index entries of a record: the table attribute and the name under which it stands there."""
    owner = record.controller
    if owner is not None:
        yield "_owned", owner.uid
    if len(record.owners) > (owner is not None):
        for other in record.owners:
            if other is not owner and (owner is None or other.uid != owner.uid):
                yield "_named", other.uid
    if isinstance(record, Pod) and record.node_name:
        yield "_on_node", (record.key.cluster, record.node_name)


def _discard(index: dict[Any, dict[Key, None]], name: object, key: Key) -> None:
    keys = index.get(name)
    if keys is not None:
        keys.pop(key, None)
        if not keys:
            del index[name]


class Cache:
    """Tables of all kinds, and the one way in."""

    def __init__(self, records: Iterable[type[Record]]) -> None:
        self._tables: dict[str, Table[Any]] = {
            record.KIND.plural: Table(
                record, by_label=issubclass(record, SELECTED), by_selector=issubclass(record, SELECTING)
            )
            for record in records
        }
        self._gone: OrderedDict[Uid, None] = OrderedDict()
        # Set by whoever feeds the cache, when it is complete and again after each gap (seconds since 1970).
        self.watching_since = 0.0

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Kinds that this cache holds."""
        return tuple(table.kind for table in self._tables.values())

    def table(self, record: type[R]) -> Table[R]:
        """The table of one kind of record. Raises KeyError for a kind this cache does not hold."""
        return cast("Table[R]", self._tables[record.KIND.plural])

    def table_of(self, kind: Kind) -> Table[Record]:
        """The table of `kind`. Raises KeyError for a kind this cache does not hold."""
        return cast("Table[Record]", self._tables[kind.plural])

    def holds(self, kind: Kind) -> bool:
        """Whether objects of `kind` are kept here."""
        return kind.plural in self._tables

    def see(self, kind: Kind, obj: JsonObject, *, deleted: bool = False) -> Change | None:
        """Take one sighting of an object: a watch event, or the answer of a write.

        Returns what changed, or None if we knew better already: an older version, the same one, or an object
        known to be gone. The sighting's `managedFields` are dropped in place.
        """
        table = self.table_of(kind)
        meta: JsonObject = obj["metadata"]
        uid = Uid(meta["uid"])
        version = int(meta.get("resourceVersion") or 0)
        key = key_of(kind, meta.get("namespace", ""), meta["name"])
        old = table.records.get(key)
        if deleted:
            self._bury(uid)
            if old is None or old.uid != uid:
                return None
            table.drop(key)
            return Change(kind, key, old, None)
        if uid in self._gone:
            return None
        if old is not None and old.uid == uid and version <= old.version:
            return None
        if old is not None and old.uid != uid:
            if version < old.version:
                return None  # a late word about a predecessor of the same name
            self._bury(old.uid)
            table.drop(key)
            old = None
        new = table.record.read(obj)
        table.put(new)
        return Change(kind, key, old, new)

    def forget(self, kind: Kind, key: Key, uid: Uid) -> Change | None:
        """Drop an object that the host says is gone (404 on a write of that UID)."""
        self._bury(uid)
        table = self.table_of(kind)
        old = table.records.get(key)
        if old is None or old.uid != uid:
            return None
        table.drop(key)
        return Change(kind, key, old, None)

    def sweep(self, kind: Kind, cluster: str | None, living: Mapping[Key, Uid], as_of: int) -> list[Change]:
        """Drop what a complete listing no longer shows: deleted while the watch was blind.

        `as_of` is the listing's resourceVersion; what we saw later than that is not judged by it.
        """
        table = self.table_of(kind)
        known = table.records.values() if cluster is None else table.of_cluster(cluster)
        ghosts = [r for r in known if r.version <= as_of and living.get(r.key) != r.uid]
        changes: list[Change] = []
        for ghost in ghosts:
            change = self.forget(kind, ghost.key, ghost.uid)
            if change is not None:
                changes.append(change)
        return changes

    def _bury(self, uid: Uid) -> None:
        self._gone[uid] = None
        self._gone.move_to_end(uid)
        if len(self._gone) > REMEMBERED_DELETIONS:
            self._gone.popitem(last=False)
