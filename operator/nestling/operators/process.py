"""One Nestling process: log in, watch through Kopf, run the loops of its roles, serve metrics, end cleanly.

This is where the parts meet: the only module that knows all of cache, queues, executor, drivers, election and
supervisor. It decides nothing about objects.
"""

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog
from prometheus_client import GC_COLLECTOR, PLATFORM_COLLECTOR, CollectorRegistry, ProcessCollector

from nestling.api.kinds import VIRTUAL_KINDS, Kind
from nestling.machinery.asking import HttpAsker
from nestling.machinery.cache import Cache, Change
from nestling.machinery.client import Client, HttpTransport
from nestling.machinery.clock import SystemClock
from nestling.machinery.driver import ControllerDriver, Driver, MachineDriver
from nestling.machinery.echo import Echo
from nestling.machinery.election import Election, own_identity
from nestling.machinery.errors import HostError, NestlingError, NotFound
from nestling.machinery.events import EventRecorder
from nestling.machinery.executor import Executor
from nestling.machinery.login import Login
from nestling.machinery.queue import Queue
from nestling.machinery.usage import ContainerUsage
from nestling.monitoring.cadvisor import PATH as CADVISOR_PATH
from nestling.monitoring.cadvisor import Cadvisor
from nestling.monitoring.controllers import ControllerMetrics
from nestling.monitoring.kube_state.page import PATH as KUBE_STATE_PATH
from nestling.monitoring.kube_state.page import KubeState
from nestling.monitoring.loops import LoopMetrics, Readings, ReadingsCollector
from nestling.monitoring.server import MetricsServer, Page
from nestling.operators.feed import Feed, Hub
from nestling.operators.roles import Role, Setting
from nestling.operators.supervisor import Supervisor, long_failing
from nestling.scheduler.configuration import Setup

log = structlog.get_logger(__name__)

LEASE_PREFIX: Final = "nestling-leader-"
# How often the process looks at the clock, and what counts as having been stopped (by a signal, or asleep).
PULSE_S: Final = 1.0
ASLEEP_S: Final = 4.0


class NotInstalled(NestlingError):
    """The host does not know our kinds."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to run. `clusters` are host namespaces, none means all.

    `metrics_port` 0 picks a free port, None serves no metrics. The virtual nodes are split among `shards`
    kubelet processes, of which this is number `shard`. `scheduler` says how pods are placed where a
    VirtualCluster does not; None is the default profile.
    """

    clusters: Sequence[str] = ()
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = 8080
    elect: bool = True
    lease_namespace: str = ""
    shard: int = 0
    shards: int = 1
    connections: int = 32
    events_per_s: float = 50.0
    scheduler: Setup | None = None


@dataclass(slots=True)
class Status:
    """What the process says of itself while it runs; for the command line and for tests."""

    metrics_port: int | None = None
    leading: set[str] = field(default_factory=set[str])
    synced: asyncio.Event = field(default_factory=asyncio.Event)
    ready: asyncio.Event = field(default_factory=asyncio.Event)


