"""Faults on purpose, through the in-process transport."""

from collections.abc import AsyncIterator

import orjson
import pytest

from apiserver_world import WIDGETS, World, widget
from nestling.apiserver.faults import Faults, Rule
from nestling.apiserver.inprocess import InProcess
from nestling.machinery.client import Answer, Transport
from nestling.machinery.errors import Unavailable


class Client:
    """A transport with faults in between, and the delays it waited out."""

    def __init__(self, *rules: Rule) -> None:
        self.world = World()
        self.faults = Faults(*rules)
        self.slept: list[float] = []
        self.transport: Transport = InProcess(self.world.api, self.faults, sleep=self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def create(self, name: str) -> Answer:
        body = orjson.dumps(widget(name))
        return await self.transport.send(
            "POST", WIDGETS, query={}, body=body, content_type="application/json"
        )

    def stream(self) -> AsyncIterator[bytes]:
        return self.transport.stream(WIDGETS, query={"resourceVersion": str(self.world.api.revision)})


async def test_without_rules_everything_passes() -> None:
    client = Client()
    answer = await client.create("a")
    assert (answer.status, answer.headers["content-type"]) == (201, "application/json")
    assert client.world.names() == ["a"]


async def test_refusals_are_counted_and_say_when_to_come_back() -> None:
    rule = Rule("refuse", method="POST", skip=1, times=2, status=429, retry_after_s=7)
    client = Client(rule)
    answers = [await client.create(name) for name in "abcd"]
    assert [answer.status for answer in answers] == [201, 429, 429, 201]
    assert answers[1].headers["retry-after"] == "7"
    assert orjson.loads(answers[1].body)["details"]["retryAfterSeconds"] == 7
    assert client.world.names() == ["a", "d"]
    assert rule.struck == 2


async def test_a_lost_answer_leaves_the_write() -> None:
    client = Client(Rule("lose-answer", method="POST"))
    with pytest.raises(Unavailable):
        await client.create("a")
    assert client.world.names() == ["a"]


async def test_a_lost_request_leaves_nothing() -> None:
    client = Client(Rule("lose-request", method="POST"))
    with pytest.raises(Unavailable):
        await client.create("a")
    assert client.world.names() == []


async def test_latency_is_waited_out() -> None:
    client = Client(Rule("delay", path="/widgets", delay_s=1.5))
    await client.create("a")
    await client.create("b")
    assert client.slept == [1.5]


async def test_a_rule_concerns_only_what_it_names() -> None:
    client = Client(Rule("refuse", path="/gadgets", times=-1), Rule("refuse", method="DELETE", times=-1))
    assert (await client.create("a")).status == 201


async def test_a_cut_watch_ends_between_two_lines() -> None:
    client = Client(Rule("cut", watches=True, after_lines=1))
    stream = client.stream()
    for name in "ab":
        client.world.create(name)
    lines = [line async for line in stream]
    assert [orjson.loads(line)["object"]["metadata"]["name"] for line in lines] == ["a"]
    again = client.stream()
    client.world.create("c")
    assert orjson.loads(await anext(again))["object"]["metadata"]["name"] == "c"
    await client.transport.close()


async def test_a_line_cut_in_two_is_no_line() -> None:
    client = Client(Rule("cut", watches=True, mid_line=True))
    stream = client.stream()
    client.world.create()
    with pytest.raises(Unavailable, match="middle of a line"):
        await anext(stream)


async def test_a_lost_event_is_never_told() -> None:
    client = Client(Rule("lose-event", watches=True, event="DELETED"))
    stream = client.stream()
    client.world.create("a")
    client.world.delete("a")
    client.world.create("b")
    events = [orjson.loads(await anext(stream)) for _ in range(2)]
    assert [(event["type"], event["object"]["metadata"]["name"]) for event in events] == [
        ("ADDED", "a"),
        ("ADDED", "b"),
    ]
    await client.transport.close()


async def test_compaction_strikes_before_the_request() -> None:
    client = Client(Rule("compact", method="POST", skip=1))
    await client.create("a")
    start = client.world.api.revision
    await client.create("b")
    watch = client.world.watch(f"resourceVersion={start - 1}")
    assert orjson.loads(watch.poll()[0])["type"] == "ERROR"


async def test_a_refused_watch_does_not_start() -> None:
    client = Client(Rule("refuse", watches=True, status=403))
    with pytest.raises(Unavailable) as caught:
        await anext(client.stream())
    assert caught.value.status == 403
