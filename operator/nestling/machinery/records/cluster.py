"""What loops read of a VirtualCluster.

The settings of one virtual cluster, with the defaults that hold without it.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from nestling.api.controllers import runs
from nestling.api.json import JsonObject
from nestling.api.kinds import CLUSTER, Kind
from nestling.machinery.records.base import Record

CLUSTER_NAME = "cluster"


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one virtual cluster.

    Times are seconds. The CRD's defaults say the same; a test holds them together.
    """

    pod_cidr: str = "10.128.0.0/9"  # 32,768 nodes of a /24 each
    service_cidr: str = "10.96.0.0/16"
    node_port_first: int = 30000
    node_port_last: int = 32767
    dns_domain: str = "cluster.local"
    controllers: tuple[str, ...] = ("*",)
    node_grace_s: float = 50.0
    node_startup_grace_s: float = 60.0
    not_ready_toleration_s: float = 300.0
    unreachable_toleration_s: float = 300.0
    seed: int = 0
    start_delay_s: float = 0.0
    body: JsonObject = field(default_factory=dict[str, Any], compare=False)

    def runs(self, controller: str) -> bool:
        """Whether a controller is switched on; by its canonical name, see `api.controllers`."""
        return runs(controller, self.controllers)

    @classmethod
    def of(cls, spec: JsonObject) -> "Settings":
        """Settings from `VirtualCluster.spec`; what is absent keeps its default."""
        life: JsonObject = spec.get("nodeLifecycle") or {}
        tolerated: JsonObject = spec.get("defaultTolerationSeconds") or {}
        simulation: JsonObject = spec.get("simulation") or {}
        plain = cls()
        first, last = _port_range(spec.get("nodePortRange")) or (plain.node_port_first, plain.node_port_last)
        return cls(
            pod_cidr=spec.get("podCIDR") or plain.pod_cidr,
            service_cidr=spec.get("serviceCIDR") or plain.service_cidr,
            node_port_first=first,
            node_port_last=last,
            dns_domain=spec.get("dnsDomain") or plain.dns_domain,
            controllers=tuple(spec.get("controllers", plain.controllers)),  # an empty list is a choice too
            node_grace_s=float(life.get("gracePeriodSeconds", plain.node_grace_s)),
            node_startup_grace_s=float(life.get("startupGracePeriodSeconds", plain.node_startup_grace_s)),
            not_ready_toleration_s=float(tolerated.get("notReady", plain.not_ready_toleration_s)),
            unreachable_toleration_s=float(tolerated.get("unreachable", plain.unreachable_toleration_s)),
            seed=int(simulation.get("seed") or 0),
            start_delay_s=float(simulation.get("startDelaySeconds") or 0.0),
            body=spec,
        )


def _port_range(text: object) -> tuple[int, int] | None:
    """First and last port of `30000-32767`, or None for anything that is no range of ports."""
    first, dash, last = str(text).partition("-")
    if not (dash and first.isdecimal() and last.isdecimal()):
        return None
    ports = int(first), int(last)
    return ports if 0 < ports[0] <= ports[1] < 65536 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster(Record):
    """The VirtualCluster named `cluster` of a host namespace."""

    KIND: ClassVar[Kind] = CLUSTER

    settings: Settings

    @classmethod
    def fields_of(cls, obj: JsonObject) -> dict[str, Any]:
        """Constructor arguments taken from a VirtualCluster."""
        fields = super(Cluster, cls).fields_of(obj)
        fields["settings"] = Settings.of(obj.get("spec") or {})
        return fields
