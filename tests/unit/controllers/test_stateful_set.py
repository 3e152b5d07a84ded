"""StatefulSets: who comes and who goes, in which order, what pods look like, and what is said about it."""

from collections.abc import Sequence
from typing import Any

import pytest

from builders import (
    NOW,
    a_pod,
    a_revision,
    a_stateful_set,
    a_template,
    cache_of,
    controller_ref,
    key_for,
    view_of,
)
from nestling.api.json import JsonObject
from nestling.api.kinds import CONTROLLER_REVISION, POD, STATEFUL_SET
from nestling.controllers.stateful_set import routes
from nestling.controllers.stateful_set.reconcile import reconcile
from nestling.machinery.cache import Change
from nestling.machinery.plan import Create, Delete, Emit, Patch, Plan
from nestling.machinery.records.pod import Pod
from nestling.machinery.view import View

OLD = a_template(image="web:0")
PARALLEL: JsonObject = {"podManagementPolicy": "Parallel"}


def names(sts: JsonObject) -> tuple[str, str]:
    """The names of the revisions of the old and of the present template."""
    old, new = (a_revision(sts, template=template) for template in (OLD, sts["spec"]["template"]))
    return key_for(old).name, key_for(new).name


def a_set(replicas: int = 1, *, updating: bool = False, **fields: Any) -> JsonObject:
    """A StatefulSet whose revisions are reported; `updating` from the old template to the present one."""
    sts = a_stateful_set(replicas=replicas, **fields)
    old, new = names(sts)
    status = {"replicas": 0, "currentRevision": old if updating else new, "updateRevision": new}
    sts["status"] = {**status, **(sts.get("status") or {})}
    return sts


def history(sts: JsonObject) -> list[JsonObject]:
    """The revisions that go with `a_set`."""
    old, new = names(sts)
    found = [a_revision(sts, number=2 if old == sts["status"]["currentRevision"] else 1)]
    if sts["status"]["currentRevision"] == old != new:
        found.append(a_revision(sts, number=1, template=OLD))
    return found


def numbered(sts: JsonObject, ordinal: int, *, old: bool = False, **fields: Any) -> JsonObject:
    """The pod of a number, ready unless something else is said."""
    key = key_for(sts)
    name = f"{key.name}-{ordinal}"
    labels = {
        "app": "web",
        "statefulset.kubernetes.io/pod-name": name,
        "apps.kubernetes.io/pod-index": str(ordinal),
        "controller-revision-hash": names(sts)[0 if old else 1],
    }
    fields.setdefault("ready", "phase" not in fields)
    fields.setdefault("owner", sts)
    return a_pod(name, namespace=key.namespace, labels=labels, **fields)


def plan_for(sts: JsonObject, *others: JsonObject, now: float = NOW, refusal: str = "") -> Plan:
    return reconcile(view_of(sts, *others, *history(sts), now=now, refusal=refusal), key_for(sts))


def created(plan: Plan) -> list[str]:
    return [write.key.name for write in plan.writes if isinstance(write, Create) and write.kind is POD]


def deleted(plan: Plan) -> list[str]:
    return [write.key.name for write in plan.writes if isinstance(write, Delete) and write.kind is POD]


def status_written(plan: Plan) -> JsonObject | None:
    found = [w.body["status"] for w in plan.writes if isinstance(w, Patch) and w.subresource == "status"]
    assert len(found) <= 1
    return found[0] if found else None


# --- in order -------------------------------------------------------------------------------------

GOING: JsonObject = {"deleting_at": NOW, "finalizers": ["x"]}


