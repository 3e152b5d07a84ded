"""Watches without sockets: what is told when, by a clock that is moved by hand."""

import orjson

from apiserver_world import DEFINITIONS, WIDGETS, World, definition, request, told
from nestling.apiserver.exchange import Response
from nestling.apiserver.record import Change
from nestling.apiserver.store import Store


def test_a_change_is_told_once_to_everyone_as_the_same_bytes() -> None:
    world = World()
    one, two = world.watch(), world.watch()
    world.create()
    first, second = one.poll(), two.poll()
    assert first[0] is second[0]
    assert told(one) == []


def test_bookmarks_come_every_minute_to_those_who_ask() -> None:
    world = World()
    asked, silent = (
        world.watch("allowWatchBookmarks=true&resourceVersion=5"),
        world.watch("resourceVersion=5"),
    )
    world.expect(201, "POST", DEFINITIONS, definition("others", "Other"))
    world.clock.advance(59)
    assert told(asked) == []
    world.clock.advance(1)
    event = orjson.loads(asked.poll()[0])
    assert event["type"] == "BOOKMARK"
    assert event["object"]["metadata"]["resourceVersion"] == str(world.api.revision)
    assert (event["object"]["kind"], event["object"]["apiVersion"]) == ("Widget", "test.nestling.dev/v1")
    assert told(silent) == []
    assert asked.wakes_at == world.clock.monotonic() + 60


def test_a_watch_ends_when_its_time_is_over() -> None:
    world = World()
    watch = world.watch("timeoutSeconds=30")
    world.create()
    world.clock.advance(29.9)
    assert told(watch) == [("ADDED", "a")]
    assert not watch.closed
    assert watch.wakes_at == 30
    world.clock.advance(0.1)
    world.create("b")
    assert told(watch) == [("ADDED", "b")]
    assert watch.closed
    world.create("c")
    assert told(watch) == []


def test_a_watch_that_fell_behind_is_told_to_list_again() -> None:
    world = World(store=Store(history=5))
    watch = world.watch()
    for index in range(7):
        world.create(f"w{index}")
    event = orjson.loads(watch.poll()[0])
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
    assert watch.closed


def test_compaction_ends_watches_from_before() -> None:
    world = World()
    start = world.api.revision
    world.create()
    world.api.compact()
    behind, level = (
        world.watch(f"resourceVersion={start}"),
        world.watch(f"resourceVersion={world.api.revision}"),
    )
    assert [orjson.loads(line)["type"] for line in behind.poll()] == ["ERROR"]
    world.create("b")
    assert told(level) == [("ADDED", "b")]


class SlowJournal:
    """A journal whose disk is as slow as the test wants."""

    failure = None

    def __init__(self) -> None:
        self.durable = 0
        self.last = 0

    def append(self, change: Change) -> None:
        self.last = change.revision

    def when_durable(self, callback: object) -> None:
        """Nobody waits."""

    def sync(self) -> None:
        self.durable = self.last


def test_only_what_is_durable_is_told() -> None:
    journal = SlowJournal()
    world = World(store=Store(journal))
    journal.sync()
    watch = world.watch(f"resourceVersion={world.api.revision}")
    world.create()
    assert told(watch) == []
    journal.sync()
    world.create("b")
    assert told(watch) == [("ADDED", "a")]
    journal.sync()
    assert told(watch) == [("ADDED", "b")]


def test_a_watch_on_one_object_by_name_is_a_selection() -> None:
    world = World()
    watch = world.watch("fieldSelector=metadata.name%3Db")
    for name in "abc":
        world.create(name)
    world.delete("b")
    assert told(watch) == [("ADDED", "b"), ("DELETED", "b")]


def test_a_watch_of_what_is_not_served_is_refused() -> None:
    world = World()
    answer = world.api.watch(request("GET", WIDGETS.replace("widgets", "gadgets") + "?watch=1"))
    assert isinstance(answer, Response)
    assert answer.status == 404
