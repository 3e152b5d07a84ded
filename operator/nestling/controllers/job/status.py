"""What a Job says about itself, and what kubectl shows of it.

As natively, figures of 0 are left out, but for `ready` and `terminating`. The duration of a Job that runs
depends on when one looks, so it is shown when the Job has finished.
Source: Kubernetes 1.37, k8s.io/api/batch/v1, pkg/printers/internalversion (printJob).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from nestling.api.json import JsonObject
from nestling.controllers.job import condition
from nestling.controllers.job.backoff import Backoff
from nestling.controllers.job.indexes import Intervals, text_of
from nestling.controllers.job.tracking import Uncounted
from nestling.controllers.status_change import selector_column, status_write
from nestling.machinery.clock import timestamp
from nestling.machinery.duration import human
from nestling.machinery.plan import Patch
from nestling.machinery.records.job import Job

UNCOUNTED: Final = "uncountedTerminatedPods"
_WORDS: Final = (condition.COMPLETE, condition.FAILED)
_LATER_WORDS: Final = (condition.SUSPENDED, condition.FAILURE_TARGET, condition.SUCCESS_CRITERIA_MET)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A Job's status, before it becomes JSON. `lost` is None without a limit per index."""

    active: int
    ready: int
    terminating: int
    succeeded: int
    failed: int
    done: Intervals
    lost: Intervals | None
    uncounted: Uncounted
    started_at: float | None
    completed_at: float | None
    conditions: Sequence[JsonObject]
    backoff: Backoff


def write(job: Job, stored: JsonObject, state: State) -> Patch | None:
    """The write that turns the `stored` status into this one; None if they are alike."""
    wanted: JsonObject = {
        "active": state.active or None,
        "ready": state.ready,
        "terminating": state.terminating,
        "succeeded": state.succeeded or None,
        "failed": state.failed or None,
        "completedIndexes": text_of(state.done) or None,
        "failedIndexes": None if state.lost is None else text_of(state.lost),
        UNCOUNTED: state.uncounted.to_json(),
        "startTime": _text(state.started_at),
        "completionTime": _text(state.completed_at),
        "conditions": list(state.conditions) or None,
        "backoff": state.backoff.to_json(),
        "display": display(job, state),
    }
    patch = status_write(job, stored, wanted)
    if patch is not None and UNCOUNTED in patch.body["status"]:
        lists = state.uncounted.to_json()
        # A merge patch takes a list away only when it is told to.
        patch.body["status"][UNCOUNTED] = {name: lists.get(name) for name in ("succeeded", "failed")}
    return patch


def display(job: Job, state: State) -> JsonObject:
    """The columns of `kubectl get`."""
    if job.completions is not None:
        wanted = str(job.completions)
    else:
        wanted = f"1 of {job.parallelism}" if job.parallelism > 1 else "1"
    shown = {
        "completions": f"{state.succeeded}/{wanted}",
        "selector": selector_column(job.selector),
        "status": word(job, state.conditions),
    }
    if state.started_at is not None and state.completed_at is not None:
        shown["duration"] = human(int(state.completed_at) - int(state.started_at))
    return shown


def word(job: Job, conditions: Sequence[JsonObject]) -> str:
    """The state of the Job in one word."""
    true = {entry["type"] for entry in conditions if entry.get("status") == "True"}
    words = _WORDS if job.deleting else (*_WORDS, *_LATER_WORDS)
    return next((kind for kind in words if kind in true), "Terminating" if job.deleting else "Running")


def _text(seconds: float | None) -> str | None:
    return None if seconds is None else timestamp(seconds)