@pytest.mark.parametrize(
    ("replicas", "pods", "comes", "goes"),
    [
        pytest.param(0, {}, [], [], id="none wanted"),
        pytest.param(3, {}, ["web-0"], [], id="first comes alone"),
        pytest.param(3, {0: {}}, ["web-1"], [], id="second follows the first"),
        pytest.param(3, {0: {"phase": "Pending"}}, [], [], id="nobody follows a pod that waits"),
        pytest.param(3, {0: {"phase": ""}}, [], [], id="nor one that nobody has looked at"),
        pytest.param(3, {0: {"phase": "Running"}}, [], [], id="nor one that is not ready"),
        pytest.param(3, {0: GOING}, [], [], id="nor one that is on its way out"),
        pytest.param(3, {1: {}}, ["web-0"], [], id="a gap is filled"),
        pytest.param(3, {0: {}, 1: {"phase": "Running"}, 2: {}}, [], [], id="an unready pod blocks"),
        pytest.param(2, {0: {"phase": "Failed"}, 1: {}}, [], ["web-0"], id="failed pod goes first"),
        pytest.param(2, {0: {"phase": "Succeeded"}, 1: {}}, [], ["web-0"], id="so does a finished one"),
        pytest.param(2, {0: {"phase": "Failed", **GOING}, 1: {}}, [], [], id="and is waited for"),
        pytest.param(1, {0: {}, 1: {}, 2: {}}, [], ["web-2"], id="highest goes first"),
        pytest.param(1, {0: {}, 1: {}, 2: GOING}, [], [], id="one at a time"),
        pytest.param(1, {0: {"phase": "Running"}, 1: {}}, [], [], id="nobody goes while another is not well"),
        pytest.param(1, {0: {}, 1: {"phase": "Running"}, 2: {}}, [], ["web-2"], id="a well one goes first"),
        pytest.param(
            1, {0: {}, 1: {"phase": "Running"}, 2: {"phase": "Running"}}, [], [], id="of two unwell none goes"
        ),
        pytest.param(1, {0: {}, 1: {"phase": "Running"}}, [], ["web-1"], id="the only unwell one goes"),
        pytest.param(0, {0: {"phase": "Pending"}}, [], ["web-0"], id="even one that never ran"),
        pytest.param(2**31 - 1, {}, ["web-0"], [], id="absurdly many"),
    ],
)
def test_pods_come_and_go_in_order(
    replicas: int, pods: dict[int, JsonObject], comes: list[str], goes: list[str]
) -> None:
    sts = a_set(replicas)
    plan = plan_for(sts, *(numbered(sts, ordinal, **fields) for ordinal, fields in pods.items()))
    assert (created(plan), deleted(plan)) == (comes, goes)


@pytest.mark.parametrize(
    ("ready_for", "comes", "wake_in"),
    [
        pytest.param(9, [], 1, id="one second left"),
        pytest.param(10, ["web-1"], None, id="exactly long enough"),
    ],
)
def test_next_pod_waits_until_the_one_before_has_been_ready_for_long(
    ready_for: float, comes: list[str], wake_in: float | None
) -> None:
    sts = a_set(2, spec={"minReadySeconds": 10})
    plan = plan_for(sts, numbered(sts, 0, ready_at=NOW - ready_for))
    assert created(plan) == comes
    assert plan.wake_at == (None if wake_in is None else NOW + wake_in)


# --- in parallel ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replicas", "pods", "comes", "goes"),
    [
        pytest.param(3, {}, ["web-0", "web-1", "web-2"], [], id="all at once"),
        pytest.param(3, {1: {"phase": "Pending"}}, ["web-0", "web-2"], [], id="nobody waits"),
        pytest.param(2, {0: GOING}, ["web-1"], [], id="a number is not given twice"),
        pytest.param(2, {0: {"phase": "Failed"}}, ["web-1"], ["web-0"], id="failed pod goes"),
        pytest.param(
            1,
            {0: {}, 1: {}, 2: {"phase": "Pending"}, 3: GOING},
            [],
            ["web-2", "web-1"],
            id="surplus goes at once",
        ),
    ],
)
def test_pods_come_and_go_in_parallel(
    replicas: int, pods: dict[int, JsonObject], comes: list[str], goes: list[str]
) -> None:
    sts = a_set(replicas, spec=PARALLEL)
    plan = plan_for(sts, *(numbered(sts, ordinal, **fields) for ordinal, fields in pods.items()))
    assert (created(plan), deleted(plan)) == (comes, goes)


