"""Create, read, update: what objects get from the server, and what the server refuses."""

from typing import Any

import pytest

from contract_server import MERGE, Server, Space, widget

LABEL_KEY = "name part must consist of alphanumeric characters"


def test_new_object_gets_identity_and_defaults(space: Space) -> None:
    made = space.create(node="n1")
    meta = made["metadata"]
    assert meta["namespace"] == space.name
    assert meta["generation"] == 1
    assert len(meta["uid"]) == 36
    assert meta["creationTimestamp"].endswith("Z")
    assert int(meta["resourceVersion"]) > 0
    assert made["spec"] == {"node": "n1", "replicas": 1, "size": "small"}
    assert space.get() == made


def test_generated_name_extends_the_prefix(space: Space) -> None:
    made = space.create("", meta={"generateName": "web-"})
    name = made["metadata"]["name"]
    assert name.startswith("web-")
    assert len(name) == len("web-") + 5
    assert space.get(name)["metadata"]["generateName"] == "web-"


def test_status_at_creation_is_dropped(space: Space) -> None:
    made = space.server.expect(201, "POST", space.path(), {**widget(), "status": {"phase": "x"}})
    assert "status" not in made


def test_what_the_server_owns_cannot_be_given(space: Space) -> None:
    meta = {"uid": "mine", "generation": 7, "creationTimestamp": "2001-01-01T00:00:00Z"}
    made = space.create(meta=meta)["metadata"]
    assert made["uid"] != "mine"
    assert made["generation"] == 1
    assert not made["creationTimestamp"].startswith("2001")


@pytest.mark.parametrize(
    ("body", "status", "reason", "message"),
    [
        pytest.param(
            widget("A_b"),
            422,
            "Invalid",
            'metadata.name: Invalid value: "A_b": a lowercase RFC 1123',
            id="bad name",
        ),
        pytest.param(
            widget(""),
            422,
            "Invalid",
            "metadata.name: Required value: name or generateName is required",
            id="no name",
        ),
        pytest.param(
            {"metadata": {"name": "a"}}, 400, "BadRequest", "Object 'Kind' is missing in", id="no kind"
        ),
        pytest.param(
            {**widget(), "kind": "Gadget"},
            422,
            "Invalid",
            'kind: Invalid value: "Gadget": must be Widget',
            id="other kind",
        ),
        pytest.param(
            {**widget(), "apiVersion": "test.nestling.dev/v2"},
            400,
            "BadRequest",
            "does not match the expected API version (test.nestling.dev/v1)",
            id="other version",
        ),
        pytest.param(
            b'{"a', 400, "BadRequest", "couldn't get version/kind; json parse error", id="broken JSON"
        ),
        pytest.param(
            widget(meta={"namespace": "elsewhere"}),
            400,
            "BadRequest",
            "the namespace of the provided object does not match the namespace sent on the request",
            id="other namespace",
        ),
        pytest.param(
            widget(meta={"labels": {"a b": "c"}}),
            422,
            "Invalid",
            f'metadata.labels: Invalid value: "a b": {LABEL_KEY}',
            id="bad label key",
        ),
        pytest.param(
            widget(meta={"labels": {"a": "c d"}}),
            422,
            "Invalid",
            "a valid label must be an empty string or consist of",
            id="bad label value",
        ),
        pytest.param(
            widget(meta={"finalizers": ["a b"]}),
            422,
            "Invalid",
            'metadata.finalizers: Invalid value: "a b"',
            id="bad finalizer",
        ),
        pytest.param(
            widget(meta={"ownerReferences": [{"name": "x"}]}),
            422,
            "Invalid",
            "metadata.ownerReferences[0].uid: Required value: must not be empty",
            id="owner without uid",
        ),
        pytest.param(
            widget(meta={"labels": {"a": 1}}),
            400,
            "BadRequest",
            "cannot be handled as a Widget: json: cannot unmarshal",
            id="label not a text",
        ),
        pytest.param(
            widget(meta={"resourceVersion": "5"}),
            500,
            None,
            "resourceVersion should not be set on objects to be created",
            id="revision given",
        ),
    ],
)
def test_object_that_makes_no_sense_is_refused(
    space: Space, body: Any, status: int, reason: str | None, message: str
) -> None:
    answer = space.server.call("POST", space.path(), body)
    assert (answer.status, answer.body.get("reason")) == (status, reason), answer.body
    assert message in answer.message
    assert answer.body["code"] == status
    assert answer.body["kind"] == "Status"


