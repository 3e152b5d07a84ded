"""Series of HorizontalPodAutoscalers.

Source: kube-state-metrics 2.x, internal/store/horizontalpodautoscaler.go.
"""

from typing import Final

from nestling.machinery.conditions import conditions_of
from nestling.machinery.records.autoscaler import HorizontalPodAutoscaler
from nestling.monitoring.kube_state.family import CONDITION_STATES, Exporter, Family, Page, identity_of
from nestling.monitoring.kube_state.reading import labels_family

IDENTITY: Final = ("cluster", "namespace", "horizontalpodautoscaler")
TARGET: Final = ("scaletargetref_api_version", "scaletargetref_kind", "scaletargetref_name")


def _family(name: str, text: str, labels: tuple[str, ...] = (), states: tuple[str, ...] = ()) -> Family:
    return Family(f"kube_horizontalpodautoscaler_{name}", text, IDENTITY, labels, states=states)


INFO: Final = _family("info", "What an autoscaler scales.", TARGET)
GENERATION: Final = _family("metadata_generation", "Generation of the wanted state of an autoscaler.")
LABELS: Final = labels_family("horizontalpodautoscaler", IDENTITY)
MOST: Final = _family("spec_max_replicas", "Most pods that an autoscaler asks for.")
LEAST: Final = _family("spec_min_replicas", "Fewest pods that an autoscaler asks for.")
CURRENT: Final = _family("status_current_replicas", "Pods that its target asked for.")
DESIRED: Final = _family("status_desired_replicas", "Pods that its target is to ask for.")
CONDITION: Final = _family(
    "status_condition", "Conditions of an autoscaler.", ("condition", "status"), CONDITION_STATES
)


def write(hpa: HorizontalPodAutoscaler, page: Page) -> None:
    """All series of one autoscaler."""
    key = hpa.key
    who = identity_of(IDENTITY, key.cluster, key.namespace, key.name)
    page[INFO].add(who, 1, hpa.target_version, hpa.target_kind, hpa.target_name)
    page[GENERATION].add(who, hpa.generation)
    page[MOST].add(who, hpa.most)
    page[LEAST].add(who, hpa.least)
    page[CURRENT].add(who, hpa.current)
    page[DESIRED].add(who, hpa.desired)
    for one in conditions_of(hpa.body):
        page[CONDITION].states(who, one.get("status", "").lower(), one.get("type", ""))


EXPORTER: Final = Exporter(
    HorizontalPodAutoscaler, (INFO, GENERATION, LABELS, MOST, LEAST, CURRENT, DESIRED, CONDITION), write
)
