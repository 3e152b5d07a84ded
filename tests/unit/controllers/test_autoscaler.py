"""Autoscalers: how many pods usage asks for, how fast the number may change, and what is said about it."""

from collections.abc import Mapping
from typing import Any

import pytest

from builders import (
    BIRTH,
    NOW,
    a_condition,
    a_deployment,
    a_pod,
    a_replica_set,
    a_replication_controller,
    an_autoscaler,
    cache_of,
    key_for,
    view_of,
)
from nestling.api.json import JsonObject
from nestling.api.kinds import DEPLOYMENT, HORIZONTAL_POD_AUTOSCALER
from nestling.controllers.autoscaler import pace
from nestling.controllers.autoscaler.demand import Amounts
from nestling.controllers.autoscaler.reconcile import controller, reconcile
from nestling.controllers.autoscaler.report import targets
from nestling.kubelet.usage import usage_of
from nestling.machinery.cache import Change
from nestling.machinery.clock import timestamp, timestamp_micro
from nestling.machinery.measure import Tally
from nestling.machinery.plan import Emit, Patch, Plan
from nestling.machinery.records.autoscaler import Advice, HorizontalPodAutoscaler

REQUESTS = {"resources": {"requests": {"cpu": "100m", "memory": "100Mi"}}}


def a_worker(name: str, *, ready: bool = True, requests: JsonObject | None = None, **more: Any) -> JsonObject:
    """A pod that has run for an hour."""
    container = {"name": "main", "image": "web:1", **(REQUESTS if requests is None else requests)}
    status = {"startTime": timestamp(BIRTH), **more.pop("status", {})}
    more.setdefault("phase", "Running")
    return a_pod(name, node="n1", ready=ready, spec={"containers": [container]}, status=status, **more)


def meter(usage: Mapping[str, int | None]) -> Any:
    """CPU by pod, in thousandths of a core; None for a pod of which nothing is known."""

    def read(pod: JsonObject, now: float) -> Mapping[str, Amounts]:
        del now
        used = usage.get(pod["metadata"]["name"])
        return {} if used is None else {"main": {"cpu": used, "memory": used * 2**20 * 1000}}

    return read


def plan_for(
    hpa: JsonObject, *others: JsonObject, now: float = NOW, refusal: str = "", **usage: int | None
) -> Plan:
    view = view_of(hpa, *others, now=now, refusal=refusal)
    return reconcile(view, key_for(hpa), meter=meter(usage))


def scaled_to(plan: Plan) -> int | None:
    found = [
        w.body["spec"]["replicas"] for w in plan.writes if isinstance(w, Patch) and w.subresource == "scale"
    ]
    return found[0] if found else None


def status_of(plan: Plan) -> JsonObject:
    found = [w.body["status"] for w in plan.writes if isinstance(w, Patch) and w.subresource == "status"]
    assert len(found) <= 1
    return found[0] if found else {}


def conditions(plan: Plan) -> dict[str, tuple[str, str]]:
    return {one["type"]: (one["status"], one["reason"]) for one in status_of(plan)["conditions"]}


def events(plan: Plan) -> list[tuple[str, str]]:
    said = [w for w in plan.writes if isinstance(w, Emit)]
    said += [w.on_success for w in plan.writes if isinstance(w, Patch) and w.on_success is not None]
    return [(one.reason, one.message) for one in said]


# --- how many -------------------------------------------------------------------------------------

TARGET = "cpu resource utilization (percentage of request)"


