"""Tables for the small pieces: paths, ages, names, patches, tokens of a path."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling.apiserver import metadata, ownership, patch
from nestling.apiserver.jsonpath import JsonPath
from nestling.apiserver.resource import priority
from nestling.apiserver.route import Route, route
from nestling.apiserver.table import age_text

DOCUMENT: dict[str, Any] = {
    "a": {"b": [1, 2, 3], "c.d": "dotted"},
    "list": [{"type": "Ready", "status": "True", "n": 1}, {"type": "Other", "status": "False", "n": 5}],
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".a.b", [[1, 2, 3]]),
        ("$.a.b[0]", [1]),
        ("{.a.b[-1]}", [3]),
        (".a.b[*]", [1, 2, 3]),
        (".a.b[0:2]", [1, 2]),
        (".a.b[9]", []),
        (".a['c.d']", ["dotted"]),
        (".a.c\\.d", ["dotted"]),
        ('.list[?(@.type=="Ready")].status', ["True"]),
        (".list[?(@.type=='Ready')].status", ["True"]),
        (".list[?(@.n>2)].type", ["Other"]),
        (".list[?(@.missing)].type", []),
        (".list[*].type", ["Ready", "Other"]),
        ("..status", ["True", "False"]),
        (".missing.deep", []),
        (".a.b.c", []),
    ],
)
def test_json_path(path: str, found: list[Any]) -> None:
    assert JsonPath(path).find(DOCUMENT) == found


@pytest.mark.parametrize("path", [".a[", ".a[?(", ".[x]"])
def test_json_path_that_cannot_be_read(path: str) -> None:
    with pytest.raises(ValueError, match="cannot read"):
        JsonPath(path)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (599, "9m59s"),
        (600, "10m"),
        (3600, "60m"),
        (10799, "179m"),
        (10800, "3h"),
        (11100, "3h5m"),
        (28799, "7h59m"),
        (28800, "8h"),
        (172799, "47h"),
        (172800, "2d"),
        (176400, "2d1h"),
        (691200, "8d"),
        (63071999, "729d"),
        (63072000, "2y"),
        (63158400, "2y1d"),
        (252288000, "8y"),
    ],
)
def test_ages(seconds: float, text: str) -> None:
    assert age_text(seconds) == text


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/api/v1/namespaces", Route("", "v1", "namespaces")),
        ("/api/v1/namespaces/x", Route("", "v1", "namespaces", None, "x")),
        ("/api/v1/namespaces/x/status", Route("", "v1", "namespaces", None, "x", "status")),
        ("/api/v1/namespaces/x/pods", Route("", "v1", "pods", "x")),
        ("/api/v1/namespaces/x/pods/p/log", Route("", "v1", "pods", "x", "p", "log")),
        ("/apis/g.io/v1/things", Route("g.io", "v1", "things")),
        ("/apis/g.io/v1/namespaces/x/status/p", Route("g.io", "v1", "status", "x", "p")),
        ("/apis/g.io/v1", None),
        ("/version", None),
        ("/api/v1/namespaces//pods", None),
        ("/apis/g.io/v1/namespaces/x/a/b/c/d", None),
    ],
)
def test_routes(path: str, wanted: Route | None) -> None:
    assert route(path) == wanted


@pytest.mark.parametrize(
    ("check", "name", "good"),
    [
        (metadata.subdomain, "a.b-c.d", True),
        (metadata.subdomain, "a" * 254, False),
        (metadata.subdomain, "-a", False),
        (metadata.subdomain, "", False),
        (metadata.label, "a-b", True),
        (metadata.label, "a.b", False),
        (metadata.label, "a" * 64, False),
        (metadata.qualified_name, "example.com/Name_1.x", True),
        (metadata.qualified_name, "/x", False),
        (metadata.qualified_name, "a/b/c", False),
        (metadata.qualified_name, "x" * 64, False),
        (metadata.label_value, "", True),
        (metadata.label_value, "a b", False),
        (metadata.path_segment, "A_b", True),
        (metadata.path_segment, "a/b", False),
    ],
)
def test_names(check: metadata.NameCheck, name: str, good: bool) -> None:
    assert (check(name) == []) is good


def test_versions_are_in_order_of_preference() -> None:
    versions = ["v1alpha1", "foo1", "v2beta1", "v1", "v10", "v2", "v1beta2", "v1beta1", "v11alpha2"]
    assert sorted(versions, key=priority) == [
        "v10",
        "v2",
        "v1",
        "v2beta1",
        "v1beta2",
        "v1beta1",
        "v11alpha2",
        "v1alpha1",
        "foo1",
    ]


@pytest.mark.parametrize(
    ("old", "change", "new"),
    [
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
        ({"a": [1]}, {"a": [2]}, {"a": [2]}),
        ({"a": "x"}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": {"b": 1}}, {"a": "x"}, {"a": "x"}),
        ({}, {"a": {"b": {"c": None}}}, {"a": {"b": {}}}),
        ({"a": 1}, {"b": None}, {"a": 1}),
    ],
)
def test_merge_patch_of_the_rfc(old: Any, change: Any, new: Any) -> None:
    assert patch.merge(old, change) == new


KEYS = {"list": "name", "set": ""}


@pytest.mark.parametrize(
    ("old", "change", "new"),
    [
        pytest.param(
            {"list": [{"name": "a", "v": 1}]},
            {"list": [{"name": "a", "w": 2}]},
            {"list": [{"name": "a", "v": 1, "w": 2}]},
            id="merge",
        ),
        pytest.param(
            {"list": [{"name": "a"}]},
            {"list": [{"name": "b"}]},
            {"list": [{"name": "a"}, {"name": "b"}]},
            id="add",
        ),
        pytest.param(
            {"list": [{"name": "a"}]},
            {"list": [{"name": "a", "$patch": "delete"}]},
            {"list": []},
            id="delete",
        ),
        pytest.param(
            {"list": [{"name": "a"}]},
            {"list": [{"$patch": "replace"}, {"name": "b"}]},
            {"list": [{"name": "b"}]},
            id="replace",
        ),
        pytest.param({"set": ["a"]}, {"set": ["b", "a"]}, {"set": ["a", "b"]}, id="set"),
        pytest.param(
            {"set": ["a", "b"]}, {"$deleteFromPrimitiveList/set": ["a"]}, {"set": ["b"]}, id="delete from set"
        ),
        pytest.param({"plain": [1]}, {"plain": [2]}, {"plain": [2]}, id="plain list"),
        pytest.param(
            {"m": {"a": 1, "b": 2}}, {"m": {"$retainKeys": ["a"], "a": 3}}, {"m": {"a": 3}}, id="retain"
        ),
        pytest.param({"m": {"a": 1}}, {"m": {"$patch": "delete"}}, {}, id="delete map"),
        pytest.param(
            {"m": {"a": 1}}, {"m": {"$patch": "replace", "b": 1}}, {"m": {"b": 1}}, id="replace map"
        ),
        pytest.param({"a": 1}, {"$setElementOrder/list": ["x"], "a": None}, {}, id="order is ignored"),
    ],
)
def test_strategic_merge_patch(old: Any, change: Any, new: Any) -> None:
    assert patch.strategic(old, change, KEYS) == new


STEPS = st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', 'v:"y"', "f:."])


@given(
    st.frozensets(
        st.lists(STEPS.filter(lambda step: step != "f:."), min_size=1, max_size=4).map(tuple), max_size=12
    )
)
def test_fields_are_written_and_read_alike(fields: frozenset[tuple[str, ...]]) -> None:
    assert ownership.decode(ownership.encode(fields)) == fields
