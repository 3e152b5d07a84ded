"""Series of ReplicaSets.

Source: kube-state-metrics 2.x, internal/store/replicaset.go.
"""

from typing import Final

from nestling.machinery.records.workload import ReplicaSet
from nestling.monitoring.kube_state.family import Exporter, Family, Page, identity_of
from nestling.monitoring.kube_state.reading import OWNER_LABELS, add_owners, labels_family

IDENTITY: Final = ("cluster", "namespace", "replicaset")


def _family(name: str, text: str, labels: tuple[str, ...] = ()) -> Family:
    return Family(f"kube_replicaset_{name}", text, IDENTITY, labels)


CREATED: Final = _family("created", "When a ReplicaSet was created (Unix time).")
GENERATION: Final = _family("metadata_generation", "Generation of the wanted state of a ReplicaSet.")
OBSERVED: Final = _family("status_observed_generation", "Generation that the controller has acted upon.")
LABELS: Final = labels_family("replicaset", IDENTITY)
OWNER: Final = _family("owner", "What owns a ReplicaSet.", OWNER_LABELS)
WANTED: Final = _family("spec_replicas", "Pods that a ReplicaSet wants.")
REPLICAS: Final = _family("status_replicas", "Pods of a ReplicaSet.")
FULLY_LABELED: Final = _family("status_fully_labeled_replicas", "Pods with all labels of the template.")
READY: Final = _family("status_ready_replicas", "Ready pods of a ReplicaSet.")
TERMINATING: Final = _family("status_terminating_replicas", "Pods of a ReplicaSet that are on their way out.")


def write(replica_set: ReplicaSet, page: Page) -> None:
    """All series of one ReplicaSet; its record holds every number there is."""
    key = replica_set.key
    who = identity_of(IDENTITY, key.cluster, key.namespace, key.name)
    page[CREATED].add(who, int(replica_set.created_at))
    page[GENERATION].add(who, replica_set.generation)
    page[OBSERVED].add(who, replica_set.observed_generation)
    add_owners(page[OWNER], who, replica_set)
    page[WANTED].add(who, replica_set.replicas)
    page[REPLICAS].add(who, replica_set.observed_replicas)
    page[FULLY_LABELED].add(who, replica_set.fully_labeled)
    page[READY].add(who, replica_set.ready)
    if replica_set.terminating is not None:
        page[TERMINATING].add(who, replica_set.terminating)


EXPORTER: Final = Exporter(
    ReplicaSet,
    (
        CREATED,
        GENERATION,
        OBSERVED,
        LABELS,
        OWNER,
        WANTED,
        REPLICAS,
        FULLY_LABELED,
        READY,
        TERMINATING,
    ),
    write,
)
