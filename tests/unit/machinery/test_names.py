"""Names: the bijection between virtual (namespace, name) and host name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling.api.kinds import NODE, POD
from nestling.machinery.names import SAFE_ALPHABET, Key, host_name, key_of, suffix

LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
NAME = st.lists(LABEL, min_size=1, max_size=3).map(".".join)


@pytest.mark.parametrize(
    ("namespace", "name", "expected"),
    [
        pytest.param("default", "web", "web", id="default namespace is silent"),
        pytest.param("shop", "web", "web.shop", id="other namespaces are a suffix"),
        pytest.param("default", "a.b", "a.b.default", id="dots in default are written out"),
        pytest.param("shop", "a.b", "a.b.shop", id="dots elsewhere"),
        pytest.param("", "node.example.org", "node.example.org", id="no namespace keeps the name"),
    ],
)
def test_host_name_follows_the_rule(namespace: str, name: str, expected: str) -> None:
    assert host_name(namespace, name) == expected


@given(namespace=LABEL, name=NAME)
def test_every_virtual_name_comes_back_from_its_host_name(namespace: str, name: str) -> None:
    assert key_of(POD, "team-a", host_name(namespace, name)) == Key("team-a", namespace, name)


@given(one=st.tuples(LABEL, NAME), other=st.tuples(LABEL, NAME))
def test_two_virtual_names_never_share_a_host_name(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (host_name(*one) == host_name(*other)) == (one == other)


def test_nodes_keep_their_dots() -> None:
    assert key_of(NODE, "team-a", "n1.rack2.example") == Key("team-a", "", "n1.rack2.example")


def test_suffix_depends_on_its_parts_alone() -> None:
    assert suffix("uid", 1) == suffix("uid", 1)
    assert len({suffix("uid", slot) for slot in range(2000)}) == 2000
    assert suffix("ab", "c") != suffix("a", "bc")
    assert set("".join(suffix("uid", slot) for slot in range(50))) <= set(SAFE_ALPHABET)
