"""`nestling doctor`: each thing that can be missing is found, with its next step."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from command_line import Done, typed
from embedded_server import EmbeddedServer
from nestling.apiserver.faults import Rule

API = "/apis/nestling.dev/v1alpha1/namespaces/team-a"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/team-a/leases"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MERGE = "application/merge-patch+json"


def findings(done: Done) -> dict[str, dict[str, Any]]:
    """What was found, by check."""
    return {item["check"]: item for item in done.json()["items"]}


def doctor(*arguments: str) -> dict[str, dict[str, Any]]:
    """Run it and read what it found."""
    return findings(typed("doctor", "-o", "json", *arguments))


def put_lease(host: EmbeddedServer, name: str, *, age_s: float, holder: str = "me") -> None:
    """A Lease renewed some seconds ago."""
    renewed = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=age_s)
    spec = {
        "holderIdentity": holder,
        "leaseDurationSeconds": 15,
        "renewTime": renewed.isoformat(timespec="microseconds").replace("+00:00", "Z"),
    }
    status, answer = host.request("POST", LEASES, {"metadata": {"name": name}, "spec": spec})
    assert status == 201, answer


def put_node(host: EmbeddedServer, name: str, ready: str) -> None:
    """A node that says whether it is ready."""
    body = {
        "apiVersion": "nestling.dev/v1alpha1",
        "kind": "VirtualNode",
        "metadata": {"name": name},
        "spec": {},
    }
    assert host.request("POST", f"{API}/virtualnodes", body)[0] == 201
    patch = {"status": {"conditions": [{"type": "Ready", "status": ready}]}}
    status, answer = host.request("PATCH", f"{API}/virtualnodes/{name}/status", patch, content_type=MERGE)
    assert status == 200, answer


def test_a_healthy_cluster_passes_every_check(installed: EmbeddedServer) -> None:
    for role in ("leader-scheduler", "leader-controllers", "kubelet-0"):
        put_lease(installed, f"nestling-{role}", age_s=2)
    put_node(installed, "n1", "True")
    done = typed("doctor", "-o", "json")
    assert done.code == 0
    assert {check: item["level"] for check, item in findings(done).items()} == dict.fromkeys(
        ("kubeconfig", "API server", "kinds", "rights", "operator", "nodes", "pods"), "PASS"
    )
    assert findings(done)["operator"]["found"] == "alive: controllers, kubelet heartbeat, scheduler"


def test_a_table_names_the_next_step(host: EmbeddedServer) -> None:
    done = typed("doctor")
    assert done.code == 1
    rows = {line.split("   ")[0]: line for line in done.out.splitlines()}
    assert rows["CHECK"].split() == ["CHECK", "RESULT", "FOUND", "NEXT", "STEP"]
    assert "FAIL" in rows["kinds"]
    assert rows["kinds"].endswith("none is installed                            nestling install") or rows[
        "kinds"
    ].endswith("nestling install")
    assert "SKIP" in rows["pods"]


def test_no_kubeconfig_is_the_first_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    done = typed("doctor", "-o", "json")
    assert done.code == 1
    [found] = done.json()["items"]
    assert (found["check"], found["level"]) == ("kubeconfig", "FAIL")
    assert "nestling host up" in found["next_step"]


def test_a_host_that_does_not_answer_skips_the_rest(host: EmbeddedServer) -> None:
    host.kubeconfig.write_text(host.kubeconfig.read_text().replace(str(host.port), "1"))
    found = doctor()
    assert found["API server"]["level"] == "FAIL"
    assert found["API server"]["next_step"] == "start the host: nestling host up"
    assert found["kinds"]["level"] == "SKIP"


def test_a_kind_of_another_version_is_a_warning(installed: EmbeddedServer) -> None:
    patch = {"spec": {"names": {"shortNames": ["other"]}}}
    installed.request("PATCH", f"{CRDS}/virtualpods.nestling.dev", patch, content_type=MERGE)
    found = doctor()["kinds"]
    assert (found["level"], found["next_step"]) == ("WARN", "nestling install")
    assert found["found"] == "1 kind of another version: virtualpods.nestling.dev"


def test_a_missing_kind_is_named(installed: EmbeddedServer) -> None:
    installed.request("DELETE", f"{CRDS}/virtualjobs.nestling.dev")
    found = doctor()["kinds"]
    assert (found["level"], found["found"]) == ("FAIL", "missing: virtualjobs.nestling.dev")


def test_a_host_without_reviews_of_rights_is_said_so(installed: EmbeddedServer) -> None:
    installed.faults.add(Rule("refuse", path="/selfsubjectaccessreviews", times=-1, status=403))
    found = doctor()["rights"]
    assert (found["level"], found["found"]) == ("SKIP", "this host does not answer questions about rights")


@pytest.mark.parametrize(
    ("leases", "level", "found"),
    [
        pytest.param({}, "FAIL", "it has never run here: there is no Lease of it", id="never"),
        pytest.param(
            {"nestling-leader-scheduler": 1200},
            "FAIL",
            "nobody runs it any more: scheduler (last seen 20m ago)",
            id="dead",
        ),
        pytest.param(
            {"nestling-leader-scheduler": 1, "nestling-leader-controllers": 1200},
            "WARN",
            "alive: scheduler; gone: controllers (last seen 20m ago)",
            id="half dead",
        ),
        pytest.param(
            {"nestling-kubelet-a": 300, "nestling-kubelet-b": 1},
            "PASS",
            "alive: kubelet heartbeat",
            id="one of two kubelets has been replaced",
        ),
        pytest.param(
            {"other": 1}, "FAIL", "it has never run here: there is no Lease of it", id="foreign lease"
        ),
    ],
)
def test_leases_tell_whether_the_operator_lives(
    leases: dict[str, float], level: str, found: str, installed: EmbeddedServer
) -> None:
    for name, age_s in leases.items():
        put_lease(installed, name, age_s=age_s)
    operator = doctor()["operator"]
    assert (operator["level"], operator["found"]) == (level, found)


def test_a_lease_that_was_given_back_is_nobody_s(installed: EmbeddedServer) -> None:
    put_lease(installed, "nestling-leader-scheduler", age_s=1, holder="")
    assert doctor()["operator"]["level"] == "FAIL"


def test_nodes_that_are_not_ready_are_named(installed: EmbeddedServer) -> None:
    assert doctor()["nodes"]["found"] == "there is none"
    put_node(installed, "n1", "True")
    put_node(installed, "n2", "Unknown")
    found = doctor("-n", "team-a")["nodes"]
    assert (found["level"], found["found"]) == ("WARN", "1 of 2 Ready; not: n2")


def test_pending_pods_are_counted_with_their_reasons(installed: EmbeddedServer) -> None:
    for name, reason in (("a", "Insufficient cpu"), ("b", "Insufficient cpu"), ("c", "")):
        body = {
            "apiVersion": "nestling.dev/v1alpha1",
            "kind": "VirtualPod",
            "metadata": {"name": name},
            "spec": {"containers": [{"name": "main", "image": "x"}]},
        }
        assert installed.request("POST", f"{API}/virtualpods", body)[0] == 201
        if reason:
            patch = {"status": {"scheduling": {"reasons": [{"reason": reason, "count": 1}]}}}
            path = f"{API}/virtualpods/{name}/status"
            status, answer = installed.request("PATCH", path, patch, content_type=MERGE)
            assert status == 200, answer
    found = doctor()["pods"]
    assert found["level"] == "WARN"
    assert found["found"] == "3 of 3 wait for a node: Insufficient cpu (2), not looked at yet (1)"
    assert found["next_step"] == "nestling explain pod a -n team-a"


def test_a_host_namespace_that_is_not_there_fails(installed: EmbeddedServer) -> None:
    done = typed("doctor", "-n", "nowhere", "-o", "json")
    assert done.code == 1
    found = findings(done)
    assert (found["namespace"]["level"], found["pods"]["level"]) == ("FAIL", "SKIP")
    assert found["namespace"]["next_step"] == "nestling install -n nowhere --create-namespace"
