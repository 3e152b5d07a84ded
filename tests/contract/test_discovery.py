"""Discovery, OpenAPI and the forms of an answer."""

from typing import Any

from contract_server import TABLE, Server, Space

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
GROUP = "/apis/test.nestling.dev"


def test_version_and_groups(server: Server) -> None:
    version = server.expect(200, "GET", "/version")
    assert (version["major"], version["minor"]) == ("1", "37")
    groups = {group["name"]: group for group in server.expect(200, "GET", "/apis")["groups"]}
    versions = [entry["version"] for entry in groups["test.nestling.dev"]["versions"]]
    assert versions == ["v1", "v1beta1"]
    assert groups["test.nestling.dev"]["preferredVersion"]["groupVersion"] == "test.nestling.dev/v1"
    assert {"coordination.k8s.io", "apiextensions.k8s.io", "events.k8s.io"} <= set(groups)
    assert server.expect(200, "GET", GROUP)["kind"] == "APIGroup"
    assert server.expect(200, "GET", "/api")["versions"] == ["v1"]


def test_resources_of_a_version(server: Server) -> None:
    listed = server.expect(200, "GET", f"{GROUP}/v1")
    assert listed["groupVersion"] == "test.nestling.dev/v1"
    resources = {entry["name"]: entry for entry in listed["resources"]}
    widgets = resources["widgets"]
    widgets.pop("storageVersionHash", None)
    assert sorted(widgets.pop("verbs")) == [
        "create",
        "delete",
        "deletecollection",
        "get",
        "list",
        "patch",
        "update",
        "watch",
    ]
    assert widgets == {
        "name": "widgets",
        "singularName": "widget",
        "namespaced": True,
        "kind": "Widget",
        "shortNames": ["wd"],
        "categories": ["testing"],
    }
    assert resources["widgets/status"]["kind"] == "Widget"
    assert resources["widgets/scale"] == {
        "name": "widgets/scale",
        "singularName": "",
        "namespaced": True,
        "group": "autoscaling",
        "version": "v1",
        "kind": "Scale",
        "verbs": ["get", "patch", "update"],
    }
    assert "ruled/status" not in resources
    assert not resources["plains"]["namespaced"]


def test_aggregated_discovery(server: Server) -> None:
    answer = server.call("GET", "/apis", accept=f"{AGGREGATED},application/json")
    assert answer.content_type == AGGREGATED
    groups = {item["metadata"]["name"]: item for item in answer.body["items"]}
    version = groups["test.nestling.dev"]["versions"][0]
    assert (version["version"], version["freshness"]) == ("v1", "Current")
    resources = {entry["resource"]: entry for entry in version["resources"]}
    widget = resources["widgets"]
    assert widget["responseKind"] == {"group": "test.nestling.dev", "version": "v1", "kind": "Widget"}
    assert (widget["scope"], widget["shortNames"], widget["categories"]) == (
        "Namespaced",
        ["wd"],
        ["testing"],
    )
    subresources = {entry["subresource"]: entry["responseKind"]["kind"] for entry in widget["subresources"]}
    assert subresources == {"status": "Widget", "scale": "Scale"}
    core = server.call("GET", "/api", accept=AGGREGATED).body["items"][0]
    assert {"namespaces", "events", "configmaps", "secrets"} <= {
        entry["resource"] for entry in core["versions"][0]["resources"]
    }


def test_old_openapi_comes_in_the_form_that_is_asked_for(server: Server) -> None:
    json = server.call("GET", "/openapi/v2")
    assert (json.status, json.content_type, json.body["swagger"]) == (200, "application/json", "2.0")
    assert server.call("GET", "/openapi/v2", accept="text/html").status == 406


