"""The corpus of broken manifests on a real API server: the same answer from the same place."""

import asyncio
import re
from typing import Any

import pytest

from badinput.corpus import CORPUS, Broken
from badinput.pipeline import submit
from crd_install import install_crds
from nestling.machinery.errors import HostError
from nestling.machinery.login import connect
from realhost import RealHost

pytestmark = pytest.mark.integration

NAMESPACE = "bad-input"
PROMPT = [broken for broken in CORPUS if broken.caught not in {"operator", "convert"}]


@pytest.fixture(scope="module")
def host(local_host: RealHost) -> RealHost:
    """The real API server with our kinds and a namespace of these tests."""
    install_crds(local_host)
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    assert local_host.request("POST", "/api/v1/namespaces", body)[0] in {201, 409}
    return local_host


@pytest.mark.parametrize("broken", PROMPT, ids=lambda broken: broken.title)
def test_bad_input_gets_its_sentence_from_a_real_server(broken: Broken, host: RealHost) -> None:
    def send(
        method: str, path: str, body: Any = None, *, content_type: str = "application/json"
    ) -> tuple[int, Any]:
        path, _, query = path.partition("?")

        async def ask() -> Any:
            async with connect(host.kubeconfig) as client:
                pairs = dict(pair.split("=", 1) for pair in query.split("&")) if query else {}
                return await client.call(method, path, body=body, query=pairs, content_type=content_type)

        try:
            return 200, asyncio.run(ask())
        except HostError as error:
            return error.status, {"message": error.message}

    outcome = submit(broken, send, NAMESPACE)
    for path in outcome.stored:
        send("DELETE", path)
    assert outcome.by == broken.caught, outcome
    assert re.search(broken.sentence, outcome.sentence), outcome.sentence