@pytest.mark.parametrize(
    ("usage", "wanted"),
    [
        pytest.param({"a": 50, "b": 50}, None, id="on target"),
        pytest.param({"a": 55, "b": 55}, None, id="within tolerance"),
        pytest.param({"a": 56, "b": 56}, 3, id="just beyond tolerance"),
        pytest.param({"a": 100, "b": 100}, 4, id="twice the target"),
        pytest.param({"a": 90, "b": 30}, 3, id="the average counts"),
        pytest.param({"a": 1000, "b": 1000}, 4, id="no faster than twice, or four"),
    ],
)
def test_usage_above_target_asks_for_more(usage: dict[str, int], wanted: int | None) -> None:
    web = a_deployment(replicas=2)
    read: dict[str, Any] = dict(usage)
    plan = plan_for(an_autoscaler(), web, a_worker("a"), a_worker("b"), **read)
    assert scaled_to(plan) == wanted
    if wanted:
        assert events(plan) == [("SuccessfulRescale", f"New size: {wanted}; reason: {TARGET} above target")]
    assert plan.wake_at == NOW + 15


STARTING: dict[str, Any] = {
    "ready": False,
    "ready_at": NOW - 10,
    "status": {"startTime": timestamp(NOW - 20)},
}


@pytest.mark.parametrize(
    ("third", "usage", "wanted"),
    [
        pytest.param(a_worker("c"), {"c": 100}, 6, id="counts"),
        pytest.param(a_worker("c", **STARTING), {"c": 100}, 4, id="unready counts as using nothing"),
        pytest.param(
            a_worker("c", ready_at=NOW - 5, status={"startTime": timestamp(NOW - 20)}),
            {"c": 100},
            4,
            id="ready for less than a sample",
        ),
        pytest.param(
            a_worker("c", ready_at=NOW - 20, status={"startTime": timestamp(NOW - 30)}),
            {"c": 100},
            6,
            id="ready for a sample",
        ),
        pytest.param(
            a_worker("c", ready=False, ready_at=NOW - 5), {"c": 100}, 6, id="unready, but was ready once"
        ),
        pytest.param(a_worker("c"), {"c": None}, 4, id="unknown counts as using nothing"),
        pytest.param(a_worker("c", deleting_at=NOW), {"c": 900}, 4, id="terminating is not counted"),
        pytest.param(a_worker("c", ready=False, phase="Failed"), {"c": 900}, 4, id="failed is not counted"),
    ],
)
def test_pods_that_say_nothing_hold_growth_back(
    third: JsonObject, usage: dict[str, int | None], wanted: int
) -> None:
    web = a_deployment(replicas=3)
    read: dict[str, Any] = {"a": 100, "b": 100, **usage}
    plan = plan_for(an_autoscaler(), web, a_worker("a"), a_worker("b"), third, **read)
    assert scaled_to(plan) == wanted


def test_unknown_pod_counts_in_full_when_there_would_be_fewer() -> None:
    web = a_deployment(replicas=4)
    pods = [a_worker(name) for name in "abcd"]
    quick = {"scaleDown": {"stabilizationWindowSeconds": 0}}
    hpa = an_autoscaler(spec={"behavior": quick})
    assert scaled_to(plan_for(hpa, web, *pods, a=10, b=10, c=10, d=10)) == 1
    assert scaled_to(plan_for(hpa, web, *pods, a=10, b=10, c=10, d=None)) == 3  # (30 + 100) / 400 of 50 %
    assert scaled_to(plan_for(hpa, web, *pods, a=40, b=40, c=40, d=None)) is None  # would turn round


@pytest.mark.parametrize(
    ("target", "wanted", "current"),
    [
        pytest.param(
            {"type": "AverageValue", "averageValue": "100m"}, 6, {"averageValue": "300m"}, id="amount"
        ),
        pytest.param(
            {"type": "Utilization", "averageUtilization": 150},
            4,
            {"averageUtilization": 300, "averageValue": "300m"},
            id="more than is requested",
        ),
    ],
)
def test_kinds_of_target(target: JsonObject, wanted: int, current: JsonObject) -> None:
    web = a_deployment(replicas=2)
    hpa = an_autoscaler(metrics=[{"type": "Resource", "resource": {"name": "cpu", "target": target}}])
    plan = plan_for(hpa, web, a_worker("a"), a_worker("b"), a=300, b=300)
    assert scaled_to(plan) == min(wanted, 4)
    assert status_of(plan)["currentMetrics"] == [
        {"type": "Resource", "resource": {"name": "cpu", "current": current}}
    ]


