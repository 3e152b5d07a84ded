"""Nestling's own definitions on both servers: they are accepted, and guard what they promise to guard."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from contract_server import MERGE, Server
from nestling.api.kinds import API_VERSION, NODE, POD, VIRTUAL_KINDS, Kind

CRDS = Path(__file__).parents[2] / "crds"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SPEC = {"containers": [{"name": "c", "image": "nginx"}]}
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def kinds(server: Server) -> Server:
    """The server with all of Nestling's kinds."""
    for source in sorted(CRDS.glob("*.yaml")):
        server.expect(201, "POST", DEFINITIONS, yaml.safe_load(source.read_text()), fieldValidation="Strict")
    for kind in VIRTUAL_KINDS:
        server.await_(
            f"{kind.plural} are served", lambda kind=kind: server.call("GET", kind.path()).status == 200
        )
    return server


@pytest.fixture
def cluster(kinds: Server) -> Iterator[str]:
    """A host namespace."""
    name = f"k{next(_numbers)}"
    kinds.expect(
        201,
        "POST",
        "/api/v1/namespaces",
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
    )
    yield name
    kinds.call("DELETE", f"/api/v1/namespaces/{name}")


def obj(kind: Kind, name: str, **rest: Any) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": kind.name, "metadata": {"name": name}, **rest}


def test_all_kinds_are_listed_by_category(kinds: Server) -> None:
    listed = kinds.expect(200, "GET", f"/apis/{API_VERSION}")["resources"]
    found = {entry["name"] for entry in listed if "nestling" in entry.get("categories", ())}
    assert found == {kind.plural for kind in VIRTUAL_KINDS}
    scaled = {entry["name"].removesuffix("/scale") for entry in listed if entry["name"].endswith("/scale")}
    assert scaled == {kind.plural for kind in VIRTUAL_KINDS if kind.scale}


def test_pod_lives(kinds: Server, cluster: str) -> None:
    path = POD.path(cluster)
    made = kinds.expect(201, "POST", path, obj(POD, "web", spec=SPEC), fieldValidation="Strict")
    assert made["spec"]["restartPolicy"] == "Always"
    bind = {"metadata": {"finalizers": ["nestling.dev/kubelet"]}, "spec": {"nodeName": "n1"}}
    kinds.expect(200, "PATCH", f"{path}/web", bind, type=MERGE)
    found = kinds.expect(200, "GET", path, fieldSelector="spec.nodeName=n1")["items"]
    assert [item["metadata"]["name"] for item in found] == ["web"]
    status = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
    kinds.expect(200, "PATCH", f"{path}/web/status", status, type=MERGE)
    assert kinds.expect(200, "GET", path, fieldSelector="status.phase=Running")["items"]
    assert kinds.expect(200, "DELETE", f"{path}/web")["metadata"]["deletionTimestamp"]
    kinds.expect(200, "PATCH", f"{path}/web", {"metadata": {"finalizers": None}}, type=MERGE)
    assert kinds.call("GET", f"{path}/web").status == 404


@pytest.mark.parametrize("node", ["n2", "", None], ids=["another", "empty", "removed"])
def test_a_bound_pod_stays_bound(kinds: Server, cluster: str, node: str | None) -> None:
    path = POD.path(cluster)
    kinds.expect(201, "POST", path, obj(POD, "web", spec={**SPEC, "nodeName": "n1"}))
    answer = kinds.call("PATCH", f"{path}/web", {"spec": {"nodeName": node}}, type=MERGE)
    assert answer.status == 422
    assert "spec.nodeName: Forbidden: is set once and cannot be changed" in answer.message
    kinds.expect(200, "PATCH", f"{path}/web/status", {"status": {"phase": "Running"}}, type=MERGE)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        pytest.param({"containers": []}, "spec.containers", id="no containers"),
        pytest.param(
            {**SPEC, "restartPolicy": "Sometimes"},
            'spec.restartPolicy: Unsupported value: "Sometimes"',
            id="restart policy",
        ),
        pytest.param(
            {"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "much"}}}]},
            'spec.containers[0].resources.requests.cpu: Invalid value: "much"',
            id="quantity",
        ),
        pytest.param(
            {
                "containers": [
                    {
                        "name": "c",
                        "image": "i",
                        "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}},
                    }
                ]
            },
            "spec.containers[0].resources.requests: Invalid value: must not be more than limits",
            id="requests above limits",
        ),
        pytest.param(
            {"containers": [{"name": "c"}, {"name": "c"}]},
            "spec.containers[1]: Duplicate value",
            id="name twice",
        ),
        pytest.param(
            {**SPEC, "tolerations": [{"operator": "Equal"}]},
            "spec.tolerations[0].operator: Invalid value: must be Exists when key is empty",
            id="toleration",
        ),
    ],
)
def test_impossible_pod_is_refused(kinds: Server, cluster: str, spec: dict[str, Any], message: str) -> None:
    answer = kinds.call("POST", POD.path(cluster), obj(POD, "web", spec=spec))
    assert answer.status == 422, answer.body
    assert message in answer.message


def test_node_is_made_from_nothing(kinds: Server, cluster: str) -> None:
    made = kinds.expect(201, "POST", NODE.path(cluster), obj(NODE, "n1", spec={}))
    assert made["spec"]["capacity"]["pods"]
