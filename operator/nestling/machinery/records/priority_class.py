"""What loops read of a VirtualPriorityClass: nothing but its body, when a pod names it."""

from dataclasses import dataclass
from typing import ClassVar

from nestling.api.kinds import PRIORITY_CLASS, Kind
from nestling.machinery.records.base import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityClass(Record):
    """One priority class; its fields stand at the top level of the object."""

    KIND: ClassVar[Kind] = PRIORITY_CLASS
