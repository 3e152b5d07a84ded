"""Give every service what the API server gives a native one: cluster IPs, node ports and the defaults
around them.

One write per service settles all of it. What is taken is read off the services in the cache. Who lacks
something is served oldest first, and every look reckons for all who are ahead in line: services that are
looked at side by side come to the same answer. Should two of them hold the same number nevertheless (two
processes decided at the same moment), the younger yields if the number was one of ours, and is told so if
people chose it. What cannot be had becomes the condition `AddressesAllocated` and an event; the service
keeps its spec.
Source: Kubernetes 1.37, pkg/registry/core/service/storage/alloc.go and the repair loops of ipallocator,
portallocator.
"""

from collections.abc import Iterable
from operator import attrgetter
from typing import Final

from nestling.api.json import JsonObject
from nestling.api.kinds import CLUSTER, SERVICE, Uid
from nestling.machinery.cache import Change
from nestling.machinery.conditions import conditions_of, with_condition
from nestling.machinery.controller import Controller, Route
from nestling.machinery.names import Key
from nestling.machinery.plan import Emit, Patch, Plan, Write
from nestling.machinery.records.base import condition
from nestling.machinery.records.cluster import Cluster
from nestling.machinery.records.service import Service
from nestling.machinery.view import View
from nestling.network.addresses import Allocator, service_networks
from nestling.network.service_spec import Problem, changes, complete

CONDITION: Final = "AddressesAllocated"
COMPONENT: Final = "service-controller"


def waiting(service: Service) -> bool:
    """Whether a service lacks an address or a node port, as far as its record tells."""
    if service.deleting or service.external_name:
        return False
    lacks_address = not service.headless and not service.cluster_ips
    return lacks_address or (service.wants_node_ports and service.ports_without_node_port > 0)


def older(view: View, service: Service) -> list[Service]:
    """The services whose claims come before those of `service`, in no order."""
    mine = _rank(service)
    return [other for other in view.all(Service) if _rank(other) < mine]


def _rank(service: Service) -> tuple[float, Uid]:
    return service.created_at, service.uid


def reconcile(view: View, key: Key) -> Plan:
    """Plan the one write that settles a service, or the word that it cannot be settled."""
    service = view.get(Service, key)
    if service is None or service.deleting:
        return Plan.done("no service to settle")
    settings = view.settings
    networks = service_networks(settings.service_cidr)
    body = service.body
    spec: JsonObject = body.get("spec") or {}
    if not networks and not service.external_name and not service.headless:
        text = f"serviceCIDR {settings.service_cidr!r} of the virtual cluster is no network; correct it"
        return Plan.of(*_tell(view, service, body, Problem("ServiceCIDRNotValid", text)), why=text)

    allocator = Allocator.of(view.all(Service), networks, settings.node_port_first, settings.node_port_last)
    ahead = older(view, service)
    for other in sorted(filter(waiting, ahead), key=_rank):
        complete(other, other.body.get("spec") or {}, allocator)
    done = complete(service, spec, allocator, ahead)
    change = changes(spec, done.spec)
    problem = Problem("Refused", view.refusal) if view.refusal else done.problem
    writes = _tell(view, service, {**body, "spec": done.spec}, problem)
    if change:
        # On the version we saw: `ports` is replaced as a whole. A status write makes a new version, so it
        # comes second; but what the host has refused before must be told before it stops the plan again.
        patch = Patch(SERVICE, key, service.uid, {"spec": change}, version=service.version)
        writes.insert(len(writes) if view.refusal else 0, patch)
    if done.problem is not None:
        return Plan.of(*writes, why=done.problem.message)
    return Plan.of(*writes, why="gets what it lacks" if change else "is settled")