@pytest.mark.parametrize("replicas", [501, 2**31 - 1])
def test_no_more_than_500_come_in_one_look(replicas: int) -> None:
    assert len(created(plan_for(a_set(replicas, spec=PARALLEL)))) == 500


def test_no_more_than_500_go_in_one_look() -> None:
    sts = a_set(0, spec=PARALLEL)
    assert len(deleted(plan_for(sts, *(numbered(sts, ordinal) for ordinal in range(501))))) == 500


# --- numbers --------------------------------------------------------------------------------------


def test_numbers_begin_where_they_are_told_to() -> None:
    sts = a_set(2, spec={**PARALLEL, "ordinals": {"start": 5}})
    plan = plan_for(sts, numbered(sts, 4), numbered(sts, 5))
    assert (created(plan), deleted(plan)) == (["web-6"], ["web-4"])


@pytest.mark.parametrize("name", ["web-007", "web-99999999999", "web-2147483648"])
def test_pod_whose_number_nobody_would_spell_so_is_left_alone(name: str) -> None:
    sts = a_set(0)
    assert plan_for(sts, a_pod(name, owner=sts)).writes == (plan_for(sts).writes)


def test_pods_of_other_names_are_let_go() -> None:
    sts = a_set(0)
    other = a_pod("api-0", owner=sts, version=4)
    plan = plan_for(sts, other)
    assert (
        Patch(POD, key_for(other), other["metadata"]["uid"], {"metadata": {"ownerReferences": []}}, version=4)
        in plan.writes
    )


def test_orphan_of_its_name_is_taken_in_and_labelled() -> None:
    sts = a_set(1)
    orphan = a_pod("web-0", ready=True, version=4)
    plan = plan_for(sts, orphan, a_pod("api-0"))
    labels = {"statefulset.kubernetes.io/pod-name": "web-0", "apps.kubernetes.io/pod-index": "0"}
    patches = [write.body for write in plan.writes if isinstance(write, Patch) and write.kind is POD]
    assert patches == [
        {"metadata": {"ownerReferences": [controller_ref(sts)]}},
        {"metadata": {"labels": labels}},
    ]
    (said,) = [w.on_success for w in plan.writes if isinstance(w, Patch) and w.on_success]
    assert (said.reason, said.message) == (
        "SuccessfulUpdate",
        "Update Pod web-0 in StatefulSet web successful",
    )
    assert not created(plan)


# --- what a pod looks like ------------------------------------------------------------------------


def test_pod_has_the_names_labels_and_claims_of_its_number() -> None:
    claim = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    template = a_template(volumes=[{"name": "tmp", "emptyDir": {}}, {"name": "data", "emptyDir": {}}])
    sts = a_set(namespace="shop", template=template, spec={"volumeClaimTemplates": [claim]})
    (create,) = [write for write in plan_for(sts).writes if isinstance(write, Create)]
    assert create.key == ("team-a", "shop", "web-0")
    assert create.body == {
        "apiVersion": "nestling.dev/v1alpha1",
        "kind": "VirtualPod",
        "metadata": {
            "name": "web-0.shop",
            "namespace": "team-a",
            "labels": {
                "app": "web",
                "statefulset.kubernetes.io/pod-name": "web-0",
                "apps.kubernetes.io/pod-index": "0",
                "controller-revision-hash": names(sts)[1],
            },
            "ownerReferences": [controller_ref(sts)],
        },
        "spec": {
            "containers": [{"name": "main", "image": "web:1"}],
            "hostname": "web-0",
            "subdomain": "web",
            "volumes": [
                {"name": "data", "persistentVolumeClaim": {"claimName": "data-web-0"}},
                {"name": "tmp", "emptyDir": {}},
            ],
        },
    }


