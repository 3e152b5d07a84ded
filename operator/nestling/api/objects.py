"""The objects themselves: per kind its spec and status, native plus what is ours, and the rules that span
both.

`MODELS` is what the CRD generator works through, in the order of `VIRTUAL_KINDS`.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from annotated_types import MaxLen

from nestling.api import kinds, rules
from nestling.api.apps import (
    DaemonSetSpec,
    DaemonSetStatus,
    DeploymentSpec,
    DeploymentStatus,
    ReplicaSetSpec,
    ReplicaSetStatus,
    StatefulSetSpec,
    StatefulSetStatus,
)
from nestling.api.autoscaling import HorizontalPodAutoscalerSpec, VirtualHorizontalPodAutoscalerStatus
from nestling.api.batch import CronJobSpec, CronJobStatus, JobSpec, JobStatus
from nestling.api.core.namespace import NamespaceSpec, NamespaceStatus
from nestling.api.core.node import NodeStatus
from nestling.api.core.pod import PodSpec
from nestling.api.core.podstatus import PodStatus
from nestling.api.core.replicationcontroller import ReplicationControllerSpec, ReplicationControllerStatus
from nestling.api.core.service import ServiceSpec, ServiceStatus
from nestling.api.discovery import Endpoint, EndpointPort
from nestling.api.nestling import (
    ClusterSpec,
    ClusterStatus,
    CronJobDisplay,
    DaemonSetDisplay,
    EndpointSliceDisplay,
    JobBackoff,
    JobDisplay,
    NodeDisplay,
    NodePoolSpec,
    NodePoolStatus,
    PodDisplay,
    ReadyDisplay,
    Scheduling,
    ServiceDisplay,
    VirtualNodeSpec,
)
from nestling.api.policy import PodDisruptionBudgetSpec, PodDisruptionBudgetStatus
from nestling.api.schema import Arbitrary, Atomic, Int32, Int64, Rule, Schema, Text


class VirtualCluster(Schema):
    """Settings of the virtual cluster in this namespace; at most one, named cluster."""

    validations = (rules.CLUSTER_NAME,)

    spec: ClusterSpec = ClusterSpec()
    """The settings."""
    status: ClusterStatus | None = None
    """What the operator makes of the settings."""


class VirtualNodePool(Schema):
    """A number of virtual nodes of one kind."""

    spec: NodePoolSpec = NodePoolSpec()
    """How many nodes of which kind."""
    status: NodePoolStatus | None = None
    """How many nodes there are."""


class VirtualNodeStatus(NodeStatus):
    """What the node's kubelet last reported, and who that kubelet is."""

    display: NodeDisplay | None = None
    """What kubectl shows of the node."""
    kubelet_lease: Text | None = None
    """Name of the Lease that vouches for the node; nodes of one kubelet process share it."""


class VirtualNode(Schema):
    """A machine of the virtual cluster."""

    spec: VirtualNodeSpec = VirtualNodeSpec()
    """What an administrator says about the node, and the machine that its kubelet finds."""
    status: VirtualNodeStatus | None = None
    """What its kubelet last reported."""


class VirtualNamespace(Schema):
    """A namespace of the virtual cluster."""

    validations = (rules.NAMESPACE_NAME,)

    spec: NamespaceSpec | None = None
    """What has to happen before the namespace may go."""
    status: NamespaceStatus = NamespaceStatus(phase="Active")
    """Where the namespace is in its life."""


class VirtualPodSpec(PodSpec):
    """What runs in the pod, and where it may run; most of it is settled when the pod is made."""

    validations = (*PodSpec.validations, rules.NODE_NAME_STAYS, rules.POD_FIELDS_STAY)
    field_rules = rules.POD_FIELDS

    enable_service_links: bool | None = True
    """Whether Services appear as environment variables."""


class VirtualPodStatus(PodStatus):
    """How the pod is doing, and why it is where it is."""

    display: PodDisplay | None = None
    """What kubectl shows of the pod."""
    scheduling: Scheduling | None = None
    """Why the pod is where it is, or nowhere."""


