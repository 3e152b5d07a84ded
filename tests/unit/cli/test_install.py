"""`nestling install` and `uninstall` against a live embedded server: idempotent, complete, never hanging."""

import re
from pathlib import Path
from typing import Any

import pytest

from command_line import typed
from embedded_server import EmbeddedServer
from nestling.api.crds import load_crds
from nestling.api.kinds import VIRTUAL_KINDS
from nestling.apiserver.faults import Rule

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
PODS = "/apis/nestling.dev/v1alpha1/namespaces/team-a/virtualpods"
NODES = "/apis/nestling.dev/v1alpha1/namespaces/team-a/virtualnodes"
QUICK = ("--yes", "--grace", "0", "--timeout", "10")


def a_pod(name: str, *finalizers: str) -> dict[str, Any]:
    """A virtual pod, held by finalizers."""
    return {
        "apiVersion": "nestling.dev/v1alpha1",
        "kind": "VirtualPod",
        "metadata": {"name": name, "finalizers": list(finalizers)},
        "spec": {"containers": [{"name": "main", "image": "x"}]},
    }


def a_node(name: str) -> dict[str, Any]:
    """A virtual node."""
    return {
        "apiVersion": "nestling.dev/v1alpha1",
        "kind": "VirtualNode",
        "metadata": {"name": name},
        "spec": {},
    }


def names_of(host: EmbeddedServer, path: str) -> list[str]:
    """Names of what is stored there."""
    status, answer = host.request("GET", path)
    assert status == 200, answer
    return [item["metadata"]["name"] for item in answer["items"]]


def results(done: Any) -> dict[str, str]:
    """What `install -o json` says became of each object."""
    return {item["name"]: item["result"] for item in done.json()["items"]}


def test_install_creates_what_is_missing_and_then_changes_nothing(host: EmbeddedServer) -> None:
    first = typed("install", "-o", "json")
    assert first.code == 0
    assert set(results(first).values()) == {"created"}
    assert len(results(first)) == len(VIRTUAL_KINDS)
    second = typed("install", "-o", "json")
    assert set(results(second).values()) == {"unchanged"}
    assert names_of(host, PODS) == []


def test_install_brings_back_a_definition_that_was_changed(installed: EmbeddedServer) -> None:
    name = "virtualpods.nestling.dev"
    body = {"spec": {"names": {"shortNames": ["other"]}}}
    status, _ = installed.request(
        "PATCH", f"{CRDS}/{name}", body, content_type="application/merge-patch+json"
    )
    assert status == 200
    dry = typed("install", "--dry-run", "-o", "json")
    assert {name: outcome for name, outcome in results(dry).items() if outcome != "unchanged"} == {
        name: "changed"
    }
    assert installed.request("GET", f"{CRDS}/{name}")[1]["spec"]["names"]["shortNames"] == ["other"]
    assert results(typed("install", "-o", "json"))[name] == "changed"
    assert installed.request("GET", f"{CRDS}/{name}")[1]["spec"]["names"]["shortNames"] == ["vpo"]


def test_install_keeps_labels_that_others_put_on_definitions(installed: EmbeddedServer) -> None:
    path = f"{CRDS}/virtualpods.nestling.dev"
    patch = {"metadata": {"labels": {"team": "a"}}, "spec": {"names": {"shortNames": ["other"]}}}
    installed.request("PATCH", path, patch, content_type="application/merge-patch+json")
    assert typed("install").code == 0
    assert installed.request("GET", path)[1]["metadata"]["labels"] == {"team": "a"}


def test_install_makes_the_host_namespace_when_asked(host: EmbeddedServer) -> None:
    number = len(VIRTUAL_KINDS)
    missing = typed("install", "-n", "team-b")
    assert missing.code == 3
    assert "the host has no namespace team-b; add --create-namespace" in missing.err
    dry = typed("install", "-n", "team-b", "--create-namespace", "--dry-run", "-o", "json")
    would = f"{number} of {number} kinds would change, and host namespace team-b would be created"
    assert dry.err.endswith(f"\n{would}; nothing was written\n")
    made = typed("install", "-n", "team-b", "--create-namespace")
    assert f"({number} of {number} changed, " in made.err
    assert re.search(r"Namespace +team-b +created", made.out)
    again = typed("install", "-n", "team-b", "--create-namespace", "-o", "json")
    assert results(again)["team-b"] == "unchanged"
    assert host.request("GET", "/api/v1/namespaces/team-b")[0] == 200


