"""Every broken manifest of the corpus gets its sentence: by convert, by the API server, or in the cluster."""

import re
from typing import Any

import orjson
import pytest

from badinput.corpus import CORPUS, FINE, LATER, Broken
from badinput.pipeline import KINDS, converted, submit
from command_line import typed
from nestling.api.kinds import NODE_POOL, POD
from nestling.apiserver.exchange import Request
from simulation import CLUSTER, World, shared_server

PROMPT = [broken for broken in CORPUS if broken.caught != "operator"]


def send(
    method: str, path: str, body: Any = None, *, content_type: str = "application/json"
) -> tuple[int, Any]:
    """One request to the embedded server of this test process."""
    path, _, query = path.partition("?")
    pairs = dict(pair.split("=", 1) for pair in query.split("&")) if query else {}
    data = b"" if body is None else orjson.dumps(body)
    answer = shared_server().api.handle(Request(method, path, pairs, {"content-type": content_type}, data))
    return answer.status, orjson.loads(answer.body)


def test_the_corpus_is_large_and_its_titles_tell_apart() -> None:
    broken = [one for one in CORPUS if one.caught != "nobody"]
    assert len(broken) >= 60
    assert len({one.title for one in CORPUS}) == len(CORPUS)


@pytest.mark.parametrize("broken", PROMPT, ids=lambda broken: broken.title)
def test_bad_input_gets_its_sentence(broken: Broken) -> None:
    send("POST", "/api/v1/namespaces", {"metadata": {"name": "bad"}})
    outcome = submit(broken, send, "bad")
    for path in outcome.stored:
        send("DELETE", path)
    assert (outcome.by, "\n" in outcome.sentence) == (broken.caught, False), outcome
    assert re.search(broken.sentence, outcome.sentence), outcome.sentence
    assert len(outcome.sentence) < 1000


@pytest.mark.parametrize(
    "broken", [one for one in CORPUS if one.caught == "convert"], ids=lambda broken: broken.title
)
def test_the_command_ends_with_one_line_and_no_output(broken: Broken) -> None:
    done = typed("convert", "-f", "-", stdin=broken.text)
    assert (done.code, done.out) == (1, "")
    assert len(done.err.splitlines()) == 1
    assert done.err.startswith("Error: standard input")


def test_the_operator_lives_with_what_the_api_server_accepts() -> None:
    with World() as world:
        world.create(NODE_POOL, "pool", {"replicas": 2})
        for number, broken in enumerate((*LATER, *FINE)):
            for made in converted(broken):
                made["metadata"]["name"] = f"{made['metadata']['name']}-{number}".replace(".", "-")
                world.request("POST", KINDS[made["kind"]].path(CLUSTER), made)
        world.run_for(120)
        assert world.bugs == []
        pods = {pod["metadata"]["name"]: orjson.dumps(pod.get("status")).decode() for pod in world.list(POD)}
    for number, broken in enumerate(LATER):
        assert re.search(broken.sentence, pods[f"web-{number}"]), (broken.title, pods[f"web-{number}"])
