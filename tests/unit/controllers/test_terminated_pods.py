"""Finished pods: how many are kept, and which go first."""

from collections.abc import Sequence
from typing import Any

import pytest

from builders import BIRTH, HOST_NAMESPACE, NOW, a_pod, cache_of, key_for, view_of
from nestling.api.json import JsonObject
from nestling.api.kinds import POD
from nestling.controllers import terminated_pods
from nestling.machinery.cache import Change
from nestling.machinery.names import Key
from nestling.machinery.plan import Delete, Plan
from nestling.machinery.records.pod import Pod

CLUSTER = Key(HOST_NAMESPACE, "", "")
EVICTED = {"reason": "Evicted"}


def ended(name: str, **more: Any) -> JsonObject:
    return a_pod(name, phase="Failed", **more)


def doomed(plan: Plan) -> list[str]:
    return [write.key.name for write in plan.writes if isinstance(write, Delete)]


@pytest.mark.parametrize(
    ("pods", "wanted"),
    [
        pytest.param([ended("a"), a_pod("b", phase="Succeeded")], [], id="just as many as may be"),
        pytest.param([ended(name) for name in "cab"], ["a"], id="one too many: by name"),
        pytest.param(
            [ended("a"), ended("b"), ended("c", created_at=BIRTH - 9)],
            ["c"],
            id="the oldest",
        ),
        pytest.param(
            [ended("a"), ended("b"), ended("c", created_at=NOW, status=EVICTED)],
            ["c"],
            id="the evicted one, however young",
        ),
        pytest.param(
            [a_pod("a", phase="Succeeded", status=EVICTED), ended("b", created_at=BIRTH - 9), ended("c")],
            ["b"],
            id="what succeeded was not evicted",
        ),
        pytest.param(
            [ended("a", deleting_at=NOW), ended("b"), ended("c")],
            [],
            id="one is on its way out",
        ),
        pytest.param([*(a_pod(name) for name in "abcd"), ended("e")], [], id="others do not count"),
        pytest.param([ended(name, namespace=name) for name in "abc"], ["a"], id="in any virtual namespace"),
    ],
)
def test_beyond_two_the_first_go(pods: Sequence[JsonObject], wanted: list[str]) -> None:
    assert doomed(terminated_pods.reconcile(view_of(*pods), CLUSTER, threshold=2)) == wanted


def test_many_go_in_bursts() -> None:
    view = view_of(*(a_pod(f"p{index:04}", phase="Failed") for index in range(700)))
    plan = terminated_pods.reconcile(view, CLUSTER, threshold=100)
    assert len(doomed(plan)) == terminated_pods.BURST
    assert plan.wake_at == NOW
    assert terminated_pods.reconcile(view, CLUSTER) == Plan.done()


@pytest.mark.parametrize(
    ("old", "new", "woken"),
    [
        pytest.param(a_pod("p"), ended("p"), True, id="it has ended"),
        pytest.param(None, ended("p"), True, id="it was found so"),
        pytest.param(ended("p"), ended("p"), False, id="it had ended"),
        pytest.param(a_pod("p"), a_pod("p", ready=True), False, id="it runs"),
        pytest.param(ended("p"), None, False, id="it is gone"),
    ],
)
def test_an_end_wakes(old: JsonObject | None, new: JsonObject | None, woken: bool) -> None:
    (route,) = terminated_pods.CONTROLLER.concerns[POD]
    records = [None if obj is None else cache_of(obj).table(Pod).records[key_for(obj)] for obj in (old, new)]
    change = Change(POD, key_for(new or old or {}), *records)
    assert list(route.keys(view_of(), change)) == ([CLUSTER] if woken else [])
    assert route.delay_s == 20
