"""The scheduler as a machine: it is shown changes, and answers with binds.

Serves the pods of every cluster, each with nodes, queue and engine of its own (`lane`), taking turns between
them pod by pod so that a busy cluster cannot starve a quiet one. All state can be built anew from the cache:
what is bound is in the pods, what was said is in their conditions.
Source: Kubernetes 1.37, pkg/scheduler/scheduler.go and eventhandlers.go.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Final, cast

from nestling.api.kinds import CLUSTER, NODE, POD, POD_DISRUPTION_BUDGET, PRIORITY_CLASS
from nestling.machinery.cache import Change
from nestling.machinery.controller import Outcome
from nestling.machinery.plan import Plan
from nestling.machinery.records.cluster import Cluster
from nestling.machinery.records.node import Node
from nestling.machinery.records.pod import Pod
from nestling.scheduler import kin
from nestling.scheduler.configuration import Setup
from nestling.scheduler.lane import Lane
from nestling.scheduler.metrics import Pending, Recorder, Silent
from nestling.scheduler.podclass import Classes
from nestling.scheduler.queue import Place

BATCH: Final = 256  # pods decided per step: about 20 ms of work, so that the driver's loop stays responsive


class SchedulerMachine:
    """The loop's state. `now` tells the time of a change (observe knows none); `timer` measures durations."""

    name = "scheduler"
    kinds = (POD, NODE, PRIORITY_CLASS, CLUSTER, POD_DISRUPTION_BUDGET, *kin.KINDS)

    def __init__(
        self,
        *,
        now: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.perf_counter,
        recorder: Recorder | None = None,
        setup: Setup | None = None,
        batch: int = BATCH,
    ) -> None:
        self._now = now
        self._timer = timer
        self._recorder: Recorder = recorder if recorder is not None else Silent()
        self._setup = setup if setup is not None else Setup.plain()
        self._batch = batch
        self._classes = Classes()
        self._lanes: dict[str, Lane] = {}
        self._turn: deque[Lane] = deque()
        self._out: dict[int, tuple[Plan, str]] = {}

    def observe(self, change: Change) -> None:
        """Take note of one change."""
        lane = self._lane(change.key.cluster)
        match change.kind.plural:
            case POD.plural:
                lane.intake.pod_changed(change.key, cast("Pod | None", change.new), self._now())
            case NODE.plural:
                lane.intake.node_changed(cast("Node | None", change.old), cast("Node | None", change.new))
            case PRIORITY_CLASS.plural:
                body = change.new.body if change.new is not None else None
                lane.intake.priority_class_changed(change.key.name, body, self._now())
            case POD_DISRUPTION_BUDGET.plural:
                lane.intake.budget_changed(change.key, change.new)
            case CLUSTER.plural:
                lane.intake.cluster_changed(cast("Cluster | None", change.new), self._now())
            case plural if plural in kin.PLURALS:
                kin.learn(lane.state.nodes.peers, change)
            case _:
                pass
        if change.new is None and lane.empty:
            del self._lanes[lane.cluster]
            self._turn.remove(lane)
            self._recorder.gone(lane.cluster)

    def step(self, now: float) -> list[Plan]:
        """Decide about the pods whose turn it is, at most a batch of them."""
        plans: list[Plan] = []
        budget = self._batch
        idle = 0
        while budget and idle < len(self._turn):
            lane = self._turn[0]
            self._turn.rotate(-1)
            tried, plan = lane.try_one(now)
            if not tried:
                idle += 1
                continue
            idle = 0
            budget -= 1
            if plan is not None:
                self._out[id(plan)] = (plan, lane.cluster)
                plans.append(plan)
        return plans

    def settle(self, plan: Plan, outcome: Outcome, now: float) -> None:
        """Learn how a plan went."""
        _, cluster = self._out.pop(id(plan), (plan, ""))
        lane = self._lanes.get(cluster)
        if lane is not None:
            lane.settle(plan, outcome, now)

    def wake_at(self) -> float | None:
        """When there is something to do without further changes; 0 means at once."""
        times = [when for lane in self._turn if (when := lane.wake_at()) is not None]
        return min(times, default=None)

    def pending(self) -> Mapping[str, Pending]:
        """Pods that wait, by cluster: for gauges."""
        found: dict[str, Pending] = {}
        for cluster, lane in self._lanes.items():
            plugins = Counter(
                (plugin, pod.profile)
                for pod in lane.state.waiting.values()
                if pod.place is Place.UNSCHEDULABLE
                for plugin in pod.plugins
            )
            found[cluster] = Pending(
                {place.value: lane.state.queue.count[place] for place in Place if place.value},
                plugins,
                {
                    "nodes": lane.state.nodes.count,
                    "pods": len(lane.state.residents),
                    "assumed_pods": sum(resident.assumed for resident in lane.state.residents),
                },
            )
        return found

    def lanes(self) -> list[Lane]:
        """The clusters it serves, for tests and for people who look inside."""
        return list(self._lanes.values())

    def _lane(self, cluster: str) -> Lane:
        lane = self._lanes.get(cluster)
        if lane is None:
            lane = self._lanes[cluster] = Lane(
                cluster,
                self._setup,
                self._recorder,
                self._timer,
                classes=self._classes,
            )
            self._turn.append(lane)
        return lane
