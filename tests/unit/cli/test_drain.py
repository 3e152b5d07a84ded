"""`nestling cordon`, `uncordon`, `drain` on a host without an operator: who goes, who stays, what is said."""

import threading
import time
from typing import Any

import pytest

from builders import NOW, a_pod, an_object
from command_line import typed
from embedded_server import EmbeddedServer
from nestling.api.json import JsonObject
from nestling.api.kinds import DAEMON_SET, NODE, POD, POD_DISRUPTION_BUDGET, REPLICA_SET, Kind
from nestling.cli import draining
from nestling.cli.draining import Verdict, Wishes, verdict

OWNER = an_object(REPLICA_SET, "web")
DAEMONS = an_object(DAEMON_SET, "log")
EMPTY_DIR = {"volumes": [{"name": "v", "emptyDir": {}}]}
ALL = Wishes(force=True, ignore_daemonsets=True, delete_emptydir_data=True)


@pytest.mark.parametrize(
    ("pod", "wishes", "wanted"),
    [
        pytest.param(a_pod(owner=OWNER), Wishes(), Verdict(goes=True), id="managed"),
        pytest.param(a_pod(), Wishes(), Verdict(goes=False, stops=draining.UNMANAGED_STOPS), id="unmanaged"),
        pytest.param(
            a_pod(), ALL, Verdict(goes=True, warning=draining.UNMANAGED_LOST), id="unmanaged, forced"
        ),
        pytest.param(a_pod(phase="Failed"), Wishes(), Verdict(goes=True), id="unmanaged, but has ended"),
        pytest.param(
            a_pod(owner=DAEMONS),
            Wishes(),
            Verdict(goes=False, stops=draining.DAEMON_SET_STOPS),
            id="DaemonSet's",
        ),
        pytest.param(
            a_pod(owner=DAEMONS),
            ALL,
            Verdict(goes=False, warning=draining.DAEMON_SET_LEFT),
            id="DaemonSet's, left",
        ),
        pytest.param(
            a_pod(owner=DAEMONS, phase="Succeeded"), Wishes(), Verdict(goes=True), id="DaemonSet's, ended"
        ),
        pytest.param(
            a_pod(owner=an_object(DAEMON_SET, "gone")),
            Wishes(),
            Verdict(goes=False, stops='virtualdaemonsets.nestling.dev "gone" not found'),
            id="its DaemonSet is gone",
        ),
        pytest.param(
            a_pod(owner=an_object(DAEMON_SET, "gone")),
            ALL,
            Verdict(goes=True, warning='virtualdaemonsets.nestling.dev "gone" not found'),
            id="gone, forced",
        ),
        pytest.param(
            a_pod(owner=OWNER, spec=EMPTY_DIR),
            Wishes(),
            Verdict(goes=False, stops=draining.LOCAL_STORAGE_STOPS),
            id="local storage",
        ),
        pytest.param(
            a_pod(owner=OWNER, spec=EMPTY_DIR),
            ALL,
            Verdict(goes=True, warning=draining.LOCAL_STORAGE_LOST),
            id="local storage, given up",
        ),
        pytest.param(
            a_pod(owner=OWNER, annotations={"kubernetes.io/config.mirror": "x"}),
            ALL,
            Verdict(goes=False),
            id="mirror",
        ),
        pytest.param(
            a_pod(owner=OWNER, deleting_at=NOW - 61),
            Wishes(skip_deleted_after_s=60),
            Verdict(goes=False),
            id="terminating for too long",
        ),
        pytest.param(
            a_pod(owner=OWNER, deleting_at=NOW - 60),
            Wishes(skip_deleted_after_s=60),
            Verdict(goes=True),
            id="not long enough",
        ),
        pytest.param(
            a_pod(owner=OWNER, deleting_at=NOW - 999), Wishes(), Verdict(goes=True), id="waited for"
        ),
    ],
)
def test_verdict(pod: JsonObject, wishes: Wishes, wanted: Verdict) -> None:
    assert verdict(pod, wishes, [DAEMONS["metadata"]["uid"]], NOW) == wanted


def test_pods_are_listed_under_what_is_said_of_them() -> None:
    texts = [("b", a_pod("x")), ("a", a_pod("y", namespace="shop")), ("b", a_pod("z")), ("", a_pod("q"))]
    assert draining.grouped(texts) == ["b: default/x, default/z", "a: shop/y"]


# --- on a host ------------------------------------------------------------------------------------

LABELS = {"app": "web"}


def put(host: EmbeddedServer, kind: Kind, name: str, body: JsonObject, **meta: Any) -> JsonObject:
    full = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": {"name": name, **meta}, **body}
    status, answer = host.request("POST", kind.path("team-a"), full)
    assert status == 201, answer
    if "status" in body:
        merge = "application/merge-patch+json"
        path = kind.path("team-a", name, "status")
        status, answer = host.request("PATCH", path, {"status": body["status"]}, content_type=merge)
        assert status == 200, answer
    return answer


def get(host: EmbeddedServer, kind: Kind, name: str) -> JsonObject:
    return host.request("GET", kind.path("team-a", name))[1]


def pods(host: EmbeddedServer) -> set[str]:
    return {pod["metadata"]["name"] for pod in host.request("GET", POD.path("team-a"))[1]["items"]}