def test_memory_is_told_in_binary_units_and_its_pods_need_not_be_ready() -> None:
    source = {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 50}}
    hpa = an_autoscaler(metrics=[{"type": "Resource", "resource": source}])
    plan = plan_for(hpa, a_deployment(replicas=1), a_worker("a", **STARTING), a=90)
    assert scaled_to(plan) == 2
    (metric,) = status_of(plan)["currentMetrics"]
    assert metric["resource"]["current"] == {"averageUtilization": 90, "averageValue": "90Mi"}


def test_metric_that_asks_for_most_wins() -> None:
    memory = {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 20}}
    both = [an_autoscaler()["spec"]["metrics"][0], {"type": "Resource", "resource": memory}]
    plan = plan_for(
        an_autoscaler(metrics=both), a_deployment(replicas=2), a_worker("a"), a_worker("b"), a=60, b=60
    )
    assert scaled_to(plan) == 4
    assert "memory resource utilization" in events(plan)[0][1]


def test_one_container_of_each_pod() -> None:
    source = {"name": "cpu", "container": "main", "target": {"type": "Utilization", "averageUtilization": 50}}
    hpa = an_autoscaler(metrics=[{"type": "ContainerResource", "containerResource": source}])
    plan = plan_for(hpa, a_deployment(replicas=1), a_worker("a"), a=100)
    assert events(plan)[0][1].endswith(
        "cpu container resource utilization (percentage of request) above target"
    )


# --- windows, policies, bounds --------------------------------------------------------------------


def hpa_record(**spec: Any) -> HorizontalPodAutoscaler:
    obj = an_autoscaler(spec=spec)
    return cache_of(obj).table(HorizontalPodAutoscaler).records[key_for(obj)]


def lately(*advice: tuple[int, float]) -> list[Advice]:
    """Recommendations by number and by how many seconds ago they were last made."""
    return [Advice(number, NOW - ago - 100, NOW - ago) for number, ago in advice]


@pytest.mark.parametrize(
    ("advice", "current", "wanted", "step", "able", "limit"),
    [
        pytest.param([], 5, 5, 5, "ReadyForNewScale", "DesiredWithinRange", id="stays"),
        pytest.param([], 5, 3, 3, "ReadyForNewScale", "DesiredWithinRange", id="down at once without a past"),
        pytest.param(
            [(5, 299)], 5, 3, 5, "ScaleDownStabilized", "DesiredWithinRange", id="the highest of 5 minutes"
        ),
        pytest.param(
            [(5, 300)], 5, 3, 5, "ScaleDownStabilized", "DesiredWithinRange", id="exactly 5 minutes"
        ),
        pytest.param([(5, 301)], 5, 3, 3, "ReadyForNewScale", "DesiredWithinRange", id="longer ago"),
        pytest.param(
            [(4, 10), (2, 5)], 5, 1, 4, "ScaleDownStabilized", "DesiredWithinRange", id="the highest of two"
        ),
        pytest.param([], 5, 30, 10, "ReadyForNewScale", "TooManyReplicas", id="at most"),
        pytest.param([], 3, 30, 6, "ReadyForNewScale", "ScaleUpLimit", id="at most twice"),
        pytest.param([], 1, 30, 4, "ReadyForNewScale", "ScaleUpLimit", id="but four at least"),
        pytest.param([], 5, 0, 1, "ReadyForNewScale", "TooFewReplicas", id="at least"),
    ],
)
def test_pace_without_a_behaviour(
    advice: list[tuple[int, float]], current: int, wanted: int, step: int, able: str, limit: str
) -> None:
    found = pace.step(hpa_record(), lately(*advice), current, wanted, NOW)
    assert (found.replicas, found.able[0], found.limit[0]) == (step, able, limit)
    assert found.limited == (limit != "DesiredWithinRange")


