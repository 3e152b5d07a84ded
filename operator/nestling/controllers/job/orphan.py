"""Let go of pods that no Job will count any more: their Job is gone or has finished, or they have no owner.

Looks at one pod; writes its finalizers only. A Job that is not to be seen is taken for gone only when the pod
itself is on its way out: whoever collects orphans deletes it then, after asking the host.
Source: Kubernetes 1.37, pkg/controller/job/job_controller.go (syncOrphanPod).
"""

from collections.abc import Iterable
from typing import Final

from nestling.api.kinds import JOB, POD
from nestling.controllers.job.reconcile import release
from nestling.machinery.cache import Change
from nestling.machinery.controller import Controller, Route
from nestling.machinery.names import Key, key_of
from nestling.machinery.plan import Plan
from nestling.machinery.records.job import Job
from nestling.machinery.records.pod import Pod
from nestling.machinery.view import View


def reconcile(view: View, key: Key) -> Plan:
    """Plan to take the tracking finalizer off one pod that nobody will count."""
    pod = view.get(Pod, key)
    if pod is None or not pod.tracked:
        return Plan.done("not tracked")
    if not is_forsaken(view, pod):
        return Plan.done("its Job will count it")
    return Plan.of(release(pod), why="no Job will count it")


def is_forsaken(view: View, pod: Pod) -> bool:
    """Whether no Job will ever count this pod."""
    owner = pod.controller
    if owner is None:
        return True
    if owner.kind != JOB.name:
        return False
    job = view.get(Job, key_of(JOB, pod.key.cluster, owner.name))
    if job is None or job.uid != owner.uid:
        return pod.deleting
    return job.finished and job.ours


def _pod(view: View, change: Change) -> Iterable[Key]:
    pod = change.new
    return (change.key,) if isinstance(pod, Pod) and pod.tracked and is_forsaken(view, pod) else ()


def _pods_of_job(view: View, change: Change) -> Iterable[Key]:
    """The pods of a Job that has just finished or gone."""
    job = change.new
    if isinstance(job, Job) and not job.finished:
        return ()
    return [pod.key for pod in view.owned(Pod, change.record.uid) if pod.tracked]


CONTROLLER: Final = Controller(
    name="job-orphan-pod",
    reconcile=reconcile,
    concerns={POD: (Route(_pod),), JOB: (Route(_pods_of_job),)},
)
