"""A host in miniature for the kubelet's tests: it keeps objects, carries out plans, and moves time by hand.

It does what the real host does to the kubelet's writes (merge patch, resourceVersion check, deletion held by
finalizers), and counts them. With `amnesia` the Machine is built anew from the cache before every step.
"""

import copy
from collections.abc import Iterable
from typing import Any

from builders import HOST_NAMESPACE, NOW, RECORDS, a_node, a_pod, an_object, key_for, kind_of
from nestling.api.json import JsonObject
from nestling.api.kinds import LEASE, NODE, POD, Kind
from nestling.kubelet.machine import Kubelet
from nestling.machinery.cache import Cache, Change
from nestling.machinery.clock import seconds_of, timestamp
from nestling.machinery.controller import Outcome
from nestling.machinery.errors import AlreadyExists, Conflict, HostError, NotFound
from nestling.machinery.names import Key
from nestling.machinery.plan import Create, Delete, Emit, Patch, Plan, Write
from nestling.machinery.records.pod import KUBELET_FINALIZER

POD_CIDR = "10.244.7.0/24"
NODE_SPEC: JsonObject = {"podCIDR": POD_CIDR, "podCIDRs": [POD_CIDR]}


def a_new_node(name: str = "n1", **more: Any) -> JsonObject:
    """A node that nobody has registered yet."""
    spec = more.pop("spec", NODE_SPEC)
    found = a_node(name, spec=spec, **more)
    del found["status"]
    return found


def a_bound_pod(name: str = "web-0", *, node: str = "n1", **more: Any) -> JsonObject:
    """A pod right after the bind write: no status, our finalizer."""
    spec = {"terminationGracePeriodSeconds": 30, "restartPolicy": "Always", **more.pop("spec", {})}
    if "containers" not in spec:
        spec["containers"] = [{"name": "main", "image": "web:1"}]
    more.setdefault("finalizers", [KUBELET_FINALIZER])
    more.setdefault("created_at", NOW - 1)
    found = a_pod(name, node=node, spec=spec, **more)
    found["status"] = more.get("status") or {}
    return found


