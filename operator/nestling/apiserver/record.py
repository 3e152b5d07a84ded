"""One stored version of one object: the bytes that clients get, and the few facts the server asks for.

Objects are kept as JSON text. Lists and watch events join these bytes without parsing them; the facts beside
them are taken once, at the write, from the object that was in hand anyway.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import orjson

from nestling.api.json import JsonObject

Place: TypeAlias = tuple[str, str]
"""Namespace (empty for cluster-scoped resources) and name."""

ChangeType: TypeAlias = Literal["ADDED", "MODIFIED", "DELETED"]

_NONE: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Record:
    """One version of one object. `fields` are the values that field selectors may ask for."""

    place: Place
    revision: int
    data: bytes
    uid: str = ""
    labels: Mapping[str, str] = field(default_factory=lambda: _NONE)
    fields: Mapping[str, str] = field(default_factory=lambda: _NONE)
    owners: tuple[str, ...] = ()
    deleting: bool = False

    def parse(self) -> JsonObject:
        """The object, fresh: the caller may change it."""
        return orjson.loads(self.data)


@dataclass(slots=True)
class Change:
    """One step of history: what was there (`before`), what is there (`after`), and when.

    A deletion has its own revision, and `final` holds the last state of the object stamped with it.
    """

    revision: int
    resource: str
    place: Place
    before: Record | None
    after: Record | None
    final: bytes = b""
    lines: dict[ChangeType, bytes] = field(default_factory=dict)

    def data(self, type_: ChangeType) -> bytes:
        """The object of a watch event: as it is now, or its last state with the revision of this change."""
        if self.after is None:
            return self.final
        if type_ == "DELETED" and self.before is not None:
            return restamped(self.before.data, self.before.revision, self.revision)
        return self.after.data

    def line(self, type_: ChangeType) -> bytes:
        """The watch line, encoded once however many watch."""
        line = self.lines.get(type_)
        if line is None:
            line = self.lines[type_] = b'{"type":"%s","object":%s}\n' % (type_.encode(), self.data(type_))
        return line


def restamped(data: bytes, old: int, new: int) -> bytes:
    """`data` with another resourceVersion.

    The pair of key and value occurs first in the metadata of the object itself because that is written first.
    """
    return data.replace(b'"resourceVersion":"%d"' % old, b'"resourceVersion":"%d"' % new, 1)