@pytest.mark.parametrize(
    ("form", "first_line"),
    [
        pytest.param("table", "KIND ", id="table"),
        pytest.param("name", "customresourcedefinition/virtualclusters.nestling.dev", id="name"),
        pytest.param("yaml", "items:", id="yaml"),
    ],
)
def test_install_prints_the_form_that_is_asked_for(
    form: str, first_line: str, installed: EmbeddedServer
) -> None:
    done = typed("install", "-o", form)
    assert done.code == 0
    assert done.out.splitlines()[0].startswith(first_line)


def test_install_says_when_the_host_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    done = typed("install")
    assert done.code == 1
    assert "nestling host up" in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_a_host_that_hangs_up_is_unavailable(host: EmbeddedServer) -> None:
    text = host.kubeconfig.read_text().replace(str(host.port), "1")
    host.kubeconfig.write_text(text)
    done = typed("install")
    assert done.code == 4
    assert "start the host (`nestling host up`)" in done.err


def test_a_server_error_is_unavailable_and_a_second_try_goes_on(host: EmbeddedServer) -> None:
    host.faults.add(Rule("refuse", method="POST", status=503))
    broken = typed("install")
    assert broken.code == 4
    assert typed("install").code == 0


def test_uninstall_needs_a_yes(installed: EmbeddedServer) -> None:
    installed.request("POST", PODS, a_pod("a"))
    done = typed("uninstall")
    assert done.code == 2
    assert "This deletes 1 virtualpod in all host namespaces, and the kinds" in done.err
    assert names_of(installed, PODS) == ["a"]
    installed.request("POST", PODS, a_pod("b"))
    assert (
        "This deletes 2 virtualpods in host namespace team-a, and" in typed("uninstall", "-n", "team-a").err
    )


def test_uninstall_leaves_nothing_when_nobody_drops_finalizers(installed: EmbeddedServer) -> None:
    for number in range(20):
        installed.request("POST", PODS, a_pod(f"p{number}", "nestling.dev/kubelet"))
    installed.request("POST", NODES, a_node("n1"))
    installed.request("POST", PODS, a_pod("free"))
    done = typed("uninstall", *QUICK, "-o", "json")
    assert done.code == 0, done.err
    report = done.json()
    assert report["deleted"] == {"virtualnodes": 1, "virtualpods": 21}
    assert report["finalizersTaken"] == {"virtualpods": 20}
    assert len(report["kindsDeleted"]) == len(VIRTUAL_KINDS)
    assert names_of(installed, CRDS) == []


def test_uninstall_waits_for_an_operator_before_it_takes_finalizers(installed: EmbeddedServer) -> None:
    installed.request("POST", PODS, a_pod("a", "nestling.dev/kubelet"))
    # Nobody drops the finalizer, and the grace outlasts the time we have: the pod must still hold it.
    done = typed("uninstall", "--yes", "--grace", "60", "--timeout", "1")
    assert done.code == 4
    assert "1 object still there after 1 s" in done.err
    [pod] = installed.request("GET", PODS)[1]["items"]
    assert pod["metadata"]["finalizers"] == ["nestling.dev/kubelet"]
    assert "deletionTimestamp" in pod["metadata"]


def test_uninstall_names_what_others_hold_and_ends(installed: EmbeddedServer) -> None:
    installed.request("POST", PODS, a_pod("held", "nestling.dev/kubelet", "acme.io/audit"))
    done = typed("uninstall", *QUICK)
    assert done.code == 1
    assert "virtualpods/team-a/held: finalizer acme.io/audit is not Nestling's" in done.err
    [pod] = installed.request("GET", PODS)[1]["items"]
    assert pod["metadata"]["finalizers"] == ["acme.io/audit"]
    assert len(names_of(installed, CRDS)) == len(VIRTUAL_KINDS)


