"""Controllers that keep pods running: deployments and the sets beneath and beside them.

Fields, types and defaults are native; the sentences are ours.
Source: Kubernetes 1.37, k8s.io/api/apps/v1.
"""

from typing import Annotated, Literal

from nestling.api import rules
from nestling.api.core.claim import PersistentVolumeClaim
from nestling.api.core.template import PodTemplateSpec
from nestling.api.meta import LabelSelector, ObservedCondition
from nestling.api.schema import Atomic, ByType, Count, Int64, IntOrPercent, Schema, Text, Time


class RollingUpdateDeployment(Schema):
    """How far a rolling update may stray from the wanted count."""

    validations = (rules.ROLLING_UPDATE_MOVES, rules.at_most_all("maxUnavailable"))

    max_surge: IntOrPercent = "25%"
    """Pods above the wanted count, as number or percentage rounded up."""
    max_unavailable: IntOrPercent = "25%"
    """Pods below the wanted count, as number or percentage rounded down."""


class DeploymentStrategy(Schema):
    """How old pods are replaced by new ones."""

    validations = (rules.NO_ROLLING_UPDATE_UNLESS_TYPE,)

    rolling_update: RollingUpdateDeployment | None = None
    """Bounds of a rolling update; only with type RollingUpdate."""
    type: Literal["RollingUpdate", "Recreate"] = "RollingUpdate"
    """Little by little, or all old ones first."""


class DeploymentSpec(Schema):
    """How many pods of which kind, and how they change."""

    validations = (
        *rules.TEMPLATE_IS_SELECTED,
        rules.ALWAYS_RESTARTS,
        rules.NO_DEADLINE,
        rules.DEADLINE_AFTER_READY,
    )

    min_ready_seconds: Count | None = None
    """How long a pod must be ready until it counts as available."""
    paused: bool | None = None
    """Whether changes of the template are left waiting."""
    progress_deadline_seconds: Count = 600
    """Time without progress after which the rollout is reported as stuck."""
    replicas: Count = 1
    """How many pods are wanted."""
    revision_history_limit: Count = 10
    """How many old ReplicaSets are kept for rolling back."""
    selector: Annotated[LabelSelector, rules.SELECTOR_KEPT, rules.SELECTOR_SELECTS]
    """Labels of the pods to count; cannot be changed."""
    strategy: DeploymentStrategy = DeploymentStrategy(rolling_update=RollingUpdateDeployment())
    """How old pods are replaced by new ones."""
    template: PodTemplateSpec
    """The pod to make."""


class DeploymentCondition(ObservedCondition):
    """One observed aspect of a Deployment."""

    last_update_time: Time | None = None
    """When the condition was last written."""


class DeploymentStatus(Schema):
    """How far the Deployment is."""

    available_replicas: Count | None = None
    """Pods that have been ready long enough."""
    collision_count: Count | None = None
    """How often the name of a ReplicaSet was already taken."""
    conditions: ByType[DeploymentCondition] | None = None
    """Observed aspects: Available, Progressing and ReplicaFailure."""
    observed_generation: Int64 | None = None
    """Generation that the figures were counted for."""
    ready_replicas: Count | None = None
    """Pods that are ready."""
    replicas: Count | None = None
    """Pods that exist and are not being removed."""
    terminating_replicas: Count | None = None
    """Pods that are being removed."""
    unavailable_replicas: Count | None = None
    """Pods still missing to full availability."""
    updated_replicas: Count | None = None
    """Pods of the present template."""


class ReplicaSetSpec(Schema):
    """How many pods of which kind."""

    validations = (*rules.TEMPLATE_IS_SELECTED, rules.ALWAYS_RESTARTS, rules.NO_DEADLINE)

    min_ready_seconds: Count | None = None
    """How long a pod must be ready until it counts as available."""
    replicas: Count = 1
    """How many pods are wanted."""
    selector: Annotated[LabelSelector, rules.SELECTOR_KEPT, rules.SELECTOR_SELECTS]
    """Labels of the pods to count; cannot be changed."""
    template: PodTemplateSpec | None = None
    """The pod to make."""


class ReplicaSetCondition(ObservedCondition):
    """One observed aspect of a ReplicaSet."""


class ReplicaSetStatus(Schema):
    """How many pods there are."""

    available_replicas: Count | None = None
    """Pods that have been ready long enough."""
    conditions: ByType[ReplicaSetCondition] | None = None
    """Observed aspects, such as ReplicaFailure."""
    fully_labeled_replicas: Count | None = None
    """Pods with all labels of the template."""
    observed_generation: Int64 | None = None
    """Generation that the figures were counted for."""
    ready_replicas: Count | None = None
    """Pods that are ready."""
    replicas: Count
    """Pods that exist and are not being removed."""
    terminating_replicas: Count | None = None
    """Pods that are being removed."""


class StatefulSetOrdinals(Schema):
    """Numbers of the pods."""

    start: Count | None = None
    """Number of the first pod."""


class StatefulSetPersistentVolumeClaimRetentionPolicy(Schema):
    """What happens to claims that are no longer needed."""

    when_deleted: Literal["Retain", "Delete"] = "Retain"
    """When the StatefulSet is deleted."""
    when_scaled: Literal["Retain", "Delete"] = "Retain"
    """When it is scaled down."""


class RollingUpdateStatefulSetStrategy(Schema):
    """How far a rolling update goes."""

    validations = (rules.at_most_all("maxUnavailable"), rules.SOME_UNAVAILABLE)

    max_unavailable: IntOrPercent = 1
    """Pods that may be unavailable, as number or percentage rounded up."""
    partition: Count = 0
    """Number of the first pod that is updated."""


