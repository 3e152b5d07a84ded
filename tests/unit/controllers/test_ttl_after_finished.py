"""Finished Jobs are deleted when their time to live is over, and not before."""

from typing import Any

import pytest

from builders import NOW, a_condition, a_job, key_for, view_of
from nestling.api.json import JsonObject
from nestling.api.kinds import JOB
from nestling.controllers import ttl_after_finished
from nestling.machinery.plan import Delete, Plan


def finished(ttl: int | None, ago: float, kind: str = "Complete", **meta: Any) -> JsonObject:
    spec = {"ttlSecondsAfterFinished": ttl}
    return a_job(spec=spec, status={"conditions": [a_condition(kind, since=NOW - ago)]}, **meta)


JOB_KEY = key_for(a_job())
DELETION = Plan.of(Delete(JOB, JOB_KEY, a_job()["metadata"]["uid"], version=1, propagation="Foreground"))


@pytest.mark.parametrize(
    ("job", "plan"),
    [
        pytest.param(a_job(spec={"ttlSecondsAfterFinished": 60}), Plan.done(), id="works"),
        pytest.param(finished(60, 59), Plan.wait_until(NOW + 1), id="one second left"),
        pytest.param(finished(60, 60), DELETION, id="exactly due"),
        pytest.param(finished(60, 60, "Failed"), DELETION, id="failed ones too"),
        pytest.param(finished(0, 0), DELETION, id="zero means at once"),
        pytest.param(finished(None, 86400), Plan.done(), id="no ttl keeps it"),
        pytest.param(finished(0, 0, deleting_at=NOW), Plan.done(), id="on its way out"),
        pytest.param(finished(0, -30), Plan.wait_until(NOW + 30), id="finished in the future"),
    ],
)
def test_finished_job_is_deleted_when_its_time_to_live_is_over(job: JsonObject, plan: Plan) -> None:
    assert ttl_after_finished.reconcile(view_of(job), JOB_KEY) == plan


def test_job_that_is_gone_has_no_time_to_live() -> None:
    assert ttl_after_finished.reconcile(view_of(), JOB_KEY) == Plan.done()
