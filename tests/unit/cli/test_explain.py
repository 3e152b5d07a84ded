"""What `nestling explain pod` makes of a pod: the sentence, what helps, and where it looks."""

from typing import Any

import orjson
import pytest

from command_line import typed
from embedded_server import EmbeddedServer
from nestling.cli.explain import host_name_of
from nestling.cli.explanation import advice, explain
from nestling.cli.problem import Problem
from nestling.scheduler.explain import NO_NODES

PODS = "/apis/nestling.dev/v1alpha1/namespaces/team-a/virtualpods"
EVENTS = "/api/v1/namespaces/team-a/events"
MESSAGE = "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu."
REFUSED = {
    "attempts": 4,
    "nodes": 3,
    "feasible": 0,
    "message": MESSAGE,
    "reasons": [
        {"reason": "Insufficient cpu", "count": 2},
        {"reason": "node(s) had untolerated taint(s)", "count": 1},
    ],
    "best": [{"node": "n1", "reasons": ["Insufficient cpu (wants 64, 3 of 4 free)"]}],
}
PLACED = {
    "node": "n2",
    "score": 310,
    "feasible": 2,
    "nodes": 3,
    "attempts": 1,
    "best": [{"node": "n1", "score": 300}],
}


def a_pod(
    *,
    name: str = "web",
    node: str = "",
    scheduling: dict[str, Any] | None = None,
    annotation: str = "",
    conditions: tuple[dict[str, str], ...] = (),
    containers: tuple[dict[str, Any], ...] = (),
    phase: str = "Pending",
    **metadata: Any,
) -> dict[str, Any]:
    """A virtual pod as the host returns it."""
    annotations = {"nestling.dev/scheduling": annotation} if annotation else {}
    spec: dict[str, Any] = {"containers": [{"name": "main", "image": "x"}]}
    return {
        "apiVersion": "nestling.dev/v1alpha1",
        "kind": "VirtualPod",
        "metadata": {"name": name, "namespace": "team-a", "annotations": annotations, **metadata},
        "spec": {**spec, "nodeName": node} if node else spec,
        "status": {
            "phase": phase,
            "conditions": list(conditions),
            "containerStatuses": list(containers),
            **({"scheduling": scheduling} if scheduling else {}),
        },
    }


def unscheduled(reason: str, message: str) -> dict[str, str]:
    """The condition of a pod without a node."""
    return {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}


