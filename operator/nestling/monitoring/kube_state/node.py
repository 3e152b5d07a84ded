"""Series of nodes.

Source: kube-state-metrics 2.x, internal/store/node.go.
"""

from typing import Final

from nestling.api.json import JsonObject
from nestling.machinery.conditions import conditions_of
from nestling.machinery.records.node import Node
from nestling.monitoring.kube_state.family import CONDITION_STATES, Exporter, Family, Page, identity_of
from nestling.monitoring.kube_state.reading import labels_family, resources

IDENTITY: Final = ("cluster", "node")
ROLE_LABEL: Final = "node-role.kubernetes.io/"

_RESOURCE: Final = ("resource", "unit")
# Label of kube_node_info, and the field of `status.nodeInfo` it is read from.
_VERSIONS: Final = {
    "kernel_version": "kernelVersion",
    "os_image": "osImage",
    "container_runtime_version": "containerRuntimeVersion",
    "kubelet_version": "kubeletVersion",
    "kubeproxy_version": "kubeProxyVersion",
    "system_uuid": "systemUUID",
}


def _family(name: str, text: str, labels: tuple[str, ...] = (), states: tuple[str, ...] = ()) -> Family:
    return Family(f"kube_node_{name}", text, IDENTITY, labels, states=states)


INFO: Final = _family(
    "info",
    "Versions and addresses of a node; always 1.",
    (*_VERSIONS, "provider_id", "pod_cidr", "internal_ip"),
)
CREATED: Final = _family("created", "When a node was created (Unix time).")
DELETION: Final = _family("deletion_timestamp", "By when a node has to be gone (Unix time).")
LABELS: Final = labels_family("node", IDENTITY)
ROLE: Final = _family("role", "Roles of a node.", ("role",))
TAINT: Final = _family("spec_taint", "Taints of a node.", ("key", "value", "effect"))
UNSCHEDULABLE: Final = _family("spec_unschedulable", "Whether a node is cordoned.")
ADDRESSES: Final = _family("status_addresses", "Addresses of a node.", ("type", "address"))
ALLOCATABLE: Final = _family("status_allocatable", "What pods may use of a node, by resource.", _RESOURCE)
CAPACITY: Final = _family("status_capacity", "What a node has, by resource.", _RESOURCE)
CONDITION: Final = _family(
    "status_condition", "Conditions of a node.", ("condition", "status"), CONDITION_STATES
)


def write(node: Node, page: Page) -> None:
    """All series of one node."""
    who = identity_of(IDENTITY, node.key.cluster, node.key.name)
    body = node.body
    status: JsonObject = body.get("status") or {}
    _write_info(who, node, body, page)
    page[CREATED].add(who, int(node.created_at))
    if node.deleting_at is not None:
        page[DELETION].add(who, int(node.deleting_at))
    page[UNSCHEDULABLE].add(who, 1 if node.unschedulable else 0)
    for label in node.labels:
        if label.startswith(ROLE_LABEL):
            page[ROLE].add(who, 1, label.removeprefix(ROLE_LABEL))
    for taint in node.taints:
        page[TAINT].add(who, 1, taint.key, taint.value, taint.effect)
    for address in status.get("addresses") or ():
        page[ADDRESSES].add(who, 1, address.get("type") or "", address.get("address") or "")
    for family, part in ((CAPACITY, "capacity"), (ALLOCATABLE, "allocatable")):
        for resource, unit, amount in resources(status.get(part)):
            page[family].add(who, amount, resource, unit)
    for condition in conditions_of(body):
        page[CONDITION].states(who, (condition.get("status") or "").lower(), condition["type"])


def _write_info(who: str, node: Node, body: JsonObject, page: Page) -> None:
    status: JsonObject = body.get("status") or {}
    versions: JsonObject = status.get("nodeInfo") or {}
    internal = [
        address.get("address") or ""
        for address in status.get("addresses") or ()
        if address.get("type") == "InternalIP"
    ]
    page[INFO].add(
        who,
        1,
        *(versions.get(field) or "" for field in _VERSIONS.values()),
        (body.get("spec") or {}).get("providerID") or "",
        node.pod_cidr,
        internal[-1] if internal else "",
    )


EXPORTER: Final = Exporter(
    Node,
    (
        INFO,
        CREATED,
        DELETION,
        LABELS,
        ROLE,
        TAINT,
        UNSCHEDULABLE,
        ADDRESSES,
        ALLOCATABLE,
        CAPACITY,
        CONDITION,
    ),
    write,
)
