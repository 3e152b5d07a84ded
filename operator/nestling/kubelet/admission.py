"""Whether a node takes a pod that was bound to it: the scheduler's basic checks once more, on the spot.

The scheduler may have decided on an old view, or the pod was bound by hand. A pod that does not fit fails
here, with the kubelet's own reason and sentence, instead of overloading the node.
Source: Kubernetes 1.37, pkg/kubelet/lifecycle/predicate.go.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from nestling.api import quantity
from nestling.api.json import JsonObject
from nestling.api.requests import pod_requests
from nestling.api.selector import NodeSelector
from nestling.api.toleration import Toleration, tolerations_of
from nestling.machinery.records.node import NOT_READY, UNREACHABLE, Taint

Port: TypeAlias = tuple[str, str, int]
"""Protocol, host address, host port."""

ANY_ADDRESS: Final = "0.0.0.0"  # noqa: S104  # how a host port without an address is written, nothing listens
_NO_AFFINITY: Final = "node(s) didn't match Pod's node affinity/selector"
_NO_PORTS: Final = "node(s) didn't have free ports for the requested pod ports"
_TAINTED: Final = "node(s) had taints that the pod didn't tolerate"
_ORDER: Final = ("cpu", "memory", "ephemeral-storage")


class Rejection(NamedTuple):
    """Why a pod fails on arrival."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Claim:
    """What a pod takes of its node: milli-CPU, bytes and items by resource name, and host ports."""

    requests: Mapping[str, int]
    ports: tuple[Port, ...] = ()


@dataclass(slots=True)
class Room:
    """What a node has to give, and what its pods have taken of it."""

    allocatable: Mapping[str, int]
    claims: dict[str, Claim] = field(default_factory=dict[str, Claim])
    used: dict[str, int] = field(default_factory=dict[str, int])

    def take(self, uid: str, claim: Claim) -> None:
        """Book the claim of one pod."""
        self.give_back(uid)
        self.claims[uid] = claim
        for name, amount in claim.requests.items():
            self.used[name] = self.used.get(name, 0) + amount

    def give_back(self, uid: str) -> None:
        """Cancel the claim of one pod, if it has one."""
        claim = self.claims.pop(uid, None)
        if claim is not None:
            for name, amount in claim.requests.items():
                self.used[name] -= amount


NO_CLAIM: Final = Claim({})


def claim_of(spec: JsonObject) -> Claim:
    """What a pod takes of its node."""
    containers: list[JsonObject] = spec.get("containers") or []
    total = pod_requests(spec, _read)
    return (
        Claim(total, _ports(spec, containers))
        if total or spec.get("hostNetwork") or any("ports" in c for c in containers)
        else NO_CLAIM
    )


def reject(
    spec: JsonObject,
    claim: Claim,
    room: Room,
    *,
    node: str,
    labels: Mapping[str, str],
    taints: Iterable[Taint],
) -> Rejection | None:
    """The first reason why this node does not take the pod, or None."""
    system = (spec.get("os") or {}).get("name")
    if system is not None and system != "linux":
        return Rejection("PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS")
    lacking = _lacking(claim, room)
    if lacking is not None:
        return lacking
    if not _selected(spec, labels, node):
        return Rejection("NodeAffinity", f"Predicate NodeAffinity failed: {_NO_AFFINITY}")
    if claim.ports and _collide(claim.ports, room):
        return Rejection("NodePorts", f"Predicate NodePorts failed: {_NO_PORTS}")
    tolerations = tolerations_of(spec)
    if not all(_tolerated(taint, tolerations) for taint in taints):
        return Rejection("TaintToleration", f"Predicate TaintToleration failed: {_TAINTED}")
    return None


def amounts_of(listed: JsonObject) -> dict[str, int]:
    """A resource list as integers: milli-CPU, whole units of everything else; what is no quantity is left
    out.
    """
    found: dict[str, int] = {}
    for name, text in listed.items():
        try:
            found[name] = quantity.milli(text) if name == "cpu" else quantity.whole(text)
        except (ValueError, TypeError):
            continue
    return found


def _read(listed: JsonObject, whose: str) -> dict[str, int]:
    del whose  # what cannot be read was placed here all the same: it counts for nothing
    return amounts_of(listed)


def _lacking(claim: Claim, room: Room) -> Rejection | None:
    pods, capacity = len(room.claims), room.allocatable.get("pods", 0)
    if pods + 1 > capacity:
        return _out_of("pods", 1, pods, capacity)
    for name in (*_ORDER, *(n for n in claim.requests if n not in _ORDER)):
        asked = claim.requests.get(name, 0)
        if asked <= 0:
            continue
        if name not in room.allocatable and "/" in name:
            continue  # an extended resource unknown here is kept by the cluster, not by the node
        used, capacity = room.used.get(name, 0), room.allocatable.get(name, 0)
        if asked > capacity - used:
            return _out_of(name, asked, used, capacity)
    return None


def _out_of(name: str, asked: int, used: int, capacity: int) -> Rejection:
    return Rejection(
        f"OutOf{name}",
        f"Node didn't have enough resource: {name}, requested: {asked}, used: {used}, capacity: {capacity}",
    )


def _selected(spec: JsonObject, labels: Mapping[str, str], node: str) -> bool:
    wanted: JsonObject | None = spec.get("nodeSelector")
    if wanted and any(labels.get(key) != value for key, value in wanted.items()):
        return False
    affinity: JsonObject = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    try:
        return NodeSelector.from_json(required).matches(labels, node)
    except (ValueError, KeyError, AttributeError, TypeError):  # malformed: it selects nothing, as upstream
        return False


def _collide(ports: tuple[Port, ...], room: Room) -> bool:
    taken = [port for claim in room.claims.values() for port in claim.ports]
    return any(
        mine[0] == other[0]
        and mine[2] == other[2]
        and (mine[1] == other[1] or ANY_ADDRESS in {mine[1], other[1]})
        for mine in ports
        for other in taken
    )


def _tolerated(taint: Taint, tolerations: tuple[Toleration, ...]) -> bool:
    """Whether a pod may run in spite of this taint; only NoExecute matters to a kubelet.

    Admission gives pods that do not mention unready nodes some time on them; here nobody writes that down.
    When the time is up, eviction sees to it.
    """
    if taint.effect != "NoExecute":
        return True
    if any(one.tolerates(taint.key, taint.value, taint.effect) for one in tolerations):
        return True
    mentioned = any(one.key in {"", taint.key} and one.effect in {"", taint.effect} for one in tolerations)
    return taint.key in {NOT_READY, UNREACHABLE} and not mentioned


def _ports(spec: JsonObject, containers: Iterable[JsonObject]) -> tuple[Port, ...]:
    host_network = bool(spec.get("hostNetwork"))
    found: list[Port] = []
    for container in containers:
        for port in container.get("ports") or ():
            number = port.get("hostPort") or (port.get("containerPort") if host_network else 0)
            if number:
                found.append((port.get("protocol") or "TCP", port.get("hostIP") or ANY_ADDRESS, int(number)))
    return tuple(found)
