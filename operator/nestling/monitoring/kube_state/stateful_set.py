"""Series of StatefulSets.

Source: kube-state-metrics 2.x, internal/store/statefulset.go.
"""

from typing import Final

from nestling.api.json import JsonObject
from nestling.machinery.records.revisioned import StatefulSet
from nestling.monitoring.kube_state.family import Exporter, Family, Page, identity_of
from nestling.monitoring.kube_state.reading import labels_family

IDENTITY: Final = ("cluster", "namespace", "statefulset")


def _family(name: str, text: str, labels: tuple[str, ...] = ()) -> Family:
    return Family(f"kube_statefulset_{name}", text, IDENTITY, labels)


CREATED: Final = _family("created", "When a StatefulSet was created (Unix time).")
DELETION: Final = _family("deletion_timestamp", "By when a StatefulSet has to be gone (Unix time).")
GENERATION: Final = _family("metadata_generation", "Generation of the wanted state of a StatefulSet.")
OBSERVED: Final = _family("status_observed_generation", "Generation that the controller has acted upon.")
LABELS: Final = labels_family("statefulset", IDENTITY)
WANTED: Final = _family("replicas", "Pods that a StatefulSet wants.")
START: Final = _family("ordinals_start", "Number of the first pod, where one is given.")
RETENTION: Final = _family(
    "persistentvolumeclaim_retention_policy",
    "What happens to claims that are no longer needed.",
    ("when_deleted", "when_scaled"),
)
CURRENT: Final = _family("status_current_revision", "Revision of pods that are not updated.", ("revision",))
UPDATE: Final = _family("status_update_revision", "Revision that pods are updated to.", ("revision",))
# Field of the status that each is read from.
COUNTS: Final = {
    "replicas": _family("status_replicas", "Pods of a StatefulSet."),
    "readyReplicas": _family("status_replicas_ready", "Ready pods of a StatefulSet."),
    "availableReplicas": _family("status_replicas_available", "Available pods of a StatefulSet."),
    "currentReplicas": _family("status_replicas_current", "Pods of a StatefulSet's current revision."),
    "updatedReplicas": _family("status_replicas_updated", "Pods of a StatefulSet's update revision."),
}


def write(sts: StatefulSet, page: Page) -> None:
    """All series of one StatefulSet."""
    key = sts.key
    who = identity_of(IDENTITY, key.cluster, key.namespace, key.name)
    body = sts.body
    spec, status = body["spec"], body.get("status") or {}
    page[CREATED].add(who, int(sts.created_at))
    if sts.deleting_at is not None:
        page[DELETION].add(who, int(sts.deleting_at))
    page[GENERATION].add(who, sts.generation)
    page[OBSERVED].add(who, sts.observed_generation)
    page[WANTED].add(who, sts.replicas)
    if spec.get("ordinals") is not None:
        page[START].add(who, sts.start)
    policy: JsonObject = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    if policy:
        page[RETENTION].add(who, 1, policy.get("whenDeleted") or "", policy.get("whenScaled") or "")
    page[CURRENT].add(who, 1, sts.current_revision)
    page[UPDATE].add(who, 1, sts.update_revision)
    for field, family in COUNTS.items():
        page[family].add(who, status.get(field) or 0)


EXPORTER: Final = Exporter(
    StatefulSet,
    (
        CREATED,
        DELETION,
        GENERATION,
        OBSERVED,
        LABELS,
        WANTED,
        START,
        RETENTION,
        CURRENT,
        UPDATE,
        *COUNTS.values(),
    ),
    write,
)
