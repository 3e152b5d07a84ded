"""Whether a pod may be evicted at this moment, and what has to be written so that it may.

The host has no eviction subresource for our pods, so whoever evicts (`nestling drain`) asks here and does
the writes in order: take one from the budget, tell the pod, delete it. The write to the budget names its
resourceVersion: of two that want the last one, one is refused and asks again.
Source: Kubernetes 1.37, pkg/registry/core/pod/storage/eviction.go.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from nestling.api.json import JsonObject
from nestling.controllers.disruption import DISRUPTION_ALLOWED, SYNC_FAILED
from nestling.controllers.taint_eviction import disruption_target
from nestling.machinery.clock import timestamp
from nestling.machinery.conditions import conditions_of, find_condition, with_condition
from nestling.machinery.plan import Delete, Patch, Write
from nestling.machinery.records.budget import PodDisruptionBudget
from nestling.machinery.records.pod import Pod

MOST_DISRUPTED: Final = 2000
VIOLATES: Final = "Cannot evict pod as it would violate the pod's disruption budget."
SEVERAL: Final = (
    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
)


@dataclass(frozen=True, slots=True)
class Granted:
    """The pod may go, by these writes in this order."""

    writes: tuple[Write, ...]


@dataclass(frozen=True, slots=True)
class Denied:
    """The pod has to stay. `later` says that asking again may help; `cause` is which budget, and why."""

    message: str
    cause: str = ""
    later: bool = False


def evict(pod: Pod, budgets: Sequence[PodDisruptionBudget], now: float) -> Granted | Denied:
    """Decide about one pod; `budgets` are those that select it."""
    if not pod.active or pod.phase in {"Pending", ""}:
        return Granted(leave(pod, now))  # it serves nobody yet, or no more
    if len(budgets) > 1:
        return Denied(SEVERAL)
    if not budgets:
        return Granted(leave(pod, now))
    (budget,) = budgets
    spared = budget.always_evicts_unhealthy or budget.current_healthy >= budget.desired_healthy > 0
    if not pod.ready and spared:
        return Granted(leave(pod, now))  # it does not count, so nothing is taken from the budget
    denied = _denied(budget)
    return denied if denied is not None else Granted((_taken(budget, pod, now), *leave(pod, now)))


def _denied(budget: PodDisruptionBudget) -> Denied | None:
    name = budget.key.name
    if budget.observed_generation < budget.generation:
        cause = f"The disruption budget {name} is still being processed by the server."
        return Denied(VIOLATES, cause, later=True)
    if len(budget.disrupted) > MOST_DISRUPTED:
        return Denied(
            "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
            f"The disruption budget {name} does not allow evicting pods currently: "
            "too many pending evictions not confirmed by PDB controller",
        )
    if budget.disruptions_allowed > 0:
        return None
    state = find_condition(conditions_of(budget.body), DISRUPTION_ALLOWED) or {}
    said = state.get("message") if state.get("status") == "False" else ""
    if said and state.get("reason") == SYNC_FAILED:
        why = f" does not allow evicting pods currently because it failed sync: {said}"
    elif budget.current_healthy <= budget.desired_healthy:
        why = f" needs {budget.desired_healthy} healthy pods and has {budget.current_healthy} currently"
    elif said:
        why = f" does not allow evicting pods currently ({state.get('reason')}): {said}"
    else:
        why = " does not allow evicting pods currently"
    return Denied(VIOLATES, f"The disruption budget {name}{why}", later=True)


def _taken(budget: PodDisruptionBudget, pod: Pod, now: float) -> Patch:
    """The write that takes one disruption from the budget, in the name of the pod."""
    left = budget.disruptions_allowed - 1
    status: JsonObject = {
        "disruptionsAllowed": left,
        "disruptedPods": {pod.key.name: timestamp(now)},
    }
    if left == 0:
        state: JsonObject = {
            "type": DISRUPTION_ALLOWED,
            "status": "False",
            "reason": "InsufficientPods",
            "message": "",
            "observedGeneration": budget.observed_generation,
        }
        status["conditions"] = with_condition(conditions_of(budget.body), state, now)
    body: JsonObject = {"status": status}
    return Patch(budget.KIND, budget.key, budget.uid, body, version=budget.version, subresource="status")


def leave(pod: Pod, now: float) -> tuple[Write, ...]:
    """The writes by which the pod learns why it goes, and goes."""
    target = disruption_target(pod, "EvictionByEvictionAPI", "Eviction API: evicting")
    body: JsonObject = {"status": {"conditions": with_condition(conditions_of(pod.body), target, now)}}
    told = Patch(pod.KIND, pod.key, pod.uid, body, version=pod.version, subresource="status")
    return told, Delete(pod.KIND, pod.key, pod.uid)
