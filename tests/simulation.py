"""A whole virtual cluster on a clock that stands still: server and loops, driven step by step.

Nothing is mocked: the server judges and stores, the client, executor, cache, feed, queues and loops are the
real ones. What is ours is the driver: one thread, no sleeping, a seeded order of turns, and a transport that
can kill the operator before or after any write. So a run can be repeated to the letter, and crashed at every
point of it. The server's faults strike here as they do over sockets; several operators can live at once, and
a world may `lag`: then each watch speaks when chance lets it, and loops decide on views that are old.
"""

import asyncio
import atexit
import selectors
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import inf
from random import Random
from typing import Any, Literal

import orjson
from prometheus_client import CollectorRegistry

from nestling.api.crds import load_crds
from nestling.api.json import JsonObject
from nestling.api.kinds import EVENT, LEASE, NAMESPACE, Kind
from nestling.apiserver.api import Api
from nestling.apiserver.exchange import Request, Response
from nestling.apiserver.faults import Faults, Rule, StreamFaults
from nestling.apiserver.inprocess import InProcess
from nestling.apiserver.watch import Watch
from nestling.machinery.cache import Cache, Change
from nestling.machinery.client import JSON, Answer, Client, Listing, Transport
from nestling.machinery.clock import ManualClock
from nestling.machinery.controller import Machine
from nestling.machinery.driver import ControllerDriver, MachineDriver
from nestling.machinery.echo import Echo
from nestling.machinery.errors import HostError
from nestling.machinery.executor import Executor
from nestling.machinery.plan import Emit
from nestling.machinery.queue import Queue
from nestling.operators.feed import SWEEP_EVERY_S, SWEEP_SOON_S, Feed, Hub
from nestling.operators.roles import ROLES, Role, Setting
from nestling.operators.settings import SELECTORS

CLUSTER = "team-a"
QUIET_KINDS = (f"/{EVENT.plural}", f"/{LEASE.plural}")
RETRY_S = 1.0  # between tries of a list or watch that the host refuses
# Work takes no time here, except that much work does: or what ends by time alone would never end.
TURNS_PER_WHILE = 200
WHILE_S = 0.1
LATE_S = 0.2  # in a world that lags: at most so long at a time nobody is told anything


class Crash(BaseException):
    """The operator process has been killed. Not an Exception: no code of ours may survive it."""


@dataclass(frozen=True, slots=True)
class CrashPoint:
    """Kill the operator at its `at`-th write (from 1), before it reaches the host or after it took effect."""

    at: int
    when: Literal["before", "after"]


class WorldClock(ManualClock):
    """A clock that every world starts anew: what a world does must not depend on those before it."""

    def reset(self) -> None:
        """Back to where it began."""
        super().__init__()


class _Waits(selectors.SelectSelector):
    """Waits by moving the clock: there is nothing outside that could happen meanwhile."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Nothing is ever ready but time."""
        assert timeout is not None, "a write waits for something that nobody will do"
        if timeout > 0:
            self._clock.advance(timeout)
        return []


