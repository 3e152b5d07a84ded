"""The real side: every scenario in a namespace of one control plane, many at a time.

A real cluster does not say when it has settled. The other side has been played before, so it is waited for
until the real world looks the same and stays so for a moment; when it stays different for longer, that is the
answer. Nothing here asks the server how things stand: watches of all kinds tell, once for all scenarios.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from action import Side
from metrics_api import metrics_api
from picture import Picture, differences, picture
from scenario import NODE_LABEL, SHARED, SHARED_NODES, Scenario, kind_named

from nestling.api.json import JsonObject
from nestling.api.kinds import EVENT, LEASE, VIRTUAL_KINDS, Kind
from nestling.machinery.client import Client, HttpTransport
from nestling.machinery.clock import timestamp_micro
from nestling.machinery.errors import AlreadyExists, HostError, NotFound
from nestling.machinery.login import log_in
from realhost import RealHost

QUIET_S: Final = 0.8
"""So long nothing may happen in a world that looks as it should."""
STUCK_S: Final = 20.0
"""A world that looks different for so long without a change stays different."""
PATIENCE_S: Final = 120.0
AT_A_TIME: Final = 16
NODE_LEASES: Final = "kube-node-lease"
ROOM: Final = {"cpu": "32", "memory": "256Gi", "pods": "110", "ephemeral-storage": "512Gi"}
NODE_READY_S: Final = 60.0
CLOSING_S: Final = 0.5
"""TLS connections take a moment to close; one that is still open when its loop ends is complained of."""
NOBODY: Final = "nobody"
"""Holds the Lease of a machine without power."""


def native_kind(native: str) -> Kind:
    """The native kind, as the API server knows it."""
    virtual = kind_named(native)
    group, _, version = virtual.native_api_version.rpartition("/")
    return Kind(
        native, virtual.plural.removeprefix("virtual"), group=group, version=version, scoped=virtual.scoped
    )


NAMESPACE: Final = native_kind("Namespace")
NODE: Final = native_kind("Node")
_WATCHED: Final = (
    *(native_kind(kind.native) for kind in VIRTUAL_KINDS if kind.native not in {"", "Namespace"}),
    EVENT,
)


class Theirs(Side):
    """One scenario in a namespace of the real cluster."""

    def __init__(self, scenario: Scenario, client: Client, place: str) -> None:
        super().__init__(scenario, client, place)
        self.namespace = place
        self.seen.masks.add(f"{place}/", "<namespace>/")
        self.changed_at = time.monotonic()

    def take(self, obj: JsonObject, *, deleted: bool) -> None:
        """Take in what a watch tells of this namespace or its nodes."""
        self.changed_at = time.monotonic()
        if obj["kind"] == "Event":
            if not deleted:
                self.seen.hear(obj, int(obj.get("count") or 1))
        else:
            self.seen.take(obj, deleted=deleted)

    async def begin(self) -> None:
        """Make the namespace, and the scenario's own nodes."""
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.place}}
        await self.client.call("POST", NAMESPACE.path(), body=body)
        for name in self.scenario.nodes:
            await make_node(self.client, self.node_name(name), self.node_labels(name))
        for name in self.scenario.nodes:
            await until_ready(self.client, self.node_name(name))

    async def end(self) -> None:
        """Let everything go; nobody waits for it."""
        for name in self.scenario.nodes:
            with contextlib.suppress(HostError):
                await self.client.call("DELETE", NODE.path(None, self.node_name(name)))
        with contextlib.suppress(HostError):
            await self.client.call("DELETE", NAMESPACE.path(None, self.place))

    async def play(self, expected: Sequence[Picture]) -> list[Picture]:
        """The scenario up to the first step after which the world is not as expected."""
        found: list[Picture] = []
        for step, wanted in zip(self.scenario.steps, expected, strict=True):
            for action in step:
                await self.act(action)
            found.append(await self.settle(wanted))
            if found[-1] != wanted:
                break
        return found

    async def settle(self, wanted: Picture) -> Picture:
        """Wait until the world is as wanted, or stays different."""
        began = time.monotonic()
        seen, found = -1, Picture()
        while True:
            await asyncio.sleep(0.1)
            now = time.monotonic()
            quiet_s = now - max(self.changed_at, began)
            if self.seen.changes != seen and (quiet_s >= QUIET_S or now - began > PATIENCE_S):
                seen, found = self.seen.changes, picture(self.seen)
            if quiet_s >= QUIET_S and found == wanted:
                return found
            if quiet_s >= STUCK_S or now - began > PATIENCE_S:
                return picture(self.seen)

    def kind(self, native: str) -> Kind:
        """The native kind."""
        return native_kind(native)

    def native(self, manifest: JsonObject) -> JsonObject:
        """The manifest, in its namespace."""
        scoped = self.kind(manifest["kind"]).scoped
        space = {"namespace": self.place} if scoped else {}
        return {**manifest, "metadata": {**manifest["metadata"], **space}}

    def now(self) -> float:
        """The time of day."""
        return time.time()

    async def wait(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def power(self, node: str, *, on: bool) -> None:
        """Take the node's Lease away from KWOK, or leave it to be taken."""
        # A dying machine's last sign of life has to be the newest, or the node controller takes its own view
        # of the Lease for stale and does nothing (NodeControllerLeaseCircuitBreaker).
        spec: JsonObject = {"holderIdentity": NOBODY, "renewTime": timestamp_micro(time.time())}
        spec["leaseDurationSeconds"] = 1 if on else 7200
        await self.client.patch(LEASE, NODE_LEASES, node, {"spec": spec})
        if on:
            await self._wake(node)

    async def _wake(self, node: str) -> None:
        """Have KWOK look at the pods of a node that it has just taken again.

        It lists them itself, but passes over them if its cache does not show the Lease as its own yet.
        """
        deadline = time.monotonic() + NODE_READY_S
        while (await self.client.get(LEASE, NODE_LEASES, node))["spec"]["holderIdentity"] == NOBODY:
            assert time.monotonic() < deadline, f"nobody takes node {node} again"
            await asyncio.sleep(0.2)
        await asyncio.sleep(0.5)
        body = {"metadata": {"annotations": {"kwok.x-k8s.io/woken": timestamp_micro(time.time())}}}
        for (kind, name), obj in list(self.seen.objects.items()):
            if kind == "Pod" and obj["spec"].get("nodeName") == node:
                with contextlib.suppress(NotFound):
                    await self.client.patch(self.kind("Pod"), self.namespace, name, body)


async def make_node(client: Client, name: str, labels: Mapping[str, str]) -> None:
    """Make a node; KWOK makes it ready."""
    body: JsonObject = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": dict(labels)},
        "status": {"capacity": ROOM, "allocatable": ROOM},
    }
    await client.call("POST", NODE.path(), body=body)


