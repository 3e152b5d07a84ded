"""What a Deployment says about its rollout: figures, availability, progress, pause, failures below it."""

from typing import Any

import pytest

from builders import BIRTH, NOW, a_deployment, a_replica_set, a_template, cache_of, key_for
from nestling.api.json import JsonObject
from nestling.controllers.deployment import progress
from nestling.controllers.deployment.condition import condition, put
from nestling.controllers.deployment.family import Family, family_of
from nestling.controllers.deployment.status import figures_of, is_complete, terminating, with_availability
from nestling.machinery.clock import timestamp
from nestling.machinery.conditions import find_condition, without_condition
from nestling.machinery.records.workload import INT32_MAX, Deployment, ReplicaSet

EARLIER = NOW - 60


def deployment(replicas: int = 3, deadline: int | None = 60, **spec: Any) -> Deployment:
    obj = a_deployment(replicas=replicas, spec={"progressDeadlineSeconds": deadline, **spec})
    return cache_of(obj).table(Deployment).records[key_for(obj)]


def a_set(name: str, replicas: int, available: int, *, new: bool = False, **status: Any) -> ReplicaSet:
    full = {
        "observedGeneration": 1,
        "replicas": replicas,
        "readyReplicas": available,
        "availableReplicas": available,
        "terminatingReplicas": 0,
        **status,
    }
    template = a_template(image="web:1" if new else "web:0")
    obj = a_replica_set(name, replicas=replicas, template=template, status=full)
    return cache_of(obj).table(ReplicaSet).records[key_for(obj)]


def figures(
    replicas: int, updated: int, ready: int, available: int | None = None, generation: int = 1
) -> JsonObject:
    return {
        "replicas": replicas,
        "updatedReplicas": updated,
        "readyReplicas": ready,
        "availableReplicas": ready if available is None else available,
        "observedGeneration": generation,
    }


# --- conditions -----------------------------------------------------------------------------------

OLD = condition("A", "True", "Before", "once", EARLIER)
OTHER = condition("B", "False", "Other", "", EARLIER)


def test_condition_of_the_same_status_and_reason_is_left_alone() -> None:
    assert put([OLD, OTHER], condition("A", "True", "Before", "now", NOW)) == [OLD, OTHER]


def test_condition_of_the_same_status_keeps_its_transition() -> None:
    new = condition("A", "True", "After", "now", NOW)
    assert put([OLD, OTHER], new) == [OTHER, {**new, "lastTransitionTime": timestamp(EARLIER)}]


def test_condition_of_another_status_replaces_the_old_one() -> None:
    new = condition("A", "False", "Before", "now", NOW)
    assert put([OLD, OTHER], new) == [OTHER, new]


def test_renewed_condition_has_a_new_update_and_an_old_transition() -> None:
    new = condition("A", "True", "Before", "once", NOW)
    (found,) = put([OLD], new, renew=True)
    assert (found["lastUpdateTime"], found["lastTransitionTime"]) == (timestamp(NOW), timestamp(EARLIER))


def test_conditions_are_found_and_dropped_by_type() -> None:
    assert find_condition([OLD, OTHER], "B") is OTHER
    assert find_condition([OLD], "B") is None
    assert without_condition([OLD, OTHER], "A") == [OTHER]


def test_message_is_no_longer_than_the_schema_allows() -> None:
    assert len(condition("A", "True", "R", "m" * 40_000, NOW)["message"]) == 32_768


# --- figures --------------------------------------------------------------------------------------


def test_figures_are_the_sums_of_the_replica_sets() -> None:
    spec = deployment(5)
    family = family_of(spec, [a_set("old", 3, 3, terminatingReplicas=2), a_set("new", 2, 1, new=True)])
    assert figures_of(spec, family, {}, 0) == {
        "observedGeneration": 1,
        "replicas": 5,
        "updatedReplicas": 2,
        "readyReplicas": 4,
        "availableReplicas": 4,
        "unavailableReplicas": 1,
        "terminatingReplicas": 2,
        "selector": "app=web",
        "display": {"ready": "4/5"},
    }


