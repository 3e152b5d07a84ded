"""Drive the pure loops: hand them changes and the time, have their plans performed, and wait in between.

One driver per controller or machine. It takes a turn when a change arrives, when a delay has run out, or when
a plan has come back, and never blocks the event loop for longer than a few milliseconds at a stretch. Nothing
is begun while its `gate` (leadership) is shut. A controller that a VirtualCluster switches off is not asked
there: its keys pass by, and all of its objects are looked at anew when it is switched on again.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from nestling.api.controllers import controller_of
from nestling.api.kinds import CLUSTER
from nestling.machinery.cache import Cache, Change
from nestling.machinery.clock import Clock
from nestling.machinery.controller import Controller, Machine, Outcome
from nestling.machinery.errors import Conflict, HostError, NotFound, Refused, Throttled, Unavailable
from nestling.machinery.executor import Executor
from nestling.machinery.measure import Measurement
from nestling.machinery.names import Key
from nestling.machinery.plan import Plan
from nestling.machinery.queue import Queue
from nestling.machinery.view import View

log = structlog.get_logger(__name__)

# A turn longer than this yields to the event loop: watches, heartbeats and answers must not wait for a burst.
TURN_S: Final = 0.005
# After a bug in a loop: slow enough not to flood the log, soon enough to recover when its input changes.
BROKEN_RETRY_S: Final = 1.0


class Driver(Protocol):
    """What the process needs of a driver, whatever it drives."""

    name: str

    def observe(self, change: Change) -> None:
        """Pass on one change; cheap, and allowed before `run`."""
        ...

    async def run(self) -> None:
        """Work until cancelled."""
        ...


class Alarm:
    """Sleep until somebody calls, or a time comes."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """End the sleep, or keep the next one from starting."""
        self._event.set()

    async def sleep(self, seconds: float | None) -> None:
        """Sleep at most `seconds`, without end if None."""
        timer = None
        if seconds is not None:
            if seconds <= 0:
                await asyncio.sleep(0)
                self._event.clear()
                return
            timer = asyncio.get_running_loop().call_later(seconds, self._event.set)
        await self._event.wait()
        self._event.clear()
        if timer is not None:
            timer.cancel()


class ControllerDriver:
    """Runs one controller: keys from its queue, at most `workers` plans under way, each key serially.

    Wants to hear of `kinds`: what concerns its controller, and the VirtualClusters that switch it.
    """

    def __init__(
        self,
        controller: Controller,
        *,
        cache: Cache,
        queue: Queue,
        executor: Executor,
        clock: Clock,
        workers: int = 16,
        failed: Callable[[str], None] | None = None,
        gate: asyncio.Event | None = None,
        count: Callable[[str, Measurement], None] | None = None,
    ) -> None:
        self.name = controller.name
        self._count = count
        self.queue = queue
        self._controller = controller
        self._cache = cache
        self._executor = executor
        self._clock = clock
        self._workers = workers
        self._failed = failed
        self._gate = gate
        self._alarm = Alarm()
        self._refusals: dict[Key, str] = {}
        self._switch = controller_of(controller.name)
        self._skipped: set[str] = set()  # clusters in which keys have passed by
        switched = (CLUSTER,) if cache.holds(CLUSTER) else ()
        self.kinds = tuple(dict.fromkeys((*controller.concerns, *switched)))

    def observe(self, change: Change) -> None:
        """Put the keys that this change concerns in line."""
        cluster = change.key.cluster
        if change.kind == CLUSTER and cluster in self._skipped and self._runs(cluster):
            self._skipped.discard(cluster)
            self._look_at_all(cluster)
        self._route(change)

    def _runs(self, cluster: str) -> bool:
        """Whether the controller is switched on in a cluster."""
        if not self._cache.holds(CLUSTER):
            return True
        return View(self._cache, cluster, 0.0).settings.runs(self._switch)

    def _look_at_all(self, cluster: str) -> None:
        """Let every object of a cluster concern the controller, as at the start of the process."""
        for kind in self._controller.concerns:
            for record in list(self._cache.table_of(kind).of_cluster(cluster)):
                self._route(Change(kind, record.key, None, record))

    def _route(self, change: Change) -> None:
        routes = self._controller.concerns.get(change.kind)
        if not routes:
            return
        view = View(self._cache, change.key.cluster, self._clock.now())
        for route in routes:
            for key in route.keys(view, change):
                delay_s = route.delay_s if route.delay is None else route.delay(view, change)
                if delay_s:
                    self.queue.add_after(key, delay_s)
                else:
                    self.queue.add(key)
        self._alarm.ring()

    async def run(self) -> None:
        """Work until cancelled; plans under way at that moment are cancelled with it."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                if self._gate is not None:
                    await self._gate.wait()
                until = self._clock.monotonic() + TURN_S
                while len(self.queue.working) < self._workers and (key := self.queue.take()) is not None:
                    plan = self.decide(key)
                    if plan is None:
                        self.queue.done(key)
                    elif plan.writes:
                        tasks.create_task(self._carry_out(key, plan))
                    else:
                        self.conclude(key, plan, Outcome(0))
                    if self._clock.monotonic() > until:
                        break
                if len(self.queue.working) >= self._workers:
                    await self._alarm.sleep(None)  # what has come due meanwhile waits for a plan to come back
                    continue
                if self.queue.ready:
                    await asyncio.sleep(0)
                    continue
                due = self.queue.due_at()
                await self._alarm.sleep(None if due is None else due - self._clock.monotonic())

    def decide(self, key: Key) -> Plan | None:
        """Ask the controller about one key.

        None if it raised, which is a bug that must not stop the others.
        """
        if not self._runs(key.cluster):
            self._skipped.add(key.cluster)
            return Plan.done("switched off in this cluster")
        view = View(self._cache, key.cluster, self._clock.now(), refusal=self._refusals.get(key, ""))
        try:
            return self._controller.reconcile(view, key)
        except Exception:
            log.exception("reconcile failed", controller=self.name, cluster=key.cluster, object=key.display)
            if self._failed is not None:
                self._failed(self.name)
            self.queue.retry(key, at_least_s=BROKEN_RETRY_S)
            return None

    async def _carry_out(self, key: Key, plan: Plan) -> None:
        outcome = await _perform(self._executor, plan, self.name, self._failed)
        self.conclude(key, plan, outcome)
        self._alarm.ring()

    def conclude(self, key: Key, plan: Plan, outcome: Outcome) -> None:
        """Set the next look at a key by how its plan went."""
        error = outcome.error
        if plan.writes:
            log.debug(
                "plan performed" if error is None else "plan stopped",
                controller=self.name,
                cluster=key.cluster,
                object=key.display,
                writes=outcome.done,
                why=plan.why if error is None else str(error),
            )
        if error is None:
            self._refusals.pop(key, None)
            self.queue.forget(key)
            if plan.wake_at is not None:
                self.queue.add_after(key, max(plan.wake_at - self._clock.now(), 0.001))
        else:
            self._retry(key, error)
        if plan.measure is not None and self._count is not None:
            seconds = self._clock.monotonic() - self.queue.working[key]
            for found in plan.measure(outcome.done, outcome.ok, seconds):
                self._count(key.cluster, found)
        self.queue.done(key)

    def _retry(self, key: Key, error: HostError) -> None:
        match error:
            case Throttled():
                self.queue.retry(key, at_least_s=error.retry_after_s)
            case Refused():
                self._refusals[key] = error.message
                self.queue.retry(key)
            case Conflict() | NotFound():
                self.queue.retry(key)  # the truth is on its way to the cache
            case _:
                delay = self.queue.retry(key, at_least_s=0.1)
                log.warning(
                    "host unavailable, will retry",
                    controller=self.name,
                    cluster=key.cluster,
                    object=key.display,
                    why=str(error),
                    delay_s=round(delay, 3),
                )


