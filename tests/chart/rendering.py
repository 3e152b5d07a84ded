"""Render the chart with the real helm, once per set of arguments, and find objects in what comes out."""

import functools
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
import yaml

from nestling.host import binaries

CHART: Final = Path(__file__).parents[2] / "helm" / "nestling"
REQUIRE: Final = "NESTLING_REQUIRE_LOCAL"
RELEASE: Final = "nestling"
NAMESPACE: Final = "team-a"
MONITORING: Final = tuple(
    f"monitoring.coreos.com/v1/{kind}" for kind in ("ServiceMonitor", "PodMonitor", "PrometheusRule")
)
Object = dict[str, Any]


@functools.cache
def program(name: str) -> Path:
    """A command; skips the test without it, or fails it where it is obligatory."""
    found, _ = binaries.find([name])
    if name not in found:
        reason = f"no {name}: {binaries.missing_sentence([name], found)}"
        if os.environ.get(REQUIRE):
            pytest.fail(f"{REQUIRE} is set, but {reason}", pytrace=False)
        pytest.skip(reason)
    return found[name].path


def run_helm(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run helm; the caller looks at the exit code."""
    return subprocess.run(
        [program("helm"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(env or {})},
    )


@dataclass(frozen=True)
class Rendered:
    """What came out: objects in order, kinds of ours with their spec parsed."""

    objects: tuple[Object, ...]

    def all(self, kind: str) -> list[Object]:
        """Every object of a kind."""
        return [one for one in self.objects if one["kind"] == kind]

    def one(self, kind: str, name: str = "") -> Object:
        """The only object of a kind, or the one of that name."""
        found = [one for one in self.all(kind) if not name or one["metadata"]["name"] == name]
        assert len(found) == 1, f"{kind} {name}: {names(self.all(kind))}"
        return found[0]

    def names(self, kind: str) -> list[str]:
        """Names of the objects of a kind."""
        return names(self.all(kind))


def names(objects: Iterable[Object]) -> list[str]:
    """Names of objects."""
    return [one["metadata"]["name"] for one in objects]


def rendered(
    values: Object | None = None,
    *,
    files: Sequence[Path] = (),
    apis: Sequence[str] = (),
    chart: Path = CHART,
    namespace: str = NAMESPACE,
) -> Rendered:
    """The chart with these values, on a host that serves `apis` besides Kubernetes' own."""
    done = template(values, files=files, apis=apis, chart=chart, namespace=namespace)
    assert done.returncode == 0, done.stderr
    return _parsed(done.stdout)


def refusal(values: Object | None = None, *, apis: Sequence[str] = ()) -> str:
    """The sentence with which helm refuses these values."""
    done = template(values, apis=apis)
    assert done.returncode != 0, "helm took it"
    return done.stderr


def template(
    values: Object | None = None,
    *,
    files: Sequence[Path] = (),
    apis: Sequence[str] = (),
    chart: Path = CHART,
    namespace: str = NAMESPACE,
) -> subprocess.CompletedProcess[str]:
    """`helm template`."""
    return _template(orjson.dumps(values or {}).decode(), tuple(files), tuple(apis), chart, namespace)


@functools.cache
def _template(
    values: str, files: tuple[Path, ...], apis: tuple[str, ...], chart: Path, namespace: str
) -> subprocess.CompletedProcess[str]:
    arguments = ["template", RELEASE, str(chart), "--namespace", namespace, "--kube-version", "v1.37.2"]
    for api in apis:
        arguments += ["--api-versions", api]
    for file in files:
        arguments += ["--values", str(file)]
    arguments += ["--values", "-"]
    return subprocess.run(
        [program("helm"), *arguments],
        input=values,
        capture_output=True,
        text=True,
        check=False,
    )


@functools.cache
def _parsed(text: str) -> Rendered:
    documents = [document for document in text.split("\n---\n") if document.strip()]
    return Rendered(tuple(one for one in map(_document, documents) if one))


def _document(text: str) -> Object | None:
    """One document. The specs of our kinds are lines of JSON: parsing them as YAML would take seconds."""
    head, mark, spec = text.partition("\nspec: {")
    found = yaml.load(head if mark else text, Loader=yaml.CSafeLoader)
    if mark:
        found["spec"] = orjson.loads("{" + spec)
    return found


def values_files() -> list[Path]:
    """One file per way in which the chart is installed."""
    return sorted((CHART / "ci").glob("*-values.yaml"))


def pod_of(deployment: Object) -> Object:
    """The pod spec of a Deployment or Job."""
    return deployment["spec"]["template"]["spec"]


def container_of(deployment: Object) -> Object:
    """The only container of a Deployment's or Job's pods."""
    (container,) = pod_of(deployment)["containers"]
    return container
