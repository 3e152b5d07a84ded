"""What `kubectl get` prints per kind: kubectl's own columns for the native kind, in its order.

A column of a CRD shows one value of the object as it is. What kubectl computes (READY `1/2`, the state of a
pod in one word) our loops therefore keep in `status.display`; of a list, a column shows the first entry.
Source: Kubernetes 1.37, pkg/printers/internalversion/printers.go.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from nestling.api import kinds
from nestling.api.json import JsonObject
from nestling.api.kinds import Kind


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `wide` ones only show with `-o wide`."""

    name: str
    path: str
    description: str
    type: Literal["string", "integer", "boolean", "date"] = "string"
    wide: bool = False

    def as_json(self) -> JsonObject:
        """The column as an entry of `additionalPrinterColumns`."""
        return {
            "description": self.description,
            "jsonPath": self.path,
            "name": self.name,
            **({"priority": 1} if self.wide else {}),
            "type": self.type,
        }


AGE: Final = Column("Age", ".metadata.creationTimestamp", "Time since the object was made.", "date")
READY: Final = Column("Ready", ".status.display.ready", "Ready, of those wanted.")
_TEMPLATE: Final = ".spec.template.spec.containers[*]"


def _wide_template(template: str = _TEMPLATE, selector: str = ".status.selector") -> tuple[Column, ...]:
    return (
        Column("Containers", f"{template}.name", "Name of the first container.", wide=True),
        Column("Images", f"{template}.image", "Image of the first container.", wide=True),
        Column("Selector", selector, "Labels of the pods.", wide=True),
    )


def _address(kind: str) -> str:
    return f'.status.addresses[?(@.type=="{kind}")].address'


_SIZED: Final = (
    Column("Desired", ".spec.replicas", "How many are wanted.", "integer"),
    Column("Current", ".status.replicas", "How many exist.", "integer"),
    Column("Ready", ".status.readyReplicas", "How many are ready.", "integer"),
    AGE,
)

