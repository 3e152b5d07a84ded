"""Series of ReplicationControllers. Their labels are no family of kube-state-metrics.

Source: kube-state-metrics 2.x, internal/store/replicationcontroller.go.
"""

from typing import Final

from nestling.machinery.records.workload import ReplicationController
from nestling.monitoring.kube_state.family import Exporter, Family, Page, identity_of
from nestling.monitoring.kube_state.reading import OWNER_LABELS, add_owners

IDENTITY: Final = ("cluster", "namespace", "replicationcontroller")


def _family(name: str, text: str, labels: tuple[str, ...] = ()) -> Family:
    return Family(f"kube_replicationcontroller_{name}", text, IDENTITY, labels)


CREATED: Final = _family("created", "When a ReplicationController was created (Unix time).")
GENERATION: Final = _family(
    "metadata_generation", "Generation of the wanted state of a ReplicationController."
)
OBSERVED: Final = _family("status_observed_generation", "Generation that the controller has acted upon.")
OWNER: Final = _family("owner", "What owns a ReplicationController.", OWNER_LABELS)
WANTED: Final = _family("spec_replicas", "Pods that a ReplicationController wants.")
REPLICAS: Final = _family("status_replicas", "Pods of a ReplicationController.")
FULLY_LABELED: Final = _family("status_fully_labeled_replicas", "Pods with all labels of the template.")
READY: Final = _family("status_ready_replicas", "Ready pods of a ReplicationController.")
AVAILABLE: Final = _family("status_available_replicas", "Available pods of a ReplicationController.")


def write(controller: ReplicationController, page: Page) -> None:
    """All series of one ReplicationController; its record holds every number there is."""
    key = controller.key
    who = identity_of(IDENTITY, key.cluster, key.namespace, key.name)
    page[CREATED].add(who, int(controller.created_at))
    page[GENERATION].add(who, controller.generation)
    page[OBSERVED].add(who, controller.observed_generation)
    add_owners(page[OWNER], who, controller)
    page[WANTED].add(who, controller.replicas)
    page[REPLICAS].add(who, controller.observed_replicas)
    page[FULLY_LABELED].add(who, controller.fully_labeled)
    page[READY].add(who, controller.ready)
    page[AVAILABLE].add(who, controller.available)


EXPORTER: Final = Exporter(
    ReplicationController,
    (CREATED, GENERATION, OBSERVED, OWNER, WANTED, REPLICAS, FULLY_LABELED, READY, AVAILABLE),
    write,
)
