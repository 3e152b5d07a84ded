"""What scheduler and kubelet have written about a pod.

Fields, types and defaults are native; the sentences are ours.
Source: Kubernetes 1.37, k8s.io/api/core/v1.
"""

from typing import Annotated, Literal

from annotated_types import MaxLen

from nestling.api.core.claim import VolumeHealthCondition
from nestling.api.core.resources import ResourceRequirements
from nestling.api.meta import ObservedCondition
from nestling.api.schema import (
    Amount,
    Amounts,
    Atomic,
    ByName,
    ByType,
    Count,
    Int32,
    Int64,
    ListType,
    Message,
    NullableTime,
    Schema,
    SetOf,
    Text,
    Time,
)


class PodCondition(ObservedCondition):
    """One observed aspect of a pod."""

    last_probe_time: NullableTime | None = None
    """When the aspect was last looked at."""
    observed_generation: Int64 | None = None
    """Generation of the pod that the condition was computed for."""


class ResourceHealth(Schema):
    """Health of one device."""

    health: Text | None = None
    """Healthy, Unhealthy or Unknown."""
    message: Message | None = None
    """Sentence for people."""
    resource_id: Text
    """Identity of the device."""


class ResourceStatus(Schema):
    """Health of the devices behind one resource."""

    name: Text
    """Name of the resource or claim."""
    resources: Annotated[list[ResourceHealth], ListType("map", "resourceID")] | None = None
    """Health per device."""


class ContainerStateRunning(Schema):
    """The container runs."""

    started_at: Time | None = None
    """Since when."""


class ContainerStateTerminated(Schema):
    """The container has ended."""

    container_id: Text | None = None
    """Identity of the ended container."""
    exit_code: Int32
    """Exit code of its process."""
    finished_at: Time | None = None
    """When it ended."""
    message: Message | None = None
    """Content of its termination message."""
    reason: Text | None = None
    """Word for machines, such as Completed or Error."""
    signal: Int32 | None = None
    """Signal that ended it."""
    started_at: Time | None = None
    """When it had started."""


class ContainerStateWaiting(Schema):
    """The container does not run yet, or not again."""

    message: Message | None = None
    """Sentence for people."""
    reason: Text | None = None
    """Word for machines, such as ContainerCreating or CrashLoopBackOff."""


class ContainerState(Schema):
    """What the container is doing; one of the three."""

    running: ContainerStateRunning | None = None
    """Set while it runs."""
    terminated: ContainerStateTerminated | None = None
    """Set when it has ended."""
    waiting: ContainerStateWaiting | None = None
    """Set while it waits."""


class LinuxContainerUser(Schema):
    """Identity of the container's first process on Linux."""

    gid: Int64
    """Primary group."""
    supplemental_groups: Atomic[Int64] | None = None
    """Further groups."""
    uid: Int64
    """User."""


class ContainerUser(Schema):
    """Identity of the container's first process."""

    linux: LinuxContainerUser | None = None
    """Identity on Linux."""


class ImageVolumeStatus(Schema):
    """The image behind an image volume."""

    image_ref: Text
    """Digest of the image."""


class VolumeStatus(Schema):
    """State of a mounted volume."""

    image: ImageVolumeStatus | None = None
    """Image behind an image volume."""


class VolumeMountStatus(Schema):
    """A mount as it was made."""

    mount_path: Text
    """Where the volume appears."""
    name: Text
    """Name of the volume."""
    read_only: bool | None = None
    """Whether writing is refused."""
    recursive_read_only: Text | None = None
    """Whether mounts below are read-only too."""
    volume_status: VolumeStatus | None = None
    """State of the volume."""


class ContainerStatus(Schema):
    """What the kubelet knows about one container."""

    allocated_resources: Amounts | None = None
    """Resources that the node has set aside."""
    allocated_resources_status: ByName[ResourceStatus] | None = None
    """Health of the devices in use."""
    container_id: Text | None = None
    """Identity given by the runtime."""
    image: Text
    """Name of the image that runs."""
    image_id: Text
    """Identity of the image that runs."""
    last_state: ContainerState | None = None
    """How the previous run ended."""
    name: Text
    """Name of the container."""
    ready: bool
    """Whether it counts as ready."""
    resources: ResourceRequirements | None = None
    """Requests and limits in force."""
    restart_count: Count
    """How often it was started again."""
    started: bool | None = None
    """Whether it has passed its startup check and postStart hook."""
    state: ContainerState | None = None
    """What it is doing now."""
    stop_signal: Text | None = None
    """Signal that asks it to stop."""
    user: ContainerUser | None = None
    """Identity of its first process."""
    volume_mounts: Annotated[list[VolumeMountStatus], ListType("map", "mountPath")] | None = None
    """Mounts as they were made."""


