"""Values: generated files are current, each value is documented, used and closed to typing errors."""

import re
from pathlib import Path

import orjson
import pytest
import yaml
from rendering import CHART, refusal, rendered

from nestling.api.crd import crds
from nestling.chart import definitions, documents, generate

LEAVES = documents.leaves()


def test_generated_files_are_those_of_the_models() -> None:
    assert generate.drift(generate.ROOT) == []


def test_drift_is_noticed_and_mended(tmp_path: Path) -> None:
    assert generate.main(["--root", str(tmp_path)]) == 0
    assert generate.main(["--root", str(tmp_path), "--check"]) == 0
    stray = tmp_path / generate.CHART / "files" / "parts" / "99.json"
    stray.write_text("{}")
    values = tmp_path / generate.CHART / "values.yaml"
    values.write_text(values.read_text().replace("replicas: 1", "replicas: 2"))
    assert generate.drift(tmp_path) == sorted(
        [f"{generate.CHART}/files/parts/99.json", f"{generate.CHART}/values.yaml"]
    )
    assert generate.main(["--root", str(tmp_path)]) == 0
    assert not stray.exists()


def test_values_yaml_holds_the_defaults_of_the_schema() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for leaf in LEAVES:
        if leaf.optional:
            continue
        found = values
        for step in leaf.path.split("."):
            found = found[step]
        assert found == leaf.default, leaf.path


def test_every_value_has_a_sentence() -> None:
    assert [leaf.path for leaf in LEAVES if not leaf.sentence.endswith(".")] == []


def test_every_value_is_used_by_a_template() -> None:
    text = "\n".join(path.read_text() for path in (CHART / "templates").rglob("*") if path.is_file())
    words = set(re.findall(r"\w+", text))
    unused = [leaf.path for leaf in LEAVES if not set(leaf.path.split(".")[-1:]) <= words]
    assert unused == []


def test_every_value_of_a_template_exists() -> None:
    text = "\n".join(path.read_text() for path in (CHART / "templates").rglob("*") if path.is_file())
    known = {leaf.path for leaf in LEAVES}
    groups = {path.rpartition(".")[0] for path in known}
    groups |= {group.rpartition(".")[0] for group in groups}
    used = set(re.findall(r"\.Values\.([A-Za-z.]+)", text)) | set(re.findall(r"\$values\.([A-Za-z.]+)", text))
    assert sorted(path for path in used if path not in known | groups) == []


def test_schema_is_closed_wherever_it_names_its_fields() -> None:
    schema = orjson.loads((CHART / "values.schema.json").read_bytes())
    models = {"Values": schema, **schema["$defs"]}
    is_open = [name for name, model in models.items() if model.get("additionalProperties") is not False]
    assert is_open == ["Shared"]  # a parent chart may share what it likes


@pytest.mark.parametrize(
    ("values", "words"),
    [
        pytest.param({"replica": 2}, "'replica' not allowed", id="at the top"),
        pytest.param({"image": {"tags": "1"}}, "'tags' not allowed", id="in a group"),
        pytest.param({"metrics": {"podMonitor": {"enable": True}}}, "'enable' not allowed", id="two deep"),
        pytest.param({"kubelet": {"shard": 2}}, "'shard' not allowed", id="in a component"),
    ],
)
def test_a_typing_error_is_refused(values: dict[str, object], words: str) -> None:
    assert words in refusal(values)


def test_kinds_are_the_same_after_folding() -> None:
    folded = definitions.folded(crds())
    assert definitions.unfolded(folded) == {plural: crd["spec"] for plural, crd in crds().items()}
    assert sum(map(len, folded.values())) < 600_000


def test_a_part_that_occurs_once_stays_where_it_is() -> None:
    part = {f"field-{index}": {"type": "string"} for index in range(200)}
    other = {**part, "more": {"type": "string"}}
    folded = definitions.folded({"one": {"spec": {"a": part, "b": other}}, "two": {"spec": {"a": part}}})
    assert sorted(folded) == ["kinds/one.json", "kinds/two.json", "parts/00.json"]
    assert orjson.loads(folded["kinds/two.json"]) == {"a": "@00@"}
    assert orjson.loads(folded["parts/00.json"]) == part


@pytest.mark.parametrize("keep", [True, False])
def test_chart_installs_the_kinds_as_they_are(keep: bool) -> None:
    made = rendered({"crds": {"keep": keep}}).all("CustomResourceDefinition")
    assert {one["metadata"]["name"]: one["spec"] for one in made} == {
        crd["metadata"]["name"]: crd["spec"] for crd in crds().values()
    }
    policies = {one["metadata"].get("annotations", {}).get("helm.sh/resource-policy") for one in made}
    assert policies == {"keep" if keep else None}


def test_kinds_can_be_left_out() -> None:
    assert rendered({"crds": {"enabled": False}}).all("CustomResourceDefinition") == []
