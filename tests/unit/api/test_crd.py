"""Models become structural schemas, and the checked-in CRDs are what the models say."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from annotated_types import MaxLen

from nestling.api.columns import COLUMNS
from nestling.api.crd import crds, object_schema
from nestling.api.crds import load_crds
from nestling.api.generate import ROOT, drift, files, main
from nestling.api.kinds import VIRTUAL_KINDS
from nestling.api.objects import MODELS
from nestling.api.schema import (
    Amount,
    Arbitrary,
    Atomic,
    ByName,
    Count,
    IntOrPercent,
    ListType,
    NullableTime,
    Rule,
    Schema,
    Text,
    Time,
    json_name,
)


class Part(Schema):
    """A part."""

    validations = (Rule("self.name != ''", "name: must not be empty", ".name"),)

    name: Text
    """Name of the part."""
    size: Count = 3
    """Size of the part."""


class Whole(Schema):
    """A whole."""

    amounts: dict[str, Amount] | None = None
    """Amounts by name."""
    anything: Arbitrary = None
    """Whatever is given."""
    born: Time | None = None
    """When it was made."""
    host_ips: Annotated[Atomic[Text], MaxLen(2)] | None = None
    """Addresses."""
    kind_of: Literal["One"] = "One"
    """The one kind there is."""
    main: Part = Part(name="main")
    """The main part."""
    maybe: NullableTime | None = None
    """A time or null."""
    pairs: Annotated[list[Part], ListType("map", "name", "size")] | None = None
    """Parts by two keys."""
    parts: ByName[Part] | None = None
    """Parts by name."""
    share: IntOrPercent | None = None
    """Number or percentage."""
    special: Annotated[Part, Rule("self.size > 3", "special.size: must be more than 3")] | None = None
    """A special part."""


PROPERTIES = object_schema(Whole)["properties"]
PART = {
    "properties": {
        "name": {"description": "Name of the part.", "maxLength": 4096, "type": "string"},
        "size": {
            "default": 3,
            "description": "Size of the part.",
            "format": "int32",
            "maximum": 2147483647,
            "minimum": 0,
            "type": "integer",
        },
    },
    "required": ["name"],
    "type": "object",
}
PART_RULE = {"fieldPath": ".name", "message": "name: must not be empty", "rule": "self.name != ''"}


@pytest.mark.parametrize(
    ("field", "schema"),
    [
        pytest.param(
            "born",
            {"description": "When it was made.", "format": "date-time", "type": "string"},
            id="an optional field is neither null nor required",
        ),
        pytest.param(
            "maybe",
            {"description": "A time or null.", "format": "date-time", "nullable": True, "type": "string"},
            id="null only where it is wanted",
        ),
        pytest.param(
            "hostIPs",
            {
                "description": "Addresses.",
                "items": {"maxLength": 4096, "type": "string"},
                "maxItems": 2,
                "type": "array",
                "x-kubernetes-list-type": "atomic",
            },
            id="a nearer bound wins",
        ),
        pytest.param(
            "kindOf",
            {"default": "One", "description": "The one kind there is.", "enum": ["One"], "type": "string"},
            id="a single choice is an enum",
        ),
        pytest.param(
            "main",
            {
                **PART,
                "default": {"name": "main", "size": 3},
                "description": "The main part.",
                "x-kubernetes-validations": [PART_RULE],
            },
            id="a model is inlined, with the field's description and default",
        ),
        pytest.param(
            "special",
            {
                **PART,
                "description": "A special part.",
                "x-kubernetes-validations": [
                    PART_RULE,
                    {"message": "special.size: must be more than 3", "rule": "self.size > 3"},
                ],
            },
            id="rules of field and model both hold",
        ),
        pytest.param(
            "parts",
            {
                "description": "Parts by name.",
                "items": {**PART, "description": "A part.", "x-kubernetes-validations": [PART_RULE]},
                "maxItems": 1024,
                "type": "array",
                "x-kubernetes-list-map-keys": ["name"],
                "x-kubernetes-list-type": "map",
            },
            id="list map",
        ),
        pytest.param(
            "share",
            {
                "anyOf": [{"type": "integer"}, {"type": "string"}],
                "description": "Number or percentage.",
                "maxLength": 11,
                "minimum": 0,
                "pattern": "^[0-9]+%$",
                "x-kubernetes-int-or-string": True,
            },
            id="int or string",
        ),
        pytest.param(
            "anything",
            {
                "description": "Whatever is given.",
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": True,
            },
            id="arbitrary",
        ),
    ],
)
def test_field_becomes_structural(field: str, schema: dict[str, Any]) -> None:
    assert PROPERTIES[field] == schema


def test_two_map_keys_and_maps_of_amounts() -> None:
    assert PROPERTIES["pairs"]["x-kubernetes-list-map-keys"] == ["name", "size"]
    assert PROPERTIES["amounts"]["additionalProperties"]["x-kubernetes-int-or-string"] is True


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("name", "name"),
        ("pod_ip", "podIP"),
        ("pod_cidrs", "podCIDRs"),
        ("set_hostname_as_fqdn", "setHostnameAsFQDN"),
        ("api_version", "apiVersion"),
        ("target_wwns", "targetWWNs"),
        ("host_ipc", "hostIPC"),
        ("se_linux_options", "seLinuxOptions"),
    ],
)
def test_json_names_are_those_of_kubernetes(field: str, name: str) -> None:
    assert json_name(field) == name


def nodes(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property below, with its path; items and map values under their parent's."""
    for name, below in schema.get("properties", {}).items():
        yield f"{path}.{name}", below
        yield from nodes(below, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from nodes(schema[key], f"{path}[]")


ALL_NODES = [
    (path, node)
    for plural, crd in crds().items()
    for path, node in nodes(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], plural)
]


