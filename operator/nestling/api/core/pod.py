"""The pod as users write it.

Fields, types and defaults are native; the sentences are ours.
Source: Kubernetes 1.37, k8s.io/api/core/v1.
"""

from typing import Annotated, Literal

from annotated_types import MaxLen, MinLen

from nestling.api import rules
from nestling.api.core.affinity import Affinity, Toleration, TopologySpreadConstraint
from nestling.api.core.container import Container, EphemeralContainer
from nestling.api.core.resources import ResourceRequirements
from nestling.api.core.security import PodSecurityContext
from nestling.api.core.volume import Volume
from nestling.api.meta import LocalObjectReference
from nestling.api.schema import (
    Amounts,
    Atomic,
    ByName,
    Count,
    DnsLabel,
    Int32,
    Int64,
    Labels,
    ListType,
    PositiveLong,
    QualifiedName,
    Schema,
    Text,
)


class PodDNSConfigOption(Schema):
    """One option of the resolver."""

    name: Text | None = None
    """Name of the option."""
    value: Text | None = None
    """Its value, if it takes one."""


class PodDNSConfig(Schema):
    """Resolver settings that are added to those of the policy."""

    nameservers: Atomic[Text] | None = None
    """Addresses of name servers."""
    options: Atomic[PodDNSConfigOption] | None = None
    """Options of the resolver."""
    searches: Atomic[Text] | None = None
    """Domains to try for short names."""


class EvictionResponder(Schema):
    """Someone who is asked before the pod is evicted."""

    name: Text
    """Name of the responder, prefixed by its domain."""
    priority: Count
    """Order of asking; higher is asked first."""


class HostAlias(Schema):
    """A line of the pod's hosts file."""

    hostnames: Atomic[Text] | None = None
    """Names of the address."""
    ip: Text
    """The address."""


class PodOS(Schema):
    """Operating system that the containers are made for."""

    name: Literal["linux", "windows"]
    """Name of the operating system."""


class PodReadinessGate(Schema):
    """A condition that has to hold before the pod counts as ready."""

    condition_type: Text
    """Type of the condition."""


class PodResourceClaim(Schema):
    """A claim for devices that containers of the pod can use."""

    name: DnsLabel
    """Name that containers refer to, unique in the pod."""
    resource_claim_name: Text | None = None
    """Claim of the pod's namespace to use."""
    resource_claim_template_name: Text | None = None
    """Template that a claim is made from for this pod."""


class PodSchedulingGate(Schema):
    """A gate that keeps the scheduler away until it is removed."""

    name: QualifiedName
    """Name of the gate."""


class PodSchedulingGroup(Schema):
    """The group of pods that is scheduled together."""

    pod_group_name: Text | None = None
    """Name of the group."""


class PodSpec(Schema):
    """What runs in a pod, and where it may run."""

    validations = (rules.CONTAINER_NAMES_APART, rules.HOST_PORTS)

    active_deadline_seconds: PositiveLong | None = None
    """Time after the start when the pod is ended as failed."""
    affinity: Affinity | None = None
    """Rules of attraction between the pod and nodes or other pods."""
    automount_service_account_token: bool | None = None
    """Whether a token of the service account is mounted."""
    containers: Annotated[ByName[Container], MinLen(1), MaxLen(64)]
    """Containers that run together."""
    dns_config: PodDNSConfig | None = None
    """Resolver settings added to those of the policy."""
    dns_policy: Literal["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"] = "ClusterFirst"
    """How names are resolved."""
    enable_service_links: bool | None = None
    """Whether Services appear as environment variables."""
    ephemeral_containers: Annotated[ByName[EphemeralContainer], MaxLen(64)] | None = None
    """Containers added to the running pod for looking around."""
    eviction_responders: ByName[EvictionResponder] | None = None
    """Who is asked before the pod is evicted."""
    host_aliases: Annotated[list[HostAlias], ListType("map", "ip")] | None = None
    """Lines added to the pod's hosts file."""
    host_ipc: bool | None = None
    """Whether the pod shares the node's IPC namespace."""
    host_network: bool | None = None
    """Whether the pod shares the node's network and addresses."""
    host_pid: bool | None = None
    """Whether the pod sees the node's processes."""
    host_users: bool | None = None
    """Whether the pod shares the node's user namespace; absent means yes."""
    hostname: Text | None = None
    """Host name of the pod; its own name if absent."""
    hostname_override: Text | None = None
    """Host name inside the pod, whatever its DNS name is."""
    image_pull_secrets: ByName[LocalObjectReference] | None = None
    """Secrets for pulling images."""
    init_containers: Annotated[ByName[Container], MaxLen(64)] | None = None
    """Containers that run one after the other before the others start."""
    node_name: Text | None = None
    """Node that the pod runs on; set once, by the scheduler."""
    node_selector: Labels | None = None
    """Labels that the node must carry."""
    os: PodOS | None = None
    """Operating system that the containers are made for."""
    overhead: Amounts | None = None
    """Resources used by the sandbox itself."""
    preemption_policy: Literal["PreemptLowerPriority", "Never"] | None = None
    """Whether pods of lower priority may be removed to make room."""
    priority: Int32 | None = None
    """Importance in numbers, from the priority class."""
    priority_class_name: Text | None = None
    """Class that the priority is taken from."""
    readiness_gates: Atomic[PodReadinessGate] | None = None
    """Conditions that have to hold before the pod counts as ready."""
    resource_claims: ByName[PodResourceClaim] | None = None
    """Claims for devices."""
    resources: ResourceRequirements | None = None
    """Requests and limits of the pod as a whole."""
    restart_policy: Literal["Always", "OnFailure", "Never"] = "Always"
    """Which ended containers are started again."""
    runtime_class_name: Text | None = None
    """Class of container runtime; the default one if absent."""
    scheduler_name: Text = "default-scheduler"
    """Scheduler profile that places the pod."""
    scheduling_gates: Annotated[ByName[PodSchedulingGate], MaxLen(32)] | None = None
    """Gates that keep the scheduler away until they are removed."""
    scheduling_group: PodSchedulingGroup | None = None
    """Group of pods that is scheduled together."""
    security_context: PodSecurityContext = PodSecurityContext()
    """Privileges and identity shared by all containers."""
    service_account: Text | None = None
    """Older name of serviceAccountName."""
    service_account_name: Text | None = None
    """Service account that the pod acts as."""
    set_hostname_as_fqdn: bool | None = None
    """Whether the host name is the full DNS name."""
    share_process_namespace: bool | None = None
    """Whether the containers see one another's processes."""
    subdomain: Text | None = None
    """Name of the headless Service under which the pod has a DNS name."""
    termination_grace_period_seconds: Int64 = 30
    """Time between the request to stop and the end by force."""
    tolerations: Atomic[Toleration] | None = None
    """Taints that do not keep the pod away."""
    topology_spread_constraints: (
        Annotated[list[TopologySpreadConstraint], ListType("map", "topologyKey", "whenUnsatisfiable")] | None
    ) = None
    """How evenly pods of this kind are spread."""
    volumes: Annotated[ByName[Volume], MaxLen(256)] | None = None
    """Volumes that containers can mount."""
