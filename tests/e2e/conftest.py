"""A kind cluster for the end-to-end tests, made with pytest-kind's options, and our image in it.

Skips with the reason where Docker, kind, kubectl or helm are missing; fails instead when NESTLING_REQUIRE_E2E
is set. `--kind-bin`, `--kind-kubectl-bin` and `--kind-image` name programs and node image; without them the
programs are looked for in PATH, and NESTLING_KIND_IMAGE names the image.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from bench import AUDIT_LOG, AUDIT_POLICY, IMAGE, KIND_CONFIG, ROOT, Bench, missing, run
from pytest_kind import KindCluster

from nestling.host import binaries

REQUIRE = "NESTLING_REQUIRE_E2E"


def _without(reason: str) -> NoReturn:
    if os.environ.get(REQUIRE):
        pytest.fail(f"{REQUIRE} is set, but {reason}", pytrace=False)
    pytest.skip(f"no end-to-end test: {reason}")


def _program(option: str | None, name: str) -> Path:
    found = option or shutil.which(name)
    if found is None:
        _without(f"{name} is neither named nor in PATH")
    return Path(found).absolute()


@pytest.fixture(scope="session")
def kind_cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KindCluster]:
    """pytest-kind's cluster, with an API server that writes an audit log."""
    reason = missing()
    if reason:
        _without(reason)
    option = request.config.getoption
    kind = _program(option("kind_bin"), "kind")
    kubectl = _program(option("kind_kubectl_bin"), "kubectl")
    folder = tmp_path_factory.mktemp("kind")
    policy = folder / "policy.yaml"
    policy.write_text(AUDIT_POLICY)
    config = folder / "kind.yaml"
    config.write_text(KIND_CONFIG.format(policy=policy, log=AUDIT_LOG))
    given = option("kubeconfig")
    cluster = KindCluster(
        str(option("cluster_name")),
        Path(given) if given else folder / "kubeconfig",
        image=option("kind_image") or os.environ.get("NESTLING_KIND_IMAGE") or None,
        kind_path=kind,
        kubectl_path=kubectl,
    )
    try:
        cluster.create(config)
        env = {"KUBECONFIG": str(cluster.kubeconfig_path)}
        run([kubectl, "wait", "--for=condition=Ready", "node", "--all", "--timeout=180s"], env=env)
        yield cluster
    finally:
        if not option("keep_cluster"):
            cluster.delete()


@pytest.fixture(scope="session")
def image(kind_cluster: KindCluster) -> str:
    """The image of this checkout, built and loaded into the cluster."""
    base = os.environ.get("NESTLING_BASE_IMAGE", "python:3.12-slim")
    run(["docker", "build", "-q", "-t", IMAGE, "--build-arg", f"BASE={base}", str(ROOT)], timeout_s=900)
    kind_cluster.load_docker_image(IMAGE)
    return IMAGE


@pytest.fixture(scope="session")
def bench(kind_cluster: KindCluster, image: str) -> Bench:
    """The cluster with the image in it, and helm."""
    assert image
    found, _ = binaries.find(["helm"])
    if "helm" not in found:
        _without(binaries.missing_sentence(["helm"], found))
    return Bench(kind_cluster, found["helm"].path)
