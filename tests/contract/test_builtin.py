"""The built-in kinds that Nestling uses."""

import base64
from typing import Any

import pytest

from contract_server import MERGE, TABLE, Space


def body(kind: str, name: str = "a", api_version: str = "v1", **rest: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **rest}


def test_namespace_carries_its_name_as_a_label(space: Space) -> None:
    path = f"/api/v1/namespaces/{space.name}"
    made = space.server.expect(200, "GET", path)
    assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": space.name}
    assert (made["spec"], made["status"]["phase"]) == ({"finalizers": ["kubernetes"]}, "Active")
    change = {"metadata": {"labels": {"team": "x"}}}
    assert space.server.expect(200, "PATCH", path, change, type=MERGE)["metadata"]["labels"]["team"] == "x"
    answer = space.server.call("POST", "/api/v1/namespaces", body("Namespace", "a.b"))
    assert answer.status == 422
    assert (
        answer.message
        == 'Namespace "a.b" is invalid: metadata.name: Invalid value: "a.b": must not contain dots'
    )


def test_config_map(space: Space) -> None:
    path = space.path("configmaps")
    made = space.server.expect(201, "POST", path, body("ConfigMap", data={"a": "1"}))
    assert "generation" not in made["metadata"]
    # No version is needed to replace one.
    replaced = space.server.expect(200, "PUT", f"{path}/a", body("ConfigMap", data={"b": "2"}))
    assert replaced["data"] == {"b": "2"}
    answer = space.server.call("POST", path, body("ConfigMap", "b", data={"no way": "1"}))
    assert answer.status == 422
    assert 'data[no way]: Invalid value: "no way"' in answer.message
    space.server.expect(200, "PATCH", f"{path}/a", {"immutable": True}, type=MERGE)
    answer = space.server.call("PATCH", f"{path}/a", {"data": {"c": "3"}}, type=MERGE)
    assert answer.status == 422
    assert "data: Forbidden: field is immutable when `immutable` is set" in answer.message


def test_secret_encodes_what_is_given_as_text(space: Space) -> None:
    made = space.server.expect(201, "POST", space.path("secrets"), body("Secret", stringData={"a": "b"}))
    assert made["data"] == {"a": base64.b64encode(b"b").decode()}
    assert made["type"] == "Opaque"
    assert "stringData" not in made


def test_lease_is_swapped_by_version(space: Space) -> None:
    spec = {"holderIdentity": "me", "leaseDurationSeconds": 15, "renewTime": "2027-01-15T08:00:00.000000Z"}
    lease = body("Lease", api_version="coordination.k8s.io/v1", spec=spec)
    made = space.server.expect(201, "POST", space.path("leases"), lease)
    assert made["spec"] == spec
    path = space.path("leases", "a")
    taken = {**made, "spec": {**spec, "holderIdentity": "you"}}
    assert space.server.expect(200, "PUT", path, taken)["spec"]["holderIdentity"] == "you"
    assert space.server.call("PUT", path, {**made, "spec": {**spec, "holderIdentity": "third"}}).status == 409
    answer = space.server.call("PATCH", path, {"spec": {"leaseDurationSeconds": 0}}, type=MERGE)
    assert answer.status == 422
    assert "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0" in answer.message


def event(space: Space, name: str = "e", **rest: Any) -> dict[str, Any]:
    about = {"kind": "Widget", "name": "a", "namespace": space.name, "uid": "u"}
    return body("Event", name, involvedObject=about, reason="Ran", message="it ran", type="Normal", **rest)


def test_event_is_one_object_in_two_groups(space: Space) -> None:
    made = space.server.expect(201, "POST", space.path("events"), event(space, count=2))
    path = f"/apis/events.k8s.io/v1/namespaces/{space.name}/events/e"
    other = space.server.expect(200, "GET", path)
    assert (other["note"], other["regarding"]["name"], other["deprecatedCount"]) == ("it ran", "a", 2)
    assert other["metadata"]["uid"] == made["metadata"]["uid"]
    new = {
        **body("Event", "n", api_version="events.k8s.io/v1"),
        "eventTime": "2027-01-15T08:00:00.000000Z",
        "reportingController": "test",
        "reportingInstance": "test-1",
        "action": "Running",
        "reason": "Ran",
        "type": "Normal",
        "note": "again",
        "regarding": {"kind": "Widget", "name": "a", "namespace": space.name},
    }
    space.server.expect(201, "POST", path.removesuffix("/e"), new)
    core = space.server.expect(200, "GET", space.path("events", "n"))
    assert (core["message"], core["reportingComponent"]) == ("again", "test")


def test_events_are_found_by_what_they_are_about(space: Space) -> None:
    space.server.expect(201, "POST", space.path("events"), event(space))
    other = event(space, "f")
    other["involvedObject"]["name"] = "b"
    space.server.expect(201, "POST", space.path("events"), other)
    query = "involvedObject.name=a,involvedObject.kind=Widget"
    found = space.server.expect(200, "GET", space.path("events"), fieldSelector=query)
    assert [item["metadata"]["name"] for item in found["items"]] == ["e"]
    wrong = event(space, "g")
    wrong["involvedObject"]["namespace"] = "elsewhere"
    answer = space.server.call("POST", space.path("events"), wrong)
    assert answer.status == 422
    assert "involvedObject.namespace" in answer.message


@pytest.mark.parametrize(
    ("path", "columns"),
    [
        pytest.param("/api/v1/namespaces", ["Name", "Status", "Age"], id="namespaces"),
        pytest.param("/api/v1/configmaps", ["Name", "Data", "Age"], id="configmaps"),
        pytest.param("/api/v1/secrets", ["Name", "Type", "Data", "Age"], id="secrets"),
        pytest.param("/apis/coordination.k8s.io/v1/leases", ["Name", "Holder", "Age"], id="leases"),
        pytest.param(
            "/api/v1/events",
            [
                "Last Seen",
                "Type",
                "Reason",
                "Object",
                "Subobject",
                "Source",
                "Message",
                "First Seen",
                "Count",
                "Name",
            ],
            id="events",
        ),
    ],
)
def test_columns(space: Space, path: str, columns: list[str]) -> None:
    table = space.server.expect(200, "GET", path, accept=TABLE, limit=1)
    assert [column["name"] for column in table["columnDefinitions"]] == columns


def test_row_of_an_event(space: Space) -> None:
    space.server.expect(201, "POST", space.path("events"), event(space, count=2, source={"component": "me"}))
    table = space.server.expect(200, "GET", space.path("events"), accept=TABLE)
    cells = table["rows"][0]["cells"]
    assert cells[1:7] == ["Normal", "Ran", "widget/a", "", "me", "it ran"]
    assert cells[8:] == [2, "e"]
