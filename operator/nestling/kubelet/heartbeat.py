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
from nestling.machinery.clock import timestamp_micro
from nestling.machinery.names import Key
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


def farewell(key: Key, lease: Lease) -> Plan:
    """Take the Lease away when the cluster has no node of ours left."""
    return Plan.of(Delete(LEASE, key, lease.uid), why="no node left to vouch for")


def silent_text(silent: Mapping[str, float]) -> str:
    """The annotation that lists silent nodes; empty if there are none."""
    if not silent:
        return ""
    return orjson.dumps({name: timestamp_micro(silent[name]) for name in sorted(silent)}).decode()
