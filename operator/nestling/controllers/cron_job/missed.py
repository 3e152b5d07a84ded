"""Which moment of a schedule is due, how many were missed before it, and when the next one comes.

Only the most recent missed moment is made up for. The number of missed ones is an estimate, by the distance
of the first two: nobody walks through the minutes of ten years.
Source: Kubernetes 1.37, pkg/controller/cronjob/utils.go (mostRecentScheduleTime, nextScheduleTimeDuration).
"""

from dataclasses import dataclass
from typing import Final

from nestling.api.schedule import Schedule
from nestling.machinery.records.job import CronJob

# More than so many are told of: perhaps a clock is wrong.
MANY: Final = 100
# After the moment itself, for clocks that are a little off.
GRACE_S: Final = 0.1


class Impossible(ValueError):
    """A schedule that can be read and never comes due, or not reasonably. The text says why."""


@dataclass(frozen=True, slots=True)
class Missed:
    """The latest moment that is due (None if none is), and about how many there were since `since`."""

    since: float
    latest: float | None
    count: int


def missed(schedule: Schedule, since: float, now: float) -> Missed:
    """What has come due after `since` and is due at `now`. Raises Impossible."""
    first = schedule.next(since)
    second = None if first is None else schedule.next(first)
    if first is not None and now < first:
        return Missed(since, None, 0)
    if second is not None and now < second:
        return Missed(since, first, 0)
    if first is None or second is None or round(second - first) < 1:
        raise Impossible("time difference between two schedules is less than 1 second")
    distance = round(second - first)
    count = int(now - first) // distance + 1
    # One step back from where the last one should be: the distance need not always be the same.
    latest = None
    moment = schedule.next(first + (count - 2) * distance)
    while moment is not None and moment <= now:
        latest, moment = moment, schedule.next(moment)
    return Missed(since, latest, count)


def since_when(cron_job: CronJob, scheduled_at: float | None) -> float:
    """From when on a moment may be due: since a Job was last made, at `scheduled_at`, or since the start."""
    return cron_job.created_at if scheduled_at is None else scheduled_at


def next_look(schedule: Schedule, since: float, now: float) -> float | None:
    """When the next moment will be due, and a little more (seconds since 1970)."""
    try:
        found = missed(schedule, since, now)
    except Impossible:
        start = now
    else:
        start = found.latest if found.latest is not None else now if found.count else found.since
    due = schedule.next(start)
    return None if due is None else due + GRACE_S
