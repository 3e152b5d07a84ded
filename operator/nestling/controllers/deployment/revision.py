"""Revisions: the number a template gets when it becomes the present one, and the notes on ReplicaSets.

The newest revision is one more than the greatest among the old ReplicaSets, so a template that comes back
gets a new number and its ReplicaSet remembers the earlier ones. A Deployment's own annotations are copied
to the new ReplicaSet (that is how `kubernetes.io/change-cause` gets into the history), except those in
`OWN`.
Source: Kubernetes 1.37, pkg/controller/deployment/util (SetNewReplicaSetAnnotations, MaxRevision).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from nestling.controllers.deployment.family import by_age
from nestling.controllers.deployment.fenceposts import max_surge
from nestling.machinery.plan import Delete
from nestling.machinery.records.workload import (
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    REVISION,
    REVISION_HISTORY,
    Deployment,
    ReplicaSet,
)

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
ROLLBACK_TO: Final = "deprecated.deployment.rollback.to"
OWN: Final = frozenset(
    {LAST_APPLIED, REVISION, REVISION_HISTORY, DESIRED_REPLICAS, MAX_REPLICAS, ROLLBACK_TO}
)

# About 100 revisions: an annotation that grows with every rollout has to end somewhere.
HISTORY_LENGTH: Final = 2000

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)


def revision_of(text: str) -> int | None:
    """The revision that an annotation spells: 0 for an empty one, None for one that cannot be read."""
    if not text:
        return 0
    return int(text) if _INTEGER.fullmatch(text) else None


def next_revision(old: Iterable[ReplicaSet]) -> int:
    """The revision of the present template, given the ReplicaSets of all others."""
    return max((revision_of(rs.revision) or 0 for rs in old), default=0) + 1


def notes_for(deployment: Mapping[str, str], present: Mapping[str, str], revision: int) -> dict[str, str]:
    """Annotations to set on the new ReplicaSet, which has the `present` ones; only those that change.

    A revision that cannot be read leaves everything as it is: somebody else is at work there.
    """
    before = revision_of(present.get(REVISION, ""))
    if before is None:
        return {}
    notes = {name: value for name, value in deployment.items() if name not in OWN}
    if before < revision:
        notes[REVISION] = str(revision)
        if REVISION in present:
            notes[REVISION_HISTORY] = longer_history(present.get(REVISION_HISTORY, ""), present[REVISION])
    return {name: value for name, value in notes.items() if present.get(name) != value}


def longer_history(history: str, revision: str) -> str:
    """The history with one more revision; the oldest fall off when it gets too long."""
    if not history:
        return revision
    entries = [*history.split(","), revision]
    while len(",".join(entries)) > HISTORY_LENGTH and len(entries) > 1:
        entries.pop(0)
    # A single revision that is too long is not one of ours: better no change than a cut.
    longer = ",".join(entries)
    return longer if len(longer) <= HISTORY_LENGTH else history


def size_notes(deployment: Deployment) -> dict[str, str]:
    """What a ReplicaSet is sized for: the wanted number, and the most that there may be."""
    return {
        DESIRED_REPLICAS: str(deployment.replicas),
        MAX_REPLICAS: str(deployment.replicas + max_surge(deployment)),
    }


def expired(old: Sequence[ReplicaSet], limit: int | None) -> list[Delete]:
    """Deletion of the old ReplicaSets beyond the history limit, lowest revision first.

    One that still has pods, or has not been looked at since its last change, is spared this time.
    """
    if limit is None:
        return []
    alive = sorted((rs for rs in old if not rs.deleting), key=_by_revision)
    return [
        Delete(rs.KIND, rs.key, rs.uid, version=rs.version)
        for rs in alive[: max(len(alive) - limit, 0)]
        if rs.replicas == 0 and rs.observed_replicas == 0 and rs.generation <= rs.observed_generation
    ]


def _by_revision(rs: ReplicaSet) -> tuple[int, tuple[float, str]]:
    return revision_of(rs.revision) or 0, by_age(rs)
