"""Success policy, pod failure policy and back-off of Jobs: what a rule matches, how long a wait is."""

from typing import Any

import pytest

from builders import BIRTH, NOW, a_condition, a_job, a_job_pod, key_for
from nestling.api.json import JsonObject
from nestling.controllers.job.backoff import Backoff, delay, finished_at
from nestling.controllers.job.indexes import parse
from nestling.controllers.job.pod_failure_policy import PLAIN, Verdict, judge
from nestling.controllers.job.success_policy import met_rule
from nestling.machinery.clock import timestamp

JOB = a_job()


# --- success policy -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "done", "wanted"),
    [
        pytest.param([], "0-9", None, id="no rules"),
        pytest.param([{"succeededCount": 1}], "", None, id="nothing done"),
        pytest.param([{"succeededCount": 3}], "0,4", None, id="too few"),
        pytest.param([{"succeededCount": 3}], "0,4,9", "Matched rules at index 0", id="any three"),
        pytest.param([{"succeededIndexes": "0-2"}], "0,1", None, id="one of the named is missing"),
        pytest.param([{"succeededIndexes": "0-2"}], "0-5", "Matched rules at index 0", id="all named"),
        pytest.param([{"succeededIndexes": "x"}], "0-9", None, id="unreadable rule"),
        pytest.param([{"succeededIndexes": "20-30"}], "0-9", None, id="rule beyond the last index"),
        pytest.param(
            [{"succeededIndexes": "0-4", "succeededCount": 2}],
            "3,4",
            "Matched rules at index 0",
            id="two of five",
        ),
        pytest.param([{"succeededIndexes": "0-4", "succeededCount": 2}], "4-9", None, id="one of five"),
        pytest.param(
            [{"succeededIndexes": "7"}, {"succeededCount": 1}],
            "3",
            "Matched rules at index 1",
            id="second rule",
        ),
    ],
)
def test_success_policy(rules: list[JsonObject], done: str, wanted: str | None) -> None:
    assert met_rule({"rules": rules}, 10, parse(done, 10)) == wanted


# --- pod failure policy ---------------------------------------------------------------------------


def on_codes(action: str, operator: str = "In", values: tuple[int, ...] = (42,), **more: Any) -> JsonObject:
    return {"action": action, "onExitCodes": {"operator": operator, "values": list(values), **more}}


def on_conditions(action: str, kind: str = "DisruptionTarget", **more: Any) -> JsonObject:
    return {"action": action, "onPodConditions": [{"type": kind, **more}]}


FAIL_JOB = "Container main for pod default/pi-0 failed with exit code 42 matching FailJob rule at index"


@pytest.mark.parametrize(
    ("rules", "code", "wanted"),
    [
        pytest.param([], 42, PLAIN, id="no rules"),
        pytest.param([on_codes("Ignore")], 1, PLAIN, id="no match counts"),
        pytest.param([on_codes("Ignore")], 42, Verdict(counts=False, action="Ignore"), id="ignore"),
        pytest.param([on_codes("Count")], 42, Verdict(action="Count"), id="count"),
        pytest.param([on_codes("FailIndex")], 42, Verdict(action="FailIndex"), id="fail index"),
        pytest.param(
            [on_codes("FailJob")], 42, Verdict(action="FailJob", message=f"{FAIL_JOB} 0"), id="fail job"
        ),
        pytest.param(
            [on_codes("Ignore", values=(1,)), on_codes("FailJob")],
            42,
            Verdict(action="FailJob", message=f"{FAIL_JOB} 1"),
            id="the first that matches",
        ),
        pytest.param([on_codes("Ignore", "NotIn")], 1, Verdict(counts=False, action="Ignore"), id="not in"),
        pytest.param([on_codes("Ignore", "NotIn")], 42, PLAIN, id="is in"),
        pytest.param([on_codes("Ignore", "NotIn")], 0, PLAIN, id="0 never matches"),
        pytest.param([on_codes("Ignore", containerName="side")], 42, PLAIN, id="another container"),
        pytest.param(
            [on_codes("Ignore", containerName="main")],
            42,
            Verdict(counts=False, action="Ignore"),
            id="this container",
        ),
    ],
)
def test_rules_on_exit_codes(rules: list[JsonObject], code: int, wanted: Verdict) -> None:
    pod = a_job_pod(JOB, phase="Failed", exit_code=code)
    assert judge({"rules": rules}, key_for(pod), pod) == wanted


