"""Series of Jobs.

What a native API server fills in when it stores a Job, the record reads before anybody has written it.
Source: kube-state-metrics 2.x, internal/store/job.go.
"""

from typing import Final

from nestling.machinery.conditions import conditions_of
from nestling.machinery.records.job import Job
from nestling.monitoring.kube_state.family import CONDITION_STATES, Exporter, Family, Page, identity_of
from nestling.monitoring.kube_state.reading import OWNER_LABELS, add_owners, labels_family

IDENTITY: Final = ("cluster", "namespace", "job_name")
# A Job that failed for another reason has its failed pods told under the reason "".
KNOWN_REASONS: Final = ("BackoffLimitExceeded", "DeadlineExceeded", "Evicted")


def _family(name: str, text: str, labels: tuple[str, ...] = (), states: tuple[str, ...] = ()) -> Family:
    return Family(f"kube_job_{name}", text, IDENTITY, labels, states=states)


LABELS: Final = labels_family("job", IDENTITY)
INFO: Final = _family("info", "That a Job exists; always 1.")
CREATED: Final = _family("created", "When a Job was created (Unix time).")
OWNER: Final = _family("owner", "What owns a Job.", OWNER_LABELS)
PARALLELISM: Final = _family("spec_parallelism", "Most pods of a Job that run at a time.")
COMPLETIONS: Final = _family("spec_completions", "Pods of a Job that have to succeed.")
DEADLINE: Final = _family("spec_active_deadline_seconds", "How long a Job may be active.")
ACTIVE: Final = _family("status_active", "Pods of a Job that have not ended.")
SUCCEEDED: Final = _family("status_succeeded", "Pods of a Job that succeeded.")
PODS_FAILED: Final = _family(
    "status_failed", "Pods of a Job that failed; 1 for the reason that the Job failed for.", ("reason",)
)
STARTED: Final = _family("status_start_time", "When a Job was started (Unix time).")
COMPLETED: Final = _family("status_completion_time", "When a Job was complete (Unix time).")
# Type of the condition that each is read from.
ENDS: Final = {
    "Complete": _family("complete", "Whether a Job is complete.", ("condition",), CONDITION_STATES),
    "Failed": _family("failed", "Whether a Job has failed.", ("condition",), CONDITION_STATES),
}


def write(job: Job, page: Page) -> None:
    """All series of one Job."""
    key = job.key
    who = identity_of(IDENTITY, key.cluster, key.namespace, key.name)
    page[INFO].add(who, 1)
    page[CREATED].add(who, int(job.created_at))
    add_owners(page[OWNER], who, job)
    page[PARALLELISM].add(who, job.parallelism)
    if job.completions is not None:
        page[COMPLETIONS].add(who, job.completions)
    if job.deadline_s is not None:
        page[DEADLINE].add(who, job.deadline_s)
    page[ACTIVE].add(who, job.active)
    page[SUCCEEDED].add(who, job.succeeded)
    if job.started_at is not None:
        page[STARTED].add(who, int(job.started_at))
    if job.completed_at is not None:
        page[COMPLETED].add(who, int(job.completed_at))
    failures: list[str] = []
    for condition in conditions_of(job.body):
        kind = condition["type"]
        if kind in ENDS:
            page[ENDS[kind]].states(who, (condition.get("status") or "").lower())
        if kind == "Failed":
            failures.append(condition.get("reason") or "")
    _write_failed(job.failed, failures, who, page)


def _write_failed(failed: int, reasons: list[str], who: str, page: Page) -> None:
    """How many pods failed, or why the Job did: a known reason takes the place of the number.

    kube-state-metrics leaves out the label where no pod failed, which to Prometheus is the empty one.
    """
    section = page[PODS_FAILED]
    if failed:
        for reason in reasons:
            for known in KNOWN_REASONS:
                section.add(who, int(reason == known), known)
    if not failed or not any(reason in KNOWN_REASONS for reason in reasons):
        section.add(who, failed, "")


EXPORTER: Final = Exporter(
    Job,
    (
        LABELS,
        INFO,
        CREATED,
        OWNER,
        PARALLELISM,
        COMPLETIONS,
        DEADLINE,
        ACTIVE,
        SUCCEEDED,
        PODS_FAILED,
        STARTED,
        COMPLETED,
        *ENDS.values(),
    ),
    write,
)
