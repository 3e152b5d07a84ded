"""Kubernetes Events: folded, bounded, never in the way."""

from memory_host import Host
from nestling.api.kinds import EVENT, POD, Uid
from nestling.apiserver.faults import Rule
from nestling.machinery.events import EventRecorder
from nestling.machinery.names import Key
from nestling.machinery.plan import Emit

WEB = Key("team-a", "shop", "web")


def said(message: str = "0/3 nodes are available", *, name: str = "web") -> Emit:
    key = Key("team-a", "shop", name)
    return Emit(
        POD,
        key,
        Uid(f"uid-{name}"),
        "Warning",
        "FailedScheduling",
        message,
        "default-scheduler",
        "Scheduling",
    )


async def written(host: Host) -> list[dict[str, object]]:
    return (await host.client.list(EVENT, "team-a")).items


async def test_an_event_stands_beside_its_object(host: Host) -> None:
    recorder = EventRecorder(host.client, host.clock)
    recorder.record(said())
    await recorder.drain()
    [event] = await written(host)
    assert event["involvedObject"] == {
        "apiVersion": "nestling.dev/v1alpha1",
        "kind": "VirtualPod",
        "name": "web.shop",
        "namespace": "team-a",
        "uid": "uid-web",
    }
    assert (event["reason"], event["type"], event["count"]) == ("FailedScheduling", "Warning", 1)
    assert event["action"] == "Scheduling"


async def test_a_repeat_raises_the_count_instead_of_writing_another(host: Host) -> None:
    recorder = EventRecorder(host.client, host.clock)
    for _ in range(3):
        recorder.record(said())
        await recorder.drain()
    recorder.record(said())
    recorder.record(said())
    await recorder.drain()
    [event] = await written(host)
    assert event["count"] == 5


async def test_events_of_one_second_are_listed_in_the_order_in_which_they_were_said(host: Host) -> None:
    recorder = EventRecorder(host.client, host.clock)
    told = ["Scheduled", "Pulling", "Pulled", "Created", "Started"]
    for message in told:
        recorder.record(said(message))
    recorder.record(said("Pulling"))
    await recorder.drain()
    assert [event["message"] for event in await written(host)] == told


async def test_a_repeat_of_an_event_that_has_expired_is_a_new_one(host: Host) -> None:
    recorder = EventRecorder(host.client, host.clock)
    recorder.record(said())
    await recorder.drain()
    await host.client.call("DELETE", "/api/v1/namespaces/team-a/events")
    recorder.record(said())
    await recorder.drain()
    [event] = await written(host)
    assert event["count"] == 1


async def test_a_long_message_is_cut_to_what_the_field_allows(host: Host) -> None:
    recorder = EventRecorder(host.client, host.clock)
    recorder.record(said("x" * 5000))
    await recorder.drain()
    [event] = await written(host)
    assert len(str(event["message"])) == 1024
    assert str(event["message"]).endswith(" ...")


async def test_the_oldest_go_first_when_too_many_wait(host: Host) -> None:
    recorder = EventRecorder(host.client, host.clock, backlog=2)
    for name in ("a", "b", "c"):
        recorder.record(said(name=name))
    await recorder.drain()
    assert recorder.dropped == 1
    names = [event["involvedObject"]["name"] for event in await written(host)]  # type: ignore[index]  # JSON
    assert sorted(names) == ["b.shop", "c.shop"]


async def test_an_event_that_the_host_refuses_is_counted_and_forgotten(host: Host) -> None:
    host.faults.add(Rule("refuse", path="/events", status=403, times=-1))
    recorder = EventRecorder(host.client, host.clock)
    recorder.record(said())
    await recorder.drain()
    assert (recorder.written, recorder.dropped, len(recorder)) == (0, 1, 0)
