"""Deployments and ReplicaSets together, whatever users and pods do: bounds hold, rollouts end, writes stop.

No host and no time but those of the test. Plans may be cut short after any write, as a crash would.
"""

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import a_deployment, a_template, key_for
from nestling.api.json import JsonObject
from nestling.api.kinds import DEPLOYMENT, POD, REPLICA_SET
from nestling.controllers import deployment, replica_set
from nestling.controllers.deployment.fenceposts import max_surge, max_unavailable
from nestling.machinery.clock import timestamp
from nestling.machinery.plan import Delete, Write
from nestling.machinery.records.pod import Pod
from nestling.machinery.records.workload import Deployment, ReplicaSet
from world import World

BOTH = (deployment.CONTROLLER, replica_set.CONTROLLER)


def run(pod: JsonObject, world: World, *, ready: bool) -> None:
    """Bind a pod and let it run."""
    pod["spec"]["nodeName"] = "n1"
    pod["status"] = {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": str(ready), "lastTransitionTime": timestamp(world.now)}],
    }
    world.put(pod)


def pending(world: World) -> list[JsonObject]:
    """Pods that are neither ready nor on their way out."""
    return [
        pod
        for pod in world.all(POD)
        if "deletionTimestamp" not in pod["metadata"]
        and not any(c["status"] == "True" for c in pod.get("status", {}).get("conditions", ()))
    ]


def rolled_out(world: World, looks: int = 60) -> None:
    """Let every pod become ready and every deletion end, until nobody writes."""
    for _ in range(looks):
        world.now += 6  # longer than any minReadySeconds here
        wrote = world.settle(*BOTH)
        waiting = pending(world)
        for pod in waiting:
            run(pod, world, ready=True)
        reaped = world.reap()
        if not wrote and not waiting and not reaped:
            return
    raise AssertionError("the rollout does not end")


