"""What loops read of a VirtualNodePool."""

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from nestling.api.json import JsonObject
from nestling.api.kinds import NODE_POOL, Kind
from nestling.machinery.records.base import Record

# On every node of a pool, so that the scale subresource has a selector to offer.
POOL_LABEL: Final = "nestling.dev/pool"
# On a node of a pool: JSON of the keys that its template named last, so that what the template drops can go.
POOL_APPLIED: Final = "nestling.dev/pool-applied"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePool(Record):
    """A number of nodes of one shape. The template is read from `body`, once per look."""

    KIND: ClassVar[Kind] = NODE_POOL

    replicas: int

    @classmethod
    def fields_of(cls, obj: JsonObject) -> dict[str, Any]:
        """Constructor arguments taken from a VirtualNodePool; unreadable replicas count as 1."""
        fields = super(NodePool, cls).fields_of(obj)
        replicas = (obj.get("spec") or {}).get("replicas", 1)
        fields["replicas"] = max(replicas, 0) if isinstance(replicas, int) else 1
        return fields
