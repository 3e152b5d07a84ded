"""Series of PodDisruptionBudgets.

Source: kube-state-metrics 2.x, internal/store/poddisruptionbudget.go.
"""

from typing import Final

from nestling.machinery.records.budget import PodDisruptionBudget
from nestling.monitoring.kube_state.family import Exporter, Family, Page, identity_of
from nestling.monitoring.kube_state.reading import labels_family

IDENTITY: Final = ("cluster", "namespace", "poddisruptionbudget")


def _family(name: str, text: str) -> Family:
    return Family(f"kube_poddisruptionbudget_{name}", text, IDENTITY)


CREATED: Final = _family("created", "When a disruption budget was created (Unix time).")
LABELS: Final = labels_family("poddisruptionbudget", IDENTITY)
CURRENT: Final = _family("status_current_healthy", "Healthy pods of a disruption budget.")
DESIRED: Final = _family("status_desired_healthy", "Pods that have to stay healthy.")
ALLOWED: Final = _family("status_pod_disruptions_allowed", "Pods that may go at this moment.")
EXPECTED: Final = _family("status_expected_pods", "Pods that a disruption budget counts on.")
OBSERVED: Final = _family("status_observed_generation", "Generation that the figures were counted for.")


def write(budget: PodDisruptionBudget, page: Page) -> None:
    """All series of one disruption budget; its record holds every number there is."""
    key = budget.key
    who = identity_of(IDENTITY, key.cluster, key.namespace, key.name)
    page[CREATED].add(who, int(budget.created_at))
    page[CURRENT].add(who, budget.current_healthy)
    page[DESIRED].add(who, budget.desired_healthy)
    page[ALLOWED].add(who, budget.disruptions_allowed)
    page[EXPECTED].add(who, budget.expected_pods)
    page[OBSERVED].add(who, budget.observed_generation)


EXPORTER: Final = Exporter(
    PodDisruptionBudget, (CREATED, LABELS, CURRENT, DESIRED, ALLOWED, EXPECTED, OBSERVED), write
)
