"""Claims for storage, as they appear inside pods and StatefulSets.

Fields, types and defaults are native; the sentences are ours.
Source: Kubernetes 1.37, k8s.io/api/core/v1.
"""

from typing import Annotated, Literal

from annotated_types import MaxLen

from nestling.api.meta import (
    LabelSelector,
    ObjectMeta,
    ObservedCondition,
    TypedLocalObjectReference,
    TypedObjectReference,
)
from nestling.api.schema import Amounts, Atomic, ByType, ListType, Message, Schema, Text, TextMap, Time


class VolumeResourceRequirements(Schema):
    """Size of the storage."""

    limits: Amounts | None = None
    """Most that may be given, per resource."""
    requests: Amounts | None = None
    """Least that must be given, per resource."""


class PersistentVolumeClaimSpec(Schema):
    """What kind of storage is wanted."""

    access_modes: Atomic[Text] | None = None
    """Ways to mount it, such as ReadWriteOnce."""
    data_source: TypedLocalObjectReference | None = None
    """Snapshot or claim whose content the volume starts with."""
    data_source_ref: TypedObjectReference | None = None
    """Any object whose content the volume starts with."""
    resources: VolumeResourceRequirements | None = None
    """Size of the storage."""
    selector: LabelSelector | None = None
    """Labels of the volumes to choose from."""
    storage_class_name: Text | None = None
    """Class that provides the storage."""
    volume_attributes_class_name: Text | None = None
    """Class with changeable properties of the volume."""
    volume_mode: Literal["Filesystem", "Block"] = "Filesystem"
    """File system or raw block device."""
    volume_name: Text | None = None
    """Volume that the claim is bound to."""


class PersistentVolumeClaimTemplate(Schema):
    """A claim that is made for one pod and goes away with it."""

    metadata: ObjectMeta | None = None
    """Labels and annotations of the claim."""
    spec: PersistentVolumeClaimSpec
    """What kind of storage is wanted."""


class PersistentVolumeClaimCondition(ObservedCondition):
    """One observed aspect of a claim."""

    last_probe_time: Time | None = None
    """When the aspect was last looked at."""


class VolumeHealthCondition(Schema):
    """Something that is wrong with a volume."""

    message: Message | None = None
    """Sentence for people."""
    reason: Text
    """Word for machines; together with status it tells conditions apart."""
    status: Text
    """Kind of trouble: Inaccessible, DataLoss or Degraded."""


class VolumeHealthStatus(Schema):
    """Health of the bound volume as its controller sees it."""

    health_conditions: (
        Annotated[list[VolumeHealthCondition], ListType("map", "status", "reason"), MaxLen(16)] | None
    ) = None
    """What is wrong; empty when nothing is."""
    last_transition_time: Time | None = None
    """When the present set of conditions appeared."""


class ModifyVolumeStatus(Schema):
    """A change of the volume's properties that is under way."""

    status: Text
    """How far the change is."""
    target_volume_attributes_class_name: Text | None = None
    """Class that the volume is being changed to."""


class PersistentVolumeClaimStatus(Schema):
    """What has been provided for a claim."""

    access_modes: Atomic[Text] | None = None
    """Ways in which the volume can be mounted."""
    allocated_resource_statuses: TextMap | None = None
    """State of a resize, per resource."""
    allocated_resources: Amounts | None = None
    """Size that has been set aside, per resource."""
    capacity: Amounts | None = None
    """Size of the bound volume."""
    conditions: ByType[PersistentVolumeClaimCondition] | None = None
    """Observed aspects of the claim."""
    current_volume_attributes_class_name: Text | None = None
    """Class of the volume's present properties."""
    health_status: VolumeHealthStatus | None = None
    """Health of the bound volume."""
    modify_volume_status: ModifyVolumeStatus | None = None
    """Change of properties under way."""
    phase: Text | None = None
    """Pending, Bound or Lost."""


class PersistentVolumeClaim(Schema):
    """A claim that a StatefulSet makes for each of its pods."""

    api_version: str = "v1"
    """Version of the claim's schema; v1."""
    kind: str = "PersistentVolumeClaim"
    """Kind of the template; PersistentVolumeClaim."""
    metadata: ObjectMeta | None = None
    """Name, labels and annotations of the claims."""
    spec: PersistentVolumeClaimSpec | None = None
    """What kind of storage is wanted."""
    status: PersistentVolumeClaimStatus = PersistentVolumeClaimStatus(phase="Pending")
    """Left empty in a template."""