def test_uninstall_of_one_namespace_leaves_the_others_and_the_kinds(installed: EmbeddedServer) -> None:
    installed.request("POST", "/api/v1/namespaces", {"metadata": {"name": "team-b"}})
    other = PODS.replace("team-a", "team-b")
    installed.request("POST", PODS, a_pod("a", "nestling.dev/kubelet"))
    installed.request("POST", other, a_pod("b"))
    done = typed("uninstall", "-n", "team-a", *QUICK)
    assert done.code == 0
    assert "the kinds stay; the host namespace team-a stays too" in done.err
    assert names_of(installed, PODS) == []
    assert names_of(installed, other) == ["b"]


def test_uninstall_says_what_becomes_of_the_host_namespace(installed: EmbeddedServer) -> None:
    held = {"metadata": {"name": "held", "finalizers": ["acme.io/audit"]}}
    assert installed.request("POST", "/api/v1/namespaces/team-a/configmaps", held)[0] == 201
    assert installed.request("DELETE", "/api/v1/namespaces/team-a")[0] in {200, 202}
    done = typed("uninstall", "-n", "team-a", "-n", "nowhere", *QUICK)
    assert done.code == 0
    fates = "the host namespace team-a is being deleted; there is no host namespace nowhere"
    assert done.err.endswith(f"\nno objects were there; the kinds stay; {fates}\n")


def test_keep_crds_keeps_them(installed: EmbeddedServer) -> None:
    installed.request("POST", PODS, a_pod("a", "nestling.dev/kubelet"))
    assert typed("uninstall", "--keep-crds", *QUICK).code == 0
    assert names_of(installed, PODS) == []
    assert len(names_of(installed, CRDS)) == len(VIRTUAL_KINDS)


def test_uninstall_removes_kinds_that_this_version_does_not_know(installed: EmbeddedServer) -> None:
    crd = next(crd for crd in load_crds() if crd["metadata"]["name"] == "virtualnodes.nestling.dev")
    crd["metadata"] = {"name": "virtualoldies.nestling.dev"}
    crd["spec"]["names"] = {"kind": "VirtualOldie", "plural": "virtualoldies", "singular": "virtualoldie"}
    assert installed.request("POST", CRDS, crd)[0] == 201
    old = NODES.replace("virtualnodes", "virtualoldies")
    metadata = {"name": "x", "finalizers": ["nestling.dev/gone"]}
    body = {**a_node("x"), "kind": "VirtualOldie", "metadata": metadata}
    assert installed.request("POST", old, body)[0] == 201
    done = typed("uninstall", *QUICK, "-o", "json")
    assert done.code == 0
    assert "virtualoldies.nestling.dev" in done.json()["kindsDeleted"]


def test_uninstall_of_nothing_is_quiet(host: EmbeddedServer) -> None:
    done = typed("uninstall", *QUICK)
    assert (done.code, done.out) == (0, "")
    assert "no objects were there" in done.err


def test_who_may_not_list_kinds_can_still_empty_a_namespace(installed: EmbeddedServer) -> None:
    installed.request("POST", PODS, a_pod("a", "nestling.dev/kubelet"))
    installed.faults.add(
        Rule("refuse", method="GET", path="/customresourcedefinitions", status=403, times=-1)
    )
    assert typed("uninstall", *QUICK, "--namespace", "team-a").code == 0
    assert names_of(installed, PODS) == []
    refused = typed("uninstall", *QUICK)
    assert refused.code == 1  # the kinds themselves cannot go without being listed
    assert "forbidden" in refused.err


@pytest.mark.parametrize(
    ("deleted", "left"),
    [pytest.param(False, ["a"], id="lives"), pytest.param(True, [], id="is being deleted")],
)
def test_a_stopped_pod_empties_its_namespace_only_if_that_goes_too(
    installed: EmbeddedServer, deleted: bool, left: list[str]
) -> None:
    installed.request("POST", PODS, a_pod("a", "nestling.dev/kubelet"))
    if deleted:
        status, _ = installed.request("DELETE", "/api/v1/namespaces/team-a")
        assert status in {200, 202}
    done = typed("uninstall", *QUICK, "--keep-crds", "--if-terminating", "--namespace", "team-a")
    assert done.code == 0
    assert names_of(installed, PODS) == left
    assert ("is not being deleted" in done.err) is not deleted


def test_whose_namespace_is_being_deleted_has_to_be_said(installed: EmbeddedServer) -> None:
    done = typed("uninstall", *QUICK, "--if-terminating")
    assert done.code == 2
    assert "name one with --namespace" in done.err