COLUMNS: Final[Mapping[Kind, tuple[Column, ...]]] = {
    kinds.CLUSTER: (
        Column("Pods", ".spec.podCIDR", "Range of pod addresses."),
        Column("Services", ".spec.serviceCIDR", "Range of Service addresses."),
        Column("Domain", ".spec.dnsDomain", "Domain that names of Services end with."),
        AGE,
    ),
    kinds.NODE_POOL: (*_SIZED, Column("Selector", ".status.selector", "Labels of the nodes.", wide=True)),
    kinds.NODE: (
        Column("Status", ".status.display.status", "State in words."),
        Column("Roles", ".status.display.roles", "Roles from labels."),
        AGE,
        Column("Version", ".status.nodeInfo.kubeletVersion", "Version of the kubelet."),
        Column("Internal-IP", _address("InternalIP"), "Address inside the cluster.", wide=True),
        Column("External-IP", _address("ExternalIP"), "Address from outside.", wide=True),
        Column("OS-Image", ".status.nodeInfo.osImage", "Release of the operating system.", wide=True),
        Column("Kernel-Version", ".status.nodeInfo.kernelVersion", "Version of the kernel.", wide=True),
        Column(
            "Container-Runtime", ".status.nodeInfo.containerRuntimeVersion", "Container runtime.", wide=True
        ),
    ),
    kinds.NAMESPACE: (Column("Status", ".status.phase", "Where it is in its life."), AGE),
    kinds.POD: (
        READY,
        Column("Status", ".status.display.status", "State in one word."),
        Column("Restarts", ".status.display.restarts", "How often containers were started again."),
        AGE,
        Column("IP", ".status.podIP", "Address of the pod.", wide=True),
        Column("Node", ".spec.nodeName", "Node that it runs on.", wide=True),
        Column("Nominated Node", ".status.nominatedNodeName", "Node where room is being made.", wide=True),
        Column("Readiness Gates", ".status.display.readinessGates", "Gates that are met.", wide=True),
    ),
    kinds.REPLICA_SET: (*_SIZED, *_wide_template()),
    kinds.REPLICATION_CONTROLLER: (*_SIZED, *_wide_template()),
    kinds.DEPLOYMENT: (
        READY,
        Column("Up-to-date", ".status.updatedReplicas", "Pods of the present template.", "integer"),
        Column("Available", ".status.availableReplicas", "Pods ready long enough.", "integer"),
        AGE,
        *_wide_template(),
    ),
    kinds.STATEFUL_SET: (READY, AGE, *_wide_template()[:2]),
    kinds.DAEMON_SET: (
        Column("Desired", ".status.desiredNumberScheduled", "Nodes that should have the pod.", "integer"),
        Column("Current", ".status.currentNumberScheduled", "Nodes that have it.", "integer"),
        Column("Ready", ".status.numberReady", "Nodes whose pod is ready.", "integer"),
        Column("Up-to-date", ".status.updatedNumberScheduled", "Nodes with the present template.", "integer"),
        Column("Available", ".status.numberAvailable", "Nodes whose pod is ready long enough.", "integer"),
        Column("Node Selector", ".status.display.nodeSelector", "Labels that nodes must carry."),
        AGE,
        *_wide_template(selector=".status.display.selector"),
    ),
    kinds.JOB: (
        Column("Status", ".status.display.status", "State in one word."),
        Column("Completions", ".status.display.completions", "Successes, of those wanted."),
        Column("Duration", ".status.display.duration", "Time from start to end."),
        AGE,
        *_wide_template(selector=".status.display.selector"),
    ),
    kinds.CRON_JOB: (
        Column("Schedule", ".spec.schedule", "When a Job is made."),
        Column("Timezone", ".spec.timeZone", "Time zone of the schedule."),
        Column("Suspend", ".spec.suspend", "Whether no more Jobs are made.", "boolean"),
        Column("Active", ".status.display.active", "Jobs that still run.", "integer"),
        Column("Last Schedule", ".status.lastScheduleTime", "Time since a Job was made.", "date"),
        AGE,
        *_wide_template(
            ".spec.jobTemplate.spec.template.spec.containers[*]",
            ".status.display.selector",
        ),
    ),
    kinds.SERVICE: (
        Column("Type", ".spec.type", "From where it can be reached."),
        Column("Cluster-IP", ".spec.clusterIP", "Address inside the cluster."),
        Column("External-IP", ".status.display.externalIP", "Addresses from outside."),
        Column("Port(s)", ".status.display.ports", "Ports."),
        AGE,
        Column("Selector", ".status.display.selector", "Labels of the pods.", wide=True),
    ),
    kinds.ENDPOINT_SLICE: (
        Column("AddressType", ".addressType", "Kind of the addresses."),
        Column("Ports", ".display.ports", "Ports."),
        Column("Endpoints", ".display.endpoints", "Addresses."),
        AGE,
    ),
    kinds.CONTROLLER_REVISION: (
        Column("Controller", ".metadata.ownerReferences[?(@.controller==true)].name", "Set it belongs to."),
        Column("Revision", ".revision", "Number of the state.", "integer"),
        AGE,
    ),
    kinds.PRIORITY_CLASS: (
        Column("Value", ".value", "How important the pods are.", "integer"),
        Column("Global-Default", ".globalDefault", "Whether pods without a class get it.", "boolean"),
        AGE,
        Column("PreemptionPolicy", ".preemptionPolicy", "Whether its pods may push out others."),
    ),
    kinds.POD_DISRUPTION_BUDGET: (
        Column("Min Available", ".spec.minAvailable", "How many must stay."),
        Column("Max Unavailable", ".spec.maxUnavailable", "How many may be missing."),
        Column("Allowed Disruptions", ".status.disruptionsAllowed", "How many may go now.", "integer"),
        AGE,
    ),
    kinds.HORIZONTAL_POD_AUTOSCALER: (
        Column("Reference", ".status.display.reference", "What is scaled."),
        Column("Targets", ".status.display.targets", "Metrics and what they should be."),
        Column("MinPods", ".spec.minReplicas", "Fewest pods.", "integer"),
        Column("MaxPods", ".spec.maxReplicas", "Most pods.", "integer"),
        Column("Replicas", ".status.currentReplicas", "Pods that were asked for.", "integer"),
        AGE,
    ),
}
