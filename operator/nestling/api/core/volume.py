"""The volumes of a pod; the kinds that name a storage system of their own are in `storage`.

Fields, types and defaults are native; the sentences are ours.
Source: Kubernetes 1.37, k8s.io/api/core/v1.
"""

from typing import Literal

from pydantic import Field

from nestling.api import rules
from nestling.api.core.claim import PersistentVolumeClaimTemplate
from nestling.api.core.projection import (
    ConfigMapVolumeSource,
    DownwardAPIVolumeSource,
    ProjectedVolumeSource,
    SecretVolumeSource,
)
from nestling.api.core.storage import (
    AWSElasticBlockStoreVolumeSource,
    AzureDiskVolumeSource,
    AzureFileVolumeSource,
    CephFSVolumeSource,
    CinderVolumeSource,
    FCVolumeSource,
    FlexVolumeSource,
    FlockerVolumeSource,
    GCEPersistentDiskVolumeSource,
    GitRepoVolumeSource,
    GlusterfsVolumeSource,
    ISCSIVolumeSource,
    NFSVolumeSource,
    PhotonPersistentDiskVolumeSource,
    PortworxVolumeSource,
    QuobyteVolumeSource,
    RBDVolumeSource,
    ScaleIOVolumeSource,
    StorageOSVolumeSource,
    VsphereVirtualDiskVolumeSource,
)
from nestling.api.meta import LocalObjectReference
from nestling.api.schema import Amount, DnsLabel, FileMode, Schema, Text, TextMap

SOURCES = (
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "gitRepo",
    "glusterfs",
    "hostPath",
    "image",
    "iscsi",
    "nfs",
    "persistentVolumeClaim",
    "photonPersistentDisk",
    "portworxVolume",
    "projected",
    "quobyte",
    "rbd",
    "scaleIO",
    "secret",
    "storageos",
    "vsphereVolume",
)
"""Fields of a volume of which one is given."""


class EmptyDirVolumeSource(Schema):
    """A directory that starts empty and goes away with the pod."""

    medium: Text | None = None
    """Where it is kept: empty for the node's disk, Memory, or huge pages."""
    mode: FileMode | None = None
    """Permission bits of the directory."""
    size_limit: Amount | None = None
    """Size at which the pod is evicted."""


class HostPathVolumeSource(Schema):
    """A file or directory of the node."""

    path: Text
    """Path on the node."""
    type: Text = ""
    """What must be there, or be made, before the mount."""


class PersistentVolumeClaimVolumeSource(Schema):
    """The storage of a claim."""

    claim_name: Text
    """Name of a claim in the pod's namespace."""
    read_only: bool | None = None
    """Whether writing is refused."""


class EphemeralVolumeSource(Schema):
    """A claim that is made for this pod and goes away with it."""

    volume_claim_template: PersistentVolumeClaimTemplate | None = None
    """The claim to make."""


class ImageVolumeSource(Schema):
    """The content of an image, read-only."""

    pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When to pull; Always for tag latest and IfNotPresent otherwise, if absent."""
    reference: Text | None = None
    """Name of the image."""


class CSIVolumeSource(Schema):
    """A volume made by a CSI driver for this pod."""

    driver: Text
    """Name of the driver."""
    fs_type: Text | None = None
    """File system to mount as."""
    node_publish_secret_ref: LocalObjectReference | None = None
    """Secret passed to the driver."""
    read_only: bool | None = None
    """Whether writing is refused."""
    volume_attributes: TextMap | None = None
    """Properties passed to the driver."""


class Volume(Schema):
    """A volume that containers of the pod can mount; exactly one source, or none for emptyDir."""

    validations = (rules.one_of(SOURCES, "a volume has one source", least=0),)

    aws_elastic_block_store: AWSElasticBlockStoreVolumeSource | None = None
    """An AWS disk."""
    azure_disk: AzureDiskVolumeSource | None = None
    """An Azure disk."""
    azure_file: AzureFileVolumeSource | None = None
    """An Azure file share."""
    cephfs: CephFSVolumeSource | None = None
    """A Ceph file system."""
    cinder: CinderVolumeSource | None = None
    """An OpenStack disk."""
    config_map: ConfigMapVolumeSource | None = None
    """Keys of a ConfigMap as files."""
    csi: CSIVolumeSource | None = None
    """A volume made by a CSI driver for this pod."""
    downward_api: DownwardAPIVolumeSource | None = None
    """Facts about the pod as files."""
    empty_dir: EmptyDirVolumeSource | None = None
    """A directory that starts empty and goes away with the pod."""
    ephemeral: EphemeralVolumeSource | None = None
    """A claim made for this pod."""
    fc: FCVolumeSource | None = None
    """A Fibre Channel disk."""
    flex_volume: FlexVolumeSource | None = None
    """A volume of an exec-based plugin."""
    flocker: FlockerVolumeSource | None = None
    """A Flocker volume."""
    gce_persistent_disk: GCEPersistentDiskVolumeSource | None = None
    """A Google Cloud disk."""
    git_repo: GitRepoVolumeSource | None = None
    """A clone of a git repository."""
    glusterfs: GlusterfsVolumeSource | None = None
    """A Glusterfs volume."""
    host_path: HostPathVolumeSource | None = None
    """A file or directory of the node."""
    image: ImageVolumeSource | None = None
    """The content of an image."""
    iscsi: ISCSIVolumeSource | None = None
    """An iSCSI disk."""
    name: DnsLabel
    """Name that mounts refer to, unique in the pod."""
    nfs: NFSVolumeSource | None = None
    """An NFS share."""
    persistent_volume_claim: PersistentVolumeClaimVolumeSource | None = None
    """The storage of a claim."""
    photon_persistent_disk: PhotonPersistentDiskVolumeSource | None = None
    """A Photon disk."""
    portworx_volume: PortworxVolumeSource | None = None
    """A Portworx volume."""
    projected: ProjectedVolumeSource | None = None
    """Several sources in one directory."""
    quobyte: QuobyteVolumeSource | None = None
    """A Quobyte volume."""
    rbd: RBDVolumeSource | None = None
    """A Ceph block device."""
    scale_io: ScaleIOVolumeSource | None = Field(None, alias="scaleIO")
    """A ScaleIO volume."""
    secret: SecretVolumeSource | None = None
    """Keys of a Secret as files."""
    storageos: StorageOSVolumeSource | None = None
    """A StorageOS volume."""
    vsphere_volume: VsphereVirtualDiskVolumeSource | None = None
    """A vSphere disk."""