class StatefulSetUpdateStrategy(Schema):
    """How pods get a new template."""

    validations = (rules.NO_ROLLING_UPDATE_UNLESS_TYPE,)

    rolling_update: RollingUpdateStatefulSetStrategy | None = None
    """Bounds of a rolling update."""
    type: Literal["RollingUpdate", "OnDelete"] = "RollingUpdate"
    """One by one, or only when somebody deletes them."""


class StatefulSetSpec(Schema):
    """How many numbered pods, with which claims, and how they change."""

    validations = (
        *rules.TEMPLATE_IS_SELECTED,
        rules.ALWAYS_RESTARTS,
        rules.NO_DEADLINE,
        rules.unchanged("serviceName"),
        rules.unchanged("podManagementPolicy"),
    )

    min_ready_seconds: Count | None = None
    """How long a pod must be ready until it counts as available."""
    ordinals: StatefulSetOrdinals | None = None
    """Numbers of the pods; from 0 if absent."""
    persistent_volume_claim_retention_policy: StatefulSetPersistentVolumeClaimRetentionPolicy = (
        StatefulSetPersistentVolumeClaimRetentionPolicy()
    )
    """What happens to claims that are no longer needed."""
    pod_management_policy: Literal["OrderedReady", "Parallel"] = "OrderedReady"
    """One after the other, or all at once."""
    replicas: Count = 1
    """How many pods are wanted."""
    revision_history_limit: Count = 10
    """How many old revisions are kept for rolling back."""
    selector: Annotated[LabelSelector, rules.SELECTOR_KEPT, rules.SELECTOR_SELECTS]
    """Labels of the pods to count; cannot be changed."""
    service_name: Text | None = None
    """Headless Service that gives the pods their DNS names."""
    template: PodTemplateSpec
    """The pod to make."""
    update_strategy: StatefulSetUpdateStrategy = StatefulSetUpdateStrategy(
        rolling_update=RollingUpdateStatefulSetStrategy()
    )
    """How pods get a new template."""
    volume_claim_templates: Atomic[PersistentVolumeClaim] | None = None
    """Claims made for each pod, kept across its restarts."""


class StatefulSetCondition(ObservedCondition):
    """One observed aspect of a StatefulSet."""


class StatefulSetStatus(Schema):
    """How far the StatefulSet is."""

    available_replicas: Count | None = None
    """Pods that have been ready long enough."""
    collision_count: Count | None = None
    """How often the name of a revision was already taken."""
    conditions: ByType[StatefulSetCondition] | None = None
    """Observed aspects of the StatefulSet."""
    current_replicas: Count | None = None
    """Pods of the present revision."""
    current_revision: Text | None = None
    """Revision that pods below the partition have."""
    observed_generation: Int64 | None = None
    """Generation that the figures were counted for."""
    ready_replicas: Count | None = None
    """Pods that are ready."""
    replicas: Count
    """Pods that exist."""
    update_revision: Text | None = None
    """Revision that pods are being moved to."""
    updated_replicas: Count | None = None
    """Pods of the newest revision."""


class RollingUpdateDaemonSet(Schema):
    """How far a rolling update may stray from one pod per node."""

    validations = (
        rules.ROLLING_UPDATE_MOVES,
        rules.DAEMON_UPDATE_EXCLUSIVE,
        rules.at_most_all("maxUnavailable"),
        rules.at_most_all("maxSurge"),
    )

    max_surge: IntOrPercent = 0
    """Nodes that may have old and new pod at once."""
    max_unavailable: IntOrPercent = 1
    """Nodes that may be without a ready pod."""


class DaemonSetUpdateStrategy(Schema):
    """How pods get a new template."""

    rolling_update: RollingUpdateDaemonSet | None = None
    """Bounds of a rolling update; only with type RollingUpdate."""
    type: Literal["RollingUpdate", "OnDelete"] = "RollingUpdate"
    """Little by little, or only when somebody deletes them."""


class DaemonSetSpec(Schema):
    """Which pod runs on every suitable node, and how it changes."""

    validations = (*rules.TEMPLATE_IS_SELECTED, rules.ALWAYS_RESTARTS, rules.NO_DEADLINE)

    min_ready_seconds: Count | None = None
    """How long a pod must be ready until it counts as available."""
    revision_history_limit: Count = 10
    """How many old revisions are kept for rolling back."""
    selector: Annotated[LabelSelector, rules.SELECTOR_KEPT, rules.SELECTOR_SELECTS]
    """Labels of the pods to count; cannot be changed."""
    template: PodTemplateSpec
    """The pod to make."""
    update_strategy: DaemonSetUpdateStrategy = DaemonSetUpdateStrategy(
        rolling_update=RollingUpdateDaemonSet()
    )
    """How pods get a new template."""


class DaemonSetCondition(ObservedCondition):
    """One observed aspect of a DaemonSet."""


class DaemonSetStatus(Schema):
    """On how many nodes the pod runs."""

    collision_count: Count | None = None
    """How often the name of a revision was already taken."""
    conditions: ByType[DaemonSetCondition] | None = None
    """Observed aspects of the DaemonSet."""
    current_number_scheduled: Count
    """Nodes that have the pod and should."""
    desired_number_scheduled: Count
    """Nodes that should have the pod."""
    number_available: Count | None = None
    """Nodes whose pod has been ready long enough."""
    number_misscheduled: Count
    """Nodes that have the pod and should not."""
    number_ready: Count
    """Nodes whose pod is ready."""
    number_unavailable: Count | None = None
    """Nodes that still lack an available pod."""
    observed_generation: Int64 | None = None
    """Generation that the figures were counted for."""
    updated_number_scheduled: Count | None = None
    """Nodes whose pod has the present template."""