def test_pod_without_a_service_has_no_subdomain_of_its_template() -> None:
    sts = a_set(template=a_template(subdomain="other"), spec={"serviceName": None})
    (create,) = [write for write in plan_for(sts).writes if isinstance(write, Create)]
    assert "subdomain" not in create.body["spec"]


@pytest.mark.parametrize(
    ("strategy", "current_replicas", "images"),
    [
        pytest.param({"rollingUpdate": {"partition": 0}}, 3, ["web:1"] * 3, id="no partition"),
        pytest.param({"rollingUpdate": {"partition": 2}}, 0, ["web:0", "web:0", "web:1"], id="partition"),
        pytest.param({"rollingUpdate": {"partition": 9}}, 0, ["web:0"] * 3, id="partition beyond all"),
        pytest.param({}, 2, ["web:0", "web:0", "web:1"], id="no bounds: as many old ones as there are"),
        pytest.param({"type": "OnDelete"}, 3, ["web:1"] * 3, id="OnDelete"),
    ],
)
def test_pod_is_made_from_the_revision_of_its_number(
    strategy: JsonObject, current_replicas: int, images: list[str]
) -> None:
    sts = a_set(
        3,
        updating=True,
        spec=PARALLEL,
        strategy={"type": "RollingUpdate", **strategy},
        status={"currentReplicas": current_replicas},
    )
    pods = [w.body for w in plan_for(sts).writes if isinstance(w, Create) and w.kind is POD]
    assert [pod["spec"]["containers"][0]["image"] for pod in pods] == images
    old, new = names(sts)
    revisions = {"web:0": old, "web:1": new}
    assert [pod["metadata"]["labels"]["controller-revision-hash"] for pod in pods] == [
        revisions[image] for image in images
    ]


# --- updates --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bounds", "pods", "goes"),
    [
        pytest.param({}, "oooo", [3], id="highest goes first"),
        pytest.param({}, "ooon", [2], id="then the next"),
        pytest.param({}, "ooog", [], id="one at a time"),
        pytest.param({}, "ooou", [], id="an unready one is waited for"),
        pytest.param({}, "nnnn", [], id="all are new"),
        pytest.param({"partition": 2}, "oonn", [], id="down to the partition"),
        pytest.param({"partition": 3}, "oooo", [3], id="partition"),
        pytest.param({"maxUnavailable": 2}, "oooo", [3, 2], id="two at a time"),
        pytest.param({"maxUnavailable": "60%"}, "oooo", [3, 2], id="percentage rounds down"),
        pytest.param({"maxUnavailable": "1%"}, "oooo", [3], id="but not to nothing"),
        pytest.param({"maxUnavailable": 9}, "oooo", [3, 2, 1, 0], id="all at a time"),
        pytest.param({"maxUnavailable": 2}, "oonu", [], id="in order, an unready one blocks everything"),
    ],
)
def test_update_in_order(bounds: JsonObject, pods: str, goes: list[int]) -> None:
    assert updated(pods, {"rollingUpdate": {"partition": 0, **bounds}}, {}) == goes


@pytest.mark.parametrize(
    ("bounds", "pods", "goes"),
    [
        pytest.param({}, "oooo", [3], id="highest goes first"),
        pytest.param({}, "oooU", [3], id="an old one that serves nobody goes at once"),
        pytest.param({}, "UUUU", [3, 2, 1, 0], id="and so do all of them"),
        pytest.param({}, "oooz", [], id="but not twice"),
        pytest.param({}, "ooou", [], id="a new one that is not ready uses up the budget"),
        pytest.param({}, "oU.n", [1], id="a missing one too"),
        pytest.param({"maxUnavailable": 2}, "oooU", [3, 2], id="the rest of the budget goes to others"),
        pytest.param({"maxUnavailable": 3}, "Uoou", [0, 2], id="useless ones first, then the highest"),
        pytest.param({"partition": 2, "maxUnavailable": 4}, "UoUo", [2, 3], id="down to the partition"),
    ],
)
def test_update_in_parallel(bounds: JsonObject, pods: str, goes: list[int]) -> None:
    assert updated(pods, {"rollingUpdate": {"partition": 0, **bounds}}, PARALLEL) == goes