@pytest.fixture
def worked(installed: EmbeddedServer) -> EmbeddedServer:
    """A node with two ready pods of a ReplicaSet, and another one with one."""
    for name in ("n1", "n2"):
        put(installed, NODE, name, {"spec": {}}, labels={"row": name})
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "main", "image": "web"}]}}
    spec = {"selector": {"matchLabels": LABELS}, "template": template}
    owner = put(installed, REPLICA_SET, "web", {"spec": spec})
    ref = {"apiVersion": REPLICA_SET.api_version, "kind": REPLICA_SET.name, "name": "web", "controller": True}
    for name, node in (("a", "n1"), ("b", "n1"), ("c", "n2")):
        status = {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2027-01-15T08:00:00Z"}],
        }
        put(
            installed,
            POD,
            name,
            {"spec": {**template["spec"], "nodeName": node}, "status": status},
            labels=LABELS,
            ownerReferences=[{**ref, "uid": owner["metadata"]["uid"]}],
        )
    return installed


def test_cordon_and_uncordon_say_what_they_did(worked: EmbeddedServer) -> None:
    assert typed("cordon", "n1", "n2").out == (
        "virtualnode.nestling.dev/n1 cordoned\nvirtualnode.nestling.dev/n2 cordoned\n"
    )
    assert get(worked, NODE, "n1")["spec"]["unschedulable"] is True
    assert typed("cordon", "n1").out == "virtualnode.nestling.dev/n1 already cordoned\n"
    assert typed("uncordon", "-l", "row=n1").out == "virtualnode.nestling.dev/n1 uncordoned\n"
    assert "unschedulable" not in get(worked, NODE, "n1")["spec"]
    assert typed("uncordon", "n1").out == "virtualnode.nestling.dev/n1 already uncordoned\n"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        pytest.param(["drain", "n9"], 3, "there is no node n9 in host namespace team-a", id="unknown node"),
        pytest.param(["drain"], 2, "no node is named", id="no node"),
        pytest.param(["cordon", "n1", "-l", "a=b"], 2, "cannot specify both a node name and", id="both ways"),
        pytest.param(["drain", "n1", "--timeout", "soon"], 2, '"soon" is no length of time', id="timeout"),
    ],
)
@pytest.mark.usefixtures("worked")
def test_what_makes_no_sense_is_refused(arguments: list[str], code: int, words: str) -> None:
    done = typed(*arguments)
    assert (done.code, done.out) == (code, "")
    assert words in done.err


def test_drain_empties_the_node_and_no_other(worked: EmbeddedServer) -> None:
    done = typed("drain", "n1")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "virtualnode.nestling.dev/n1 cordoned"
    assert {"evicting pod default/a", "virtualpod.nestling.dev/a evicted"} <= set(lines)
    assert lines[-1] == "virtualnode.nestling.dev/n1 drained"
    assert pods(worked) == {"c"}
    assert get(worked, NODE, "n1")["spec"]["unschedulable"] is True


def test_dry_run_changes_nothing(worked: EmbeddedServer) -> None:
    done = typed("drain", "n1", "--dry-run")
    assert "evicting pod default/a (dry run)" in done.out
    assert pods(worked) == {"a", "b", "c"}
    assert "unschedulable" not in get(worked, NODE, "n1")["spec"]


def test_drain_stops_before_it_takes_what_it_may_not(worked: EmbeddedServer) -> None:
    put(worked, POD, "own", {"spec": {"containers": [{"name": "m", "image": "x"}], "nodeName": "n1"}})
    done = typed("drain", "n1")
    assert done.code == 1
    assert "cannot delete Pods that declare no controller (use --force to override): default/own" in done.err
    assert "There are pending nodes to be drained:\n n1\n" in done.err
    assert pods(worked) == {"a", "b", "c", "own"}
    assert typed("drain", "n1", "--force").code == 0
    assert pods(worked) == {"c"}


def a_budget(host: EmbeddedServer, allowed: int) -> None:
    figures = {"observedGeneration": 1, "currentHealthy": 2, "desiredHealthy": 2 - allowed, "expectedPods": 2}
    put(
        host,
        POD_DISRUPTION_BUDGET,
        "web",
        {
            "spec": {"minAvailable": 1, "selector": {"matchLabels": LABELS}},
            "status": {**figures, "disruptionsAllowed": allowed},
        },
    )


def test_budget_holds_a_pod_until_the_time_is_up(worked: EmbeddedServer) -> None:
    a_budget(worked, 1)
    done = typed("drain", "n1", "--timeout", "2s")
    assert done.code == 1
    assert len(pods(worked)) == 2  # one on each node
    assert "Cannot evict pod as it would violate the pod's disruption budget." in done.err
    assert "global timeout reached: 2s" in done.err
    status = get(worked, POD_DISRUPTION_BUDGET, "web")["status"]
    assert status["disruptionsAllowed"] == 0
    assert len(status["disruptedPods"]) == 1


def test_drain_goes_on_when_the_budget_allows_it_again(
    worked: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nestling.cli.drain.RETRY_S", 0.1)
    a_budget(worked, 0)

    def allow() -> None:
        time.sleep(0.5)
        merge = "application/merge-patch+json"
        path = POD_DISRUPTION_BUDGET.path("team-a", "web", "status")
        worked.request("PATCH", path, {"status": {"disruptionsAllowed": 2}}, content_type=merge)

    thread = threading.Thread(target=allow)
    thread.start()
    done = typed("drain", "n1", "--timeout", "60s")
    thread.join()
    assert done.code == 0, done.err
    assert pods(worked) == {"c"}


def test_without_eviction_no_budget_is_asked(worked: EmbeddedServer) -> None:
    a_budget(worked, 0)
    done = typed("drain", "n1", "--disable-eviction")
    assert done.code == 0, done.err
    assert "virtualpod.nestling.dev/a deleted" in done.out
    assert pods(worked) == {"c"}
    assert get(worked, POD_DISRUPTION_BUDGET, "web")["status"]["disruptionsAllowed"] == 0
