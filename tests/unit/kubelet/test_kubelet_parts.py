"""The small parts: back-off, probes, annotations, merge patches, addresses, the agenda, kubectl's columns."""

import copy
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubelet_world import merge
from nestling.api.json import JsonObject
from nestling.kubelet import backoff
from nestling.kubelet.address import Pool, node_address
from nestling.kubelet.agenda import Agenda, Item
from nestling.kubelet.display import node_display, pod_display
from nestling.kubelet.merge import merge_patch
from nestling.kubelet.probing import NEVER, Marks, marks_of
from nestling.kubelet.runtimes import annotation
from nestling.kubelet.runtimes.annotation import LONGEST_S, PLAIN, script_of
from nestling.kubelet.runtimes.runtime import Answers, Container, Usage
from nestling.kubelet.runtimes.simulated import Simulated
from nestling.machinery.controller import Outcome
from nestling.machinery.errors import Conflict, Refused, Throttled, Unavailable
from nestling.machinery.names import Key
from nestling.machinery.plan import Plan


@pytest.mark.parametrize(
    ("restarts", "waited", "ran", "wanted"),
    [
        pytest.param(0, None, 1, 0, id="first end"),
        pytest.param(1, 0, 1, 10, id="second end"),
        pytest.param(2, 10, 1, 20, id="third"),
        pytest.param(3, 21, 1, 40, id="a second late"),
        pytest.param(6, 160, 1, 300, id="sixth"),
        pytest.param(50, 300, 1, 300, id="no more than five minutes"),
        pytest.param(5, 80, 601, 0, id="ran for long"),
        pytest.param(5, 80, 600, 160, id="not quite long enough"),
        pytest.param(2, 5000, 1, 20, id="nobody looked meanwhile"),
        pytest.param(-1, 5, 1, 0, id="nonsense count"),
    ],
)
def test_backoff_delay(restarts: int, waited: float | None, ran: float, wanted: int) -> None:
    assert backoff.delay(restarts, waited_s=waited, ran_s=ran) == wanted


@pytest.mark.parametrize("seconds", [0, 9, 10, 59, 60, 80, 160, 300])
def test_a_backoff_message_can_be_read_back(seconds: int) -> None:
    assert backoff.told(backoff.message(seconds, "main", "web_default(u)")) == seconds


@pytest.mark.parametrize(
    "text", ["", "back-off", "back-off 5 restarting", "Back-off 5s x", "back-off 1h0m0s x"]
)
def test_a_message_of_others_is_not_taken_for_a_backoff(text: str) -> None:
    assert backoff.told(text) is None


@settings(deadline=None)
@given(
    st.integers(0, 20),
    st.integers(1, 20),
    st.integers(1, 5),
    st.floats(0, 200),
    st.one_of(st.none(), st.floats(0, 200)),
)
def test_liveness_in_closed_form_equals_ticking(
    delay: int, period: int, failures: int, since: float, until: float | None
) -> None:
    probe = {"initialDelaySeconds": delay, "periodSeconds": period, "failureThreshold": failures}
    marks = marks_of({"livenessProbe": probe}, lambda _kind: Answers(since, until))
    run, killed = 0, NEVER
    for tick in range(1, 1000):
        at = delay + tick * period
        answers = at >= since and (until is None or at < until)
        run = 0 if answers else run + 1
        if run == failures:
            killed = at
            break
    assert marks.killed_after == killed


@settings(deadline=None)
@given(st.integers(0, 20), st.integers(1, 20), st.integers(1, 5), st.floats(0, 200))
def test_readiness_in_closed_form_equals_ticking(
    delay: int, period: int, successes: int, since: float
) -> None:
    probe = {"initialDelaySeconds": delay, "periodSeconds": period, "successThreshold": successes}
    marks = marks_of({"readinessProbe": probe}, lambda _kind: Answers(since))
    passed = [at for tick in range(1, 1000) if (at := delay + tick * period) >= since]
    assert marks.ready_after == passed[successes - 1]