def container(state: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The status of one container."""
    return {"name": "main", "state": state, "ready": False, "restartCount": 0, **more}


@pytest.mark.parametrize(
    ("pod", "sentence", "next_step"),
    [
        pytest.param(
            a_pod(scheduling=REFUSED, conditions=(unscheduled("Unschedulable", MESSAGE),)),
            MESSAGE,
            "ask for less, free some, or add nodes that have it",
            id="refused by every node",
        ),
        pytest.param(
            a_pod(conditions=(unscheduled("SchedulingGated", "Scheduling is blocked"),)),
            "Scheduling is blocked",
            "remove its scheduling gates",
            id="gated",
        ),
        pytest.param(
            a_pod(),
            "no scheduler has looked at it yet",
            "see whether the scheduler runs: `nestling doctor`",
            id="nobody has looked",
        ),
        pytest.param(
            a_pod(node="n2", scheduling=PLACED, phase="Running"),
            "node n2 scored best (310) of 2 that would do, of 3 in all",
            "",
            id="placed and running",
        ),
        pytest.param(
            a_pod(node="n2", annotation=orjson.dumps(PLACED).decode(), phase="Running"),
            "node n2 scored best (310) of 2 that would do, of 3 in all",
            "",
            id="explanation still in the annotation",
        ),
        pytest.param(
            a_pod(
                node="n2",
                annotation=orjson.dumps(PLACED).decode(),
                scheduling=REFUSED,
                phase="Running",
            ),
            "node n2 scored best (310) of 2 that would do, of 3 in all",
            "",
            id="the status still tells of the refusal before",
        ),
        pytest.param(
            a_pod(node="n2", annotation="{not json", phase="Running"),
            "it was given to node n2 without the scheduler",
            "",
            id="unreadable annotation",
        ),
        pytest.param(
            a_pod(node="n2", scheduling={**PLACED, "feasible": 1}, phase="Running"),
            "node n2 was the only one of 3 that would do",
            "",
            id="only one node would do",
        ),
        pytest.param(
            a_pod(node="n2", scheduling=PLACED),
            "node n2 scored best (310) of 2 that would do, of 3 in all; its kubelet has not started it yet",
            "see whether node n2 is Ready: kubectl -n team-a get virtualnodes",
            id="placed, kubelet silent",
        ),
        pytest.param(
            a_pod(
                node="n2",
                scheduling=PLACED,
                phase="Running",
                containers=(
                    container({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}}),
                ),
            ),
            "node n2 scored best (310) of 2 that would do, of 3 in all; "
            "container main is in CrashLoopBackOff: back-off 40s",
            "correct what the program does: how its last run ended stands below",
            id="crash loop",
        ),
        pytest.param(
            a_pod(node="n2", deletionTimestamp="2026-11-23T10:00:00Z", finalizers=["nestling.dev/kubelet"]),
            "it is being deleted; held by nestling.dev/kubelet",
            "wait for its containers to stop; if nobody runs it any more, `nestling doctor` says so",
            id="being deleted",
        ),
    ],
)
def test_the_sentence_says_why(pod: dict[str, Any], sentence: str, next_step: str) -> None:
    found = explain(pod, [])
    assert (found.sentence, found.next_step) == (sentence, next_step)


def test_the_winner_stands_before_its_runners_up() -> None:
    found = explain(a_pod(node="n2", scheduling=PLACED), [])
    assert [(one.node, one.score) for one in found.candidates] == [("n2", 310), ("n1", 300)]


def test_containers_tell_how_they_ended_before() -> None:
    ended = {"terminated": {"reason": "Error", "exitCode": 3}}
    waiting = container({"waiting": {"reason": "CrashLoopBackOff"}}, lastState=ended, restartCount=2)
    [found] = explain(a_pod(node="n", containers=(waiting,)), []).containers
    assert (found.state, found.restarts, found.last_run) == ("CrashLoopBackOff", 2, "Error, exit code 3")


@pytest.mark.parametrize(
    "status",
    [
        pytest.param({}, id="empty"),
        pytest.param({"scheduling": None, "conditions": None, "containerStatuses": None}, id="nulls"),
        pytest.param({"scheduling": {"best": [{}], "reasons": [{}]}}, id="hollow"),
        pytest.param({"conditions": [{}], "containerStatuses": [{}]}, id="hollow lists"),
    ],
)
def test_a_thin_status_is_explained_without_fail(status: dict[str, Any]) -> None:
    assert explain({**a_pod(), "status": status}, [{"metadata": {}}]).to_json()["pod"] == "default/web"


@pytest.mark.parametrize(
    "reason",
    [
        NO_NODES,
        "Insufficient example.com/gpu",
        "Too many pods",
        "node(s) had untolerated taint(s)",
        "node(s) were unschedulable",
        "node(s) didn't match Pod's node affinity/selector",
        "node(s) didn't have free ports for the requested pod ports",
    ],
)
def test_every_common_refusal_has_advice(reason: str) -> None:
    assert advice(reason)


@pytest.mark.parametrize(
    ("name", "virtual_namespace", "host_name"),
    [
        pytest.param("web", "", "web", id="bare name"),
        pytest.param("web.shop", "", "web.shop", id="name on the host"),
        pytest.param("shop/web", "", "web.shop", id="namespace/name"),
        pytest.param("default/web", "", "web", id="default/name"),
        pytest.param("web", "shop", "web.shop", id="--virtual-namespace"),
        pytest.param("a.b", "default", "a.b.default", id="dots in default"),
        pytest.param("shop/web", "shop", "web.shop", id="named twice alike"),
    ],
)
def test_a_pod_can_be_named_in_several_ways(name: str, virtual_namespace: str, host_name: str) -> None:
    assert host_name_of(name, virtual_namespace) == host_name


def test_two_namespaces_at_once_are_refused() -> None:
    with pytest.raises(Problem, match="--virtual-namespace says other"):
        host_name_of("shop/web", "other")


def test_a_pod_on_a_host_is_explained_with_its_events(installed: EmbeddedServer) -> None:
    pod = a_pod(name="web.shop")
    status, made = installed.request("POST", PODS, pod)
    assert status == 201, made
    written = {
        "status": {"scheduling": REFUSED, "conditions": [unscheduled("Unschedulable", MESSAGE)]},
    }
    status, answer = installed.request(
        "PATCH", f"{PODS}/web.shop/status", written, content_type="application/merge-patch+json"
    )
    assert status == 200, answer
    for uid, note in ((made["metadata"]["uid"], MESSAGE), ("another", "of somebody else")):
        event = {
            "metadata": {"name": f"e-{uid}"},
            "involvedObject": {"kind": "VirtualPod", "name": "web.shop", "namespace": "team-a", "uid": uid},
            "type": "Warning",
            "reason": "FailedScheduling",
            "message": note,
            "lastTimestamp": "2026-11-23T10:00:00Z",
        }
        assert installed.request("POST", EVENTS, event)[0] == 201
    done = typed("explain", "pod", "shop/web")
    assert done.code == 0, done.err
    assert f"Why          {MESSAGE}" in done.out
    assert "    2   Insufficient cpu " in done.out
    assert "n1     Insufficient cpu (wants 64, 3 of 4 free)" in done.out
    assert "FailedScheduling" in done.out
    assert "of somebody else" not in done.out
    as_json = typed("explain", "pod", "web", "--virtual-namespace", "shop", "-o", "json").json()
    assert (as_json["pod"], as_json["host_namespace"], as_json["attempts"]) == ("shop/web", "team-a", 4)
    assert typed("explain", "pod", "web.shop", "-o", "name").out == "virtualpod.nestling.dev/web.shop\n"


@pytest.mark.parametrize(
    ("profiles", "sentence"),
    [
        pytest.param(
            None, 'left to scheduler "mine": the VirtualCluster has no profile of that name', id="no cluster"
        ),
        pytest.param(
            ["other"],
            'left to scheduler "mine": the VirtualCluster has no profile of that name',
            id="no profile",
        ),
        pytest.param(["other", "mine"], "no scheduler has looked at it yet", id="a profile"),
    ],
)
def test_a_foreign_scheduler_is_named(
    installed: EmbeddedServer, profiles: list[str] | None, sentence: str
) -> None:
    if profiles is not None:
        cluster = {
            "apiVersion": "nestling.dev/v1alpha1",
            "kind": "VirtualCluster",
            "metadata": {"name": "cluster"},
            "spec": {"schedulerProfiles": [{"schedulerName": name} for name in profiles]},
        }
        path = PODS.replace("virtualpods", "virtualclusters")
        assert installed.request("POST", path, cluster)[0] == 201
    pod = a_pod()
    pod["spec"]["schedulerName"] = "mine"
    assert installed.request("POST", PODS, pod)[0] == 201
    assert sentence in typed("explain", "pod", "web").out


def test_a_pod_that_is_not_there_is_not_found(installed: EmbeddedServer) -> None:
    done = typed("explain", "pod", "web.shop")
    assert done.code == 3
    assert done.err == (
        "Error: there is no pod shop/web in host namespace team-a; "
        "see what there is: kubectl -n team-a get virtualpods\n"
    )


def test_the_pods_of_a_deployment_are_offered_for_its_name(installed: EmbeddedServer) -> None:
    for name in ("web-a1-x.shop", "web-a1-y.shop", "web-a1-z", "webber.shop"):
        pod = {
            "apiVersion": "nestling.dev/v1alpha1",
            "kind": "VirtualPod",
            "metadata": {"name": name},
            "spec": {"containers": [{"name": "main", "image": "x"}]},
        }
        assert installed.request("POST", PODS, pod)[0] == 201
    done = typed("explain", "pod", "web.shop")
    assert done.code == 3
    assert done.err.endswith("; perhaps you mean web-a1-x.shop or one of 1 more\n")
    assert typed("explain", "pod", "web").err.endswith("; perhaps you mean web-a1-z\n")


def test_a_host_without_our_kinds_is_told_apart(host: EmbeddedServer) -> None:
    done = typed("explain", "pod", "web")
    assert done.code == 3
    assert "install them first: `nestling install`" in done.err
