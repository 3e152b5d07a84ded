"""Pods that no Job will count any more are let go; all others keep the finalizer until they are counted."""

import pytest

from builders import NOW, a_condition, a_job, a_job_pod, a_pod, a_replica_set, key_for, view_of
from nestling.api.json import JsonObject
from nestling.controllers.job import orphan
from nestling.machinery.cache import Change
from nestling.machinery.plan import Patch, Plan
from nestling.machinery.records.job import Job
from nestling.machinery.records.pod import JOB_TRACKING, Pod

JOB = a_job()
FINISHED = a_job(status={"conditions": [a_condition("Failed")]})
MANAGED = a_job(spec={"managedBy": "example.com/other"}, status=FINISHED["status"])
TWIN = a_job(uid="uid-of-another")


def plan_for(pod: JsonObject, *others: JsonObject) -> Plan:
    return orphan.reconcile(view_of(pod, *others), key_for(pod))


@pytest.mark.parametrize(
    ("pod", "others", "goes"),
    [
        pytest.param(a_job_pod(JOB), [JOB], False, id="its Job works"),
        pytest.param(a_job_pod(JOB, phase="Failed"), [JOB], False, id="its Job will count it"),
        pytest.param(a_job_pod(JOB, phase="Failed"), [FINISHED], True, id="its Job has finished"),
        pytest.param(a_job_pod(JOB, phase="Failed"), [MANAGED], False, id="of another controller"),
        pytest.param(a_job_pod(JOB, phase="Failed"), [], False, id="Job not seen, pod stays"),
        pytest.param(a_job_pod(JOB, deleting_at=NOW), [], True, id="Job gone, pod goes"),
        pytest.param(a_job_pod(JOB, deleting_at=NOW), [TWIN], True, id="Job made anew"),
        pytest.param(a_job_pod(JOB, deleting_at=NOW, tracked=False), [], False, id="not tracked"),
        pytest.param(a_pod(finalizers=[JOB_TRACKING]), [], True, id="nobody's"),
        pytest.param(
            a_pod(finalizers=[JOB_TRACKING], owner=a_replica_set()), [], False, id="of something else"
        ),
    ],
)
def test_finalizer_goes_when_nobody_will_count_the_pod(
    pod: JsonObject, others: list[JsonObject], goes: bool
) -> None:
    plan = plan_for(pod, *others)
    if not goes:
        assert plan == Plan.done()
        return
    (write,) = plan.writes
    assert isinstance(write, Patch)
    rest = [name for name in pod["metadata"]["finalizers"] if name != JOB_TRACKING]
    assert write.body == {"metadata": {"finalizers": rest}}
    assert write.version == 1


def test_pods_are_looked_at_when_their_job_finishes_or_goes() -> None:
    pod = a_job_pod(JOB, phase="Failed")
    view = view_of(pod, a_job_pod(JOB, "counted", tracked=False))
    (route,) = orphan.CONTROLLER.concerns[Job.KIND]
    works, finished = Job.read(a_job()), Job.read(FINISHED)
    assert list(route.keys(view, Change(Job.KIND, works.key, None, works))) == []
    assert list(route.keys(view, Change(Job.KIND, works.key, works, finished))) == [key_for(pod)]
    assert list(route.keys(view, Change(Job.KIND, works.key, works, None))) == [key_for(pod)]


def test_pod_is_looked_at_when_it_has_become_nobodys() -> None:
    (route,) = orphan.CONTROLLER.concerns[Pod.KIND]
    own, nobodys = Pod.read(a_job_pod(JOB)), Pod.read(a_pod("pi-0", finalizers=[JOB_TRACKING]))
    view = view_of(JOB)
    assert list(route.keys(view, Change(Pod.KIND, own.key, None, own))) == []
    assert list(route.keys(view, Change(Pod.KIND, own.key, own, nobodys))) == [own.key]
