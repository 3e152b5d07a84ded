"""The executor against the embedded API server: every way a write can go."""

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from memory_host import Host
from nestling.api.kinds import CONFIG_MAP, Kind, Uid
from nestling.apiserver.faults import Rule
from nestling.machinery.cache import Cache, Change
from nestling.machinery.echo import STALE_AFTER_S, Echo
from nestling.machinery.errors import AlreadyExists, Conflict, NotFound, Throttled, Unavailable
from nestling.machinery.executor import Executor
from nestling.machinery.names import Key
from nestling.machinery.plan import Create, Delete, Emit, Patch, Plan
from nestling.machinery.records.base import Record

WEB = Key("team-a", "default", "web")
OWNER = {"apiVersion": "nestling.dev/v1alpha1", "kind": "VirtualReplicaSet", "name": "rs", "uid": "rs-1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigMap(Record):
    """Any kind will do; this one needs no CRD."""

    KIND: ClassVar[Kind] = CONFIG_MAP


class Recorder:
    """Keeps events."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def record(self, event: Emit) -> None:
        self.reasons.append(event.reason)


class Bench:
    """An executor on a host, with the cache it teaches and what it told others."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.cache = Cache([ConfigMap])
        self.events = Recorder()
        self.changes: list[Change] = []
        self.echo = Echo(host.clock, [CONFIG_MAP])
        self.executor = Executor(
            host.client,
            self.cache,
            host.clock,
            events=self.events,
            changed=self.changes.append,
            wrote=self.echo.wrote,
        )

    def cached(self, key: Key = WEB) -> ConfigMap | None:
        return self.cache.table(ConfigMap).records.get(key)

    async def existing(self) -> ConfigMap:
        await self.executor.perform(Plan.of(create()))
        found = self.cached()
        assert found is not None
        return found


@pytest.fixture
def bench(host: Host) -> Bench:
    return Bench(host)


def create(name: str = "web", *, owner: str = "rs-1") -> Create:
    meta: dict[str, Any] = {"name": name, "namespace": "team-a"}
    meta["ownerReferences"] = [{**OWNER, "uid": owner, "controller": True}]
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"a": "1"}}
    return Create(
        CONFIG_MAP, Key("team-a", "default", name), body, emit("Created"), lambda _why: emit("FailedCreate")
    )


def emit(reason: str) -> Emit:
    return Emit(CONFIG_MAP, WEB, Uid("u"), "Normal", reason, "text", "test")


async def test_the_answer_of_a_write_is_in_the_cache_before_perform_returns(bench: Bench) -> None:
    outcome = await bench.executor.perform(Plan.of(create()))
    assert outcome.ok
    assert bench.cached() is not None
    assert [change.key for change in bench.changes] == [WEB]
    assert bench.events.reasons == ["Created"]


async def test_a_create_that_meets_its_own_lost_twin_counts_as_done(bench: Bench) -> None:
    bench.host.faults.add(Rule("lose-answer", method="POST"))
    first = await bench.executor.perform(Plan.of(create()))
    assert isinstance(first.error, Unavailable)
    assert bench.cached() is None
    second = await bench.executor.perform(Plan.of(create()))
    assert second.ok
    assert bench.cached() is not None


async def test_a_create_that_meets_a_stranger_is_refused_and_the_stranger_is_seen(bench: Bench) -> None:
    await bench.host.client.create(CONFIG_MAP, "team-a", create(owner="somebody-else").body)
    outcome = await bench.executor.perform(Plan.of(create()))
    assert isinstance(outcome.error, AlreadyExists)
    assert bench.cached() is not None


async def test_a_patch_of_an_older_version_is_refused(bench: Bench) -> None:
    seen = await bench.existing()
    await bench.host.client.patch(CONFIG_MAP, "team-a", "web", {"data": {"a": "2"}})
    outcome = await bench.executor.perform(
        Plan.of(Patch(CONFIG_MAP, WEB, seen.uid, {"data": {"a": "3"}}, version=seen.version))
    )
    assert isinstance(outcome.error, Conflict)
    assert (await bench.host.client.get(CONFIG_MAP, "team-a", "web"))["data"] == {"a": "2"}


@pytest.mark.parametrize(
    "versioned", [pytest.param(True, id="versioned"), pytest.param(False, id="by uid alone")]
)
async def test_a_patch_does_not_touch_a_successor_of_the_same_name(bench: Bench, versioned: bool) -> None:
    seen = await bench.existing()
    await bench.host.client.delete(CONFIG_MAP, "team-a", "web")
    await bench.host.client.create(CONFIG_MAP, "team-a", create().body)
    version = seen.version if versioned else None
    outcome = await bench.executor.perform(
        Plan.of(Patch(CONFIG_MAP, WEB, seen.uid, {"data": {"a": "3"}}, version=version))
    )
    assert isinstance(outcome.error, Conflict)
    assert (await bench.host.client.get(CONFIG_MAP, "team-a", "web"))["data"] == {"a": "1"}


