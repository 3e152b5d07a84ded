"""Watches: order, selections, bookmarks, ends."""

import time

from contract_server import TABLE, Space


def test_every_change_in_order_from_a_revision(space: Space) -> None:
    revision = space.server.expect(200, "GET", space.path())["metadata"]["resourceVersion"]
    space.create("a")
    with space.server.watch(space.path(), resourceVersion=revision) as watch:
        space.patch({"spec": {"replicas": 2}})
        space.create("b")
        space.server.expect(200, "DELETE", space.path(name="a"))
        assert watch.take(4) == [("ADDED", "a"), ("MODIFIED", "a"), ("ADDED", "b"), ("DELETED", "a")]
    versions = [int(event.object["metadata"]["resourceVersion"]) for event in watch.seen]
    assert versions == sorted(set(versions))
    assert watch.seen[3].object["spec"]["replicas"] == 2


def test_without_a_revision_the_present_comes_first(space: Space) -> None:
    made = space.create("a")
    with space.server.watch(space.path()) as watch:
        assert watch.next().object == made
        space.create("b")
        assert watch.take(1) == [("ADDED", "b")]


def test_events_are_the_objects_that_writes_answer(space: Space) -> None:
    revision = space.server.expect(200, "GET", space.path())["metadata"]["resourceVersion"]
    with space.server.watch(space.path(), resourceVersion=revision) as watch:
        made = space.create("a", node="n")
        changed = space.patch({"status": {"phase": "x"}}, sub="status")
        assert watch.next().object == made
        assert watch.next().object == changed


def test_object_enters_and_leaves_a_selection(space: Space) -> None:
    space.create("a", meta={"labels": {"on": "no"}})
    with space.server.watch(space.path(), labelSelector="on=yes") as watch:
        space.patch({"metadata": {"labels": {"on": "yes"}}})
        space.patch({"spec": {"replicas": 2}})
        left = space.patch({"metadata": {"labels": {"on": "no"}}})
        space.patch({"spec": {"replicas": 3}})
        space.patch({"metadata": {"labels": {"on": "yes"}}})
        assert watch.take(4) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a"), ("ADDED", "a")]
    gone = watch.seen[2].object
    assert gone["metadata"]["labels"] == {"on": "yes"}  # its last state inside the selection
    assert gone["metadata"]["resourceVersion"] == left["metadata"]["resourceVersion"]


def test_field_selection(space: Space) -> None:
    space.create("a")
    space.create("b")
    with space.server.watch(space.path(), fieldSelector="spec.node=n1") as watch:
        space.patch({"spec": {"node": "n1"}}, "b")
        space.server.expect(200, "DELETE", space.path(name="a"))
        space.server.expect(200, "DELETE", space.path(name="b"))
        assert watch.take(2) == [("ADDED", "b"), ("DELETED", "b")]


def test_all_namespaces_and_one_name(space: Space) -> None:
    path = "/apis/test.nestling.dev/v1/widgets"
    query = {"fieldSelector": f"metadata.namespace={space.name},metadata.name=b"}
    with space.server.watch(path, **query) as watch:
        space.create("a")
        space.create("b")
        assert watch.take(1) == [("ADDED", "b")]


def test_watch_ends_in_its_time_with_a_bookmark(space: Space) -> None:
    revision = space.create("a")["metadata"]["resourceVersion"]
    started = time.monotonic()
    with space.server.watch(
        space.path(), resourceVersion=revision, timeoutSeconds=1, allowWatchBookmarks="true"
    ) as watch:
        assert watch.ended() or watch.ended()  # at most one bookmark before the end
    assert 0.5 < time.monotonic() - started < 8


def test_initial_events_end_with_a_bookmark(space: Space) -> None:
    space.create("a")
    query = {
        "sendInitialEvents": "true",
        "allowWatchBookmarks": "true",
        "resourceVersionMatch": "NotOlderThan",
    }
    with space.server.watch(space.path(), **query) as watch:
        assert watch.take(1) == [("ADDED", "a")]
        end = watch.next()
        assert end.type == "BOOKMARK"
        assert end.object["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert end.object["kind"] == "Widget"
        space.create("b")
        assert watch.take(1) == [("ADDED", "b")]


def test_initial_events_need_their_conditions(space: Space) -> None:
    answer = space.server.call("GET", space.path(), watch="true", sendInitialEvents="true")
    assert answer.status == 422
    assert "resourceVersionMatch" in answer.message


def test_revision_that_is_not_a_number(space: Space) -> None:
    answer = space.server.call("GET", space.path(), watch="true", resourceVersion="x", timeoutSeconds=1)
    assert answer.status == 500
    assert "strconv.ParseUint" in answer.message


def test_revision_from_before_history_is_gone(space: Space) -> None:
    # The namespace of this test is younger than the definition, whose history has no revision 1.
    with space.server.watch(space.path(), resourceVersion=1) as watch:
        event = watch.next()
        assert event.type == "ERROR"
        assert (event.object["code"], event.object["reason"]) == (410, "Expired")
        assert event.object["message"].startswith("too old resource version: 1 (")
        assert watch.ended()


def test_rows_of_a_table(space: Space) -> None:
    space.create("a")
    with space.server.watch(space.path(), accept=TABLE) as watch:
        first = watch.next().object
        assert [column["name"] for column in first["columnDefinitions"]][:2] == ["Name", "Size"]
        assert first["rows"][0]["cells"][:3] == ["a", "small", 1]
        space.create("b")
        second = watch.next().object
        assert not second.get("columnDefinitions")
        assert second["rows"][0]["cells"][0] == "b"
