"""Delete finished Jobs once their time to live is over.

Reads Jobs; writes nothing but their deletion, in the foreground: the Job stays until its pods are gone.
Source: Kubernetes 1.37, pkg/controller/ttlafterfinished.
"""

from collections.abc import Iterable
from functools import partial
from typing import Final

from nestling.api.kinds import JOB
from nestling.machinery.controller import Controller, Route, own_key
from nestling.machinery.measure import Metric, Tally
from nestling.machinery.names import Key
from nestling.machinery.plan import Delete, Plan
from nestling.machinery.records.job import Job
from nestling.machinery.view import View

LATENESS: Final = Metric(
    "ttl_after_finished_controller_job_deletion_duration_seconds",
    "Time from the end of a Job's time to live to its deletion.",
    buckets=tuple(0.1 * 2**power for power in range(14)),
)


def reconcile(view: View, key: Key) -> Plan:
    """Plan the deletion of one finished Job, or the moment to look again."""
    job = view.get(Job, key)
    if job is None or job.deleting or job.ttl_s is None:
        return Plan.done("no time to live to enforce")
    if not job.finished:
        return Plan.done("not finished")  # its finishing will wake us
    if job.finished_at is None:
        return Plan.done("its end has no time")
    due = job.finished_at + job.ttl_s
    if view.now < due:
        return Plan.wait_until(due, "time to live runs")
    # The time to live may just have been prolonged: delete the Job as it was seen, or look again.
    return Plan.of(
        Delete(JOB, key, job.uid, version=job.version, propagation="Foreground"),
        why="time to live is over",
        measure=partial(_measure, view.now - due),
    )


def _measure(late_s: float, _done: int, ok: bool, seconds: float) -> Iterable[Tally]:  # noqa: FBT001
    return (Tally(LATENESS, amount=late_s + seconds),) if ok else ()


CONTROLLER: Final = Controller(
    name="ttl-after-finished",
    reconcile=reconcile,
    concerns={JOB: (Route(own_key),)},
    metrics=(LATENESS,),
)
