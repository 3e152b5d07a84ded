"""Identity and privileges of the processes in a pod.

Fields, types and defaults are native; the sentences are ours.
Source: Kubernetes 1.37, k8s.io/api/core/v1.
"""

from typing import Literal

from nestling.api.schema import Atomic, Schema, Text, UnixId


class AppArmorProfile(Schema):
    """AppArmor rules that the process runs under."""

    localhost_profile: Text | None = None
    """Name of a profile loaded on the node, for type Localhost."""
    type: Literal["Localhost", "RuntimeDefault", "Unconfined"]
    """Where the profile comes from."""


class SeccompProfile(Schema):
    """System calls that the process may make."""

    localhost_profile: Text | None = None
    """File of a profile on the node, for type Localhost."""
    type: Literal["Localhost", "RuntimeDefault", "Unconfined"]
    """Where the profile comes from."""


class Capabilities(Schema):
    """Linux capabilities that differ from the runtime's set."""

    add: Atomic[Text] | None = None
    """Capabilities to add."""
    drop: Atomic[Text] | None = None
    """Capabilities to take away."""


class SELinuxOptions(Schema):
    """SELinux label of the process."""

    level: Text | None = None
    """Level part of the label."""
    role: Text | None = None
    """Role part of the label."""
    type: Text | None = None
    """Type part of the label."""
    user: Text | None = None
    """User part of the label."""


class WindowsSecurityContextOptions(Schema):
    """Identity of the process on Windows nodes."""

    gmsa_credential_spec: Text | None = None
    """Content of a GMSA credential specification."""
    gmsa_credential_spec_name: Text | None = None
    """Name of a GMSA credential specification."""
    host_process: bool | None = None
    """Whether the container runs as a process of the host."""
    run_as_user_name: Text | None = None
    """User that the process runs as."""


class Sysctl(Schema):
    """A kernel parameter."""

    name: Text
    """Name of the parameter."""
    value: Text
    """Value to set."""


class SecurityContext(Schema):
    """Privileges and identity of one container; wins over the pod's."""

    allow_privilege_escalation: bool | None = None
    """Whether a process may gain more privileges than its parent."""
    app_armor_profile: AppArmorProfile | None = None
    """AppArmor rules."""
    capabilities: Capabilities | None = None
    """Linux capabilities."""
    privileged: bool | None = None
    """Whether the container has the privileges of the node's root."""
    proc_mount: Literal["Default", "Unmasked"] | None = None
    """How /proc is mounted."""
    read_only_root_filesystem: bool | None = None
    """Whether the image's files are read-only."""
    run_as_group: UnixId | None = None
    """Primary group of the process."""
    run_as_non_root: bool | None = None
    """Whether the kubelet refuses to start the container as root."""
    run_as_user: UnixId | None = None
    """User of the process."""
    se_linux_options: SELinuxOptions | None = None
    """SELinux label."""
    seccomp_profile: SeccompProfile | None = None
    """System calls allowed."""
    windows_options: WindowsSecurityContextOptions | None = None
    """Identity on Windows nodes."""


class PodSecurityContext(Schema):
    """Privileges and identity shared by all containers of a pod."""

    app_armor_profile: AppArmorProfile | None = None
    """AppArmor rules."""
    fs_group: UnixId | None = None
    """Group that owns the files of volumes."""
    fs_group_change_policy: Literal["OnRootMismatch", "Always"] | None = None
    """When the ownership of a volume's files is changed."""
    run_as_group: UnixId | None = None
    """Primary group of the processes."""
    run_as_non_root: bool | None = None
    """Whether the kubelet refuses to start containers as root."""
    run_as_user: UnixId | None = None
    """User of the processes."""
    se_linux_change_policy: Literal["Recursive", "MountOption"] | None = None
    """How volumes get their SELinux label."""
    se_linux_options: SELinuxOptions | None = None
    """SELinux label."""
    seccomp_profile: SeccompProfile | None = None
    """System calls allowed."""
    supplemental_groups: Atomic[UnixId] | None = None
    """Further groups of the processes."""
    supplemental_groups_policy: Literal["Merge", "Strict"] | None = None
    """Whether groups of the image are added to the listed ones."""
    sysctls: Atomic[Sysctl] | None = None
    """Kernel parameters of the pod's namespaces."""
    windows_options: WindowsSecurityContextOptions | None = None
    """Identity on Windows nodes."""
