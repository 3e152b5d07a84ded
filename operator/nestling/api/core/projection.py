"""Volumes whose files are made from objects of the API.

Fields, types and defaults are native; the sentences are ours.
Source: Kubernetes 1.37, k8s.io/api/core/v1.
"""

from typing import Annotated

from annotated_types import MaxLen

from nestling.api.core.env import ObjectFieldSelector, ResourceFieldSelector
from nestling.api.meta import LabelSelector
from nestling.api.schema import Atomic, Count, FileMode, PositiveLong, Schema, Text, TextMap, UnixId


class KeyToPath(Schema):
    """One key as one file."""

    key: Text
    """Key to take."""
    mode: FileMode | None = None
    """Permission bits of the file."""
    path: Text
    """File inside the volume, relative."""
    user: UnixId | None = None
    """Owner of the file."""


class ConfigMapVolumeSource(Schema):
    """The keys of a ConfigMap as files."""

    default_mode: FileMode = 420
    """Permission bits of files that name none."""
    default_user: UnixId | None = None
    """Owner of files that name none."""
    items: Atomic[KeyToPath] | None = None
    """Keys to take and their paths; all keys if absent."""
    name: Text = ""
    """Name of the ConfigMap."""
    optional: bool | None = None
    """Whether the pod may start without it."""


class SecretVolumeSource(Schema):
    """The keys of a Secret as files."""

    default_mode: FileMode = 420
    """Permission bits of files that name none."""
    default_user: UnixId | None = None
    """Owner of files that name none."""
    items: Atomic[KeyToPath] | None = None
    """Keys to take and their paths; all keys if absent."""
    optional: bool | None = None
    """Whether the pod may start without it."""
    secret_name: Text | None = None
    """Name of the Secret."""


class DownwardAPIVolumeFile(Schema):
    """A fact about the pod as a file."""

    field_ref: ObjectFieldSelector | None = None
    """Field of the pod."""
    mode: FileMode | None = None
    """Permission bits of the file."""
    path: Text
    """File inside the volume, relative."""
    resource_field_ref: ResourceFieldSelector | None = None
    """Request or limit of a container."""
    user: UnixId | None = None
    """Owner of the file."""


class DownwardAPIVolumeSource(Schema):
    """Facts about the pod as files."""

    default_mode: FileMode = 420
    """Permission bits of files that name none."""
    default_user: UnixId | None = None
    """Owner of files that name none."""
    items: Atomic[DownwardAPIVolumeFile] | None = None
    """Files to make."""


class ConfigMapProjection(Schema):
    """The keys of a ConfigMap as files of a projected volume."""

    items: Atomic[KeyToPath] | None = None
    """Keys to take and their paths; all keys if absent."""
    name: Text = ""
    """Name of the ConfigMap."""
    optional: bool | None = None
    """Whether the pod may start without it."""


class SecretProjection(Schema):
    """The keys of a Secret as files of a projected volume."""

    items: Atomic[KeyToPath] | None = None
    """Keys to take and their paths; all keys if absent."""
    name: Text = ""
    """Name of the Secret."""
    optional: bool | None = None
    """Whether the pod may start without it."""


class DownwardAPIProjection(Schema):
    """Facts about the pod as files of a projected volume."""

    items: Atomic[DownwardAPIVolumeFile] | None = None
    """Files to make."""


class ServiceAccountTokenProjection(Schema):
    """A token of the pod's service account as a file."""

    audience: Text | None = None
    """Whom the token is meant for."""
    expiration_seconds: PositiveLong = 3600
    """Life time that is asked for; the kubelet renews in time."""
    path: Text
    """File inside the volume, relative."""
    user: UnixId | None = None
    """Owner of the file."""


class ClusterTrustBundleProjection(Schema):
    """Certificates of trust bundles as a file."""

    label_selector: LabelSelector | None = None
    """Labels of the bundles of the signer; absent means none."""
    name: Text | None = None
    """One bundle by name, instead of a signer."""
    optional: bool | None = None
    """Whether the pod may start without it."""
    path: Text
    """File inside the volume, relative."""
    signer_name: Text | None = None
    """Signer whose bundles are taken."""
    user: UnixId | None = None
    """Owner of the file."""


class PodCertificateProjection(Schema):
    """A certificate made for the pod, with its key, as files."""

    certificate_chain_path: Text | None = None
    """File for the certificate chain alone."""
    credential_bundle_path: Text | None = None
    """File for key and chain together."""
    key_path: Text | None = None
    """File for the key alone."""
    key_type: Text
    """Kind of key to make, such as ED25519."""
    max_expiration_seconds: Count | None = None
    """Longest life time of the certificate."""
    signer_name: Text
    """Who signs the certificate."""
    user: UnixId | None = None
    """Owner of the files."""
    user_annotations: TextMap | None = None
    """Notes passed on to the signer."""


class VolumeProjection(Schema):
    """One source of a projected volume; exactly one is given."""

    cluster_trust_bundle: ClusterTrustBundleProjection | None = None
    """Certificates of trust bundles."""
    config_map: ConfigMapProjection | None = None
    """Keys of a ConfigMap."""
    downward_api: DownwardAPIProjection | None = None
    """Facts about the pod."""
    pod_certificate: PodCertificateProjection | None = None
    """A certificate made for the pod."""
    secret: SecretProjection | None = None
    """Keys of a Secret."""
    service_account_token: ServiceAccountTokenProjection | None = None
    """A token of the pod's service account."""


class ProjectedVolumeSource(Schema):
    """Several sources in one directory."""

    default_mode: FileMode = 420
    """Permission bits of files that name none."""
    default_user: UnixId | None = None
    """Owner of files that name none."""
    sources: Annotated[Atomic[VolumeProjection], MaxLen(32)] | None = None
    """What the directory is made of."""
