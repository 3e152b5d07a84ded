"""Both servers refuse bad input by themselves, with a sentence that names the field."""

from typing import Any

import pytest

from contract_server import Server
from nestling.api.crds import load_crds
from nestling.api.kinds import CLUSTER, VIRTUAL_KINDS, Kind
from refusals import CHANGES, REFUSALS, Frozen, Refusal, an_object

NAMESPACE = "refusals"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture(scope="module")
def host(server: Server) -> Server:
    """The server with all of Nestling's kinds and a namespace of these tests."""
    for definition in load_crds():
        assert server.call("POST", DEFINITIONS, definition).status in {201, 409}
    for kind in VIRTUAL_KINDS:
        server.await_(
            f"{kind.plural} are served", lambda kind=kind: server.call("GET", kind.path()).status == 200
        )
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    assert server.call("POST", "/api/v1/namespaces", namespace).status in {201, 409}
    return server


def create(host: Server, kind: Kind, obj: dict[str, Any], **query: str) -> Any:
    return host.call("POST", kind.path(NAMESPACE), obj, fieldValidation="Strict", **query)


@pytest.mark.parametrize("kind", VIRTUAL_KINDS, ids=lambda kind: kind.name)
def test_dull_object_of_every_kind_is_accepted(kind: Kind, host: Server) -> None:
    obj = an_object(kind, name="cluster" if kind is CLUSTER else "web")
    answer = create(host, kind, obj, dryRun="All")
    assert answer.status == 201, answer.message


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.title)
def test_bad_object_is_refused_with_the_name_of_its_field(refusal: Refusal, host: Server) -> None:
    answer = create(host, refusal.kind, refusal.obj, dryRun="All")
    assert answer.status in {400, 422}, answer
    for word in refusal.words:
        assert word in answer.message


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.title)
def test_what_is_settled_stays_settled(change: Frozen, host: Server) -> None:
    made = create(host, change.kind, an_object(change.kind, change.before))
    assert made.status == 201, made.message
    path = change.kind.path(NAMESPACE, "web")
    try:
        after = an_object(change.kind, change.after)
        after["metadata"]["resourceVersion"] = made.body["metadata"]["resourceVersion"]
        answer = host.call("PUT", path, after, dryRun="All", fieldValidation="Strict")
        assert answer.status == (422 if change.words else 200), answer
        for word in change.words:
            assert word in answer.message
    finally:
        host.call("DELETE", path)
