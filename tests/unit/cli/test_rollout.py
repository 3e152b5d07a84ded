"""`nestling rollout`: kubectl's words about how far things are, and the way back."""

from typing import Any

import pytest

from builders import a_condition, an_object
from command_line import typed
from embedded_server import EmbeddedServer
from nestling.api.json import JsonObject
from nestling.api.kinds import CONTROLLER_REVISION, DAEMON_SET, DEPLOYMENT, REPLICA_SET, STATEFUL_SET, Kind
from nestling.cli.problem import Problem
from nestling.cli.rollout_status import Progress, progress_of
from nestling.cli.workload import Workload, workloads

LABELS = {"app": "web"}


def an_app(kind: Kind, status: JsonObject, spec: JsonObject | None = None, **meta: Any) -> JsonObject:
    meta.setdefault("generation", 2)
    return an_object(kind, "web", spec={"replicas": 3, **(spec or {})}, status=status, **meta)


def deployed(*, spec: JsonObject | None = None, observed: int = 2, **status: Any) -> JsonObject:
    full = {"replicas": 3, "updatedReplicas": 3, "availableReplicas": 3, "observedGeneration": observed}
    return an_app(DEPLOYMENT, {**full, **status}, spec)


def stateful(*, spec: JsonObject | None = None, observed: int = 2, **status: Any) -> JsonObject:
    full = {
        "readyReplicas": 3,
        "updatedReplicas": 3,
        "currentReplicas": 3,
        "observedGeneration": observed,
        "currentRevision": "web-1",
        "updateRevision": "web-1",
    }
    return an_app(STATEFUL_SET, {**full, **status}, spec)


def daemons(*, spec: JsonObject | None = None, observed: int = 2, **status: Any) -> JsonObject:
    full = {
        "desiredNumberScheduled": 3,
        "updatedNumberScheduled": 3,
        "numberAvailable": 3,
        "observedGeneration": observed,
    }
    return an_app(DAEMON_SET, {**full, **status}, spec)


PARTITION = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}}
D, S, P = 'deployment "web"', 'daemon set "web"', "Waiting for"


@pytest.mark.parametrize(
    ("kind", "obj", "wanted"),
    [
        pytest.param(
            DEPLOYMENT,
            deployed(observed=1),
            Progress(f"{P} deployment spec update to be observed..."),
            id="d",
        ),
        pytest.param(
            DEPLOYMENT,
            deployed(updatedReplicas=1),
            Progress(f"{P} {D} rollout to finish: 1 out of 3 new replicas have been updated..."),
            id="d updated",
        ),
        pytest.param(
            DEPLOYMENT,
            deployed(replicas=5),
            Progress(f"{P} {D} rollout to finish: 2 old replicas are pending termination..."),
            id="d old",
        ),
        pytest.param(
            DEPLOYMENT,
            deployed(availableReplicas=2),
            Progress(f"{P} {D} rollout to finish: 2 of 3 updated replicas are available..."),
            id="d available",
        ),
        pytest.param(
            DEPLOYMENT, deployed(), Progress(f"{D} successfully rolled out", done=True), id="d done"
        ),
        pytest.param(
            DAEMON_SET,
            daemons(observed=1),
            Progress(f"{P} daemon set spec update to be observed..."),
            id="ds",
        ),
        pytest.param(
            DAEMON_SET,
            daemons(updatedNumberScheduled=1),
            Progress(f"{P} {S} rollout to finish: 1 out of 3 new pods have been updated..."),
            id="ds updated",
        ),
        pytest.param(
            DAEMON_SET,
            daemons(numberAvailable=0),
            Progress(f"{P} {S} rollout to finish: 0 of 3 updated pods are available..."),
            id="ds available",
        ),
        pytest.param(
            DAEMON_SET, daemons(), Progress(f"{S} successfully rolled out", done=True), id="ds done"
        ),
        pytest.param(
            STATEFUL_SET,
            stateful(observed=0),
            Progress(f"{P} statefulset spec update to be observed..."),
            id="sts",
        ),
        pytest.param(
            STATEFUL_SET, stateful(readyReplicas=1), Progress(f"{P} 2 pods to be ready..."), id="sts ready"
        ),
        pytest.param(
            STATEFUL_SET,
            stateful(updatedReplicas=1, spec=PARTITION),
            Progress(f"{P} partitioned roll out to finish: 1 out of 2 new pods have been updated..."),
            id="part",
        ),
        pytest.param(
            STATEFUL_SET,
            stateful(updatedReplicas=2, spec=PARTITION),
            Progress("partitioned roll out complete: 2 new pods have been updated...", done=True),
            id="part done",
        ),
        pytest.param(
            STATEFUL_SET,
            stateful(updatedReplicas=1, updateRevision="web-2"),
            Progress("waiting for statefulset rolling update to complete 1 pods at revision web-2..."),
            id="sts up",
        ),
        pytest.param(
            STATEFUL_SET,
            stateful(),
            Progress("statefulset rolling update complete 3 pods at revision web-1...", done=True),
            id="sts done",
        ),
    ],
)
def test_progress(kind: Kind, obj: JsonObject, wanted: Progress) -> None:
    assert progress_of(kind, obj) == wanted


