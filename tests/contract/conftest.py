"""One contract, two servers: every test here runs against the embedded API server and against kube-apiserver.

The embedded one is a process of its own with a SQLite file, reached over HTTPS on loopback, as a user's is;
the real one is etcd and kube-apiserver with the controllers that collect garbage. A test gets a namespace of
its own.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import yaml

from contract_server import Server, Space
from nestling.host import probe
from nestling.host.embedded import EmbeddedHost, EmbeddedSettings
from realhost import real_host

HERE: Final = Path(__file__).parent
_numbers = itertools.count(1)


@pytest.fixture(scope="session", params=["embedded", pytest.param("real", marks=pytest.mark.integration)])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Both servers, one after the other, with the definitions of these tests."""
    if request.param == "real":
        with real_host() as host:
            real = Server("real", host.server, host.token, host.ca_file, host.kubeconfig)
            _define(real)
            yield real
        return
    root = tmp_path_factory.mktemp("embedded")
    host = EmbeddedHost(EmbeddedSettings("contract", root / "host", root / "host" / "data"))
    try:
        up = host.up()
        _, token = probe.login_of(up.kubeconfig)
        ca = next((root / "host").rglob("*ca.crt"))
        embedded = Server("embedded", up.server, token, ca, up.kubeconfig)
        _define(embedded)
        yield embedded
    finally:
        host.down(purge=True)


def _define(server: Server) -> None:
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for source in sorted((HERE / "testdata").glob("*.yaml")):
        for definition in yaml.safe_load_all(source.read_text()):
            server.expect(201, "POST", definitions, definition)
            spec = definition["spec"]
            for version in spec["versions"]:
                path = f"/apis/{spec['group']}/{version['name']}/{spec['names']['plural']}"
                server.await_(f"{path} is served", lambda path=path: server.call("GET", path).status == 200)


@pytest.fixture
def space(server: Server) -> Iterator[Space]:
    """A namespace that only this test uses."""
    name = f"t{next(_numbers)}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    server.expect(201, "POST", "/api/v1/namespaces", body)
    yield Space(server, name)
    server.call("DELETE", f"/api/v1/namespaces/{name}")