async def test_a_patch_of_a_vanished_object_teaches_the_cache_that_it_is_gone(bench: Bench) -> None:
    seen = await bench.existing()
    await bench.host.client.delete(CONFIG_MAP, "team-a", "web")
    outcome = await bench.executor.perform(Plan.of(Patch(CONFIG_MAP, WEB, seen.uid, {"data": {}})))
    assert isinstance(outcome.error, NotFound)
    assert bench.cached() is None


async def test_a_patch_that_drops_the_last_finalizer_of_a_deleted_object_ends_it(bench: Bench) -> None:
    seen = await bench.existing()
    held = await bench.host.client.patch(
        CONFIG_MAP, "team-a", "web", {"metadata": {"finalizers": ["nestling.dev/test"]}}
    )
    await bench.executor.perform(Plan.of(Delete(CONFIG_MAP, WEB, seen.uid)))
    waiting = bench.cached()
    assert waiting is not None
    assert waiting.deleting
    outcome = await bench.executor.perform(
        Plan.of(Patch(CONFIG_MAP, WEB, Uid(held["metadata"]["uid"]), {"metadata": {"finalizers": None}}))
    )
    assert outcome.ok
    assert bench.cached() is None


async def test_a_delete_spares_a_successor_and_accepts_that_somebody_was_faster(bench: Bench) -> None:
    seen = await bench.existing()
    await bench.host.client.delete(CONFIG_MAP, "team-a", "web")
    assert (await bench.executor.perform(Plan.of(Delete(CONFIG_MAP, WEB, seen.uid)))).ok
    await bench.host.client.create(CONFIG_MAP, "team-a", create().body)
    outcome = await bench.executor.perform(Plan.of(Delete(CONFIG_MAP, WEB, seen.uid)))
    assert isinstance(outcome.error, Conflict)
    assert (await bench.host.client.get(CONFIG_MAP, "team-a", "web"))["data"] == {"a": "1"}


async def test_the_first_failing_batch_of_creates_stops_the_rest(bench: Bench) -> None:
    bench.host.faults.add(Rule("refuse", method="POST", status=403, skip=1, times=-1))
    outcome = await bench.executor.perform(Plan.of(*(create(f"web-{number}") for number in range(50))))
    assert outcome.done == 1
    assert bench.host.faults.rules[0].struck == 2, "batches of 1 and 2: the third was never sent"
    assert bench.events.reasons == ["Created", "FailedCreate", "FailedCreate"]


async def test_a_failed_stage_keeps_the_next_one_from_starting(bench: Bench) -> None:
    seen = await bench.existing()
    bench.host.faults.add(Rule("refuse", method="POST", status=500, times=-1))
    outcome = await bench.executor.perform(
        Plan.of(create("other"), Patch(CONFIG_MAP, WEB, seen.uid, {"data": {"a": "9"}}))
    )
    assert outcome.done == 0
    assert (await bench.host.client.get(CONFIG_MAP, "team-a", "web"))["data"] == {"a": "1"}


async def test_a_throttled_write_tells_how_long_the_host_wants_us_to_wait(bench: Bench) -> None:
    bench.host.faults.add(Rule("refuse", method="POST", status=429, retry_after_s=7))
    outcome = await bench.executor.perform(Plan.of(create()))
    assert isinstance(outcome.error, Throttled)
    assert outcome.error.retry_after_s == 7.0


async def test_a_write_owes_an_event_until_it_is_heard(bench: Bench) -> None:
    await bench.existing()
    bench.host.clock.advance(STALE_AFTER_S + 1)
    assert bench.echo.stale() == [CONFIG_MAP.plural]


async def test_an_event_that_came_before_the_answer_is_not_waited_for(bench: Bench) -> None:
    bench.host.faults.add(Rule("lose-answer", method="POST"))
    await bench.executor.perform(Plan.of(create()))
    event = await bench.host.client.get(CONFIG_MAP, "team-a", "web")
    bench.echo.heard(CONFIG_MAP, event, deleted=False)
    bench.cache.see(CONFIG_MAP, event)
    assert (await bench.executor.perform(Plan.of(create()))).ok, "its answer says what the event said"
    bench.host.clock.advance(STALE_AFTER_S + 1)
    assert bench.echo.stale() == []


async def test_a_write_that_changes_nothing_owes_no_event(bench: Bench) -> None:
    seen = await bench.existing()
    bench.echo.settle(CONFIG_MAP)
    assert (await bench.executor.perform(Plan.of(Patch(CONFIG_MAP, WEB, seen.uid, {})))).ok
    bench.host.clock.advance(STALE_AFTER_S + 1)
    assert bench.echo.stale() == []
