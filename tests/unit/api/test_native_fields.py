"""Every native field exists in our schemas, by the checked-in summary of the real API server's own."""

import json

import pytest

from native_schema import SUMMARY_FILE, Types, definition, differences
from nestling.api.crd import object_schema
from nestling.api.kinds import VIRTUAL_KINDS, Kind
from nestling.api.objects import MODELS

TYPES: Types = json.loads(SUMMARY_FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "kind", [kind for kind in VIRTUAL_KINDS if kind.native], ids=lambda kind: kind.native
)
def test_every_native_field_exists_with_the_same_type(kind: Kind) -> None:
    assert list(differences(object_schema(MODELS[kind]), definition(kind), TYPES)) == []


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        pytest.param({}, [".a: missing"], id="field is missing"),
        pytest.param({"a": {"type": "string"}}, [".a: a list there, string here"], id="no list"),
        pytest.param(
            {"a": {"type": "array", "items": {"type": "integer"}}},
            [".a[]: string there, integer here"],
            id="list of something else",
        ),
        pytest.param({"a": {"type": "array", "items": {"type": "string"}}}, [], id="same"),
    ],
)
def test_comparison_finds_what_is_wrong(schema: dict[str, object], problem: list[str]) -> None:
    assert list(differences({"properties": schema}, "T", {"T": {"a": "[string]"}})) == problem
