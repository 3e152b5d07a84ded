"""Patches of every form, and what makes one fail."""

from typing import Any

import pytest

from contract_server import APPLY, JSON_PATCH, MERGE, STRATEGIC, Space, widget


def test_merge_patch_replaces_lists_and_removes_by_null(space: Space) -> None:
    space.create(tags=["a"], labels={"x": "1", "y": "2"}, node="n")
    patched = space.patch({"spec": {"tags": ["b"], "labels": {"x": None, "z": "3"}}})["spec"]
    assert patched["tags"] == ["b"]
    assert patched["labels"] == {"y": "2", "z": "3"}
    assert patched["node"] == "n"


def test_defaults_come_back_when_a_field_is_removed(space: Space) -> None:
    space.create(replicas=5)
    assert space.patch({"spec": {"replicas": None}})["spec"]["replicas"] == 1


@pytest.mark.parametrize(
    ("operations", "wanted"),
    [
        pytest.param([{"op": "add", "path": "/spec/tags/-", "value": "b"}], ["a", "b"], id="append"),
        pytest.param([{"op": "add", "path": "/spec/tags/0", "value": "b"}], ["b", "a"], id="insert"),
        pytest.param([{"op": "replace", "path": "/spec/tags/0", "value": "b"}], ["b"], id="replace"),
        pytest.param([{"op": "remove", "path": "/spec/tags/0"}], [], id="remove"),
        pytest.param(
            [
                {"op": "test", "path": "/spec/tags/0", "value": "a"},
                {"op": "add", "path": "/spec/tags/-", "value": "c"},
            ],
            ["a", "c"],
            id="test holds",
        ),
        pytest.param(
            [{"op": "copy", "from": "/spec/tags/0", "path": "/metadata/labels/x"}], ["a"], id="copy"
        ),
    ],
)
def test_json_patch_edits_in_place(space: Space, operations: list[dict[str, Any]], wanted: list[str]) -> None:
    space.create(meta={"labels": {"k": "v"}}, tags=["a"])
    made = space.server.expect(200, "PATCH", space.path(name="a"), operations, type=JSON_PATCH)
    assert made["spec"].get("tags", []) == wanted


@pytest.mark.parametrize(
    "operation",
    [
        pytest.param({"op": "test", "path": "/spec/size", "value": "q"}, id="test fails"),
        pytest.param({"op": "remove", "path": "/spec/nothing"}, id="path is absent"),
        pytest.param({"op": "replace", "path": "/spec/tags/3", "value": "x"}, id="index is absent"),
    ],
)
def test_json_patch_that_does_not_fit_is_refused(space: Space, operation: dict[str, Any]) -> None:
    before = space.create()
    answer = space.server.call("PATCH", space.path(name="a"), [operation], type=JSON_PATCH)
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert answer.message == "the server rejected our request due to an error in our request"
    assert space.get() == before


@pytest.mark.parametrize("type_", [STRATEGIC, "application/json", "text/plain"])
def test_other_patches_of_custom_resources_are_unknown(space: Space, type_: str) -> None:
    space.create()
    answer = space.server.call("PATCH", space.path(name="a"), {"spec": {}}, type=type_)
    assert (answer.status, answer.body["reason"]) == (415, "UnsupportedMediaType")
    assert answer.message == (
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
    )


def test_patch_of_another_version_is_a_conflict(space: Space) -> None:
    first = space.create()
    space.patch({"spec": {"replicas": 2}})
    revision = first["metadata"]["resourceVersion"]
    stale = {"metadata": {"resourceVersion": revision}, "spec": {"replicas": 3}}
    answer = space.server.call("PATCH", space.path(name="a"), stale, type=MERGE)
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")
    current = space.get()["metadata"]["resourceVersion"]
    assert (
        space.patch({"metadata": {"resourceVersion": current}, "spec": {"replicas": 3}})["spec"]["replicas"]
        == 3
    )
    test = [{"op": "test", "path": "/metadata/resourceVersion", "value": revision}]
    assert space.server.call("PATCH", space.path(name="a"), test, type=JSON_PATCH).status == 422


def test_patch_of_nothing_is_not_found(space: Space) -> None:
    answer = space.server.call("PATCH", space.path(name="nobody"), {}, type=MERGE)
    assert (answer.status, answer.message) == (404, 'widgets.test.nestling.dev "nobody" not found')


def test_empty_managed_fields_clear_what_is_tracked(space: Space) -> None:
    space.server.expect(201, "PATCH", space.path(name="a"), widget(node="n"), type=APPLY, fieldManager="one")
    assert space.get()["metadata"]["managedFields"]
    assert "managedFields" not in space.patch({"metadata": {"managedFields": [{}]}})["metadata"]


def test_strategic_patch_of_a_built_in_kind_merges(space: Space) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c", "finalizers": ["example.com/a"]},
        "data": {"a": "1", "b": "2"},
    }
    space.server.expect(201, "POST", space.path("configmaps"), body)
    change = {"metadata": {"finalizers": ["example.com/b"]}, "data": {"a": None, "c": "3"}}
    made = space.server.expect(200, "PATCH", space.path("configmaps", "c"), change, type=STRATEGIC)
    assert made["data"] == {"b": "2", "c": "3"}
    assert sorted(made["metadata"]["finalizers"]) == ["example.com/a", "example.com/b"]
    change = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/a"]}}
    made = space.server.expect(200, "PATCH", space.path("configmaps", "c"), change, type=STRATEGIC)
    assert made["metadata"]["finalizers"] == ["example.com/b"]
    space.server.expect(
        200, "PATCH", space.path("configmaps", "c"), {"metadata": {"finalizers": None}}, type=MERGE
    )
