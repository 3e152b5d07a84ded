"""Work that ends: jobs and their schedules.

Fields, types and defaults are native; the sentences are ours.
Source: Kubernetes 1.37, k8s.io/api/batch/v1.
"""

from typing import Annotated, Literal

from annotated_types import MaxLen

from nestling.api import rules
from nestling.api.core.template import PodTemplateSpec
from nestling.api.meta import LabelSelector, ObjectMeta, ObjectReference, ObservedCondition
from nestling.api.schema import (
    Atomic,
    ByName,
    ConditionStatus,
    Count,
    Int32,
    NonNegativeLong,
    PositiveLong,
    Schema,
    SetOf,
    Text,
    Time,
)


class PodFailurePolicyOnExitCodesRequirement(Schema):
    """Exit codes that a rule applies to."""

    container_name: Text | None = None
    """Container that is looked at; all of them if absent."""
    operator: Literal["In", "NotIn"]
    """Whether the listed codes match or all others except 0 do."""
    values: Annotated[SetOf[Int32], MaxLen(255)]
    """Exit codes."""


class PodFailurePolicyOnPodConditionsPattern(Schema):
    """A condition of the pod that a rule applies to."""

    status: ConditionStatus = "True"
    """Status that the condition must have."""
    type: Text
    """Type of the condition."""


class PodFailurePolicyRule(Schema):
    """What a certain kind of failure means for the Job."""

    action: Literal["FailJob", "FailIndex", "Ignore", "Count"]
    """What to do about the failure."""
    on_exit_codes: PodFailurePolicyOnExitCodesRequirement | None = None
    """Exit codes that the rule applies to."""
    on_pod_conditions: Atomic[PodFailurePolicyOnPodConditionsPattern] | None = None
    """Conditions that the rule applies to, any of them."""


class PodFailurePolicy(Schema):
    """What failures mean, beyond counting them."""

    rules: Atomic[PodFailurePolicyRule]
    """Rules looked at in order; the first match decides."""


class SuccessPolicyRule(Schema):
    """When enough of the work is done."""

    succeeded_count: Count | None = None
    """How many indexes must have succeeded."""
    succeeded_indexes: Text | None = None
    """Which indexes must have succeeded, such as 0-2,5."""


class SuccessPolicy(Schema):
    """When an indexed Job counts as done before all of it is."""

    rules: Atomic[SuccessPolicyRule]
    """Rules of which one has to be met."""


class WorkloadPodGroupAllDisruptionMode(Schema):
    """Pods are disrupted all together."""


class WorkloadPodGroupSingleDisruptionMode(Schema):
    """Pods are disrupted one by one."""


class WorkloadPodGroupDisruptionMode(Schema):
    """How pods of the group may be disrupted; one of the two."""

    all: WorkloadPodGroupAllDisruptionMode | None = None
    """All together."""
    single: WorkloadPodGroupSingleDisruptionMode | None = None
    """One by one."""


class WorkloadPodGroupResourceClaim(Schema):
    """A device claim that pods of the group share."""

    name: Text
    """Name of the claim, unique in the group."""
    resource_claim_name: Text | None = None
    """Claim of the namespace to use."""
    resource_claim_template_name: Text | None = None
    """Template that a claim is made from."""


class TopologyConstraint(Schema):
    """A neighbourhood that pods of the group must share."""

    key: Text
    """Node label whose equal values make nodes one neighbourhood."""


class WorkloadPodGroupSchedulingConstraints(Schema):
    """Where pods of the group must be."""

    topology: Atomic[TopologyConstraint] | None = None
    """Neighbourhoods that they must share."""


class WorkloadPodGroupBasicSchedulingPolicy(Schema):
    """Pods are placed one by one."""


class WorkloadPodGroupGangSchedulingPolicy(Schema):
    """Pods are placed all or none."""

    min_count: Count | None = None
    """Least number of pods that must fit at once."""


class WorkloadPodGroupSchedulingPolicy(Schema):
    """How pods of the group are placed; one of the two."""

    basic: WorkloadPodGroupBasicSchedulingPolicy | None = None
    """One by one."""
    gang: WorkloadPodGroupGangSchedulingPolicy | None = None
    """All or none."""


class JobSchedulingConfiguration(Schema):
    """How the pods of a Job are scheduled as a group."""

    disruption_mode: WorkloadPodGroupDisruptionMode | None = None
    """How they may be disrupted."""
    resource_claims: ByName[WorkloadPodGroupResourceClaim] | None = None
    """Device claims that they share."""
    scheduling_constraints: WorkloadPodGroupSchedulingConstraints | None = None
    """Where they must be."""
    scheduling_policy: WorkloadPodGroupSchedulingPolicy | None = None
    """How they are placed."""


