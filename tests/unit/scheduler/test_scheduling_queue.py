"""The scheduling queue on a clock moved by hand: who is next, and who waits how long."""

import pytest

from builders import a_pod
from nestling.machinery.records.pod import Pod
from nestling.scheduler.queue import LEFT_OVER_S, Backoff, Place, QueuedPod, SchedulingQueue
from unit.scheduler.tables import a_class

START = 1000.25
REFUSED = frozenset({"NodeResourcesFit"})


def queued(name: str, *, priority: int = 0, added_at: float = START) -> QueuedPod:
    return QueuedPod(Pod.read(a_pod(name)), a_class(), priority, added_at)


def drain(queue: SchedulingQueue, now: float) -> list[str]:
    found: list[str] = []
    while (pod := queue.pop(now)) is not None:
        found.append(pod.key.name)
    return found


def attempt(queue: SchedulingQueue, now: float) -> QueuedPod:
    pod = queue.pop(now)
    assert pod is not None
    pod.attempts += 1
    return pod


def test_higher_priority_goes_first_then_who_came_first() -> None:
    queue = SchedulingQueue()
    for name, priority, at in [("a", 0, 1.0), ("b", 5, 2.0), ("c", 0, 0.5), ("d", 5, 3.0)]:
        queue.activate(queued(name, priority=priority, added_at=at), 9.0)
    assert drain(queue, 9.0) == ["b", "d", "c", "a"]


def test_a_gated_pod_keeps_the_time_of_its_arrival() -> None:
    queue, gated = SchedulingQueue(), queued("gated", added_at=1.0)
    queue.gate(gated)
    queue.activate(queued("later", added_at=2.0), 2.0)
    queue.activate(gated, 3.0)
    assert drain(queue, 9.0) == ["gated", "later"]
    assert gated.entered_at == 3.0


def test_an_empty_queue_has_nobody_and_wakes_never() -> None:
    queue = SchedulingQueue()
    assert queue.pop(START) is None
    assert queue.wake_at() is None


def test_a_removed_pod_is_not_popped() -> None:
    queue, pod = SchedulingQueue(), queued("a")
    queue.activate(pod, START)
    queue.remove(pod)
    assert queue.wake_at() is None
    assert queue.pop(START) is None


@pytest.mark.parametrize(
    ("failures", "delay"), [(0, 0.0), (1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 10.0), (1000, 10.0)]
)
def test_back_off_doubles_up_to_ten_seconds(failures: int, delay: float) -> None:
    assert Backoff().after(failures) == delay


def test_a_refused_pod_waits_for_an_event() -> None:
    queue, pod = SchedulingQueue(), queued("a")
    queue.activate(pod, START)
    queue.refuse(attempt(queue, START), REFUSED, START)
    assert pod.place is Place.UNSCHEDULABLE
    assert queue.pop(START + 60) is None
    assert queue.wake_at() == START + LEFT_OVER_S


def test_a_woken_pod_backs_off_while_others_are_active() -> None:
    queue, pod = SchedulingQueue(), queued("a")
    queue.activate(pod, START)
    queue.refuse(attempt(queue, START), REFUSED, START)
    queue.wake(pod, START + 0.5)
    assert pod.place is Place.BACKOFF
    queue.activate(queued("b"), START + 0.6)
    queue.activate(queued("c"), START + 0.7)
    first = queue.pop(START + 0.8)
    assert first is not None
    assert first.key.name == "b"
    # The window of second 1001 has to be over: then the older pod is ahead of the younger one.
    assert drain(queue, 1001.99) == ["c", "a"]  # nobody else was left, so it went early


def test_a_woken_pod_is_active_once_its_window_is_over() -> None:
    queue, pod = SchedulingQueue(), queued("a", priority=1)
    queue.activate(pod, START)
    queue.refuse(attempt(queue, START), REFUSED, START)
    queue.wake(pod, START)
    queue.activate(queued("b"), START)
    assert drain(queue, 1002.0) == ["a", "b"]


