"""How many pods may be missing at once.

Fields, types and defaults are native; the sentences are ours.
Source: Kubernetes 1.37, k8s.io/api/policy/v1.
"""

from typing import Literal

from nestling.api import rules
from nestling.api.meta import Condition, LabelSelector
from nestling.api.schema import ByType, Int32, Int64, IntOrPercent, Schema, Time


class PodDisruptionBudgetSpec(Schema):
    """How many of the selected pods must stay, or may go."""

    validations = (rules.BUDGET_EXCLUSIVE,)

    max_unavailable: IntOrPercent | None = None
    """How many may be missing, as number or percentage."""
    min_available: IntOrPercent | None = None
    """How many must stay, as number or percentage."""
    selector: LabelSelector | None = None
    """Labels of the pods that are protected."""
    unhealthy_pod_eviction_policy: Literal["IfHealthyBudget", "AlwaysAllow"] | None = None
    """Whether pods that are not ready may be evicted whatever the budget."""


class PodDisruptionBudgetStatus(Schema):
    """What the budget leaves room for."""

    conditions: ByType[Condition] | None = None
    """Observed aspects, such as DisruptionAllowed."""
    current_healthy: Int32 | None = None
    """Pods that are ready."""
    desired_healthy: Int32 | None = None
    """Pods that must stay ready."""
    disrupted_pods: dict[str, Time] | None = None
    """Pods whose eviction has been granted and not yet been seen, with the time of the grant."""
    disruptions_allowed: Int32 | None = None
    """Evictions that can be granted now."""
    expected_pods: Int32 | None = None
    """Pods that are protected."""
    observed_generation: Int64 | None = None
    """Generation that the figures were counted for."""
