"""`nestling doctor`: each thing that can be missing is found, with its next step."""

import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest

from command_line import Done, typed
from embedded_server import EmbeddedServer
from nestling.apiserver.faults import Rule

SPACES = "/apis/nestling.dev/v1alpha1/namespaces"
API = f"{SPACES}/team-a"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MERGE = "application/merge-patch+json"


def findings(done: Done) -> dict[str, dict[str, Any]]:
    """What was found, by check."""
    return {item["check"]: item for item in done.json()["items"]}


def doctor(*arguments: str) -> dict[str, dict[str, Any]]:
    """Run it and read what it found."""
    return findings(typed("doctor", "-o", "json", *arguments))


def put_lease(
    host: EmbeddedServer,
    name: str,
    *,
    age_s: float,
    holder: str = "me",
    space: str = "team-a",
    duration_s: int = 15,
) -> None:
    """A Lease renewed some seconds ago."""
    renewed = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=age_s)
    spec = {
        "holderIdentity": holder,
        "leaseDurationSeconds": duration_s,
        "renewTime": renewed.isoformat(timespec="microseconds").replace("+00:00", "Z"),
    }
    path = f"/apis/coordination.k8s.io/v1/namespaces/{space}/leases"
    status, answer = host.request("POST", path, {"metadata": {"name": name}, "spec": spec})
    assert status == 201, answer


def put_operator(host: EmbeddedServer, space: str, *, holder: str = "me", age_s: float = 1) -> None:
    """The leaders' Leases of an operator that keeps them in `space`."""
    for role in ("controllers", "kubelet-0", "scheduler"):
        put_lease(host, f"nestling-leader-{role}", age_s=age_s, holder=holder, space=space)


def put_beat(host: EmbeddedServer, space: str, *, age_s: float) -> None:
    """The heartbeat of the kubelet of shard 0, which is never given back."""
    put_lease(host, "nestling-kubelet-0", age_s=age_s, space=space, duration_s=40)


def put_space(host: EmbeddedServer, space: str) -> None:
    """One more host namespace."""
    assert host.request("POST", "/api/v1/namespaces", {"metadata": {"name": space}})[0] == 201


def put_pool(host: EmbeddedServer, space: str, replicas: int) -> None:
    """A pool that wants nodes."""
    body = {
        "apiVersion": "nestling.dev/v1alpha1",
        "kind": "VirtualNodePool",
        "metadata": {"name": "pool"},
        "spec": {"replicas": replicas, "template": {}},
    }
    status, answer = host.request("POST", f"{SPACES}/{space}/virtualnodepools", body)
    assert status == 201, answer


def put_pod(host: EmbeddedServer, name: str, *, node: str = "", status: dict[str, Any] | None = None) -> None:
    """A pod, on a node if one is named."""
    spec: dict[str, Any] = {"containers": [{"name": "main", "image": "x"}]}
    if node:
        spec["nodeName"] = node
    body = {
        "apiVersion": "nestling.dev/v1alpha1",
        "kind": "VirtualPod",
        "metadata": {"name": name},
        "spec": spec,
    }
    assert host.request("POST", f"{API}/virtualpods", body)[0] == 201
    if status is not None:
        path = f"{API}/virtualpods/{name}/status"
        code, answer = host.request("PATCH", path, {"status": status}, content_type=MERGE)
        assert code == 200, answer


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
        scheduling = {"scheduling": {"reasons": [{"reason": reason, "count": 1}]}}
        put_pod(installed, name, status=scheduling if reason else None)
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


def test_completed_pods_are_counted_apart(installed: EmbeddedServer) -> None:
    put_pod(installed, "server", node="n1", status={"phase": "Running"})
    assert doctor()["pods"]["found"] == "1 of 1 running, none waits for a node"
    for name in ("once", "twice"):
        put_pod(installed, name, node="n1", status={"phase": "Succeeded"})
    found = doctor()["pods"]
    assert (found["level"], found["found"]) == (
        "PASS",
        "1 of 3 running, 2 completed, none waits for a node",
    )