def rules(*policies: tuple[str, int, int], **more: Any) -> JsonObject:
    return {"policies": [{"type": t, "value": v, "periodSeconds": p} for t, v, p in policies], **more}


@pytest.mark.parametrize(
    ("behavior", "past", "current", "wanted", "step", "limit"),
    [
        pytest.param({}, [], 3, 30, 7, "ScaleUpLimit", id="default: 4 pods or twice, whichever is more"),
        pytest.param({}, [], 6, 30, 10, "TooManyReplicas", id="default: the bound comes first"),
        pytest.param({}, [(NOW - 5, 4)], 7, 30, 7, "ScaleUpLimit", id="4 pods were added just now"),
        pytest.param({}, [(NOW - 15, 4)], 5, 30, 10, "TooManyReplicas", id="a period ago"),
        pytest.param({"scaleUp": rules(("Pods", 1, 60))}, [], 3, 9, 4, "ScaleUpLimit", id="one pod a minute"),
        pytest.param(
            {"scaleUp": rules(("Pods", 1, 60), ("Percent", 100, 60), selectPolicy="Min")},
            [],
            3,
            9,
            4,
            "ScaleUpLimit",
            id="the least",
        ),
        pytest.param(
            {"scaleUp": rules(("Percent", 10, 60))}, [], 3, 9, 4, "ScaleUpLimit", id="a share is rounded up"
        ),
        pytest.param(
            {"scaleUp": rules(("Pods", 9, 60), selectPolicy="Disabled")},
            [],
            3,
            9,
            3,
            "ScaleUpLimit",
            id="never up",
        ),
        pytest.param(
            {"scaleDown": rules(("Pods", 1, 60))}, [], 8, 2, 7, "ScaleDownLimit", id="one down a minute"
        ),
        pytest.param(
            {"scaleDown": rules(("Pods", 1, 60))},
            [(NOW - 9, -1)],
            7,
            2,
            7,
            "ScaleDownLimit",
            id="it went down",
        ),
        pytest.param(
            {"scaleDown": rules(("Percent", 50, 60))}, [], 5, 1, 2, "ScaleDownLimit", id="half, cut"
        ),
        pytest.param(
            {"scaleDown": rules(("Pods", 1, 60), ("Percent", 50, 60), selectPolicy="Min")},
            [],
            8,
            1,
            7,
            "ScaleDownLimit",
            id="the least down",
        ),
        pytest.param(
            {"scaleDown": rules(("Pods", 9, 9), selectPolicy="Disabled")},
            [],
            8,
            1,
            8,
            "ScaleDownLimit",
            id="never",
        ),
        pytest.param({"scaleDown": {}}, [], 8, 0, 1, "TooFewReplicas", id="all at once, to the bound"),
    ],
)
def test_policies(
    behavior: JsonObject, past: list[tuple[float, int]], current: int, wanted: int, step: int, limit: str
) -> None:
    history = {"rescales": [{"at": timestamp_micro(at), "change": change} for at, change in past]}
    obj = an_autoscaler(spec={"behavior": behavior}, status={"history": history})
    hpa = cache_of(obj).table(HorizontalPodAutoscaler).records[key_for(obj)]
    found = pace.step(hpa, (), current, wanted, NOW)
    assert (found.replicas, found.limit[0]) == (step, limit)


