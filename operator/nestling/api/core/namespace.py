"""The virtual namespace: a name that other objects' names end with.

Fields, types and defaults are native; the sentences are ours.
Source: Kubernetes 1.37, k8s.io/api/core/v1.
"""

from typing import Literal

from nestling.api.meta import ObservedCondition
from nestling.api.schema import Atomic, ByType, Schema, Text


class NamespaceSpec(Schema):
    """What has to happen before a namespace may go."""

    finalizers: Atomic[Text] | None = None
    """Names that must be cleared before the namespace is removed."""


class NamespaceCondition(ObservedCondition):
    """One observed aspect of a namespace, mostly of its removal."""


class NamespaceStatus(Schema):
    """Where the namespace is in its life."""

    conditions: ByType[NamespaceCondition] | None = None
    """What still stands in the way of removal."""
    phase: Literal["Active", "Terminating"] | None = None
    """Active, or Terminating while its content is removed."""
