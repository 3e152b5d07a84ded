"""Server-side apply: merging, owning, disputing and letting go of fields."""

from typing import Any

from contract_server import APPLY, MERGE, Answer, Space, widget


def apply(space: Space, manager: str, body: dict[str, Any], **query: str) -> Answer:
    return space.server.call("PATCH", space.path(name="a"), body, type=APPLY, fieldManager=manager, **query)


def applied(space: Space, manager: str, body: dict[str, Any], **query: str) -> dict[str, Any]:
    answer = apply(space, manager, body, **query)
    assert answer.status in (200, 201), answer.message
    return answer.body


def owners(body: dict[str, Any]) -> dict[tuple[str, str, str], Any]:
    return {
        (entry["manager"], entry["operation"], entry.get("subresource", "")): entry["fieldsV1"]
        for entry in body["metadata"].get("managedFields", [])
    }


PORT_P = {"name": "p", "port": 1}
PORT_Q = {"name": "q", "port": 2}


def test_apply_creates_and_remembers_who_owns_what(space: Space) -> None:
    first = apply(space, "one", widget(meta={"labels": {"x": "1"}}, replicas=2, tags=["t"], ports=[PORT_P]))
    assert first.status == 201
    assert owners(first.body) == {
        ("one", "Apply", ""): {
            "f:metadata": {"f:labels": {"f:x": {}}},
            "f:spec": {
                "f:ports": {'k:{"name":"p"}': {".": {}, "f:name": {}, "f:port": {}}},
                "f:replicas": {},
                "f:tags": {'v:"t"': {}},
            },
        }
    }
    again = applied(space, "one", widget(meta={"labels": {"x": "1"}}, replicas=2, tags=["t"], ports=[PORT_P]))
    assert again["metadata"]["resourceVersion"] == first.body["metadata"]["resourceVersion"]


def test_managers_share_lists_by_key(space: Space) -> None:
    applied(space, "one", widget(tags=["a"], ports=[PORT_P]))
    made = applied(space, "two", widget(tags=["b"], ports=[PORT_Q]))
    assert made["spec"]["tags"] == ["a", "b"]
    assert [port["name"] for port in made["spec"]["ports"]] == ["p", "q"]
    less = applied(space, "one", widget(tags=["a"]))
    assert [port["name"] for port in less["spec"]["ports"]] == ["q"]
    assert less["spec"]["tags"] == ["a", "b"]


def test_changing_what_another_applied_is_a_conflict(space: Space) -> None:
    applied(space, "one", widget(replicas=2, ports=[PORT_P]))
    answer = apply(space, "two", widget(replicas=3))
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")
    assert answer.message == 'Apply failed with 1 conflict: conflict with "one": .spec.replicas'
    assert answer.body["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".spec.replicas"}
    ]
    both = apply(space, "two", widget(replicas=3, ports=[{"name": "p", "port": 9}]))
    assert both.message.startswith('Apply failed with 2 conflicts: conflicts with "one":\n- .spec.')
    assert {cause["field"] for cause in both.body["details"]["causes"]} == {
        ".spec.replicas",
        '.spec.ports[name="p"].port',
    }


def test_force_takes_the_field_over(space: Space) -> None:
    applied(space, "one", widget(replicas=2, node="n"))
    made = applied(space, "two", widget(replicas=3), force="true")
    assert made["spec"]["replicas"] == 3
    assert owners(made) == {
        ("one", "Apply", ""): {"f:spec": {"f:node": {}}},
        ("two", "Apply", ""): {"f:spec": {"f:replicas": {}}},
    }


def test_agreeing_means_sharing(space: Space) -> None:
    applied(space, "one", widget(replicas=2))
    made = applied(space, "two", widget(replicas=2, code="ab"))
    assert owners(made)[("one", "Apply", "")] == {"f:spec": {"f:replicas": {}}}
    # The field stays when one of its owners lets go of it.
    assert applied(space, "two", widget(code="ab"))["spec"]["replicas"] == 2
    # And is back at its default when the last one does.
    assert applied(space, "one", widget(size="large"))["spec"]["replicas"] == 1


def test_an_ordinary_write_takes_what_it_changes(space: Space) -> None:
    applied(space, "one", widget(replicas=2, node="n"))
    made = space.patch({"spec": {"replicas": 7, "code": "abc"}}, fieldManager="hand")
    assert owners(made) == {
        ("one", "Apply", ""): {"f:spec": {"f:node": {}}},
        ("hand", "Update", ""): {"f:spec": {"f:code": {}, "f:replicas": {}}},
    }
    answer = apply(space, "one", widget(replicas=2, node="n"))
    assert answer.message == (
        'Apply failed with 1 conflict: conflict with "hand" using test.nestling.dev/v1: .spec.replicas'
    )


def test_status_is_owned_apart(space: Space) -> None:
    applied(space, "one", widget(replicas=2))
    body = {"apiVersion": "test.nestling.dev/v1", "kind": "Widget", "metadata": {"name": "a"}}
    made = space.server.expect(
        200,
        "PATCH",
        space.path(name="a", sub="status"),
        {**body, "status": {"phase": "x"}},
        type=APPLY,
        fieldManager="kubelet",
    )
    assert made["status"] == {"phase": "x"}
    assert owners(made)[("kubelet", "Apply", "status")] == {"f:status": {"f:phase": {}}}
    assert applied(space, "one", {**widget(replicas=3), "status": {"phase": "y"}})["status"] == {"phase": "x"}


def test_cleared_fields_belong_to_before_the_first_apply(space: Space) -> None:
    space.create(replicas=2, node="n")
    space.server.expect(200, "PATCH", space.path(name="a"), {"metadata": {"managedFields": [{}]}}, type=MERGE)
    answer = apply(space, "one", widget(replicas=3))
    assert answer.message == (
        'Apply failed with 1 conflict: conflict with "before-first-apply" using test.nestling.dev/v1: '
        ".spec.replicas"
    )
    assert applied(space, "one", widget(replicas=3), force="true")["spec"] == {
        "node": "n",
        "replicas": 3,
        "size": "small",
    }


def test_apply_that_makes_no_sense_is_refused(space: Space) -> None:
    applied(space, "one", widget())
    path = space.path(name="a")
    answer = space.server.call("PATCH", path, widget(), type=APPLY)
    assert (answer.status, "fieldManager: Required value: is required for apply patch" in answer.message) == (
        422,
        True,
    )
    answer = apply(space, "one", widget(bogus=1))
    assert (answer.status, answer.message) == (
        500,
        (
            "failed to create typed patch object (/a; test.nestling.dev/v1, Kind=Widget): "
            ".spec.bogus: field not declared in schema"
        ),
    )
    answer = apply(space, "one", widget(meta={"managedFields": []}))
    assert (answer.status, answer.message) == (400, "metadata.managedFields must be nil")
    answer = apply(space, "one", widget("b"))
    assert (answer.status, answer.message) == (
        400,
        "the name of the object (b) does not match the name on the URL (a)",
    )
    assert apply(space, "one", widget(replicas=-1), force="true").status == 422


def test_yaml_is_understood(space: Space) -> None:
    text = b"apiVersion: test.nestling.dev/v1\nkind: Widget\nmetadata:\n  name: a\nspec:\n  replicas: 4\n"
    answer = space.server.call("PATCH", space.path(name="a"), text, type=APPLY, fieldManager="one")
    assert (answer.status, answer.body["spec"]["replicas"]) == (201, 4)