def test_openapi_describes_a_kind(server: Server) -> None:
    def documented() -> Any:
        return server.expect(200, "GET", "/openapi/v3")["paths"].get("apis/test.nestling.dev/v1")

    found = server.await_("the group is documented", documented)

    def described() -> Any:
        document = server.expect(200, "GET", found["serverRelativeURL"].partition("?")[0])
        schema = document["components"]["schemas"].get("dev.nestling.test.v1.Widget")
        return (document, schema) if schema else None

    document, schema = server.await_("the kind is described", described)
    assert schema["properties"]["spec"]["properties"]["replicas"]["maximum"] == 10
    assert schema["x-kubernetes-group-version-kind"] == [
        {"group": "test.nestling.dev", "version": "v1", "kind": "Widget"}
    ]
    patch = document["paths"][f"{GROUP}/v1/namespaces/{{namespace}}/widgets/{{name}}"]["patch"]
    # kubectl looks for this parameter before it leaves validation to the server.
    assert "fieldValidation" in {parameter["name"] for parameter in patch["parameters"]}
    assert patch["x-kubernetes-group-version-kind"]["kind"] == "Widget"


def test_table_of_custom_objects(space: Space) -> None:
    space.create("a", node="n1", size="large")
    space.patch(
        {"status": {"conditions": [{"type": "Other", "status": "No"}, {"type": "Ready", "status": "True"}]}},
        sub="status",
    )
    space.create("b")
    answer = space.server.call("GET", space.path(), accept=f"{TABLE},application/json")
    table = answer.body
    assert table["kind"] == "Table"
    assert [(c["name"], c["type"], c["priority"]) for c in table["columnDefinitions"]] == [
        ("Name", "string", 0),
        ("Size", "string", 0),
        ("Replicas", "integer", 0),
        ("Node", "string", 1),
        ("Ready", "string", 0),
        ("Age", "date", 0),
    ]
    rows = [row["cells"] for row in table["rows"]]
    assert rows[0][:5] == ["a", "large", 1, "n1", "True"]
    assert rows[1][:5] == ["b", "small", 1, None, None]
    assert all(row[5].endswith("s") for row in rows)
    shown = table["rows"][0]["object"]
    assert (shown["kind"], shown["metadata"]["name"], "spec" in shown) == (
        "PartialObjectMetadata",
        "a",
        False,
    )
    one = space.server.expect(200, "GET", space.path(name="a"), accept=TABLE, includeObject="Object")
    assert one["rows"][0]["object"]["spec"]["node"] == "n1"


def test_metadata_alone(space: Space) -> None:
    made = space.create("a")
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    body = space.server.expect(200, "GET", space.path(), accept=accept)
    assert body["kind"] == "PartialObjectMetadataList"
    assert [set(item) for item in body["items"]] == [{"kind", "apiVersion", "metadata"}]
    assert body["items"][0]["metadata"]["uid"] == made["metadata"]["uid"]


def test_no_form_that_the_client_takes(space: Space) -> None:
    assert space.server.call("GET", space.path(), accept="text/html").status == 406


def test_versions_of_a_kind_show_one_object(server: Server) -> None:
    body = {"apiVersion": "test.nestling.dev/v1beta1", "kind": "Plain", "metadata": {"name": "p"}, "any": [1]}
    answer = server.call("POST", f"{GROUP}/v1beta1/plains", body)
    assert answer.status == 201, answer.message
    assert answer.body["apiVersion"] == "test.nestling.dev/v1beta1"
    assert answer.warnings == (
        '299 - "test.nestling.dev/v1beta1 Plain is deprecated; use test.nestling.dev/v1 Plain"',
    )
    other = server.expect(200, "GET", f"{GROUP}/v1/plains/p")
    assert other["apiVersion"] == "test.nestling.dev/v1"
    assert other["any"] == [1]
    with server.watch(f"{GROUP}/v1beta1/plains") as watch:
        assert watch.next().object["apiVersion"] == "test.nestling.dev/v1beta1"
    server.expect(200, "DELETE", f"{GROUP}/v1beta1/plains/p")
