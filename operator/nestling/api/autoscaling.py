"""How many pods a workload gets, by how much they use.

Fields, types and defaults are native; the sentences are ours. `history` of the status is ours as well: what
Kubernetes' controller keeps in memory, and loses with it.
Source: Kubernetes 1.37, k8s.io/api/autoscaling/v2, pkg/apis/autoscaling (defaults, validation).
"""

from typing import Annotated, Literal, TypeAlias

from annotated_types import MaxLen, MinLen
from pydantic import Field

from nestling.api import rules
from nestling.api.meta import LabelSelector, ObservedCondition
from nestling.api.schema import (
    Amount,
    AtLeastOne,
    Atomic,
    ByType,
    Count,
    Int32,
    Int64,
    Keywords,
    Quantity,
    Schema,
    Text,
    Time,
)

MetricType: TypeAlias = Literal["ContainerResource", "External", "Object", "Pods", "Resource"]
Window: TypeAlias = Annotated[int, Field(ge=0, le=3600), Keywords(format="int32")]
Period: TypeAlias = Annotated[int, Field(ge=1, le=1800), Keywords(format="int32")]
NamedText: TypeAlias = Annotated[Text, MinLen(1)]


class CrossVersionObjectReference(Schema):
    """An object of a kind that is named here."""

    atomic = True

    api_version: Text | None = None
    """Group and version of its kind; those of the native kind will do."""
    kind: NamedText
    """Its kind; that of the native kind will do."""
    name: NamedText
    """Its name."""


class MetricTarget(Schema):
    """What a metric should be."""

    average_utilization: AtLeastOne | None = None
    """Percentage of what pods request, on average."""
    average_value: Amount | None = None
    """Amount per pod, on average."""
    type: Literal["Utilization", "Value", "AverageValue"]
    """Which of the fields counts."""
    value: Amount | None = None
    """Amount as it is measured."""


class MetricIdentifier(Schema):
    """Which metric."""

    name: NamedText
    """Name of the metric."""
    selector: LabelSelector | None = None
    """Labels of the series."""


class ResourceMetricSource(Schema):
    """What pods use of a resource."""

    name: NamedText
    """The resource, such as cpu or memory."""
    target: MetricTarget
    """What it should be."""


class ContainerResourceMetricSource(Schema):
    """What one container of each pod uses of a resource."""

    container: NamedText
    """Name of the container."""
    name: NamedText
    """The resource, such as cpu or memory."""
    target: MetricTarget
    """What it should be."""


class PodsMetricSource(Schema):
    """A metric of each pod."""

    metric: MetricIdentifier
    """Which metric."""
    target: MetricTarget
    """What it should be, as average value."""


class ObjectMetricSource(Schema):
    """A metric of one object."""

    described_object: CrossVersionObjectReference
    """The object."""
    metric: MetricIdentifier
    """Which metric."""
    target: MetricTarget
    """What it should be."""


class ExternalMetricSource(Schema):
    """A metric of something outside the cluster."""

    metric: MetricIdentifier
    """Which metric."""
    target: MetricTarget
    """What it should be."""


class MetricSpec(Schema):
    """One metric and what it should be; the field of its type has to be set."""

    validations = (rules.METRIC_OF_ITS_TYPE,)

    container_resource: ContainerResourceMetricSource | None = None
    """With type ContainerResource."""
    external: ExternalMetricSource | None = None
    """With type External; no such metrics exist here."""
    object: ObjectMetricSource | None = None
    """With type Object; no such metrics exist here."""
    pods: PodsMetricSource | None = None
    """With type Pods; no such metrics exist here."""
    resource: ResourceMetricSource | None = None
    """With type Resource."""
    type: MetricType
    """What kind of metric it is."""


class HPAScalingPolicy(Schema):
    """How much may change within a time."""

    period_seconds: Period
    """The time."""
    type: Literal["Pods", "Percent"]
    """Whether the value is a number of pods or a percentage of them."""
    value: AtLeastOne
    """How much."""


class ScaleUpRules(Schema):
    """How fast the number of pods may grow."""

    policies: Annotated[Atomic[HPAScalingPolicy], MinLen(1), MaxLen(16)] = Field(
        default=[
            HPAScalingPolicy(type="Pods", value=4, period_seconds=15),
            HPAScalingPolicy(type="Percent", value=100, period_seconds=15),
        ]
    )
    """What may be added."""
    select_policy: Literal["Max", "Min", "Disabled"] = "Max"
    """Which policy counts: the one that allows most, least, or none."""
    stabilization_window_seconds: Window = 0
    """For how long the lowest recommendation counts."""
    tolerance: Amount | None = None
    """How far from the target usage may be, as a fraction, without anything being done; else 0.1."""


class ScaleDownRules(Schema):
    """How fast the number of pods may shrink."""

    policies: Annotated[Atomic[HPAScalingPolicy], MinLen(1), MaxLen(16)] = Field(
        default=[HPAScalingPolicy(type="Percent", value=100, period_seconds=15)]
    )
    """What may be taken away."""
    select_policy: Literal["Max", "Min", "Disabled"] = "Max"
    """Which policy counts: the one that allows most, least, or none."""
    stabilization_window_seconds: Window | None = None
    """For how long the highest recommendation counts; else 300."""
    tolerance: Amount | None = None
    """How far from the target usage may be, as a fraction, without anything being done; else 0.1."""


