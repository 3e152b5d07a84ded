"""Kinds of which loops read only what all records have: identity, labels and owners, and the body on demand.

They are held so that namespaces can be emptied of them, and what they own be collected.
"""

from dataclasses import dataclass
from typing import ClassVar

from nestling.api.kinds import (
    PRIORITY_CLASS,
    Kind,
)
from nestling.machinery.records.base import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorityClass(Record):
    """One priority class; its fields stand at the top level of the object."""

    KIND: ClassVar[Kind] = PRIORITY_CLASS
