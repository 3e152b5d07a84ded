"""YAML as kubectl reads it: what scalars mean, what is refused and where, and what is written reads back."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nestling.cli import yaml_reader, yaml_writer
from nestling.cli.documents import MAX_DEPTH
from nestling.cli.yaml_reader import YamlError


def read(text: str) -> Any:
    """The only document of a text."""
    [found] = yaml_reader.documents(text)
    return found.value


# What kubectl 1.37.2 makes of each, as `kubectl label --local -f FILE a=b -o json` shows.
@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("yes", True, id="yes is true"),
        pytest.param("Off", False, id="Off is false"),
        pytest.param("y", True, id="y is true"),
        pytest.param("N", False, id="N is false"),
        pytest.param("~", None, id="tilde is null"),
        pytest.param("Null", None, id="Null is null"),
        pytest.param("0644", 420, id="leading zero is octal"),
        pytest.param("0o644", 420, id="0o is octal"),
        pytest.param("0x1F", 31, id="hexadecimal"),
        pytest.param("0b101", 5, id="binary"),
        pytest.param("0X1f", 31, id="upper-case prefix"),
        pytest.param("-0b11", -3, id="negative binary"),
        pytest.param("1_000", 1000, id="underscores"),
        pytest.param("09", 9, id="a nine is no octal digit"),
        pytest.param("1e3", 1000, id="an exponent needs no point"),
        pytest.param(".5", 0.5, id="leading point"),
        pytest.param("+7", 7, id="plus sign"),
        pytest.param("12:30", "12:30", id="no base sixty"),
        pytest.param("2026-11-23", "2026-11-23", id="a date is text"),
        pytest.param("2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z", id="a time is text"),
        pytest.param("1.2.3", "1.2.3", id="a version is text"),
        pytest.param("100m", "100m", id="a quantity is text"),
        pytest.param("18446744073709551615", 2**64 - 1, id="largest unsigned"),
        pytest.param("18446744073709551616", float(2**64), id="beyond it a float"),
        pytest.param('"yes"', "yes", id="quotes keep text"),
        pytest.param("!!str 12", "12", id="a tag makes text"),
        pytest.param("!!int '12'", 12, id="a tag makes a number"),
        pytest.param("!!float 12", 12, id="an integer will do for a float"),
        pytest.param("!!binary aGVsbG8=", "hello", id="binary is decoded"),
    ],
)
def test_a_scalar_means_what_kubectl_takes_it_for(text: str, value: Any) -> None:
    found = read(f"key: {text}")["key"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}, id="alias"),
        pytest.param(
            "a: &x {b: 1, c: 1}\nd: {<<: *x, c: 2}",
            {"a": {"b": 1, "c": 1}, "d": {"c": 2, "b": 1}},
            id="merge yields to what is written",
        ),
        pytest.param(
            "- &x {a: 1}\n- &y {b: 2}\n- {<<: [*x, *y]}",
            [{"a": 1}, {"b": 2}, {"a": 1, "b": 2}],
            id="merge of several",
        ),
        pytest.param('"<<": 1', {"<<": 1}, id="a quoted merge key is a key"),
        pytest.param("1: a\ntrue: b", {"1": "a", "true": "b"}, id="keys become text"),
        pytest.param("a:\n", {"a": None}, id="nothing is null"),
        pytest.param("[]", [], id="empty list"),
    ],
)
def test_a_document_becomes_json(text: str, value: Any) -> None:
    assert read(text) == value


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 10)
)


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        pytest.param("a: 1\na: 2\n", 2, 1, 'the key "a" is already set', id="duplicate key"),
        pytest.param("a: [1\nb: 2\n", 2, 2, "expected ',' or ']'", id="bracket not closed"),
        pytest.param("a:\n\tb: 1\n", 2, 1, "cannot start any token", id="tab as indent"),
        pytest.param("a: *nowhere\n", 1, 4, "alias", id="alias to nothing"),
        pytest.param("a: &x [*x]\n", 1, 8, "part of", id="alias to itself"),
        pytest.param("a: !!python/object:os.system x\n", 1, 4, "tag", id="foreign tag"),
        pytest.param("a: !mine {b: 1}\n", 1, 4, "the tag !mine is not known", id="own tag on a map"),
        pytest.param("a: !!int x\n", 1, 4, '"x" is not of type int', id="tag that does not fit"),
        pytest.param("a: .nan\n", 1, 4, "not a number that JSON knows", id="not a number"),
        pytest.param("a: -.INF\n", 1, 4, "not a number that JSON knows", id="minus infinity"),
        pytest.param("a: 1e999\n", 1, 4, "too large", id="number too large"),
        pytest.param("? [a]\n: b\n", 1, 3, "cannot be the key", id="list as key"),
        pytest.param("? *x\n: b\n", 1, 3, "alias", id="unknown alias as key"),
        pytest.param("null: a\n", 1, 1, "key of a map is empty", id="null as key"),
        pytest.param("a: {<<: 1}\n", 1, 10, "<< needs a map", id="merge of a number"),
        pytest.param("a: {<<: }\n", 1, 9, "<< needs a map", id="merge of nothing"),
        pytest.param("a: \x01\n", 1, 4, "U+0001|control characters", id="control character"),
        pytest.param("[" * (MAX_DEPTH + 1), 1, MAX_DEPTH + 1, "nested", id="too deep"),
        pytest.param("[" * 1_000_000, 1, MAX_DEPTH + 1, "nested", id="far too deep"),
        pytest.param(BOMB, 6, 25, "aliases repeat more than", id="alias bomb"),
        pytest.param("a: !!binary '@'\n", 1, 4, "base64", id="broken base64"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(YamlError, match=message) as caught:
        read(text)
    assert (caught.value.line, caught.value.column) == (line, column)


def test_documents_know_the_line_they_start_on() -> None:
    text = "# a comment\na: 1\n---\n# another\nb: 2\n---\n---\nc: 3\n...\n"
    assert [(found.value, found.line) for found in yaml_reader.documents(text)] == [
        ({"a": 1}, 2),
        ({"b": 2}, 5),
        (None, 7),
        ({"c": 3}, 8),
    ]


printable = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs",), exclude_characters="\ufeff"), max_size=20
)
tricky = st.sampled_from(
    ["yes", "y", "1e3", "0x1", "0644", "12:30", "null", "~", "", "a\nb", " a", "a \nb", "#", "- a", "=", "<<"]
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | printable
    | tricky,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(printable | tricky, inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_what_is_written_reads_back(value: Any) -> None:
    assert read(yaml_writer.text([{"value": value}])) == {"value": value}


@given(printable | tricky)
def test_written_text_is_text_to_the_library_too(value: str) -> None:
    written = yaml_writer.text([{"value": value}])
    assert yaml.safe_load(written) == {"value": value}


def test_values_that_occur_twice_are_written_twice() -> None:
    shared = {"a": [1, 2]}
    written = yaml_writer.text([{"x": shared, "y": shared}])
    assert "&" not in written
    assert "*" not in written
