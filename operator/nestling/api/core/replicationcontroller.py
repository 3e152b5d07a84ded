"""The oldest controller of equal pods.

Fields, types and defaults are native; the sentences are ours.
Source: Kubernetes 1.37, k8s.io/api/core/v1.
"""

from nestling.api import rules
from nestling.api.core.template import PodTemplateSpec
from nestling.api.meta import ObservedCondition
from nestling.api.schema import ByType, Count, Int64, Labels, Schema


class ReplicationControllerSpec(Schema):
    """How many pods of which kind."""

    validations = (rules.PLAIN_TEMPLATE_IS_SELECTED, rules.ALWAYS_RESTARTS, rules.NO_DEADLINE)

    min_ready_seconds: Count | None = None
    """How long a pod must be ready until it counts as available."""
    replicas: Count = 1
    """How many pods are wanted."""
    selector: Labels | None = None
    """Labels of the pods to count; the template's labels if absent."""
    template: PodTemplateSpec | None = None
    """The pod to make."""


class ReplicationControllerCondition(ObservedCondition):
    """One observed aspect of a ReplicationController."""


class ReplicationControllerStatus(Schema):
    """How many pods there are."""

    available_replicas: Count | None = None
    """Pods that have been ready long enough."""
    conditions: ByType[ReplicationControllerCondition] | None = None
    """Observed aspects, such as ReplicaFailure."""
    fully_labeled_replicas: Count | None = None
    """Pods with all labels of the template."""
    observed_generation: Int64 | None = None
    """Generation that the figures were counted for."""
    ready_replicas: Count | None = None
    """Pods that are ready."""
    replicas: Count
    """Pods that exist."""
