"""The way from an event to the cache."""

from typing import Any

from builders import a_pod, cache_of
from memory_host import Host
from nestling.api.kinds import POD
from nestling.machinery.echo import Echo
from nestling.machinery.names import Key
from nestling.machinery.records.pod import Pod
from nestling.operators.feed import Feed, Hub


def test_what_an_event_held_is_kept_by_the_cache_and_let_go_by_the_event() -> None:
    pod = a_pod("web", node="north-0")
    spec = dict(pod["spec"])
    cache = cache_of()
    host = Host()
    feed = Feed(host.client, cache, Hub(), Echo(host.clock, [POD]))
    event: Any = {"type": "ADDED", "object": pod}
    feed.take(POD, event)
    record = cache.table(Pod).records[Key("team-a", "default", "web")]
    assert record.body["spec"] == spec
    assert "spec" not in event["object"]
    assert "status" not in event["object"]
    assert event["object"]["metadata"]["name"] == "web"