class ContainerExtendedResourceRequest(Schema):
    """A resource of a container that a device claim stands for."""

    container_name: Text
    """Name of the container."""
    request_name: Text
    """Request inside the claim."""
    resource_name: Text
    """Name of the resource."""


class PodExtendedResourceClaimStatus(Schema):
    """The claim made for resources that devices stand for."""

    request_mappings: Atomic[ContainerExtendedResourceRequest]
    """Which request serves which container."""
    resource_claim_name: Text
    """Name of the claim."""


class HostIP(Schema):
    """An address of the node."""

    ip: Text
    """The address."""


class PodIP(Schema):
    """An address of the pod."""

    ip: Text
    """The address."""


class NodeAllocatableMappedResources(Schema):
    """Node resources that an allocated device brings."""

    name: Text
    """Name of the resource."""
    quantity: Amount
    """How much of it."""


class NodeAllocatableOverheadResources(Schema):
    """Node resources that an allocated device costs."""

    name: Text
    """Name of the resource."""
    per_container: Amount | None = None
    """Cost for each container that uses the claim."""
    per_pod: Amount | None = None
    """Cost once per pod."""


class NodeAllocatableResourceClaimStatus(Schema):
    """Node resources that came to the pod through a device claim."""

    containers: SetOf[Text] | None = None
    """Containers that use the claim."""
    mapping: ByName[NodeAllocatableMappedResources] | None = None
    """What the devices bring."""
    overhead: ByName[NodeAllocatableOverheadResources] | None = None
    """What the devices cost."""
    resource_claim_name: Text
    """Name of the claim."""


class PodResourceClaimStatus(Schema):
    """The claim behind one entry of resourceClaims."""

    name: Text
    """Name of the entry."""
    resource_claim_name: Text | None = None
    """Claim made for it; absent if none was needed."""


class PodVolumeHealth(Schema):
    """Health of one volume as the node sees it."""

    health_conditions: (
        Annotated[list[VolumeHealthCondition], ListType("map", "status", "reason"), MaxLen(16)] | None
    ) = None
    """What is wrong; empty when nothing is."""
    last_transition_time: Time | None = None
    """When the present set of conditions appeared."""
    name: Text
    """Name of the volume."""


class PodStatus(Schema):
    """How the pod is doing."""

    allocated_resources: Amounts | None = None
    """Requests that the node has set aside for the pod."""
    conditions: ByType[PodCondition] | None = None
    """Observed aspects: PodScheduled, Initialized, ContainersReady, Ready and others."""
    container_statuses: Atomic[ContainerStatus] | None = None
    """State of each container."""
    ephemeral_container_statuses: Atomic[ContainerStatus] | None = None
    """State of each ephemeral container."""
    extended_resource_claim_status: PodExtendedResourceClaimStatus | None = None
    """Claim made for resources that devices stand for."""
    host_ip: Text | None = None
    """Address of the node."""
    host_ips: Atomic[HostIP] | None = None
    """Addresses of the node, one per IP family."""
    init_container_statuses: Atomic[ContainerStatus] | None = None
    """State of each init container."""
    message: Message | None = None
    """Sentence for people about the present phase."""
    node_allocatable_resource_claim_statuses: (
        Annotated[list[NodeAllocatableResourceClaimStatus], ListType("map", "resourceClaimName")] | None
    ) = None
    """Node resources that came through device claims."""
    nominated_node_name: Text | None = None
    """Node on which room is being made for the pod."""
    observed_generation: Int64 | None = None
    """Generation of the pod that the status was computed for."""
    phase: Literal["Pending", "Running", "Succeeded", "Failed", "Unknown"] | None = None
    """Where the pod is in its life."""
    pod_ip: Text | None = None
    """Address of the pod."""
    pod_ips: Annotated[list[PodIP], ListType("map", "ip")] | None = None
    """Addresses of the pod, one per IP family."""
    qos_class: Literal["Guaranteed", "Burstable", "BestEffort"] | None = None
    """How hard the node tries to keep the pod when resources run out."""
    reason: Text | None = None
    """Word for machines about the present phase, such as Evicted."""
    resize: Text | None = None
    """State of a resize; replaced by conditions in Kubernetes."""
    resource_claim_statuses: ByName[PodResourceClaimStatus] | None = None
    """Claims behind the entries of resourceClaims."""
    resources: ResourceRequirements | None = None
    """Pod-wide requests and limits in force."""
    start_time: Time | None = None
    """When the kubelet accepted the pod."""
    volume_health: ByName[PodVolumeHealth] | None = None
    """Health of the pod's volumes as the node sees it."""
