"""Lists: selections, pages of one moment, revisions."""

from typing import Any

import pytest

from contract_server import Space


def names(body: dict[str, Any]) -> list[str]:
    return [item["metadata"]["name"] for item in body["items"]]


@pytest.fixture
def filled(space: Space) -> Space:
    """Five widgets: a to e, labels by parity, d and e on a node."""
    for index, name in enumerate("abcde"):
        labels = {"parity": "even" if index % 2 == 0 else "odd", **({"last": ""} if name == "e" else {})}
        space.create(name, meta={"labels": labels}, **({"node": "n1"} if name in "de" else {}))
    return space


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        pytest.param({}, "abcde", id="everything, by name"),
        pytest.param({"labelSelector": "parity=even"}, "ace", id="equal"),
        pytest.param({"labelSelector": "parity==odd"}, "bd", id="double equal"),
        pytest.param({"labelSelector": "parity!=even"}, "bd", id="not equal"),
        pytest.param({"labelSelector": "parity in (even, odd),last"}, "e", id="in, exists"),
        pytest.param({"labelSelector": "parity notin (even)"}, "bd", id="not in"),
        pytest.param({"labelSelector": "!last"}, "abcd", id="does not exist"),
        pytest.param({"labelSelector": "last="}, "e", id="empty value"),
        pytest.param({"fieldSelector": "metadata.name=b"}, "b", id="name"),
        pytest.param({"fieldSelector": "metadata.name!=b"}, "acde", id="not the name"),
        pytest.param({"fieldSelector": "spec.node=n1"}, "de", id="selectable field"),
        pytest.param({"fieldSelector": "spec.node="}, "abc", id="selectable field absent"),
        pytest.param({"fieldSelector": "spec.node=n1,metadata.name=d"}, "d", id="both"),
        pytest.param(
            {"fieldSelector": "spec.node=n1", "labelSelector": "parity=even"}, "e", id="labels and fields"
        ),
        pytest.param({"resourceVersion": "0"}, "abcde", id="any revision will do"),
    ],
)
def test_selection(filled: Space, query: dict[str, str], wanted: str) -> None:
    body = filled.server.expect(200, "GET", filled.path(), **query)
    assert names(body) == list(wanted)
    assert body["kind"] == "WidgetList"


def test_namespace_of_a_selection(filled: Space) -> None:
    path = "/apis/test.nestling.dev/v1/widgets"
    body = filled.server.expect(200, "GET", path, fieldSelector=f"metadata.namespace={filled.name}")
    assert names(body) == list("abcde")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        pytest.param({"fieldSelector": "spec.size=x"}, "field label not supported: spec.size", id="field"),
        pytest.param({"labelSelector": "a==="}, "unable to parse requirement: ", id="label"),
        pytest.param({"continue": "abc"}, "continue key is not valid", id="token"),
    ],
)
def test_selection_that_cannot_be_read(space: Space, query: dict[str, str], message: str) -> None:
    answer = space.server.call("GET", space.path(), **query)
    assert (answer.status, answer.body["reason"]) == (400, "BadRequest")
    assert message in answer.message


def test_pages_show_one_moment(filled: Space) -> None:
    first = filled.server.expect(200, "GET", filled.path(), limit=2)
    assert names(first) == ["a", "b"]
    assert first["metadata"]["remainingItemCount"] == 3
    filled.create("bb")
    filled.server.expect(200, "DELETE", filled.path(name="c"))
    filled.patch({"spec": {"code": "new"}}, "d")
    token = first["metadata"]["continue"]
    second = filled.server.expect(200, "GET", filled.path(), limit=2, **{"continue": token})
    assert names(second) == ["c", "d"]
    assert "code" not in second["items"][1]["spec"]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    token = second["metadata"]["continue"]
    third = filled.server.expect(200, "GET", filled.path(), limit=2, **{"continue": token})
    assert names(third) == ["e"]
    assert not third["metadata"].get("continue")
    assert names(filled.server.expect(200, "GET", filled.path())) == ["a", "b", "bb", "d", "e"]


def test_pages_of_a_selection_say_nothing_of_the_rest(filled: Space) -> None:
    first = filled.server.expect(200, "GET", filled.path(), limit=2, labelSelector="parity=even")
    assert names(first) == ["a", "c"]
    assert "remainingItemCount" not in first["metadata"]
    token = first["metadata"]["continue"]
    rest = filled.server.expect(
        200, "GET", filled.path(), limit=2, labelSelector="parity=even", **{"continue": token}
    )
    assert names(rest) == ["e"]


def test_list_of_a_revision(filled: Space) -> None:
    before = filled.server.expect(200, "GET", filled.path())
    revision = before["metadata"]["resourceVersion"]
    filled.server.expect(200, "DELETE", filled.path(name="a"))
    filled.create("f")
    filled.patch({"spec": {"code": "new"}}, "b")
    exact = filled.server.expect(
        200, "GET", filled.path(), resourceVersion=revision, resourceVersionMatch="Exact"
    )
    assert exact["items"] == before["items"]
    assert exact["metadata"]["resourceVersion"] == revision
    newer = filled.server.expect(
        200, "GET", filled.path(), resourceVersion=revision, resourceVersionMatch="NotOlderThan"
    )
    assert names(newer) == list("bcdef")
    assert int(newer["metadata"]["resourceVersion"]) > int(revision)


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        pytest.param(
            {"resourceVersionMatch": "Exact"}, 422, "resourceVersionMatch", id="match without revision"
        ),
        pytest.param(
            {"resourceVersion": "1", "resourceVersionMatch": "Nearly"},
            422,
            "resourceVersionMatch",
            id="unknown match",
        ),
        pytest.param(
            {"resourceVersion": "0", "resourceVersionMatch": "Exact"},
            422,
            "resourceVersionMatch",
            id="exactly nothing",
        ),
        pytest.param(
            {"resourceVersion": "x"}, 400, "invalid resource version: resourceVersion", id="not a number"
        ),
    ],
)
def test_revision_that_makes_no_sense(space: Space, query: dict[str, str], status: int, message: str) -> None:
    answer = space.server.call("GET", space.path(), **query)
    assert answer.status == status, answer.body
    assert message in answer.message


def test_revision_of_the_future_is_not_waited_for_long(space: Space) -> None:
    revision = int(space.create()["metadata"]["resourceVersion"]) + 1_000_000
    answer = space.server.call("GET", space.path(), resourceVersion=revision)
    assert (answer.status, answer.body["reason"]) == (504, "Timeout")
    assert "Too large resource version" in answer.message
