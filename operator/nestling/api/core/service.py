"""One stable address for many pods.

Fields, types and defaults are native; the sentences are ours.
Source: Kubernetes 1.37, k8s.io/api/core/v1.
"""

from typing import Annotated, Literal

from annotated_types import Interval, MaxLen

from nestling.api import rules
from nestling.api.meta import Condition
from nestling.api.schema import (
    Atomic,
    ByType,
    DnsLabelOrEmpty,
    Int32,
    Labels,
    ListType,
    PortNumber,
    PortOrZero,
    PortReference,
    Protocol,
    Schema,
    Text,
)


class ServicePort(Schema):
    """A port of the Service and where it leads."""

    app_protocol: Text | None = None
    """Application protocol, as a hint."""
    name: DnsLabelOrEmpty | None = None
    """Name of the port; needed if there are several."""
    node_port: PortOrZero | None = None
    """Port on every node; chosen if absent and the type needs one."""
    port: PortNumber
    """Port of the Service."""
    protocol: Protocol = "TCP"
    """Transport protocol."""
    target_port: PortReference | None = None
    """Port of the pods, by number or name; the same number if absent."""


class ClientIPConfig(Schema):
    """Settings of affinity by client address."""

    timeout_seconds: Annotated[Int32, Interval(ge=1, le=86400)] | None = None
    """How long a client stays with its pod."""


class SessionAffinityConfig(Schema):
    """Settings of session affinity."""

    client_ip: ClientIPConfig | None = None
    """Settings of affinity by client address."""


class ServiceSpec(Schema):
    """Which pods are reached, at which address and ports."""

    validations = (*rules.SERVICE, rules.CLUSTER_IP_KEPT)

    allocate_load_balancer_node_ports: bool | None = None
    """Whether a load balancer also takes node ports."""
    cluster_ip: Text | None = None
    """Address inside the cluster; None for a headless Service; chosen if absent."""
    cluster_ips: Annotated[Atomic[Text], MaxLen(2)] | None = None
    """Addresses, at most one per IP family; the first equals clusterIP."""
    external_ips: Atomic[Text] | None = None
    """Further addresses whose traffic is accepted."""
    external_name: Text | None = None
    """DNS name that the Service stands for, with type ExternalName."""
    external_traffic_policy: Literal["Cluster", "Local"] | None = None
    """Whether traffic from outside may cross nodes."""
    health_check_node_port: PortOrZero | None = None
    """Port of the node's health check, for traffic policy Local."""
    internal_traffic_policy: Literal["Cluster", "Local"] | None = None
    """Whether traffic from inside may cross nodes."""
    ip_families: Annotated[Atomic[Literal["IPv4", "IPv6"]], MaxLen(2)] | None = None
    """IP families of the addresses."""
    ip_family_policy: Literal["SingleStack", "PreferDualStack", "RequireDualStack"] | None = None
    """Whether one IP family or two are wanted."""
    load_balancer_class: Text | None = None
    """Implementation of load balancer to use."""
    load_balancer_ip: Text | None = None
    """Address that the load balancer should have."""
    load_balancer_source_ranges: Atomic[Text] | None = None
    """Clients that the load balancer lets in."""
    ports: Annotated[list[ServicePort], ListType("map", "port", "protocol"), MaxLen(256)] | None = None
    """Ports of the Service."""
    publish_not_ready_addresses: bool | None = None
    """Whether pods that are not ready are listed too."""
    selector: Labels | None = None
    """Labels of the pods; without it endpoints are made by hand."""
    session_affinity: Literal["None", "ClientIP"] = "None"
    """Whether a client stays with one pod."""
    session_affinity_config: SessionAffinityConfig | None = None
    """Settings of session affinity."""
    traffic_distribution: Text | None = None
    """Which endpoints are preferred, such as PreferClose."""
    type: Literal["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"] = "ClusterIP"
    """From where the Service can be reached."""


class PortStatus(Schema):
    """State of one port of a load balancer."""

    error: Text | None = None
    """What went wrong with the port."""
    port: PortNumber
    """Number of the port."""
    protocol: Protocol
    """Transport protocol."""


class LoadBalancerIngress(Schema):
    """A point where a load balancer lets traffic in."""

    hostname: Text | None = None
    """Name of the point."""
    ip: Text | None = None
    """Address of the point."""
    ip_mode: Text | None = None
    """Whether nodes see the address themselves (VIP) or a proxy does (Proxy)."""
    ports: Atomic[PortStatus] | None = None
    """State of its ports."""


class LoadBalancerStatus(Schema):
    """Where a load balancer lets traffic in."""

    ingress: Atomic[LoadBalancerIngress] | None = None
    """Points of entry."""


class ServiceStatus(Schema):
    """What has been set up for the Service."""

    conditions: ByType[Condition] | None = None
    """Observed aspects of the Service."""
    load_balancer: LoadBalancerStatus | None = None
    """Where its load balancer lets traffic in."""