class VirtualPod(Schema):
    """Containers that run together on one virtual node."""

    validations = rules.SCOPED_NAME

    spec: VirtualPodSpec
    """What runs in the pod, and where it may run."""
    status: VirtualPodStatus = VirtualPodStatus(phase="Pending", display=PodDisplay(status="Pending"))
    """How the pod is doing."""


class VirtualReplicaSetStatus(ReplicaSetStatus):
    """How many pods there are."""

    selector: Text | None = None
    """Labels of the pods as text, for the scale subresource."""


class VirtualReplicaSet(Schema):
    """A number of equal pods."""

    validations = rules.SCOPED_NAME

    spec: ReplicaSetSpec
    """How many pods of which kind."""
    status: VirtualReplicaSetStatus | None = None
    """How many pods there are."""


class VirtualReplicationControllerStatus(ReplicationControllerStatus):
    """How many pods there are."""

    selector: Text | None = None
    """Labels of the pods as text, for the scale subresource."""


class VirtualReplicationController(Schema):
    """A number of equal pods, in the oldest form."""

    validations = rules.SCOPED_NAME

    spec: ReplicationControllerSpec
    """How many pods of which kind."""
    status: VirtualReplicationControllerStatus | None = None
    """How many pods there are."""


class VirtualDeploymentStatus(DeploymentStatus):
    """How far the Deployment is."""

    display: ReadyDisplay | None = None
    """What kubectl shows of the Deployment."""
    selector: Text | None = None
    """Labels of the pods as text, for the scale subresource."""


class VirtualDeployment(Schema):
    """A number of equal pods that change little by little."""

    validations = rules.SCOPED_NAME

    spec: DeploymentSpec
    """How many pods of which kind, and how they change."""
    status: VirtualDeploymentStatus | None = None
    """How far the Deployment is."""


class VirtualStatefulSetStatus(StatefulSetStatus):
    """How far the StatefulSet is."""

    display: ReadyDisplay | None = None
    """What kubectl shows of the StatefulSet."""
    selector: Text | None = None
    """Labels of the pods as text, for the scale subresource."""


class VirtualStatefulSet(Schema):
    """A number of pods with names and storage of their own."""

    validations = (*rules.SCOPED_NAME, rules.LABEL_NAME)

    spec: StatefulSetSpec
    """How many numbered pods, with which claims, and how they change."""
    status: VirtualStatefulSetStatus | None = None
    """How far the StatefulSet is."""


class VirtualDaemonSetStatus(DaemonSetStatus):
    """On how many nodes the pod runs."""

    display: DaemonSetDisplay | None = None
    """What kubectl shows of the DaemonSet."""


class VirtualDaemonSet(Schema):
    """One pod on every suitable node."""

    validations = rules.SCOPED_NAME

    spec: DaemonSetSpec
    """Which pod runs on every suitable node, and how it changes."""
    status: VirtualDaemonSetStatus | None = None
    """On how many nodes the pod runs."""


class VirtualJobSpec(JobSpec):
    """How often which pod has to succeed. Defaults are set here and not in the template of a CronJob."""

    completion_mode: Literal["NonIndexed", "Indexed"] | None = "NonIndexed"
    """Whether each completion has a number of its own."""
    manual_selector: bool | None = False
    """Whether selector and labels are the user's own."""
    suspend: bool | None = False
    """Whether the Job is kept from running."""


class VirtualJobStatus(JobStatus):
    """How far the Job is."""

    backoff: JobBackoff | None = None
    """What the wait before the next pod goes by, while the Job runs."""
    display: JobDisplay | None = None
    """What kubectl shows of the Job."""


class VirtualJob(Schema):
    """Work that ends when enough pods have succeeded."""

    validations = rules.SCOPED_NAME

    spec: VirtualJobSpec
    """How often which pod has to succeed."""
    status: VirtualJobStatus | None = None
    """How far the Job is."""


class VirtualCronJobStatus(CronJobStatus):
    """What the schedule has made so far."""

    display: CronJobDisplay | None = None
    """What kubectl shows of the CronJob."""


class VirtualCronJob(Schema):
    """Jobs that are made by the clock."""

    validations = (*rules.SCOPED_NAME, rules.SCHEDULE_NAME)

    spec: CronJobSpec
    """When to make which Job."""
    status: VirtualCronJobStatus | None = None
    """What the schedule has made so far."""