def test_an_idle_scheduler_takes_a_backing_off_pod_at_once() -> None:
    queue, pod = SchedulingQueue(), queued("a")
    queue.activate(pod, START)
    queue.refuse(attempt(queue, START), REFUSED, START)
    queue.wake(pod, START)
    assert queue.wake_at() == 0.0
    assert queue.pop(START) is pod


def test_a_pod_that_waited_long_enough_needs_no_back_off() -> None:
    queue, pod = SchedulingQueue(), queued("a")
    queue.activate(pod, START)
    queue.refuse(attempt(queue, START), REFUSED, START)
    queue.wake(pod, START + 60)
    assert pod.place is Place.ACTIVE


def test_after_an_error_even_an_idle_scheduler_waits() -> None:
    queue, pod = SchedulingQueue(), queued("a")
    queue.activate(pod, START)
    queue.fail(attempt(queue, START), START)
    assert queue.pop(START + 0.9) is None
    assert queue.wake_at() == 1002.0
    assert queue.pop(1002.0) is pod
    queue.fail(pod, 1002.0)
    assert queue.wake_at() == 1005.0  # two seconds, and the window after them


def test_a_refusal_ends_a_row_of_errors() -> None:
    queue, pod = SchedulingQueue(), queued("a")
    for _ in range(5):
        queue.fail(pod, START)
    queue.refuse(pod, REFUSED, START)
    assert (pod.errors, pod.refusals) == (0, 1)


def test_a_pod_that_only_patience_brings_back_is_marked_until_it_is_tried_again() -> None:
    queue, pod = SchedulingQueue(), queued("a")
    queue.activate(pod, START)
    queue.refuse(attempt(queue, START), REFUSED, START)
    assert queue.pop(START + LEFT_OVER_S) is pod
    assert pod.flushed
    queue.refuse(pod, REFUSED, START + LEFT_OVER_S)
    assert not pod.flushed


@pytest.mark.parametrize(
    ("first", "longest", "delays"),
    [
        pytest.param(1, 10, [1, 2, 4, 8, 10, 10], id="kube-scheduler's"),
        pytest.param(3, 10, [3, 6, 10, 10], id="the longest is no power of the first"),
        pytest.param(5, 5, [5, 5, 5], id="always the same"),
        pytest.param(1, 0, [0, 0], id="never"),
    ],
)
def test_back_off_is_configured(first: float, longest: float, delays: list[float]) -> None:
    backoff = Backoff(first, longest)
    assert [backoff.after(failures) for failures in range(1, len(delays) + 1)] == delays


def test_left_over_pods_are_tried_again_after_five_minutes() -> None:
    queue, pod = SchedulingQueue(), queued("a")
    queue.activate(pod, START)
    queue.refuse(attempt(queue, START), REFUSED, START)
    assert queue.pop(START + LEFT_OVER_S - 1) is None
    assert queue.pop(START + LEFT_OVER_S) is pod


def test_gated_pods_are_never_popped() -> None:
    queue, pod = SchedulingQueue(), queued("a")
    queue.gate(pod)
    assert queue.pop(START + 10_000) is None
    assert queue.wake_at() is None
    assert queue.count[Place.GATED] == 1
    queue.activate(pod, START)
    assert queue.pop(START) is pod


def test_unschedulable_pods_are_grouped_by_class() -> None:
    queue = SchedulingQueue()
    small, large = a_class(), a_class({"name": "main", "resources": {"requests": {"cpu": "1"}}})
    for name, pods in [("a", small), ("b", large), ("c", small)]:
        pod = QueuedPod(Pod.read(a_pod(name)), pods, 0, START)
        queue.refuse(pod, REFUSED, START)
    groups = {pods.key: [pod.key.name for pod in group] for _, pods, group in queue.groups()}
    assert groups == {small.key: ["a", "c"], large.key: ["b"]}
