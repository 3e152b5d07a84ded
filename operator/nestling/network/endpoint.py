"""One endpoint of a service: what a pod contributes to an EndpointSlice, and on which ports.

Everything that changes often is in a pod's record (address, readiness, deletion), so a look at a thousand
pods parses none of them. The body is read only for what never changes or is rare: named ports, a second
address, a hostname.
Source: Kubernetes 1.37, k8s.io/endpointslice utils.go and trafficdist.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

from nestling.api.json import JsonObject
from nestling.api.requests import is_sidecar
from nestling.machinery.records.node import ZONE_LABEL, Node
from nestling.machinery.records.pod import Pod
from nestling.machinery.records.service import Service
from nestling.network.addresses import Family

TOPOLOGY_ANNOTATIONS: Final = (
    "service.kubernetes.io/topology-aware-hints",
    "service.kubernetes.io/topology-mode",
)
CLOSE: Final = frozenset({"PreferClose", "PreferSameZone", "PreferSameNode"})

Identity: TypeAlias = tuple[tuple[str, ...], str | None, str | None, str | None]
PortMap: TypeAlias = tuple[tuple[str, int, str, str], ...]


@dataclass(frozen=True, slots=True)
class Backend:
    """What a service says about all its endpoints; read once per look."""

    service: Service
    ports: tuple[JsonObject, ...]
    publish_not_ready: bool
    traffic: str
    same_for_all: PortMap | None
    """The ports of every endpoint, None if pods resolve them by name."""

    @classmethod
    def of(cls, service: Service, body: JsonObject) -> "Backend":
        """What `service`, whose parsed object is `body`, says."""
        spec: JsonObject = body.get("spec") or {}
        annotations: JsonObject = body["metadata"].get("annotations") or {}
        ports: list[JsonObject] = spec.get("ports") or []
        by_topology = any(str(annotations.get(name)).lower() == "auto" for name in TOPOLOGY_ANNOTATIONS)
        traffic = spec.get("trafficDistribution")
        return cls(
            service,
            tuple(ports),
            bool(spec.get("publishNotReadyAddresses")),
            traffic if traffic in CLOSE and not by_topology else "",
            _fixed_ports(ports),
        )


def is_endpoint(pod: Pod) -> bool:
    """Whether a pod has a place behind its services: it has an address and has not run its course."""
    return bool(pod.ip) and not pod.terminal


def addresses_of(pod: Pod, family: Family, *, single: bool) -> list[str]:
    """The pod's addresses of one family. `single` says that the service has no other family."""
    if single and (":" in pod.ip) == (family == "IPv6"):
        return [pod.ip]
    status: JsonObject = pod.body.get("status") or {}
    known = [str(one.get("ip") or "") for one in status.get("podIPs") or ()] or [pod.ip]
    return [ip for ip in known if ip and (":" in ip) == (family == "IPv6")]


def ports_of(backend: Backend, pod: Pod) -> PortMap:
    """The ports on which this pod answers; those that it does not have are left out."""
    if backend.same_for_all is not None:
        return backend.same_for_all
    body = pod.body
    found: list[tuple[str, int, str, str]] = []
    for port in backend.ports:
        target = port.get("targetPort") or port.get("port")
        number = _named_port(body, target, _protocol(port)) if isinstance(target, str) else target
        if isinstance(number, int):
            found.append(_endpoint_port(port, number))
    return tuple(sorted(found))


def _fixed_ports(ports: list[JsonObject]) -> PortMap | None:
    targets = [port.get("targetPort") or port.get("port") for port in ports]
    numbers = [target for target in targets if isinstance(target, int)]
    if len(numbers) < len(ports):
        return None
    return tuple(sorted(_endpoint_port(port, number) for port, number in zip(ports, numbers, strict=True)))


def _endpoint_port(port: JsonObject, number: int) -> tuple[str, int, str, str]:
    return str(port.get("name") or ""), number, _protocol(port), str(port.get("appProtocol") or "")


def _protocol(port: JsonObject) -> str:
    return str(port.get("protocol") or "TCP")


def _named_port(body: JsonObject, name: str, protocol: str) -> int | None:
    spec: JsonObject = body.get("spec") or {}
    containers: list[JsonObject] = [*(spec.get("containers") or ())]
    containers += filter(is_sidecar, spec.get("initContainers") or ())
    for container in containers:
        for port in container.get("ports") or ():
            if port.get("name") == name and (port.get("protocol") or "TCP") == protocol:
                return port.get("containerPort")
    return None


def ports_json(ports: PortMap) -> list[JsonObject]:
    """The ports of a slice as they are written."""
    return [
        {"name": name, "port": number, "protocol": protocol} | ({"appProtocol": app} if app else {})
        for name, number, protocol, app in ports
    ]


def port_map(ports: list[JsonObject]) -> PortMap:
    """The ports of a slice as they were written, in comparable form."""
    return tuple(sorted(_endpoint_port(port, int(port.get("port") or 0)) for port in ports))


def endpoint_of(backend: Backend, pod: Pod, node: Node | None, addresses: list[str]) -> JsonObject:
    """The endpoint of one pod, as it stands in a slice."""
    serving, terminating = pod.ready, pod.deleting
    ready = backend.publish_not_ready or (serving and not terminating)
    endpoint: JsonObject = {
        "addresses": addresses,
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        "targetRef": {
            "kind": "Pod",
            "namespace": pod.key.namespace,
            "name": pod.key.name,
            "uid": pod.uid,
        },
    }
    if pod.node_name:
        endpoint["nodeName"] = pod.node_name
    zone = node.labels.get(ZONE_LABEL, "") if node is not None else ""
    if zone:
        endpoint["zone"] = zone
    if b'"subdomain"' in pod.raw:
        spec: JsonObject = pod.body.get("spec") or {}
        if spec.get("hostname") and spec.get("subdomain") == backend.service.key.name:
            endpoint["hostname"] = spec["hostname"]
    hints: JsonObject = {}
    if backend.traffic and ready and zone:
        hints["forZones"] = [{"name": zone}]
    if backend.traffic == "PreferSameNode" and ready and pod.node_name:
        hints["forNodes"] = [{"name": pod.node_name}]
    if hints:
        endpoint["hints"] = hints
    return endpoint


def identity_of(endpoint: JsonObject) -> Identity:
    """What makes two endpoints the same one, although their conditions may differ."""
    target: JsonObject = endpoint.get("targetRef") or {}
    addresses: list[str] = endpoint.get("addresses") or []
    return (
        # Sorting thousands of lists of one shows in a profile.
        tuple(addresses) if len(addresses) == 1 else tuple(sorted(addresses)),
        endpoint.get("hostname"),
        target.get("namespace"),
        target.get("name"),
    )