@pytest.mark.parametrize(
    ("up", "down", "advice", "wanted", "step", "able"),
    [
        pytest.param(0, None, [(9, 200)], 3, 5, "ScaleDownStabilized", id="down waits 5 minutes by default"),
        pytest.param(0, 60, [(9, 59), (4, 10)], 3, 5, "ScaleDownStabilized", id="within its window"),
        pytest.param(0, 60, [(9, 60), (4, 10)], 3, 4, "ScaleDownStabilized", id="exactly its window ago"),
        pytest.param(0, 0, [(9, 1)], 3, 3, "ReadyForNewScale", id="no window"),
        pytest.param(60, 0, [(6, 59)], 8, 6, "ScaleUpStabilized", id="up waits as well"),
        pytest.param(60, 0, [(4, 59)], 8, 5, "ScaleUpStabilized", id="but never down for that"),
        pytest.param(0, 0, [(4, 1)], 8, 8, "ReadyForNewScale", id="up at once"),
    ],
)
def test_windows(
    up: int, down: int | None, advice: list[tuple[int, float]], wanted: int, step: int, able: str
) -> None:
    below = {} if down is None else {"stabilizationWindowSeconds": down}
    hpa = hpa_record(behavior={"scaleUp": {"stabilizationWindowSeconds": up}, "scaleDown": below})
    found = pace.step(hpa, lately(*advice), 5, wanted, NOW)
    assert (found.replicas, found.able[0]) == (step, able)


def test_repeated_recommendation_is_one_entry_and_ends_at_the_look_before_another() -> None:
    first = pace.recorded((), 3, 300, NOW)
    assert first == (Advice(3, NOW),)
    assert pace.recorded(first, 3, 300, NOW + 15) == first
    assert pace.recorded(first, 2, 300, NOW + 60) == (Advice(3, NOW, NOW + 45), Advice(2, NOW + 60))
    old = (Advice(9, NOW - 999, NOW - 301), Advice(8, NOW - 301, NOW - 300), Advice(3, NOW - 300))
    assert pace.recorded(old, 3, 300, NOW) == old[1:]


def test_history_does_not_grow_without_end() -> None:
    advice: tuple[Advice, ...] = ()
    for look in range(2000):
        advice = pace.recorded(advice, look % 2, 3600, NOW + look)
    assert len(advice) == pace.MOST_KEPT


# --- one look -------------------------------------------------------------------------------------


def test_rescale_is_written_through_the_scale_and_then_told() -> None:
    web, hpa = a_deployment(replicas=2, version=5), an_autoscaler(version=9, generation=3)
    plan = plan_for(hpa, web, a_worker("a"), a_worker("b"), a=100, b=100)
    scale, status = plan.writes
    assert isinstance(scale, Patch)
    assert scale == Patch(
        DEPLOYMENT,
        key_for(web),
        web["metadata"]["uid"],
        {"spec": {"replicas": 4}},
        subresource="scale",
        on_success=Emit(
            HORIZONTAL_POD_AUTOSCALER,
            key_for(hpa),
            hpa["metadata"]["uid"],
            "Normal",
            "SuccessfulRescale",
            f"New size: 4; reason: {TARGET} above target",
            "horizontal-pod-autoscaler",
        ),
    )
    assert isinstance(status, Patch)
    assert status.version == 9
    said = status.body["status"]
    assert (said["currentReplicas"], said["desiredReplicas"], said["observedGeneration"]) == (2, 4, 3)
    assert said["lastScaleTime"] == timestamp(NOW)
    assert said["display"] == {"reference": "Deployment/web", "targets": "cpu: 100%/50%"}
    assert conditions(plan) == {
        "AbleToScale": ("True", "SucceededRescale"),
        "ScalingActive": ("True", "ValidMetricFound"),
        "ScalingLimited": ("False", "DesiredWithinRange"),
        "ScaledToZero": ("False", "NotScaledToZero"),
    }


def test_steady_usage_writes_nothing() -> None:
    web, pods = a_deployment(replicas=2), [a_worker("a"), a_worker("b")]
    hpa = an_autoscaler()
    hpa["status"] = status_of(plan_for(hpa, web, *pods, a=50, b=50))
    again = plan_for(hpa, web, *pods, now=NOW + 15, a=50, b=50)
    assert again == Plan.wait_until(NOW + 30)