class HorizontalPodAutoscalerBehavior(Schema):
    """How fast the number of pods may change."""

    scale_down: ScaleDownRules = ScaleDownRules()
    """Downwards."""
    scale_up: ScaleUpRules = ScaleUpRules()
    """Upwards."""


class HorizontalPodAutoscalerSpec(Schema):
    """What is scaled, within which bounds, and by what."""

    validations = (rules.REPLICA_BOUNDS, rules.ZERO_NEEDS_A_METRIC)

    behavior: HorizontalPodAutoscalerBehavior | None = None
    """How fast the number of pods may change."""
    max_replicas: AtLeastOne
    """Most pods."""
    metrics: Annotated[Atomic[MetricSpec], MaxLen(32)] = Field(
        default=[
            MetricSpec(
                type="Resource",
                resource=ResourceMetricSource(
                    name="cpu", target=MetricTarget(type="Utilization", average_utilization=80)
                ),
            )
        ]
    )
    """What the number of pods follows; the metric that asks for most counts."""
    min_replicas: Count = 1
    """Fewest pods."""
    scale_target_ref: CrossVersionObjectReference
    """What is scaled."""


class MetricValueStatus(Schema):
    """What a metric is."""

    average_utilization: Int32 | None = None
    """Percentage of what pods request, on average."""
    average_value: Quantity | None = None
    """Amount per pod, on average."""
    value: Quantity | None = None
    """Amount as it is measured."""


class ResourceMetricStatus(Schema):
    """What pods use of a resource."""

    current: MetricValueStatus
    """What it is."""
    name: Text
    """The resource."""


class ContainerResourceMetricStatus(Schema):
    """What one container of each pod uses of a resource."""

    container: Text
    """Name of the container."""
    current: MetricValueStatus
    """What it is."""
    name: Text
    """The resource."""


class PodsMetricStatus(Schema):
    """A metric of each pod."""

    current: MetricValueStatus
    """What it is."""
    metric: MetricIdentifier
    """Which metric."""


class ObjectMetricStatus(Schema):
    """A metric of one object."""

    current: MetricValueStatus
    """What it is."""
    described_object: CrossVersionObjectReference
    """The object."""
    metric: MetricIdentifier
    """Which metric."""


class ExternalMetricStatus(Schema):
    """A metric of something outside the cluster."""

    current: MetricValueStatus
    """What it is."""
    metric: MetricIdentifier
    """Which metric."""


class MetricStatus(Schema):
    """One metric as it was last read; without a type if it could not be read."""

    container_resource: ContainerResourceMetricStatus | None = None
    """With type ContainerResource."""
    external: ExternalMetricStatus | None = None
    """With type External."""
    object: ObjectMetricStatus | None = None
    """With type Object."""
    pods: PodsMetricStatus | None = None
    """With type Pods."""
    resource: ResourceMetricStatus | None = None
    """With type Resource."""
    type: Text
    """What kind of metric it is."""


class HorizontalPodAutoscalerCondition(ObservedCondition):
    """One observed aspect of an autoscaler."""

    observed_generation: Int64 | None = None
    """Generation of the object that the condition was computed for."""


class HorizontalPodAutoscalerStatus(Schema):
    """What was last read and done."""

    conditions: ByType[HorizontalPodAutoscalerCondition] | None = None
    """Observed aspects, such as AbleToScale."""
    current_metrics: Annotated[Atomic[MetricStatus], MaxLen(32)] | None = None
    """The metrics."""
    current_replicas: Int32 | None = None
    """Pods that were asked for."""
    desired_replicas: Int32
    """Pods that are asked for."""
    last_scale_time: Time | None = None
    """When the number was last changed."""
    observed_generation: Int64 | None = None
    """Generation that was acted upon."""


class Recommendation(Schema):
    """A number of pods that usage asked for, time and again."""

    replicas: Count
    """How many."""
    since: Text
    """When it was first asked for."""
    until: Text | None = None
    """When it was last asked for; absent while it is."""


class Rescale(Schema):
    """A change of the number of pods."""

    at: Text
    """When."""
    change: Int32
    """By how many."""


class AutoscalerHistory(Schema):
    """What windows and rates look back upon."""

    recommendations: Annotated[Atomic[Recommendation], MaxLen(512)] | None = None
    """What was recommended."""
    rescales: Annotated[Atomic[Rescale], MaxLen(512)] | None = None
    """What was done."""


class AutoscalerDisplay(Schema):
    """What kubectl shows of an autoscaler."""

    reference: Text | None = None
    """What is scaled, such as Deployment/web."""
    targets: Text | None = None
    """Metrics and what they should be, such as cpu: 50%/80%."""


class VirtualHorizontalPodAutoscalerStatus(HorizontalPodAutoscalerStatus):
    """What was last read and done."""

    display: AutoscalerDisplay | None = None
    """What kubectl shows."""
    history: AutoscalerHistory | None = None
    """What windows and rates look back upon."""
