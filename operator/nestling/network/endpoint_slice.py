"""Keep the VirtualEndpointSlices of every service that has a selector.

A pod is in a slice while it has an address and has not finished; a pod whose node is unknown is left out
and looked at again. One set of slices per IP family and per map of ports (pods may resolve a named port
differently). A service without endpoints keeps one empty slice. Slice names follow from the service's UID,
so a repeated create meets its twin. Pods of a rollout come in bursts; their changes are gathered for a
quarter of a second before a slice is written.
Source: Kubernetes 1.37, k8s.io/endpointslice reconciler.go and pkg/controller/endpointslice.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, cast

from nestling.api.json import JsonObject
from nestling.api.kinds import ENDPOINT_SLICE, POD, SERVICE
from nestling.machinery.cache import Change
from nestling.machinery.clock import seconds_or, timestamp
from nestling.machinery.controller import Controller, Route, own_key, owner_key
from nestling.machinery.names import Key, suffix
from nestling.machinery.plan import Create, Delete, Patch, Plan
from nestling.machinery.records.base import condition
from nestling.machinery.records.node import Node
from nestling.machinery.records.pod import Pod
from nestling.machinery.records.service import (
    ENDPOINT_SLICE_CONTROLLER,
    MANAGED_BY_LABEL,
    SERVICE_NAME_LABEL,
    EndpointSlice,
    Service,
)
from nestling.machinery.view import View
from nestling.network.addresses import Family, family_of
from nestling.network.endpoint import (
    Backend,
    Identity,
    PortMap,
    addresses_of,
    endpoint_of,
    identity_of,
    is_endpoint,
    port_map,
    ports_json,
    ports_of,
)
from nestling.network.packing import Stored, pack

HEADLESS_LABEL: Final = "service.kubernetes.io/headless"
RESERVED_LABELS: Final = frozenset({SERVICE_NAME_LABEL, MANAGED_BY_LABEL, HEADLESS_LABEL})
TRIGGER_TIME: Final = "endpoints.kubernetes.io/last-change-trigger-time"
GATHER_S: Final = 0.25
# A pod whose node is unknown: its node may be on its way, or the pod on its way out.
LOOK_AGAIN_S: Final = 1.0


@dataclass(slots=True)
class Desired:
    """What should be in the slices of one service, and the pods behind it."""

    groups: dict[tuple[Family, PortMap], dict[Identity, JsonObject]] = field(
        default_factory=dict[tuple[Family, PortMap], dict[Identity, JsonObject]]
    )
    pods: dict[Identity, Pod] = field(default_factory=dict[Identity, Pod])
    homeless: int = 0


@dataclass(slots=True)
class Slice:
    """One slice as it should be; `record` and `body` are what there is already, if there is."""

    family: Family
    ports: PortMap
    endpoints: list[JsonObject]
    record: EndpointSlice | None = None
    body: JsonObject = field(default_factory=dict[str, Any])


def families_of(service: Service, body: JsonObject) -> list[Family]:
    """The IP families of a service; none while its addresses are not settled."""
    spec: JsonObject = body.get("spec") or {}
    known = [one for one in spec.get("ipFamilies") or () if one in {"IPv4", "IPv6"}]
    families = cast("list[Family]", known)
    if not families and service.cluster_ips and (family := family_of(service.cluster_ips[0])) is not None:
        families.append(family)
    return families if service.headless or service.cluster_ips else []


def desired(view: View, backend: Backend, families: list[Family]) -> Desired:
    """Every endpoint that the service should have, by family and ports."""
    found = Desired()
    service = backend.service
    pods = filter(is_endpoint, view.selected(Pod, service.key.namespace, service.selector))
    for pod in sorted(pods, key=lambda pod: pod.key):
        node = view.get(Node, Key(view.cluster, "", pod.node_name))
        if node is None and not backend.publish_not_ready:
            found.homeless += 1
            continue
        ports = ports_of(backend, pod)
        for family in families:
            addresses = addresses_of(pod, family, single=len(families) == 1)
            group = found.groups.setdefault((family, ports), {})
            if addresses:
                endpoint = endpoint_of(backend, pod, node, addresses)
                identity = identity_of(endpoint)
                group[identity] = endpoint
                found.pods[identity] = pod
    return found


def labels_of(service: Service) -> dict[str, str]:
    """The labels of a service's slices: its own, and those that say whose they are."""
    labels = {key: value for key, value in service.labels.items() if key not in RESERVED_LABELS}
    if not service.cluster_ips:
        labels[HEADLESS_LABEL] = ""
    return {
        **labels,
        SERVICE_NAME_LABEL: service.key.name,
        MANAGED_BY_LABEL: ENDPOINT_SLICE_CONTROLLER,
    }


