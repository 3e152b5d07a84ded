"""The kubelet may be killed at any moment: what it leads to is the same, and nothing happens twice."""

import copy
from typing import Any

import pytest

from builders import NOW
from kubelet_world import World, a_bound_pod, a_new_node
from nestling.api.json import JsonObject
from nestling.api.kinds import POD
from nestling.machinery.controller import Outcome
from nestling.machinery.errors import Conflict, HostError, Throttled, Unavailable
from nestling.machinery.plan import Emit, Plan
from nestling.machinery.records.pod import KUBELET_FINALIZER

SIM = "sim.nestling.dev/"
MAIN: JsonObject = {"name": "main", "image": "web:1"}
SIDE: JsonObject = {"name": "side", "image": "s", "restartPolicy": "Always"}
INITS: list[JsonObject] = [{"name": "one", "image": "a"}, {"name": "two", "image": "b"}]

SCENARIOS: dict[str, tuple[dict[str, str], JsonObject]] = {
    "plain": ({}, {}),
    "slow start": ({"start-delay": "7s"}, {}),
    "crash loop": ({"run-duration": "3s", "exit-code": "1"}, {}),
    "crashes by chance": ({"crash-probability": "0.5", "run-duration": "20s"}, {}),
    "runs once": ({"run-duration": "30s"}, {"restartPolicy": "Never"}),
    "fails, tries again": ({"run-duration": "30s", "exit-code": "1"}, {"restartPolicy": "OnFailure"}),
    "init containers": ({"run-duration.one": "5s", "run-duration.two": "9s"}, {"initContainers": INITS}),
    "init fails": ({"run-duration.one": "5s", "exit-code.one": "1"}, {"initContainers": INITS}),
    "sidecar": ({"run-duration.main": "20s"}, {"initContainers": [SIDE], "restartPolicy": "Never"}),
    "sidecar crashes": ({"run-duration.side": "6s", "exit-code.side": "1"}, {"initContainers": [SIDE]}),
    "unknown image": ({}, {"containers": [{**MAIN, "image": "fail/web"}]}),
    "deadline": ({"stop-delay": "4s"}, {"activeDeadlineSeconds": 20}),
    "readiness": ({"ready-after": "8s"}, {"containers": [{**MAIN, "readinessProbe": {"periodSeconds": 3}}]}),
    "liveness": (
        {"unhealthy-after": "15s"},
        {"containers": [{**MAIN, "livenessProbe": {"periodSeconds": 4}}]},
    ),
    "does not fit": ({}, {"containers": [{**MAIN, "resources": {"requests": {"cpu": "64"}}}]}),
}


def play(name: str, **options: Any) -> World:
    """One scenario: the pod runs for two minutes, is deleted if `delete` says so, and runs on."""
    annotations, spec = SCENARIOS[name]
    delete_at = options.pop("delete_at", None)
    pod = a_bound_pod(annotations={f"{SIM}{k}": v for k, v in annotations.items()}, spec=copy.deepcopy(spec))
    world = World(a_new_node(), pod, **options)
    if delete_at is not None:
        world.run(delete_at, pace=1.0)
        world.delete(pod)
        world.run(60, pace=1.0)
    else:
        world.run(120, pace=1.0)
    return world


def outcome(world: World) -> JsonObject:
    """All objects but the Lease, without versions."""
    found: JsonObject = {}
    for (plural, key), obj in world.objects.items():
        if plural != "leases":
            meta = {k: v for k, v in obj["metadata"].items() if k != "resourceVersion"}
            found[f"{plural}/{key.display}"] = {**obj, "metadata": meta}
    return found


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_kubelet_killed_before_every_step_reaches_the_same_end(name: str) -> None:
    calm, wild = play(name), play(name, amnesia=True)
    assert outcome(wild) == outcome(calm)
    assert len(wild.pod_writes()) == len(calm.pod_writes())
    assert len(wild.node_writes()) == len(calm.node_writes())


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("delete_at", [0, 5, 40])
def test_a_kubelet_killed_before_every_step_still_lets_go(name: str, delete_at: float) -> None:
    calm, wild = play(name, delete_at=delete_at), play(name, delete_at=delete_at, amnesia=True)
    assert outcome(calm).keys() == {"virtualnodes/n1"}
    assert outcome(wild) == outcome(calm)
    assert len(wild.pod_writes()) == len(calm.pod_writes())


