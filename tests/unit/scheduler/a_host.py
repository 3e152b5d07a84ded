"""A host of one machine, in memory: a real cache in front, objects behind it that take merge patches.

It refuses what a host refuses: another version than the patch names, a UID that is gone, a second node.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any, cast

from builders import NOW, kind_of
from nestling.api.json import JsonObject
from nestling.api.kinds import POD, Kind
from nestling.machinery.cache import Cache, Change
from nestling.machinery.clock import ManualClock, timestamp
from nestling.machinery.controller import Answer, Outcome
from nestling.machinery.errors import Conflict, HostError, NotFound, Refused
from nestling.machinery.names import Key, key_of
from nestling.machinery.plan import Ask, Delete, Emit, Patch, Plan
from nestling.machinery.records.budget import PodDisruptionBudget
from nestling.machinery.records.cluster import Cluster
from nestling.machinery.records.kept import PriorityClass
from nestling.machinery.records.namespace import Namespace
from nestling.machinery.records.node import Node
from nestling.machinery.records.pod import Pod
from nestling.machinery.records.revisioned import StatefulSet
from nestling.machinery.records.service import Service
from nestling.machinery.records.workload import ReplicaSet, ReplicationController
from nestling.scheduler.configuration import Setup
from nestling.scheduler.machine import SchedulerMachine
from nestling.scheduler.metrics import Recorder


class Host:
    """Objects by kind and key, the machine that watches them, and what it wrote."""

    def __init__(
        self,
        *objects: JsonObject,
        recorder: Recorder | None = None,
        batch: int = 256,
        setup: Setup | None = None,
    ) -> None:
        self.clock = ManualClock(NOW)
        self.objects: dict[tuple[str, Key], JsonObject] = {}
        self.events: list[Emit] = []
        self.patches: list[Patch] = []
        self.deleted: list[str] = []
        self.extenders: Callable[[Ask], Answer] = _nobody
        self._version = 100
        self._options: dict[str, Any] = {"recorder": recorder, "batch": batch, "setup": setup}
        self.restart()
        for obj in objects:
            self.put(obj)

    def restart(self) -> None:
        """Lose all memory but the objects."""
        kin = (Namespace, Service, ReplicaSet, ReplicationController, StatefulSet)
        self.cache = Cache((Cluster, Node, Pod, PriorityClass, PodDisruptionBudget, *kin))
        self.machine = SchedulerMachine(now=self.clock.now, timer=self.clock.monotonic, **self._options)
        for obj in list(self.objects.values()):
            self._show(obj)

    def put(self, obj: JsonObject) -> None:
        """Create or replace an object, as if somebody else had."""
        found = copy.deepcopy(obj)
        self._version += 1
        found["metadata"]["resourceVersion"] = str(self._version)
        self.objects[kind_of(found).plural, self._key(found)] = found
        self._show(found)

    def edit(self, kind: Kind, name: str, change: JsonObject, *, cluster: str = "team-a") -> None:
        """Merge-patch an object as somebody else; a change of its spec makes a new generation."""
        obj = copy.deepcopy(self.objects[kind.plural, key_of(kind, cluster, name)])
        _merge(obj, change)
        if "spec" in change:
            obj["metadata"]["generation"] += 1
        self.put(obj)

    def delete(self, kind: Kind, name: str, *, cluster: str = "team-a") -> None:
        """Delete an object at once."""
        obj = self.objects.pop((kind.plural, key_of(kind, cluster, name)))
        self._observe(self.cache.see(kind, copy.deepcopy(obj), deleted=True))

    def pod(self, name: str, *, cluster: str = "team-a") -> JsonObject:
        """A pod as it stands."""
        return self.objects[POD.plural, key_of(POD, cluster, name)]

    def node_of(self, name: str, *, cluster: str = "team-a") -> str:
        """Where a pod is bound, empty if nowhere."""
        return self.pod(name, cluster=cluster)["spec"].get("nodeName", "")

    def step(self) -> list[Plan]:
        """One step of the machine; nothing is carried out."""
        return self.machine.step(self.clock.now())

    def carry_out(self, plan: Plan) -> Outcome:
        """Perform the writes of a plan; the machine sees the answer of each, then the outcome."""
        if plan.asks:
            outcome = Outcome(0, answers=tuple(map(self.extenders, plan.asks)))
            self.settle(plan, outcome)
            return outcome
        done, error = 0, None
        for write in plan.writes:
            match write:
                case Patch():
                    error = self._patch(write)
                case Emit():
                    self.events.append(write)
                case Delete():
                    error = self._delete(write)
                case _:
                    raise AssertionError(f"unexpected write {write}")
            if error is not None:
                break
            done += 1
        outcome = Outcome(done, error)
        self.settle(plan, outcome)
        return outcome

    def settle(self, plan: Plan, outcome: Outcome) -> None:
        """Tell the machine how a plan went, whatever happened."""
        self.machine.settle(plan, outcome, self.clock.now())

    def run(self) -> int:
        """Step and carry out until nothing is left to do now; the number of plans."""
        count = 0
        for _ in range(1000):
            plans = self.step()
            for plan in plans:
                self.carry_out(plan)
            count += len(plans)
            when = self.machine.wake_at()
            if when is None or when > self.clock.now():
                return count
        raise AssertionError("the machine does not come to rest")

    def _patch(self, write: Patch) -> HostError | None:
        obj = self.objects.get((write.kind.plural, write.key))
        if obj is None or obj["metadata"]["uid"] != write.uid:
            return NotFound("no such object", status=404)
        if write.version is not None and obj["metadata"]["resourceVersion"] != str(write.version):
            return Conflict("the object has been modified", status=409)
        before = obj.get("spec", {}).get("nodeName")
        after = write.body.get("spec", {}).get("nodeName")
        if before and after and before != after:
            return Refused("nodeName is immutable once set", status=422)
        self.patches.append(write)
        self.edit(write.kind, write.key.host_name, write.body, cluster=write.key.cluster)
        if write.on_success is not None:
            self.events.append(write.on_success)
        return None

    def _delete(self, write: Delete) -> HostError | None:
        obj = self.objects.get((write.kind.plural, write.key))
        if obj is not None and obj["metadata"]["uid"] == write.uid:
            self.deleted.append(write.key.name)
            if obj["metadata"].get("finalizers"):
                gone = {"deletionTimestamp": timestamp(self.clock.now())}
                self.edit(write.kind, write.key.host_name, {"metadata": gone}, cluster=write.key.cluster)
            else:
                self.delete(write.kind, write.key.host_name, cluster=write.key.cluster)
        if write.on_success is not None:
            self.events.append(write.on_success)
        return None

    def reap(self) -> int:
        """Let all pods that were asked to go be gone, as their kubelet would; returns how many."""
        going = [
            obj["metadata"]["name"]
            for (plural, _), obj in self.objects.items()
            if plural == POD.plural and "deletionTimestamp" in obj["metadata"]
        ]
        for name in going:
            self.delete(POD, name)
        return len(going)

    def _show(self, obj: JsonObject) -> None:
        self._observe(self.cache.see(kind_of(obj), copy.deepcopy(obj)))

    def _observe(self, change: Change | None) -> None:
        if change is not None:
            self.machine.observe(change)

    @staticmethod
    def _key(obj: JsonObject) -> Key:
        return key_of(kind_of(obj), obj["metadata"]["namespace"], obj["metadata"]["name"])


def _nobody(ask: Ask) -> Answer:
    return Answer(error=f'Post "{ask.url}": connection refused')


def _merge(target: JsonObject, change: Mapping[str, Any]) -> None:
    for key, value in change.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            nested = target.setdefault(key, {})
            _merge(nested, cast("JsonObject", value))
        else:
            target[key] = copy.deepcopy(value)