def test_unavailable_is_what_is_asked_for_and_not_available() -> None:
    spec = deployment(5)
    old = a_set("old", 3, 3)
    family = Family(None, (old,))
    assert figures_of(spec, family, {old.uid: 1}, 4)["unavailableReplicas"] == 2
    assert (
        figures_of(spec, family, {old.uid: 0}, 0)["unavailableReplicas"] == 0
    )  # more available than asked for


@pytest.mark.parametrize(
    ("sets", "wanted"),
    [
        pytest.param([], 0, id="none"),
        pytest.param([{"terminatingReplicas": 1}, {"terminatingReplicas": 2}], 3, id="sum"),
        pytest.param([{"terminatingReplicas": None, "observedGeneration": 0}], 0, id="not looked at yet"),
        pytest.param(
            [{"terminatingReplicas": 1}, {"terminatingReplicas": None}], None, id="one does not say"
        ),
    ],
)
def test_terminating(sets: list[dict[str, Any]], wanted: int | None) -> None:
    assert terminating([a_set(f"s{i}", 1, 1, **status) for i, status in enumerate(sets)]) == wanted


def test_selector_that_is_too_long_is_left_out() -> None:
    labels = {f"key-{i}": "v" * 60 for i in range(100)}
    spec = deployment(selector={"matchLabels": labels})
    assert figures_of(spec, Family(None, ()), {}, 0)["selector"] is None


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        pytest.param(figures(3, 3, 3), True, id="all there"),
        pytest.param(figures(3, 3, 3, 2), False, id="one not available"),
        pytest.param(figures(4, 3, 3), False, id="an old one is left"),
        pytest.param(figures(3, 2, 3), False, id="one is not updated"),
        pytest.param(figures(3, 3, 3, generation=0), False, id="of an earlier generation"),
        pytest.param({}, False, id="nothing said yet"),
    ],
)
def test_complete(status: JsonObject, wanted: bool) -> None:
    assert is_complete(deployment(3), status) is wanted


@pytest.mark.parametrize(
    ("available", "wanted"),
    [
        pytest.param(3, ("True", "MinimumReplicasAvailable"), id="as many as must be"),
        pytest.param(2, ("False", "MinimumReplicasUnavailable"), id="one too few"),
    ],
)
def test_available(available: int, wanted: tuple[str, str]) -> None:
    (found,) = with_availability(deployment(4), figures(4, 4, available), [], NOW)
    assert (found["status"], found["reason"]) == wanted


# --- progress -------------------------------------------------------------------------------------


def stands(reason: str, status: Any = "True", at: float = EARLIER) -> JsonObject:
    return condition("Progressing", status, reason, "", at)


UPDATED, ARRIVED = stands(progress.UPDATED), stands(progress.ARRIVED)
TIMED_OUT = stands(progress.TIMED_OUT, "False")