def test_same_name_twice_is_a_conflict(space: Space) -> None:
    space.create()
    answer = space.server.call("POST", space.path(), widget())
    assert (answer.status, answer.body["reason"]) == (409, "AlreadyExists")
    assert answer.message == 'widgets.test.nestling.dev "a" already exists'
    assert answer.body["details"] == {"name": "a", "group": "test.nestling.dev", "kind": "widgets"}


def test_absent_things_are_not_found(space: Space) -> None:
    answer = space.server.call("GET", space.path(name="nobody"))
    assert (answer.status, answer.message) == (404, 'widgets.test.nestling.dev "nobody" not found')
    answer = space.server.call("POST", space.path().replace(space.name, "nowhere"), widget())
    assert (answer.status, answer.message) == (404, 'namespaces "nowhere" not found')
    assert space.server.call("GET", space.path("gadgets")).status == 404
    assert space.server.call("GET", "/apis/nothing.example.com/v1/things").status == 404


def test_replacing_needs_the_version_that_was_read(space: Space) -> None:
    first = space.create()
    second = space.server.expect(200, "PUT", space.path(name="a"), {**first, "spec": {"node": "n"}})
    assert second["metadata"]["generation"] == 2
    assert int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])
    answer = space.server.call("PUT", space.path(name="a"), first)
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")
    assert answer.message == (
        'Operation cannot be fulfilled on widgets.test.nestling.dev "a": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    answer = space.server.call("PUT", space.path(name="a"), widget(node="n"))
    assert answer.status == 422
    assert "metadata.resourceVersion: Invalid value: 0: must be specified for an update" in answer.message


def test_replacing_another_incarnation_is_a_conflict(space: Space) -> None:
    made = space.create()
    answer = space.server.call(
        "PUT", space.path(name="a"), {**made, "metadata": {**made["metadata"], "uid": "other"}}
    )
    assert answer.status == 409
    assert "Precondition failed: UID in precondition: other" in answer.message
    answer = space.server.call("PATCH", space.path(name="a"), {"metadata": {"uid": "other"}}, type=MERGE)
    assert answer.status == 422
    assert 'metadata.uid: Invalid value: "other": field is immutable' in answer.message


def test_replacing_under_another_name_is_refused(space: Space) -> None:
    made = space.create()
    body = {**made, "metadata": {**made["metadata"], "name": "b"}}
    answer = space.server.call("PUT", space.path(name="a"), body)
    assert (answer.status, answer.message) == (
        400,
        "the name of the object (b) does not match the name on the URL (a)",
    )


def test_a_write_that_changes_nothing_keeps_the_revision(space: Space) -> None:
    made = space.create()
    again = space.patch({"spec": {"replicas": 1}})
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_generation_counts_changes_of_the_spec_only(space: Space) -> None:
    space.create()
    assert space.patch({"metadata": {"labels": {"a": "b"}}})["metadata"]["generation"] == 1
    assert space.patch({"status": {"phase": "x"}}, sub="status")["metadata"]["generation"] == 1
    assert space.patch({"spec": {"node": "n"}})["metadata"]["generation"] == 2


def test_dry_run_judges_and_stores_nothing(space: Space) -> None:
    made = space.server.expect(201, "POST", space.path(), widget(), dryRun="All")
    assert made["spec"]["replicas"] == 1
    assert space.gone()
    assert space.server.call("POST", space.path(), widget(replicas=-1), dryRun="All").status == 422
    before = space.create()
    after = space.patch({"spec": {"node": "n"}}, dryRun="All")
    assert after["spec"]["node"] == "n"
    space.server.expect(200, "DELETE", space.path(name="a"), dryRun="All")
    assert space.get() == before
    answer = space.server.call("POST", space.path(), widget("b"), dryRun="Some")
    assert answer.status == 422


@pytest.mark.parametrize("token", ["", "wrong"], ids=["no token", "wrong token"])
def test_a_stranger_is_not_let_in(server: Server, token: str) -> None:
    answer = server.call("GET", "/api/v1/namespaces", token=token)
    assert (answer.status, answer.body["reason"]) == (401, "Unauthorized")


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz"])
def test_health_is_ok(server: Server, path: str) -> None:
    assert server.call("GET", path).body == "ok"
