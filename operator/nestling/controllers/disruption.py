"""Count how many pods of a disruption budget may go at this moment.

Reads the budget, the pods it selects and their owners' scale; writes the budget's status. Whoever evicts
(`eviction`, preemption) takes from `disruptionsAllowed` and notes the pod in `disruptedPods`; here the note
is dropped when the pod is on its way out, or was not deleted within two minutes. When the count fails,
nothing may go: the condition says why. Pods that several budgets select, or nobody manages, are told of by
an event, as nothing else would say it.
Source: Kubernetes 1.37, pkg/controller/disruption/disruption.go,
component-helpers/apps/poddisruptionbudget.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, cast

from nestling.api.json import JsonObject, JsonValue
from nestling.api.kinds import (
    DEPLOYMENT,
    POD,
    POD_DISRUPTION_BUDGET,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    STATEFUL_SET,
)
from nestling.controllers.deployment.fenceposts import scaled
from nestling.controllers.expected_scale import Expected, expected_scale
from nestling.controllers.status_change import status_write
from nestling.machinery.cache import Change
from nestling.machinery.clock import timestamp
from nestling.machinery.conditions import conditions_of, with_condition
from nestling.machinery.controller import Controller, Route, own_key
from nestling.machinery.names import Key
from nestling.machinery.plan import Emit, Plan, Write
from nestling.machinery.records.base import Record, condition
from nestling.machinery.records.budget import PodDisruptionBudget
from nestling.machinery.records.pod import Pod
from nestling.machinery.view import View

COMPONENT: Final = "controllermanager"
DISRUPTION_ALLOWED: Final = "DisruptionAllowed"
SYNC_FAILED: Final = "SyncFailed"
# How long a granted eviction is expected to take until the pod is seen to be on its way out.
DELETION_TIMEOUT_S: Final = 120.0
# Pods that one look tells of being in several budgets: one is enough to find the mistake.
BURST: Final = 100
# Pods of a rollout become ready in swarms: one count for all of them.
GATHER_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Disrupted:
    """Pods whose eviction was granted and is still to be seen, with the time of the grant as written.

    `late` are those that should have been on their way out by now; `next_at` is when the first of the others
    will be late.
    """

    waiting: Mapping[str, str]
    late: tuple[Pod, ...]
    next_at: float | None


def disrupted_pods(budget: PodDisruptionBudget, pods: Iterable[Pod], now: float) -> Disrupted:
    """What is left of the budget's list of granted evictions."""
    waiting: dict[str, str] = {}
    late: list[Pod] = []
    next_at: float | None = None
    for pod in pods:
        granted = budget.disrupted.get(pod.key.name)
        if granted is None or pod.deleting:
            continue
        due = granted + DELETION_TIMEOUT_S
        if due < now:
            late.append(pod)
            continue
        waiting[pod.key.name] = timestamp(granted)
        next_at = due if next_at is None else min(next_at, due)
    return Disrupted(waiting, tuple(late), next_at)


def healthy(pods: Iterable[Pod], disrupted: Mapping[str, float], now: float) -> int:
    """Pods that are ready and are not about to go."""
    return sum(
        pod.ready and not pod.deleting and disrupted.get(pod.key.name, 0.0) + DELETION_TIMEOUT_S <= now
        for pod in pods
    )


def wanted(view: View, budget: PodDisruptionBudget, pods: Sequence[Pod]) -> tuple[Expected, int]:
    """How many pods there should be, and how many of them have to stay healthy."""
    least, missing = budget.min_available, budget.max_unavailable
    if missing is not None:
        expected = expected_scale(view, pods)
        return expected, max(expected.count - scaled(missing, expected.count, round_up=True), 0)
    if isinstance(least, int):
        return Expected(len(pods)), least
    if least is None:
        return Expected(), 0
    expected = expected_scale(view, pods)
    return expected, scaled(least, expected.count, round_up=True)


def reconcile(view: View, key: Key) -> Plan:
    """Plan the status of one budget."""
    budget = view.get(PodDisruptionBudget, key)
    if budget is None:
        return Plan.done("gone")
    pods = list(view.selected(Pod, key.namespace, budget.selector))
    expected, desired = wanted(view, budget, pods)
    if expected.error:
        return _failed(budget, expected.error, view.now)
    disrupted = disrupted_pods(budget, pods, view.now)
    still = {name: budget.disrupted[name] for name in disrupted.waiting}
    current = healthy(pods, still, view.now)
    allowed = max(current - desired, 0) if expected.count > 0 else 0
    figures: JsonObject = {
        "currentHealthy": current,
        "desiredHealthy": desired,
        "expectedPods": expected.count,
        "disruptionsAllowed": allowed,
        "disruptedPods": _replaced(budget.disrupted, disrupted.waiting),
        "observedGeneration": budget.generation,
        "conditions": _conditions(budget, allowed, view.now),
    }
    status = status_write(budget, budget.body.get("status"), figures)
    writes: list[Write] = [_not_deleted(budget, pod) for pod in disrupted.late]
    if expected.unmanaged:
        writes.append(_unmanaged(budget))
    if status is not None:
        if not pods:
            writes.append(_event(budget, "Normal", "NoPods", "No matching pods found"))
        writes += _doubly_covered(view, budget, pods)
        writes.append(status)
    why = f"{allowed} of {current} healthy pods may go"
    return Plan.of(*writes, why=why, wake_at=disrupted.next_at)


