"""What a kubelet reports about its node: capacity, conditions, addresses, versions.

A pure function of the VirtualNode and of when the simulated machine was switched on. The boot id carries
that time (its first eight hex digits), so that containers from before a power cut are recognised as gone,
whoever looks.
Source: Kubernetes 1.37, pkg/kubelet/nodestatus/setters.go, pkg/kubelet/kubelet_node_status.go.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Final

from nestling.api.json import JsonObject
from nestling.api.kinds import NODE
from nestling.kubelet.display import node_display
from nestling.kubelet.merge import merge_patch
from nestling.kubelet.runtimes.annotation import power_of
from nestling.machinery.clock import timestamp
from nestling.machinery.plan import Emit, Patch, Plan
from nestling.machinery.records.node import Node

COMPONENT: Final = "kubelet"
INVALID: Final = "InvalidSimulation"
KUBELET_VERSION: Final = "v1.37.2-nestling"
KUBELET_PORT: Final = 10250
CAPACITY: Final = {"cpu": "32", "memory": "256Gi", "pods": "110", "ephemeral-storage": "512Gi"}
"""The machine that a node is if nobody says otherwise."""

# type, status, reason, message; Ready comes last, as the kubelet has it.
_CONDITIONS: Final = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)
_OURS: Final = frozenset(kind for kind, *_ in _CONDITIONS)


def is_switched_on(body: JsonObject) -> bool:
    """Whether the simulated machine has power: anything but `sim.nestling.dev/power: "off"` does."""
    return power_of(body["metadata"].get("annotations") or {})[0]


def complaint_of(body: JsonObject) -> str:
    """What is wrong with the node's annotation of the simulation; empty if nothing is."""
    return power_of(body["metadata"].get("annotations") or {})[1]


def booted_at(body: JsonObject) -> float | None:
    """When the machine was switched on, in whole seconds, as its boot id tells; None if it never was."""
    text: str = ((body.get("status") or {}).get("nodeInfo") or {}).get("bootID") or ""
    try:
        return float(int(text[:8], 16)) if len(text) == 36 else None
    except ValueError:
        return None


def address_of(body: JsonObject) -> str:
    """The internal address a node has reported; empty before it has."""
    for address in (body.get("status") or {}).get("addresses") or ():
        if address.get("type") == "InternalIP":
            return str(address.get("address") or "")
    return ""


def capacity_of(spec: JsonObject) -> JsonObject:
    """The capacity that the spec asks for, completed with the defaults."""
    return {**CAPACITY, **(spec.get("capacity") or {})}


def node_status(
    body: JsonObject, *, lease: str, address: str, boot: float, runtime: str, now: float
) -> JsonObject:
    """The fields of `status` that the kubelet owns, as they should be.

    What has not changed is returned as it stands, times included, so that an equal status means no write.
    """
    meta, spec = body["metadata"], body.get("spec") or {}
    old: JsonObject = body.get("status") or {}
    capacity = capacity_of(spec)
    conditions = _conditions(old.get("conditions") or (), timestamp(now))
    labels: dict[str, str] = meta.get("labels") or {}
    return {
        "capacity": capacity,
        "allocatable": capacity,
        "conditions": conditions,
        "addresses": [
            {"type": "InternalIP", "address": address},
            {"type": "Hostname", "address": meta["name"]},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": KUBELET_PORT}},
        "nodeInfo": _node_info(meta["uid"], labels, boot, runtime),
        "kubeletLease": lease,
        "display": node_display(labels, conditions, unschedulable=bool(spec.get("unschedulable"))),
    }


def report(
    record: Node, *, lease: str, address: str, runtime: str, rebooting: bool, complaint: str, now: float
) -> Plan | None:
    """Write what has changed of a node's status and tell of `complaint`; None if there is neither. A machine
    that was off boots now.
    """
    body = record.body
    boot = booted_at(body)
    if boot is None or rebooting:
        boot = now
    wanted = node_status(body, lease=lease, address=address, boot=boot, runtime=runtime, now=now)
    old: JsonObject = body.get("status") or {}
    patch = merge_patch({name: old[name] for name in wanted if name in old}, wanted)
    told = [Emit(NODE, record.key, record.uid, "Warning", INVALID, complaint, COMPONENT)] if complaint else []
    if not patch:
        return Plan.of(*told, why="an annotation cannot be read") if told else None
    body = {"status": patch}
    # The node lifecycle controller writes conditions too: only on the version that was seen.
    write = Patch(NODE, record.key, record.uid, body, version=record.version, subresource="status")
    why = "node status changed" if record.kubelet_lease else "node registers"
    return Plan.of(write, *_events(record, wanted, rebooting=rebooting), *told, why=why)


def _events(record: Node, status: JsonObject, *, rebooting: bool) -> Iterator[Emit]:
    name = record.key.name
    if not record.kubelet_lease:
        yield Emit(NODE, record.key, record.uid, "Normal", "Starting", "Starting kubelet.", COMPONENT)
    elif rebooting:
        message = f"Node {name} has been rebooted, boot id: {status['nodeInfo']['bootID']}"
        yield Emit(NODE, record.key, record.uid, "Warning", "Rebooted", message, COMPONENT)
    if not record.ready:
        message = f"Node {name} status is now: NodeReady"
        yield Emit(NODE, record.key, record.uid, "Normal", "NodeReady", message, COMPONENT)


def _conditions(old: Iterable[JsonObject], stamp: str) -> list[JsonObject]:
    before = {entry.get("type"): entry for entry in old}
    found = [entry for entry in old if entry.get("type") not in _OURS]
    for kind, status, reason, message in _CONDITIONS:
        entry = before.get(kind)
        if entry is not None and (entry.get("status"), entry.get("reason")) == (status, reason):
            found.append(entry)
            continue
        since = stamp if entry is None or entry.get("status") != status else entry["lastTransitionTime"]
        found.append(
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": stamp,
                "lastTransitionTime": since,
            }
        )
    return found


def _node_info(uid: str, labels: dict[str, str], boot: float, runtime: str) -> JsonObject:
    digest = hashlib.blake2b(f"{uid}/{int(boot)}".encode(), digest_size=16).hexdigest()
    machine = hashlib.blake2b(uid.encode(), digest_size=16).hexdigest()
    return {
        "architecture": labels.get("kubernetes.io/arch") or "amd64",
        "bootID": f"{int(boot) & 0xFFFFFFFF:08x}-{digest[:4]}-4{digest[4:7]}-8{digest[7:10]}-{digest[10:22]}",
        "containerRuntimeVersion": runtime,
        "kernelVersion": "6.12.0-nestling",
        "kubeProxyVersion": "",
        "kubeletVersion": KUBELET_VERSION,
        "machineID": machine,
        "operatingSystem": labels.get("kubernetes.io/os") or "linux",
        "osImage": "Nestling (simulated)",
        "systemUUID": f"{machine[:8]}-{machine[8:12]}-{machine[12:16]}-{machine[16:20]}-{machine[20:]}",
    }
