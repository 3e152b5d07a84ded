"""Our side: all loops on the embedded API server in this process, on a clock that is moved by hand.

What takes the real side minutes takes milliseconds here, and every run is the same to the letter.
"""

from typing import Final

import orjson
from action import Side
from picture import Picture, picture
from scenario import SHARED_NODES, Scenario, kind_named

from nestling.api.json import JsonObject
from nestling.api.kinds import BY_NATIVE, CLUSTER, NODE, VIRTUAL_KINDS, Kind
from nestling.apiserver.exchange import Request
from nestling.apiserver.watch import Watch
from nestling.cli.translate import LeftOut, Place, translate
from nestling.kubelet.runtimes.annotation import POWER
from nestling.machinery.client import Client
from nestling.machinery.names import DEFAULT_NAMESPACE
from nestling.machinery.records.cluster import CLUSTER_NAME
from simulation import CLUSTER as HOST_NAMESPACE
from simulation import World

GRACE_S: Final = 8
"""Silence after which a node counts as lost; the real side is started with the same."""
QUIET_S: Final = 2
LONGEST_S: Final = 120

_WATCHED: Final = tuple(kind for kind in VIRTUAL_KINDS if kind.native and kind.native != "Namespace")
_NATIVE: Final = {kind.name: kind for kind in BY_NATIVE.values()}


class Ours(Side):
    """One scenario in a world of its own."""

    namespace = HOST_NAMESPACE

    def __init__(self, scenario: Scenario, world: World, place: str) -> None:
        super().__init__(scenario, Client(world.transport), place)
        self.seen.masks.add(f"{DEFAULT_NAMESPACE}/", "<namespace>/")
        self._world = world
        self._heard = 0
        self._pause_s = 0.0
        # Nodes that all share are nobody's: only a scenario's own are compared.
        self._watches = [self._watch(kind) for kind in _WATCHED if kind is not NODE or scenario.nodes]
        world.run(self._prepare())

    def _watch(self, kind: Kind) -> Watch:
        query = {"watch": "true", "resourceVersion": str(self._world.api.revision)}
        watch = self._world.api.watch(Request("GET", kind.path(HOST_NAMESPACE), query, {}, b""))
        assert isinstance(watch, Watch), watch.body
        return watch

    async def _prepare(self) -> None:
        body: JsonObject = {
            "apiVersion": CLUSTER.api_version,
            "kind": CLUSTER.name,
            "metadata": {"name": CLUSTER_NAME},
            "spec": {"nodeLifecycle": {"gracePeriodSeconds": GRACE_S}},
        }
        await self.client.create(CLUSTER, HOST_NAMESPACE, body)
        for name in self.scenario.nodes or SHARED_NODES:
            labels = self.node_labels(name)
            meta: JsonObject = {"name": self.node_name(name), "labels": labels}
            node: JsonObject = {"apiVersion": NODE.api_version, "kind": NODE.name, "metadata": meta}
            await self.client.create(NODE, HOST_NAMESPACE, {**node, "spec": {}})

    def play(self) -> list[Picture]:
        """The whole scenario; the world after each step."""
        self.settle()
        return [self._step(number) for number in range(len(self.scenario.steps))]

    def _step(self, number: int) -> Picture:
        for action in self.scenario.steps[number]:
            self._world.run(self.act(action))
            if self._pause_s:
                self._world.run_for(self._pause_s)
                self._pause_s = 0.0
            self._look()
        self.settle()
        return picture(self.seen)

    def settle(self) -> None:
        """Let the world live until nothing happens any more."""
        quiet = 0
        for _ in range(LONGEST_S):
            self._world.run_for(1.0)
            quiet = 0 if self._look() else quiet + 1
            if quiet == QUIET_S:
                return
        raise AssertionError(f"{self.scenario.name}: still not quiet after {LONGEST_S} s of its time")

    def _look(self) -> bool:
        """Take in what has happened; whether anything has."""
        before = self.seen.changes
        for watch in self._watches:
            for line in watch.poll():
                event = orjson.loads(line)
                if event["type"] in {"ADDED", "MODIFIED", "DELETED"}:
                    self.seen.take(_as_native(event["object"]), deleted=event["type"] == "DELETED")
        said = self._world.events.said
        for number, emit in enumerate(said[self._heard :], self._heard):
            event = {
                "metadata": {"name": str(number)},
                "involvedObject": {"kind": emit.kind.native, "name": emit.key.name},
                "type": emit.type,
                "reason": emit.reason,
                "message": emit.message,
                "source": {"component": emit.component},
            }
            self.seen.hear(event, 1)
        self._heard = len(said)
        return self.seen.changes != before

    def kind(self, native: str) -> Kind:
        """The virtual kind."""
        return kind_named(native)

    def native(self, manifest: JsonObject) -> JsonObject:
        """The virtual manifest, as `nestling convert` makes it."""
        found = translate(manifest, Place())
        assert not isinstance(found, LeftOut), found
        return found

    @property
    def node_space(self) -> str | None:
        """Virtual nodes are in the host namespace, like everything."""
        return HOST_NAMESPACE

    def now(self) -> float:
        """The time of the world."""
        return self._world.clock.now()

    async def wait(self, seconds: float) -> None:
        """Let the world live so long, once nothing else is being done."""
        self._pause_s += seconds

    async def power(self, node: str, *, on: bool) -> None:
        """Throw the switch of the simulated machine."""
        body = {"metadata": {"annotations": {POWER: None if on else "off"}}}
        await self.client.patch(NODE, HOST_NAMESPACE, node, body)


def _as_native(obj: JsonObject) -> JsonObject:
    """A virtual object under the names that its native twin has."""
    kind = _NATIVE[obj["kind"]]
    meta = {**obj["metadata"]}
    if "ownerReferences" in meta:
        meta["ownerReferences"] = [
            {**owner, "kind": _NATIVE[owner["kind"]].native if owner["kind"] in _NATIVE else owner["kind"]}
            for owner in meta["ownerReferences"]
        ]
    return {**obj, "apiVersion": kind.native_api_version, "kind": kind.native, "metadata": meta}


def play(scenario: Scenario, place: str) -> list[Picture]:
    """A scenario from its beginning to its end."""
    with World() as world:
        side = Ours(scenario, world, place)
        found = side.play()
        assert not world.bugs, world.bugs
        return found
