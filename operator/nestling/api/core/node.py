"""The virtual machine that pods run on: what it offers and what its kubelet last reported.

Fields, types and defaults are native; the sentences are ours.
Source: Kubernetes 1.37, k8s.io/api/core/v1.
"""

from typing import Annotated, Literal

from annotated_types import MaxLen
from pydantic import Field

from nestling.api import rules
from nestling.api.meta import ObservedCondition
from nestling.api.schema import (
    Amounts,
    Atomic,
    ByType,
    Cidr,
    Int64,
    LabelValue,
    ListType,
    PortNumber,
    QualifiedName,
    Schema,
    SetOf,
    Text,
    Time,
)


class Taint(Schema):
    """A mark that keeps away pods which do not tolerate it."""

    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]
    """What happens to pods that do not tolerate the taint."""
    key: QualifiedName
    """Name of the taint."""
    time_added: Time | None = None
    """When the taint was put on; evictions count from it."""
    value: LabelValue | None = None
    """Value that tolerations are compared with."""


class ConfigMapNodeConfigSource(Schema):
    """A ConfigMap with kubelet settings; kept for old manifests, without effect."""

    kubelet_config_key: Text
    """Key whose value holds the settings."""
    name: Text
    """Name of the ConfigMap."""
    namespace: Text
    """Namespace of the ConfigMap."""
    resource_version: Text | None = None
    """Version of the ConfigMap that was seen."""
    uid: Text | None = None
    """Unique identity of the ConfigMap that was seen."""


class NodeConfigSource(Schema):
    """Where a kubelet was once told to read its settings; without effect."""

    config_map: ConfigMapNodeConfigSource | None = None
    """ConfigMap with the settings."""


class NodePodPreemptionPolicy(Schema):
    """Limits on preemption for the sake of pods that already run on the node."""

    disable_resize_preemption: SetOf[Text] | None = None
    """Who asked that no pod is preempted for a resize in place."""


class NodeSpec(Schema):
    """What an administrator says about a node."""

    config_source: NodeConfigSource | None = None
    """Source of kubelet settings; without effect."""
    external_id: Text | None = None
    """Identity at an outside provider; no longer used by Kubernetes."""
    pod_cidr: Cidr | None = None
    """Range that the node gives pod addresses from."""
    pod_cidrs: Annotated[SetOf[Cidr], MaxLen(2)] | None = None
    """Ranges for pod addresses, at most one per IP family; the first equals podCIDR."""
    pod_preemption_policy: NodePodPreemptionPolicy | None = None
    """Node-wide limits on preemption."""
    provider_id: Text | None = None
    """Identity of the machine at its provider."""
    taints: Annotated[Atomic[Taint], MaxLen(128), rules.TAINTS_DIFFER] | None = None
    """Marks that keep away pods which do not tolerate them."""
    unschedulable: bool | None = None
    """Whether new pods stay off the node (cordoned)."""


class NodeAddress(Schema):
    """One way to reach the node."""

    address: Text
    """IP address or name."""
    type: Text
    """Kind of address, such as InternalIP, ExternalIP or Hostname."""


class NodeCondition(ObservedCondition):
    """One observed aspect of a node's health."""

    last_heartbeat_time: Time | None = None
    """When the kubelet last reported this condition."""


class NodeConfigStatus(Schema):
    """Settings that a kubelet once took from a ConfigMap; without effect."""

    active: NodeConfigSource | None = None
    """Settings in use."""
    assigned: NodeConfigSource | None = None
    """Settings to be used next."""
    error: Text | None = None
    """What is wrong with the assigned settings."""
    last_known_good: NodeConfigSource | None = None
    """Settings to fall back to."""


class DaemonEndpoint(Schema):
    """Port that a node's service listens on."""

    port: PortNumber = Field(alias="Port")
    """Number of the port."""


class NodeDaemonEndpoints(Schema):
    """Services of the node itself."""

    kubelet_endpoint: DaemonEndpoint | None = None
    """Port of the kubelet's HTTP API."""


class NodeFeatures(Schema):
    """Optional abilities of the node's runtime."""

    supplemental_groups_policy: bool | None = None
    """Whether the runtime honours supplementalGroupsPolicy of pods."""


class ContainerImage(Schema):
    """An image that is present on the node."""

    names: Atomic[Text] | None = None
    """Names the image is known by."""
    size_bytes: Int64 | None = None
    """Size of the image in bytes."""


class NodeSwapStatus(Schema):
    """Swap space of the machine."""

    capacity: Int64 | None = None
    """Total swap in bytes."""


class NodeSystemInfo(Schema):
    """Facts about the machine and its software."""

    architecture: Text
    """Processor architecture."""
    boot_id: Text
    """Identity of the current boot."""
    container_runtime_version: Text
    """Name and version of the container runtime."""
    kernel_version: Text
    """Version of the kernel."""
    kube_proxy_version: Text
    """Version of the service proxy; no longer filled by Kubernetes."""
    kubelet_version: Text
    """Version of the kubelet."""
    machine_id: Text
    """Identity of the machine as its operating system knows it."""
    operating_system: Text
    """Operating system, such as linux."""
    os_image: Text
    """Name of the operating system's release."""
    running_in_user_namespace: bool | None = None
    """Whether the kubelet itself runs inside a user namespace."""
    swap: NodeSwapStatus | None = None
    """Swap space of the machine."""
    system_uuid: Text
    """Identity of the machine as its firmware knows it."""


class NodeRuntimeHandlerFeatures(Schema):
    """Abilities of one runtime handler."""

    recursive_read_only_mounts: bool | None = None
    """Whether it can mount read-only with everything below."""
    user_namespaces: bool | None = None
    """Whether it can give pods a user namespace."""


class NodeRuntimeHandler(Schema):
    """A way to run containers that the node offers."""

    features: NodeRuntimeHandlerFeatures | None = None
    """Abilities of the handler."""
    name: Text | None = None
    """Name that a RuntimeClass refers to; empty for the default handler."""


class AttachedVolume(Schema):
    """A volume that is attached to the node."""

    device_path: Text
    """Where the device shows up."""
    name: Text
    """Unique name of the volume."""


class NodeStatus(Schema):
    """What the node's kubelet last reported."""

    addresses: Annotated[list[NodeAddress], ListType("map", "type", "address")] | None = None
    """Ways to reach the node."""
    allocatable: Amounts | None = None
    """What pods may use: capacity minus what the system keeps."""
    capacity: Amounts | None = None
    """What the machine has in total."""
    conditions: ByType[NodeCondition] | None = None
    """Observed aspects of the node's health, Ready above all."""
    config: NodeConfigStatus | None = None
    """Settings once taken from a ConfigMap; without effect."""
    daemon_endpoints: NodeDaemonEndpoints | None = None
    """Services of the node itself."""
    declared_features: Atomic[Text] | None = None
    """Feature names that the node says it supports."""
    features: NodeFeatures | None = None
    """Optional abilities of the node's runtime."""
    images: Atomic[ContainerImage] | None = None
    """Images present on the node; the scheduler prefers nodes that have them."""
    node_info: NodeSystemInfo | None = None
    """Facts about the machine and its software."""
    phase: Text | None = None
    """No longer used by Kubernetes."""
    runtime_handlers: Atomic[NodeRuntimeHandler] | None = None
    """Ways to run containers that the node offers."""
    volumes_attached: Atomic[AttachedVolume] | None = None
    """Volumes attached to the node."""
    volumes_in_use: Atomic[Text] | None = None
    """Volumes that pods on the node have mounted."""
