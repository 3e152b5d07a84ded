"""`nestling install` and `uninstall` on a real API server with nobody running the operator."""

from pathlib import Path
from typing import Any

import pytest

from command_line import typed
from nestling.api.kinds import VIRTUAL_KINDS
from realhost import RealHost, real_host

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

EXAMPLES = Path(__file__).parents[2] / "examples"
PODS = "/apis/nestling.dev/v1alpha1/namespaces/team-a/virtualpods"


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A control plane of this test's own: what is uninstalled here must not be missed elsewhere."""
    with real_host() as found:
        monkeypatch.setenv("KUBECONFIG", str(found.kubeconfig))
        yield found


def test_a_cluster_comes_and_goes_without_an_operator(host: RealHost) -> None:
    first = typed("install", "-n", "team-a", "--create-namespace", "-o", "json")
    assert first.code == 0, first.err
    assert {item["result"] for item in first.json()["items"]} == {"created"}
    second = typed("install", "-n", "team-a", "-o", "json")
    assert {item["result"] for item in second.json()["items"]} == {"unchanged"}, second.out

    for number in range(20):
        body = {
            "apiVersion": "nestling.dev/v1alpha1",
            "kind": "VirtualPod",
            "metadata": {"name": f"p{number}", "finalizers": ["nestling.dev/kubelet"]},
            "spec": {"containers": [{"name": "main", "image": "x"}]},
        }
        status, answer = host.request("POST", PODS, body)
        assert status == 201, answer
    # Foreground deletion without anybody to finish it is the classic way to hang.
    assert host.request("DELETE", f"{PODS}/p0?propagationPolicy=Foreground")[0] == 200

    doctor = typed("doctor", "-o", "json")
    found = {item["check"]: item["level"] for item in doctor.json()["items"]}
    assert (found["kinds"], found["rights"], found["operator"]) == ("PASS", "PASS", "FAIL")

    gone = typed("uninstall", "--yes", "--grace", "1", "--timeout", "90", "-o", "json")
    assert gone.code == 0, gone.err
    assert gone.json()["finalizersTaken"] == {"virtualpods": 20}
    assert len(gone.json()["kindsDeleted"]) == len(VIRTUAL_KINDS)
    assert host.request("GET", PODS)[0] == 404
    assert typed("doctor").code == 1
