"""Series of DaemonSets.

Source: kube-state-metrics 2.x, internal/store/daemonset.go.
"""

from typing import Final

from nestling.api.json import JsonObject
from nestling.machinery.records.revisioned import DaemonSet
from nestling.monitoring.kube_state.family import Exporter, Family, Page, identity_of
from nestling.monitoring.kube_state.reading import labels_family

IDENTITY: Final = ("cluster", "namespace", "daemonset")


def _family(name: str, text: str) -> Family:
    return Family(f"kube_daemonset_{name}", text, IDENTITY)


CREATED: Final = _family("created", "When a DaemonSet was created (Unix time).")
DELETION: Final = _family("deletion_timestamp", "By when a DaemonSet has to be gone (Unix time).")
GENERATION: Final = _family("metadata_generation", "Generation of the wanted state of a DaemonSet.")
OBSERVED: Final = _family("status_observed_generation", "Generation that the controller has acted upon.")
LABELS: Final = labels_family("daemonset", IDENTITY)
# Field of the status that each is read from.
COUNTS: Final = {
    "desiredNumberScheduled": _family("status_desired_number_scheduled", "Nodes that should have the pod."),
    "currentNumberScheduled": _family(
        "status_current_number_scheduled", "Nodes that have the pod and should."
    ),
    "numberMisscheduled": _family("status_number_misscheduled", "Nodes that have the pod and should not."),
    "updatedNumberScheduled": _family(
        "status_updated_number_scheduled", "Nodes whose pod has the present template."
    ),
    "numberReady": _family("status_number_ready", "Nodes whose pod is ready."),
    "numberAvailable": _family("status_number_available", "Nodes whose pod is available."),
    "numberUnavailable": _family("status_number_unavailable", "Nodes that lack an available pod."),
}


def write(ds: DaemonSet, page: Page) -> None:
    """All series of one DaemonSet."""
    key = ds.key
    who = identity_of(IDENTITY, key.cluster, key.namespace, key.name)
    status: JsonObject = ds.body.get("status") or {}
    page[CREATED].add(who, int(ds.created_at))
    if ds.deleting_at is not None:
        page[DELETION].add(who, int(ds.deleting_at))
    page[GENERATION].add(who, ds.generation)
    page[OBSERVED].add(who, ds.observed_generation)
    for field, family in COUNTS.items():
        page[family].add(who, status.get(field) or 0)


EXPORTER: Final = Exporter(
    DaemonSet, (CREATED, DELETION, GENERATION, OBSERVED, LABELS, *COUNTS.values()), write
)
