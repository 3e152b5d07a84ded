"""The real API server refuses bad input by itself, with a sentence that names the field."""

from typing import Any

import pytest

from crd_install import install_crds
from nestling.api.kinds import VIRTUAL_KINDS, Kind
from realhost import RealHost
from refusals import CHANGES, REFUSALS, Frozen, Refusal, an_object

pytestmark = pytest.mark.integration

STRICT = "fieldValidation=Strict"
NAMESPACE = "refusals"


@pytest.fixture(scope="module")
def host(local_host: RealHost) -> RealHost:
    """The real API server with our kinds and a namespace of our own."""
    install_crds(local_host)
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    assert local_host.request("POST", "/api/v1/namespaces", body)[0] in {201, 409}
    return local_host


def native(refusal: Refusal) -> tuple[str, dict[str, Any]]:
    """Where the native kind is posted, and the same broken object as one of it."""
    kind = refusal.kind
    api = kind.native_api_version
    root = f"/apis/{api}" if "/" in api else f"/api/{api}"
    space = f"namespaces/{NAMESPACE}/" if kind.scoped else ""
    obj = {**refusal.obj, "apiVersion": api, "kind": kind.native}
    return f"{root}/{space}{kind.plural.removeprefix('virtual')}", obj


@pytest.mark.parametrize("kind", VIRTUAL_KINDS, ids=lambda kind: kind.name)
def test_dull_object_of_every_kind_is_accepted(kind: Kind, host: RealHost) -> None:
    name = "cluster" if kind.name == "VirtualCluster" else "web"
    status, answer = host.request(
        "POST", f"{kind.path(NAMESPACE)}?dryRun=All&{STRICT}", an_object(kind, name=name)
    )
    assert status == 201, answer["message"]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.title)
def test_bad_object_is_refused_with_the_name_of_its_field(refusal: Refusal, host: RealHost) -> None:
    path = f"{refusal.kind.path(NAMESPACE)}?dryRun=All&{STRICT}"
    status, answer = host.request("POST", path, refusal.obj)
    assert status in {400, 422}, answer
    for word in refusal.words:
        assert word in answer["message"]


@pytest.mark.parametrize(
    "refusal", [refusal for refusal in REFUSALS if refusal.native], ids=lambda refusal: refusal.title
)
def test_native_kind_refuses_the_same(refusal: Refusal, host: RealHost) -> None:
    path, obj = native(refusal)
    status, answer = host.request("POST", f"{path}?dryRun=All&{STRICT}", obj)
    assert status in {400, 422}, answer


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.title)
def test_what_is_settled_stays_settled(change: Frozen, host: RealHost) -> None:
    path = change.kind.path(NAMESPACE)
    status, made = host.request("POST", f"{path}?{STRICT}", an_object(change.kind, change.before))
    assert status == 201, made["message"]
    try:
        after = an_object(change.kind, change.after)
        after["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"]
        status, answer = host.request("PUT", f"{path}/web?dryRun=All&{STRICT}", after)
        assert status == (422 if change.words else 200), answer
        for word in change.words:
            assert word in answer["message"]
    finally:
        host.request("DELETE", f"{path}/web")