LATE = [a_condition("Progressing", "False", reason="ProgressDeadlineExceeded")]
ON_DELETE = {"updateStrategy": {"type": "OnDelete"}}


@pytest.mark.parametrize(
    ("kind", "obj", "revision", "sentence"),
    [
        pytest.param(
            DEPLOYMENT,
            deployed(conditions=LATE),
            0,
            'deployment "web" exceeded its progress deadline',
            id="late",
        ),
        pytest.param(
            DEPLOYMENT,
            deployed(),
            3,
            "desired revision (3) is different from the running revision (0)",
            id="revision",
        ),
        pytest.param(
            DAEMON_SET,
            daemons(spec=ON_DELETE),
            0,
            "rollout status is only available for RollingUpdate strategy type",
            id="DaemonSet on delete",
        ),
        pytest.param(
            STATEFUL_SET,
            stateful(spec=ON_DELETE),
            0,
            "rollout status is only available for RollingUpdate strategy type",
            id="StatefulSet on delete",
        ),
    ],
)
def test_rollout_that_cannot_be_waited_for(kind: Kind, obj: JsonObject, revision: int, sentence: str) -> None:
    with pytest.raises(Problem) as found:
        progress_of(kind, obj, revision)
    assert str(found.value) == sentence


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        pytest.param(["deployment/web"], [Workload(DEPLOYMENT, "web")], id="one word"),
        pytest.param(
            ["sts", "a", "b.shop"], [Workload(STATEFUL_SET, "a"), Workload(STATEFUL_SET, "b.shop")], id="two"
        ),
        pytest.param(
            ["vds/a", "DaemonSets.apps/b"], [Workload(DAEMON_SET, "a"), Workload(DAEMON_SET, "b")], id="kinds"
        ),
    ],
)
def test_workloads(arguments: list[str], wanted: list[Workload]) -> None:
    assert workloads(arguments) == wanted


# --- on a host ------------------------------------------------------------------------------------


def template(image: str) -> JsonObject:
    return {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "main", "image": image}]}}


def put(host: EmbeddedServer, kind: Kind, name: str, body: JsonObject, **meta: Any) -> JsonObject:
    full = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": {"name": name, **meta}, **body}
    status, answer = host.request("POST", kind.path("team-a"), full)
    assert status == 201, answer
    return answer


def get(host: EmbeddedServer, kind: Kind, name: str = "web") -> JsonObject:
    return host.request("GET", kind.path("team-a", name))[1]


def owned_by(owner: JsonObject) -> list[JsonObject]:
    meta = owner["metadata"]
    ref = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": meta["name"], "uid": meta["uid"]}
    return [{**ref, "controller": True}]


@pytest.fixture
def deployment(installed: EmbeddedServer) -> EmbeddedServer:
    """A Deployment at revision 3, with the ReplicaSets of revisions 1 and 3, and a stranger's."""
    spec = {"replicas": 2, "selector": {"matchLabels": LABELS}, "template": template("web:3")}
    owner = put(
        installed,
        DEPLOYMENT,
        "web",
        {"spec": spec},
        labels=LABELS,
        annotations={
            "deployment.kubernetes.io/revision": "3",
            "kubernetes.io/change-cause": "image 3",
            "mine": "yes",
        },
    )
    for number in (1, 3):
        hashed = {**LABELS, "pod-template-hash": f"h{number}"}
        made = template(f"web:{number}")
        made["metadata"]["labels"] = hashed
        put(
            installed,
            REPLICA_SET,
            f"web-h{number}",
            {
                "spec": {"selector": {"matchLabels": hashed}, "template": made},
            },
            labels=hashed,
            ownerReferences=owned_by(owner),
            annotations={
                "deployment.kubernetes.io/revision": str(number),
                "kubernetes.io/change-cause": f"image {number}",
                "deployment.kubernetes.io/desired-replicas": "2",
            },
        )
    put(
        installed,
        REPLICA_SET,
        "other",
        {"spec": {"selector": {"matchLabels": LABELS}, "template": template("x")}},
        labels=LABELS,
        annotations={"deployment.kubernetes.io/revision": "9"},
    )
    return installed