def test_a_container_without_probes_is_ready_at_once() -> None:
    assert marks_of({}, lambda _kind: Answers()) == Marks()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("5s", 5, id="seconds"),
        pytest.param("1m30s", 90, id="minutes"),
        pytest.param("300ms", 0.3, id="milliseconds"),
        pytest.param("1.5h", 5400, id="fraction"),
        pytest.param("2d", 172800, id="days"),
        pytest.param(" 7 ", 7, id="bare number"),
        pytest.param("0", 0, id="zero"),
        pytest.param("99999999999999999999d", LONGEST_S, id="absurd"),
        pytest.param("9" * 400, LONGEST_S, id="absurd bare number"),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert annotation.duration_of(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "banana", "-5s", "5 s", "s", "1e3s", "5s5", "∞", "٣s", "5S", "1" * 100 + "s"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        annotation.duration_of(text)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        pytest.param("start-delay", "banana", id="no duration"),
        pytest.param("run-duration", "5s-1s", id="range upside down"),
        pytest.param("exit-code", "256", id="code too large"),
        pytest.param("exit-code", "-1", id="negative code"),
        pytest.param("exit-code", "1.5", id="fractional code"),
        pytest.param("crash-probability", "2", id="more than certain"),
        pytest.param("crash-probability", "nan", id="not a number"),
        pytest.param("readiness", "maybe", id="unknown word"),
        pytest.param("cpu", "lots", id="no quantity"),
        pytest.param("memory", "0s=-5Mi", id="negative memory"),
        pytest.param("strat-delay", "5s", id="misspelt"),
        pytest.param("start-delay", "x" * 5000, id="long junk"),
    ],
)
def test_an_unreadable_setting_is_complained_about_and_ignored(key: str, text: str) -> None:
    script = script_of({f"sim.nestling.dev/{key}": text}, "main")
    assert script == PLAIN
    [complaint] = script.complaints
    assert complaint.startswith(f"sim.nestling.dev/{key}: ")
    assert len(complaint) < 300


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(annotation.SETTINGS)), st.text(max_size=20), max_size=5))
def test_no_annotation_raises(said: dict[str, str]) -> None:
    annotations = {f"sim.nestling.dev/{key}": text for key, text in said.items()}
    container = Container(uid="u", spec={"name": "main", "image": "a"}, annotations=annotations)  # type: ignore[arg-type]  # a plain string will do
    runtime = Simulated()
    run = runtime.start(container, 0)
    assert run.ends_after is None or 0 <= run.ends_after <= LONGEST_S
    assert 0 <= runtime.pull(container).seconds <= LONGEST_S
    assert 0 <= runtime.stop(container, 0) <= LONGEST_S
    assert len(list(runtime.logs(container, 0, 1e9))) <= 1000
    assert runtime.stats(container, 0, 5.0).memory_bytes >= 0


def test_what_is_said_for_one_container_goes_before_what_is_said_for_all() -> None:
    annotations = {
        "sim.nestling.dev/start-delay.a": "1s",
        "sim.nestling.dev/start-delay": "2s-4s",
        "sim.nestling.dev/power": "off",
        "other": "x",
    }
    assert script_of(annotations, "a").start_delay == (1, 1)
    assert script_of(annotations, "b").start_delay == (2, 4)
    assert script_of(annotations, "b").complaints == ()


def test_usage_follows_its_curve() -> None:
    annotations = {"sim.nestling.dev/cpu": "10s=100m,20s=300m", "sim.nestling.dev/memory": "64Mi"}
    container = Container(uid="u", spec={"name": "main"}, annotations=annotations)  # type: ignore[arg-type]  # a plain string will do
    runtime = Simulated()
    assert [runtime.stats(container, 0, at).cpu_milli for at in (0, 10, 15, 20, 99)] == [
        100,
        100,
        200,
        300,
        300,
    ]
    assert runtime.stats(container, 0, 5).memory_bytes == 64 * 2**20
    asks = {"name": "main", "resources": {"requests": {"cpu": "1", "memory": "100Mi"}}}
    plain = Container(uid="u", spec=asks, annotations={})  # type: ignore[arg-type]  # a plain string will do
    assert runtime.stats(plain, 0, 5) == Usage(100, 10 * 2**20, 0.5)


@pytest.mark.parametrize(
    ("curve", "ran_for", "seconds"),
    [
        pytest.param("100m", 0, 0.0, id="just started"),
        pytest.param("100m", 30, 3.0, id="level"),
        pytest.param("10s=100m,20s=300m", 10, 1.0, id="before the first point it is level"),
        pytest.param("10s=100m,20s=300m", 15, 1.75, id="half-way up the slope"),
        pytest.param("10s=100m,20s=300m", 30, 6.0, id="after the last point it is level"),
    ],
)
def test_total_of_cpu_is_the_area_below_its_curve(curve: str, ran_for: float, seconds: float) -> None:
    annotations = {"sim.nestling.dev/cpu": curve}
    container = Container(uid="u", spec={"name": "main"}, annotations=annotations)  # type: ignore[arg-type]  # a plain string will do
    assert Simulated().stats(container, 0, ran_for).cpu_seconds == pytest.approx(seconds)


