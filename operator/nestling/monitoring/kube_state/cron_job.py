"""Series of CronJobs.

Source: kube-state-metrics 2.x, internal/store/cronjob.go.
"""

from functools import lru_cache
from typing import Final

from nestling.api.schedule import UnknownZone, Unparseable, parse
from nestling.machinery.records.job import CronJob
from nestling.monitoring.kube_state.family import Exporter, Family, Page, identity_of
from nestling.monitoring.kube_state.reading import flag, labels_family

IDENTITY: Final = ("cluster", "namespace", "cronjob")
# What kube-state-metrics calls the zone of a CronJob that names none.
NO_ZONE: Final = "local"


def _family(name: str, text: str, labels: tuple[str, ...] = ()) -> Family:
    return Family(f"kube_cronjob_{name}", text, IDENTITY, labels)


LABELS: Final = labels_family("cronjob", IDENTITY)
INFO: Final = _family(
    "info", "When a CronJob makes Jobs; always 1.", ("schedule", "concurrency_policy", "timezone")
)
CREATED: Final = _family("created", "When a CronJob was created (Unix time).")
SUSPEND: Final = _family("spec_suspend", "Whether a CronJob is suspended.")
DEADLINE: Final = _family("spec_starting_deadline_seconds", "How late a Job may be started.")
ACTIVE: Final = _family("status_active", "Jobs of a CronJob that have not finished.")
SCHEDULED: Final = _family("status_last_schedule_time", "Moment of the last Job (Unix time).")
SUCCEEDED: Final = _family("status_last_successful_time", "When a Job last succeeded (Unix time).")
NEXT: Final = _family(
    "next_schedule_time", "Moment after that of the last Job, or after the creation (Unix time)."
)


def write(cron_job: CronJob, page: Page) -> None:
    """All series of one CronJob; its record holds everything there is."""
    key = cron_job.key
    who = identity_of(IDENTITY, key.cluster, key.namespace, key.name)
    page[INFO].add(who, 1, cron_job.schedule, cron_job.concurrency, cron_job.zone or NO_ZONE)
    page[CREATED].add(who, int(cron_job.created_at))
    page[SUSPEND].add(who, flag(cron_job.suspended))
    if cron_job.deadline_s is not None:
        page[DEADLINE].add(who, cron_job.deadline_s)
    page[ACTIVE].add(who, cron_job.active)
    if cron_job.scheduled_at is not None:
        page[SCHEDULED].add(who, int(cron_job.scheduled_at))
    if cron_job.succeeded_at is not None:
        page[SUCCEEDED].add(who, int(cron_job.succeeded_at))
    if not cron_job.suspended:
        since = cron_job.created_at if cron_job.scheduled_at is None else cron_job.scheduled_at
        due = due_after(cron_job.schedule, cron_job.zone, since)
        if due is not None:
            page[NEXT].add(who, int(due))


@lru_cache(maxsize=1024)
def due_after(schedule: str, zone: str, since: float) -> float | None:
    """The first moment of a schedule after `since`; None if it has none or cannot be read.

    kube-state-metrics ends where it cannot read a schedule. The controller tells of it by an event.
    """
    try:
        return parse(schedule, zone).next(since)
    except (Unparseable, UnknownZone):
        return None


EXPORTER: Final = Exporter(
    CronJob, (LABELS, INFO, CREATED, SUSPEND, DEADLINE, ACTIVE, SCHEDULED, SUCCEEDED, NEXT), write
)