class JobSpec(Schema):
    """How often which pod has to succeed."""

    validations = (
        rules.FINISHES,
        rules.INDEXED_COUNTS,
        *rules.INDEX_LIMIT,
        rules.unchanged("completionMode"),
        rules.unchanged("managedBy"),
        rules.kept("selector"),
    )

    active_deadline_seconds: PositiveLong | None = None
    """Time after the start when the Job is ended as failed."""
    backoff_limit: Count | None = None
    """Failures after which the Job has failed; 6 if absent and no limit per index is set."""
    backoff_limit_per_index: Count | None = None
    """Failures after which one index has failed."""
    completion_mode: Literal["NonIndexed", "Indexed"] | None = None
    """Whether each completion has a number of its own; NonIndexed if absent."""
    completions: Count | None = None
    """How many pods must succeed; absent means any one success is enough."""
    managed_by: Text | None = None
    """Controller that looks after the Job; absent means ours."""
    manual_selector: bool | None = None
    """Whether selector and labels are the user's own."""
    max_failed_indexes: Count | None = None
    """Failed indexes after which the Job has failed."""
    parallelism: Count | None = None
    """How many pods may run at once; 1 if absent."""
    pod_failure_policy: PodFailurePolicy | None = None
    """What failures mean, beyond counting them."""
    pod_replacement_policy: Literal["TerminatingOrFailed", "Failed"] | None = None
    """When a pod is replaced; Failed if absent and there is a pod failure policy."""
    scheduling: JobSchedulingConfiguration | None = None
    """How the pods are scheduled as a group."""
    selector: LabelSelector | None = None
    """Labels of the pods to count; chosen if absent, and cannot be changed."""
    success_policy: SuccessPolicy | None = None
    """When an indexed Job counts as done before all of it is."""
    suspend: bool | None = None
    """Whether the Job is kept from running."""
    template: PodTemplateSpec
    """The pod to make."""
    ttl_seconds_after_finished: Count | None = None
    """Time after the end when the Job is deleted; absent keeps it."""


class UncountedTerminatedPods(Schema):
    """Ended pods that the counts do not include yet."""

    failed: SetOf[Text] | None = None
    """Identities of failed pods."""
    succeeded: SetOf[Text] | None = None
    """Identities of pods that succeeded."""


class JobCondition(ObservedCondition):
    """One observed aspect of a Job."""

    last_probe_time: Time | None = None
    """When the aspect was last looked at."""


class JobStatus(Schema):
    """How far the Job is."""

    active: Count | None = None
    """Pods that run or wait and are not being removed."""
    completed_indexes: Text | None = None
    """Indexes that succeeded, such as 1,3-5."""
    completion_time: Time | None = None
    """When the Job succeeded."""
    conditions: Atomic[JobCondition] | None = None
    """Observed aspects: Complete, Failed, Suspended and others."""
    failed: Count | None = None
    """Pods that failed."""
    failed_indexes: Text | None = None
    """Indexes that failed, such as 0,2."""
    ready: Count | None = None
    """Active pods that are ready."""
    start_time: Time | None = None
    """When the Job started, or was resumed."""
    succeeded: Count | None = None
    """Pods that succeeded."""
    terminating: Count | None = None
    """Pods that are being removed."""
    uncounted_terminated_pods: UncountedTerminatedPods | None = None
    """Ended pods that the counts do not include yet."""


class JobTemplateSpec(Schema):
    """The Job that a schedule makes."""

    metadata: ObjectMeta | None = None
    """Labels and annotations of the Jobs."""
    spec: JobSpec | None = None
    """How often which pod has to succeed."""


class CronJobSpec(Schema):
    """When to make which Job."""

    concurrency_policy: Literal["Allow", "Forbid", "Replace"] = "Allow"
    """What happens when the previous Job still runs."""
    failed_jobs_history_limit: Count = 1
    """How many failed Jobs are kept."""
    job_template: JobTemplateSpec
    """The Job to make."""
    schedule: Annotated[Text, MaxLen(256), rules.SCHEDULE, rules.SCHEDULE_WITHOUT_ZONE]
    """When to make it, in cron format."""
    starting_deadline_seconds: NonNegativeLong | None = None
    """How late a missed start may still be made up for."""
    successful_jobs_history_limit: Count = 3
    """How many Jobs that succeeded are kept."""
    suspend: bool = False
    """Whether no more Jobs are made."""
    time_zone: Annotated[Text, MaxLen(64), rules.TIME_ZONE] | None = None
    """Time zone of the schedule, such as Europe/Paris; that of the controller if absent."""


class CronJobStatus(Schema):
    """What the schedule has made so far."""

    active: Atomic[ObjectReference] | None = None
    """Jobs that still run."""
    last_schedule_time: Time | None = None
    """When a Job was last made."""
    last_successful_time: Time | None = None
    """When a Job last succeeded."""
