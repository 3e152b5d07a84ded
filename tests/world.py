"""A host of a few lines: it keeps objects, does the writes of plans and checks what each was decided on.

For tests of controllers that play together without any process: a plan is carried out to the end, or up to
any write, and everybody looks again. Stricter than a real host: a write that conflicts, or changes nothing,
fails the test, because here nobody else writes.
"""

import copy
from collections.abc import Callable, Iterator
from random import Random
from typing import cast

from builders import HOST_NAMESPACE, NOW, RECORDS, kind_of
from nestling.api.json import JsonObject, JsonValue
from nestling.api.kinds import POD, Kind
from nestling.machinery.cache import Cache
from nestling.machinery.clock import timestamp
from nestling.machinery.controller import Controller
from nestling.machinery.names import Key, key_of
from nestling.machinery.plan import Create, Delete, Emit, Patch, Plan, Write
from nestling.machinery.view import View


class Conflict(AssertionError):
    """A write named a version, a UID or a name that is not so."""


class World:
    """Objects of one cluster, the cache that has seen them, and the time."""

    def __init__(self, *objects: JsonObject, now: float = NOW, random: Random | None = None) -> None:
        self.now = now
        self.random = random  # who looks first; without it in the order of the controllers
        self.cache = Cache(RECORDS)
        self.objects: dict[tuple[str, Key], JsonObject] = {}
        self.events: list[str] = []
        self.writes = 0
        self.watch: Callable[[Write], None] = _nothing
        self._version = 100
        self._born = 0
        for obj in objects:
            self.put(obj)

    def view(self, refusal: str = "") -> View:
        """What a reconciler sees now."""
        return View(self.cache, HOST_NAMESPACE, self.now, refusal=refusal)

    def put(self, obj: JsonObject) -> None:
        """Store one object as it is, under a new version."""
        kind = kind_of(obj)
        self._version += 1
        obj["metadata"]["resourceVersion"] = str(self._version)
        self.objects[kind.plural, key_of(kind, HOST_NAMESPACE, obj["metadata"]["name"])] = obj
        self.cache.see(kind, copy.deepcopy(obj))

    def get(self, kind: Kind, name: str) -> JsonObject:
        """A copy of one object."""
        return copy.deepcopy(self.objects[kind.plural, key_of(kind, HOST_NAMESPACE, name)])

    def all(self, kind: Kind) -> list[JsonObject]:
        """Copies of all objects of a kind."""
        return [copy.deepcopy(obj) for (plural, _), obj in self.objects.items() if plural == kind.plural]

    def edit(self, kind: Kind, name: str, patch: JsonObject) -> None:
        """Merge-patch an object as a user does; a new spec is a new generation."""
        obj = self.get(kind, name)
        self.put(_merged(obj, patch))

    def remove(self, obj: JsonObject) -> None:
        """Let an object vanish."""
        kind = kind_of(obj)
        self.objects.pop((kind.plural, key_of(kind, HOST_NAMESPACE, obj["metadata"]["name"])), None)
        self.cache.see(kind, copy.deepcopy(obj), deleted=True)

    def reap(self) -> int:
        """Let all terminating pods vanish; returns how many."""
        going = [pod for pod in self.all(POD) if "deletionTimestamp" in pod["metadata"]]
        for pod in going:
            self.remove(pod)
        return len(going)

    def perform(self, plan: Plan, *, upto: int | None = None) -> int:
        """Do the writes of a plan, or the first few of them. Returns how many it has."""
        for write in plan.writes[:upto]:
            self._do(write)
        return len(plan.writes)

    def settle(self, *controllers: Controller, looks: int = 400) -> int:
        """Let controllers look at everything until none has anything to write; returns how many writes."""
        before = self.writes
        for _ in range(looks):
            busy = False
            for controller, key in self.keys(*controllers):
                plan = controller.reconcile(self.view(), key)
                busy = self.perform(plan) > 0 or busy
            if not busy:
                return self.writes - before
        raise AssertionError(f"still writing after {looks} looks at everything")

    def keys(self, *controllers: Controller) -> Iterator[tuple[Controller, Key]]:
        """Every controller with every key of the kind it is about, which is the first of its concerns."""
        found: list[tuple[Controller, Key]] = []
        for controller in controllers:
            kind = next(iter(controller.concerns))
            found += ((controller, key) for plural, key in self.objects if plural == kind.plural)
        if self.random is not None:
            self.random.shuffle(found)
        return iter(found)

    def _do(self, write: Write) -> None:
        if isinstance(write, Emit):
            self._say(write)
            return
        self.writes += 1
        self.watch(write)
        match write:
            case Create():
                self._create(write)
            case Patch():
                self._patch(write)
            case Delete():
                self._delete(write)
        if write.on_success is not None:
            self._say(write.on_success)

    def _say(self, event: Emit) -> None:
        self.events.append(f"{event.type} {event.reason} {event.message}")

    def _create(self, write: Create) -> None:
        if (write.kind.plural, write.key) in self.objects:
            raise Conflict(f"{write.key.display} exists already")
        self._born += 1
        obj = copy.deepcopy(write.body)
        meta = obj["metadata"]
        meta["uid"] = f"uid-{write.kind.native.lower()}-{self._born}"
        meta["generation"] = 1
        meta["creationTimestamp"] = timestamp(self.now)
        self.put(obj)

    def _patch(self, write: Patch) -> None:
        obj = self._found(write)
        if write.subresource == "status":
            assert set(write.body) == {"status"}, "a status write that carries more"
        else:
            assert "status" not in write.body, "a status outside its subresource"
        merged = _merged(obj, write.body)
        if merged != obj:
            self.put(merged)
        elif write.body:
            raise Conflict(f"a write that changes nothing: {write.body}")

    def _delete(self, write: Delete) -> None:
        obj = self._found(write)
        if write.kind is POD and obj["spec"].get("nodeName"):
            obj["metadata"]["deletionTimestamp"] = timestamp(self.now)
            self.put(obj)
        else:
            self.remove(obj)

    def _found(self, write: Patch | Delete) -> JsonObject:
        obj = self.objects.get((write.kind.plural, write.key))
        if obj is None or obj["metadata"]["uid"] != write.uid:
            raise Conflict(f"{write.key.display} is not there")
        if write.version is not None and str(write.version) != obj["metadata"]["resourceVersion"]:
            raise Conflict(f"{write.key.display} has moved on")
        return copy.deepcopy(obj)


def _nothing(_write: Write) -> None:
    pass


def _merged(obj: JsonObject, patch: JsonObject) -> JsonObject:
    found = cast("JsonObject", merge(obj, patch))
    found["metadata"].pop("managedFields", None)
    if found.get("spec") != obj.get("spec"):
        found["metadata"]["generation"] = obj["metadata"].get("generation", 1) + 1
    return found


def merge(before: JsonValue, patch: JsonValue) -> JsonValue:
    """What a merge patch (RFC 7386) makes of a value."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    found = dict(cast("JsonObject", before)) if isinstance(before, dict) else {}
    for name, value in cast("JsonObject", patch).items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = merge(found.get(name), value)
    return found