class MachineDriver:
    """Runs one machine: steps it when something changed or is due, at most `workers` plans under way."""

    def __init__(
        self,
        machine: Machine,
        *,
        executor: Executor,
        clock: Clock,
        workers: int = 64,
        failed: Callable[[str], None] | None = None,
        gate: asyncio.Event | None = None,
    ) -> None:
        self.name = machine.name
        self._machine = machine
        self._executor = executor
        self._clock = clock
        self._workers = workers
        self._failed = failed
        self._gate = gate
        self._alarm = Alarm()
        self._under_way = 0
        self._waiting: list[Plan] = []

    def observe(self, change: Change) -> None:
        """Tell the machine of one change."""
        self._machine.observe(change)
        self._alarm.ring()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                if self._gate is not None:
                    await self._gate.wait()
                self._start_waiting(tasks)
                if not self._waiting:
                    plans = self._step()
                    if plans is None:
                        await asyncio.sleep(BROKEN_RETRY_S)
                        continue
                    self._waiting.extend(plans)
                    self._start_waiting(tasks)
                wake_at = None if self._waiting else self._machine.wake_at()
                await self._alarm.sleep(None if wake_at is None else wake_at - self._clock.now())

    def _start_waiting(self, tasks: asyncio.TaskGroup) -> None:
        started = 0
        for plan in self._waiting[: max(self._workers - self._under_way, 0)]:
            tasks.create_task(self._carry_out(plan))
            self._under_way += 1
            started += 1
        del self._waiting[:started]

    def _step(self) -> list[Plan] | None:
        """One step of the machine; None if it raised, which is a bug that must not end the process."""
        try:
            return self._machine.step(self._clock.now())
        except Exception:
            log.exception("machine failed", machine=self.name)
            if self._failed is not None:
                self._failed(self.name)
            return None

    async def _carry_out(self, plan: Plan) -> None:
        outcome = await _perform(self._executor, plan, self.name, self._failed)
        self._under_way -= 1
        if outcome.error is not None:
            log.debug("plan stopped", machine=self.name, why=str(outcome.error))
        self._machine.settle(plan, outcome, self._clock.now())
        self._alarm.ring()


async def _perform(
    executor: Executor, plan: Plan, name: str, failed: Callable[[str], None] | None
) -> Outcome:
    """Have a plan performed; an answer that breaks our own code counts as no answer."""
    try:
        return await executor.perform(plan)
    except Exception as error:
        log.exception("plan failed", loop=name, why=plan.why)
        if failed is not None:
            failed(name)
        return Outcome(0, Unavailable(f"unexpected: {error!r}"))
