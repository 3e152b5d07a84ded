"""Evictions: whom a budget protects, what is taken from it, and what is said when it protects."""

from typing import Any

import pytest

from builders import NOW, a_budget, a_condition, a_pod, cache_of, key_for
from nestling.api.json import JsonObject
from nestling.api.kinds import POD, POD_DISRUPTION_BUDGET
from nestling.controllers.eviction import SEVERAL, VIOLATES, Denied, Granted, evict
from nestling.machinery.clock import timestamp
from nestling.machinery.plan import Delete, Patch
from nestling.machinery.records.budget import PodDisruptionBudget
from nestling.machinery.records.pod import Pod

READY = a_pod("p", node="n1", ready=True)
UNREADY = a_pod("p", node="n1", phase="Running")


def decided(pod: JsonObject, *budgets: JsonObject) -> Granted | Denied:
    cache = cache_of(pod, *budgets)
    return evict(
        cache.table(Pod).records[key_for(pod)],
        [cache.table(PodDisruptionBudget).records[key_for(budget)] for budget in budgets],
        NOW,
    )


def counted(
    allowed: int = 1, *, name: str = "web", spec: JsonObject | None = None, **status: Any
) -> JsonObject:
    figures = {"observedGeneration": 1, "currentHealthy": 3, "desiredHealthy": 2, "expectedPods": 3}
    return a_budget(name, spec=spec, status={**figures, "disruptionsAllowed": allowed, **status})


def writes(found: Granted | Denied) -> list[str]:
    assert isinstance(found, Granted)
    return [
        type(write).__name__ + write.kind.native
        for write in found.writes
        if isinstance(write, Patch | Delete)
    ]


PAID = ["PatchPodDisruptionBudget", "PatchPod", "DeletePod"]
FREE = ["PatchPod", "DeletePod"]


@pytest.mark.parametrize(
    ("pod", "budgets", "wanted"),
    [
        pytest.param(READY, [], FREE, id="no budget"),
        pytest.param(READY, [counted()], PAID, id="room for one"),
        pytest.param(a_pod("p"), [counted(0)], FREE, id="pending: serves nobody"),
        pytest.param(a_pod("p", phase="Failed"), [counted(0)], FREE, id="has ended"),
        pytest.param(a_pod("p", ready=True, deleting_at=NOW), [counted(0)], FREE, id="terminating"),
        pytest.param(a_pod("p"), [counted(0), counted(0, name="b")], FREE, id="pending, under two budgets"),
        pytest.param(UNREADY, [counted(0)], FREE, id="not ready, and enough others are"),
        pytest.param(
            UNREADY,
            [counted(0, currentHealthy=0, spec={"unhealthyPodEvictionPolicy": "AlwaysAllow"})],
            FREE,
            id="not ready, and such may always go",
        ),
        pytest.param(UNREADY, [counted(1, currentHealthy=1)], PAID, id="not ready, pays as others do"),
    ],
)
def test_pod_may_go(pod: JsonObject, budgets: list[JsonObject], wanted: list[str]) -> None:
    assert writes(decided(pod, *budgets)) == wanted


def condition(reason: str, message: str) -> JsonObject:
    return {"conditions": [a_condition("DisruptionAllowed", "False", reason=reason, message=message)]}


@pytest.mark.parametrize(
    ("pod", "budget", "cause"),
    [
        pytest.param(
            READY,
            counted(0, currentHealthy=2),
            "The disruption budget web needs 2 healthy pods and has 2 currently",
            id="none to spare",
        ),
        pytest.param(
            READY,
            counted(0),
            "The disruption budget web does not allow evicting pods currently",
            id="no reason",
        ),
        pytest.param(
            READY,
            counted(0, **condition("SyncFailed", "found no controllers")),
            "The disruption budget web does not allow evicting pods currently because it failed sync: "
            "found no controllers",
            id="could not be counted",
        ),
        pytest.param(
            READY,
            counted(0, **condition("Own", "because")),
            "The disruption budget web does not allow evicting pods currently (Own): because",
            id="another's reason",
        ),
        pytest.param(
            READY,
            counted(1, observedGeneration=0),
            "The disruption budget web is still being processed by the server.",
            id="not counted yet",
        ),
        pytest.param(
            UNREADY,
            counted(0, currentHealthy=1),
            "The disruption budget web needs 2 healthy pods and has 1 currently",
            id="not ready, and others neither",
        ),
        pytest.param(
            UNREADY,
            counted(0, currentHealthy=0, desiredHealthy=0),
            "The disruption budget web needs 0 healthy pods and has 0 currently",
            id="not ready, none wanted",
        ),
    ],
)
def test_pod_has_to_stay_for_now(pod: JsonObject, budget: JsonObject, cause: str) -> None:
    assert decided(pod, budget) == Denied(VIOLATES, cause, later=True)


def test_two_budgets_are_one_too_many() -> None:
    assert decided(READY, counted(), counted(name="b")) == Denied(SEVERAL)


def test_unconfirmed_evictions_do_not_pile_up() -> None:
    budget = counted(5, disruptedPods={f"p{i}": timestamp(NOW) for i in range(2001)})
    found = decided(READY, budget)
    assert isinstance(found, Denied)
    assert not found.later
    assert "too many pending evictions" in found.cause


def test_what_is_written() -> None:
    budget = counted(1, conditions=[a_condition("DisruptionAllowed", reason="SufficientPods", message="")])
    budget["metadata"]["resourceVersion"] = "7"
    pod = a_pod("p", node="n1", ready=True, version=9)
    found = decided(pod, budget)
    assert isinstance(found, Granted)
    target = {
        "type": "DisruptionTarget",
        "status": "True",
        "observedGeneration": 1,
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
        "lastTransitionTime": timestamp(NOW),
    }
    state = {
        "type": "DisruptionAllowed",
        "status": "False",
        "reason": "InsufficientPods",
        "message": "",
        "observedGeneration": 1,
        "lastTransitionTime": timestamp(NOW),
    }
    taken = {"disruptionsAllowed": 0, "disruptedPods": {"p": timestamp(NOW)}, "conditions": [state]}
    assert found.writes == (
        Patch(
            POD_DISRUPTION_BUDGET,
            key_for(budget),
            budget["metadata"]["uid"],
            {"status": taken},
            version=7,
            subresource="status",
        ),
        Patch(
            POD,
            key_for(pod),
            pod["metadata"]["uid"],
            {"status": {"conditions": [*pod["status"]["conditions"], target]}},
            version=9,
            subresource="status",
        ),
        Delete(POD, key_for(pod), pod["metadata"]["uid"]),
    )


def test_budget_with_more_to_spare_keeps_its_condition() -> None:
    found = decided(READY, counted(2))
    assert isinstance(found, Granted)
    assert isinstance(found.writes[0], Patch)
    assert found.writes[0].body["status"] == {"disruptionsAllowed": 1, "disruptedPods": {"p": timestamp(NOW)}}
