"""Fixtures of the command's tests: a fresh host per test."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from embedded_server import EmbeddedServer, embedded_server
from nestling.cli import definitions

CRDS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedServer]:
    """An empty host that the command finds through KUBECONFIG."""
    with embedded_server(tmp_path) as server:
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig))
        status, _ = server.request("POST", "/api/v1/namespaces", {"metadata": {"name": "team-a"}})
        assert status == 201
        yield server


@pytest.fixture
def installed(host: EmbeddedServer) -> EmbeddedServer:
    """A host that knows our kinds."""
    for crd in definitions.ours().values():
        status, answer = host.request("POST", CRDS, crd)
        assert status == 201, answer
    return host
