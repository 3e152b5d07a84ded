"""What a reconciler may look at: the cache of one cluster and the time, and nothing else."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from nestling.api.kinds import Kind, Uid
from nestling.api.selector import Selector
from nestling.machinery.cache import Cache
from nestling.machinery.names import Key
from nestling.machinery.records.base import Record
from nestling.machinery.records.cluster import CLUSTER_NAME, Cluster, Settings
from nestling.machinery.records.pod import Pod

R = TypeVar("R", bound=Record)

DEFAULTS = Settings()


class View:
    """One cluster as the cache has it, at one moment. `now` is seconds since 1970, UTC.

    `refusal` is the host's last answer no to a plan of the key in hand, empty if there was none: it is how a
    reconciler learns that what it planned was not to be had, and can say so in a condition.
    """

    __slots__ = ("_cache", "cluster", "now", "refusal")

    def __init__(self, cache: Cache, cluster: str, now: float, *, refusal: str = "") -> None:
        self._cache = cache
        self.cluster = cluster
        self.now = now
        self.refusal = refusal

    @property
    def settings(self) -> Settings:
        """The VirtualCluster's settings, or the defaults where there is none."""
        found = self.get(Cluster, Key(self.cluster, "", CLUSTER_NAME))
        return found.settings if found is not None else DEFAULTS

    def get(self, record: type[R], key: Key) -> R | None:
        """The object under this name, or None."""
        return self._cache.table(record).records.get(key)

    def all(self, record: type[R]) -> Iterator[R]:
        """Every object of this kind in the cluster: for small kinds and for rare questions."""
        return self._cache.table(record).of_cluster(self.cluster)

    def in_namespace(self, record: type[R], namespace: str) -> Iterator[R]:
        """Every object of this kind in one virtual namespace; walks the cluster's objects of the kind."""
        return (found for found in self.all(record) if found.key.namespace == namespace)

    def owned(self, record: type[R], uid: Uid) -> Iterator[R]:
        """Objects whose controller has this UID."""
        return self._cache.table(record).owned_by(uid)

    @property
    def watching_since(self) -> float:
        """Since when the cache follows the host without a gap (seconds since 1970).

        Older silence proves nothing.
        """
        return self._cache.watching_since

    def holds(self, kind: Kind) -> bool:
        """Whether the cache holds this kind; of others nobody here can say whether an object exists."""
        return self._cache.holds(kind)

    def find(self, kind: Kind, key: Key) -> Record | None:
        """The object of a kind that is known only at run time, or None."""
        return self._cache.table_of(kind).records.get(key)

    def every(self, kind: Kind) -> Iterator[Record]:
        """Every object of a kind that is known only at run time."""
        return self._cache.table_of(kind).of_cluster(self.cluster)

    def dependents(self, uid: Uid) -> Iterator[Record]:
        """Objects of any kind that name this UID as an owner, controller or not."""
        for kind in self._cache.kinds:
            yield from self._cache.table_of(kind).naming(uid)

    def on_node(self, node: str) -> Iterator[Pod]:
        """Pods bound to `node`."""
        return self._cache.table(Pod).on_node(self.cluster, node)

    def selected(self, record: type[R], namespace: str, selector: Selector) -> Iterator[R]:
        """Objects (pods, ReplicaSets) of a virtual namespace that `selector` matches.

        Walks those with its rarest plain label only.
        """
        table = self._cache.table(record)
        if selector.nothing:
            return iter(())
        if selector.equals:
            rarest = min(
                selector.equals, key=lambda pair: table.count_labelled(self.cluster, namespace, *pair)
            )
            candidates = table.labelled(self.cluster, namespace, *rarest)
        else:
            candidates = self.in_namespace(record, namespace)
        return (found for found in candidates if selector.matches(found.labels))

    def selecting(self, record: type[R], namespace: str, labels: Mapping[str, str]) -> Iterator[R]:
        """Objects of a kind with selectors, in a virtual namespace, whose selector matches these labels."""
        return self._cache.table(record).selecting(self.cluster, namespace, labels)
