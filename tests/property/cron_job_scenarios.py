"""What users do with schedules, and what must hold for them: one Job per moment at most, none forgotten."""

from collections import Counter
from typing import Any

from invariants import controller_of, deleting, name_of, status_of
from job_scenarios import work
from scenarios import Scenario, with_nodes

from nestling.api.json import JsonObject
from nestling.api.kinds import CRON_JOB, JOB
from simulation import World


def start(world: World, job: JsonObject, schedule: str = "* * * * *", **spec: Any) -> None:
    """Nodes, and a schedule. The clock of a world starts at a full hour."""
    with_nodes(world)
    world.create(CRON_JOB, "tick", {"schedule": schedule, "jobTemplate": {"spec": job}, **spec})


def every_minute(world: World) -> None:
    """Three Jobs, of which the history keeps one."""
    start(world, work(2), successfulJobsHistoryLimit=1)
    world.run_for(3 * 60)
    suspend(world)


def failing(world: World) -> None:
    """Jobs that fail, of which the history keeps one."""
    start(world, work(2, code=3, backoffLimit=0))
    world.run_for(3 * 60)
    suspend(world)


def forbidden(world: World) -> None:
    """Jobs that take longer than their schedule allows, one at a time."""
    start(world, work(90), concurrencyPolicy="Forbid")
    world.run_for(4 * 60)
    suspend(world)


def replaced(world: World) -> None:
    """Jobs that take longer than their schedule allows, each ends the one before."""
    start(world, work(90), concurrencyPolicy="Replace")
    world.run_for(3 * 60)
    suspend(world)


def missed(world: World) -> None:
    """A schedule that is suspended over several moments makes up for the last."""
    start(world, work(2), suspend=True)
    world.run_for(4 * 60)
    world.patch(CRON_JOB, "tick", {"spec": {"suspend": False}})
    world.run_for(30)
    suspend(world)


def short_lived(world: World) -> None:
    """Jobs that go when they have finished."""
    start(world, work(2, ttlSecondsAfterFinished=10))
    world.run_for(3 * 60)
    suspend(world)


def deleted(world: World) -> None:
    """A schedule is deleted while a Job works: all of it goes."""
    start(world, work(90))
    world.run_for(80)
    world.delete(CRON_JOB, "tick")


def suspend(world: World) -> None:
    """Let it come to rest."""
    world.patch(CRON_JOB, "tick", {"spec": {"suspend": True}})


SCENARIOS: list[Scenario] = [every_minute, failing, forbidden, replaced, missed, short_lived, deleted]


class OneJobPerMoment:
    """No moment of a schedule ever has two Jobs, and under Forbid and Replace no two work at a time."""

    def __init__(self) -> None:
        self._made: dict[str, str] = {}

    def __call__(self, world: World) -> None:
        """Take note of the Jobs that there are."""
        policies = {one["metadata"]["uid"]: one["spec"]["concurrencyPolicy"] for one in world.list(CRON_JOB)}
        working: Counter[str] = Counter()
        for job in world.list(JOB):
            uid, owner = job["metadata"]["uid"], controller_of(job)
            known = self._made.setdefault(name_of(job), uid)
            assert known == uid, f"{name_of(job)} was made twice"
            if not deleting(job) and "Complete" not in finish_of(job) and "Failed" not in finish_of(job):
                working[owner] += 1
        for owner, count in working.items():
            assert count <= 1 or policies.get(owner, "Allow") == "Allow", f"{count} Jobs work at a time"


def finish_of(job: JsonObject) -> set[str]:
    """The conditions of a Job that are true."""
    return {one["type"] for one in status_of(job).get("conditions") or () if one["status"] == "True"}


def end_state(world: World) -> dict[str, Any]:
    """Schedules and their Jobs, without UIDs and times of writes."""
    schedules = {}
    for one in world.list(CRON_JOB):
        status = status_of(one)
        active = [entry["name"] for entry in status.get("active") or ()]
        schedules[name_of(one)] = (active, status.get("lastScheduleTime"), "lastSuccessfulTime" in status)
    jobs = {
        name_of(job): (sorted(finish_of(job)), status_of(job).get("succeeded"), status_of(job).get("failed"))
        for job in world.list(JOB)
    }
    return {"schedules": schedules, "jobs": jobs}
