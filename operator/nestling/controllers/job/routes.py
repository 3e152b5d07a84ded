"""Whose changes concern a Job, and how long they may be gathered.

Kubernetes gathers pods for a second. What lets a Job go on is gathered for less here, because a look costs
little; figures that only inform wait for the second.
Source: Kubernetes 1.37, pkg/controller/job/job_controller.go (SyncJobBatchPeriod).
"""

from collections.abc import Iterable
from typing import Final, cast

from nestling.api.kinds import JOB, POD
from nestling.controllers.job.metrics import METRICS
from nestling.controllers.job.reconcile import reconcile
from nestling.machinery.cache import Change
from nestling.machinery.controller import Controller, Route, own_key, owner_key
from nestling.machinery.names import Key
from nestling.machinery.records.job import Job
from nestling.machinery.records.pod import Pod
from nestling.machinery.view import View

GATHER_S: Final = 0.2
GATHER_FIGURES_S: Final = 1.0

_owner = owner_key(JOB)


def asked(view: View, change: Change) -> Iterable[Key]:
    """Jobs of which their users want something new."""
    old, new = cast("Job | None", change.old), cast("Job | None", change.new)
    same = old is not None and new is not None and _wish(old) == _wish(new)
    return () if same else own_key(view, change)


def work(view: View, change: Change) -> Iterable[Key]:
    """Jobs that may have to act or to count: a pod came, ended, went or changed hands."""
    old, new = cast("Pod | None", change.old), cast("Pod | None", change.new)
    if new is None:
        # A pod that was counted and is gone changes nothing.
        return _owner(view, change) if old is not None and (old.tracked or not old.terminal) else ()
    if old is not None and _state(old) == _state(new):
        return ()
    found = dict.fromkeys(_owner(view, change))
    if new.controller is None and not new.deleting:
        found.update((job.key, None) for job in view.selecting(Job, new.key.namespace, new.labels))
    return found


def figures(view: View, change: Change) -> Iterable[Key]:
    """Jobs whose figures a pod has changed, and nothing else."""
    old, new = cast("Pod | None", change.old), cast("Pod | None", change.new)
    if old is None or new is None:
        return ()
    changed = (old.ready, old.restarts, old.init_restarts) != (new.ready, new.restarts, new.init_restarts)
    return _owner(view, change) if changed else ()


def _wish(job: Job) -> tuple[object, ...]:
    return (job.generation, job.deleting)


def _state(pod: Pod) -> tuple[object, ...]:
    return (pod.terminal, pod.deleting, pod.tracked, pod.labels, pod.controller)


CONTROLLER: Final = Controller(
    name="job",
    reconcile=reconcile,
    metrics=METRICS,
    concerns={
        JOB: (Route(asked), Route(own_key, delay_s=GATHER_S)),
        POD: (Route(work, delay_s=GATHER_S), Route(figures, delay_s=GATHER_FIGURES_S)),
    },
)