class Guard:
    """Checks each write of the controllers against the bounds of the Deployment as it is at that moment."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.scaling = False
        self.asked = 0

    def __call__(self, write: Write) -> None:
        if not isinstance(write, Delete) or write.kind is not POD or self.scaling:
            return
        view = self.world.view()
        pod = view.get(Pod, write.key)
        spec = view.get(Deployment, DEPLOYMENT_KEY)
        assert pod is not None
        assert spec is not None
        if not pod.ready or spec.recreate:
            return
        available = sum(p.ready and p.active for p in view.all(Pod))
        assert available - 1 >= spec.replicas - max_unavailable(spec), "too few pods are left"

    def check_total(self) -> None:
        """Called between plans: nobody asks for more pods than surge allows."""
        view = self.world.view()
        spec = view.get(Deployment, DEPLOYMENT_KEY)
        assert spec is not None
        asked = sum(rs.replicas for rs in view.all(ReplicaSet))
        # What is over a bound that was lowered may stay for a while; it must not grow.
        assert asked <= max(spec.replicas + max_surge(spec), self.asked), "too many pods are asked for"
        self.asked = asked
        for rs in view.all(ReplicaSet):
            active = sum(pod.active for pod in view.owned(Pod, rs.uid))
            assert active <= rs.replicas, "a ReplicaSet has more pods than it asks for"


DEPLOYMENT_KEY = key_for(a_deployment())


def rolling(surge: int | str, unavailable: int | str) -> JsonObject:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def field(name: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[JsonObject]:
    """Edits of one field of the spec."""
    return st.fixed_dictionaries({name: values})


bounds = st.one_of(st.integers(0, 4), st.sampled_from(["0%", "1%", "10%", "25%", "33%", "50%", "100%"]))
recreating: JsonObject = {"type": "Recreate", "rollingUpdate": None}
strategies = st.one_of(st.just(recreating), st.builds(rolling, bounds, bounds))
templates = [a_template(image=f"web:{n}") for n in range(1, 5)]
edits = st.one_of(
    field("replicas", st.integers(0, 12)),
    field("template", st.sampled_from(templates)),
    field("template", st.sampled_from(templates)),
    field("strategy", strategies),
    field("paused", st.booleans()),
    field("revisionHistoryLimit", st.integers(0, 3)),
    field("minReadySeconds", st.sampled_from([0, 5])),
)
steps = st.one_of(
    st.tuples(st.just("edit"), edits),
    st.tuples(st.just("ready"), st.integers(1, 5)),
    st.tuples(st.just("crash"), st.integers(1, 3)),
    st.tuples(st.just("reap"), st.just(0)),
    st.tuples(st.just("time"), st.sampled_from([1, 10, 700])),
    st.tuples(st.just("cut"), st.integers(0, 3)),
)


@given(
    first=st.fixed_dictionaries({"replicas": st.integers(0, 8), "strategy": strategies}),
    script=st.lists(steps, max_size=14),
    seed=st.integers(0, 1000),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_history_keeps_the_bounds_and_ends_complete(
    first: JsonObject, script: list[tuple[str, JsonObject | int]], seed: int
) -> None:
    world = World(a_deployment(spec=first), random=Random(seed))
    guard = Guard(world)
    world.watch = guard
    world.settle(*BOTH)
    guard.check_total()
    for kind, what in script:
        match kind, what:
            case "edit", dict():
                guard.scaling = not {"replicas", "strategy"}.isdisjoint(what)
                world.edit(DEPLOYMENT, "web", {"spec": what})
            case "ready", int():
                for pod in pending(world)[:what]:
                    run(pod, world, ready=True)
            case "crash", int():
                for pod in pending(world)[:what]:
                    run(pod, world, ready=False)
            case "time", int():
                world.now += what
            case "cut", int():
                for controller, key in list(world.keys(*BOTH)):
                    world.perform(controller.reconcile(world.view(), key), upto=what)
            case _:
                world.reap()
        world.settle(*BOTH)
        guard.check_total()
        guard.scaling = False

    world.edit(DEPLOYMENT, "web", {"spec": {"paused": False}})
    rolled_out(world)
    check_complete(world)
    world.now += 10_000
    assert world.settle(*BOTH) == 0, "time alone makes nobody write"


def check_complete(world: World) -> None:
    """All that is wanted is there, and nothing else."""
    view = world.view()
    (spec,) = view.all(Deployment)
    status = spec.body["status"]
    figures = {name: status[name] for name in ("replicas", "updatedReplicas", "availableReplicas")}
    assert set(figures.values()) == {spec.replicas}
    assert status["unavailableReplicas"] == status["terminatingReplicas"] == 0
    reasons = {c["type"]: c["reason"] for c in status["conditions"]}
    assert reasons == {"Progressing": "NewReplicaSetAvailable", "Available": "MinimumReplicasAvailable"}
    new = [rs for rs in view.all(ReplicaSet) if rs.template_digest == spec.template_digest]
    assert len(new) == 1
    assert new[0].replicas == spec.replicas
    assert all(rs.replicas == 0 for rs in view.all(ReplicaSet) if rs is not new[0])
    assert len(list(view.all(ReplicaSet))) <= 1 + (spec.history_limit or 0)
    assert Counter(pod.controller.uid if pod.controller else "" for pod in view.all(Pod)) == (
        Counter({new[0].uid: spec.replicas}) if spec.replicas else Counter()
    )
    assert spec.annotations["deployment.kubernetes.io/revision"] == new[0].revision


def test_rollout_of_300_pods_takes_few_writes() -> None:
    world = World(a_deployment(replicas=300))
    rolled_out(world)
    before = world.writes
    made: Counter[str] = Counter()
    world.watch = lambda write: made.update([f"{type(write).__name__} {write.kind.native}"])
    world.edit(DEPLOYMENT, "web", {"spec": {"template": a_template(image="web:2")}})
    rolled_out(world)
    check_complete(world)
    assert made["Create Pod"] == made["Delete Pod"] == 300
    others = world.writes - before - 600
    assert others < 60, made


@pytest.mark.parametrize("replicas", [0, 1, 5])
def test_new_deployment_comes_up_in_a_handful_of_writes(replicas: int) -> None:
    world = World(a_deployment(replicas=replicas))
    rolled_out(world)
    check_complete(world)
    assert world.writes - replicas <= 9
    assert world.all(REPLICA_SET)[0]["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