@pytest.mark.parametrize(
    ("spec", "conditions", "before", "after", "wanted", "transition"),
    [
        pytest.param({"deadline": None}, [UPDATED], (2, 2, 2), (3, 3, 3), None, None, id="no deadline"),
        pytest.param(
            {"deadline": INT32_MAX}, [UPDATED], (2, 2, 2), (3, 3, 3), None, None, id="endless deadline"
        ),
        pytest.param(
            {},
            [ARRIVED],
            (3, 3, 3),
            (3, 3, 1),
            progress.ARRIVED,
            EARLIER,
            id="arrived, and then lost two pods",
        ),
        pytest.param(
            {}, [UPDATED], (2, 2, 2), (3, 2, 2), progress.UPDATED, EARLIER, id="nothing has moved yet"
        ),
        pytest.param({}, [UPDATED], (3, 1, 1), (4, 2, 1), progress.UPDATED, EARLIER, id="a new pod"),
        pytest.param({}, [TIMED_OUT], (3, 1, 1), (4, 2, 1), progress.UPDATED, NOW, id="moves again"),
        pytest.param(
            {}, [], (3, 1, 1), (3, 1, 2), progress.UPDATED, NOW, id="a ready pod, nothing said before"
        ),
        pytest.param({}, [UPDATED], (4, 2, 2), (3, 2, 2), progress.UPDATED, EARLIER, id="an old pod less"),
        pytest.param({}, [UPDATED], (3, 2, 2), (3, 3, 3), progress.ARRIVED, EARLIER, id="arrives"),
        pytest.param({}, [TIMED_OUT], (3, 2, 2), (3, 3, 3), progress.ARRIVED, NOW, id="arrives late"),
        pytest.param({}, [], (3, 3, 3), (3, 3, 3), progress.ARRIVED, NOW, id="has arrived, nobody said so"),
        pytest.param(
            {"deadline": 59}, [UPDATED], (2, 2, 2), (2, 2, 2), progress.TIMED_OUT, NOW, id="too long"
        ),
        pytest.param(
            {"deadline": 60}, [UPDATED], (2, 2, 2), (2, 2, 2), progress.UPDATED, EARLIER, id="just not"
        ),
        pytest.param(
            {}, [TIMED_OUT], (2, 2, 2), (2, 2, 2), progress.TIMED_OUT, EARLIER, id="has timed out before"
        ),
        pytest.param({"deadline": 1}, [], (2, 2, 2), (2, 2, 2), None, None, id="no clock was started"),
        pytest.param(
            {"deadline": 1},
            [ARRIVED],
            (3, 3, 3),
            (4, 1, 3),
            progress.ARRIVED,
            EARLIER,
            id="clock not started yet",
        ),
    ],
)
def test_progress(
    spec: dict[str, Any],
    conditions: list[JsonObject],
    before: tuple[int, int, int],
    after: tuple[int, int, int],
    wanted: str | None,
    transition: float | None,
) -> None:
    found = find_condition(
        progress.estimated(
            deployment(3, **spec),
            conditions,
            stored=figures(*before),
            figures=figures(*after),
            new="web-abc",
            now=NOW,
        ),
        "Progressing",
    )
    if wanted is None:
        assert found is None
        return
    assert found is not None
    assert found["reason"] == wanted
    assert found["status"] == ("False" if wanted == progress.TIMED_OUT else "True")
    assert found["lastTransitionTime"] == timestamp(transition or 0)


def test_every_step_renews_the_clock() -> None:
    (found,) = progress.estimated(
        deployment(3), [UPDATED], stored=figures(3, 1, 1), figures=figures(3, 2, 1), new="web-abc", now=NOW
    )
    assert found["lastUpdateTime"] == timestamp(NOW)


@pytest.mark.parametrize(
    ("new", "before", "after", "message"),
    [
        ("web-abc", (3, 2, 2), (3, 3, 3), 'ReplicaSet "web-abc" has successfully progressed.'),
        (None, (3, 2, 2), (3, 3, 3), 'Deployment "web" has successfully progressed.'),
        ("web-abc", (3, 1, 1), (3, 2, 1), 'ReplicaSet "web-abc" is progressing.'),
        (None, (3, 1, 1), (3, 2, 1), 'Deployment "web" is progressing.'),
        ("web-abc", (3, 2, 1), (3, 2, 1), 'ReplicaSet "web-abc" has timed out progressing.'),
        (None, (3, 2, 1), (3, 2, 1), 'Deployment "web" has timed out progressing.'),
    ],
)
def test_messages(
    new: str | None, before: tuple[int, int, int], after: tuple[int, int, int], message: str
) -> None:
    old = stands(progress.CREATED, at=NOW - 61)
    (found,) = progress.estimated(
        deployment(3), [old], stored=figures(*before), figures=figures(*after), new=new, now=NOW
    )
    assert found["message"] == message


