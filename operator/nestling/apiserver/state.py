"""What the parts of the server share: the store, the registry, the clock, and where UIDs come from.

`State.commit` is the only way to change an object. Clock and random source are passed in, so that the same
requests give the same bytes.
"""

import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any, Final

from nestling.api.json import JsonObject, packed
from nestling.apiserver import metadata
from nestling.apiserver.record import Change, Place, Record, restamped
from nestling.apiserver.refusal import Refusal
from nestling.apiserver.resource import Registry, Resource
from nestling.apiserver.store import Store
from nestling.machinery.clock import Clock, timestamp

MAX_OBJECT: Final = 1_572_864
"""What etcd takes by default, so what a real host takes."""

_LEADING: Final = ("apiVersion", "kind", "metadata")


def value_at(body: Any, path: tuple[str, ...]) -> Any:
    """The value at a path of field names, None where there is none."""
    for step in path:
        if not isinstance(body, dict):
            return None
        body = body.get(step)
    return body


def selector_text(value: Any) -> str:
    """A field as a field selector compares it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


class State:
    """Everything the server knows, and the one door for changes."""

    def __init__(self, store: Store, clock: Clock, random: Random | None = None) -> None:
        self.store = store
        self.registry = Registry()
        self.clock = clock
        self._random = random
        self.writes: Counter[tuple[str, str]] = Counter()
        """Writes that changed something, by plural and verb (create, update, status, delete)."""
        self.served: dict[str, tuple[int | None, str]] = {}
        """The generation and UID of each definition that is served."""

    def new_uid(self) -> str:
        """A UID: random, or from the seeded source."""
        if self._random is None:
            return str(uuid.uuid4())
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def suffix(self) -> str:
        """Five letters for a generated name."""
        return "".join((self._random or Random()).choices(metadata.SUFFIX_ALPHABET, k=5))

    def now(self) -> str:
        """The time as objects write it."""
        return timestamp(self.clock.now())

    def encode(self, resource: Resource, body: JsonObject, revision: int) -> Record:
        """The record of an object in its storage form. Raises Refusal when a host would find it too large."""
        meta = body["metadata"]
        meta["resourceVersion"] = str(revision)
        ordered: JsonObject = {"apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": meta}
        for key, value in body.items():
            if key not in _LEADING:
                ordered[key] = value
        data = packed(ordered)
        if len(data) > MAX_OBJECT:
            raise Refusal(413, f"Request entity too large: limit is {MAX_OBJECT}")
        fields: Mapping[str, str] = {
            name: selector_text(value_at(body, path)) for name, path in resource.selectable
        }
        return Record(
            place=(meta.get("namespace", ""), meta["name"]),
            revision=revision,
            data=data,
            uid=meta.get("uid", ""),
            labels=meta.get("labels") or {},
            fields=fields,
            owners=metadata.owner_uids(meta),
            deleting="deletionTimestamp" in meta,
        )

    def index_fields(self, resource: Resource) -> None:
        """Take the selectable fields of all stored objects again: a definition may name others now."""
        if not resource.selectable:
            return
        table = self.store.table(resource.storage)
        for record in table.records():
            body = record.parse()
            fields = {name: selector_text(value_at(body, path)) for name, path in resource.selectable}
            if fields != record.fields:
                table.renew(replace(record, fields=fields))

    def write(self, resource: Resource, body: JsonObject, before: Record | None, verb: str) -> Record:
        """Store an object; `body` is in its storage form and belongs to the store from now on."""
        revision = self.store.revision + 1
        after = self.encode(resource, body, revision)
        self.store.commit(Change(revision, resource.storage, after.place, before, after))
        self.writes[resource.plural, verb] += 1
        return after

    def erase(self, resource: Resource, before: Record) -> bytes:
        """Remove an object for good and answer its last state, stamped with the moment of its end."""
        revision = self.store.revision + 1
        final = restamped(before.data, before.revision, revision)
        self.store.commit(Change(revision, resource.storage, before.place, before, None, final))
        self.writes[resource.plural, "delete"] += 1
        return final

    def get(self, resource: Resource, place: Place) -> Record | None:
        """The current version of an object."""
        return self.store.table(resource.storage).get(place)