def test_refused_scale_is_said_and_tried_again() -> None:
    web, pods = a_deployment(replicas=2), [a_worker("a"), a_worker("b")]
    hpa = an_autoscaler(status={"desiredReplicas": 2})
    plan = plan_for(hpa, web, *pods, refusal="no", a=100, b=100)
    assert conditions(plan)["AbleToScale"] == ("False", "FailedUpdateScale")
    assert "desiredReplicas" not in status_of(plan)
    assert "lastScaleTime" not in status_of(plan)
    assert [w.subresource for w in plan.writes if isinstance(w, Patch)] == ["status", "scale"]
    (scale,) = [w for w in plan.writes if isinstance(w, Patch) and w.subresource == "scale"]
    assert scale.on_failure is not None
    said = scale.on_failure("no")
    assert (said.type, said.reason) == ("Warning", "FailedRescale")
    assert said.message == f"New size: 4; reason: {TARGET} above target; error: no"


@pytest.mark.parametrize(
    ("replicas", "wanted", "reason"),
    [
        pytest.param(12, 10, "Current number of replicas above Spec.MaxReplicas", id="too many"),
        pytest.param(1, 2, "Current number of replicas below Spec.MinReplicas", id="too few"),
    ],
)
def test_bounds_need_no_metrics(replicas: int, wanted: int, reason: str) -> None:
    plan = plan_for(an_autoscaler(least=2), a_deployment(replicas=replicas))
    assert scaled_to(plan) == wanted
    assert events(plan) == [("SuccessfulRescale", f"New size: {wanted}; reason: {reason}")]
    assert "currentMetrics" not in status_of(plan)


def test_target_of_no_pods_switches_scaling_off() -> None:
    plan = plan_for(an_autoscaler(), a_deployment(replicas=0))
    assert scaled_to(plan) is None
    assert conditions(plan)["ScalingActive"] == ("False", "ScalingDisabled")


# --- bad input ------------------------------------------------------------------------------------

LOST = "the HPA controller was unable to get the target's current scale: "


@pytest.mark.parametrize(
    ("ref", "error"),
    [
        pytest.param({"name": "none"}, 'deployments.apps "none" not found', id="absent"),
        pytest.param({"kind": "Foo"}, 'no matches for kind "Foo" in group "apps"', id="unknown kind"),
        pytest.param(
            {"apiVersion": "x.io/v1"}, 'no matches for kind "Deployment" in group "x.io"', id="group"
        ),
        pytest.param(
            {"kind": "DaemonSet"}, "the server could not find the requested resource", id="no scale"
        ),
        pytest.param(
            {"kind": "ReplicationController", "apiVersion": "v1"},
            'replicationcontrollers "web" not found',
            id="core",
        ),
    ],
)
def test_target_that_cannot_be_scaled_is_told(ref: JsonObject, error: str) -> None:
    hpa = an_autoscaler()
    hpa["spec"]["scaleTargetRef"].update(ref)
    plan = plan_for(hpa, a_deployment(namespace="shop"))
    assert events(plan) == [("FailedGetScale", error)]
    (condition,) = status_of(plan)["conditions"]
    assert (condition["reason"], condition["message"]) == ("FailedGetScale", LOST + error)
    assert plan.wake_at == NOW + 15


@pytest.mark.parametrize(
    ("target", "ref"),
    [
        pytest.param(a_deployment(replicas=1), {"apiVersion": "extensions/v9"}, id="version does not matter"),
        pytest.param(
            a_deployment(replicas=1),
            {"apiVersion": "nestling.dev/v1alpha1", "kind": "VirtualDeployment"},
            id="ours",
        ),
        pytest.param(a_replica_set(replicas=1), {"kind": "ReplicaSet"}, id="ReplicaSet"),
        pytest.param(
            a_replication_controller(replicas=1),
            {"kind": "ReplicationController", "apiVersion": "v1"},
            id="core",
        ),
    ],
)
def test_target_by_its_native_name_or_by_ours(target: JsonObject, ref: JsonObject) -> None:
    hpa = an_autoscaler()
    hpa["spec"]["scaleTargetRef"].update(ref)
    if ref.get("apiVersion") == "extensions/v9":
        hpa["spec"]["scaleTargetRef"]["apiVersion"] = "apps/v9"
    assert scaled_to(plan_for(hpa, target, a_worker("a"), a=100)) == 2