class Process:
    """Runs roles against one host until cancelled."""

    def __init__(
        self,
        login: Login,
        roles: Sequence[Role],
        options: Options,
        *,
        lost: Callable[[str], None] | None = None,
        spawned: Callable[[], None] = lambda: None,
    ) -> None:
        self._login = login
        self._roles = roles
        self._options = options
        self._lost = lost or _exit_at_once
        self._clock = SystemClock()
        self.status = Status()
        self.registry = CollectorRegistry()
        self.metrics = LoopMetrics(self.registry)
        transport = HttpTransport(login.credentials(), connections=options.connections)
        self._answered = float("-inf")  # monotonic; when the host last answered, if only to say no
        self.client = Client(transport, observe=self._requested)
        self.cache = Cache({record.KIND: record for role in roles for record in role.records}.values())
        self.echo = Echo(self._clock, self.cache.kinds)
        self.hub = Hub()
        self.feed = Feed(self.client, self.cache, self.hub, self.echo, clusters=options.clusters)
        self.supervisor = Supervisor(
            login, self.feed.register, self.echo, clusters=options.clusters, spawned=spawned
        )
        self.events = EventRecorder(
            self.client, self._clock, busy=lambda: self.executor.busy, per_second=options.events_per_s
        )
        self.asker = HttpAsker()
        self.executor = Executor(
            self.client,
            self.cache,
            self._clock,
            events=self.events,
            changed=self.hub.changed,
            wrote=self.echo.wrote,
            metrics=self.metrics,
            concurrency=options.connections,
            asker=self.asker,
        )
        self.queues: dict[str, Queue] = {}
        self._setting = Setting(
            self.cache, self._clock, self.registry, options.shard, options.shards, options.scheduler
        )

    async def run(self) -> None:
        """Run until cancelled. Raises NotInstalled if the host lacks our kinds."""
        server = MetricsServer(
            self.registry, live=self._live_checks(), ready=self._ready_checks(), pages=self._pages()
        )
        self._register_metrics()
        try:
            await self._check_installed()
            if self._options.metrics_port is not None:
                self.status.metrics_port = await server.start(
                    self._options.metrics_host, self._options.metrics_port
                )
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.supervisor.run(), name="supervisor")
                tasks.create_task(self.events.run(), name="events")
                await self.feed.sync()
                self.cache.watching_since = self._clock.now()
                tasks.create_task(self._stay_awake(), name="awake")
                self.status.synced.set()
                log.info(
                    "caught up with the host", objects=sum(self._objects().values()), events=self.feed.events
                )
                tasks.create_task(self.feed.upkeep(), name="upkeep")
                for role in self._roles:
                    tasks.create_task(self._run_role(role), name=role.name)
        finally:
            await server.stop()
            await self.asker.close()
            await self.client.close()

    async def _stay_awake(self) -> None:
        """Notice that this process itself was stopped: what it missed meanwhile is nobody else's silence."""
        before = self._clock.now()
        while True:
            await asyncio.sleep(PULSE_S)
            now = self._clock.now()
            if now - before > PULSE_S + ASLEEP_S:
                self._look_afresh()
                log.warning("was not running for a while", delay_s=round(now - before, 1))
            before = now

    def _look_afresh(self) -> None:
        """Count silence anew from now on: while we, or nobody, could hear, it meant nothing."""
        self.cache.watching_since = self._clock.now()

    async def _run_role(self, role: Role) -> None:
        """Win the role's Lease, then build its loops from the cache and run them while it is held."""
        async with asyncio.TaskGroup() as tasks:
            gate: asyncio.Event | None = None
            if self._options.elect:
                election = self._election(role)
                gate = election.leading
                tasks.create_task(election.run(), name=f"election-{role.name}")
                await gate.wait()
            self.metrics.leading.labels(role.name).set_function(lambda: float(gate is None or gate.is_set()))
            self.status.leading.add(role.name)
            for driver in self._drivers(role, gate):
                tasks.create_task(driver.run(), name=driver.name)
            if len(self.status.leading) == len(self._roles):
                self.status.ready.set()

    def _election(self, role: Role) -> Election:
        namespace = (
            self._options.lease_namespace or next(iter(self._options.clusters), "") or self._login.namespace
        )
        name = role.name if role.shared else f"{role.name}-{self._options.shard}"
        return Election(
            self.client,
            self._clock,
            namespace=namespace,
            name=f"{LEASE_PREFIX}{name}",
            identity=own_identity(),
            lost=self._lost,
            resumed=self._look_afresh,
        )

    def _drivers(self, role: Role, gate: asyncio.Event | None) -> Sequence[Driver]:
        """The role's loops, told of everything the cache holds by now."""
        drivers: list[Driver] = []
        counts = ControllerMetrics(self.registry, role.controllers)
        for controller in role.controllers:
            queue = self.queues[controller.name] = Queue(
                self._clock, metrics=self.metrics.queue(controller.name), lane=controller.lane
            )
            driver = ControllerDriver(
                controller,
                cache=self.cache,
                queue=queue,
                executor=self.executor,
                clock=self._clock,
                failed=self.metrics.failed,
                gate=gate,
                count=counts.count,
            )
            self._attach(driver, driver.kinds)
            drivers.append(driver)
        for machine, kinds in role.machines(self._setting):
            driver = MachineDriver(
                machine, executor=self.executor, clock=self._clock, failed=self.metrics.failed, gate=gate
            )
            self._attach(driver, kinds)
            drivers.append(driver)
        return drivers

    def _attach(self, driver: Driver, kinds: Sequence[Kind]) -> None:
        self.hub.attach(driver, kinds)
        for kind in kinds:
            for record in list(self.cache.table_of(kind).records.values()):
                driver.observe(Change(kind, record.key, None, record))

    async def _check_installed(self) -> None:
        kind = VIRTUAL_KINDS[0]
        try:
            found = await self.client.call("GET", kind.root)
        except NotFound:
            found = {}
        except HostError as error:
            raise NotInstalled(
                f"the host at {self._login.server} does not answer: {error.message}"
            ) from error
        served = {resource["name"] for resource in found.get("resources") or ()}
        missing = [
            one.name for one in self.cache.kinds if one.group == kind.group and one.plural not in served
        ]
        if missing:
            raise NotInstalled(f"the host does not know {missing[0]}: run `nestling install` first")

    def _register_metrics(self) -> None:
        ProcessCollector(registry=self.registry)
        self.registry.register(PLATFORM_COLLECTOR)
        self.registry.register(GC_COLLECTOR)
        readings = Readings(self.queues, self._objects, self.echo.lags_s, self._counters)
        self.registry.register(ReadingsCollector(readings, self._clock.monotonic))

    def _pages(self) -> dict[str, Page]:
        """The state of objects, filled by the leader of the role that serves it, and kubelets' containers."""
        pages: dict[str, Page] = {}
        monotonic = self._clock.monotonic
        for role in self._roles:
            if role.serves_state:
                leads = partial(self.status.leading.__contains__, role.name)
                pages[KUBE_STATE_PATH] = KubeState(self.cache, monotonic=monotonic, serving=leads)
            if not role.shared:
                pages[CADVISOR_PATH] = Cadvisor(self._usages, now=self._clock.now, monotonic=monotonic)
        return pages

    def _usages(self, now: float) -> Iterator[ContainerUsage]:
        for tell in self._setting.usages:
            yield from tell(now)

    def _objects(self) -> dict[str, int]:
        return {kind.name: len(self.cache.table_of(kind).records) for kind in self.cache.kinds}

    def _counters(self) -> dict[str, float]:
        return {
            "watch_events": self.feed.events,
            "watch_restarts": self.supervisor.restarts,
            "ghosts": self.feed.ghosts,
            "events_written": self.events.written,
            "events_dropped": self.events.dropped,
        }

    def _live_checks(self) -> dict[str, Callable[[], str]]:
        return {"watch": lambda: self._stale() or self._failing()}

    def _ready_checks(self) -> dict[str, Callable[[], str]]:
        return {
            "synced": lambda: "" if self.status.synced.is_set() else "the first listing is still coming in",
            "watch": lambda: self._stale() or self.supervisor.trouble(),
        }

    def _stale(self) -> str:
        stale = self.echo.stale()
        return f"no word from the watch of {', '.join(stale)}" if stale else ""

    def _failing(self) -> str:
        return long_failing(self.supervisor.failing_s(), self._clock.monotonic() - self._answered)

    def _requested(self, method: str, status: int, seconds: float) -> None:
        if status < 500:
            self._answered = self._clock.monotonic()
        self.metrics.requested(method, status, seconds)


def _exit_at_once(lease: str) -> None:
    """Leadership is lost: another process may be at work already, so no tidying up."""
    log.error("leadership lost, leaving at once", lease=lease)
    os._exit(1)