@pytest.mark.parametrize("policy", [{}, PARALLEL], ids=["in order", "in parallel"])
def test_on_delete_leaves_pods_to_their_user(policy: JsonObject) -> None:
    assert updated("ooo", {"type": "OnDelete"}, policy) == []


def updated(pods: str, strategy: JsonObject, spec: JsonObject) -> list[int]:
    """Numbers that go. Old ones: o ready, U not ready, z going; new ones: n ready, u not ready, g going."""
    sts = a_set(len(pods), updating=True, spec=spec, strategy={"type": "RollingUpdate", **strategy})
    state: dict[str, JsonObject] = {"o": {}, "n": {}, "z": GOING, "g": GOING}
    plan = plan_for(
        sts,
        *(
            numbered(sts, ordinal, old=letter in "oUz", **state.get(letter, {"phase": "Running"}))
            for ordinal, letter in enumerate(pods)
            if letter != "."
        ),
    )
    return [int(name.rpartition("-")[2]) for name in deleted(plan)]


def test_failed_pod_of_an_old_revision_is_deleted_once() -> None:
    sts = a_set(1, updating=True, spec=PARALLEL)
    assert deleted(plan_for(sts, numbered(sts, 0, old=True, phase="Failed"))) == ["web-0"]


# --- revisions ------------------------------------------------------------------------------------


def test_revision_and_status_come_before_the_first_pod() -> None:
    sts = a_stateful_set(replicas=2)
    plan = reconcile(view_of(sts), key_for(sts))
    kinds = [(type(write).__name__, write.kind.name) for write in plan.writes]
    assert kinds == [
        ("Create", "VirtualControllerRevision"),
        ("Patch", "VirtualStatefulSet"),
        ("Create", "VirtualPod"),
    ]
    assert status_written(plan) == {
        "replicas": 0,
        "readyReplicas": 0,
        "availableReplicas": 0,
        "currentReplicas": 0,
        "updatedReplicas": 0,
        "currentRevision": names(sts)[1],
        "updateRevision": names(sts)[1],
        "collisionCount": 0,
        "observedGeneration": 1,
        "selector": "app=web",
        "display": {"ready": "0/2"},
    }


def test_old_revisions_beyond_the_limit_are_forgotten_lowest_first() -> None:
    sts = a_set(1, updating=True, spec={"revisionHistoryLimit": 1})
    past = [
        a_revision(sts, number=number, template=a_template(image=f"web:{number}0"), name=f"past-{number}")
        for number in (3, 5, 4)
    ]
    pod = numbered(sts, 0, old=True, phase="Running")
    plan = plan_for(sts, pod, *past)
    gone = [w.key.name for w in plan.writes if isinstance(w, Delete) and w.kind is CONTROLLER_REVISION]
    # Two of four would be in use: the pod's own, and the new one, which comes back and is not past any more.
    assert gone == ["past-3", "past-4"]


def test_revision_that_a_pod_is_made_from_is_never_forgotten() -> None:
    sts = a_set(2, spec={"revisionHistoryLimit": 0})
    kept = a_revision(sts, number=0, template=OLD)
    pods = [numbered(sts, 0), numbered(sts, 1, old=True, phase="Running")]
    assert not [w for w in plan_for(sts, *pods, kept).writes if w.kind is CONTROLLER_REVISION]


# --- status ---------------------------------------------------------------------------------------


def counts(plan: Plan) -> Sequence[int]:
    status = status_written(plan)
    assert status is not None
    names = ("replicas", "readyReplicas", "availableReplicas", "currentReplicas", "updatedReplicas")
    return tuple(status.get(name, 0) for name in names)


