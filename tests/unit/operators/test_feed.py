"""The way from an event to the cache."""

from typing import Any

import kopf
from structlog.testing import capture_logs

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


def test_an_event_that_cannot_be_read_is_said_and_harms_no_other() -> None:
    cache, host = cache_of(), Host()
    feed = Feed(host.client, cache, Hub(), Echo(host.clock, [POD]))
    pods = kopf.Resource(group=POD.group, version=POD.version, plural=POD.plural, kind=POD.name)
    nonsense: Any = {
        "type": "ADDED",
        "object": {"metadata": {"name": "web", "uid": "1", "resourceVersion": "x"}},
    }
    with capture_logs() as logs:
        assert not feed.hear(event=nonsense, resource=pods)
    assert [entry["event"] for entry in logs] == ["event lost"]
    web: Any = {"type": "ADDED", "object": a_pod("web")}
    assert not feed.hear(event=web, resource=pods)
    assert Key("team-a", "default", "web") in cache.table(Pod).records