def failing(plan: Plan) -> tuple[tuple[str, str], str]:
    """Reason and message of the event about the metric, and reason of the condition."""
    assert scaled_to(plan) is None
    said = events(plan)
    assert said[-1][0] == "FailedComputeMetricsReplicas"
    return said[0], conditions(plan)["ScalingActive"][1]


FAILED = "FailedGetResourceMetric"


@pytest.mark.parametrize(
    ("pods", "usage", "error"),
    [
        pytest.param(
            [],
            {},
            "unable to get metrics for resource cpu: no metrics returned from resource metrics API",
            id="no pod",
        ),
        pytest.param(
            [a_worker("a", **STARTING)],
            {"a": 9},
            "did not receive metrics for targeted pods (pods might be unready)",
            id="none is ready",
        ),
        pytest.param(
            [a_worker("a", requests={})],
            {"a": 9},
            "missing request for cpu in container main of Pod a",
            id="no request",
        ),
    ],
)
def test_metric_that_cannot_be_had(pods: list[JsonObject], usage: dict[str, int], error: str) -> None:
    read: dict[str, Any] = dict(usage)
    plan = plan_for(an_autoscaler(), a_deployment(replicas=2), *pods, **read)
    event, reason = failing(plan)
    assert event == (FAILED, f"failed to get cpu utilization: {error}")
    assert reason == FAILED
    assert events(plan)[-1][1] == (
        "invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: "
        f"failed to get cpu utilization: {error}"
    )


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        pytest.param(
            {
                "type": "Pods",
                "pods": {"metric": {"name": "x"}, "target": {"type": "AverageValue", "averageValue": 1}},
            },
            "FailedGetPodsMetric",
            id="of pods",
        ),
        pytest.param(
            {
                "type": "Object",
                "object": {
                    "metric": {"name": "x"},
                    "describedObject": {"kind": "Ingress", "name": "i"},
                    "target": {"type": "Value", "value": 1},
                },
            },
            "FailedGetObjectMetric",
            id="of an object",
        ),
        pytest.param(
            {
                "type": "External",
                "external": {"metric": {"name": "x"}, "target": {"type": "Value", "value": 1}},
            },
            "FailedGetExternalMetric",
            id="from outside",
        ),
    ],
)
def test_metrics_that_do_not_exist_here_hold_no_growth_back(metric: JsonObject, reason: str) -> None:
    web = a_deployment(replicas=2)
    alone = plan_for(an_autoscaler(metrics=[metric]), web, a_worker("a"), a=100)
    assert failing(alone)[1] == reason
    both = an_autoscaler(metrics=[metric, *an_autoscaler()["spec"]["metrics"]])
    assert scaled_to(plan_for(both, web, a_worker("a"), a_worker("b"), a=100, b=100)) == 4
    assert (
        scaled_to(plan_for(both, web, a_worker("a"), a_worker("b"), a=10, b=10)) is None
    )  # no shrinking by half the news


def test_two_autoscalers_of_the_same_pods_both_stop() -> None:
    web = a_deployment(replicas=2)
    plan = plan_for(an_autoscaler("one"), an_autoscaler("two"), web, a_worker("a"), a=100)
    event, reason = failing(plan)
    text = "pods by selector app=web are controlled by more than one HPA (e.g. [default/one default/two])"
    assert event == ("AmbiguousSelector", text)
    assert reason == "AmbiguousSelector"


def test_target_that_selects_everything_is_refused() -> None:
    plan = plan_for(an_autoscaler(), a_deployment(replicas=2, selector={}), a_worker("a"), a=100)
    assert failing(plan) == (("SelectorRequired", "selector is required"), "InvalidSelector")


