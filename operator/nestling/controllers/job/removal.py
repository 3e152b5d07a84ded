"""Which active pods of a Job go first when there are too many.

First those that can be of no use: whose end would not be counted, because the finalizer is gone (we were
about to delete them when we died); and of an indexed Job those without an index, with one that the Job no
longer has, and all but one of those that share an index. Then the pods that have got least far; equals go by
name, so that every look decides alike.
Source: Kubernetes 1.37, pkg/controller/job (activePodsForRemoval), pkg/controller/controller_utils.go
(ActivePods).
"""

from collections.abc import Iterable, Sequence
from typing import Final

from nestling.controllers.job.look import Look
from nestling.controllers.replica_set_deletion import most_restarts
from nestling.machinery.records.pod import NO_INDEX, Pod

_PHASES: Final = {"Pending": 0, "Unknown": 1, "Running": 2}


def surplus(look: Look, number: int) -> list[Pod]:
    """Pods to remove, first to go first: useless ones, and at least `number` in all."""
    useless = [pod for pod in look.active if not pod.tracked]
    useful = [pod for pod in look.active if pod.tracked]
    if look.job.indexed:
        doubles, useful = _one_per_index(look, useful)
        useless += doubles
    missing = number - len(useless)
    return [*useless, *_first_to_go(useful)[:missing]] if missing > 0 else useless


def _one_per_index(look: Look, pods: Iterable[Pod]) -> tuple[list[Pod], list[Pod]]:
    """The pods that an indexed Job has no use for, and the one pod of each of the other indexes."""
    by_index: dict[int, list[Pod]] = {}
    for pod in pods:
        by_index.setdefault(pod.completion_index, []).append(pod)
    useless: list[Pod] = []
    useful: list[Pod] = []
    for index, twins in sorted(by_index.items()):
        if index == NO_INDEX or index >= look.completions:
            useless += twins
            continue
        *spare, best = _first_to_go(twins)
        useless += spare
        useful.append(best)
    return useless, useful


def _first_to_go(pods: Iterable[Pod]) -> Sequence[Pod]:
    """The pods, those that have got least far in front."""
    found = list(pods)
    if len(found) < 2:
        return found
    return sorted(found, key=_progress)


def _progress(pod: Pod) -> tuple[object, ...]:
    # The body is parsed for pods with restarts only: most have had none.
    restarts = most_restarts(pod) if pod.restarts or pod.init_restarts else (0, 0)
    return (
        bool(pod.node_name),
        _PHASES.get(pod.phase, 0),
        pod.ready,
        -pod.ready_at if pod.ready else 0.0,
        (-restarts[0], -restarts[1]),
        -pod.created_at,
        pod.key.name,
    )