@pytest.mark.parametrize(
    ("pods", "wanted"),
    [
        pytest.param("n", (1, 1, 1, 1, 1), id="one ready"),
        pytest.param("u", (1, 0, 0, 1, 1), id="one not ready"),
        pytest.param("g", (1, 1, 1, 0, 0), id="one on its way out is there, and of no revision"),
    ],
)
def test_status_counts_pods(pods: str, wanted: Sequence[int]) -> None:
    sts = a_set(1)
    fields: JsonObject = {"n": {}, "u": {"phase": "Running"}, "g": GOING}[pods]
    plan = plan_for(sts, numbered(sts, 0, **fields))
    assert counts(plan) == wanted


def test_ready_pod_counts_as_available_after_a_while() -> None:
    sts = a_set(1, spec={"minReadySeconds": 10})
    plan = plan_for(sts, numbered(sts, 0, ready_at=NOW - 9))
    assert counts(plan) == (1, 1, 0, 1, 1)
    assert plan.wake_at == NOW + 1


def test_status_says_before_a_deletion_that_one_less_is_of_the_current_revision() -> None:
    sts = a_set(2, updating=True, strategy={"type": "RollingUpdate"}, status={"currentReplicas": 2})
    plan = plan_for(sts, *(numbered(sts, ordinal, old=True) for ordinal in range(2)))
    kinds = [type(write).__name__ for write in plan.writes]
    assert kinds == ["Patch", "Delete"]
    assert counts(plan) == (2, 2, 2, 1, 0)


def test_update_revision_becomes_the_current_one_when_all_have_it() -> None:
    sts = a_set(2, updating=True, status={"currentReplicas": 1, "updatedReplicas": 1})
    ready = [numbered(sts, ordinal) for ordinal in range(2)]
    status = status_written(plan_for(sts, *ready))
    assert status is not None
    assert (status["currentRevision"], status["currentReplicas"]) == (names(sts)[1], 2)
    unready = [numbered(sts, 0), numbered(sts, 1, phase="Running")]
    status = status_written(plan_for(sts, *unready))
    assert status is not None
    assert "currentRevision" not in status


def test_status_that_stands_is_not_written_again() -> None:
    sts = a_set(1)
    pod = numbered(sts, 0)
    sts["status"].update(status_written(plan_for(sts, pod)) or {})
    assert plan_for(sts, pod) == Plan.done()


def test_creation_alone_makes_no_status() -> None:
    sts = a_set(2)
    plan = plan_for(sts, numbered(sts, 0))
    assert created(plan) == ["web-1"]
    assert status_written(plan) is None


def test_refused_creation_lets_the_status_come_first() -> None:
    sts = a_set(2)
    plan = plan_for(sts, numbered(sts, 0), refusal="exceeded quota: small")
    assert counts(plan) == (1, 1, 1, 1, 1)
    assert created(plan) == ["web-1"]


# --- on its way out, and bad input ----------------------------------------------------------------


def test_one_on_its_way_out_only_counts() -> None:
    sts = a_set(3, deleting_at=NOW, finalizers=["foregroundDeletion"])
    plan = plan_for(sts, numbered(sts, 0), a_pod("web-1"))
    assert [write.kind for write in plan.writes] == [STATEFUL_SET]
    assert counts(plan) == (1, 1, 1, 1, 1)


def test_one_on_its_way_out_makes_no_revision() -> None:
    sts = a_set(0, deleting_at=NOW, finalizers=["foregroundDeletion"])
    plan = reconcile(view_of(sts), key_for(sts))
    assert [write.kind for write in plan.writes] == [STATEFUL_SET]


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"selector": {}}, id="selects everything"),
        pytest.param({"selector": None}, id="selects nothing"),
        pytest.param({"selector": {"matchExpressions": [{"key": "a", "operator": "x"}]}}, id="unreadable"),
        pytest.param({"selector": {"matchLabels": {"app": "db"}}}, id="does not select its template"),
        pytest.param({"template": None}, id="no template"),
    ],
)
def test_one_that_makes_no_sense_makes_no_pods(spec: JsonObject) -> None:
    sts = a_stateful_set(spec=spec)
    assert reconcile(view_of(sts), key_for(sts)) == Plan.done()