def reconcile(view: View, key: Key) -> Plan:
    """Plan the slices of one service."""
    service = view.get(Service, key)
    if service is None:
        return Plan.done("no service")  # its slices go with their owner
    if service.external_name or service.selector.nothing:
        return Plan.done("selects no pods: its endpoints are somebody else's")
    body = service.body
    families = families_of(service, body)
    if not families:
        return Plan.done("has no address yet")
    wanted = desired(view, Backend.of(service, body), families)
    records = {
        one.key.name: one
        for one in view.owned(EndpointSlice, service.uid)
        if one.managed and not one.deleting
    }
    bodies = {name: record.body for name, record in records.items()}

    writes: list[Slice] = []
    drops = [name for name, record in records.items() if record.address_type not in families]
    for family in families:
        mine = {name: bodies[name] for name, record in records.items() if record.address_type == family}
        kept, gone = _of_family(family, wanted, records, mine)
        writes += kept
        drops += gone

    labels = labels_of(service)
    changed = [(one, _changes(one, labels)) for one in writes]
    changed = [(one, change) for one, change in changed if change or one.record is None]
    trigger = _trigger_time(service, wanted, bodies, [one for one, _ in changed]) if changed else None
    taken = {one.key.name for one in view.owned(EndpointSlice, service.uid)}
    creates: list[Create] = []
    patches: list[Patch] = []
    for one, change in changed:
        if one.record is not None:
            patches.append(_patch(one, one.record, change, trigger))
        elif not service.deleting:
            name = next(name for name in _names(service, one.family) if name not in taken)
            taken.add(name)
            creates.append(_create(service, one, name, labels, trigger))
    deletes = [
        Delete(ENDPOINT_SLICE, records[name].key, records[name].uid, version=records[name].version)
        for name in drops
    ]
    return Plan.of(
        *creates,
        *patches,
        *deletes,
        wake_at=view.now + LOOK_AGAIN_S if wanted.homeless else None,
        why=f"{len(wanted.pods)} endpoints, {wanted.homeless} left out for want of a node",
    )


def _of_family(
    family: Family, wanted: Desired, records: dict[str, EndpointSlice], mine: dict[str, JsonObject]
) -> tuple[list[Slice], list[str]]:
    """The slices of one IP family as they should be (all that stay, changed or not), and those to drop."""
    by_ports: dict[PortMap, list[str]] = {}
    for name, body in mine.items():
        by_ports.setdefault(port_map(body.get("ports") or []), []).append(name)
    slices: list[Slice] = []
    fresh: list[Slice] = []
    drops = [
        name for ports, names in by_ports.items() if (family, ports) not in wanted.groups for name in names
    ]
    for (of, ports), endpoints in wanted.groups.items():
        if of != family:
            continue
        names = by_ports.get(ports, [])
        packing = pack([Stored(name, mine[name].get("endpoints") or []) for name in names], endpoints)
        drops += packing.drops
        for name in names:
            if name not in packing.drops:
                contents = packing.updates.get(name, mine[name].get("endpoints") or [])
                slices.append(Slice(family, ports, contents, records[name], mine[name]))
        fresh += [Slice(family, ports, contents) for contents in packing.creates]
    if not slices and not fresh:
        fresh.append(Slice(family, (), []))  # the empty slice that says: a service, and nobody behind it
    for one in fresh:
        if drops:  # a slice on its way out is written anew instead: one write for two
            name = drops.pop(0)
            one.record, one.body = records[name], mine[name]
    return [*slices, *fresh], drops


def _names(service: Service, family: Family) -> Iterator[str]:
    """Names for slices of a service, the same ones in the same order each time."""
    number = 0
    while True:
        yield f"{service.key.name}-{suffix(service.uid, family, number)}"
        number += 1


def _create(service: Service, one: Slice, name: str, labels: dict[str, str], trigger: float | None) -> Create:
    key = Key(service.key.cluster, service.key.namespace, name)
    meta: JsonObject = {
        "name": key.host_name,
        "namespace": key.cluster,
        "labels": labels,
        "ownerReferences": [service.as_owner().to_json()],
    }
    if trigger is not None:
        meta["annotations"] = {TRIGGER_TIME: timestamp(trigger)}
    body: JsonObject = {
        "apiVersion": ENDPOINT_SLICE.api_version,
        "kind": ENDPOINT_SLICE.name,
        "metadata": meta,
        "addressType": one.family,
        "endpoints": one.endpoints,
        "ports": ports_json(one.ports),
        "display": display(one),
    }
    return Create(ENDPOINT_SLICE, key, body)


