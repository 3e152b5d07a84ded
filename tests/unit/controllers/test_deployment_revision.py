"""Revisions of a Deployment: numbers, notes, names, history, and the way back."""

from typing import Any

import pytest

from builders import (
    BIRTH,
    a_deployment,
    a_pod,
    a_replica_set,
    a_template,
    cache_of,
    key_for,
    view_of,
)
from nestling.api.json import JsonObject
from nestling.controllers.deployment import creation, reconcile, revision, rollback, template_of_revision
from nestling.machinery.names import Key
from nestling.machinery.plan import Patch
from nestling.machinery.records.workload import Deployment, ReplicaSet, template_digest
from nestling.machinery.view import View
from world import merge

REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"


def record(obj: JsonObject) -> Deployment:
    return cache_of(obj).table(Deployment).records[key_for(obj)]


def a_set(name: str, number: str, *, age: int = 0, replicas: int = 0, **fields: Any) -> JsonObject:
    notes = {REVISION: number, **fields.pop("notes", {})}
    status = {"observedGeneration": 1, "replicas": 0, **fields.pop("status", {})}
    return a_replica_set(
        name, replicas=replicas, annotations=notes, created_at=BIRTH - age, status=status, **fields
    )


def read(obj: JsonObject) -> ReplicaSet:
    return cache_of(obj).table(ReplicaSet).records[key_for(obj)]


# --- numbers and notes ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("", 0), ("1", 1), ("0", 0), ("-3", -3), ("x", None), ("1.5", None), ("1_000", None), ("9" * 30, None)],
)
def test_revision_of(text: str, wanted: int | None) -> None:
    assert revision.revision_of(text) == wanted


@pytest.mark.parametrize(
    ("old", "wanted"),
    [
        pytest.param([], 1, id="the first"),
        pytest.param(["1", "7", "3"], 8, id="one more than the greatest"),
        pytest.param(["junk", "2"], 3, id="what cannot be read does not count"),
        pytest.param([""], 1, id="none noted"),
    ],
)
def test_next_revision(old: list[str], wanted: int) -> None:
    assert revision.next_revision([read(a_set(f"s{i}", text)) for i, text in enumerate(old)]) == wanted


@pytest.mark.parametrize(
    ("deployment", "present", "number", "wanted"),
    [
        pytest.param({}, {REVISION: "2"}, 2, {}, id="nothing new"),
        pytest.param({}, {}, 1, {REVISION: "1"}, id="adopted: has no revision yet"),
        pytest.param({}, {REVISION: "3"}, 2, {}, id="old ones were deleted: the number stays"),
        pytest.param({}, {REVISION: "1"}, 4, {REVISION: "4", HISTORY: "1"}, id="comes back"),
        pytest.param(
            {}, {REVISION: "4", HISTORY: "1"}, 6, {REVISION: "6", HISTORY: "1,4"}, id="comes back once more"
        ),
        pytest.param({"note": "x"}, {REVISION: "1", "note": "x"}, 1, {}, id="note is there"),
        pytest.param({"note": "y"}, {REVISION: "1", "note": "x"}, 1, {"note": "y"}, id="note has changed"),
        pytest.param(dict.fromkeys(revision.OWN, "7"), {REVISION: "1"}, 1, {}, id="own notes are not copied"),
        pytest.param({"note": "y"}, {REVISION: "junk"}, 5, {}, id="junk: hands off"),
    ],
)
def test_notes(
    deployment: dict[str, str], present: dict[str, str], number: int, wanted: dict[str, str]
) -> None:
    assert revision.notes_for(deployment, present, number) == wanted


def test_history_forgets_the_oldest_when_it_gets_too_long() -> None:
    history = ",".join(["1234567"] * 250)  # 1999 characters
    longer = revision.longer_history(history, "9")
    assert len(longer) <= 2000
    assert longer.endswith(",1234567,9")
    assert revision.longer_history("1,2", "9" * 2001) == "1,2"


