"""The core as a whole: determinism, pages, forms, counters."""

import orjson
import pytest

from apiserver_world import DEFINITIONS, WIDGETS, World, definition, widget
from nestling.apiserver import protobuf
from nestling.apiserver.exchange import MERGE_PATCH


def a_run(seed: int) -> bytes:
    world = World(seed=seed)
    for _ in range(3):
        world.create("", meta={"generateName": "w-"})
    world.clock.advance(10)
    world.patch({"spec": {"node": "n"}}, world.names()[0])
    return world.ask("GET", WIDGETS).body


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert a_run(7) == a_run(7)
    assert a_run(7) != a_run(8)


def test_a_page_after_compaction_offers_to_go_on() -> None:
    world = World()
    for name in "abcde":
        world.create(name)
    first = world.expect(200, "GET", f"{WIDGETS}?limit=2")
    world.create("bb")
    world.api.compact()
    refused = world.ask("GET", f"{WIDGETS}?limit=2&continue={first['metadata']['continue']}")
    status = refused.json()
    assert (refused.status, status["reason"]) == (410, "Expired")
    rest = world.expect(200, "GET", f"{WIDGETS}?continue={status['metadata']['continue']}")
    assert [item["metadata"]["name"] for item in rest["items"]] == ["bb", "c", "d", "e"]


def test_writes_and_requests_are_counted() -> None:
    world = World()
    world.create()
    world.patch({"spec": {"replicas": 1}})  # changes nothing
    world.patch({"spec": {"replicas": 2}})
    world.patch({"status": {"phase": "x"}}, sub="/status")
    world.delete()
    widgets = {change: n for (plural, change), n in world.api.counts.writes.items() if plural == "widgets"}
    assert widgets == {"create": 1, "update": 1, "status": 1, "delete": 1}
    assert world.api.counts.requested("patch", "widgets") == 3
    text = world.ask("GET", "/metrics").body.decode()
    assert 'nestling_apiserver_writes_total{change="create",resource="widgets"} 1.0' in text
    assert 'apiserver_storage_objects{resource="widgets.test.nestling.dev"} 0.0' in text
    assert 'verb="patch"' in text


def test_an_object_that_is_too_large_is_refused() -> None:
    world = World()
    answer = world.ask("POST", WIDGETS, widget(node="x" * 1_600_000))
    assert answer.status == 413
    assert world.ask("POST", WIDGETS, b'{"a":"' + b"x" * 3_200_000 + b'"}').status == 413
    assert world.names() == []


def test_a_definition_may_change_its_schema() -> None:
    world = World()
    world.create("old", replicas=5)
    body = world.expect(200, "GET", f"{DEFINITIONS}/widgets.test.nestling.dev")
    place = body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    place["replicas"]["maximum"] = 3
    world.expect(200, "PUT", f"{DEFINITIONS}/widgets.test.nestling.dev", body)
    assert world.ask("POST", WIDGETS, widget("new", replicas=5)).status == 422
    # What broke the new rule before it was made may be worked with, as long as it is not made worse.
    world.patch({"spec": {"node": "n"}}, "old")
    answer = world.ask("PATCH", f"{WIDGETS}/old", {"spec": {"replicas": 4}}, type=MERGE_PATCH)
    assert answer.status == 422


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            {"metadata": {"name": "other.test.nestling.dev"}}, "must be spec.names.plural", id="name"
        ),
        pytest.param(
            {"spec": {**definition()["spec"], "scope": "Wide"}}, "spec.scope: Unsupported value", id="scope"
        ),
        pytest.param(
            {"spec": {**definition()["spec"], "versions": []}}, "exactly one version", id="no version"
        ),
        pytest.param(
            {
                "spec": {
                    **definition("gadgets")["spec"],
                    "versions": [{"name": "v1", "served": True, "storage": True}],
                }
            },
            "schemas are required",
            id="no schema",
        ),
        pytest.param(
            definition("gadgets", schema={"type": "object", "properties": {"a": {}}}),
            "properties[a].type: Required value",
            id="no type",
        ),
    ],
)
def test_a_definition_that_makes_no_sense_is_refused(change: dict[str, object], message: str) -> None:
    answer = World().ask("POST", DEFINITIONS, {**definition("gadgets", "Gadget"), **change})
    assert answer.status == 422
    assert message in answer.json()["message"]


def varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def text(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(data)) + data


def test_protocol_buffers_are_read() -> None:
    labels = text(11, text(1, "a") + text(2, "")) + text(11, text(1, "c") + text(2, "d"))
    meta = text(1, "web") + text(2, "") + labels + text(8, b"")
    raw = text(1, meta) + text(2, text(1, "k") + text(2, "v")) + varint(4 << 3) + b"\x01"
    body = protobuf.MAGIC + text(1, text(1, "v1") + text(2, "ConfigMap")) + text(2, raw) + text(99, "later")
    assert protobuf.decode(body) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "web", "labels": {"a": "", "c": "d"}},
        "data": {"k": "v"},
        "immutable": True,
    }


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{}", id="no magic"),
        pytest.param(protobuf.MAGIC + text(1, text(1, "v1") + text(2, "Pod")), id="unknown kind"),
        pytest.param(protobuf.MAGIC + b"\x0a\xff", id="cut short"),
        pytest.param(protobuf.MAGIC + b"\x0a\x05ab", id="longer than the message"),
        pytest.param(protobuf.MAGIC + b"\x0f", id="unknown wire type"),
    ],
)
def test_broken_protocol_buffers_are_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        protobuf.decode(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b'{"kind":1}',
        b'{"apiVersion":"test.nestling.dev/v1","kind":"Widget","metadata":[]}',
        b'{"apiVersion":"test.nestling.dev/v1","kind":"Widget","metadata":{"name":5}}',
        b'{"apiVersion":"test.nestling.dev/v1","kind":"Widget","metadata":{"name":"a","ownerReferences":[1]}}',
        b'{"apiVersion":"test.nestling.dev/v1","kind":"Widget","metadata":{"name":"a","labels":{"a":null}}}',
        b'{"apiVersion":"test.nestling.dev/v1","kind":"Widget","metadata":null,"spec":null}',
        b'{"apiVersion":{},"kind":"Widget","metadata":{"name":"a"}}',
        b"\xff\xfe",
        b'{"a":' * 2000,
    ],
)
@pytest.mark.parametrize(
    "path", [WIDGETS, DEFINITIONS, "/api/v1/namespaces", "/api/v1/namespaces/default/events"]
)
def test_whatever_comes_is_answered_with_a_status(path: str, body: bytes) -> None:
    world = World()
    for method, where in (("POST", path), ("PUT", f"{path}/a"), ("PATCH", f"{path}/a")):
        for type_ in (
            "application/json",
            MERGE_PATCH,
            "application/json-patch+json",
            "application/apply-patch+yaml",
        ):
            answer = world.ask(method, f"{where}?fieldManager=x", body, type=type_)
            # A configuration without a name takes the one in the path, so it may even be good.
            assert answer.status == 201 or 400 <= answer.status < 500, (method, type_, answer)
            assert orjson.loads(answer.body)["kind"] in ("Status", "Widget")
