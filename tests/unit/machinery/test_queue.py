"""The work queue, on a clock that stands still."""

from itertools import pairwise
from random import Random

import pytest

from nestling.machinery.clock import ManualClock
from nestling.machinery.names import Key
from nestling.machinery.queue import BASE_DELAY_S, MAX_DELAY_S, Queue

WEB = Key("a", "default", "web")
API = Key("a", "default", "api")
OTHER = Key("b", "default", "web")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def queue(clock: ManualClock) -> Queue:
    return Queue(clock, random=Random(1))


def drain(queue: Queue) -> list[Key]:
    taken: list[Key] = []
    while (key := queue.take()) is not None:
        taken.append(key)
        queue.done(key)
    return taken


def test_a_key_added_twice_is_taken_once(queue: Queue) -> None:
    queue.add(WEB)
    queue.add(WEB)
    assert drain(queue) == [WEB]


def test_a_key_added_while_in_work_is_done_once_more_and_never_twice_at_a_time(queue: Queue) -> None:
    queue.add(WEB)
    assert queue.take() == WEB
    queue.add(WEB)
    queue.add(WEB)
    assert queue.take() is None
    queue.done(WEB)
    assert drain(queue) == [WEB]


def test_clusters_take_turns(queue: Queue) -> None:
    for number in range(3):
        queue.add(Key("noisy", "default", f"web-{number}"))
    queue.add(OTHER)
    assert [key.cluster for key in drain(queue)] == ["noisy", "b", "noisy", "noisy"]


def test_a_delayed_key_comes_when_it_is_due_and_not_before(queue: Queue, clock: ManualClock) -> None:
    queue.add_after(WEB, 2.0)
    assert queue.due_at() == 2.0
    clock.advance(1.99)
    assert queue.take() is None
    clock.advance(0.01)
    assert drain(queue) == [WEB]
    assert queue.due_at() is None


def test_the_earliest_of_several_delays_counts_and_the_others_are_dropped(
    queue: Queue, clock: ManualClock
) -> None:
    queue.add_after(WEB, 5.0)
    queue.add_after(WEB, 1.0)
    queue.add_after(WEB, 3.0)
    clock.advance(1.0)
    assert drain(queue) == [WEB]
    clock.advance(10.0)
    assert drain(queue) == []


def test_retries_double_up_to_the_ceiling_and_start_over_after_success(queue: Queue) -> None:
    delays = [queue.retry(WEB) for _ in range(24)]
    assert BASE_DELAY_S <= delays[0] <= BASE_DELAY_S * 1.25
    assert all(later > earlier for earlier, later in pairwise(delays[:17]))
    assert MAX_DELAY_S <= delays[-1] <= MAX_DELAY_S * 1.25
    queue.forget(WEB)
    assert queue.retry(WEB) <= BASE_DELAY_S * 1.25


def test_a_retry_waits_at_least_as_long_as_the_host_asked(queue: Queue, clock: ManualClock) -> None:
    assert queue.retry(WEB, at_least_s=7.0) >= 7.0
    clock.advance(6.9)
    assert queue.take() is None


def test_the_length_counts_keys_in_line_only(queue: Queue) -> None:
    queue.add(WEB)
    queue.add(API)
    queue.add_after(OTHER, 1)
    assert len(queue) == 2
    queue.take()
    assert len(queue) == 1
    assert list(queue.working) == [WEB]


def test_keys_of_one_lane_are_never_in_work_together(clock: ManualClock) -> None:
    queue = Queue(clock, random=Random(1), lane=lambda key: key.cluster)
    for key in (WEB, API, OTHER):
        queue.add(key)
    assert [queue.take(), queue.take(), queue.take()] == [WEB, OTHER, None]
    assert len(queue) == 1, "the parked key is still in line"
    queue.done(WEB)
    assert drain(queue) == [API]


def test_a_parked_key_does_not_hold_up_others_and_is_added_once(clock: ManualClock) -> None:
    queue = Queue(clock, random=Random(1), lane=lambda key: key.cluster)
    queue.add(WEB)
    assert queue.take() == WEB
    queue.add(API)
    assert queue.take() is None
    queue.add(API)
    queue.add(WEB)
    queue.done(WEB)
    assert sorted(drain(queue)) == sorted([API, WEB])