def test_an_operator_of_another_namespace_does_not_serve_this_one(
    installed: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_operator(installed, "team-a")
    put_beat(installed, "team-a", age_s=1)
    put_space(installed, "team-b")
    put_pool(installed, "team-b", 2)
    fresh = doctor("-n", "team-b")["operator"]
    assert fresh["level"] == "WARN"  # it may just not have come round to it
    monkeypatch.setattr("nestling.cli.checks.FIRST_BEAT_S", -1.0)
    found = doctor("-n", "team-b")["operator"]
    assert (found["level"], found["found"], found["next_step"]) == (
        "FAIL",
        (
            "alive with Leases in team-a: controllers, kubelet-0, scheduler; "
            "but nobody serves team-b: no kubelet beats there"
        ),
        "restart it with these namespaces too: nestling run -n team-a -n team-b",
    )
    assert doctor("-n", "team-a")["operator"]["level"] == "PASS"
    everywhere = doctor()["operator"]
    assert (everywhere["level"], "nobody serves team-b:" in everywhere["found"]) == ("WARN", True)


def test_a_heartbeat_proves_that_an_operator_elsewhere_serves_this_namespace(
    installed: EmbeddedServer,
) -> None:
    put_space(installed, "nestling-system")
    put_operator(installed, "nestling-system")
    put_beat(installed, "team-a", age_s=9)
    put_node(installed, "n1", "True")
    found = doctor("-n", "team-a")["operator"]
    assert (found["level"], found["found"]) == (
        "PASS",
        "alive: controllers, kubelet heartbeat, kubelet-0, scheduler",
    )


def test_without_nodes_nobody_can_tell_who_serves_a_namespace(installed: EmbeddedServer) -> None:
    put_space(installed, "team-b")
    put_pool(installed, "team-b", 0)
    put_operator(installed, "team-a")
    found = doctor("-n", "team-b")["operator"]
    assert (found["level"], found["found"]) == (
        "WARN",
        (
            "alive with Leases in team-a: controllers, kubelet-0, scheduler; "
            "nothing tells whether it serves team-b"
        ),
    )
    assert doctor("-n", "team-a")["operator"]["level"] == "PASS"


def test_the_last_heartbeat_of_an_operator_that_has_ended_is_no_life(installed: EmbeddedServer) -> None:
    put_operator(installed, "team-a", holder="", age_s=6)
    put_beat(installed, "team-a", age_s=4)
    put_node(installed, "n1", "True")
    for arguments in ((), ("-n", "team-a")):
        found = doctor(*arguments)["operator"]
        gone = re.sub(r" \(last seen \d+s ago\)", "", found["found"])
        assert (found["level"], gone) == (
            "FAIL",
            "nobody runs it any more: controllers, kubelet heartbeat, kubelet-0, scheduler",
        )


def test_a_heartbeat_that_outlived_its_old_leaders_is_another_operator_s(installed: EmbeddedServer) -> None:
    put_operator(installed, "team-a", holder="", age_s=600)
    put_beat(installed, "team-a", age_s=4)
    put_node(installed, "n1", "True")
    found = doctor("-n", "team-a")["operator"]
    assert (found["level"], found["found"].partition(";")[0]) == ("WARN", "alive: kubelet heartbeat")


def test_a_kubelet_that_is_gone_is_named_and_not_taken_for_another_s(installed: EmbeddedServer) -> None:
    put_lease(installed, "nestling-leader-scheduler", age_s=1)
    put_lease(installed, "nestling-leader-kubelet-0", age_s=1200)
    put_beat(installed, "team-a", age_s=1200)
    put_node(installed, "n1", "Unknown")
    assert doctor("-n", "team-a")["operator"]["found"] == (
        "alive: scheduler; gone: kubelet heartbeat (last seen 20m ago), kubelet-0 (last seen 20m ago)"
    )


def test_who_may_not_list_all_leases_is_told_of_their_own(installed: EmbeddedServer) -> None:
    put_beat(installed, "team-a", age_s=1)
    put_node(installed, "n1", "True")
    everywhere = "/apis/coordination.k8s.io/v1/leases"
    installed.faults.add(Rule("refuse", path=everywhere, times=-1, status=403))
    found = doctor("-n", "team-a")["operator"]
    assert (found["level"], found["found"]) == ("PASS", "alive: kubelet heartbeat")
    assert "never run here" in doctor()["operator"]["found"]  # the namespace `default` is looked at then


def test_a_heartbeat_beyond_its_duration_is_dead(installed: EmbeddedServer) -> None:
    put_beat(installed, "team-a", age_s=45)
    found = doctor()["operator"]
    assert (found["level"], found["found"].startswith("nobody runs it any more: kubelet heartbeat")) == (
        "FAIL",
        True,
    )


def test_a_namespace_that_cannot_go_without_an_operator(installed: EmbeddedServer) -> None:
    put_node(installed, "n1", "True")
    held = {"metadata": {"finalizers": ["nestling.dev/held"]}}
    assert installed.request("PATCH", f"{API}/virtualnodes/n1", held, content_type=MERGE)[0] == 200
    assert installed.request("DELETE", "/api/v1/namespaces/team-a")[0] in {200, 202}
    done = typed("doctor", "-n", "team-a", "-o", "json")
    assert done.code == 1
    found = findings(done)
    assert found["namespace"]["found"].startswith("team-a is Terminating: its deletion was asked for ")
    assert found["namespace"]["next_step"] == "if it stays: nestling uninstall -n team-a"
    assert (found["operator"]["level"], found["operator"]["found"], found["operator"]["next_step"]) == (
        "FAIL",
        "nobody runs it, so nobody lets the objects in team-a go",
        "nestling uninstall -n team-a",
    )
    assert found["nodes"]["level"] == "SKIP"
    everywhere = doctor()
    assert everywhere["namespace"]["next_step"] == found["namespace"]["next_step"]
    assert everywhere["operator"] == found["operator"]
    put_space(installed, "team-b")
    put_operator(installed, "team-b")
    assert doctor("-n", "team-a")["operator"]["level"] == "PASS"
