"""Volumes of particular storage systems, kept so that every native manifest is accepted.

Fields, types and defaults are native; the sentences are ours.
Source: Kubernetes 1.37, k8s.io/api/core/v1.
"""

from typing import Literal

from nestling.api.meta import LocalObjectReference
from nestling.api.schema import Atomic, Count, Int32, Schema, Text, TextMap


class AWSElasticBlockStoreVolumeSource(Schema):
    """An AWS disk."""

    fs_type: Text | None = None
    """File system to mount as."""
    partition: Count | None = None
    """Partition to mount; 0 or absent for the whole disk."""
    read_only: bool | None = None
    """Whether writing is refused."""
    volume_id: Text
    """Identity of the disk."""


class AzureDiskVolumeSource(Schema):
    """An Azure disk."""

    caching_mode: Literal["None", "ReadOnly", "ReadWrite"] = "ReadWrite"
    """What the node caches."""
    disk_name: Text
    """Name of the disk."""
    disk_uri: Text
    """Address of the disk."""
    fs_type: Text = "ext4"
    """File system to mount as."""
    kind: Literal["Shared", "Dedicated", "Managed"] = "Shared"
    """Kind of disk."""
    read_only: bool = False
    """Whether writing is refused."""


class AzureFileVolumeSource(Schema):
    """An Azure file share."""

    read_only: bool | None = None
    """Whether writing is refused."""
    secret_name: Text
    """Secret with account and key."""
    share_name: Text
    """Name of the share."""


class CephFSVolumeSource(Schema):
    """A Ceph file system."""

    monitors: Atomic[Text]
    """Addresses of the monitors."""
    path: Text | None = None
    """Directory to mount; the root if absent."""
    read_only: bool | None = None
    """Whether writing is refused."""
    secret_file: Text | None = None
    """File with the user's key ring on the node."""
    secret_ref: LocalObjectReference | None = None
    """Secret with the user's key; wins over the file."""
    user: Text | None = None
    """User to mount as."""


class CinderVolumeSource(Schema):
    """An OpenStack disk."""

    fs_type: Text | None = None
    """File system to mount as."""
    read_only: bool | None = None
    """Whether writing is refused."""
    secret_ref: LocalObjectReference | None = None
    """Secret for talking to OpenStack."""
    volume_id: Text
    """Identity of the disk."""


class FCVolumeSource(Schema):
    """A Fibre Channel disk."""

    fs_type: Text | None = None
    """File system to mount as."""
    lun: Count | None = None
    """Number of the logical unit."""
    read_only: bool | None = None
    """Whether writing is refused."""
    target_wwns: Atomic[Text] | None = None
    """World-wide names of the target."""
    wwids: Atomic[Text] | None = None
    """World-wide identities of the volume."""


class FlexVolumeSource(Schema):
    """A volume of an exec-based plugin."""

    driver: Text
    """Name of the plugin."""
    fs_type: Text | None = None
    """File system to mount as."""
    options: TextMap | None = None
    """Options passed to the plugin."""
    read_only: bool | None = None
    """Whether writing is refused."""
    secret_ref: LocalObjectReference | None = None
    """Secret passed to the plugin."""


class FlockerVolumeSource(Schema):
    """A Flocker volume."""

    dataset_name: Text | None = None
    """Name of the data set."""
    dataset_uuid: Text | None = None
    """Identity of the data set."""


class GCEPersistentDiskVolumeSource(Schema):
    """A Google Cloud disk."""

    fs_type: Text | None = None
    """File system to mount as."""
    partition: Count | None = None
    """Partition to mount; 0 or absent for the whole disk."""
    pd_name: Text
    """Name of the disk."""
    read_only: bool | None = None
    """Whether writing is refused."""


class GitRepoVolumeSource(Schema):
    """A clone of a git repository."""

    directory: Text | None = None
    """Directory to clone into."""
    repository: Text
    """Address of the repository."""
    revision: Text | None = None
    """Commit to check out."""


class GlusterfsVolumeSource(Schema):
    """A Glusterfs volume."""

    endpoints: Text
    """Name of the Endpoints with the servers."""
    path: Text
    """Name of the volume."""
    read_only: bool | None = None
    """Whether writing is refused."""


