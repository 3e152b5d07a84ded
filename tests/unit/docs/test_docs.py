"""The docs tell the truth: generated pages match the code, links lead somewhere, gaps are named."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest
import yaml

from nestling.api.crd import crds
from nestling.api.kinds import BY_PLURAL, VIRTUAL_KINDS

ROOT: Final = Path(__file__).parents[3]
DOCS: Final = ROOT / "docs"
# What decides or acts on fields; the schemas and the embedded API server only carry them.
LOOPS: Final = ("scheduler", "controllers", "kubelet", "network", "machinery", "monitoring")
# Parsed in `api`, for all who select.
PARSED_ELSEWHERE: Final = re.compile(r"\.(matchExpressions|matchFields)$")
LINK: Final = re.compile(r"\]\((?!https?://)([^)#]+)(?:#[^)]*)?\)")


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


generate = _generator()


def test_generated_pages_are_up_to_date() -> None:
    assert generate.drift() == [], "run make generate"


@pytest.mark.parametrize(
    "page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.relative_to(DOCS).as_posix()
)
def test_links_lead_somewhere(page: Path) -> None:
    targets = LINK.findall(page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_page_can_be_found_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    kinds = {page for page in pages if page.startswith("reference/kinds/")}
    assert "reference/kinds/" in navigation
    assert {page for page in pages - kinds if page not in navigation} == set()
    assert len(kinds) == len(VIRTUAL_KINDS)


def test_gaps_name_fields_that_exist() -> None:
    paths = {
        BY_PLURAL[plural].name: {path for path, _ in generate.fields_of(crd)}
        for plural, crd in crds().items()
    }
    missing = [
        f"{kind}: {field}"
        for kind, found in generate.gaps().items()
        for gap in found
        for field in gap.fields
        if field not in paths[kind]
    ]
    assert missing == []


def _named_in_loops() -> set[str]:
    source = "".join(
        path.read_text(encoding="utf-8")
        for package in LOOPS
        for path in (ROOT / "operator" / "nestling" / package).rglob("*.py")
    )
    return set(re.findall(r"[\"']([A-Za-z]+)[\"']", source))


def test_a_field_that_no_loop_names_is_told_to_be_without_effect() -> None:
    named = _named_in_loops()
    untold: list[str] = []
    for plural, crd in crds().items():
        kind = BY_PLURAL[plural]
        found = generate.gaps().get(kind.name, ())
        for path, _ in generate.fields_of(crd):
            of_a_template = ".metadata." in path or ("emplate" in path and kind.name != "VirtualNodePool")
            if path.startswith("status") or of_a_template or PARSED_ELSEWHERE.search(path):
                continue
            if path.rpartition(".")[2] not in named and not any(gap.covers(path) for gap in found):
                untold.append(f"{kind.name}: {path}")
    assert untold == []


def test_compatibility_names_known_kinds_once() -> None:
    table = yaml.safe_load((DOCS / "compatibility.yaml").read_text(encoding="utf-8"))
    assert table.keys() <= {kind.name for kind in VIRTUAL_KINDS}
    for kind, rows in table.items():
        fields = [field for row in rows for field in row["fields"]]
        assert len(fields) == len(set(fields)), kind
