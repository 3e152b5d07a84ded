"""How a kubelet process says that its nodes live: one Lease per virtual cluster, renewed every 10 seconds.

A node that has been switched off is named in an annotation of the Lease, with its last heartbeat; the
node lifecycle controller takes that for its last word. So a thousand idle nodes cost one write in ten
seconds.
Source: Kubernetes 1.37, component-helpers/apimachinery/lease (40 s, a quarter of it between renewals).
"""

from collections.abc import Mapping
from typing import Final

import orjson

from nestling.api.json import JsonObject
from nestling.api.kinds import LEASE
from nestling.kubelet.seat import ClusterSeat
from nestling.machinery.clock import timestamp_micro
from nestling.machinery.names import Key, suffix
from nestling.machinery.plan import Create, Delete, Patch, Plan
from nestling.machinery.records.node import KUBELET_LEASE, SILENT_NODES, Lease

DURATION_S: Final = 40
RENEW_EVERY_S: Final = 10.0


def renewal_interval(grace_s: float) -> float:
    """Seconds between renewals: 10, or less where nodes are given up after less than `grace_s` = 40 s of
    silence.
    """
    return max(min(RENEW_EVERY_S, grace_s / 4), 0.5)


def lease_name(identity: str) -> str:
    """Name of the Lease of the kubelet process `identity`."""
    return f"nestling-kubelet-{identity}"


def renewal(key: Key, lease: Lease | None, silent: Mapping[str, float], now: float) -> Plan:
    """Create the Lease, or renew it; `silent` are the nodes that are switched off."""
    annotation = silent_text(silent)
    spec: JsonObject = {"renewTime": timestamp_micro(now)}
    if lease is None:
        meta: JsonObject = {
            "name": key.host_name,
            "namespace": key.cluster,
            "labels": {KUBELET_LEASE: "true"},
        }
        if annotation:
            meta["annotations"] = {SILENT_NODES: annotation}
        spec.update(
            holderIdentity=key.name, leaseDurationSeconds=DURATION_S, acquireTime=timestamp_micro(now)
        )
        body: JsonObject = {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.name,
            "metadata": meta,
            "spec": spec,
        }
        return Plan.of(Create(LEASE, key, body), why="first heartbeat")
    if lease.holder != key.name or lease.duration_s != DURATION_S:
        spec.update(holderIdentity=key.name, leaseDurationSeconds=DURATION_S)
    body = {"spec": spec}
    if dict(lease.silent) != dict(silent):
        body["metadata"] = {"annotations": {SILENT_NODES: annotation or None}}
    return Plan.of(Patch(LEASE, key, lease.uid, body), why="heartbeat")


def beat(seat: ClusterSeat, lease: Lease | None, every_s: float, now: float) -> Plan | None:
    """The renewal, if it is due; in any case the seat says when the next one is."""
    silent = silent_nodes(seat, now)
    due = seat.next_beat
    if not due and lease is not None and lease.silent.keys() == silent.keys():
        due = lease.renewed_at + every_s  # by the process before this one
    if now < due <= now + every_s:
        seat.next_beat = due
        return None
    # Clusters that appear together shall beat apart.
    first_s = every_s * (0.5 + sum(map(ord, suffix(seat.key.cluster))) % 100 / 200)
    seat.next_beat = now + (first_s if lease is None else every_s)
    seat.version = lease.version if lease is not None else 0
    return renewal(seat.key, lease, silent, now)


def silent_nodes(seat: ClusterSeat, now: float) -> dict[str, float]:
    """The nodes of a cluster that are switched off, and when each was last heard of."""
    silent: dict[str, float] = {}
    for key, node in seat.nodes.items():
        if node.silent_since is not None:
            node.silent_since = node.silent_since or now  # went off before any heartbeat of ours
            silent[key.name] = node.silent_since
    return silent


def farewell(key: Key, lease: Lease) -> Plan:
    """Take the Lease away when the cluster has no node of ours left."""
    return Plan.of(Delete(LEASE, key, lease.uid), why="no node left to vouch for")


def silent_text(silent: Mapping[str, float]) -> str:
    """The annotation that lists silent nodes; empty if there are none."""
    if not silent:
        return ""
    return orjson.dumps({name: timestamp_micro(silent[name]) for name in sorted(silent)}).decode()
