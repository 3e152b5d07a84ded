"""Where a pod may go and where it would rather go: affinity, tolerations and spreading.

Fields, types and defaults are native; the sentences are ours.
Source: Kubernetes 1.37, k8s.io/api/core/v1.
"""

from typing import Annotated, Literal

from annotated_types import MaxLen

from nestling.api import rules
from nestling.api.meta import LabelSelector
from nestling.api.schema import AtLeastOne, Atomic, Int64, QualifiedName, Schema, Text, Weight


class NodeSelectorRequirement(Schema):
    """One condition on one label or field of a node."""

    validations = (rules.NODE_SELECTOR_VALUES,)

    key: Text
    """Label or field that the condition is about."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    """How the node's value relates to the listed values."""
    values: Annotated[Atomic[Annotated[str, MaxLen(253)]], MaxLen(256)] | None = None
    """Values for In and NotIn, one integer for Gt and Lt, none for the others."""


class NodeSelectorTerm(Schema):
    """Conditions on a node, all of which have to hold; an empty term matches no node."""

    atomic = True

    match_expressions: Annotated[Atomic[NodeSelectorRequirement], MaxLen(64)] | None = None
    """Conditions on the node's labels."""
    match_fields: Annotated[Atomic[NodeSelectorRequirement], MaxLen(64)] | None = None
    """Conditions on the node's fields; metadata.name is the one there is."""


class NodeSelector(Schema):
    """Terms of which one has to match."""

    atomic = True

    node_selector_terms: Annotated[Atomic[NodeSelectorTerm], MaxLen(64)]
    """Terms, combined by "or"."""


class PreferredSchedulingTerm(Schema):
    """A term that makes a node more attractive."""

    preference: NodeSelectorTerm
    """Term that a preferred node matches."""
    weight: Weight
    """How much a match counts, 1 to 100."""


class NodeAffinity(Schema):
    """Which nodes a pod needs and which it prefers."""

    preferred_during_scheduling_ignored_during_execution: (
        Annotated[Atomic[PreferredSchedulingTerm], MaxLen(64)] | None
    ) = None
    """Preferences; weights of matching terms add up per node."""
    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    """What a node must match to be considered at all."""


class PodAffinityTerm(Schema):
    """Other pods, and the kind of neighbourhood in which they count."""

    label_selector: LabelSelector | None = None
    """Labels of the pods that are meant; absent means none."""
    match_label_keys: Atomic[Text] | None = None
    """Labels whose value of the incoming pod is added to the selector as "equal"."""
    mismatch_label_keys: Atomic[Text] | None = None
    """Labels whose value of the incoming pod is added to the selector as "different"."""
    namespace_selector: LabelSelector | None = None
    """Labels of the namespaces to look in; empty means all of them."""
    namespaces: Atomic[Text] | None = None
    """Namespaces to look in besides the selected ones; none of both means the pod's own."""
    topology_key: QualifiedName
    """Node label whose equal values make nodes one neighbourhood."""


class WeightedPodAffinityTerm(Schema):
    """A term that makes a neighbourhood more attractive."""

    pod_affinity_term: PodAffinityTerm
    """Pods to be near to, or far from."""
    weight: Weight
    """How much a match counts, 1 to 100."""


class PodAffinity(Schema):
    """Pods to be near to."""

    preferred_during_scheduling_ignored_during_execution: (
        Annotated[Atomic[WeightedPodAffinityTerm], MaxLen(64)] | None
    ) = None
    """Preferences; weights of matching terms add up per node."""
    required_during_scheduling_ignored_during_execution: (
        Annotated[Atomic[PodAffinityTerm], MaxLen(64)] | None
    ) = None
    """Terms that must all be met."""


class PodAntiAffinity(Schema):
    """Pods to be away from."""

    preferred_during_scheduling_ignored_during_execution: (
        Annotated[Atomic[WeightedPodAffinityTerm], MaxLen(64)] | None
    ) = None
    """Preferences; weights of matching terms count against a node."""
    required_during_scheduling_ignored_during_execution: (
        Annotated[Atomic[PodAffinityTerm], MaxLen(64)] | None
    ) = None
    """Terms of which none may be met."""


class Affinity(Schema):
    """Rules of attraction between a pod and nodes or other pods."""

    node_affinity: NodeAffinity | None = None
    """Which nodes the pod needs or prefers."""
    pod_affinity: PodAffinity | None = None
    """Which pods it wants to be near to."""
    pod_anti_affinity: PodAntiAffinity | None = None
    """Which pods it wants to be away from."""


class Toleration(Schema):
    """Taints that do not keep the pod away."""

    validations = rules.TOLERATION

    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute", ""] | None = None
    """Effect that is tolerated; empty tolerates all."""
    key: Text | None = None
    """Taint that is tolerated; empty with operator Exists tolerates all."""
    operator: Literal["Exists", "Equal", "Lt", "Gt", ""] | None = None
    """How the taint's value is compared; Equal if absent."""
    toleration_seconds: Int64 | None = None
    """How long the pod stays after a NoExecute taint appears; absent means for ever."""
    value: Text | None = None
    """Value to compare the taint's with."""


class TopologySpreadConstraint(Schema):
    """How evenly pods of one kind are spread over neighbourhoods."""

    label_selector: LabelSelector | None = None
    """Labels of the pods that are counted."""
    match_label_keys: Atomic[Text] | None = None
    """Labels whose value of the incoming pod narrows the count, such as pod-template-hash."""
    max_skew: AtLeastOne
    """Largest difference allowed between the fullest and the emptiest neighbourhood."""
    min_domains: AtLeastOne | None = None
    """Least number of neighbourhoods; with fewer, the emptiest counts as zero."""
    node_affinity_policy: Literal["Honor", "Ignore"] | None = None
    """Whether nodes that the pod's affinity rules out are left out of the count."""
    node_taints_policy: Literal["Honor", "Ignore"] | None = None
    """Whether nodes with taints the pod does not tolerate are left out of the count."""
    topology_key: QualifiedName
    """Node label whose equal values make nodes one neighbourhood."""
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"]
    """Whether the constraint binds or only counts."""