def _failed(budget: PodDisruptionBudget, error: str, now: float) -> Plan:
    """Nothing may go while nobody can tell how many should be there. A change will bring us back."""
    body = budget.body
    failure: JsonObject = {
        "type": DISRUPTION_ALLOWED,
        "status": "False",
        "reason": SYNC_FAILED,
        "message": error,
        "observedGeneration": budget.observed_generation,
    }
    wanted: JsonObject = {
        "disruptionsAllowed": 0,
        "conditions": with_condition(conditions_of(body), failure, now),
    }
    status = status_write(budget, body.get("status"), wanted)
    if status is None:
        return Plan.done(error)
    message = f"Failed to calculate the number of expected pods: {error}"
    event = _event(budget, "Warning", "CalculateExpectedPodCountFailed", message)
    return Plan.of(event, status, why=error)


def _conditions(budget: PodDisruptionBudget, allowed: int, now: float) -> list[JsonObject]:
    body = budget.body
    state: JsonObject = {
        "type": DISRUPTION_ALLOWED,
        "status": "True" if allowed else "False",
        "reason": "SufficientPods" if allowed else "InsufficientPods",
        "message": "",
        "observedGeneration": budget.generation,
    }
    return with_condition(conditions_of(body), state, now)


def _replaced(before: Mapping[str, float], after: Mapping[str, str]) -> JsonValue:
    """The map as a merge patch has to name it: what goes has to be named too; None for none at all."""
    if not after:
        return None
    return {**dict.fromkeys(before, None), **after} if before.keys() - after.keys() else dict(after)


def _doubly_covered(view: View, budget: PodDisruptionBudget, pods: Iterable[Pod]) -> list[Write]:
    """Events on pods that other budgets select too; the first of the budgets by name tells."""
    found: list[Write] = []
    if all(one.key == budget.key for one in view.in_namespace(PodDisruptionBudget, budget.key.namespace)):
        return found
    for pod in pods:
        if len(found) == BURST:
            break
        budgets = list(view.selecting(PodDisruptionBudget, pod.key.namespace, pod.labels))
        if len(budgets) < 2 or min(one.key.name for one in budgets) != budget.key.name:
            continue
        message = (
            f'Pod "{pod.key.namespace}"/"{pod.key.name}" matches multiple PodDisruptionBudgets.  '
            f'Chose "{budget.key.name}" arbitrarily.'
        )
        found.append(
            Emit(POD, pod.key, pod.uid, "Warning", "MultiplePodDisruptionBudgets", message, COMPONENT)
        )
    return found


def _not_deleted(budget: PodDisruptionBudget, pod: Pod) -> Emit:
    # The namespace twice, and no name: so it stands in Kubernetes 1.37.
    namespace = budget.key.namespace
    message = f"Pod was expected by PDB {namespace}/{namespace} to be deleted but it wasn't"
    return Emit(POD, pod.key, pod.uid, "Warning", "NotDeleted", message, COMPONENT)


def _unmanaged(budget: PodDisruptionBudget) -> Emit:
    message = (
        f"Pods selected by this PodDisruptionBudget (selector: {_printed(budget)}) were found to be "
        "unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in "
        'undefined behavior. To account for these pods please set ".spec.minAvailable" field of the PDB to '
        "an integer value."
    )
    return _event(budget, "Warning", "UnmanagedPods", message)


def _printed(budget: PodDisruptionBudget) -> str:
    """The selector as Go prints it."""
    selector: JsonObject = budget.body["spec"].get("selector") or {}
    labels: JsonObject = selector.get("matchLabels") or {}
    expressions: list[JsonObject] = selector.get("matchExpressions") or []
    pairs = "".join(f"{name}: {labels[name]}," for name in sorted(labels))
    requirements = "".join(
        f"LabelSelectorRequirement{{Key:{one['key']},Operator:{one['operator']},"
        f"Values:[{' '.join(one.get('values') or ())}],}},"
        for one in expressions
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{pairs}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{requirements}}},}}"
    )


def _event(
    budget: PodDisruptionBudget, kind: Literal["Normal", "Warning"], reason: str, message: str
) -> Emit:
    return Emit(POD_DISRUPTION_BUDGET, budget.key, budget.uid, kind, reason, message, COMPONENT)


def _covering(view: View, change: Change) -> Iterable[Key]:
    """Budgets whose figures a pod changes: those that select it, and those that did."""
    old, new = cast("Pod | None", change.old), cast("Pod | None", change.new)
    if old is not None and new is not None and _looks_of(old) == _looks_of(new):
        return ()
    found: dict[Key, None] = {}
    for pod in (old, new):
        if pod is not None:
            budgets = view.selecting(PodDisruptionBudget, pod.key.namespace, pod.labels)
            found.update((budget.key, None) for budget in budgets)
    return found


def _looks_of(pod: Pod) -> tuple[object, ...]:
    return pod.ready, pod.deleting, pod.labels, pod.controller


def _waiting_for_owner(view: View, change: Change) -> Iterable[Key]:
    """Budgets that could not be counted, when an owner comes that they may have missed."""
    if change.old is not None:
        return ()
    budgets = view.in_namespace(PodDisruptionBudget, change.key.namespace)
    return [budget.key for budget in budgets if _has_failed(budget)]


def _has_failed(budget: Record) -> bool:
    return (condition(budget.body, DISRUPTION_ALLOWED) or {}).get("reason") == SYNC_FAILED


_OWNERS: Final = (REPLICA_SET, REPLICATION_CONTROLLER, DEPLOYMENT, STATEFUL_SET)

CONTROLLER: Final = Controller(
    name="disruption",
    reconcile=reconcile,
    concerns={
        POD_DISRUPTION_BUDGET: (Route(own_key),),
        POD: (Route(_covering, delay_s=GATHER_S),),
        **dict.fromkeys(_OWNERS, (Route(_waiting_for_owner, delay_s=GATHER_S),)),
    },
)