def _tell(view: View, service: Service, body: JsonObject, problem: Problem | None) -> list[Write]:
    """The status write that tells of a problem or of its end, with the event; nothing if it has been told."""
    conditions = conditions_of(body)
    status: JsonObject = {}
    event: Emit | None = None
    if problem is not None:
        trouble = {"type": CONDITION, "status": "False", "observedGeneration": service.generation}
        told = with_condition(
            conditions, {**trouble, "reason": problem.reason, "message": problem.message}, view.now
        )
        event = Emit(SERVICE, service.key, service.uid, "Warning", problem.reason, problem.message, COMPONENT)
    elif (condition(body, CONDITION) or {}).get("status") == "False":
        fine = {"reason": "Allocated", "message": "All addresses and node ports are allocated."}
        generation = {"observedGeneration": service.generation}
        told = with_condition(
            conditions, {"type": CONDITION, "status": "True", **generation, **fine}, view.now
        )
    else:
        told = conditions
    if told != conditions:
        status["conditions"] = told
    if service.type != "LoadBalancer" and ((body.get("status") or {}).get("loadBalancer") or {}).get(
        "ingress"
    ):
        status["loadBalancer"] = None
    shown = display(body)
    if shown != (body.get("status") or {}).get("display"):
        status["display"] = shown
    if not status:
        return []
    return [
        Patch(
            SERVICE,
            service.key,
            service.uid,
            {"status": status},
            subresource="status",
            on_success=event if "conditions" in status else None,
        )
    ]


def display(body: JsonObject) -> JsonObject:
    """What kubectl computes for its columns. Source: printService in pkg/printers/internalversion."""
    spec: JsonObject = body.get("spec") or {}
    ports = [_port(port) for port in spec.get("ports") or ()]
    selector = ",".join(f"{label}={value}" for label, value in sorted((spec.get("selector") or {}).items()))
    return {
        "externalIP": _external_address(spec, body.get("status") or {}),
        "ports": ",".join(ports) or "<none>",
        "selector": selector or "<none>",
    }


def _port(port: JsonObject) -> str:
    node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port')}{node_port}/{port.get('protocol') or 'TCP'}"


def _external_address(spec: JsonObject, status: JsonObject) -> str:
    own: list[str] = spec.get("externalIPs") or []
    match spec.get("type"):
        case "ExternalName":
            return str(spec.get("externalName") or "")
        case "LoadBalancer":
            ingress: list[JsonObject] = (status.get("loadBalancer") or {}).get("ingress") or []
            given = [str(one.get("ip") or one.get("hostname") or "") for one in ingress]
            return ",".join([*filter(None, given), *own]) or "<pending>"
        case _:
            return ",".join(own) or "<none>"


def _concerned(view: View, change: Change) -> Iterable[Key]:
    """The service itself; and when it lets go of a number, those who wait for one or claim the same."""
    if change.new is not None:
        yield change.key
    old, new = change.old, change.new
    if not isinstance(old, Service):
        return
    kept = new if isinstance(new, Service) else None
    addresses = set(old.cluster_ips) - set(kept.cluster_ips if kept else ())
    ports = set(old.node_ports) - set(kept.node_ports if kept else ())
    if not addresses and not ports:
        return
    for other in view.all(Service):
        same = not addresses.isdisjoint(other.cluster_ips) or not ports.isdisjoint(other.node_ports)
        if other.key != change.key and (same or waiting(other)):
            yield other.key


def _all_services(view: View, change: Change) -> Iterable[Key]:
    """Every service, when the networks or the port range have changed."""
    match change.old, change.new:
        case Cluster(settings=a), Cluster(settings=b) if (
            a.service_cidr,
            a.node_port_first,
            a.node_port_last,
        ) == (b.service_cidr, b.node_port_first, b.node_port_last):
            return []
        case _:
            return [service.key for service in view.all(Service)]


CONTROLLER: Final = Controller(
    name="service",
    reconcile=reconcile,
    concerns={SERVICE: (Route(_concerned),), CLUSTER: (Route(_all_services),)},
    lane=attrgetter("cluster"),  # addresses are handed out one service after the other
)
