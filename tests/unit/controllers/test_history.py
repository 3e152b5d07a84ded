"""Revisions: their names, when there is a new one, when an old one comes back, and what is kept."""

import copy
from typing import Any

import pytest

from builders import BIRTH, a_revision, a_stateful_set, a_template, cache_of, key_for, view_of
from nestling.api.json import JsonObject
from nestling.api.kinds import CONTROLLER_REVISION
from nestling.controllers.history import (
    Present,
    by_number,
    forget,
    hash_of,
    name_of,
    present,
    revisions_of,
)
from nestling.machinery.names import Key
from nestling.machinery.plan import Create, Delete, Patch
from nestling.machinery.records.revisioned import ControllerRevision, StatefulSet
from nestling.machinery.view import View

LABEL = "controller.kubernetes.io/hash"
# Of a_template(), by Go's own JSON and FNV.
HASH, HASH_1 = "7c5c47dbff", "7c5c47dbfd"
ODD = {"command": ["sh", "-c", 'a < b && c > é\u2028 "x" \u0001 \u007f \b\f\t']}


def with_command(template: JsonObject) -> JsonObject:
    template["spec"]["containers"][0].update(ODD)
    return template


@pytest.mark.parametrize(
    ("template", "collisions", "wanted"),
    [
        pytest.param(a_template(), 0, HASH, id="plain"),
        pytest.param(a_template(), 1, HASH_1, id="after a collision"),
        pytest.param(with_command(a_template()), 0, "6c6bd6b995", id="what Go escapes"),
    ],
)
def test_hash_is_the_one_that_kubernetes_makes_of_these_bytes(
    template: JsonObject, collisions: int, wanted: str
) -> None:
    assert hash_of(template, collisions) == wanted


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        pytest.param("web:1", "IfNotPresent", id="tag"),
        pytest.param("web", "Always", id="no tag"),
        pytest.param("example.com:5000/web", "Always", id="a port is no tag"),
        pytest.param("example.com:5000/web:latest", "Always", id="latest"),
        pytest.param("web@sha256:0123", "IfNotPresent", id="digest"),
    ],
)
def test_hash_is_that_of_a_template_that_says_when_to_pull(image: str, policy: str) -> None:
    said = a_template(image=image)
    said["spec"]["initContainers"] = [{"name": "first", "image": image}]
    unsaid = copy.deepcopy(said)
    for container in (*said["spec"]["containers"], *said["spec"]["initContainers"]):
        container["imagePullPolicy"] = policy
    assert hash_of(unsaid, 0) == hash_of(said, 0)


def test_hash_is_the_one_that_kube_controller_manager_has_given() -> None:
    stored = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {
            "containers": [
                {
                    "name": "main",
                    "image": "web:1",
                    "resources": {},
                    "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File",
                }
            ],
            "dnsPolicy": "ClusterFirst",
            "restartPolicy": "Always",
            "schedulerName": "default-scheduler",
            "securityContext": {},
            "terminationGracePeriodSeconds": 30,
        },
    }
    assert hash_of(stored, 0) == "6754887f45"


def test_hash_does_not_depend_on_the_order_of_fields() -> None:
    backwards = {name: a_template()[name] for name in reversed(a_template())}
    assert hash_of(backwards, 0) == HASH


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        pytest.param(Key("team-a", "default", "web"), "web-abc", id="short"),
        pytest.param(Key("team-a", "default", "w" * 230), "w" * 223 + "-abc", id="cut where Kubernetes cuts"),
        pytest.param(Key("team-a", "n" * 60, "w" * 230), "w" * 188 + "-abc", id="cut for the host name"),
    ],
)
def test_name_fits(owner: Key, name: str) -> None:
    key = name_of(owner, "abc")
    assert key.name == name
    assert len(key.host_name) <= 253


# --- the present revision -------------------------------------------------------------------------


def look(sts: JsonObject, *revisions: JsonObject) -> tuple[View, StatefulSet, list[ControllerRevision]]:
    view = view_of(sts, *revisions)
    record = view.get(StatefulSet, key_for(sts))
    assert record is not None
    return view, record, list(revisions_of(view, record).held)


def found(sts: JsonObject, *revisions: JsonObject) -> Present:
    view, record, held = look(sts, *revisions)
    return present(view, record, held, label=LABEL)


def other(sts: JsonObject, number: int, image: str = "web:0", **meta: Any) -> JsonObject:
    return a_revision(sts, number=number, template=a_template(image=image), **meta)


def test_first_template_gets_revision_one() -> None:
    sts = a_stateful_set(namespace="shop", annotations={"kubernetes.io/change-cause": "first"})
    answer = found(sts)
    assert (answer.name, answer.hash, answer.number, answer.collisions) == (f"web-{HASH}", HASH, 1, 0)
    assert answer.write == Create(
        CONTROLLER_REVISION,
        Key("team-a", "shop", f"web-{HASH}"),
        {
            "apiVersion": "nestling.dev/v1alpha1",
            "kind": "VirtualControllerRevision",
            "metadata": {
                "name": f"web-{HASH}.shop",
                "namespace": "team-a",
                "labels": {"app": "web", LABEL: HASH},
                "annotations": {"kubernetes.io/change-cause": "first"},
                "ownerReferences": a_revision(sts)["metadata"]["ownerReferences"],
            },
            "data": {"spec": {"template": {"$patch": "replace", **a_template()}}},
            "revision": 1,
        },
    )


