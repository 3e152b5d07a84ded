"""Selectors decide as Kubernetes' own do, from JSON and from text."""

from typing import Any

import pytest

from nestling.api.selector import EVERYTHING, NOTHING, NodeSelector, Requirement, Selector

WEB = {"app": "web", "tier": "front", "size": "7"}


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": operator, "values": list(values)}


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        pytest.param({}, True, id="empty selects all"),
        pytest.param(None, False, id="none selects nothing"),
        pytest.param({"matchLabels": {"app": "web"}}, True, id="label"),
        pytest.param({"matchLabels": {"app": "web", "tier": "back"}}, False, id="one of two labels"),
        pytest.param({"matchLabels": {"gone": ""}}, False, id="absent is not empty"),
        pytest.param({"matchExpressions": [expression("app", "In", "db", "web")]}, True, id="in"),
        pytest.param({"matchExpressions": [expression("gone", "In", "x")]}, False, id="in, absent"),
        pytest.param({"matchExpressions": [expression("app", "NotIn", "web")]}, False, id="not in"),
        pytest.param({"matchExpressions": [expression("gone", "NotIn", "x")]}, True, id="not in, absent"),
        pytest.param({"matchExpressions": [expression("app", "Exists")]}, True, id="exists"),
        pytest.param({"matchExpressions": [expression("app", "DoesNotExist")]}, False, id="does not exist"),
        pytest.param(
            {"matchLabels": {"app": "web"}, "matchExpressions": [expression("tier", "In", "back")]},
            False,
            id="both halves have to hold",
        ),
        pytest.param({"matchLabels": None, "matchExpressions": None}, True, id="null halves"),
    ],
)
def test_label_selector(selector: dict[str, Any] | None, matches: bool) -> None:
    assert Selector.from_json(selector).matches(WEB) is matches


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        pytest.param(expression("a", "Is", "b"), "unknown selector operator", id="operator"),
        pytest.param(expression("a", "In"), "at least one value", id="in without values"),
        pytest.param(expression("a", "Exists", "b"), "takes no values", id="exists with values"),
        pytest.param(expression("a", "Gt", "1"), "node selectors", id="gt in a label selector"),
        pytest.param(expression("a", "Gt", "x"), "one integer", id="gt of a word"),
        pytest.param(expression("a", "Lt", "1", "2"), "one integer", id="lt of two"),
    ],
)
def test_malformed_label_selector(bad: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Selector.from_json({"matchExpressions": [bad]})


def test_plain_map_selects_nothing_when_empty() -> None:
    assert Selector.from_labels({}) is NOTHING
    assert Selector.from_labels(None) is NOTHING
    assert Selector.from_labels({"app": "web"}).matches(WEB)


@pytest.mark.parametrize(
    ("text", "matches", "written"),
    [
        pytest.param("", True, "", id="empty"),
        pytest.param("app=web", True, "app=web", id="equals"),
        pytest.param("app==web", True, "app=web", id="double equals"),
        pytest.param("tier!=back, app = web", True, "app=web,tier notin (back)", id="unequal and blanks"),
        pytest.param("app in (web,db)", True, "app in (db,web)", id="in"),
        pytest.param("app notin (web,db)", False, "app notin (db,web)", id="not in"),
        pytest.param("gone!=x", True, "gone notin (x)", id="unequal, absent"),
        pytest.param("app", True, "app", id="exists"),
        pytest.param("!app", False, "!app", id="does not exist"),
        pytest.param("! gone", True, "!gone", id="does not exist with a blank"),
        pytest.param("size>6,size<8", True, "size>6,size<8", id="numbers"),
        pytest.param("app=", False, "app=", id="empty value"),
        pytest.param("a.b/c=d,e in (x),!f", False, "a.b/c=d,e in (x),!f", id="three kinds"),
        pytest.param("in in (in)", False, "in in (in)", id="key named like an operator"),
    ],
)
def test_string_form(text: str, matches: bool, written: str) -> None:
    selector = Selector.parse(text)
    assert selector.matches(WEB) is matches
    assert str(selector) == written
    assert Selector.parse(written) == selector


@pytest.mark.parametrize(
    "text",
    [
        ",",
        "a,,b",
        "a=b,",
        "a in x",
        "a in ()()",
        "a=b=c",
        "=b",
        "a b",
        "a in (x",
        "size>x",
        "é=1",
        "a=é",
        "/a",
        "A/a",
        "-a",
        "a.",
    ],
)
def test_malformed_string_form(text: str) -> None:
    with pytest.raises(ValueError, match=r"selector|one integer"):
        Selector.parse(text)


def test_everything_and_nothing_are_told_apart() -> None:
    assert EVERYTHING.everything
    assert Selector.from_json({}).everything
    assert not NOTHING.everything
    assert not Selector.parse("a").everything


def test_scale_selector_is_ordered_by_key() -> None:
    selector = Selector.from_json(
        {"matchLabels": {"z": "1", "b": "2"}, "matchExpressions": [expression("m", "In", "y", "x")]}
    )
    assert str(selector) == "b=2,m in (x,y),z=1"


@pytest.mark.parametrize(
    ("terms", "matches"),
    [
        pytest.param([], False, id="no terms"),
        pytest.param([{}], False, id="an empty term matches nothing"),
        pytest.param([{}, {"matchExpressions": [expression("app", "Exists")]}], True, id="terms are ored"),
        pytest.param(
            [{"matchExpressions": [expression("app", "Exists"), expression("x", "Exists")]}],
            False,
            id="anded",
        ),
        pytest.param([{"matchExpressions": [expression("size", "Gt", "6")]}], True, id="greater"),
        pytest.param(
            [{"matchExpressions": [expression("size", "Gt", "7")]}], False, id="not greater than itself"
        ),
        pytest.param([{"matchExpressions": [expression("size", "Lt", "8")]}], True, id="less"),
        pytest.param([{"matchExpressions": [expression("app", "Lt", "8")]}], False, id="not a number"),
        pytest.param([{"matchExpressions": [expression("gone", "Lt", "8")]}], False, id="less, absent"),
        pytest.param([{"matchFields": [expression("metadata.name", "In", "n1")]}], True, id="name"),
        pytest.param(
            [{"matchFields": [expression("metadata.name", "NotIn", "n1")]}], False, id="other names"
        ),
        pytest.param(
            [
                {
                    "matchFields": [expression("metadata.name", "In", "n1")],
                    "matchExpressions": [expression("x", "Exists")],
                }
            ],
            False,
            id="name and label",
        ),
    ],
)
def test_node_selector(terms: list[dict[str, Any]], matches: bool) -> None:
    assert NodeSelector.from_json({"nodeSelectorTerms": terms}).matches(WEB, "n1") is matches


def test_numbers_beyond_64_bits_never_match() -> None:
    assert not Requirement.of("size", "Gt", ("1",)).matches({"size": str(2**63)})
    with pytest.raises(ValueError, match="one integer"):
        Requirement.of("size", "Gt", (str(2**64),))
