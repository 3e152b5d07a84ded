"""Take a pod on at its node: book room and an address for it, or refuse it, or let it wait.

Works on seats alone and writes nothing: the machine turns the answer into plans and bookings. What pods hold
is read off the cache once per node, so that a kubelet that was killed finds everything as it was.
Source: Kubernetes 1.37, pkg/kubelet/kubelet.go (HandlePodAdditions), pkg/kubelet/kuberuntime (sandboxes).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from nestling.api.json import JsonObject
from nestling.kubelet.admission import Claim, Rejection, claim_of, reject
from nestling.kubelet.container import Said
from nestling.kubelet.seat import NodeSeat, PodSeat
from nestling.machinery.records.pod import Pod

NO_ADDRESS_RETRY_S: Final = 10.0
# Nodes and pods come by separate watches: a label or taint that speaks against a pod may be gone already.
PATIENCE_S: Final = 2.0
NODE_REASONS: Final = frozenset({"NodeAffinity", "TaintToleration"})


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask again at `until`, seconds since 1970; `said` is what to tell people meanwhile, if anything."""

    until: float
    why: str
    said: Said | None = None


def receive(
    seat: PodSeat, home: NodeSeat, record: Pod, spec: JsonObject, now: float
) -> Rejection | Wait | None:
    """Take a pod on: None once it is booked at `home`. The node must have been loaded."""
    claim = claim_of(spec)
    if record.ip:  # admitted before; nobody is thrown out for being counted late
        if home.pool is not None:
            home.pool.hold(record.ip, record.uid)
        return _take_on(seat, home, claim, record.ip, now)
    rejection = reject(spec, claim, home.room, node=home.key.name, labels=home.labels, taints=home.taints)
    if rejection is not None:
        doubtful_until = (seat.seen_at or now) + PATIENCE_S
        if rejection.reason in NODE_REASONS and now < doubtful_until:
            return Wait(doubtful_until, "its node may have changed without our knowing")
        return rejection
    if spec.get("hostNetwork"):
        return _take_on(seat, home, claim, home.address, now)
    address = home.pool.take(record.uid) if home.pool is not None else None
    if address is None:
        return _no_address(seat, home, now)
    return _take_on(seat, home, claim, address, now)


def load(home: NodeSeat, pods: Iterable[Pod]) -> None:
    """Book what the node's pods hold that were admitted before this process knew the node."""
    home.loaded = True
    for pod in pods:
        if pod.ip and not pod.terminal:
            if home.pool is not None:
                home.pool.hold(pod.ip, pod.uid)
            if pod.uid not in home.room.claims:
                home.room.take(pod.uid, claim_of(pod.body["spec"]))


def follow(seat: PodSeat, home: NodeSeat, address: str) -> None:
    """Go by the address of this node that another kubelet has written: two that insist would write for ever.

    Any other address is nonsense, and stays to be mended.
    """
    if home.pool is not None and home.pool.covers(address):
        home.pool.give_back(seat.ip, seat.uid)
        home.pool.hold(address, seat.uid)
        seat.ip = address


def give_back(seat: PodSeat, home: NodeSeat) -> None:
    """Free the room and the address of a pod that has ended."""
    home.room.give_back(seat.uid)
    if home.pool is not None:
        home.pool.give_back(seat.ip, seat.uid)


def _take_on(seat: PodSeat, home: NodeSeat, claim: Claim, address: str, now: float) -> None:
    seat.ip, seat.admitted_at = address, now
    home.room.take(seat.uid, claim)


def _no_address(seat: PodSeat, home: NodeSeat, now: float) -> Wait:
    """The pod waits for an address; nothing is said while the node's subnet may be on its way."""
    until = now + NO_ADDRESS_RETRY_S
    if home.pool is not None:
        text = f"Failed to create pod sandbox: no IP addresses available in {home.pool.cidr}"
        return Wait(until, "no address for it", Said("Warning", "FailedCreatePodSandBox", text))
    if seat.seen_at is None or now < seat.seen_at + NO_ADDRESS_RETRY_S:
        return Wait(until, "its node has no pod CIDR yet")
    text = "network is not ready: the node has no pod CIDR"
    return Wait(until, "no address for it", Said("Warning", "NetworkNotReady", text))
