"""A whole virtual cluster on a clock that stands still: server and loops, driven step by step.

Nothing is mocked: the server judges and stores, the client, executor, cache, queues and loops are the real
ones. What is ours is the driver: one thread, no sleeping, a seeded order of turns, and a transport that can
kill the operator before or after any write. So a run can be repeated to the letter, and crashed at every
point of it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any, Literal

import orjson
from prometheus_client import CollectorRegistry

from nestling.api.crds import load_crds
from nestling.api.kinds import EVENT, LEASE, Kind
from nestling.apiserver.api import Api
from nestling.apiserver.exchange import Request, Response
from nestling.apiserver.inprocess import InProcess
from nestling.apiserver.watch import Watch
from nestling.machinery.cache import Cache, Change
from nestling.machinery.client import JSON, Answer, Client, Transport
from nestling.machinery.clock import ManualClock
from nestling.machinery.controller import Machine
from nestling.machinery.driver import ControllerDriver
from nestling.machinery.executor import Executor
from nestling.machinery.plan import Emit
from nestling.machinery.queue import Queue
from nestling.operators.roles import ROLES, Role, Setting

CLUSTER = "team-a"
QUIET_KINDS = (f"/{EVENT.plural}", f"/{LEASE.plural}")


class Crash(BaseException):
    """The operator process has been killed. Not an Exception: no code of ours may survive it."""


@dataclass(slots=True)
class CrashPoint:
    """Kill the operator at its `at`-th write (from 1), before it reaches the host or after it took effect."""

    at: int
    when: Literal["before", "after"]


class CountingTransport:
    """Counts object writes on their way to the host, and kills at the crash point.

    Afterwards nothing passes.
    """

    def __init__(self, inner: Transport, *, crash: CrashPoint | None = None) -> None:
        self._inner = inner
        self._crash = crash
        self.dead = False
        self.writes = 0
        self.log: list[str] = []

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        body: bytes | None,
        content_type: str,
        accept: str = JSON,
    ) -> Answer:
        """Send, count, and perhaps die."""
        if self.dead:
            raise Crash
        counts = method != "GET" and not any(kind in path for kind in QUIET_KINDS)
        if counts:
            self.writes += 1
            self.log.append(f"{method} {path}")
        due = self._crash if counts and self._crash is not None and self._crash.at == self.writes else None
        if due is not None and due.when == "before":
            self.dead = True
            raise Crash
        answer = await self._inner.send(
            method, path, query=query, body=body, content_type=content_type, accept=accept
        )
        if due is not None:
            self.dead = True
            raise Crash
        return answer

    def stream(self, path: str, *, query: Mapping[str, str]) -> AsyncIterator[bytes]:
        """Watches pass as they are."""
        return self._inner.stream(path, query=query)

    async def close(self) -> None:
        """Nothing to let go of."""


class Events:
    """Takes events for people and keeps their reasons."""

    def __init__(self) -> None:
        self.said: list[Emit] = []

    def record(self, event: Emit) -> None:
        """Keep one event."""
        self.said.append(event)


class Operator:
    """One life of the operator process: born from a listing, ended by a crash."""

    def __init__(self, world: "World", crash: CrashPoint | None) -> None:
        self._world = world
        self.transport = CountingTransport(InProcess(world.api), crash=crash)
        self.client = Client(self.transport)
        self.cache = Cache({record.KIND: record for role in world.roles for record in role.records}.values())
        self.events = world.events
        self.executor = Executor(
            self.client, self.cache, world.clock, events=self.events, changed=self.changed, random=Random(1)
        )
        self._listeners: dict[Kind, list[Callable[[Change], None]]] = {}
        self.drivers: list[ControllerDriver] = []
        self.machines: list[Machine] = []
        self._watches: dict[Kind, Watch] = {}
        self._list_everything()
        setting = Setting(self.cache, world.clock, CollectorRegistry(), "0")
        for role in world.roles:
            for controller in role.controllers:
                driver = ControllerDriver(
                    controller,
                    cache=self.cache,
                    queue=Queue(world.clock, random=Random(1), lane=controller.lane),
                    executor=self.executor,
                    clock=world.clock,
                    failed=world.failed,
                )
                self._attach(driver.observe, controller.concerns)
                self.drivers.append(driver)
            for machine, kinds in role.machines(setting):
                self._attach(machine.observe, kinds)
                self.machines.append(machine)

    def _list_everything(self) -> None:
        for kind in self.cache.kinds:
            listing = self._world.run(self.client.list(kind))
            for item in listing.items:
                self.cache.see(kind, item)
            self._watches[kind] = self._watch(kind, listing.version)

    def _watch(self, kind: Kind, version: int) -> Watch:
        query = {"watch": "true", "resourceVersion": str(version)}
        watch = self._world.api.watch(Request("GET", kind.path(), query, {}, b""))
        assert isinstance(watch, Watch), watch
        return watch

    def _attach(self, observe: Callable[[Change], None], kinds: Iterable[Kind]) -> None:
        for kind in kinds:
            self._listeners.setdefault(kind, []).append(observe)
            for record in list(self.cache.table_of(kind).records.values()):
                observe(Change(kind, record.key, None, record))

    def changed(self, change: Change) -> None:
        """Tell the loops."""
        for observe in self._listeners.get(change.kind, ()):
            observe(change)

    def hear(self) -> None:
        """Take in everything that the watches hold."""
        for kind, watch in self._watches.items():
            for line in watch.poll():
                event = orjson.loads(line)
                if event["type"] in {"BOOKMARK", "ERROR"}:
                    continue
                change = self.cache.see(kind, event["object"], deleted=event["type"] == "DELETED")
                if change is not None:
                    self.changed(change)

    def turn(self, random: Random) -> bool:
        """Let one loop, picked by `random` among those with work, do one piece of it.

        False if none has any.
        """
        now = self._world.clock.now()
        busy: list[ControllerDriver | Machine] = [
            driver for driver in self.drivers if len(driver.queue) or self._is_due(driver)
        ]
        busy.extend(m for m in self.machines if (at := m.wake_at()) is not None and at <= now)
        if not busy:
            return False
        chosen = busy[random.randrange(len(busy))]
        if isinstance(chosen, ControllerDriver):
            self._reconcile_one(chosen)
        else:
            plans = chosen.step(now)
            random.shuffle(plans)
            for plan in plans:
                chosen.settle(plan, self._world.run(self.executor.perform(plan)), now)
        return True

    def _is_due(self, driver: ControllerDriver) -> bool:
        due = driver.queue.due_at()
        return due is not None and due <= self._world.clock.monotonic()

    def _reconcile_one(self, driver: ControllerDriver) -> None:
        key = driver.queue.take()
        if key is None:
            return
        plan = driver.decide(key)
        if plan is None:
            driver.queue.done(key)
            return
        driver.conclude(key, plan, self._world.run(self.executor.perform(plan)))

    def next_due(self) -> float | None:
        """Seconds from now until some loop has something to do by time alone; None if none ever has."""
        clock = self._world.clock
        waits = [due - clock.monotonic() for d in self.drivers if (due := d.queue.due_at()) is not None]
        waits += [at - clock.now() for machine in self.machines if (at := machine.wake_at()) is not None]
        return min(waits, default=None)


class Server:
    """The embedded API server with our CRDs, made once per test process: reading 17 schemas takes seconds."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.random = Random(0)
        self.api = Api(clock=self.clock, random=self.random)
        for crd in load_crds():
            path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
            headers = {"content-type": JSON}
            answer = self.api.handle(Request("POST", path, {}, headers, orjson.dumps(crd)))
            assert answer.status == 201, answer.body.decode()