# --- cleaning up ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sets", "limit", "wanted"),
    [
        pytest.param(["1", "2", "3"], 1, ["s0", "s1"], id="lowest revisions go"),
        pytest.param(["3", "1", "2"], 2, ["s1"], id="whatever their age"),
        pytest.param(["1", "1"], 1, ["s1"], id="of one revision the older"),
        pytest.param(["1", "2"], 0, ["s0", "s1"], id="keep none"),
        pytest.param(["1", "2"], 2, [], id="within the limit"),
        pytest.param(["1", "2"], None, [], id="no limit"),
        pytest.param([], 0, [], id="none there"),
    ],
)
def test_history_is_cut(sets: list[str], limit: int | None, wanted: list[str]) -> None:
    found = [read(a_set(f"s{i}", text, age=i)) for i, text in enumerate(sets)]
    deletes = revision.expired(found, limit)
    assert [delete.key.name for delete in deletes] == wanted
    assert all(delete.version == 1 for delete in deletes)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"replicas": 1}, id="wants pods"),
        pytest.param({"status": {"replicas": 1}}, id="has pods"),
        pytest.param({"generation": 2}, id="was changed and not looked at since"),
        pytest.param({"deleting_at": BIRTH}, id="is going already"),
    ],
)
def test_history_spares(fields: dict[str, Any]) -> None:
    assert revision.expired([read(a_set("s", "1", **fields))], 0) == []


# --- names and bodies -----------------------------------------------------------------------------


def test_same_template_has_the_same_name_and_another_has_another() -> None:
    keys = [
        creation.new_key(record(a_deployment(template=a_template(image=image), uid=uid)))
        for image, uid in (("web:1", "a"), ("web:1", "b"), ("web:2", "a"))
    ]
    assert keys[0] == keys[1] != keys[2]


def test_collision_changes_the_name() -> None:
    found = {creation.new_key(record(a_deployment(status={"collisionCount": n}))).name for n in range(3)}
    assert len(found) == 3


@pytest.mark.parametrize("namespace", ["default", "shop"])
def test_long_name_is_cut_to_what_a_host_name_may_have(namespace: str) -> None:
    key = creation.new_key(record(a_deployment("w" * (253 - len(namespace) - 1), namespace=namespace)))
    assert len(key.host_name) == 253
    assert key.name[-11] == "-"