JSON = st.recursive(
    st.one_of(st.booleans(), st.integers(-3, 3), st.text("ab", max_size=2)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abc"), JSON), st.dictionaries(st.sampled_from("abc"), JSON))
def test_a_merge_patch_makes_the_old_into_the_new(old: JsonObject, new: JsonObject) -> None:
    patch = merge_patch(old, new)
    target = copy.deepcopy(old)
    merge(target, patch)
    assert target == new
    assert (patch == {}) == (old == new)


def test_a_pool_gives_the_lowest_free_address() -> None:
    pool = Pool("10.0.0.0/29")
    assert [pool.take(f"u{i}") for i in range(6)] == [*(f"10.0.0.{i}" for i in range(2, 7)), None]
    pool.give_back("10.0.0.4", "somebody else")
    assert pool.take("v") is None
    pool.give_back("10.0.0.4", "u2")
    assert pool.take("v") == "10.0.0.4"


@pytest.mark.parametrize("cidr", ["10.0.0.1/32", "10.0.0.0/31"])
def test_a_subnet_too_small_gives_nothing(cidr: str) -> None:
    assert Pool(cidr).take("u") is None


def test_a_pool_of_the_other_family() -> None:
    assert Pool("fd00:10:244:7::/64").take("u") == "fd00:10:244:7::2"


@pytest.mark.parametrize(
    ("cidr", "cluster", "wanted"),
    [
        pytest.param("10.128.0.0/24", "10.128.0.0/9", "172.18.0.2", id="first"),
        pytest.param("10.128.1.0/24", "10.128.0.0/9", "172.18.0.3", id="second"),
        pytest.param("10.129.0.0/24", "10.128.0.0/9", "172.18.1.2", id="far"),
    ],
)
def test_node_addresses_are_counted_from_the_subnet(cidr: str, cluster: str, wanted: str) -> None:
    assert node_address(cidr, cluster, "u") == wanted


@pytest.mark.parametrize("cidr", ["", "junk", "fd00::/64"])
def test_a_node_with_an_odd_subnet_has_an_address_too(cidr: str) -> None:
    assert node_address(cidr, "10.128.0.0/9", "u").startswith("172.")


def item(name: str = "a", lane: int = 0) -> Item:
    return Item(Key("team-a", "", name), lane)


def test_lower_lanes_go_first_and_each_item_once() -> None:
    agenda, heart, pod = Agenda(2), item("heart", 0), item("pod", 1)
    for one in (pod, heart, pod):
        agenda.add(one)
    assert [agenda.take(0), agenda.take(0), agenda.take(0)] == [heart, pod, None]


def test_bookings_that_were_cancelled_do_not_pile_up() -> None:
    agenda, many = Agenda(1), [item(str(number)) for number in range(10)]
    for turn in range(2000):
        for one in many:
            agenda.add(one)
            agenda.take(0)
            agenda.wake(one, 1e6 + turn % 7)
    assert len(agenda._later) <= 1024  # pyright: ignore[reportPrivateUsage]  # what is promised is its size
    taken = [agenda.take(1e9) for _ in range(11)]
    assert sorted(one.key.name for one in taken if one is not None) == [str(number) for number in range(10)]


def test_the_earliest_booking_holds_and_a_look_cancels_it() -> None:
    agenda, one = Agenda(1), item()
    agenda.wake(one, 10)
    agenda.wake(one, 5)
    agenda.wake(one, 7)
    assert agenda.due_at() == 5
    assert agenda.take(4) is None
    assert agenda.take(5) is one
    assert agenda.due_at() is None


@pytest.mark.parametrize(
    ("error", "version", "least", "most"),
    [
        pytest.param(Throttled("wait", retry_after_s=3), 1, 3, 3, id="throttled"),
        pytest.param(Conflict("moved on"), 1, 0.2, 2.5, id="conflict, cache behind"),
        pytest.param(Conflict("moved on"), 2, 0, 0, id="conflict, cache has caught up"),
        pytest.param(Unavailable("down"), 1, 0.2, 0.4, id="unavailable"),
        pytest.param(Refused("no"), 1, 5, 6, id="refused"),
    ],
)
def test_a_failed_plan_brings_its_item_back(error: Any, version: int, least: float, most: float) -> None:
    agenda, one = Agenda(1), item()
    one.plan, one.version = Plan.done(), 1
    agenda.settle(one, Outcome(0, error), version, 0.0)
    due = agenda.due_at()
    assert due is not None
    assert least <= due <= most


def test_pauses_grow_with_failures_in_a_row_and_end_with_success() -> None:
    agenda, one = Agenda(1), item()
    pauses: list[float] = []
    for _ in range(12):
        one.plan = Plan.done()
        agenda.settle(one, Outcome(0, Unavailable("down")), 1, 0.0)
        due = agenda.due_at()
        assert due is not None
        pauses.append(due)
        agenda.take(math.inf)
    assert pauses == sorted(pauses) or pauses[-1] >= 30
    assert pauses[-1] <= 36
    agenda.settle(one, Outcome(1), 2, 0.0)
    assert one.failures == 0


def test_a_change_during_a_plan_is_looked_at_after_it() -> None:
    agenda, one = Agenda(1), item()
    one.plan, one.version = Plan.done(), 1
    agenda.add(one)
    assert agenda.take(0) is None
    agenda.settle(one, Outcome(1), 2, 0.0)
    assert agenda.take(0) is one


def entry(name: str, state: JsonObject, **more: Any) -> JsonObject:
    return {"name": name, "state": state, "ready": False, "restartCount": 0, **more}


RUNNING: JsonObject = {"running": {"startedAt": "2027-01-15T08:00:00Z"}}
DONE: JsonObject = {"terminated": {"exitCode": 0, "reason": "Completed"}}
FAILED: JsonObject = {"terminated": {"exitCode": 1, "reason": "Error"}}
BARE: JsonObject = {"terminated": {"exitCode": 7}}
SIGNAL: JsonObject = {"terminated": {"exitCode": 7, "signal": 9}}
LOOP: JsonObject = {"waiting": {"reason": "CrashLoopBackOff"}}
READY: list[JsonObject] = [{"type": "Ready", "status": "True"}]


@pytest.mark.parametrize(
    ("phase", "inits", "mains", "more", "wanted"),
    [
        pytest.param("Pending", [], [], {}, "Pending", id="nothing known"),
        pytest.param("Running", [], [entry("a", RUNNING, ready=True)], {}, "Running", id="running"),
        pytest.param("Failed", [], [], {"reason": "Evicted"}, "Evicted", id="reason of the pod"),
        pytest.param("Running", [], [entry("a", LOOP)], {}, "CrashLoopBackOff", id="waiting"),
        pytest.param("Succeeded", [], [entry("a", DONE)], {}, "Completed", id="completed"),
        pytest.param("Failed", [], [entry("a", FAILED)], {}, "Error", id="error"),
        pytest.param("Failed", [], [entry("a", BARE)], {}, "ExitCode:7", id="exit code"),
        pytest.param("Failed", [], [entry("a", SIGNAL)], {}, "Signal:9", id="signal"),
        pytest.param(
            "Running", [], [entry("a", DONE), entry("b", RUNNING, ready=True)], {}, "NotReady", id="not ready"
        ),
        pytest.param(
            "Running",
            [],
            [entry("a", DONE), entry("b", RUNNING, ready=True)],
            {"conditions": READY},
            "Running",
            id="ready in spite of a completed one",
        ),
        pytest.param("Failed", [], [entry("a", DONE), entry("b", FAILED)], {}, "Error", id="one failed"),
        pytest.param("Pending", [entry("i", RUNNING)], [], {}, "Init:0/2", id="first init"),
        pytest.param(
            "Pending", [entry("i", DONE), entry("j", RUNNING)], [], {}, "Init:1/2", id="second init"
        ),
        pytest.param("Pending", [entry("i", LOOP)], [], {}, "Init:CrashLoopBackOff", id="init loops"),
        pytest.param("Failed", [entry("i", FAILED)], [], {}, "Init:Error", id="init failed"),
        pytest.param("Failed", [entry("i", BARE)], [], {}, "Init:ExitCode:7", id="init exit code"),
        pytest.param(
            "Pending",
            [],
            [],
            {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]},
            "SchedulingGated",
            id="gated",
        ),
    ],
)
def test_status_column_is_kubectls(
    phase: str, inits: list[JsonObject], mains: list[JsonObject], more: JsonObject, wanted: str
) -> None:
    spec: JsonObject = {"containers": [{"name": "a"}, {"name": "b"}]}
    if inits:
        spec["initContainers"] = [{"name": "i"}, {"name": "j"}]
    status = {"phase": phase, "initContainerStatuses": inits, "containerStatuses": mains, **more}
    assert pod_display(spec, status, deleting=False)["status"] == wanted
    terminal = phase in {"Succeeded", "Failed"}
    assert pod_display(spec, status, deleting=True)["status"] == (wanted if terminal else "Terminating")


@pytest.mark.parametrize(
    ("labels", "ready", "unschedulable", "status", "roles"),
    [
        pytest.param({}, None, False, "Unknown", "<none>", id="nothing known"),
        pytest.param({}, "True", False, "Ready", "<none>", id="ready"),
        pytest.param({}, "Unknown", True, "NotReady,SchedulingDisabled", "<none>", id="lost and cordoned"),
        pytest.param(
            {"node-role.kubernetes.io/b": "", "node-role.kubernetes.io/a": "", "x": ""},
            "True",
            False,
            "Ready",
            "a,b",
            id="roles",
        ),
    ],
)
def test_node_columns_are_kubectls(
    labels: dict[str, str], ready: str | None, unschedulable: bool, status: str, roles: str
) -> None:
    conditions = [{"type": "Ready", "status": ready}] if ready else []
    assert node_display(labels, conditions, unschedulable=unschedulable) == {"status": status, "roles": roles}