class StillLoop(asyncio.SelectorEventLoop):
    """An event loop on a manual clock: who sleeps in it moves the time of the world."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(_Waits(clock))
        self._still = clock

    def time(self) -> float:
        """Seconds of the manual clock."""
        return self._still.monotonic()


class CountingTransport:
    """Counts object writes on their way to the host, and kills at the crash point.

    Afterwards nothing passes. The world's meddlers act just before each of them, its checks just after.
    """

    def __init__(self, inner: Transport, *, crash: CrashPoint | None, world: "World") -> None:
        self._inner = inner
        self._crash = crash
        self._world = world
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
        if counts and self._world.meddlers:
            for meddle in self._world.meddlers:
                meddle(method, path)
            self._world.check()
        try:
            answer = await self._inner.send(
                method, path, query=query, body=body, content_type=content_type, accept=accept
            )
        finally:
            if counts:
                self._world.check()
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
    """Takes events for people and keeps them."""

    def __init__(self) -> None:
        self.said: list[Emit] = []

    def record(self, event: Emit) -> None:
        """Keep one event."""
        self.said.append(event)


class Stream:
    """What Kopf does for one kind: list, watch, resume where it was cut, list again when that fails."""

    def __init__(self, operator: "Operator", world: "World", kind: Kind) -> None:
        self.kind = kind
        self._operator = operator
        self._world = world
        self._watch: Watch | None = None
        self._faults = StreamFaults(refusal=None, cuts=(), losses=())
        self._version = 0  # 0: nothing to resume from
        self._selector = SELECTORS.get(kind.plural, "")
        self.retry_at = 0.0

    def list(self) -> bool:
        """Take in all there is; False if the host would not tell."""
        try:
            listing: Listing = self._world.run(self._operator.client.list(self.kind, selector=self._selector))
        except HostError:
            self._later()
            return False
        for item in listing.items:
            self._operator.feed.take(self.kind, {"type": None, "object": item})  # type: ignore[typeddict-item]  # raw JSON
        self._version = listing.version
        return True

    def hear(self) -> int:
        """Take in what the watch holds; answers how many lines that were."""
        if self._watch is None and not self._open():
            return 0
        assert self._watch is not None
        lines, cut = self._faults.filter(self._watch.poll())
        for line in lines:
            if not line.endswith(b"\n"):
                self._version = 0  # Kopf falls over this, and its supervisor starts a new one
                cut = True
                break
            event = orjson.loads(line)
            if event["type"] == "ERROR":
                self._version = 0
                cut = True
            elif event["type"] == "BOOKMARK":
                self._version = int(event["object"]["metadata"]["resourceVersion"])
            else:
                self._version = int(event["object"]["metadata"]["resourceVersion"])
                self._operator.feed.take(self.kind, event)
        if cut or self._watch.closed:
            self._watch.close()
            self._watch = None
            return max(len(lines), 1)
        return len(lines)

    def cut(self) -> None:
        """Close the connection from outside; what it still held is lost on the way."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _open(self) -> bool:
        if self._world.clock.monotonic() < self.retry_at:
            return False
        if not self._version:
            if not self.list():
                return False
            self._operator.relisted(self.kind)
        query = {
            "watch": "true",
            "resourceVersion": str(self._version),
            "allowWatchBookmarks": "true",
            **({"labelSelector": self._selector} if self._selector else {}),
        }
        request = Request("GET", self.kind.path(), query, {}, b"")
        faults = self._world.faults.stream(request)
        watch = self._world.api.watch(request) if faults.refusal is None else None
        if not isinstance(watch, Watch):
            self._later()
            return False
        self._watch, self._faults, self.retry_at = watch, faults, 0.0
        return True

    def _later(self) -> None:
        self.retry_at = self._world.clock.monotonic() + RETRY_S


class Operator:
    """One life of the operator process: born from a listing, ended by a crash."""

    def __init__(self, world: "World", crash: CrashPoint | None) -> None:
        self._world = world
        self.transport = CountingTransport(world.transport, crash=crash, world=world)
        self.client = Client(self.transport)
        self.cache = Cache({record.KIND: record for role in world.roles for record in role.records}.values())
        self.echo = Echo(world.clock, self.cache.kinds)
        self.hub = Hub()
        self.feed = Feed(self.client, self.cache, self.hub, self.echo)
        self.executor = Executor(
            self.client,
            self.cache,
            world.clock,
            events=world.events,
            changed=self.hub.changed,
            wrote=self.echo.wrote,
            random=Random(1),
        )
        self.drivers: list[ControllerDriver] = []
        self.machines: list[Machine] = []
        self.streams = [Stream(self, world, kind) for kind in self.cache.kinds]
        for stream in self.streams:
            while not stream.list():
                world.clock.advance(RETRY_S)
        self.feed.synced = True
        self.cache.watching_since = world.clock.now()
        self._sweeps: dict[Kind, float] = {}
        self._sweep_all_at = world.clock.monotonic() + SWEEP_EVERY_S
        setting = Setting(self.cache, world.clock, CollectorRegistry())
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
                self._attach(driver, driver.kinds)
                self.drivers.append(driver)
            for machine, kinds in role.machines(setting):
                self._attach(MachineDriver(machine, executor=self.executor, clock=world.clock), kinds)
                self.machines.append(machine)

    def _attach(self, driver: ControllerDriver | MachineDriver, kinds: Iterable[Kind]) -> None:
        self.hub.attach(driver, kinds)
        for kind in kinds:
            for record in list(self.cache.table_of(kind).records.values()):
                driver.observe(Change(kind, record.key, None, record))

    def relisted(self, kind: Kind) -> None:
        """A kind was listed anew: what vanished meanwhile is looked for soon."""
        self._sweeps.setdefault(kind, self._world.clock.monotonic() + SWEEP_SOON_S)

    def hear(self, lag: float = 0.0) -> int:
        """Take in what the watches hold; each stays silent with probability `lag`."""
        random = self._world.random
        return sum([stream.hear() for stream in self.streams if not lag or random.random() >= lag])

    def sweep(self) -> None:
        """Compare with listings, as the feed does soon after a re-list and every few minutes."""
        now = self._world.clock.monotonic()
        if now >= self._sweep_all_at:
            self._sweep_all_at = now + SWEEP_EVERY_S
            self._sweeps = dict.fromkeys(self.cache.kinds, now)
        for kind in [kind for kind, at in self._sweeps.items() if at <= now]:
            del self._sweeps[kind]
            self._world.run(self.feed.sweep(kind))

    def busy(self) -> list[ControllerDriver | Machine]:
        """The loops that have something to do."""
        now = self._world.clock.now()
        found: list[ControllerDriver | Machine] = [
            driver for driver in self.drivers if len(driver.queue) or self._is_due(driver)
        ]
        found.extend(m for m in self.machines if (at := m.wake_at()) is not None and at <= now)
        return found

    def turn(self, chosen: ControllerDriver | Machine, random: Random) -> None:
        """Let one loop do one piece of its work."""
        if isinstance(chosen, ControllerDriver):
            self._reconcile_one(chosen)
            return
        now = self._world.clock.now()
        plans = chosen.step(now)
        random.shuffle(plans)
        for plan in plans:
            chosen.settle(plan, self._world.run(self.executor.perform(plan)), self._world.clock.now())

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

    def next_due(self) -> float:
        """Seconds from now until there is something to do by time alone."""
        clock = self._world.clock
        now = clock.monotonic()
        waits = [due - now for d in self.drivers if (due := d.queue.due_at()) is not None]
        waits += [at - clock.now() for machine in self.machines if (at := machine.wake_at()) is not None]
        waits += [stream.retry_at - now for stream in self.streams if stream.retry_at > now]
        waits += [at - now for at in self._sweeps.values()]
        return min(*waits, self._sweep_all_at - now, inf)