@pytest.mark.usefixtures("deployment")
def test_history_lists_revisions() -> None:
    assert typed("rollout", "history", "deployment/web").out.splitlines() == [
        "virtualdeployment.nestling.dev/web",
        "REVISION  CHANGE-CAUSE",
        "1         image 1",
        "3         image 3",
    ]
    text = typed("rollout", "history", "deployment/web", "--revision", "1").out
    assert text.startswith("virtualdeployment.nestling.dev/web with revision #1\nPod Template:\n")
    assert "Image:\tweb:1" in text
    assert "pod-template-hash" not in text
    listed = typed("rollout", "history", "deploy", "web", "-o", "json").json()
    assert [one["metadata"]["name"] for one in listed["items"]] == ["web-h1", "web-h3"]
    done = typed("rollout", "history", "deployment/web", "--revision", "2")
    assert (done.code, "unable to find the specified revision" in done.err) == (1, True)


def test_undo_brings_template_and_annotations_back(deployment: EmbeddedServer) -> None:
    assert "Image:\tweb:1" in typed("rollout", "undo", "deployment/web", "--dry-run").out
    done = typed("rollout", "undo", "deployment/web")
    assert (done.code, done.out) == (0, "virtualdeployment.nestling.dev/web rolled back\n")
    found = get(deployment, DEPLOYMENT)
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "web:1"
    assert found["spec"]["template"]["metadata"]["labels"] == LABELS
    assert found["metadata"]["annotations"] == {
        "deployment.kubernetes.io/revision": "3",
        "kubernetes.io/change-cause": "image 1",
    }
    again = typed("rollout", "undo", "deployment/web", "--to-revision", "1")
    assert "skipped rollback (current template already matches revision 1)" in again.out
    missing = typed("rollout", "undo", "deployment/web", "--to-revision", "7")
    assert (missing.code, missing.err) == (1, "Error: unable to find specified revision 7 in history\n")


def test_undo_warns_of_kubectl_apply_only_when_it_comes_about(deployment: EmbeddedServer) -> None:
    path, words = DEPLOYMENT.path("team-a", "web"), "was previously managed with 'kubectl apply'"

    def edit(patch: JsonObject) -> None:
        done = deployment.request("PATCH", path, patch, content_type="application/merge-patch+json")
        assert done[0] == 200, done

    applied = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    edit({"metadata": {"annotations": applied}, "spec": {"paused": True}})
    held = typed("rollout", "undo", "deployment/web")
    assert (held.code, words in held.err) == (1, False)
    edit({"spec": {"paused": None}})
    missing = typed("rollout", "undo", "deployment/web", "--to-revision", "99")
    assert missing.err == "Error: unable to find specified revision 99 in history\n"
    done = typed("rollout", "undo", "deployment/web")
    assert (done.code, done.out) == (0, "virtualdeployment.nestling.dev/web rolled back\n")
    assert words in done.err


def test_pause_resume_and_restart(deployment: EmbeddedServer) -> None:
    assert typed("rollout", "pause", "deployment/web").out == "virtualdeployment.nestling.dev/web paused\n"
    assert get(deployment, DEPLOYMENT)["spec"]["paused"] is True
    twice = typed("rollout", "pause", "deployment/web")
    assert (twice.code, twice.err) == (1, 'Error: virtualdeployments.nestling.dev "web" is already paused\n')
    held = typed("rollout", "restart", "deployment/web")
    assert "can't restart paused deployment (run rollout resume first)" in held.err
    assert "you cannot rollback a paused deployment" in typed("rollout", "undo", "deployment/web").err
    assert typed("rollout", "resume", "deployment/web").out == "virtualdeployment.nestling.dev/web resumed\n"
    assert not get(deployment, DEPLOYMENT)["spec"].get("paused")
    assert "is not paused" in typed("rollout", "resume", "deployment/web").err
    assert (
        typed("rollout", "restart", "deployment/web").out == "virtualdeployment.nestling.dev/web restarted\n"
    )
    notes = get(deployment, DEPLOYMENT)["spec"]["template"]["metadata"]["annotations"]
    assert notes["kubectl.kubernetes.io/restartedAt"]