async def until_ready(client: Client, name: str) -> None:
    """Wait until a node is ready and has no taint."""
    deadline = time.monotonic() + NODE_READY_S
    while True:
        node = await client.call("GET", NODE.path(None, name))
        states = {c["type"]: c["status"] for c in (node.get("status") or {}).get("conditions") or ()}
        if states.get("Ready") == "True" and not node["spec"].get("taints"):
            return
        assert time.monotonic() < deadline, f"node {name} does not become ready: {node}"
        await asyncio.sleep(0.2)


@dataclass(frozen=True, slots=True)
class Difference:
    """The step after which the real world looked different, and how."""

    step: int
    lines: tuple[str, ...]


class Cluster:
    """The real cluster while scenarios play on it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._places: dict[str, Theirs] = {}
        self._room = asyncio.Semaphore(AT_A_TIME)
        self._watches: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        """Make the nodes that scenarios share, and start watching."""
        labels = {NODE_LABEL: SHARED, "kubernetes.io/os": "linux"}
        for name in SHARED_NODES:
            with contextlib.suppress(AlreadyExists):
                await make_node(self._client, name, {**labels, "kubernetes.io/hostname": name})
        for name in SHARED_NODES:
            await until_ready(self._client, name)
        for kind in _WATCHED:
            listing = await self._client.list(kind)
            self._watches.append(asyncio.create_task(self._watch(kind, listing.version)))

    async def end(self) -> None:
        """Stop watching."""
        for task in self._watches:
            task.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)

    async def _watch(self, kind: Kind, version: int) -> None:
        while True:
            with contextlib.suppress(HostError):
                async for event in self._client.watch(kind, version=version):
                    obj = event["object"]
                    assert event["type"] != "ERROR", obj
                    version = int(obj["metadata"]["resourceVersion"])
                    if event["type"] != "BOOKMARK":
                        self._pass_on({**obj, "kind": kind.name}, deleted=event["type"] == "DELETED")
            await asyncio.sleep(0.2)

    def _pass_on(self, obj: JsonObject, *, deleted: bool) -> None:
        if obj["kind"] == "Node":
            place = (obj["metadata"].get("labels") or {}).get(NODE_LABEL, "")
        else:
            place = obj["metadata"].get("namespace", "")
        side = self._places.get(place)
        if side is not None:
            side.take(obj, deleted=deleted)

    async def play(self, scenario: Scenario, expected: Sequence[Picture], place: str) -> Difference | None:
        """Play a scenario in a namespace of this name, and say where it came out differently, if it did."""
        async with self._room:
            side = self._places[place] = Theirs(scenario, self._client, place)
            try:
                await side.begin()
                found = await side.play(expected)
            finally:
                await side.end()
                del self._places[place]
        for number, (ours, theirs) in enumerate(zip(expected, found, strict=False), 1):
            if ours != theirs:
                return Difference(number, tuple(differences(ours, theirs)))
        return None


@asynccontextmanager
async def cluster(host: RealHost) -> AsyncGenerator[Cluster]:
    """The cluster on this host, ready to play."""
    login: Any = log_in(host.kubeconfig)
    client = Client(HttpTransport(login.credentials(), connections=AT_A_TIME + len(_WATCHED) + 8))
    found = Cluster(client)
    try:
        async with metrics_api(client, host.local.files.root):
            await found.begin()
            yield found
    finally:
        await found.end()
        await client.close()
        await asyncio.sleep(CLOSING_S)