# --- around it ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("specs", "statuses", "text"),
    [
        pytest.param([], [], "<none>", id="none"),
        pytest.param(an_autoscaler()["spec"]["metrics"], [], "cpu: <unknown>/50%", id="unknown"),
        pytest.param(
            an_autoscaler()["spec"]["metrics"] * 3,
            [],
            "cpu: <unknown>/50%, cpu: <unknown>/50% + 1 more...",
            id="many",
        ),
    ],
)
def test_column_of_targets(specs: list[JsonObject], statuses: list[JsonObject], text: str) -> None:
    assert targets(specs, statuses) == text


def test_only_a_new_spec_wakes() -> None:
    (route,) = controller(meter({})).concerns[HORIZONTAL_POD_AUTOSCALER]

    def woken(old: JsonObject | None, new: JsonObject | None) -> bool:
        records = [
            None if obj is None else cache_of(obj).table(HorizontalPodAutoscaler).records[key_for(obj)]
            for obj in (old, new)
        ]
        change = Change(HORIZONTAL_POD_AUTOSCALER, key_for(new or old or {}), *records)
        return bool(list(route.keys(view_of(), change)))

    plain = an_autoscaler()
    assert woken(None, plain)
    assert woken(plain, an_autoscaler(generation=2))
    assert not woken(plain, an_autoscaler(version=2, status={"desiredReplicas": 2}))
    assert not woken(plain, None)


@pytest.mark.parametrize(
    ("annotations", "running", "cpu"),
    [
        pytest.param({}, {"startedAt": timestamp(BIRTH)}, 10, id="a tenth of the request"),
        pytest.param({"sim.nestling.dev/cpu": "70m"}, {"startedAt": timestamp(BIRTH)}, 70, id="scripted"),
        pytest.param(
            {"sim.nestling.dev/cpu": "0s=100m,100s=200m"}, {"startedAt": timestamp(NOW - 50)}, 150, id="curve"
        ),
        pytest.param({}, None, None, id="does not run"),
    ],
)
def test_simulated_usage(annotations: dict[str, str], running: JsonObject | None, cpu: int | None) -> None:
    pod = a_worker("a", annotations=annotations)
    (entry,) = pod["status"]["containerStatuses"]
    entry["state"] = {} if running is None else {"running": running}
    found = usage_of(pod, NOW)
    assert found == ({} if cpu is None else {"main": {"cpu": cpu, "memory": found["main"]["memory"]}})


def test_condition_of_another_controller_stays() -> None:
    hpa = an_autoscaler(status={"desiredReplicas": 0, "conditions": [a_condition("Own", reason="Because")]})
    plan = plan_for(hpa)
    assert set(conditions(plan)) == {"Own", "AbleToScale"}


def counted(plan: Plan, *, ok: bool = True) -> set[tuple[str, ...]]:
    """What a plan counts: the metric's name without its prefix, then its labels."""
    assert plan.measure is not None
    found = [one for one in plan.measure(len(plan.writes), ok, 0.1) if isinstance(one, Tally)]
    return {
        (one.metric.name.removeprefix("horizontal_pod_autoscaler_controller_"), *one.labels) for one in found
    }


def test_looks_and_metrics_are_counted() -> None:
    target = a_deployment("web", replicas=1)
    hpa = an_autoscaler(status={"currentReplicas": 1})
    grows = plan_for(hpa, target, a_worker("a"), a=300)
    assert scaled_to(grows) is not None
    assert counted(grows) == {
        ("reconciliations_total", "scale_up", "none"),
        ("reconciliation_duration_seconds", "scale_up", "none"),
        ("metric_computation_total", "scale_up", "none", "Resource"),
    }
    assert ("reconciliations_total", "none", "internal") in counted(grows, ok=False)
    assert counted(plan_for(hpa, target, a_worker("a"))) == {
        ("reconciliations_total", "none", "internal"),
        ("reconciliation_duration_seconds", "none", "internal"),
        ("metric_computation_total", "none", "internal", "Resource"),
    }
    assert ("reconciliations_total", "none", "internal") in counted(plan_for(hpa))
