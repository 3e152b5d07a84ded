"""One container of a pod: image, command, ports, mounts and rules.

Fields, types and defaults are native; the sentences are ours.
Source: Kubernetes 1.37, k8s.io/api/core/v1.
"""

from typing import Annotated, Literal

from annotated_types import MaxLen, MinLen

from nestling.api.core.env import EnvFromSource, EnvVar
from nestling.api.core.probe import Lifecycle, Probe
from nestling.api.core.resources import ContainerResizePolicy, ResourceRequirements
from nestling.api.core.security import SecurityContext
from nestling.api.schema import (
    Atomic,
    ByName,
    DnsLabel,
    Int32,
    ListType,
    LongText,
    PortName,
    PortNumber,
    PortOrZero,
    Protocol,
    Schema,
    SetOf,
    Text,
)


class ContainerPort(Schema):
    """A port that the container listens on."""

    container_port: PortNumber
    """Number of the port inside the pod."""
    host_ip: Text | None = None
    """Address of the node that the host port is bound to."""
    host_port: PortOrZero | None = None
    """Port of the node that leads here; each can be used once per node."""
    name: PortName | None = None
    """Name that Services and probes may use instead of the number."""
    protocol: Protocol = "TCP"
    """Transport protocol."""


class VolumeMount(Schema):
    """A volume in the file system of the container."""

    bind_mount_options: SetOf[Text] | None = None
    """Extra options of the mount: noexec, nodev or nosuid."""
    mount_path: Text
    """Where the volume appears in the container."""
    mount_propagation: Literal["None", "HostToContainer", "Bidirectional"] | None = None
    """Whether mounts made on one side show up on the other."""
    name: Text
    """Name of a volume of the pod."""
    read_only: bool | None = None
    """Whether writing is refused."""
    recursive_read_only: Literal["Disabled", "IfPossible", "Enabled"] | None = None
    """Whether mounts below are read-only too."""
    sub_path: Text | None = None
    """Path inside the volume to mount instead of its root."""
    sub_path_expr: Text | None = None
    """Like subPath, with variables of the container filled in."""


class VolumeDevice(Schema):
    """A raw block volume in the container."""

    device_path: Text
    """Where the device appears in the container."""
    name: Text
    """Name of a claim volume of the pod."""


class ContainerRestartRuleOnExitCodes(Schema):
    """Exit codes that a rule applies to."""

    operator: Literal["In", "NotIn"]
    """Whether the listed codes match or all others do."""
    values: Annotated[SetOf[Int32], MaxLen(255)] | None = None
    """Exit codes."""


class ContainerRestartRule(Schema):
    """What to do when the container ends in a certain way."""

    action: Text
    """What to do: Restart."""
    exit_codes: ContainerRestartRuleOnExitCodes | None = None
    """Exit codes that the rule applies to."""


class ContainerBase(Schema):
    """What ordinary and ephemeral containers have in common."""

    args: Atomic[LongText] | None = None
    """Arguments; the image's own if absent. $(NAME) is replaced by variables."""
    command: Atomic[LongText] | None = None
    """Command without a shell; the image's entry point if absent."""
    env: ByName[EnvVar] | None = None
    """Environment variables."""
    env_from: Atomic[EnvFromSource] | None = None
    """Sources of many variables at once; entries of env win."""
    image: Annotated[Text, MinLen(1)]
    """Name of the image."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When to pull; Always for tag latest and IfNotPresent otherwise, if absent."""
    lifecycle: Lifecycle | None = None
    """Hooks around the container's life."""
    liveness_probe: Probe | None = None
    """Check whose failure restarts the container."""
    name: DnsLabel
    """Name of the container, unique in the pod."""
    ports: Annotated[list[ContainerPort], ListType("map", "containerPort", "protocol")] | None = None
    """Ports that the container listens on."""
    readiness_probe: Probe | None = None
    """Check that decides whether Services send traffic here."""
    resize_policy: Atomic[ContainerResizePolicy] | None = None
    """What a resize in place does, per resource."""
    resources: ResourceRequirements = ResourceRequirements()
    """Requests and limits."""
    restart_policy: Literal["Always", "OnFailure", "Never"] | None = None
    """Own restart policy; Always makes an init container a sidecar."""
    restart_policy_rules: Annotated[Atomic[ContainerRestartRule], MaxLen(20)] | None = None
    """Rules looked at in order when the container ends, before its policy."""
    security_context: SecurityContext | None = None
    """Privileges and identity of the process."""
    startup_probe: Probe | None = None
    """Check that holds back the other two until it has passed once."""
    stdin: bool | None = None
    """Whether standard input is kept open."""
    stdin_once: bool | None = None
    """Whether standard input is closed after the first client left."""
    termination_message_path: Text = "/dev/termination-log"
    """File whose content becomes the message of the ended container."""
    termination_message_policy: Literal["File", "FallbackToLogsOnError"] = "File"
    """Whether the last log lines stand in for an empty message file."""
    tty: bool | None = None
    """Whether the container gets a terminal; needs stdin."""
    volume_devices: Annotated[list[VolumeDevice], ListType("map", "devicePath")] | None = None
    """Raw block volumes."""
    volume_mounts: Annotated[list[VolumeMount], ListType("map", "mountPath")] | None = None
    """Volumes in the file system of the container."""
    working_dir: Text | None = None
    """Directory to start in; the image's own if absent."""


class Container(ContainerBase):
    """A container of the pod."""


class EphemeralContainer(ContainerBase):
    """A container added to a running pod for looking around; never restarted."""

    target_container_name: Text | None = None
    """Container whose process namespace is shared."""