def test_body_of_a_new_replica_set() -> None:
    selector = {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]}
    obj = a_deployment(
        replicas=4,
        namespace="shop",
        selector=selector,
        annotations={"note": "yes", REVISION: "7"},
        spec={"minReadySeconds": 5},
    )
    deployment = record(obj)
    key = Key("team-a", "shop", "web-abc")
    body = creation.body_of(deployment, deployment.body, key, replicas=2, revision=8)
    hashed = {"app": "web", "pod-template-hash": creation.template_hash(deployment)}
    assert body["metadata"] == {
        "name": "web-abc.shop",
        "namespace": "team-a",
        "labels": hashed,
        "annotations": {
            "note": "yes",
            REVISION: "8",
            "deployment.kubernetes.io/desired-replicas": "4",
            "deployment.kubernetes.io/max-replicas": "5",
        },
        "ownerReferences": [
            {
                "apiVersion": "nestling.dev/v1alpha1",
                "kind": "VirtualDeployment",
                "name": "web.shop",
                "uid": obj["metadata"]["uid"],
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
    assert body["spec"] == {
        "replicas": 2,
        "minReadySeconds": 5,
        "selector": {"matchLabels": hashed, "matchExpressions": selector["matchExpressions"]},
        "template": {"metadata": {"labels": hashed}, "spec": obj["spec"]["template"]["spec"]},
    }
    assert template_digest(body["spec"]["template"]) == deployment.template_digest


# --- going back -----------------------------------------------------------------------------------

D = a_deployment(
    template=a_template(image="web:3"),
    annotations={"note": "third", REVISION: "3", "gone": "x"},
    version=9,
)


def history_of(deployment: JsonObject = D) -> list[JsonObject]:
    return [
        a_set(
            f"web-{n}",
            str(n),
            owner=deployment,
            template=a_template({"app": "web", "pod-template-hash": str(n)}, image=f"web:{n}"),
            notes={"note": f"number {n}", "deployment.kubernetes.io/desired-replicas": "1"},
        )
        for n in (2, 1, 3)
    ]


def seen() -> tuple[View, Deployment]:
    view = view_of(D, *history_of(), a_set("stranger", "9"), a_pod())
    return view, record(D)


@pytest.mark.parametrize(
    ("number", "image"), [(1, "web:1"), (2, "web:2"), (3, "web:3"), (0, "web:2"), (9, None), (-1, None)]
)
def test_template_of_revision(number: int, image: str | None) -> None:
    found = template_of_revision(*seen(), number)
    assert found == (None if image is None else a_template(image=image))


def test_first_revision_has_none_before_it() -> None:
    view = view_of(D, history_of()[0])
    assert template_of_revision(view, record(D), 0) is None


def test_revisions_are_listed_in_order() -> None:
    assert list(rollback.revisions(*seen())) == [1, 2, 3]


def test_undo_brings_back_template_and_annotations() -> None:
    view, deployment = seen()
    rs = rollback.replica_set_of(view, deployment, 1)
    assert rs is not None
    patch = rollback.undo(deployment, rs)
    assert patch is not None
    after = merge(D, patch)
    assert after["spec"] == {**D["spec"], "template": a_template(image="web:1")}
    assert after["metadata"]["annotations"] == {"note": "number 1", REVISION: "3"}


def test_undo_of_what_is_there_is_nothing() -> None:
    view, deployment = seen()
    rs = rollback.replica_set_of(view, deployment, 3)
    assert rs is not None
    assert rollback.undo(deployment, rs) is None


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1, "b": 2}, {"a": 1}, {"b": None}),
        ({"a": {"x": 1, "y": [1, 2]}}, {"a": {"y": [2]}}, {"a": {"x": None, "y": [2]}}),
        ({"a": {"x": 1}}, {"a": 5}, {"a": 5}),
        ({}, {"a": {"x": 1}}, {"a": {"x": 1}}),
    ],
)
def test_difference_is_a_merge_patch(before: JsonObject, after: JsonObject, wanted: JsonObject) -> None:
    assert rollback.difference(before, after) == wanted
    assert merge(before, wanted) == after


@pytest.mark.parametrize(
    ("asked", "image", "said"),
    [
        pytest.param(
            "1", "web:1", 'Normal DeploymentRollback Rolled back deployment "web" to revision 1', id="there"
        ),
        pytest.param(
            "0", "web:2", 'Normal DeploymentRollback Rolled back deployment "web" to revision 2', id="last"
        ),
        pytest.param(
            "3",
            "web:3",
            "Warning DeploymentRollbackTemplateUnchanged "
            'The rollback revision contains the same template as current deployment "web"',
            id="the present one",
        ),
        pytest.param(
            "9",
            "web:3",
            "Warning DeploymentRollbackRevisionNotFound Unable to find the revision to rollback to.",
            id="unknown",
        ),
    ],
)
def test_annotation_of_old_clients_is_obeyed_and_taken_off(asked: str, image: str, said: str) -> None:
    obj = a_deployment(
        template=a_template(image="web:3"),
        annotations={revision.ROLLBACK_TO: asked, REVISION: "3"},
        version=9,
    )
    (patch,) = reconcile(view_of(obj, *history_of(obj)), key_for(obj)).writes
    assert isinstance(patch, Patch)
    assert patch.version == 9
    after = merge(obj, patch.body)
    assert revision.ROLLBACK_TO not in after["metadata"]["annotations"]
    assert after["spec"]["template"] == a_template(image=image)
    assert patch.on_success is not None
    assert f"{patch.on_success.type} {patch.on_success.reason} {patch.on_success.message}" == said


@pytest.mark.parametrize("text", ["", "junk", "1.5"])
def test_annotation_that_says_nothing_is_ignored(text: str) -> None:
    assert rollback.asked_for({revision.ROLLBACK_TO: text}) is None