class World:
    """One host with one kubelet process."""

    def __init__(self, *objects: JsonObject, now: float = NOW, amnesia: bool = False, **options: Any) -> None:
        self.now = now
        self.amnesia = amnesia
        self.options = options
        self.objects: dict[tuple[str, Key], JsonObject] = {}
        self.cache = Cache(RECORDS)
        self.kubelet = Kubelet(self.cache, **options)
        self.version = 100
        self.writes: list[Write] = []
        self.events: list[Emit] = []
        self.fail_next: list[HostError] = []
        self.lose_answers = 0
        for obj in objects:
            self.put(obj)

    def put(self, obj: JsonObject) -> None:
        """Store an object as somebody else would, and let the kubelet see it."""
        self.version += 1
        obj = copy.deepcopy(obj)
        obj["metadata"]["resourceVersion"] = str(self.version)
        kind = kind_of(obj)
        self.objects[kind.plural, key_for(obj)] = obj
        self.see(kind, obj)

    def see(self, kind: Kind, obj: JsonObject, *, deleted: bool = False) -> None:
        """Pass on one watch event."""
        change = self.cache.see(kind, copy.deepcopy(obj), deleted=deleted)
        if change is not None:
            self.kubelet.observe(change)

    def edit(self, obj: JsonObject, patch: JsonObject, *, bump: bool = False) -> None:
        """Change an object from outside, by merge patch; `bump` for a change of the spec."""
        found = copy.deepcopy(self.get(obj))
        merge(found, patch)
        found["metadata"]["generation"] = found["metadata"].get("generation", 1) + bump
        self.put(found)

    def delete(self, obj: JsonObject) -> None:
        """Ask for deletion, as kubectl does."""
        found = copy.deepcopy(self.get(obj))
        found["metadata"].setdefault("deletionTimestamp", timestamp(self.now))
        self.put(found)
        self._collect(kind_of(found), key_for(found))

    def get(self, obj: JsonObject) -> JsonObject:
        """The object as it is now. Raises KeyError if it is gone."""
        return self.objects[kind_of(obj).plural, key_for(obj)]

    def exists(self, obj: JsonObject) -> bool:
        """Whether the object is still there."""
        return (kind_of(obj).plural, key_for(obj)) in self.objects

    def status(self, obj: JsonObject) -> JsonObject:
        """The object's status."""
        return self.get(obj).get("status") or {}

    def lease(self, identity: str = "0") -> JsonObject | None:
        """The kubelet's Lease."""
        return self.objects.get((LEASE.plural, Key(HOST_NAMESPACE, "", f"nestling-kubelet-{identity}")))

    def pod_writes(self) -> list[Patch]:
        """Writes on pods so far."""
        return [write for write in self.writes if isinstance(write, Patch) and write.kind is POD]

    def node_writes(self) -> list[Patch]:
        """Writes on nodes so far."""
        return [write for write in self.writes if isinstance(write, Patch) and write.kind is NODE]

    def reasons(self) -> list[str]:
        """Reasons of the events on pods so far."""
        return [event.reason for event in self.events if event.kind is POD]

    def crash(self) -> None:
        """Kill the kubelet process and start another one."""
        self.kubelet = Kubelet(self.cache, **self.options)
        for plural in ("virtualclusters", "virtualnodes", "leases", "virtualpods"):
            for record in list(self.cache.table_of(_KINDS[plural]).records.values()):
                self.kubelet.observe(Change(record.KIND, record.key, None, record))

    def settle(self) -> None:
        """Let the kubelet work until nothing is due at this moment."""
        for _ in range(1000):
            if self.amnesia:
                self.crash()
            plans = self.kubelet.step(self.now)
            for plan in plans:
                outcome = self.perform(plan)
                self.kubelet.settle(plan, outcome, self.now)
            due = self.kubelet.wake_at()
            if not plans and (due is None or due > self.now):
                return
            only_talk = all(isinstance(write, Emit) for plan in plans for write in plan.writes)
            if only_talk and self.amnesia:
                return  # the next life would say it again
        raise AssertionError("the kubelet does not come to rest")

    def run(self, seconds: float, *, pace: float = 0.0) -> None:
        """Move time forward, stopping wherever the kubelet wants to look (or every `pace` seconds)."""
        end = self.now + seconds
        self.settle()
        while True:
            due = self.kubelet.wake_at()
            stop = end if due is None else min(max(due, self.now + 0.001), end)
            if pace:
                stop = min(self.now + pace, end)
            self.now = stop
            self.settle()
            if self.now >= end:
                return

    def perform(self, plan: Plan) -> Outcome:
        """Carry out a plan as the executor would."""
        done = 0
        for write in plan.writes:
            if isinstance(write, Emit):
                self.events.append(write)
                done += 1
                continue
            if self.fail_next:
                return Outcome(done, self.fail_next.pop(0))
            try:
                self._write(write)
            except HostError as error:
                return Outcome(done, error)
            done += 1
        return Outcome(done)

    def _write(self, write: Write) -> None:
        assert not isinstance(write, Emit)
        self.writes.append(write)
        place = (write.kind.plural, write.key)
        found = self.objects.get(place)
        match write:
            case Create():
                if found is not None:
                    raise AlreadyExists("it exists", status=409)
                found = copy.deepcopy(write.body)
                meta = found["metadata"]
                plain = an_object(write.kind, meta["name"], cluster=meta["namespace"], created_at=self.now)
                found["metadata"] = {**plain["metadata"], **meta}
            case Patch():
                if found is None or found["metadata"]["uid"] != write.uid:
                    raise NotFound("no such object", status=404)
                if write.version is not None and int(found["metadata"]["resourceVersion"]) != write.version:
                    raise Conflict("the object has moved on", status=409)
                found = copy.deepcopy(found)
                merge(found, write.body)
            case Delete():
                if found is None or found["metadata"]["uid"] != write.uid:
                    raise NotFound("no such object", status=404)
                del self.objects[place]
                self.see(write.kind, found, deleted=True)
                return
        self.version += 1
        found["metadata"]["resourceVersion"] = str(self.version)
        self.objects[place] = found
        if self._collect(write.kind, write.key):
            return
        self.see(write.kind, found)

    def _collect(self, kind: Kind, key: Key) -> bool:
        """Remove an object whose deletion nothing holds up any more."""
        found = self.objects[kind.plural, key]
        meta = found["metadata"]
        if not meta.get("deletionTimestamp") or meta.get("finalizers"):
            return False
        del self.objects[kind.plural, key]
        self.see(kind, found, deleted=True)
        return True


_KINDS: dict[str, Kind] = {record.KIND.plural: record.KIND for record in RECORDS}


def merge(target: JsonObject, patch: JsonObject) -> None:
    """Apply a merge patch in place (RFC 7386)."""
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        elif isinstance(value, dict):
            inner: Any = target.get(name)
            if not isinstance(inner, dict):
                inner = target[name] = {}
            merge(inner, value)  # type: ignore[arg-type]  # JSON objects on both sides
        else:
            target[name] = copy.deepcopy(value)


def conditions(status: JsonObject) -> dict[str, str]:
    """Type to status of a status' conditions."""
    return {entry["type"]: entry["status"] for entry in status.get("conditions") or ()}


def state_of(status: JsonObject, container: str = "main", group: str = "containerStatuses") -> JsonObject:
    """The state of one container."""
    for entry in status.get(group) or ():
        if entry["name"] == container:
            return entry["state"]
    raise KeyError(container)


def names_of(writes: Iterable[Write]) -> list[str]:
    """What was written, for a failing test to print."""
    return [f"{type(write).__name__} {write.kind.name} {write.key.display}" for write in writes]


def age(text: str) -> float:
    """Seconds from the tests' start of time to a timestamp."""
    return seconds_of(text) - NOW
