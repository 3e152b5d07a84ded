"""Fill in a service's spec as the API server does for a native one: defaults, IP families, cluster IPs,
node ports.

`complete` works on JSON and an `Allocator` alone. It returns the whole new spec and, where something in it
cannot be had, the problem to tell the user; fields that the service's type does not use are dropped.
Source: Kubernetes 1.37, pkg/apis/core/v1/defaults.go (SetDefaults_Service),
pkg/registry/core/service/strategy.go
(dropTypeDependentFields) and storage/alloc.go.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, cast

from nestling.api.json import JsonObject
from nestling.machinery.records.service import HEADLESS, Service
from nestling.network.addresses import API_SERVER, Allocator, Family, Network, family_of

CLIENT_IP_TIMEOUT_S: Final = 10_800
OTHER: Final[dict[Family, Family]] = {"IPv4": "IPv6", "IPv6": "IPv4"}


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a service cannot have what its spec says; texts are those of the API server's repair loops."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Completed:
    """The spec as it should be, and the first problem met on the way."""

    spec: JsonObject
    problem: Problem | None = None


def complete(
    service: Service, spec: JsonObject, allocator: Allocator, rivals: Iterable[Service] = ()
) -> Completed:
    """The spec of `service` filled in. `rivals` are the older services, whose claims come first."""
    new: JsonObject = {**spec, "ports": [dict(port) for port in spec.get("ports") or []]}
    if not new["ports"] and "ports" not in spec:
        del new["ports"]
    held = [rival for rival in rivals if rival.uid != service.uid]
    _plain_defaults(new)
    _drop_unused(new)
    problem: Problem | None = None
    if new["type"] != "ExternalName":
        problem = _families(new, allocator.networks)
        problem = problem or _cluster_ips(service, new, allocator, held)
    if new["type"] in {"NodePort", "LoadBalancer"}:
        problem = _node_ports(service, new, allocator, held) or problem
    return Completed(new, problem)


def changes(before: JsonObject, after: JsonObject) -> JsonObject:
    """Merge patch from one spec to the other, by top-level field."""
    changed = {field: value for field, value in after.items() if before.get(field) != value}
    return changed | {field: None for field in before if field not in after}


def _plain_defaults(spec: JsonObject) -> None:
    spec["type"] = spec.get("type") or "ClusterIP"
    spec["sessionAffinity"] = spec.get("sessionAffinity") or "None"
    if spec["sessionAffinity"] == "ClientIP":
        client: JsonObject = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        if client.get("timeoutSeconds") is None:
            spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": CLIENT_IP_TIMEOUT_S}}
    else:
        spec.pop("sessionAffinityConfig", None)
    for port in spec.get("ports") or ():
        port["protocol"] = port.get("protocol") or "TCP"
        port["targetPort"] = port.get("targetPort") or port.get("port")
    if spec["type"] != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if _externally_accessible(spec):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)


def _drop_unused(spec: JsonObject) -> None:
    """Give back what an earlier type of the service needed and this one does not."""
    unused: list[str] = []
    if spec["type"] == "ExternalName":
        unused += ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"]
    if spec["type"] != "LoadBalancer":
        unused += ["allocateLoadBalancerNodePorts", "loadBalancerClass"]
    if not _externally_accessible(spec):
        unused += ["externalTrafficPolicy"]
    if not _needs_health_check(spec):
        unused += ["healthCheckNodePort"]
    for name in unused:
        spec.pop(name, None)
    if spec["type"] not in {"NodePort", "LoadBalancer"}:
        for port in spec.get("ports") or ():
            port.pop("nodePort", None)


def _externally_accessible(spec: JsonObject) -> bool:
    return spec["type"] in {"NodePort", "LoadBalancer"} or (
        spec["type"] == "ClusterIP" and bool(spec.get("externalIPs"))
    )


def _needs_health_check(spec: JsonObject) -> bool:
    return spec["type"] == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _families(spec: JsonObject, networks: dict[Family, Network]) -> Problem | None:
    """Decide `ipFamilyPolicy` and `ipFamilies`, and bring `clusterIP` and `clusterIPs` to one opinion."""
    addresses = [str(one) for one in spec.get("clusterIPs") or [spec.get("clusterIP")] if one]
    if addresses:
        spec["clusterIPs"], spec["clusterIP"] = addresses, addresses[0]
    headless = addresses[:1] == [HEADLESS]
    selectorless = headless and not spec.get("selector")
    policy = spec.get("ipFamilyPolicy") or ("RequireDualStack" if selectorless else "SingleStack")
    families = [cast("Family", one) for one in spec.get("ipFamilies") or ()]
    if not headless:
        for address in addresses[len(families) :]:
            family = family_of(address)
            if family is None:
                return _not_valid(address)
            families.append(family)
    if not families:
        families = list(networks)[:1] or ["IPv4"]
    dual = policy != "SingleStack" and (selectorless or len(networks) == 2)
    if dual and len(families) == 1 and families[0] in OTHER:
        families.append(OTHER[families[0]])
    if policy == "SingleStack" and len(families) > 1:
        families = families[:1]
        if addresses:
            spec["clusterIPs"] = addresses[:1]
    spec["ipFamilyPolicy"], spec["ipFamilies"] = policy, families
    if selectorless:
        return None
    if policy == "RequireDualStack" and len(networks) < 2:
        return Problem("IPFamilyNotConfigured", "this cluster is not configured for dual-stack services")
    for family in families:
        if family not in networks:
            return Problem("IPFamilyNotConfigured", f"{family} is not configured on this cluster")
    return None


def _cluster_ips(
    service: Service, spec: JsonObject, allocator: Allocator, rivals: list[Service]
) -> Problem | None:
    """Check the addresses that the service has, and take those that it lacks."""
    addresses: list[str] = list(spec.get("clusterIPs") or ())
    if addresses[:1] == [HEADLESS]:
        return None
    families: list[Family] = spec["ipFamilies"]
    for position, family in enumerate(families):
        network = allocator.networks[family]
        if position < len(addresses):
            address = addresses[position]
            problem = _address_problem(service, address, family, network, rivals)
            if problem is None:
                continue
            twice = problem.reason == "ClusterIPAlreadyAllocated"
            if not (twice and allocator.gave_address(service.uid, family, address)):
                return problem
            # Two of us gave the same address at the same time: the younger service gives it back, and the
            # next look finds it another. In one step the host would take it for a change by mistake.
            for name in ("clusterIP", "clusterIPs"):
                spec.pop(name, None)
            return None
        taken = allocator.take_address(service.uid, family)
        if taken is None:
            text = f"Service CIDR {network} is full; you must widen the CIDR in order to create new services"
            return Problem("ServiceCIDRFull", text)
        addresses[position : position + 1] = [taken]
    spec["clusterIPs"], spec["clusterIP"] = addresses, addresses[0]
    return None


def _address_problem(
    service: Service, address: str, family: Family, network: Network, rivals: list[Service]
) -> Problem | None:
    if family_of(address) != family:
        return _not_valid(address)
    number = int(ipaddress.ip_address(address))
    if not int(network.network_address) < number < int(network.broadcast_address) + (network.version == 6):
        where = f"is not within the service CIDR {network}"
        text = f"Cluster IP [{family}]:{address} {where}; please recreate service"
        return Problem("ClusterIPOutOfRange", text)
    kubernetes = (service.key.namespace, service.key.name) == ("default", "kubernetes")
    reserved = number == int(network.network_address) + API_SERVER and not kubernetes
    if reserved or any(address in rival.cluster_ips for rival in rivals):
        text = f"Cluster IP [{family}]:{address} was assigned to multiple services; please recreate service"
        return Problem("ClusterIPAlreadyAllocated", text)
    return None


def _not_valid(address: str) -> Problem:
    return Problem("ClusterIPNotValid", f"Cluster IP {address} is not a valid IP; please recreate service")


def _node_ports(
    service: Service, spec: JsonObject, allocator: Allocator, rivals: list[Service]
) -> Problem | None:
    """Check the node ports that the service has, and take those that it lacks.

    Ports of one number but different protocols share a node port, and the health check gets one of its own.
    """
    ports: list[JsonObject] = spec.get("ports") or []
    asked = {port.get("port"): port["nodePort"] for port in reversed(ports) if port.get("nodePort")}
    allocate = spec.get("allocateLoadBalancerNodePorts", True)
    problem: Problem | None = None
    given: dict[object, int] = {}
    for port in ports:
        name = port.get("port")
        number: int | None = port.get("nodePort")
        if number:
            found, number = _settled_port(service, str(name), number, allocator, rivals, given.get(name))
            problem = problem or found
        elif allocate:
            number = given.get(name) or asked.get(name) or allocator.take_port(service.uid, str(name))
            if number is None:
                return _ports_full(allocator)
        else:
            continue
        port["nodePort"] = given[name] = number
    if _needs_health_check(spec):
        number = spec.get("healthCheckNodePort")
        if number:
            found, number = _settled_port(service, "healthCheck", number, allocator, rivals, None)
            problem = problem or found
        else:
            number = allocator.take_port(service.uid, "healthCheck")
            if number is None:
                return _ports_full(allocator)
        spec["healthCheckNodePort"] = number
    return problem


def _settled_port(
    service: Service,
    name: str,
    number: int,
    allocator: Allocator,
    rivals: list[Service],
    twin: int | None,
) -> tuple[Problem | None, int]:
    """A port that the service already has: kept, exchanged if we gave it twice, or a problem."""
    if number not in allocator.ports:
        last = allocator.ports.first + allocator.ports.size - 1
        where = f"is not within the port range {allocator.ports.first}-{last}"
        text = f"Port {number} {where}; please recreate service"
        return Problem("PortOutOfRange", text), number
    if not any(number in rival.node_ports for rival in rivals):
        return None, number
    if allocator.gave_port(service.uid, name, number):
        other = twin or allocator.take_port(service.uid, name)
        if other is not None:
            return None, other
    text = f"Port {number} was assigned to multiple services; please recreate service"
    return Problem("PortAlreadyAllocated", text), number


def _ports_full(allocator: Allocator) -> Problem:
    last = allocator.ports.first + allocator.ports.size - 1
    remedy = "you must widen the port range in order to create new services"
    return Problem("PortRangeFull", f"Port range {allocator.ports.first}-{last} is full; {remedy}")
