"""Series of Deployments.

Source: kube-state-metrics 2.x, internal/store/deployment.go.
"""

from typing import Final

from nestling.api.json import JsonObject
from nestling.machinery.conditions import conditions_of
from nestling.machinery.records.workload import Deployment
from nestling.monitoring.kube_state.family import CONDITION_STATES, Exporter, Family, Page, identity_of
from nestling.monitoring.kube_state.reading import OWNER_LABELS, add_owners, flag, labels_family

IDENTITY: Final = ("cluster", "namespace", "deployment")
# Reasons that the Deployment controller gives; any other reads "unknown", so that nobody's words make series.
KNOWN_REASONS: Final = frozenset(
    {
        "",
        "ReplicaSetUpdated",
        "ReplicaSetCreateError",
        "NewReplicaSetCreated",
        "FoundNewReplicaSet",
        "NewReplicaSetAvailable",
        "ProgressDeadlineExceeded",
        "DeploymentPaused",
        "DeploymentResumed",
        "MinimumReplicasAvailable",
        "MinimumReplicasUnavailable",
    }
)


def _family(name: str, text: str, labels: tuple[str, ...] = (), states: tuple[str, ...] = ()) -> Family:
    return Family(f"kube_deployment_{name}", text, IDENTITY, labels, states=states)


CREATED: Final = _family("created", "When a Deployment was created (Unix time).")
DELETION: Final = _family("deletion_timestamp", "By when a Deployment has to be gone (Unix time).")
GENERATION: Final = _family("metadata_generation", "Generation of the wanted state of a Deployment.")
OBSERVED: Final = _family("status_observed_generation", "Generation that the controller has acted upon.")
LABELS: Final = labels_family("deployment", IDENTITY)
OWNER: Final = _family("owner", "What owns a Deployment.", OWNER_LABELS)
WANTED: Final = _family("spec_replicas", "Pods that a Deployment wants.")
PAUSED: Final = _family("spec_paused", "Whether a Deployment is paused.")
MAX_UNAVAILABLE: Final = _family(
    "spec_strategy_rollingupdate_max_unavailable", "Pods that may be missing during a rolling update."
)
MAX_SURGE: Final = _family(
    "spec_strategy_rollingupdate_max_surge", "Pods that may come on top during a rolling update."
)
CONDITION: Final = _family(
    "status_condition", "Conditions of a Deployment.", ("reason", "condition", "status"), CONDITION_STATES
)
# Field of the status that each is read from.
COUNTS: Final = {
    "replicas": _family("status_replicas", "Pods of a Deployment."),
    "readyReplicas": _family("status_replicas_ready", "Ready pods of a Deployment."),
    "availableReplicas": _family("status_replicas_available", "Available pods of a Deployment."),
    "unavailableReplicas": _family("status_replicas_unavailable", "Pods that a Deployment still lacks."),
    "updatedReplicas": _family("status_replicas_updated", "Pods of a Deployment's present template."),
}
TERMINATING: Final = _family("status_terminating_replicas", "Pods of a Deployment that are on their way out.")


def write(deployment: Deployment, page: Page) -> None:
    """All series of one Deployment."""
    key = deployment.key
    who = identity_of(IDENTITY, key.cluster, key.namespace, key.name)
    body = deployment.body
    status: JsonObject = body.get("status") or {}
    page[CREATED].add(who, int(deployment.created_at))
    if deployment.deleting_at is not None:
        page[DELETION].add(who, int(deployment.deleting_at))
    page[GENERATION].add(who, deployment.generation)
    page[OBSERVED].add(who, deployment.observed_generation)
    page[WANTED].add(who, deployment.replicas)
    page[PAUSED].add(who, flag(deployment.paused))
    add_owners(page[OWNER], who, deployment)
    if not deployment.recreate:
        page[MAX_UNAVAILABLE].add(who, scaled(deployment.unavailable, deployment.replicas, round_up=False))
        page[MAX_SURGE].add(who, scaled(deployment.surge, deployment.replicas, round_up=True))
    for field, family in COUNTS.items():
        page[family].add(who, status.get(field) or 0)
    if (terminating := status.get("terminatingReplicas")) is not None:
        page[TERMINATING].add(who, terminating)
    for condition in conditions_of(body):
        reason = condition.get("reason") or ""
        page[CONDITION].states(
            who,
            (condition.get("status") or "").lower(),
            reason if reason in KNOWN_REASONS else "unknown",
            condition["type"],
        )


def scaled(value: int | str, total: int, *, round_up: bool) -> int:
    """A number as it is, or a percentage of `total`."""
    if isinstance(value, int):
        return value
    share = int(value.removesuffix("%")) * total
    return -(-share // 100) if round_up else share // 100


EXPORTER: Final = Exporter(
    Deployment,
    (
        CREATED,
        DELETION,
        GENERATION,
        OBSERVED,
        LABELS,
        OWNER,
        WANTED,
        PAUSED,
        MAX_UNAVAILABLE,
        MAX_SURGE,
        CONDITION,
        *COUNTS.values(),
        TERMINATING,
    ),
    write,
)