class ISCSIVolumeSource(Schema):
    """An iSCSI disk."""

    chap_auth_discovery: bool | None = None
    """Whether discovery is authenticated."""
    chap_auth_session: bool | None = None
    """Whether the session is authenticated."""
    fs_type: Text | None = None
    """File system to mount as."""
    initiator_name: Text | None = None
    """Name of the initiator."""
    iqn: Text
    """Qualified name of the target."""
    iscsi_interface: Text = "default"
    """Interface that the initiator uses."""
    lun: Int32
    """Number of the logical unit."""
    portals: Atomic[Text] | None = None
    """Further portals of the target."""
    read_only: bool | None = None
    """Whether writing is refused."""
    secret_ref: LocalObjectReference | None = None
    """Secret with the names and passwords."""
    target_portal: Text
    """Address of the target's portal."""


class NFSVolumeSource(Schema):
    """An NFS share."""

    path: Text
    """Directory that the server exports."""
    read_only: bool | None = None
    """Whether writing is refused."""
    server: Text
    """Host name or address of the server."""


class PhotonPersistentDiskVolumeSource(Schema):
    """A Photon disk."""

    fs_type: Text | None = None
    """File system to mount as."""
    pd_id: Text
    """Identity of the disk."""


class PortworxVolumeSource(Schema):
    """A Portworx volume."""

    fs_type: Text | None = None
    """File system to mount as."""
    read_only: bool | None = None
    """Whether writing is refused."""
    volume_id: Text
    """Identity of the volume."""


class QuobyteVolumeSource(Schema):
    """A Quobyte volume."""

    group: Text | None = None
    """Group to mount as."""
    read_only: bool | None = None
    """Whether writing is refused."""
    registry: Text
    """Addresses of the registry."""
    tenant: Text | None = None
    """Tenant that owns the volume."""
    user: Text | None = None
    """User to mount as."""
    volume: Text
    """Name of the volume."""


class RBDVolumeSource(Schema):
    """A Ceph block device."""

    fs_type: Text | None = None
    """File system to mount as."""
    image: Text
    """Name of the image."""
    keyring: Text = "/etc/ceph/keyring"
    """File with the key ring on the node."""
    monitors: Atomic[Text]
    """Addresses of the monitors."""
    pool: Text = "rbd"
    """Pool of the image."""
    read_only: bool | None = None
    """Whether writing is refused."""
    secret_ref: LocalObjectReference | None = None
    """Secret with the user's key; wins over the key ring."""
    user: Text = "admin"
    """User to map as."""


class ScaleIOVolumeSource(Schema):
    """A ScaleIO volume."""

    fs_type: Text = "xfs"
    """File system to mount as."""
    gateway: Text
    """Address of the API gateway."""
    protection_domain: Text | None = None
    """Protection domain of the storage."""
    read_only: bool | None = None
    """Whether writing is refused."""
    secret_ref: LocalObjectReference
    """Secret with user and password."""
    ssl_enabled: bool | None = None
    """Whether the gateway is talked to with TLS."""
    storage_mode: Text = "ThinProvisioned"
    """How storage is provisioned."""
    storage_pool: Text | None = None
    """Pool of the protection domain."""
    system: Text
    """Name of the storage system."""
    volume_name: Text | None = None
    """Name of the volume."""


class StorageOSVolumeSource(Schema):
    """A StorageOS volume."""

    fs_type: Text | None = None
    """File system to mount as."""
    read_only: bool | None = None
    """Whether writing is refused."""
    secret_ref: LocalObjectReference | None = None
    """Secret for the StorageOS API."""
    volume_name: Text | None = None
    """Name of the volume."""
    volume_namespace: Text | None = None
    """Namespace of the volume inside StorageOS."""


class VsphereVirtualDiskVolumeSource(Schema):
    """A vSphere disk."""

    fs_type: Text | None = None
    """File system to mount as."""
    storage_policy_id: Text | None = None
    """Identity of the storage policy."""
    storage_policy_name: Text | None = None
    """Name of the storage policy."""
    volume_path: Text
    """Path of the disk."""
