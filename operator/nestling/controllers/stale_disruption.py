"""Take back the word that a pod is about to be disrupted, when nothing has come of it for two minutes.

Reads pods; writes their condition DisruptionTarget. What a kubelet said stands: it may take its time. Pods
that are on their way out, or have ended, are past caring.
Source: Kubernetes 1.37, pkg/controller/disruption/disruption.go (syncStalePodDisruption).
"""

from collections.abc import Iterable
from typing import Final

from nestling.api.json import JsonObject
from nestling.api.kinds import POD
from nestling.machinery.cache import Change
from nestling.machinery.clock import seconds_or
from nestling.machinery.conditions import conditions_of, with_condition, without_condition
from nestling.machinery.controller import Controller, Route
from nestling.machinery.names import Key
from nestling.machinery.plan import Patch, Plan
from nestling.machinery.records.base import condition
from nestling.machinery.records.pod import Pod
from nestling.machinery.view import View

TARGET: Final = "DisruptionTarget"
BY_KUBELET: Final = "TerminationByKubelet"
STALE_AFTER_S: Final = 120.0


def claimed_at(pod: Pod) -> float | None:
    """Since when a pod that lives on is said to be a target; None if it is not."""
    if not pod.active or TARGET.encode() not in pod.raw:
        return None  # nearly all pods, and without parsing them
    found = condition(pod.body, TARGET)
    if found is None or found.get("status") != "True" or found.get("reason") == BY_KUBELET:
        return None
    return seconds_or(found.get("lastTransitionTime"), 0.0)


def reconcile(view: View, key: Key) -> Plan:
    """Plan the end of one pod's stale condition, or the moment to look again."""
    pod = view.get(Pod, key)
    since = claimed_at(pod) if pod is not None else None
    if pod is None or since is None:
        return Plan.done("nobody says it is about to go")
    due = since + STALE_AFTER_S
    if view.now < due:
        return Plan.wait_until(due, "it may yet go")
    state: JsonObject = {"type": TARGET, "status": "False", "observedGeneration": pod.generation}
    stored = conditions_of(pod.body)
    (fresh,) = with_condition([], state, view.now)
    # Reason and message go: the condition is set anew, and stays in its place.
    place = next(index for index, one in enumerate(stored) if one.get("type") == TARGET)
    conditions = without_condition(stored, TARGET)
    conditions.insert(place, fresh)
    patch = Patch(
        POD,
        key,
        pod.uid,
        {"status": {"conditions": conditions}},
        version=pod.version,
        subresource="status",
    )
    return Plan.of(patch, why="it was to be disrupted, and was not")


def _targets(view: View, change: Change) -> Iterable[Key]:
    del view
    pod = change.new
    return (change.key,) if isinstance(pod, Pod) and claimed_at(pod) is not None else ()


CONTROLLER: Final = Controller(
    name="stale-pod-disruption", reconcile=reconcile, concerns={POD: (Route(_targets),)}
)