@cache
def shared_server() -> Server:
    """The server of this test process; each world has a host namespace of its own on it while it lives."""
    return Server()


class World:
    """One host namespace, one operator life after another, and a clock moved by hand."""

    def __init__(
        self, *, seed: int = 0, roles: Sequence[Role] | None = None, crash: CrashPoint | None = None
    ) -> None:
        server = shared_server()
        self.clock = server.clock
        self.random = Random(seed)
        self.api = server.api
        server.random.seed(seed)
        self.roles = list(ROLES.values()) if roles is None else roles
        self.events = Events()
        self.bugs: list[str] = []
        self.lives = 0
        self.writes = 0
        self._runner = asyncio.Runner()
        self._checked = -1
        self._checks: list[Callable[[World], None]] = []
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": CLUSTER}}
        self.request("POST", "/api/v1/namespaces", namespace)
        self._crash = crash
        self.operator = self._begin()

    def __enter__(self) -> "World":
        return self

    def __exit__(self, *_: object) -> None:
        """Empty the host namespace, whatever holds its objects, and let go of the event loop."""
        for kind in self.operator.cache.kinds:
            for found in self.list(kind):
                if found["metadata"].get("finalizers"):
                    self.patch(kind, found["metadata"]["name"], {"metadata": {"finalizers": None}})
        self.request("DELETE", f"/api/v1/namespaces/{CLUSTER}")
        self.api.settle()
        self.api.compact()
        self._runner.close()

    def run(self, coroutine: Any) -> Any:
        """Run a coroutine that never really waits."""
        return self._runner.run(coroutine)

    def failed(self, name: str) -> None:
        """A loop raised: a bug, whatever the scenario."""
        self.bugs.append(name)

    def always(self, check: Callable[["World"], None]) -> None:
        """Check this after every turn."""
        self._checks.append(check)

    def _begin(self) -> Operator:
        self.lives += 1
        operator = Operator(self, self._crash)
        self._crash = None  # one crash per run: the next life is a quiet one
        return operator

    # The user's side

    def request(
        self, method: str, path: str, body: Any = None, *, query: Mapping[str, str] | None = None
    ) -> Any:
        """A request of the user's, straight to the server. Fails the test if it is refused."""
        content_type = "application/merge-patch+json" if method == "PATCH" else JSON
        data = b"" if body is None else orjson.dumps(body)
        response = self.api.handle(
            Request(method, path, dict(query or {}), {"content-type": content_type, "accept": JSON}, data)
        )
        assert isinstance(response, Response)
        assert response.status < 400, response.body.decode()
        return orjson.loads(response.body)

    def create(self, kind: Kind, name: str, spec: Any, **meta: Any) -> Any:
        """Create an object as a user would."""
        body = {
            "apiVersion": kind.api_version,
            "kind": kind.name,
            "metadata": {"name": name, **meta},
            "spec": spec,
        }
        return self.request("POST", kind.path(CLUSTER), body)

    def patch(self, kind: Kind, name: str, body: Any) -> Any:
        """Merge-patch an object as a user would."""
        return self.request("PATCH", kind.path(CLUSTER, name), body)

    def delete(self, kind: Kind, name: str) -> Any:
        """Delete an object as a user would."""
        return self.request("DELETE", kind.path(CLUSTER, name))

    def list(self, kind: Kind) -> list[Any]:
        """All objects of a kind, as the server has them."""
        return self.request("GET", kind.path(CLUSTER))["items"]

    # Time

    def run_for(self, seconds: float, *, most_turns: int = 20_000) -> None:
        """Let the cluster live for `seconds` of its own time.

        A crash on the way is followed by a new life.
        """
        end = self.clock.monotonic() + seconds
        for _ in range(most_turns):
            try:
                self.operator.hear()
                if self.operator.turn(self.random):
                    self._check()
                    continue
            except Crash:
                self.writes += self.operator.transport.writes
                self.operator = self._begin()
                continue
            wait = self.operator.next_due()
            left = end - self.clock.monotonic()
            if wait is None or wait > left:
                self.clock.advance(max(left, 0.0))
                return
            self.clock.advance(max(wait, 0.001))
        raise AssertionError(
            f"not settled after {most_turns} turns; last writes: {self.operator.transport.log[-10:]}"
        )

    def _check(self) -> None:
        """Hold the world to what must always be true, whenever something was written."""
        if self.api.revision != self._checked:
            self._checked = self.api.revision
            for check in self._checks:
                check(self)

    @property
    def total_writes(self) -> int:
        """Object writes of all lives (events and Leases not counted)."""
        return self.writes + self.operator.transport.writes
