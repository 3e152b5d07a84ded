"""What loops read of a VirtualNamespace."""

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from nestling.api.json import JsonObject
from nestling.api.kinds import NAMESPACE, Kind
from nestling.machinery.records.base import Record

# Keeps the VirtualNamespace until it is empty.
NAMESPACE_FINALIZER: Final = "nestling.dev/namespace"
NAMESPACE_LABEL: Final = "kubernetes.io/metadata.name"
# They exist without an object, and deleting the object does not empty them.
# Source: Kubernetes 1.37, plugin/pkg/admission/namespace/lifecycle (immortal namespaces).
IMMORTAL: Final = frozenset({"default", "kube-system", "kube-public"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace(Record):
    """One virtual namespace. `phase` is "" until somebody wrote a status."""

    KIND: ClassVar[Kind] = NAMESPACE

    phase: str

    @classmethod
    def fields_of(cls, obj: JsonObject) -> dict[str, Any]:
        """Constructor arguments taken from a VirtualNamespace."""
        fields = super(Namespace, cls).fields_of(obj)
        fields["phase"] = (obj.get("status") or {}).get("phase") or ""
        return fields
