"""Records for kinds of which no loop reads more than identity, labels and owners.

Garbage collection and the emptying of namespaces are about every kind; a kind gets a module of its own here
once a loop reads its spec or status.
"""

from collections.abc import Iterable
from typing import cast

from nestling.api.kinds import VIRTUAL_KINDS, Kind
from nestling.machinery.records.base import Record


def plain_record(kind: Kind) -> type[Record]:
    """A record of `kind` with the fields that all kinds share."""
    return cast("type[Record]", type(kind.native or kind.name, (Record,), {"KIND": kind, "__slots__": ()}))


def with_all_kinds(records: Iterable[type[Record]]) -> tuple[type[Record], ...]:
    """`records` and a plain one for each of our kinds that is not among them."""
    known = tuple(records)
    kinds = {record.KIND for record in known}
    return (*known, *(plain_record(kind) for kind in VIRTUAL_KINDS if kind not in kinds))
