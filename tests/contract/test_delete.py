"""Deletion: preconditions, finalizers, what goes with an owner, what goes with a namespace."""

from typing import Any

import pytest

from contract_server import MERGE, Server, Space, widget

HOLD = "example.com/hold"


def owner_of(body: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A reference to a Widget."""
    meta = body["metadata"]
    return {
        "apiVersion": body["apiVersion"],
        "kind": body["kind"],
        "name": meta["name"],
        "uid": meta["uid"],
        **more,
    }


def test_deletion_answers_what_was_deleted(space: Space) -> None:
    made = space.create()
    answer = space.server.expect(200, "DELETE", space.path(name="a"))
    assert (answer["kind"], answer["status"]) == ("Status", "Success")
    assert answer["details"] == {
        "name": "a",
        "group": "test.nestling.dev",
        "kind": "widgets",
        "uid": made["metadata"]["uid"],
    }
    assert space.gone()
    answer = space.server.call("DELETE", space.path(name="a"))
    assert (answer.status, answer.message) == (404, 'widgets.test.nestling.dev "a" not found')


@pytest.mark.parametrize(
    ("precondition", "message"),
    [
        pytest.param(
            {"uid": "other"}, "the UID in the precondition (other) does not match the UID in record", id="uid"
        ),
        pytest.param(
            {"resourceVersion": "1"},
            "the ResourceVersion in the precondition (1) does not match the ResourceVersion in record",
            id="revision",
        ),
    ],
)
def test_precondition_that_does_not_hold(space: Space, precondition: dict[str, str], message: str) -> None:
    made = space.create()
    answer = space.server.call("DELETE", space.path(name="a"), {"preconditions": precondition})
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")
    assert answer.message.startswith('Operation cannot be fulfilled on Widget.test.nestling.dev "a": ')
    assert message in answer.message
    assert space.get() == made
    meta = made["metadata"]
    holds = {"preconditions": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}}
    space.server.expect(200, "DELETE", space.path(name="a"), holds)


def test_finalizer_holds_the_object_until_it_is_removed(space: Space) -> None:
    space.create(meta={"finalizers": [HOLD]})
    with space.server.watch(space.path()) as watch:
        assert watch.take(1) == [("ADDED", "a")]
        marked = space.server.expect(200, "DELETE", space.path(name="a"))
        assert marked["kind"] == "Widget"
        assert marked["metadata"]["deletionTimestamp"]
        assert marked["metadata"]["deletionGracePeriodSeconds"] == 0
        assert marked["metadata"]["generation"] == 2
        again = space.server.expect(200, "DELETE", space.path(name="a"))
        assert again["metadata"]["resourceVersion"] == marked["metadata"]["resourceVersion"]
        added = {"metadata": {"finalizers": [HOLD, "example.com/more"]}}
        answer = space.server.call("PATCH", space.path(name="a"), added, type=MERGE)
        assert answer.status == 422
        assert (
            "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, "
            'found new finalizers []string{"example.com/more"}' in answer.message
        )
        assert space.patch({"spec": {"replicas": 2}})["metadata"]["deletionTimestamp"]
        assert space.patch({"metadata": {"deletionTimestamp": None}})["metadata"]["deletionTimestamp"]
        last = space.patch({"metadata": {"finalizers": []}})
        assert "finalizers" not in last["metadata"] or last["metadata"]["finalizers"] == []
        assert watch.take(3) == [("MODIFIED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    assert space.gone()


def test_deletion_of_a_selection(space: Space) -> None:
    for name in "abc":
        space.create(name, meta={"labels": {"go": "yes" if name != "b" else "no"}})
    answer = space.server.expect(200, "DELETE", space.path(), labelSelector="go=yes")
    assert sorted(item["metadata"]["name"] for item in answer["items"]) == ["a", "c"]
    left = space.server.expect(200, "GET", space.path())["items"]
    assert [item["metadata"]["name"] for item in left] == ["b"]


def test_dependents_go_in_the_background(space: Space) -> None:
    owner = space.create()
    space.create("child", meta={"ownerReferences": [owner_of(owner)]})
    grandchild = {"ownerReferences": [owner_of(space.get("child"))]}
    space.create("grandchild", meta=grandchild)
    space.server.expect(200, "DELETE", space.path(name="a"), {"propagationPolicy": "Background"})
    assert space.gone()
    space.server.await_("the grandchild is gone", lambda: space.gone("grandchild"))
    assert space.gone("child")


def test_dependents_go_first_in_the_foreground(space: Space) -> None:
    owner = space.create()
    space.create(
        "child", meta={"ownerReferences": [owner_of(owner, blockOwnerDeletion=True)], "finalizers": [HOLD]}
    )
    marked = space.server.expect(200, "DELETE", space.path(name="a"), {"propagationPolicy": "Foreground"})
    assert marked["metadata"]["finalizers"] == ["foregroundDeletion"]
    space.server.await_(
        "the child is being deleted", lambda: space.get("child")["metadata"].get("deletionTimestamp")
    )
    assert space.get()["metadata"]["deletionTimestamp"]
    space.patch({"metadata": {"finalizers": None}}, "child")
    space.server.await_("the owner is gone", space.gone)
    assert space.gone("child")


def test_dependents_are_orphaned(space: Space) -> None:
    owner = space.create()
    space.create("child", meta={"ownerReferences": [owner_of(owner)]})
    space.server.await_(
        "the child has its owner", lambda: space.get("child")["metadata"].get("ownerReferences")
    )
    space.server.expect(200, "DELETE", space.path(name="a"), {"propagationPolicy": "Orphan"})
    space.server.await_("the owner is gone", space.gone)
    assert not space.get("child")["metadata"].get("ownerReferences")


def test_a_second_owner_keeps_the_dependent(space: Space) -> None:
    first, second = space.create("first"), space.create("second")
    space.create("child", meta={"ownerReferences": [owner_of(first), owner_of(second)]})
    space.server.expect(200, "DELETE", space.path(name="first"), {"propagationPolicy": "Background"})
    space.server.await_(
        "one owner is left", lambda: len(space.get("child")["metadata"]["ownerReferences"]) == 1
    )
    assert space.get("child")["metadata"]["ownerReferences"][0]["name"] == "second"


def test_a_dependent_of_nobody_goes(space: Space) -> None:
    owner = space.create()
    space.server.expect(200, "DELETE", space.path(name="a"))
    space.create("child", meta={"ownerReferences": [owner_of(owner)]})
    space.server.await_("the child is gone", lambda: space.gone("child"))


def test_unknown_policy_is_refused(space: Space) -> None:
    space.create()
    answer = space.server.call("DELETE", space.path(name="a"), {"propagationPolicy": "Sideways"})
    assert answer.status in (400, 422)
    assert "propagationPolicy" in answer.message


def test_namespace_takes_its_content_with_it(server: Server, space: Space) -> None:
    name = f"{space.name}-gone"
    path = f"/api/v1/namespaces/{name}"
    server.expect(
        201,
        "POST",
        "/api/v1/namespaces",
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
    )
    inner = Space(server, name)
    inner.create(meta={"finalizers": [HOLD]})
    server.expect(
        201,
        "POST",
        inner.path("configmaps"),
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}},
    )
    marked = server.expect(200, "DELETE", path)
    assert marked["kind"] == "Namespace"
    assert marked["metadata"]["deletionTimestamp"]
    assert marked["status"]["phase"] == "Terminating"
    answer = server.call("POST", inner.path(), widget("late"))
    assert (answer.status, answer.body["reason"]) == (403, "Forbidden")
    assert answer.message == (
        f'widgets.test.nestling.dev "late" is forbidden: unable to create new content in namespace {name} '
        "because it is being terminated"
    )
    assert answer.body["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    server.await_("the config map is gone", lambda: inner.gone("c", "configmaps"))
    server.await_("the widget is being deleted", lambda: inner.get()["metadata"].get("deletionTimestamp"))
    inner.patch({"metadata": {"finalizers": None}})
    server.await_("the namespace is gone", lambda: server.call("GET", path).status == 404)


@pytest.mark.parametrize("name", ["default", "kube-system"])
def test_some_namespaces_stay(server: Server, name: str) -> None:
    answer = server.call("DELETE", f"/api/v1/namespaces/{name}")
    assert (answer.status, answer.message) == (
        403,
        f'namespaces "{name}" is forbidden: this namespace may not be deleted',
    )


def test_definition_takes_its_objects_with_it(space: Space) -> None:
    server = space.server
    definition: dict[str, Any] = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "briefs.test.nestling.dev"},
        "spec": {
            "group": "test.nestling.dev",
            "scope": "Namespaced",
            "names": {"plural": "briefs", "kind": "Brief"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object"}},
                }
            ],
        },
    }
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    made = server.expect(201, "POST", path, definition)
    assert made["spec"]["names"] == {
        "plural": "briefs",
        "singular": "brief",
        "kind": "Brief",
        "listKind": "BriefList",
    }

    def established() -> bool:
        body = server.expect(200, "GET", f"{path}/briefs.test.nestling.dev")
        conditions = {c["type"]: c["status"] for c in body["status"].get("conditions", [])}
        return conditions == {"NamesAccepted": "True", "Established": "True"}

    server.await_("the definition is established", established)
    server.await_("briefs are served", lambda: server.call("GET", space.path("briefs")).status == 200)
    brief = {"apiVersion": "test.nestling.dev/v1", "kind": "Brief", "metadata": {"name": "a"}}
    server.await_(
        "a brief is made", lambda: server.call("POST", space.path("briefs"), brief).status in (201, 409)
    )
    server.expect(200, "DELETE", f"{path}/briefs.test.nestling.dev")
    gone = f"{path}/briefs.test.nestling.dev"
    server.await_("the definition is gone", lambda: server.call("GET", gone).status == 404)
    server.await_("briefs are not served", lambda: server.call("GET", space.path("briefs")).status == 404)
    server.expect(201, "POST", path, definition)
    server.await_("briefs are served again", lambda: server.call("GET", space.path("briefs")).status == 200)
    assert server.expect(200, "GET", space.path("briefs"))["items"] == []
    server.expect(200, "DELETE", gone)
