"""What an autoscaler scales: the object, how many pods it asks for, and which pods those are.

`scaleTargetRef` may name the native kind (`apps/v1` `Deployment`) or ours; the version does not matter.
Source: Kubernetes 1.37, pkg/controller/podautoscaler/horizontal.go (reconcileAutoscaler,
scaleForResourceMappings).
"""

from dataclasses import dataclass
from typing import Final

from nestling.api.json import JsonObject
from nestling.api.kinds import GROUP, VIRTUAL_KINDS, Kind
from nestling.api.selector import NOTHING, Selector
from nestling.controllers.expected_scale import scale_of
from nestling.machinery.names import Key
from nestling.machinery.records.autoscaler import HorizontalPodAutoscaler
from nestling.machinery.records.base import Record
from nestling.machinery.records.workload import ReplicaSet
from nestling.machinery.view import View


def _names(kind: Kind) -> tuple[tuple[str, str], ...]:
    group = kind.native_api_version.rpartition("/")[0]
    return ((group, kind.native), (GROUP, kind.name))


_BY_NAME: Final = {name: kind for kind in VIRTUAL_KINDS if kind.native for name in _names(kind)}


@dataclass(frozen=True, slots=True)
class Target:
    """An object with a scale: how many pods it asks for, and the selector of its pods."""

    record: Record
    replicas: int
    selector: Selector


def target_of(view: View, hpa: HorizontalPodAutoscaler) -> Target | str:
    """The target of an autoscaler, or why it cannot be scaled."""
    group = hpa.target_version.rpartition("/")[0]
    kind = _BY_NAME.get((group, hpa.target_kind))
    if kind is None:
        return f'no matches for kind "{hpa.target_kind}" in group "{group}"'
    if not kind.scale or not view.holds(kind):
        return "the server could not find the requested resource"
    key = Key(hpa.key.cluster, hpa.key.namespace, hpa.target_name)
    found = view.find(kind, key)
    if found is None:
        return f'{_resource(kind)} "{hpa.target_name}" not found'
    return Target(found, scale_of(found), _selector(found))


def _selector(record: Record) -> Selector:
    if isinstance(record, ReplicaSet):
        return record.selector  # a ReplicationController's may be its template's labels
    spec: JsonObject = record.body.get("spec") or {}
    try:
        return Selector.from_json(spec.get("selector"))
    except (ValueError, TypeError, AttributeError, KeyError):  # the schema refuses these
        return NOTHING


def _resource(kind: Kind) -> str:
    """Plural and group of the native kind, as Kubernetes' messages name it: `deployments.apps`."""
    group, slash, _ = kind.native_api_version.partition("/")
    plural = f"{kind.native.lower()}s"
    return f"{plural}.{group}" if slash else plural