def test_new_template_gets_the_next_number() -> None:
    sts = a_stateful_set()
    answer = found(sts, other(sts, 4), other(sts, 7, "web:00"))
    assert answer.number == 8
    assert isinstance(answer.write, Create)


def test_present_template_is_written_once() -> None:
    sts = a_stateful_set()
    answer = found(sts, other(sts, 1), a_revision(sts, number=2))
    assert answer == Present(f"web-{HASH}", HASH, 2, 0)


@pytest.mark.parametrize(
    "template",
    [
        pytest.param(a_template(resources={}), id="nothing in resources"),
        pytest.param(
            {**a_template(), "metadata": {"labels": {"app": "web"}, "annotations": None}}, id="null"
        ),
    ],
)
def test_the_same_pods_are_the_same_revision_however_it_was_spelled(template: JsonObject) -> None:
    sts = a_stateful_set()
    assert found(sts, a_revision(sts, template=template)).write is None


def test_template_that_comes_back_gets_the_next_number() -> None:
    sts = a_stateful_set()
    back = a_revision(sts, number=1, version=5)
    answer = found(sts, back, other(sts, 2), other(sts, 3, "web:00"))
    assert answer.write == Patch(
        CONTROLLER_REVISION, key_for(back), back["metadata"]["uid"], {"revision": 4}, version=5
    )
    assert (answer.name, answer.number) == (f"web-{HASH}", 4)


def test_name_that_belongs_to_other_content_is_a_collision() -> None:
    sts = a_stateful_set()
    answer = found(sts, other(sts, 1, name=f"web-{HASH}"))
    assert (answer.name, answer.collisions, answer.number) == (f"web-{HASH_1}", 1, 2)


def test_collisions_that_were_counted_are_hashed_along() -> None:
    sts = a_stateful_set(status={"replicas": 0, "collisionCount": 1})
    assert found(sts).name == f"web-{HASH_1}"


def test_revision_of_a_predecessor_serves_until_it_is_gone() -> None:
    sts = a_stateful_set()
    before = a_stateful_set(uid="uid-of-before")
    answer = found(sts, a_revision(before, number=3))
    assert answer == Present(f"web-{HASH}", HASH, 3, 0)


# --- adoption, order, deletion --------------------------------------------------------------------


def test_orphans_that_are_selected_are_taken_in() -> None:
    sts = a_stateful_set(version=9)
    mine = other(sts, 2)
    orphan = a_revision(sts, owner=None)
    stranger = other(sts, 3, "web:9", owner=None, labels={"app": "db"})
    foreign = other(sts, 3, "web:8", owner=a_stateful_set("db"))
    view, record, _ = look(sts, mine, orphan, stranger, foreign)
    claims = revisions_of(view, record)
    assert [one.key.name for one in claims.held] == [
        orphan["metadata"]["name"],
        mine["metadata"]["name"],
    ]
    assert [(write.kind, write.key.name, write.version) for write in claims.writes] == [
        (sts_kind(sts), "web", 9),
        (CONTROLLER_REVISION, orphan["metadata"]["name"], 1),
    ]


def sts_kind(sts: JsonObject) -> Any:
    record = look(sts)[1]
    return record.KIND


def test_lowest_number_comes_first_then_the_oldest_then_by_name() -> None:
    sts = a_stateful_set()
    revisions = [
        a_revision(sts, name="d", number=2),
        a_revision(sts, name="c", number=1, created_at=BIRTH + 1),
        a_revision(sts, name="b", number=1),
        a_revision(sts, name="a", number=1),
    ]
    records = cache_of(*revisions).table(ControllerRevision).records.values()
    assert [one.key.name for one in sorted(records, key=by_number)] == ["a", "b", "c", "d"]


def test_only_what_is_as_we_saw_it_is_forgotten() -> None:
    sts = a_stateful_set()
    going = a_revision(sts, name="going", deleting_at=BIRTH, finalizers=["x"])
    kept = a_revision(sts, name="kept", version=3)
    records = list(cache_of(going, kept).table(ControllerRevision).records.values())
    assert forget(records) == [Delete(CONTROLLER_REVISION, key_for(kept), kept["metadata"]["uid"], version=3)]


def test_revision_keeps_its_template_without_the_directive() -> None:
    sts = a_stateful_set()
    (record,) = cache_of(a_revision(sts)).table(ControllerRevision).records.values()
    assert record.template == a_template()
    assert "$patch" in record.body["data"]["spec"]["template"]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(None, id="none"),
        pytest.param({}, id="empty"),
        pytest.param({"spec": {"template": "x"}}, id="no object"),
    ],
)
def test_revision_that_keeps_no_template_is_read_as_an_empty_one(data: Any) -> None:
    odd = {**a_revision(a_stateful_set()), "data": data, "revision": "x"}
    (record,) = cache_of(odd).table(ControllerRevision).records.values()
    assert (record.template, record.number) == ({}, 0)
