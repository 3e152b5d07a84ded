"""What the field's own linters say: kubeconform of every field, kube-score of how pods are kept.

kubeconform gets its schemas from an API server: a real one for the chart and native examples, and both a real
and the embedded one, for what `nestling convert` makes of the examples.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from rendering import MONITORING, NAMESPACE, program, template, values_files

from crd_install import CRDS
from embedded_server import EmbeddedServer, embedded_server
from nestling.api.crds import load_crds
from realhost import RealHost

ROOT: Final = Path(__file__).parents[2]
NATIVE: Final = ROOT / "examples" / "native"
OURS: Final = "apis/nestling.dev/v1alpha1"
DOCUMENTS: Final = (
    "api/v1",
    "apis/apiextensions.k8s.io/v1",
    "apis/apps/v1",
    "apis/autoscaling/v2",
    "apis/batch/v1",
    "apis/networking.k8s.io/v1",
    "apis/policy/v1",
    "apis/rbac.authorization.k8s.io/v1",
    "apis/scheduling.k8s.io/v1",
)
_SCHEMAS: Final = "{{.ResourceKind}}_{{.ResourceAPIVersion}}.json"

ACCEPTED: Final = {
    "container-image-pull-policy": "a version is pulled once: tags of releases do not move, and images that "
    "were loaded into kind cannot be pulled",
    "pod-networkpolicy": "off by default: without knowing who scrapes it would cut metrics off; "
    "networkPolicy.enabled=true makes it",
}
"""Critical findings that are meant to be, each with its reason; with `locked` values the last one is gone."""


def schemas(folder: Path, server: RealHost | EmbeddedServer, documents: tuple[str, ...]) -> Path:
    """Write a schema per kind from the server's OpenAPI documents, closed so that a typo is found."""
    for name in documents:
        status, answer = server.request("GET", f"/openapi/v3/{name}")
        assert status == 200, answer
        definitions = answer["components"]["schemas"]
        for schema in definitions.values():
            _close(schema)
        for title, schema in definitions.items():
            for gvk in schema.get("x-kubernetes-group-version-kind") or ():
                root = {
                    "allOf": [{"$ref": f"#/components/schemas/{title}"}],
                    "components": {"schemas": definitions},
                }
                file = folder / f"{gvk['kind'].lower()}_{gvk['version']}.json"
                if name.endswith(f"{gvk['group'] or 'api'}/{gvk['version']}"):  # and not another group's copy
                    file.write_text(json.dumps(root))
    return folder


def _close(schema: Any) -> None:
    if isinstance(schema, list):
        for one in schema:
            _close(one)
        return
    if not isinstance(schema, dict):
        return
    if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema.setdefault("additionalProperties", False)
    for below in schema.values():
        _close(below)


def conform(folder: Path, text: str) -> dict[str, Any]:
    """What kubeconform says of these documents."""
    done = subprocess.run(
        [
            program("kubeconform"), "-strict", "-summary", "-output=json",
            "-skip=ServiceMonitor,PodMonitor,PrometheusRule",
            f"-schema-location={folder}/{_SCHEMAS}", "-",
        ],
        input=text, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def assert_conforms(folder: Path, text: str, *, least: int) -> None:
    """Every document is valid, and there are so many of them."""
    found = conform(folder, text)
    assert found.get("resources", []) == []
    summary = found["summary"]
    assert summary["valid"] >= least
    assert summary["invalid"] == summary["errors"] == 0


@pytest.fixture(scope="session")
def known(judge: RealHost, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The schemas of the real API server."""
    return schemas(tmp_path_factory.mktemp("schemas"), judge, DOCUMENTS)


@pytest.mark.integration
@pytest.mark.parametrize("file", values_files(), ids=lambda file: file.name.removesuffix("-values.yaml"))
def test_every_field_of_the_chart_is_known(known: Path, file: Path) -> None:
    done = template(files=(file,), apis=MONITORING)
    assert_conforms(known, done.stdout, least=8)


@pytest.mark.integration
def test_a_typo_is_found(known: Path) -> None:
    done = template()
    found = conform(known, done.stdout.replace("serviceAccountName:", "serviceAccountname:"))
    assert "additional properties 'serviceAccountname' not allowed" in str(found["resources"])


@pytest.mark.integration
def test_every_field_of_the_native_examples_is_known(known: Path) -> None:
    texts = [file.read_text() for file in sorted(NATIVE.rglob("*.yaml"))]
    assert_conforms(known, "\n---\n".join(texts), least=20)


@pytest.fixture(scope="session")
def converted() -> str:
    """What `nestling convert` makes of the examples."""
    command = [sys.executable, "-m", "nestling", "convert", "-R", "-f", str(NATIVE)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return "\n---\n".join((done.stdout, (ROOT / "examples/cluster.yaml").read_text()))


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The schemas of our own API server."""
    with embedded_server(tmp_path_factory.mktemp("embedded")) as server:
        for crd in load_crds():
            status, answer = server.request("POST", CRDS, crd)
            assert status == 201, answer
        yield schemas(tmp_path_factory.mktemp("schemas"), server, ("api/v1", OURS))


def test_every_field_of_the_converted_examples_is_known(embedded: Path, converted: str) -> None:
    assert_conforms(embedded, converted, least=20)


@pytest.mark.parametrize("file", values_files(), ids=lambda file: file.name.removesuffix("-values.yaml"))
def test_kube_score_finds_nothing_critical_but_what_is_meant(file: Path) -> None:
    # No CPU limit: a throttled scheduler is slow when it matters. Memory and ephemeral storage have one.
    done = template({"crds": {"enabled": False}}, files=(file,), apis=MONITORING)
    told = subprocess.run(
        [program("kube-score"), "score", "-", "--output-format=json", "--ignore-container-cpu-limit"],
        input=done.stdout, capture_output=True, text=True, check=False,
    )  # fmt: skip
    critical = {
        check["check"]["id"]
        for scored in json.loads(told.stdout)
        for check in scored["checks"]
        if not check["skipped"] and check["grade"] == 1
    }
    assert NAMESPACE in told.stdout
    strict = yaml.safe_load(file.read_text() or "{}") or {}
    allowed = set(ACCEPTED)
    if (strict.get("networkPolicy") or {}).get("enabled"):
        allowed.discard("pod-networkpolicy")
    assert critical <= allowed