@pytest.mark.usefixtures("deployment")
def test_a_selector_chooses_among_all_of_a_type() -> None:
    printed = "virtualdeployment.nestling.dev/web"
    assert typed("rollout", "pause", "deploy", "-l", "app=web").out == f"{printed} paused\n"
    assert (
        typed("rollout", "resume", "deploy", "--selector", "app in (web, shop)").out == f"{printed} resumed\n"
    )
    waiting = "Waiting for deployment spec update to be observed...\n"
    assert typed("rollout", "status", "deploy", "-l", "app=web", "--no-watch").out == waiting
    for command in ("restart", "status"):
        none = typed("rollout", command, "deploy", "-l", "app=none")
        assert (none.code, none.out) == (0, "")
        assert none.err.startswith("No resources found in ")


@pytest.mark.usefixtures("deployment")
def test_status_says_how_far_it_is_and_gives_up_in_time() -> None:
    waiting = "Waiting for deployment spec update to be observed...\n"
    for once in ("--no-watch", "--watch=false", "-w=False"):
        assert typed("rollout", "status", "deployment/web", once).out == waiting
    for wait in ((), ("--watch",), ("-w",), ("--watch=true",)):
        done = typed("rollout", "status", *wait, "deployment/web", "--timeout", "0.1s")
        assert (done.code, done.out, done.err) == (1, waiting, "Error: timed out waiting for the condition\n")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        pytest.param(
            ["status", "deployment/none"], 3, "there is no Deployment none in host namespace", id="absent"
        ),
        pytest.param(
            ["status", "deployment/web", "--watch=never"],
            2,
            '"never" is no value of --watch; write --watch=true or --watch=false',
            id="watch",
        ),
        pytest.param(["status", "pod/web"], 2, '"pod" is nothing that is rolled out', id="kind"),
        pytest.param(
            ["pause", "deploy/web", "-l", "a=b"], 2, "write TYPE -l SELECTOR, without a name", id="both"
        ),
        pytest.param(["pause", "deploy", "-l", "a in"], 1, "unable to parse requirement", id="selector"),
        pytest.param(["status", "deployment"], 2, "which deployment is not said", id="no name"),
        pytest.param(["pause", "deployment/none"], 3, "there is no Deployment none", id="pause of none"),
        pytest.param(
            ["pause", "sts/web"],
            1,
            'virtualstatefulsets.nestling.dev "web" pausing is not supported',
            id="sts",
        ),
    ],
)
@pytest.mark.usefixtures("installed")
def test_what_makes_no_sense_is_refused(arguments: list[str], code: int, words: str) -> None:
    done = typed("rollout", *arguments)
    assert done.code == code, done.err
    assert words in done.err


@pytest.mark.parametrize("kind", [STATEFUL_SET, DAEMON_SET], ids=["StatefulSet", "DaemonSet"])
def test_sets_go_back_by_controller_revisions(installed: EmbeddedServer, kind: Kind) -> None:
    spec: JsonObject = {"selector": {"matchLabels": LABELS}, "template": template("web:2")}
    if kind == STATEFUL_SET:
        spec["serviceName"] = "web"
    spec["template"]["spec"]["nodeSelector"] = {"old": "no"}
    owner = put(installed, kind, "web", {"spec": spec})
    word = f"{kind.native.lower()}/web"
    lone = typed("rollout", "undo", word)
    assert "no last revision to roll back to" in lone.err
    for number in (1, 2):
        data = {"spec": {"template": {**template(f"web:{number}"), "$patch": "replace"}}}
        put(
            installed,
            CONTROLLER_REVISION,
            f"web-{number}",
            {"data": data, "revision": number},
            labels=LABELS,
            ownerReferences=owned_by(owner),
        )
    assert "2         <none>" in typed("rollout", "history", word).out
    assert typed("rollout", "undo", word).out == f"{kind.name.lower()}.nestling.dev/web rolled back\n"
    back = get(installed, kind)["spec"]["template"]
    assert back["spec"]["containers"][0]["image"] == "web:1"
    assert "nodeSelector" not in back["spec"]
    assert "$patch" not in back