def test_every_field_has_a_sentence_of_one_line() -> None:
    bad = [
        path
        for path, node in ALL_NODES
        if path.partition(".")[2] != "metadata"
        and not (
            (text := node.get("description", "")).endswith(".") and text[0].isupper() and "\n" not in text
        )
    ]
    assert len(ALL_NODES) > 10_000
    assert bad == []


def test_every_list_is_bounded_and_says_how_it_merges() -> None:
    bad = [
        path
        for path, node in ALL_NODES
        if node.get("type") == "array" and not {"maxItems", "x-kubernetes-list-type"} <= node.keys()
    ]
    assert bad == []


def test_keys_of_list_maps_are_required_or_have_a_default() -> None:
    bad = [
        (path, key)
        for path, node in ALL_NODES
        for key in node.get("x-kubernetes-list-map-keys", ())
        if key not in node["items"].get("required", ()) and "default" not in node["items"]["properties"][key]
    ]
    assert bad == []


def test_statuses_carry_no_rules() -> None:
    assert [
        path for path, node in ALL_NODES if ".status" in path and "x-kubernetes-validations" in node
    ] == []


def test_rules_say_which_field_is_meant() -> None:
    roots = [crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] for crd in crds().values()]
    rules = [
        rule
        for node in (*roots, *(node for _, node in ALL_NODES))
        for rule in node.get("x-kubernetes-validations", ())
    ]
    assert len(rules) > 300
    silent = [
        rule["message"]
        for root in roots
        for rule in root.get("x-kubernetes-validations", ())
        if "fieldPath" not in rule and not rule["message"].startswith("metadata.name: ")
    ]
    assert silent == []  # a rule further down is placed by its path


def test_every_kind_has_a_model_and_columns() -> None:
    assert list(MODELS) == list(VIRTUAL_KINDS)
    assert set(COLUMNS) == set(VIRTUAL_KINDS)


@pytest.mark.parametrize("kind", VIRTUAL_KINDS, ids=lambda kind: kind.name)
def test_crd_names_its_kind(kind: Any) -> None:
    crd = crds()[kind.plural]
    names = crd["spec"]["names"]
    version = crd["spec"]["versions"][0]
    assert crd["metadata"]["name"] == f"{kind.plural}.{kind.group}"
    assert (names["kind"], names["plural"], names["shortNames"]) == (
        kind.name,
        kind.plural,
        list(kind.short_names),
    )
    assert names["categories"] == ["nestling"]
    assert ("scale" in version.get("subresources", {})) is kind.scale
    columns = [column["name"] for column in version["additionalPrinterColumns"]]
    assert "Age" in columns


def test_pods_can_be_selected_by_node_and_phase() -> None:
    version = crds()["virtualpods"]["spec"]["versions"][0]
    assert version["selectableFields"] == [{"jsonPath": ".spec.nodeName"}, {"jsonPath": ".status.phase"}]


def test_crds_are_what_the_models_say() -> None:
    assert drift(ROOT) == [], "run make generate"


def test_programs_read_what_people_read() -> None:
    people = [
        yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
        for path in sorted((ROOT / "crds").glob("*.yaml"), key=lambda path: path.stem)
    ]
    assert load_crds() == people
    assert len(people) == len(VIRTUAL_KINDS)


def test_generator_writes_drops_and_checks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = tmp_path / "crds/old.yaml"
    old.parent.mkdir()
    old.write_text("old")
    assert main(["crds", "--check", "--root", str(tmp_path)]) == 1
    assert "crds/old.yaml differs" in capsys.readouterr().err
    assert old.exists()
    assert main(["crds", "--root", str(tmp_path)]) == 0
    assert not old.exists()
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")} == files().keys()
    assert main(["crds", "--check", "--root", str(tmp_path)]) == 0
