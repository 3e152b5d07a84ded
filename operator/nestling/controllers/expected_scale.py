"""How many pods the owners of some pods mean to have: what percentages of a disruption budget are taken of.

Reads pods and whoever controls them; writes nothing. A ReplicaSet of a living Deployment counts as the
Deployment. Only owners with a scale have a number: DaemonSets and Jobs make the question unanswerable.
Source: Kubernetes 1.37, pkg/controller/disruption/disruption.go (getExpectedScale and the finders).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from nestling.api.json import JsonObject
from nestling.api.kinds import DEPLOYMENT, REPLICA_SET, VIRTUAL_KINDS, Kind, Uid
from nestling.machinery.names import key_of
from nestling.machinery.records.base import Owner, Record
from nestling.machinery.records.pod import Pod
from nestling.machinery.records.workload import count
from nestling.machinery.view import View

_BY_NAME: Final = {kind.name: kind for kind in VIRTUAL_KINDS}


@dataclass(frozen=True, slots=True)
class Expected:
    """How many pods there should be, and the names of those that nobody manages.

    `error` says why that cannot be known; the rest means nothing then.
    """

    count: int = 0
    unmanaged: tuple[str, ...] = ()
    error: str = ""


def expected_scale(view: View, pods: Iterable[Pod]) -> Expected:
    """The sum of what all controllers of `pods` ask for, each counted once."""
    scales: dict[Uid, int] = {}
    asked: set[Uid] = set()
    unmanaged: list[str] = []
    for pod in pods:
        owner = pod.controller
        if owner is None:
            unmanaged.append(pod.key.name)
            continue
        if owner.uid in asked:
            continue
        asked.add(owner.uid)
        kind = _BY_NAME.get(owner.kind)
        if kind is None:
            return Expected(error=f'no matches for kind "{owner.kind}" in version "{_version(pod, owner)}"')
        if not kind.scale:
            return Expected(error=f"{_resource(kind)} does not implement the scale subresource")
        found = _living(view, pod, owner, kind)
        if found is None:
            return Expected(error=f'found no controllers for pod "{pod.key.name}"')
        scales[found.uid] = scale_of(found)
    return Expected(sum(scales.values()), tuple(unmanaged))


def scale_of(record: Record) -> int:
    """The wanted number of pods of an object with a scale."""
    spec: JsonObject = record.body.get("spec") or {}
    return count(spec.get("replicas"), 1)


def _living(view: View, one: Record, owner: Owner, kind: Kind) -> Record | None:
    """The owner of `one`, or the Deployment behind it; None if another has taken its name, or none."""
    if not view.holds(kind):
        return None
    found = view.find(kind, key_of(kind, one.key.cluster, owner.name))
    if found is None or found.uid != owner.uid:
        return None
    above = found.controller
    if kind == REPLICA_SET and above is not None and above.kind == DEPLOYMENT.name:
        return _living(view, found, above, DEPLOYMENT) or found
    return found


def _resource(kind: Kind) -> str:
    """Plural and group of the native kind, as Kubernetes' messages name it: `daemonsets.apps`."""
    group, slash, _ = kind.native_api_version.partition("/")
    plural = f"{kind.native.lower()}s"
    return f"{plural}.{group}" if slash else plural


def _version(pod: Pod, owner: Owner) -> str:
    references: list[JsonObject] = pod.body["metadata"].get("ownerReferences") or []
    return next((str(ref.get("apiVersion")) for ref in references if ref.get("uid") == owner.uid), "")
