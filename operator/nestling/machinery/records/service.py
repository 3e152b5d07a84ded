"""What loops read of a VirtualService and of a VirtualEndpointSlice.

A service's record holds what the allocation of addresses asks of *every* service (which addresses and ports
are taken, who still needs some) and what a changed pod asks (does this service select it?). The rest is
read from `body`.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from nestling.api.json import JsonObject
from nestling.api.kinds import ENDPOINT_SLICE, SERVICE, Kind
from nestling.api.selector import Selector
from nestling.machinery.records.base import Record

HEADLESS: Final = "None"
SERVICE_NAME_LABEL: Final = "kubernetes.io/service-name"
MANAGED_BY_LABEL: Final = "endpointslice.kubernetes.io/managed-by"
ENDPOINT_SLICE_CONTROLLER: Final = "endpointslice-controller.k8s.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service(Record):
    """One service. `cluster_ips` are the addresses it has, without the "None" of a headless one."""

    KIND: ClassVar[Kind] = SERVICE

    type: str
    selector: Selector
    headless: bool
    cluster_ips: tuple[str, ...]
    node_ports: tuple[int, ...]
    ports_without_node_port: int

    @property
    def external_name(self) -> bool:
        """Whether the service is an alias of a DNS name: no address, no endpoints."""
        return self.type == "ExternalName"

    @property
    def wants_node_ports(self) -> bool:
        """Whether the service's type opens ports on nodes."""
        return self.type in {"NodePort", "LoadBalancer"}

    @classmethod
    def fields_of(cls, obj: JsonObject) -> dict[str, Any]:
        """Constructor arguments taken from a VirtualService."""
        fields = super(Service, cls).fields_of(obj)
        spec: JsonObject = obj.get("spec") or {}
        addresses = [ip for ip in spec.get("clusterIPs") or [spec.get("clusterIP")] if ip]
        ports: list[JsonObject] = spec.get("ports") or []
        own = [port.get("nodePort") for port in ports] + [spec.get("healthCheckNodePort")]
        fields.update(
            type=spec.get("type") or "ClusterIP",
            selector=Selector.from_labels(spec.get("selector")),
            headless=HEADLESS in addresses or spec.get("clusterIP") == HEADLESS,
            cluster_ips=tuple(ip for ip in addresses if ip != HEADLESS),
            node_ports=tuple(port for port in own if port),
            ports_without_node_port=sum(1 for port in ports if not port.get("nodePort")),
        )
        return fields


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSlice(Record):
    """Up to a hundred endpoints of one service; `managed` if the endpoint slice controller wrote it."""

    KIND: ClassVar[Kind] = ENDPOINT_SLICE

    service: str
    managed: bool
    address_type: str

    @classmethod
    def fields_of(cls, obj: JsonObject) -> dict[str, Any]:
        """Constructor arguments taken from a VirtualEndpointSlice."""
        fields = super(EndpointSlice, cls).fields_of(obj)
        labels = fields["labels"]
        fields.update(
            service=labels.get(SERVICE_NAME_LABEL, ""),
            managed=labels.get(MANAGED_BY_LABEL) == ENDPOINT_SLICE_CONTROLLER,
            address_type=obj.get("addressType") or "",
        )
        return fields
