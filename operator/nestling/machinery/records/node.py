"""What loops read of a VirtualNode and of the Lease by which its kubelet says that it lives."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple

import orjson

from nestling.api.json import JsonObject
from nestling.api.kinds import LEASE, NODE, Kind
from nestling.machinery.clock import seconds_of
from nestling.machinery.records.base import Record, condition

# On the Lease of a kubelet process: JSON of node name -> last heartbeat, for nodes it has stopped vouching
# for.
SILENT_NODES: Final = "nestling.dev/silent-nodes"
# On the same Lease, so that a watch can leave out the host's own Leases: one per real node, each renewed
# every 10 s.
KUBELET_LEASE: Final = "nestling.dev/kubelet"
ZONE_LABEL: Final = "topology.kubernetes.io/zone"
NOT_READY: Final = "node.kubernetes.io/not-ready"
UNREACHABLE: Final = "node.kubernetes.io/unreachable"
# Status of the Ready condition -> key of the taint that goes with it.
UNREADY_TAINTS: Final = {"False": NOT_READY, "Unknown": UNREACHABLE}


class Taint(NamedTuple):
    """One taint; `added_at` is empty unless the effect is NoExecute."""

    key: str
    value: str
    effect: str
    added_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node(Record):
    """One node.

    `kubelet_lease` is the host name of the Lease that vouches for it, `readiness` the status of its Ready
    condition; both are empty before registration.
    """

    KIND: ClassVar[Kind] = NODE

    unschedulable: bool
    taints: tuple[Taint, ...]
    readiness: str
    pod_cidr: str
    kubelet_lease: str

    @property
    def ready(self) -> bool:
        """Whether the kubelet says that the node can take pods."""
        return self.readiness == "True"

    @classmethod
    def fields_of(cls, obj: JsonObject) -> dict[str, Any]:
        """Constructor arguments taken from a VirtualNode."""
        fields = super(Node, cls).fields_of(obj)
        spec: JsonObject = obj.get("spec") or {}
        status: JsonObject = obj.get("status") or {}
        fields.update(
            unschedulable=bool(spec.get("unschedulable")),
            taints=tuple(
                Taint(t["key"], t.get("value") or "", t["effect"], t.get("timeAdded") or "")
                for t in spec.get("taints") or ()
            ),
            readiness=(condition(obj, "Ready") or {}).get("status") or "",
            pod_cidr=spec.get("podCIDR") or "",
            kubelet_lease=status.get("kubeletLease") or "",
        )
        return fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease(Record):
    """One Lease.

    Times are seconds since 1970; `silent` maps a node to the last heartbeat its kubelet vouches for.
    """

    KIND: ClassVar[Kind] = LEASE

    holder: str
    renewed_at: float
    duration_s: float
    silent: Mapping[str, float]

    @classmethod
    def fields_of(cls, obj: JsonObject) -> dict[str, Any]:
        """Constructor arguments taken from a Lease."""
        fields = super(Lease, cls).fields_of(obj)
        spec: JsonObject = obj.get("spec") or {}
        renewed = spec.get("renewTime")
        fields.update(
            holder=spec.get("holderIdentity") or "",
            renewed_at=seconds_of(renewed) if renewed else 0.0,
            duration_s=float(spec.get("leaseDurationSeconds") or 0),
            silent=_silent((obj["metadata"].get("annotations") or {}).get(SILENT_NODES)),
        )
        return fields


def _silent(text: str | None) -> Mapping[str, float]:
    if not text:
        return {}
    try:
        return {node: seconds_of(when) for node, when in orjson.loads(text).items()}
    except (ValueError, AttributeError, TypeError):  # somebody edited it: an unreadable list silences nobody
        return {}