def _changes(one: Slice, labels: dict[str, str]) -> JsonObject:
    """What an existing slice lacks to be as it should be; nothing if it is so."""
    if one.record is None:
        return {}
    before = one.record.labels
    change: JsonObject = {}
    if one.endpoints != (one.body.get("endpoints") or []):
        change["endpoints"] = one.endpoints
    if one.ports != port_map(one.body.get("ports") or []):
        change["ports"] = ports_json(one.ports)
    if labels != before:
        new: JsonObject = {key: value for key, value in labels.items() if before.get(key) != value}
        change["metadata"] = {"labels": new | {key: None for key in before if key not in labels}}
    return change


def _patch(one: Slice, record: EndpointSlice, change: JsonObject, trigger: float | None) -> Patch:
    """The write of these changes, with the time of what caused them."""
    body = one.body
    meta: JsonObject = change.get("metadata") or {}
    stored = (body["metadata"].get("annotations") or {}).get(TRIGGER_TIME)
    text = timestamp(trigger) if trigger is not None else None
    if text != stored:
        meta = {**meta, "annotations": {TRIGGER_TIME: text}}
    shown = {} if display(one) == body.get("display") else {"display": display(one)}
    full = {**change, **({"metadata": meta} if meta else {}), **shown}
    return Patch(ENDPOINT_SLICE, record.key, record.uid, full, version=record.version)


def display(one: Slice) -> JsonObject:
    """What kubectl computes for its columns. Source: printEndpointSlice in pkg/printers/internalversion."""
    addresses = [address for endpoint in one.endpoints for address in endpoint.get("addresses") or ()]
    return {"endpoints": _first_three(addresses), "ports": _first_three([str(port[1]) for port in one.ports])}


def _first_three(texts: list[str]) -> str:
    shown = ",".join(texts[:3]) or "<unset>"
    return f"{shown} + {len(texts) - 3} more..." if len(texts) > 3 else shown


def _trigger_time(
    service: Service, wanted: Desired, bodies: dict[str, JsonObject], slices: list[Slice]
) -> float | None:
    """When the change that this plan answers happened: the earliest new readiness among the changed pods.

    A new service counts from its own creation. None if no pod became ready or unready, as when one was
    deleted.
    """
    if not bodies:
        return service.created_at
    before = 0.0
    known: dict[Identity, JsonObject] = {}
    for body in bodies.values():
        text = (body["metadata"].get("annotations") or {}).get(TRIGGER_TIME)
        before = max(before, seconds_or(text, 0.0))
        known |= {identity_of(endpoint): endpoint for endpoint in body.get("endpoints") or ()}
    times = [
        changed_at
        for one in slices
        for endpoint in one.endpoints
        if known.get(identity := identity_of(endpoint)) != endpoint
        and (changed_at := _ready_changed_at(wanted.pods[identity])) > before
    ]
    return min(times, default=None)


def _ready_changed_at(pod: Pod) -> float:
    if pod.ready:
        return pod.ready_at
    ready = condition(pod.body, "Ready")
    return seconds_or(ready.get("lastTransitionTime"), 0.0) if ready is not None else 0.0


def _selecting_services(view: View, change: Change) -> Iterable[Key]:
    """The services that select a pod, or did until now, if the change means anything to an endpoint."""
    old, new = change.old, change.new
    if isinstance(old, Pod) and isinstance(new, Pod) and _looks_of(old) == _looks_of(new):
        return ()
    pods = [record for record in (old, new) if isinstance(record, Pod)]
    if not any(pod.ip for pod in pods):
        return ()  # a pod without an address is nobody's endpoint, and was none
    if len(pods) == 2 and pods[0].labels == pods[1].labels:
        del pods[0]
    namespace = change.key.namespace
    return {s.key: None for pod in pods for s in view.selecting(Service, namespace, pod.labels)}


def _looks_of(pod: Pod) -> tuple[object, ...]:
    return pod.ip, pod.ready, pod.deleting, pod.terminal, pod.node_name, pod.labels


CONTROLLER: Final = Controller(
    name="endpointslice",
    reconcile=reconcile,
    concerns={
        SERVICE: (Route(own_key),),
        POD: (Route(_selecting_services, delay_s=GATHER_S),),
        # Mostly the echo of our own writes. Source: endpointslice_controller.go,
        # endpointSliceChangeMinSyncDelay.
        ENDPOINT_SLICE: (Route(owner_key(SERVICE), delay_s=1.0),),
    },
)
