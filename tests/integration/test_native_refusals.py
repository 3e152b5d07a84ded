"""What our kinds refuse, the native kinds of a real API server refuse as well: no rule is stricter than they
are."""

from typing import Any

import pytest

from realhost import RealHost
from refusals import REFUSALS, Refusal

pytestmark = pytest.mark.integration

NAMESPACE = "refusals"


@pytest.fixture(scope="module")
def host(local_host: RealHost) -> RealHost:
    """The real API server with a namespace of these tests."""
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


@pytest.mark.parametrize(
    "refusal", [refusal for refusal in REFUSALS if refusal.native], ids=lambda refusal: refusal.title
)
def test_native_kind_refuses_the_same(refusal: Refusal, host: RealHost) -> None:
    path, obj = native(refusal)
    status, answer = host.request("POST", f"{path}?dryRun=All&fieldValidation=Strict", obj)
    assert status in {400, 422}, answer