@pytest.mark.parametrize(
    ("rule", "condition", "wanted"),
    [
        pytest.param(on_conditions("Ignore"), a_condition("DisruptionTarget"), "Ignore", id="type"),
        pytest.param(on_conditions("Ignore"), a_condition("DisruptionTarget", "False"), "", id="not true"),
        pytest.param(
            on_conditions("Count", status="False"),
            a_condition("DisruptionTarget", "False"),
            "Count",
            id="status",
        ),
        pytest.param(on_conditions("Ignore"), a_condition("Ready"), "", id="another type"),
    ],
)
def test_rules_on_conditions(rule: JsonObject, condition: JsonObject, wanted: str) -> None:
    pod = a_job_pod(JOB, phase="Failed", status={"conditions": [condition]})
    assert judge({"rules": [rule]}, key_for(pod), pod).action == wanted


def test_condition_that_fails_the_job_is_named() -> None:
    pod = a_job_pod(JOB, phase="Failed", status={"conditions": [a_condition("DisruptionTarget")]})
    message = "Pod default/pi-0 has condition DisruptionTarget matching FailJob rule at index 0"
    assert judge({"rules": [on_conditions("FailJob")]}, key_for(pod), pod).message == message


def test_exit_codes_of_init_containers_come_after_those_of_containers() -> None:
    ended = {"name": "init", "state": {"terminated": {"exitCode": 42, "finishedAt": timestamp(NOW)}}}
    pod = a_job_pod(JOB, phase="Failed", exit_code=1, status={"initContainerStatuses": [ended]})
    found = judge({"rules": [on_codes("FailJob")]}, key_for(pod), pod)
    assert found.message.startswith("Container init for pod default/pi-0 failed with exit code 42")


# --- back-off -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failures", "wanted"), [(0, 0), (1, 10), (2, 20), (3, 40), (6, 320), (7, 600), (100, 600), (2**31, 600)]
)
def test_wait_doubles_from_ten_seconds_to_ten_minutes(failures: int, wanted: float) -> None:
    assert delay(failures) == wanted


@pytest.mark.parametrize(
    ("before", "succeeded", "failed", "wanted"),
    [
        pytest.param(Backoff(), [], [], Backoff(), id="nothing ended"),
        pytest.param(Backoff(2, 5.0), [], [], Backoff(2, 5.0), id="stays"),
        pytest.param(Backoff(), [], [7.0, 9.0], Backoff(2, 9.0), id="two failures"),
        pytest.param(Backoff(2, 5.0), [], [9.0], Backoff(3, 9.0), id="one more"),
        pytest.param(Backoff(2, 5.0), [9.0], [], Backoff(), id="success starts over"),
        pytest.param(Backoff(2, 5.0), [8.0], [7.0, 9.0], Backoff(1, 9.0), id="only failures after it count"),
        pytest.param(Backoff(2, 5.0), [9.0], [9.0], Backoff(), id="at the same moment"),
    ],
)
def test_failures_since_the_last_success(
    before: Backoff, succeeded: list[float], failed: list[float], wanted: Backoff
) -> None:
    assert before.after(succeeded, failed) == wanted


def test_back_off_is_kept_in_the_status() -> None:
    assert Backoff.read({"backoff": Backoff(3, NOW).to_json()}) == Backoff(3, NOW)
    assert Backoff().to_json() is None
    assert Backoff.read({}) == Backoff()


def test_pod_finished_with_its_last_container() -> None:
    pod = a_job_pod(JOB, phase="Failed", ended_at=NOW - 5)
    assert finished_at(pod) == NOW - 5


def test_sidecar_ends_last() -> None:
    ended = {"name": "side", "state": {"terminated": {"exitCode": 0, "finishedAt": timestamp(NOW)}}}
    pod = a_job_pod(
        JOB,
        phase="Failed",
        ended_at=NOW - 5,
        spec={"initContainers": [{"name": "side", "restartPolicy": "Always"}]},
        status={"initContainerStatuses": [ended]},
    )
    assert finished_at(pod) == NOW


def test_pod_without_ended_containers_finished_when_it_ceased_to_be_ready() -> None:
    pod = a_job_pod(
        JOB, phase="Failed", status={"containerStatuses": [{"name": "main", "state": {"waiting": {}}}]}
    )
    assert finished_at(pod) == BIRTH
    pod["status"]["conditions"] = []
    pod["metadata"] |= {"deletionTimestamp": timestamp(NOW), "deletionGracePeriodSeconds": 30}
    assert finished_at(pod) == NOW - 30
    del pod["metadata"]["deletionTimestamp"]
    pod["metadata"]["creationTimestamp"] = timestamp(NOW - 7)
    assert finished_at(pod) == NOW - 7
