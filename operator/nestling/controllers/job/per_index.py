"""Failures of single indexes, for Jobs with `backoffLimitPerIndex`: each pod carries the count to the next.

A failed pod keeps its tracking finalizer until its index has a new pod, or until the index is settled:
otherwise the count could be lost with the pod.
Source: Kubernetes 1.37, pkg/controller/job/indexed_job_utils.go, backoff_utils.go.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from nestling.api.json import JsonObject
from nestling.controllers.job import indexes
from nestling.controllers.job.backoff import delay
from nestling.controllers.job.indexes import Intervals
from nestling.controllers.job.look import Look
from nestling.machinery.records.pod import NO_INDEX, Pod
from nestling.machinery.records.workload import INT32_MAX

FAILURES: Final = "batch.kubernetes.io/job-index-failure-count"
IGNORED: Final = "batch.kubernetes.io/job-index-ignored-failure-count"


def failures_of(body: JsonObject) -> int:
    """Failures of the index that counted, before this pod."""
    return _number(body, FAILURES)


def attempts_of(body: JsonObject) -> int:
    """All failures of the index before this pod, ignored ones too."""
    return _number(body, FAILURES) + _number(body, IGNORED)


def is_spent(look: Look, pod: Pod) -> bool:
    """Whether the end of this pod is the end of its index."""
    if not look.is_failed(pod):
        return False
    verdict = look.verdict(pod)
    if verdict.action == "FailIndex":
        return True
    limit = look.job.backoff_limit_per_index or 0
    return verdict.counts and failures_of(look.body_of(pod)) >= limit


def failed_indexes(look: Look, stored: Intervals) -> Intervals:
    """The indexes that have failed for good, those counted before included."""
    spent = {pod.completion_index for pod in look.tracked if look.has_index(pod) and is_spent(look, pod)}
    return indexes.with_indexes(stored, spent)


def predecessors(look: Look, settled: Intervals) -> Mapping[int, Pod]:
    """By index the last failed pod, for indexes that are neither `settled` nor have an active pod."""
    running = {pod.completion_index for pod in look.active}
    found: dict[int, Pod] = {}
    for pod in look.tracked:
        index = pod.completion_index
        if not look.has_index(pod) or not look.is_failed(pod):
            continue
        if index in running or indexes.has(settled, index):
            continue
        before = found.get(index)
        if before is None or _follows(look, pod, before):
            found[index] = pod
    return found


def _follows(look: Look, pod: Pod, before: Pod) -> bool:
    return attempts_of(look.body_of(before)) <= attempts_of(look.body_of(pod)) and look.finished_at(
        before
    ) <= look.finished_at(pod)


def ready_now(look: Look, wanted: Iterable[int], last: Mapping[int, Pod]) -> tuple[list[int], float | None]:
    """Of the `wanted` indexes those whose wait is over; if there are none, when the first will be."""
    now: list[int] = []
    first: float | None = None
    for index in wanted:
        pod = last.get(index)
        if pod is None:
            now.append(index)
            continue
        due = look.finished_at(pod) + delay(attempts_of(look.body_of(pod)) + 1)
        if due <= look.now:
            now.append(index)
        elif first is None or due < first:
            first = due
    return now, None if now else first


def annotations_after(look: Look, last: Pod | None) -> dict[str, str]:
    """What a new pod carries on from the last one of its index."""
    counted = ignored = 0
    if last is not None:
        body = look.body_of(last)
        counted, ignored = _number(body, FAILURES), _number(body, IGNORED)
        if look.verdict(last).counts:
            counted += 1
        else:
            ignored += 1
    found = {FAILURES: str(counted)}
    if ignored:
        found[IGNORED] = str(ignored)
    return found


def _number(body: JsonObject, annotation: str) -> int:
    text: str = (body["metadata"].get("annotations") or {}).get(annotation, "")
    number = int(text) if text.isascii() and text.isdecimal() else 0
    return number if number <= INT32_MAX else 0


def is_held(pod: Pod, last: Mapping[int, Pod]) -> bool:
    """Whether the pod has to keep its finalizer until its index has a new pod."""
    found = last.get(pod.completion_index) if pod.completion_index != NO_INDEX else None
    return found is not None and found.uid == pod.uid