class VirtualServiceStatus(ServiceStatus):
    """What has been set up for the Service."""

    display: ServiceDisplay | None = None
    """What kubectl shows of the Service."""


class VirtualService(Schema):
    """One stable address for many pods."""

    validations = (*rules.SCOPED_NAME, rules.LABEL_NAME)

    spec: ServiceSpec
    """Which pods are reached, at which address and ports."""
    status: VirtualServiceStatus | None = None
    """What has been set up for the Service."""


class VirtualEndpointSlice(Schema):
    """Addresses behind a Service."""

    validations = rules.SCOPED_NAME

    address_type: Annotated[
        Literal["IPv4", "IPv6", "FQDN"],
        Rule("self == oldSelf", "cannot be changed", reason="FieldValueForbidden"),
    ]
    """Kind of the addresses."""
    display: EndpointSliceDisplay | None = None
    """What kubectl shows of the slice."""
    endpoints: Annotated[Atomic[Endpoint], MaxLen(1000)] | None = None
    """Places where the Service answers."""
    ports: Annotated[Atomic[EndpointPort], MaxLen(100)] | None = None
    """Ports that all of them share; absent means all ports."""


class VirtualControllerRevision(Schema):
    """A state of a set, kept for rolling back."""

    validations = rules.SCOPED_NAME

    data: Arbitrary
    """The state, as the set's controller wrote it."""
    revision: Int64 = 0
    """Number of the state, growing."""


class VirtualPriorityClass(Schema):
    """A name for how important pods are."""

    validations = (rules.PRIORITY_CLASS_NAME, rules.PRIORITY_VALUE)

    description: Text | None = None
    """When to use the class."""
    global_default: bool | None = None
    """Whether pods without a class get this one."""
    preemption_policy: Literal["PreemptLowerPriority", "Never"] = "PreemptLowerPriority"
    """Whether pods of the class may push out others."""
    value: Annotated[Int32, Rule("self == oldSelf", "cannot be changed", reason="FieldValueForbidden")] = 0
    """How important the pods are; higher goes first."""


class VirtualPodDisruptionBudget(Schema):
    """How many pods may be missing at once."""

    validations = rules.SCOPED_NAME

    spec: PodDisruptionBudgetSpec | None = None
    """How many of the selected pods must stay, or may go."""
    status: PodDisruptionBudgetStatus | None = None
    """What the budget leaves room for."""


class VirtualHorizontalPodAutoscaler(Schema):
    """How many pods a workload gets, by how much they use."""

    validations = rules.SCOPED_NAME

    spec: HorizontalPodAutoscalerSpec
    """What is scaled, within which bounds, and by what."""
    status: VirtualHorizontalPodAutoscalerStatus | None = None
    """What was last read and done."""


MODELS: Final[Mapping[kinds.Kind, type[Schema]]] = {
    kinds.CLUSTER: VirtualCluster,
    kinds.NODE_POOL: VirtualNodePool,
    kinds.NODE: VirtualNode,
    kinds.NAMESPACE: VirtualNamespace,
    kinds.POD: VirtualPod,
    kinds.REPLICA_SET: VirtualReplicaSet,
    kinds.REPLICATION_CONTROLLER: VirtualReplicationController,
    kinds.DEPLOYMENT: VirtualDeployment,
    kinds.STATEFUL_SET: VirtualStatefulSet,
    kinds.DAEMON_SET: VirtualDaemonSet,
    kinds.JOB: VirtualJob,
    kinds.CRON_JOB: VirtualCronJob,
    kinds.SERVICE: VirtualService,
    kinds.ENDPOINT_SLICE: VirtualEndpointSlice,
    kinds.CONTROLLER_REVISION: VirtualControllerRevision,
    kinds.PRIORITY_CLASS: VirtualPriorityClass,
    kinds.POD_DISRUPTION_BUDGET: VirtualPodDisruptionBudget,
    kinds.HORIZONTAL_POD_AUTOSCALER: VirtualHorizontalPodAutoscaler,
}