@pytest.mark.parametrize(
    ("conditions", "deadline", "after", "wanted"),
    [
        pytest.param([UPDATED], 100, (3, 2, 2), EARLIER + 101, id="a second after the deadline"),
        pytest.param([UPDATED], None, (3, 2, 2), None, id="no deadline"),
        pytest.param([], 100, (3, 2, 2), None, id="no clock"),
        pytest.param([UPDATED], 100, (3, 3, 3), None, id="complete"),
        pytest.param([TIMED_OUT], 100, (3, 2, 2), None, id="has timed out"),
        pytest.param([ARRIVED], 100, (3, 2, 2), None, id="has arrived"),
        pytest.param(
            [{"type": "Progressing", "status": "True"}],
            100,
            (3, 2, 2),
            NOW + 101,
            id="does not say since when",
        ),
        pytest.param(
            [{**UPDATED, "lastUpdateTime": "yesterday"}], 100, (3, 2, 2), NOW + 101, id="says it badly"
        ),
    ],
)
def test_next_look_is_when_the_rollout_would_time_out(
    conditions: list[JsonObject], deadline: int | None, after: tuple[int, int, int], wanted: float | None
) -> None:
    assert progress.due(deployment(3, deadline), conditions, figures(*after), NOW) == wanted


# --- pause, new ReplicaSets, failures -------------------------------------------------------------


@pytest.mark.parametrize(
    ("paused", "deadline", "before", "wanted"),
    [
        pytest.param(True, 60, UPDATED, (progress.PAUSED, "Unknown"), id="pauses"),
        pytest.param(True, 60, None, (progress.PAUSED, "Unknown"), id="is made paused"),
        pytest.param(
            True, 60, stands(progress.PAUSED, "Unknown"), (progress.PAUSED, "Unknown"), id="stays paused"
        ),
        pytest.param(
            False, 60, stands(progress.PAUSED, "Unknown"), (progress.RESUMED, "Unknown"), id="goes on"
        ),
        pytest.param(False, 60, UPDATED, (progress.UPDATED, "True"), id="was never paused"),
        pytest.param(True, 60, TIMED_OUT, (progress.TIMED_OUT, "False"), id="has timed out: that stays"),
        pytest.param(True, None, UPDATED, (progress.UPDATED, "True"), id="nobody judges"),
    ],
)
def test_pause(
    paused: bool, deadline: int | None, before: JsonObject | None, wanted: tuple[str, str]
) -> None:
    spec = deployment(3, deadline, paused=paused)
    (found,) = progress.with_pause(spec, [before] if before else [], NOW)
    assert (found["reason"], found["status"]) == wanted


def test_new_replica_set_starts_the_clock() -> None:
    (found,) = progress.with_created(deployment(), [ARRIVED], "web-abc", NOW)
    assert found["message"] == 'Created new replica set "web-abc"'
    assert (found["reason"], found["lastUpdateTime"]) == (progress.CREATED, timestamp(NOW))
    assert found["lastTransitionTime"] == timestamp(EARLIER)
    (found,) = progress.with_found(deployment(), [], "web-abc", NOW)
    assert (found["reason"], found["message"]) == (progress.FOUND, 'Found new replica set "web-abc"')
    assert progress.with_found(deployment(), [ARRIVED], "web-abc", NOW) == [ARRIVED]
    silent = deployment(deadline=None)
    assert progress.with_created(silent, [], "w", NOW) == progress.with_found(silent, [], "w", NOW) == []
    assert progress.with_create_error(silent, [], "w", NOW) == []


def failing(name: str, message: str, *, new: bool = False) -> ReplicaSet:
    entry = {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": message,
        "lastTransitionTime": timestamp(BIRTH),
    }
    return a_set(name, 1, 0, new=new, conditions=[entry])


@pytest.mark.parametrize(
    ("family", "wanted"),
    [
        pytest.param(Family(a_set("new", 1, 1, new=True), ()), None, id="nobody fails"),
        pytest.param(Family(None, (a_set("old", 1, 1), failing("o2", "old"))), "old", id="an old one fails"),
        pytest.param(
            Family(failing("new", "new", new=True), (failing("old", "old"),)),
            "new",
            id="the new one's comes first",
        ),
    ],
)
def test_failure_of_a_replica_set_becomes_the_deployments(family: Family, wanted: str | None) -> None:
    before = [condition("ReplicaFailure", "True", "Earlier", "gone since", EARLIER)]
    found = find_condition(progress.with_failures(before, family), "ReplicaFailure")
    if wanted is None:
        assert found is None
        return
    assert found is not None
    assert found["message"] == wanted
    assert found["lastUpdateTime"] == timestamp(BIRTH)