class Faulty(World):
    """A host that loses every n-th write, or its answer: the kubelet cannot tell which."""

    def __init__(
        self, *objects: JsonObject, every: int, applied: bool, error: HostError, **more: Any
    ) -> None:
        self.every, self.applied, self.error, self.count = every, applied, error, 0
        super().__init__(*objects, **more)

    def perform(self, plan: Plan) -> Any:
        self.count += 1
        if self.count % self.every:
            return super().perform(plan)
        if self.applied and not all(isinstance(write, Emit) for write in plan.writes):
            super().perform(plan)
        return Outcome(0, self.error)


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("applied", [True, False], ids=["answer lost", "write lost"])
@pytest.mark.parametrize(
    "error",
    [
        pytest.param(Unavailable("connection reset"), id="unavailable"),
        pytest.param(Throttled("slow down", retry_after_s=1.0), id="throttled"),
        pytest.param(Conflict("moved on", status=409), id="conflict"),
    ],
)
def test_lost_writes_and_answers_change_nothing_but_the_time(
    name: str, applied: bool, error: HostError
) -> None:
    annotations, spec = SCENARIOS[name]
    pod = a_bound_pod(annotations={f"{SIM}{k}": v for k, v in annotations.items()}, spec=copy.deepcopy(spec))
    world = Faulty(a_new_node(), pod, every=2, applied=applied, error=error)
    world.run(400, pace=0.5)
    calm = play(name)
    calm.run(280)
    assert world.status(pod)["phase"] == calm.status(pod)["phase"]
    entries = [world.status(pod), calm.status(pod)]
    counts = [[e["restartCount"] for e in status.get("containerStatuses", ())] for status in entries]
    assert abs(sum(counts[0]) - sum(counts[1])) <= 1
    world.delete(pod)
    world.run(60, pace=0.5)
    assert not world.exists(pod)


def test_a_pod_deleted_while_the_kubelet_was_down_is_let_go() -> None:
    world = play("plain")
    pod = a_bound_pod()
    world.now += 500
    world.delete(pod)
    world.crash()
    world.run(1)
    assert not world.exists(pod)


def test_a_run_that_ended_while_the_kubelet_was_down_ended_then() -> None:
    pod = a_bound_pod(annotations={f"{SIM}run-duration": "30s"}, spec={"restartPolicy": "Never"})
    world = World(a_new_node(), pod)
    world.run(10)
    world.now += 500
    world.crash()
    world.run(1)
    ended = world.status(pod)["containerStatuses"][0]["state"]["terminated"]
    assert ended["finishedAt"] == "2027-01-15T08:00:30Z"
    assert NOW == 1_800_000_000.0


def test_a_pod_made_anew_under_the_same_name_starts_afresh() -> None:
    world = World(a_new_node(), a_bound_pod())
    world.run(10)
    world.delete(a_bound_pod())
    world.run(1)
    again = a_bound_pod(uid="another", finalizers=[KUBELET_FINALIZER])
    world.put(again)
    world.run(1)
    assert world.status(again)["phase"] == "Running"
    assert world.status(again)["podIP"] == "10.244.7.2"


def test_a_late_word_about_a_predecessor_does_not_free_the_successors_place() -> None:
    world = World(a_new_node(), a_bound_pod())
    world.run(10)
    old = copy.deepcopy(world.get(a_bound_pod()))
    world.put(a_bound_pod(uid="another"))
    world.run(1)
    world.see(POD, old, deleted=True)
    other = a_bound_pod("other")
    world.put(other)
    world.run(1)
    addresses = {world.status(pod)["podIP"] for pod in (a_bound_pod(), other)}
    assert len(addresses) == 2


def test_an_address_that_another_kubelet_wrote_stands() -> None:
    pod, late = a_bound_pod(), a_bound_pod("late")
    world = World(a_new_node(), pod)
    world.run(5)
    mine, written = world.status(pod)["podIP"], len(world.pod_writes())
    other = {"podIP": "10.244.7.77", "podIPs": [{"ip": "10.244.7.77"}], "phase": "Pending"}
    world.edit(pod, {"status": other})
    world.run(60)
    assert world.status(pod)["phase"] == "Running"
    assert world.status(pod)["podIP"] == "10.244.7.77", "two kubelets would write for ever"
    assert len(world.pod_writes()) == written + 1
    world.put(late)
    world.run(5)
    assert world.status(late)["podIP"] == mine, "the address is free again"
