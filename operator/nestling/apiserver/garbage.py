"""What follows a deletion: dependents of a gone owner, the content of a dying namespace or definition.

On a real host these are controllers with their own delay; here they are a queue that is worked off step by
step, so that a test can look between two steps. Each step is one write or none.
Source: Kubernetes 1.37, pkg/controller/garbagecollector, pkg/controller/namespace/deletion, and
apiextensions-apiserver/pkg/controller/finalizer.
"""

from collections import deque
from typing import Any, Final

from nestling.api.json import JsonObject
from nestling.apiserver import crd
from nestling.apiserver.deletion import FOREGROUND, NAMESPACES, ORPHAN, Deleter
from nestling.apiserver.record import Change, Place, Record
from nestling.apiserver.refusal import Refusal
from nestling.apiserver.resource import Resource
from nestling.apiserver.state import State

Spot = tuple[str, Place]
"""A table and a place in it: where one object lives."""

BACKGROUND: Final[JsonObject] = {"propagationPolicy": "Background"}
PLAIN: Final[JsonObject] = {}


class Collector:
    """The queue of objects that somebody's deletion may concern."""

    def __init__(self, state: State, deleter: Deleter) -> None:
        self._state = state
        self._deleter = deleter
        self._spots: dict[str, Spot] = {}
        self._dependents: dict[str, set[Spot]] = {}
        self._queue: deque[Spot] = deque()
        self._queued: set[Spot] = set()
        state.store.listen(self._notice)

    def load(self) -> None:
        """Index what a journal brought back, and look at all of it once."""
        for storage, table in self._state.store.tables.items():
            for record in table.records():
                self._index(storage, record)
                self._enqueue((storage, record.place))

    @property
    def idle(self) -> bool:
        """Whether nothing is left to do."""
        return not self._queue

    def step(self) -> bool:
        """Look at one object; answer whether there was one."""
        if not self._queue:
            return False
        spot = self._queue.popleft()
        self._queued.discard(spot)
        try:
            self._look_at(spot)
        except Refusal:
            # Somebody else changed or removed it: their change will bring it back here.
            return True
        return True

    def settle(self) -> None:
        """Work until nothing is left."""
        while self.step():
            pass

    def _enqueue(self, spot: Spot) -> None:
        if spot not in self._queued:
            self._queued.add(spot)
            self._queue.append(spot)

    def _index(self, storage: str, record: Record) -> None:
        spot = (storage, record.place)
        self._spots[record.uid] = spot
        for owner in record.owners:
            self._dependents.setdefault(owner, set()).add(spot)

    def _notice(self, change: Change) -> None:
        before, after = change.before, change.after
        spot = (change.resource, change.place)
        if before is not None and before.owners and (after is None or after.owners != before.owners):
            for owner in before.owners:
                if (known := self._dependents.get(owner)) is not None:
                    known.discard(spot)
        if after is not None:
            self._index(change.resource, after)
            if after.owners or after.deleting:
                self._enqueue(spot)
        elif before is not None:
            self._spots.pop(before.uid, None)
            for dependent in sorted(self._dependents.pop(before.uid, ())):
                self._enqueue(dependent)
            for owner in before.owners:
                if owner in self._spots:
                    self._enqueue(self._spots[owner])
        namespace = change.place[0]
        if namespace and after is None:
            home = self._state.store.table(NAMESPACES).get(("", namespace))
            if home is not None and home.deleting:
                self._enqueue((NAMESPACES, home.place))
        if after is None and change.resource != crd.STORAGE:
            definition = self._state.store.table(crd.STORAGE).get(("", change.resource))
            if definition is not None and definition.deleting:
                self._enqueue((crd.STORAGE, definition.place))

    def _look_at(self, spot: Spot) -> None:
        storage, place = spot
        resource = self._state.registry.stored(storage)
        record = self._state.store.table(storage).get(place)
        if resource is None or record is None:
            return
        if record.deleting:
            body = record.parse()
            finalizers = body["metadata"].get("finalizers") or ()
            if storage == NAMESPACES:
                self._empty_namespace(resource, record, body)
            elif ORPHAN in finalizers:
                self._release_dependents(resource, record, body)
            elif FOREGROUND in finalizers:
                self._wait_for_dependents(resource, record, body)
            elif storage == crd.STORAGE and crd.CLEANUP in finalizers:
                self._empty_definition(resource, record, body)
        elif record.owners:
            self._judge_owned(resource, record)

    # Owners

    def _dependents_of(self, uid: str) -> list[tuple[Resource, Record]]:
        found: list[tuple[Resource, Record]] = []
        for storage, place in sorted(self._dependents.get(uid, ())):
            resource = self._state.registry.stored(storage)
            record = self._state.store.table(storage).get(place)
            if resource is not None and record is not None:
                found.append((resource, record))
        return found

    def _owner(self, owner: JsonObject, namespace: str) -> Record | bool | None:
        """The owner's record, None when it is surely gone, True when that cannot be told."""
        spot = self._spots.get(owner["uid"])
        kind = self._state.registry.of_kind(owner.get("apiVersion", ""), owner.get("kind", ""))
        if kind is None:
            return True
        if spot is None or spot[0] != kind.storage:
            return None
        place = spot[1]
        if place[1] != owner.get("name") or (place[0] and place[0] != namespace):
            return None
        return self._state.store.table(spot[0]).get(place)

    def _judge_owned(self, resource: Resource, record: Record) -> None:
        body = record.parse()
        meta = body["metadata"]
        solid: list[JsonObject] = []
        waiting: list[JsonObject] = []
        for owner in meta.get("ownerReferences") or ():
            known = self._owner(owner, record.place[0])
            if known is None:
                continue
            if isinstance(known, Record) and known.deleting and FOREGROUND in _finalizers(known):
                waiting.append(owner)
            else:
                solid.append(owner)
        if len(solid) == len(record.owners):
            return
        if solid:
            meta["ownerReferences"] = solid
            self._state.write(resource, body, record, "update")
            return
        finalizers = meta.get("finalizers") or ()
        if ORPHAN in finalizers:
            policy = "Orphan"
        elif FOREGROUND in finalizers or (waiting and self._dependents.get(record.uid)):
            policy = "Foreground"
        else:
            policy = "Background"
        self._delete(resource, record, {"propagationPolicy": policy})

    def _delete(self, resource: Resource, record: Record, options: dict[str, Any]) -> None:
        self._deleter.delete_record(resource, record, {**options, "preconditions": {"uid": record.uid}})

    def _release_dependents(self, resource: Resource, record: Record, body: JsonObject) -> None:
        for kind, dependent in self._dependents_of(record.uid):
            freed = dependent.parse()
            owners = [o for o in freed["metadata"]["ownerReferences"] if o["uid"] != record.uid]
            freed["metadata"]["ownerReferences"] = owners
            if not owners:
                del freed["metadata"]["ownerReferences"]
            self._state.write(kind, freed, dependent, "update")
        self._drop_finalizer(resource, record, body, ORPHAN)

    def _wait_for_dependents(self, resource: Resource, record: Record, body: JsonObject) -> None:
        blocking = False
        for kind, dependent in self._dependents_of(record.uid):
            owners = dependent.parse()["metadata"].get("ownerReferences") or ()
            if any(o["uid"] == record.uid and o.get("blockOwnerDeletion") for o in owners):
                blocking = True
            if not dependent.deleting:
                self._enqueue((kind.storage, dependent.place))
        if not blocking:
            self._drop_finalizer(resource, record, body, FOREGROUND)

    def _drop_finalizer(self, resource: Resource, record: Record, body: JsonObject, name: str) -> None:
        kept = [finalizer for finalizer in body["metadata"].get("finalizers") or () if finalizer != name]
        if not kept:
            self._state.erase(resource, record)
            return
        body["metadata"]["finalizers"] = kept
        self._state.write(resource, body, record, "update")

    # Namespaces and definitions

    def _empty_namespace(self, resource: Resource, record: Record, body: JsonObject) -> None:
        name = record.place[1]
        left = 0
        for kind in self._state.registry.tables():
            if not kind.namespaced:
                continue
            for content in list(self._state.store.table(kind.storage).records(name)):
                left += 1
                if not content.deleting:
                    self._delete(kind, content, BACKGROUND)
                    left -= self._state.store.table(kind.storage).get(content.place) is None
        if left:
            return
        if body.get("spec", {}).pop("finalizers", None) and body["metadata"].get("finalizers"):
            self._state.write(resource, body, record, "update")
        elif not body["metadata"].get("finalizers"):
            self._state.erase(resource, record)

    def _empty_definition(self, resource: Resource, record: Record, body: JsonObject) -> None:
        instances = self._state.store.table(record.place[1])
        kind = self._state.registry.stored(record.place[1])
        if kind is not None:
            for instance in list(instances.records()):
                if not instance.deleting:
                    self._delete(kind, instance, BACKGROUND)
        if not len(instances):
            self._drop_finalizer(resource, record, body, crd.CLEANUP)


def _finalizers(record: Record) -> list[str]:
    return record.parse()["metadata"].get("finalizers") or []
