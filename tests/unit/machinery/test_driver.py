"""The drivers: when a loop is asked, what follows from its plan, and that a bug stops one key only."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Any, ClassVar

import pytest

from memory_host import Host
from nestling.api.kinds import CONFIG_MAP, Kind
from nestling.apiserver.faults import Rule
from nestling.machinery.cache import Cache, Change
from nestling.machinery.clock import SystemClock
from nestling.machinery.controller import Controller, Outcome, Route, own_key
from nestling.machinery.driver import ControllerDriver, Driver, MachineDriver
from nestling.machinery.executor import Executor
from nestling.machinery.names import Key
from nestling.machinery.plan import Create, Emit, Plan
from nestling.machinery.queue import Queue
from nestling.machinery.records.base import Record
from nestling.machinery.view import View

WEB, API = Key("team-a", "default", "web"), Key("team-a", "default", "api")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigMap(Record):
    """Any kind will do; this one needs no CRD."""

    KIND: ClassVar[Kind] = CONFIG_MAP


@dataclass
class Bench:
    """What a driver needs, on a host in memory. The clock runs: a driver waits for real."""

    host: Host
    failures: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.cache = Cache([ConfigMap])
        self.clock = SystemClock()
        self.executor = Executor(
            self.host.client, self.cache, self.clock, events=self, changed=lambda _change: None
        )

    def record(self, event: Emit) -> None:
        """Events are not what these tests are about."""

    def controller(
        self, reconcile: Callable[[View, Key], Plan], *, gate: asyncio.Event | None = None
    ) -> ControllerDriver:
        return ControllerDriver(
            Controller("job", reconcile, {CONFIG_MAP: (Route(own_key),)}),
            cache=self.cache,
            queue=Queue(self.clock, random=Random(1)),
            executor=self.executor,
            clock=self.clock,
            failed=self.failures.append,
            gate=gate,
        )


@pytest.fixture
def bench(host: Host) -> Bench:
    return Bench(host)


@asynccontextmanager
async def running(driver: Driver) -> AsyncGenerator[None]:
    task = asyncio.create_task(driver.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def eventually(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.001)


def creation(key: Key) -> Create:
    body: dict[str, Any] = {"metadata": {"name": key.host_name, "namespace": key.cluster}}
    return Create(CONFIG_MAP, key, {"apiVersion": "v1", "kind": "ConfigMap", **body})


def sighting(key: Key) -> Change:
    meta = {"name": key.host_name, "namespace": key.cluster, "uid": "u", "resourceVersion": "1"}
    return Change(CONFIG_MAP, key, None, ConfigMap.read({"metadata": meta}))


async def test_a_change_makes_the_controller_look_and_its_plan_is_performed(bench: Bench) -> None:
    def reconcile(view: View, key: Key) -> Plan:
        return Plan.done("there") if view.get(ConfigMap, key) else Plan.of(creation(key))

    driver = bench.controller(reconcile)
    async with running(driver):
        driver.observe(sighting(WEB))
        await eventually(lambda: WEB in bench.cache.table(ConfigMap).records)


async def test_a_plan_without_writes_can_ask_to_be_woken(bench: Bench) -> None:
    looks: list[float] = []

    def reconcile(view: View, _key: Key) -> Plan:
        looks.append(view.now)
        return Plan.wait_until(view.now + 0.02) if len(looks) < 3 else Plan.done()

    driver = bench.controller(reconcile)
    async with running(driver):
        driver.observe(sighting(WEB))
        await eventually(lambda: len(looks) == 3)
    assert all(later - earlier >= 0.02 for earlier, later in pairwise(looks))


async def test_what_the_host_refuses_is_told_to_the_next_look_and_forgotten_after_success(
    bench: Bench,
) -> None:
    bench.host.faults.add(Rule("refuse", method="POST", status=403))
    told: list[str] = []

    def reconcile(view: View, key: Key) -> Plan:
        told.append(view.refusal)
        return Plan.done() if view.get(ConfigMap, key) else Plan.of(creation(key))

    driver = bench.controller(reconcile)
    async with running(driver):
        driver.observe(sighting(WEB))
        await eventually(lambda: len(told) == 2)
        await eventually(lambda: WEB in bench.cache.table(ConfigMap).records)
        driver.observe(sighting(WEB))
        await eventually(lambda: len(told) == 3)
    assert told[0] == ""
    assert "forbidden" in told[1]
    assert told[2] == ""


async def test_a_bug_in_one_look_is_counted_and_does_not_stop_the_others(bench: Bench) -> None:
    def reconcile(_view: View, key: Key) -> Plan:
        if key == WEB:
            raise KeyError("a bug")
        return Plan.of(creation(key))

    driver = bench.controller(reconcile)
    async with running(driver):
        driver.observe(sighting(WEB))
        driver.observe(sighting(API))
        await eventually(lambda: API in bench.cache.table(ConfigMap).records)
    assert bench.failures == ["job"]


async def test_a_key_that_comes_due_while_all_workers_are_busy_does_not_keep_the_driver_awake(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.host.faults.add(Rule("delay", method="POST", delay_s=0.2, times=-1))
    waiting = Key("team-a", "default", "waiting")
    driver = bench.controller(lambda view, key: Plan.done() if key == waiting else Plan.of(creation(key)))
    turns = 0
    monotonic = bench.clock.monotonic

    def counted() -> float:
        nonlocal turns
        turns += 1
        return monotonic()

    async with running(driver):
        for index in range(16):
            driver.observe(sighting(Key("team-a", "default", f"web-{index}")))
        await eventually(lambda: len(driver.queue.working) == 16)
        driver.queue.add_after(waiting, 0.001)
        driver.observe(sighting(WEB))  # one more than there is room for
        monkeypatch.setattr(bench.clock, "monotonic", counted)
        await eventually(lambda: not driver.queue.working)
    assert turns < 500


async def test_nothing_is_begun_while_the_gate_is_shut(bench: Bench) -> None:
    gate = asyncio.Event()
    looks: list[Key] = []

    def reconcile(_view: View, key: Key) -> Plan:
        looks.append(key)
        return Plan.done()

    driver = bench.controller(reconcile, gate=gate)
    async with running(driver):
        driver.observe(sighting(WEB))
        for _ in range(20):
            await asyncio.sleep(0)
        assert looks == []
        gate.set()
        await eventually(lambda: looks == [WEB])


class Counter:
    """A machine that creates one object per change it was told of."""

    name = "counter"

    def __init__(self, *, broken: int = 0) -> None:
        self.due: list[Key] = []
        self.outcomes: list[Outcome] = []
        self.broken = broken

    def observe(self, change: Change) -> None:
        self.due.append(change.key)

    def step(self, now: float) -> list[Plan]:
        if self.broken:
            self.broken -= 1
            raise ValueError("a bug")
        plans = [Plan.of(creation(key)) for key in self.due]
        self.due.clear()
        return plans

    def settle(self, plan: Plan, outcome: Outcome, now: float) -> None:
        self.outcomes.append(outcome)

    def wake_at(self) -> float | None:
        return None


async def test_a_machine_is_stepped_after_changes_and_learns_how_its_plans_went(bench: Bench) -> None:
    bench.host.faults.add(Rule("refuse", method="POST", status=403, skip=1))
    machine = Counter()
    driver = MachineDriver(machine, executor=bench.executor, clock=bench.clock)
    async with running(driver):
        driver.observe(sighting(WEB))
        driver.observe(sighting(API))
        await eventually(lambda: len(machine.outcomes) == 2)
    assert [outcome.ok for outcome in machine.outcomes] == [True, False]


async def test_a_machine_that_raised_is_stepped_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nestling.machinery.driver.BROKEN_RETRY_S", 0.01)
    machine = Counter(broken=2)
    driver = MachineDriver(machine, executor=bench.executor, clock=bench.clock, failed=bench.failures.append)
    async with running(driver):
        driver.observe(sighting(WEB))
        await eventually(lambda: len(machine.outcomes) == 1)
    assert bench.failures == ["counter", "counter"]