def test_gone() -> None:
    assert reconcile(view_of(), key_for(a_stateful_set())) == Plan.done()


# --- events ---------------------------------------------------------------------------------------


def test_creates_and_deletes_say_what_happened() -> None:
    sts = a_set(1)
    (create,) = [write for write in plan_for(sts).writes if isinstance(write, Create)]
    assert create.on_success == Emit(
        STATEFUL_SET, key_for(sts), sts["metadata"]["uid"], "Normal", "SuccessfulCreate",
        "Create Pod web-0 in StatefulSet web successful", "statefulset-controller",
    )  # fmt: skip
    assert create.on_failure is not None
    said = create.on_failure("exceeded quota: small")
    assert (said.type, said.reason, said.message) == (
        "Warning",
        "FailedCreate",
        "Create Pod web-0 in StatefulSet web failed error: exceeded quota: small",
    )
    empty = a_set(0)
    (delete,) = [w for w in plan_for(empty, numbered(empty, 0)).writes if isinstance(w, Delete)]
    assert delete.on_success is not None
    assert (delete.on_success.reason, delete.on_success.message) == (
        "SuccessfulDelete",
        "Delete Pod web-0 in StatefulSet web successful",
    )


# --- whom a change concerns -----------------------------------------------------------------------


def woken(route: int, before: JsonObject | None, after: JsonObject | None, *others: JsonObject) -> list[str]:
    """Names of the StatefulSets that a change of a pod wakes by one of the routes."""
    view: View = view_of(*others)
    old, new = (
        None if pod is None else next(iter(cache_of(pod).table(Pod).records.values()))
        for pod in (before, after)
    )
    record = new or old
    assert record is not None
    keys = routes.CONTROLLER.concerns[POD][route].keys(view, Change(POD, record.key, old, new))
    return [key.name for key in keys]


WORK, TURN, FIGURES = range(3)


@pytest.mark.parametrize(
    ("route", "before", "after", "wanted"),
    [
        pytest.param(WORK, None, {"phase": "Pending"}, ["web"], id="came"),
        pytest.param(WORK, {}, None, ["web"], id="went"),
        pytest.param(WORK, {}, GOING, ["web"], id="on its way out"),
        pytest.param(WORK, {}, {"phase": "Failed"}, ["web"], id="failed"),
        pytest.param(WORK, {"phase": "Running"}, {}, [], id="ready is for another route"),
        pytest.param(TURN, {"phase": "Running"}, {}, ["web"], id="ready"),
        pytest.param(TURN, {}, {"ip": "10.0.0.1"}, [], id="nothing that counts"),
        pytest.param(FIGURES, {"phase": "Running"}, {}, [], id="in order nothing is gathered"),
    ],
)
def test_changes_of_a_pod_wake_its_set(
    route: int, before: JsonObject | None, after: JsonObject | None, wanted: list[str]
) -> None:
    sts = a_set(1)
    old, new = (None if one is None else numbered(sts, 0, **one) for one in (before, after))
    assert woken(route, old, new, sts) == wanted


def test_in_parallel_readiness_is_gathered() -> None:
    sts = a_set(1, spec=PARALLEL)
    old, new = numbered(sts, 0, phase="Running"), numbered(sts, 0)
    assert woken(FIGURES, old, new, sts) == ["web"]
    assert woken(TURN, old, new, sts) == []
    assert routes.CONTROLLER.concerns[POD][FIGURES].delay_s > 0


@pytest.mark.parametrize(
    ("name", "wanted"),
    [pytest.param("web-0", ["web"], id="of its name"), pytest.param("x-0", [], id="other")],
)
def test_orphan_wakes_those_that_could_take_it_in(name: str, wanted: list[str]) -> None:
    assert woken(WORK, None, a_pod(name), a_set(1)) == wanted