class Server:
    """The embedded API server with our CRDs, made once per test process: reading 17 schemas takes seconds."""

    def __init__(self) -> None:
        self.clock = WorldClock()
        self.random = Random(0)
        self.api = Api(clock=self.clock, random=self.random)
        self.faults = Faults()
        self.loop = StillLoop(self.clock)
        atexit.register(self.loop.close)
        self.transport = InProcess(self.api, self.faults)
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
    """One host namespace, one operator life after another, and a clock moved by hand.

    `crashes` end one life each, counted from its birth; those that are left when the world ends were never
    reached. With `operators`, so many run side by side, without election. With `lag`, from 0 to 1, each watch
    stays silent that often while others act.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        roles: Sequence[Role] | None = None,
        crash: CrashPoint | None = None,
        crashes: Sequence[CrashPoint] = (),
        operators: int = 1,
        lag: float = 0.0,
    ) -> None:
        server = shared_server()
        self.clock = server.clock
        self.clock.reset()
        self.random = Random(seed)
        self.api = server.api
        self.transport = server.transport
        self.faults = server.faults
        self.faults.clear()
        server.random.seed(seed)
        self.roles = list(ROLES.values()) if roles is None else roles
        self.events = Events()
        self.bugs: list[str] = []
        self.lives = 0
        self.writes = 0
        self.disturbances = 0
        self.meddlers: list[Callable[[str, str], None]] = []
        """Told of every write before it reaches the host: users who are quicker than the operator."""
        self._deleted: set[str] = set()
        self._emptied: set[str] = set()
        self._lag = lag
        self._loop = server.loop
        self._checked = -1
        self._checks: list[Callable[[World], None]] = []
        self._parsed: dict[tuple[str, str], tuple[int, JsonObject]] = {}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": CLUSTER}}
        self.request("POST", "/api/v1/namespaces", namespace)
        self._crashes = list(crashes) if crash is None else [crash]
        self.operators = [self._begin() for _ in range(operators)]

    @property
    def operator(self) -> Operator:
        """The only operator, or the first of several."""
        return self.operators[0]

    def __enter__(self) -> "World":
        return self

    def __exit__(self, *_: object) -> None:
        """Empty the host namespace, whatever holds its objects."""
        self.faults.clear()
        for kind in self.operator.cache.kinds:
            for found in self.list(kind):
                if found["metadata"].get("finalizers"):
                    self.patch(kind, found["metadata"]["name"], {"metadata": {"finalizers": None}})
        self.request("DELETE", f"/api/v1/namespaces/{CLUSTER}")
        self.api.settle()
        self.api.compact()

    def run(self, coroutine: Any) -> Any:
        """Run a coroutine that waits for nothing but time."""
        return self._loop.run_until_complete(coroutine)

    def failed(self, name: str) -> None:
        """A loop raised: a bug, whatever the scenario."""
        self.bugs.append(name)

    def always(self, check: Callable[["World"], None]) -> None:
        """Check this after every write."""
        self._checks.append(check)

    def _begin(self) -> Operator:
        self.lives += 1
        return Operator(self, self._crashes.pop(0) if self._crashes else None)

    def _buried(self, operator: Operator) -> None:
        """Somebody was killed: clear up, and start the next life."""
        while asyncio.all_tasks(self._loop):  # writes side by side die side by side
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self.run(asyncio.sleep(0))
        self.writes += operator.transport.writes
        self.operators[self.operators.index(operator)] = self._begin()

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

    def delete(self, kind: Kind, name: str, *, propagation: str = "Background") -> Any:
        """Delete an object as a user would."""
        self.disturbances += 1
        self._deleted |= {
            obj["metadata"]["uid"] for obj in self.list(kind) if obj["metadata"]["name"] == name
        }
        if kind is NAMESPACE:
            self._emptied.add(name)
        return self.request("DELETE", kind.path(CLUSTER, name), {"propagationPolicy": propagation})

    def was_deleted(self, uid: str, name: str) -> bool:
        """Whether the user has deleted the object with this UID, or the namespace that it is in."""
        return uid in self._deleted or name.rpartition(".")[2] in self._emptied

    def list(self, kind: Kind) -> list[Any]:
        """All objects of a kind, as the server has them. Do not change the answer."""
        table = self.api.state.store.table(f"{kind.plural}.{kind.group}" if kind.group else kind.plural)
        found: list[Any] = []
        for record in table.records(CLUSTER):
            # Nearly all objects are as they were at the last look: parsing them was most of all time.
            known = self._parsed.get((kind.plural, record.uid))
            if known is None or known[0] != record.revision:
                known = self._parsed[kind.plural, record.uid] = (record.revision, record.parse())
            found.append(known[1])
        return found

    def add_fault(self, rule: Rule) -> None:
        """Put a fault in force. Watches learn of theirs when they are opened, so all are opened anew."""
        self.faults.add(rule)
        if rule.watches:
            for operator in self.operators:
                for stream in operator.streams:
                    stream.cut()

    def break_watches(self) -> None:
        """Cut all watches, and forget the history they could resume from: they have to list anew."""
        mark = {"metadata": {"labels": {"broken": str(self.api.revision)}}}
        self.request("PATCH", f"/api/v1/namespaces/{CLUSTER}", mark)  # so that nobody is up to date
        self.api.compact()
        for operator in self.operators:
            for stream in operator.streams:
                stream.cut()

    # Time

    def run_for(self, seconds: float, *, most_turns: int = 6_000) -> None:
        """Let the cluster live for `seconds` of its own time.

        A crash on the way is followed by a new life.
        """
        end = self.clock.monotonic() + seconds
        for turn in range(1, most_turns + 1):
            if not turn % TURNS_PER_WHILE:
                self.clock.advance(WHILE_S)
            acting = self.operators[0]
            try:
                for acting in self.operators:
                    acting.sweep()
                    acting.hear(self._lag)
                busy = [(operator, loop) for operator in self.operators for loop in operator.busy()]
                if busy:
                    acting, loop = busy[self.random.randrange(len(busy))]
                    acting.turn(loop, self.random)
                    continue
                if self._lag and self.random.random() < self._lag:
                    late = min(LATE_S, end - self.clock.monotonic(), *(o.next_due() for o in self.operators))
                    if late > 0:  # events are on their way for a while
                        self.clock.advance(late)
                        continue
                if self._lag and sum([operator.hear() for operator in self.operators]):
                    continue
            except Crash:
                self._buried(acting)
                continue
            wait = min(operator.next_due() for operator in self.operators)
            left = end - self.clock.monotonic()
            if wait > left:
                self.clock.advance(max(left, 0.0))
                self.check()
                return
            self.clock.advance(max(wait, 0.001))
        raise AssertionError(
            f"not settled after {most_turns} turns; last writes: {self.operator.transport.log[-10:]}"
        )

    def check(self) -> None:
        """Hold the world to what must always be true, whenever something was written."""
        if self.api.revision != self._checked:
            self._checked = self.api.revision
            for check in self._checks:
                check(self)

    @property
    def total_writes(self) -> int:
        """Object writes of all lives (events and Leases not counted)."""
        return self.writes + sum(operator.transport.writes for operator in self.operators)
