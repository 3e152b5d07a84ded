"""The part of a record that all kinds share: identity, version, labels, owners, and the JSON itself as bytes.

A record is made once per event and read many times. It holds what loops look at for every object; the rest is
parsed from `raw` on demand by `body`, at a few microseconds per KB, and never kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Self, cast

import orjson

from nestling.api.json import JsonObject, packed
from nestling.api.kinds import API_VERSION, Kind, Uid
from nestling.machinery.clock import seconds_of
from nestling.machinery.conditions import conditions_of, find_condition
from nestling.machinery.names import Key, key_of

EMPTY: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Owner:
    """One owner reference. `kind` is the host kind (`VirtualReplicaSet`), `name` the host name."""

    kind: str
    name: str
    uid: Uid
    controller: bool = False
    blocks_deletion: bool = False

    def to_json(self) -> JsonObject:
        """The reference as it stands in `metadata.ownerReferences`."""
        return {
            "apiVersion": API_VERSION,
            "kind": self.kind,
            "name": self.name,
            "uid": self.uid,
            "controller": self.controller,
            "blockOwnerDeletion": self.blocks_deletion,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One object as last seen. Subclasses name their `KIND` and add the fields that their loops read.

    `created_at` and `deleting_at` are seconds since 1970; `deleting_at` is None while nobody has asked for
    deletion. `version` is the resourceVersion, which Kubernetes has made comparable as a number.
    """

    KIND: ClassVar[Kind]

    key: Key
    uid: Uid
    version: int
    generation: int
    created_at: float
    deleting_at: float | None
    labels: Mapping[str, str]
    finalizers: tuple[str, ...]
    owners: tuple[Owner, ...]
    raw: bytes

    @property
    def deleting(self) -> bool:
        """Whether deletion has been asked for and only finalizers hold the object."""
        return self.deleting_at is not None

    @property
    def controller(self) -> Owner | None:
        """The one owner that manages this object, or None for an orphan."""
        for owner in self.owners:
            if owner.controller:
                return owner
        return None

    @property
    def body(self) -> JsonObject:
        """The whole object, parsed anew at each call: read it once per decision, and do not change it."""
        return cast("JsonObject", orjson.loads(self.raw))

    @property
    def annotations(self) -> Mapping[str, str]:
        """Annotations, parsed from the body."""
        return self.body["metadata"].get("annotations") or EMPTY

    def as_owner(self, *, blocks_deletion: bool = True) -> Owner:
        """The reference by which an object says that this one controls it."""
        return Owner(
            self.KIND.name, self.key.host_name, self.uid, controller=True, blocks_deletion=blocks_deletion
        )

    @classmethod
    def read(cls, obj: JsonObject) -> Self:
        """The record of one object as it came off the wire. Raises KeyError if it has no identity."""
        return cls(**cls.fields_of(obj))

    @classmethod
    def fields_of(cls, obj: JsonObject) -> dict[str, Any]:
        """Constructor arguments taken from `obj`; subclasses extend the dictionary."""
        meta: JsonObject = obj["metadata"]
        meta.pop("managedFields", None)  # half the bytes, and no loop reads them
        deleting = meta.get("deletionTimestamp")
        return {
            "key": key_of(cls.KIND, meta.get("namespace", ""), meta["name"]),
            "uid": Uid(meta["uid"]),
            "version": int(meta.get("resourceVersion") or 0),
            "generation": meta.get("generation", 0),
            "created_at": _seconds(meta.get("creationTimestamp")),
            "deleting_at": seconds_of(deleting) if deleting else None,
            "labels": meta.get("labels") or EMPTY,
            "finalizers": tuple(meta.get("finalizers") or ()),
            "owners": tuple(map(_owner, meta.get("ownerReferences") or ())),
            "raw": packed(obj),
        }


def _owner(ref: JsonObject) -> Owner:
    return Owner(
        ref["kind"],
        ref["name"],
        Uid(ref["uid"]),
        bool(ref.get("controller")),
        bool(ref.get("blockOwnerDeletion")),
    )


@lru_cache(maxsize=1024)
def _seconds(text: str | None) -> float:
    """Seconds of a creation time; objects made in one burst share theirs, so the last few are remembered."""
    return seconds_of(text) if text else 0.0


def condition(obj: JsonObject, kind: str) -> JsonObject | None:
    """The condition of type `kind` in `status.conditions`, or None."""
    return find_condition(conditions_of(obj), kind)


def condition_is(obj: JsonObject, kind: str, status: str = "True") -> bool:
    """Whether the condition of type `kind` has this status; an absent condition has none."""
    found = condition(obj, kind)
    return found is not None and found.get("status") == status
