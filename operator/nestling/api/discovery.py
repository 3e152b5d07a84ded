"""The addresses behind Services.

Fields, types and defaults are native; the sentences are ours.
Source: Kubernetes 1.37, k8s.io/api/discovery/v1.
"""

from typing import Annotated

from annotated_types import MaxLen, MinLen

from nestling.api.meta import ObjectReference
from nestling.api.schema import Atomic, PortNumber, Protocol, Schema, SetOf, Text, TextMap


class EndpointConditions(Schema):
    """Whether an endpoint can be used."""

    ready: bool | None = None
    """Whether it takes traffic; absent means unknown."""
    serving: bool | None = None
    """Whether it answers, even while being removed."""
    terminating: bool | None = None
    """Whether it is being removed."""


class ForNode(Schema):
    """A node that should use an endpoint."""

    name: Text
    """Name of the node."""


class ForZone(Schema):
    """A zone that should use an endpoint."""

    name: Text
    """Name of the zone."""


class EndpointHints(Schema):
    """Who should use an endpoint."""

    for_nodes: Annotated[Atomic[ForNode], MaxLen(8)] | None = None
    """Nodes that should use it."""
    for_zones: Annotated[Atomic[ForZone], MaxLen(8)] | None = None
    """Zones that should use it."""


class Endpoint(Schema):
    """One place where a Service answers."""

    addresses: Annotated[SetOf[Text], MinLen(1), MaxLen(100)]
    """Addresses, all of the slice's type and of equal meaning."""
    conditions: EndpointConditions | None = None
    """Whether it can be used."""
    deprecated_topology: TextMap | None = None
    """Topology in an old form; accepted and without effect."""
    hints: EndpointHints | None = None
    """Who should use it."""
    hostname: Text | None = None
    """Host name, for DNS."""
    node_name: Text | None = None
    """Node that it is on."""
    target_ref: ObjectReference | None = None
    """Object that it stands for, mostly a pod."""
    zone: Text | None = None
    """Zone that it is in."""


class EndpointPort(Schema):
    """A port that all endpoints of the slice share."""

    app_protocol: Text | None = None
    """Application protocol, as a hint."""
    name: Text = ""
    """Name of the port, unique in the slice."""
    port: PortNumber | None = None
    """Number of the port; absent means all ports."""
    protocol: Protocol = "TCP"
    """Transport protocol."""
