"""The parts that every group shares: object metadata inside templates, selectors, conditions and references.

Fields, types and defaults are native; the sentences are ours.
Source: Kubernetes 1.37, k8s.io/apimachinery/pkg/apis/meta/v1.
"""

from typing import Annotated, Literal

from annotated_types import MaxLen

from nestling.api import rules
from nestling.api.schema import (
    AnnotationMap,
    Arbitrary,
    Atomic,
    ConditionStatus,
    Int64,
    LabelMap,
    Labels,
    LabelValue,
    ListType,
    Message,
    QualifiedName,
    Schema,
    SetOf,
    Text,
    Time,
)


class LabelSelectorRequirement(Schema):
    """One condition on one label."""

    validations = (rules.SELECTOR_VALUES,)

    key: QualifiedName
    """Label that the condition is about."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """How the label's value relates to the listed values."""
    values: Annotated[Atomic[LabelValue], MaxLen(256)] | None = None
    """Values for In and NotIn; empty for Exists and DoesNotExist."""


class LabelSelector(Schema):
    """Labels that an object must carry to be selected; empty selects everything."""

    atomic = True

    match_expressions: Annotated[Atomic[LabelSelectorRequirement], MaxLen(32)] | None = None
    """Conditions on labels, all of which have to hold."""
    match_labels: LabelMap | None = None
    """Label values that have to be equal, all of them."""


class OwnerReference(Schema):
    """The object that another one belongs to and goes away with."""

    atomic = True

    api_version: Text
    """Group and version of the owner."""
    block_owner_deletion: bool | None = None
    """Whether a foreground deletion of the owner waits for this object."""
    controller: bool | None = None
    """Whether this owner is the one that manages the object."""
    kind: Text
    """Kind of the owner."""
    name: Text
    """Name of the owner."""
    uid: Text
    """Unique identity of the owner."""


class ManagedFieldsEntry(Schema):
    """Which fields one manager has set; kept as written, without effect in a template."""

    api_version: Text | None = None
    """Version of the schema that the field set was written against."""
    fields_type: Text | None = None
    """Format of the field set."""
    fields_v1: Arbitrary | None = None
    """Set of the managed fields."""
    manager: Text | None = None
    """Who set the fields."""
    operation: Text | None = None
    """Kind of write that set them."""
    subresource: Text | None = None
    """Subresource that was written to."""
    time: Time | None = None
    """When the fields were set."""


class ObjectMeta(Schema):
    """Metadata of the objects that a template stamps out."""

    annotations: AnnotationMap | None = None
    """Free-form notes for tools, copied to each object."""
    creation_timestamp: Time | None = None
    """Set by the server; accepted in a template and without effect."""
    deletion_grace_period_seconds: Int64 | None = None
    """Set by the server; accepted in a template and without effect."""
    deletion_timestamp: Time | None = None
    """Set by the server; accepted in a template and without effect."""
    finalizers: SetOf[Text] | None = None
    """Names that must be cleared before an object is really removed."""
    generate_name: Text | None = None
    """Prefix of a generated name; the controller chooses its own."""
    generation: Int64 | None = None
    """Set by the server; accepted in a template and without effect."""
    labels: Labels | None = None
    """Labels copied to each object; the selector has to match them."""
    managed_fields: Atomic[ManagedFieldsEntry] | None = None
    """Set by the server; accepted in a template and without effect."""
    name: Text | None = None
    """Name in the template; the controller chooses its own."""
    namespace: Text | None = None
    """Namespace in the template; objects are made in the owner's."""
    owner_references: Annotated[list[OwnerReference], ListType("map", "uid")] | None = None
    """Owners in the template; the controller sets its own."""
    resource_version: Text | None = None
    """Set by the server; accepted in a template and without effect."""
    self_link: Text | None = None
    """No longer used by Kubernetes; accepted and without effect."""
    uid: Text | None = None
    """Set by the server; accepted in a template and without effect."""


class ObservedCondition(Schema):
    """One observed aspect of an object's state, as most kinds write it."""

    last_transition_time: Time | None = None
    """When the status last changed from one value to another."""
    message: Message | None = None
    """Sentence for people about the last change."""
    reason: Text | None = None
    """Word for machines that says why the status last changed."""
    status: ConditionStatus
    """Whether the aspect holds."""
    type: Text
    """Which aspect this is about."""


class Condition(Schema):
    """One observed aspect of an object's state."""

    last_transition_time: Time
    """When the status last changed from one value to another."""
    message: Message
    """Sentence for people about the last change."""
    observed_generation: Int64 | None = None
    """Generation of the object that the condition was computed for."""
    reason: Text
    """Word for machines that says why the status last changed."""
    status: ConditionStatus
    """Whether the aspect holds."""
    type: Text
    """Which aspect this is about."""


class ObjectReference(Schema):
    """Any object, named so that it can be looked up."""

    atomic = True

    api_version: Text | None = None
    """Group and version of the object."""
    field_path: Text | None = None
    """Part of the object that is meant, if not all of it."""
    kind: Text | None = None
    """Kind of the object."""
    name: Text | None = None
    """Name of the object."""
    namespace: Text | None = None
    """Namespace of the object."""
    resource_version: Text | None = None
    """Version of the object that is meant."""
    uid: Text | None = None
    """Unique identity of the object."""


class LocalObjectReference(Schema):
    """An object of the same namespace, by name."""

    atomic = True

    name: Text = ""
    """Name of the object."""


class TypedLocalObjectReference(Schema):
    """An object of the same namespace, by kind and name."""

    atomic = True

    api_group: Text | None = None
    """Group of the object; absent for the core group."""
    kind: Text
    """Kind of the object."""
    name: Text
    """Name of the object."""


class TypedObjectReference(Schema):
    """An object by kind and name, possibly of another namespace."""

    api_group: Text | None = None
    """Group of the object; absent for the core group."""
    kind: Text
    """Kind of the object."""
    name: Text
    """Name of the object."""
    namespace: Text | None = None
    """Namespace of the object; absent for the own namespace."""
