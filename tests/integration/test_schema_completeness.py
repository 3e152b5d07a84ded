"""Every field of a native kind exists in ours with the same type, as the real API server publishes both."""

import json
import os
import time
from typing import Any

import pytest

from crd_install import install_crds
from native_schema import DOCUMENTS, SUMMARY_FILE, definition, differences, summary
from nestling.api.kinds import API_VERSION, VIRTUAL_KINDS, Kind
from realhost import RealHost

pytestmark = pytest.mark.integration

NATIVE_KINDS = [kind for kind in VIRTUAL_KINDS if kind.native]


@pytest.fixture(scope="module")
def published(local_host: RealHost) -> dict[str, Any]:
    """The schemas of native and of our kinds, by name, from `/openapi/v3`."""
    install_crds(local_host)
    deadline = time.monotonic() + 60
    while True:  # what is served is published a little later
        schemas: dict[str, Any] = {}
        for document in (*DOCUMENTS, f"apis/{API_VERSION}"):
            status, answer = local_host.request("GET", f"/openapi/v3/{document}")
            if status == 200:
                schemas |= answer["components"]["schemas"]
        missing = [kind.name for kind in VIRTUAL_KINDS if ours(kind) not in schemas]
        if not missing:
            return schemas
        assert time.monotonic() < deadline, missing
        time.sleep(0.2)


def ours(kind: Kind) -> str:
    """Name of our schema for `kind`."""
    return f"dev.nestling.v1alpha1.{kind.name}"


@pytest.mark.parametrize("kind", NATIVE_KINDS, ids=lambda kind: kind.native)
def test_every_native_field_exists_with_the_same_type(kind: Kind, published: dict[str, Any]) -> None:
    types = summary(published, iter([definition(kind)]))
    assert types[definition(kind)]  # an empty summary would agree with anything
    assert list(differences(published[ours(kind)], definition(kind), types)) == []


def test_checked_in_summary_is_that_of_the_real_api_server(published: dict[str, Any]) -> None:
    types = summary(published, map(definition, NATIVE_KINDS))
    text = json.dumps(types, indent=1) + "\n"
    if os.environ.get("NESTLING_RENEW"):
        SUMMARY_FILE.write_text(text, encoding="utf-8")
    assert SUMMARY_FILE.read_text(encoding="utf-8") == text
