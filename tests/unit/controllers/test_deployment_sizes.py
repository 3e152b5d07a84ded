"""How many pods each ReplicaSet of a Deployment is to have: rolling, recreating, scaling amid a rollout.

Sizes are written as they read in a story: new first, then old from oldest to newest.
"""

from typing import Any

import pytest

from builders import BIRTH, a_deployment, a_pod, a_replica_set, a_template, cache_of, key_for
from nestling.api.json import JsonObject
from nestling.controllers.deployment import proportional, recreate, rolling
from nestling.controllers.deployment.family import Decision, Family, family_of
from nestling.controllers.deployment.fenceposts import max_surge, max_unavailable, scaled
from nestling.machinery.records.pod import Pod
from nestling.machinery.records.workload import Deployment, ReplicaSet

OLD = a_template(image="web:0")


def deployment(replicas: int, surge: int | str = 0, unavailable: int | str = 0, **spec: Any) -> Deployment:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    obj = a_deployment(replicas=replicas, strategy=strategy, spec=spec)
    return cache_of(obj).table(Deployment).records[key_for(obj)]


def a_set(
    name: str, replicas: int, available: int | None = None, *, age: int = 0, **fields: Any
) -> ReplicaSet:
    """A ReplicaSet whose pods are all available, unless it is said how many are."""
    seen = {"observedGeneration": 1, "replicas": replicas}
    status = {**seen, "availableReplicas": replicas if available is None else available}
    fields.setdefault("template", OLD)
    obj = a_replica_set(name, replicas=replicas, created_at=BIRTH - age, status=status, **fields)
    return cache_of(obj).table(ReplicaSet).records[key_for(obj)]


def by_name(family: Family, decision: Decision) -> dict[str, int]:
    names = {rs.uid: rs.key.name for rs in family.everyone}
    return {names[uid]: size for uid, size in decision.sizes.items()}


# --- bounds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("surge", "unavailable", "replicas", "wanted"),
    [
        pytest.param("25%", "25%", 10, (3, 2), id="surge rounds up, unavailable down"),
        pytest.param("39%", "39%", 10, (4, 3), id="thirty-nine per cent"),
        pytest.param("1%", "1%", 1, (1, 0), id="surge alone is enough to move"),
        pytest.param("0%", "1%", 2, (0, 1), id="both come to nothing: one may be missing"),
        pytest.param(0, 0, 3, (0, 1), id="both nothing"),
        pytest.param("0%", "0%", 0, (0, 0), id="nothing wanted"),
        pytest.param(2, 20, 3, (2, 3), id="no more missing than wanted"),
        pytest.param("200%", "100%", 4, (8, 4), id="more than all"),
        pytest.param("oops", "39%", 10, (0, 3), id="surge cannot be read"),
        pytest.param("55%", "urg", 10, (6, 0), id="unavailable cannot be read"),
        pytest.param(-3, -1, 10, (0, 1), id="negative"),
        pytest.param(2**31 - 1, 0, 1, (2**31 - 1, 0), id="absurd"),
    ],
)
def test_bounds_of_a_rollout(
    surge: int | str, unavailable: int | str, replicas: int, wanted: tuple[int, int]
) -> None:
    found = deployment(replicas, surge, unavailable)
    assert (max_surge(found), max_unavailable(found)) == wanted


def test_recreate_has_neither_surge_nor_unavailable() -> None:
    found = deployment(10, "25%", "25%", strategy={"type": "Recreate"})
    assert (max_surge(found), max_unavailable(found)) == (0, 0)


def test_strategy_without_bounds_has_a_quarter_of_each() -> None:
    found = deployment(8, strategy={"type": "RollingUpdate"})
    assert (max_surge(found), max_unavailable(found)) == (2, 2)


@pytest.mark.parametrize(
    "junk", [None, True, 1.5, "", "%", "-1%", "+1%", "1.5%", " 1%", "99999999999%", "\u0661%", []]
)
def test_what_is_no_number_and_no_percentage_is_nothing(junk: object) -> None:
    assert scaled(junk, 100, round_up=True) == 0


# --- rolling --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replicas", "surge", "new", "old", "wanted"),
    [
        pytest.param(10, 0, 0, 10, 0, id="no room"),
        pytest.param(10, 2, 0, 10, 2, id="as far as surge allows"),
        pytest.param(10, 2, 0, 5, 7, id="room that old pods have left"),
        pytest.param(10, 2, 2, 10, 2, id="surge is used up"),
        pytest.param(10, 2, 11, 2, 10, id="never more than wanted"),
        pytest.param(10, 5, 8, 2, 10, id="last step"),
        pytest.param(0, "25%", 0, 0, 0, id="none wanted"),
        pytest.param(10, 2, 1, 30, 1, id="far too many old ones"),
    ],
)
def test_new_replica_set_grows(replicas: int, surge: int | str, new: int, old: int, wanted: int) -> None:
    assert rolling.new_size(deployment(replicas, surge), new, old) == wanted


@pytest.mark.parametrize(
    ("replicas", "unavailable", "new", "old", "wanted"),
    [
        pytest.param(10, 0, (0, 0), [(10, 10)], [9], id="bounds of nothing still let one go"),
        pytest.param(10, 2, (0, 0), [(10, 10)], [8], id="as many as may be missing"),
        pytest.param(10, 2, (0, 0), [(10, 8)], [8], id="unhealthy ones go, healthy ones stay"),
        pytest.param(10, 2, (0, 0), [(10, 9)], [8], id="one unhealthy, one healthy"),
        pytest.param(10, 2, (2, 0), [(8, 8)], [8], id="new pods that are not available replace nobody"),
        pytest.param(10, 2, (5, 5), [(8, 8)], [3], id="new pods that are available do"),
        pytest.param(10, 2, (5, 0), [(8, 0)], [8], id="all broken: what is there stays"),
        pytest.param(10, 2, (5, 0), [(8, 8)], [8], id="broken new pods and a full house: nobody goes"),
        pytest.param(10, 2, (1, 1), [(4, 0), (8, 8)], [0, 7], id="broken old pods of a rollover go first"),
        pytest.param(10, 2, (0, 0), [(7, 2), (6, 6)], [2, 6], id="no more unhealthy ones than are to spare"),
        pytest.param(10, 2, (1, 0), [(12, 4)], [8], id="more unhealthy ones than may go"),
        pytest.param(10, 2, (10, 10), [(3, 3)], [0], id="the last old ones"),
        pytest.param(10, 2, (10, 10), [(2, 2), (1, 1)], [0, 0], id="oldest first, and all"),
        pytest.param(10, 5, (0, 0), [(2, 2), (8, 8)], [0, 5], id="the oldest first"),
        pytest.param(10, 2, (3, 3), [(8, 10)], [8], id="old one has not caught up: wait"),
        pytest.param(10, 2, (3, 3), [(4, 2), (4, 5)], [2, 4], id="one of two has not caught up"),
        pytest.param(0, 0, (0, 0), [(3, 3)], [0], id="none wanted"),
    ],
)
def test_old_replica_sets_shrink(
    replicas: int, unavailable: int, new: tuple[int, int], old: list[tuple[int, int]], wanted: list[int]
) -> None:
    sets = [a_set(f"old-{i}", *figures, age=10 - i) for i, figures in enumerate(old)]
    sizes = rolling.old_sizes(deployment(replicas, 0, unavailable), sets, *new)
    assert [sizes.get(rs.uid, rs.replicas) for rs in sets] == wanted
    assert all(sizes[rs.uid] != rs.replicas for rs in sets if rs.uid in sizes), "only changes are named"


def test_one_look_grows_and_shrinks() -> None:
    spec = deployment(10, 3, 2)
    new = a_set("new", 3, 3, template=a_template())
    family = family_of(spec, [a_set("old", 10), new])
    decision = rolling.decide(spec, family)
    assert by_name(family, decision) == {"old": 5}
    family = family_of(spec, [a_set("old", 5), new])
    assert by_name(family, rolling.decide(spec, family)) == {"new": 8}
    family = family_of(spec, [a_set("old", 6), a_set("new", 6, template=a_template())])
    assert by_name(family, rolling.decide(spec, family)) == {"new": 7, "old": 2}


def test_first_look_at_a_new_template_plans_its_replica_set_and_shrinks_the_old() -> None:
    spec = deployment(4, "25%", "25%")
    family = family_of(spec, [a_set("old", 4)])
    decision = rolling.decide(spec, family)
    assert decision.create == 1
    assert by_name(family, decision) == {"old": 3}


def test_of_two_replica_sets_with_the_present_template_the_older_is_the_new_one() -> None:
    spec = deployment(4)
    sets = [a_set("b", 1, template=a_template()), a_set("a", 1, age=5, template=a_template())]
    family = family_of(spec, [*sets, a_set("c", 1)])
    assert family.new is sets[1]
    assert [rs.key.name for rs in family.old] == ["b", "c"]


# --- recreate -------------------------------------------------------------------------------------


def a_pod_record(**fields: Any) -> Pod:
    obj = a_pod("p", **fields)
    return cache_of(obj).table(Pod).records[key_for(obj)]


@pytest.mark.parametrize(
    ("sets", "pods", "sizes", "create"),
    [
        pytest.param(
            [("old", 3, 0), ("older", 2, 5)], [], {"old": 0, "older": 0}, None, id="old ones go first"
        ),
        pytest.param([("old", 0, 0)], [{"deleting_at": BIRTH}], {}, None, id="one is still terminating"),
        pytest.param([("old", 0, 0)], [{"phase": "Unknown"}], {}, None, id="one may still be running"),
        pytest.param([("old", 0, 0)], [{"phase": "Failed"}], {}, 5, id="finished ones do not hold us up"),
        pytest.param([("old", 0, 0)], [], {}, 5, id="all gone"),
        pytest.param([], [], {}, 5, id="the very first"),
        pytest.param([("new", 2, 0)], [], {"new": 5}, None, id="new one grows at once"),
        pytest.param([("new", 5, 0)], [], {}, None, id="arrived"),
    ],
)
def test_recreate(
    sets: list[tuple[str, int, int]], pods: list[dict[str, Any]], sizes: dict[str, int], create: int | None
) -> None:
    spec = deployment(5, strategy={"type": "Recreate"})
    found = [
        a_set(name, size, age=age, template=a_template() if name == "new" else OLD)
        for name, size, age in sets
    ]
    family = family_of(spec, found)
    decision = recreate.decide(spec, family, [a_pod_record(**fields) for fields in pods])
    assert by_name(family, decision) == sizes
    assert decision.create == create


def test_recreate_waits_for_a_replica_set_that_still_reports_pods() -> None:
    spec = deployment(5, strategy={"type": "Recreate"})
    obj = a_replica_set("old", replicas=0, template=OLD, status={"observedGeneration": 1, "replicas": 1})
    old = cache_of(obj).table(ReplicaSet).records[key_for(obj)]
    assert recreate.decide(spec, family_of(spec, [old]), []).create is None


# --- scaling amid a rollout -----------------------------------------------------------------------


def noted(desired: int | str, most: int | str) -> JsonObject:
    return {
        "deployment.kubernetes.io/desired-replicas": str(desired),
        "deployment.kubernetes.io/max-replicas": str(most),
    }


def scale(
    before: tuple[int, int | str],
    after: tuple[int, int | str],
    new: int | None,
    old: list[int],
    **fields: Any,
) -> dict[str, int]:
    """Sizes by name after a Deployment went from one pair of replicas and surge to another."""
    was = deployment(*before)
    notes = noted(was.replicas, was.replicas + max_surge(was))
    sets = [a_set(f"old-{i}", size, age=9 - i, annotations=notes) for i, size in enumerate(old)]
    if new is not None:
        sets.append(a_set("new", new, template=a_template(), annotations=notes, **fields))
    spec = deployment(*after, 1)
    family = family_of(spec, sets)
    decision = proportional.decide(spec, family, {"replicas": sum(old) + (new or 0)})
    sizes = {rs.key.name: rs.replicas for rs in family.everyone}
    return {**sizes, **by_name(family, decision)}


@pytest.mark.parametrize(
    ("before", "after", "new", "old", "wanted"),
    [
        pytest.param((10, 0), (12, 0), 10, [], [12], id="10 to 12, one ReplicaSet"),
        pytest.param((10, 0), (5, 0), 10, [], [5], id="10 to 5, one ReplicaSet"),
        pytest.param((5, 0), (10, 0), 2, [3], [4, 6], id="5 to 10"),
        pytest.param((5, 0), (3, 0), 2, [3], [1, 2], id="5 to 3"),
        pytest.param((9, 0), (4, 0), 8, [1], [4, 0], id="9 to 4"),
        pytest.param((7, 0), (10, 0), 2, [2, 3], [3, 3, 4], id="7 to 10, three ReplicaSets"),
        pytest.param((13, 0), (8, 0), 2, [3, 8], [1, 2, 5], id="13 to 8, three ReplicaSets"),
        pytest.param((3, 0), (4, 0), 1, [1, 1], [2, 1, 1], id="the rest goes to the newest"),
        pytest.param((3, 0), (2, 0), 1, [1, 1], [1, 0, 1], id="the rest is taken from the oldest"),
        pytest.param((4, 0), (5, 0), None, [2, 2], [2, 3], id="no new one yet"),
        pytest.param((6, 0), (0, 0), 3, [1, 2], [0, 0, 0], id="to nothing"),
        pytest.param((6, 0), (6, 0), 0, [0, 0], [6, 0, 0], id="from nothing: the newest takes all"),
        pytest.param((10, 2), (20, 2), 6, [6], [11, 11], id="with surge"),
        pytest.param((10, 3), (50, 6), 5, [8], [22, 34], id="surge changes too"),
        pytest.param((10, 0), (14, 0), None, [3, 7], [4, 10], id="template changes too"),
    ],
)
def test_scaling_keeps_the_mixture(
    before: tuple[int, int], after: tuple[int, int], new: int | None, old: list[int], wanted: list[int]
) -> None:
    names = [*(["new"] if new is not None else []), *(f"old-{i}" for i in range(len(old)))]
    assert scale(before, after, new, old) == dict(zip(names, wanted, strict=True))


def test_saturated_new_replica_set_lets_the_old_ones_go() -> None:
    assert scale((2, 1), (2, 1), 2, [1]) == {"new": 2, "old-0": 0}


def test_saturated_but_broken_new_replica_set_does_not() -> None:
    assert scale((2, 1), (2, 1), 2, [1], available=0) == {"new": 2, "old-0": 1}


@pytest.mark.parametrize(
    "notes",
    [
        pytest.param({}, id="taken off"),
        pytest.param(noted(4, "many"), id="junk"),
        pytest.param(noted(4, 0), id="nothing"),
        pytest.param(noted(4, 2**31), id="out of range"),
    ],
)
def test_without_a_usable_note_the_present_size_has_to_do(notes: JsonObject) -> None:
    spec = deployment(8)
    family = family_of(spec, [a_set("a", 2, age=1, annotations=notes), a_set("b", 2, annotations=notes)])
    assert by_name(family, proportional.decide(spec, family, {"replicas": 4})) == {"a": 4, "b": 4}
    assert sum(proportional.decide(spec, family, {}).sizes.values()) == 8


def test_recreate_does_not_share_out_but_brings_the_notes_up_to_date() -> None:
    spec = deployment(8, strategy={"type": "Recreate"})
    sets = [a_set("a", 2, age=1, annotations=noted(4, 4)), a_set("b", 3, annotations=noted(4, 4))]
    family = family_of(spec, sets)
    assert by_name(family, proportional.decide(spec, family, {})) == {"a": 2, "b": 3}


@pytest.mark.parametrize(
    ("replicas", "notes", "wanted"),
    [
        pytest.param(1, noted(4, 5), True, id="sized for fewer"),
        pytest.param(1, noted(5, 7), False, id="sized for as many"),
        pytest.param(0, noted(4, 5), False, id="has no pods"),
        pytest.param(1, {}, False, id="says nothing"),
        pytest.param(1, noted("+4", 5), False, id="says nonsense"),
    ],
)
def test_is_scaled(replicas: int, notes: JsonObject, wanted: bool) -> None:
    spec = deployment(5)
    family = family_of(spec, [a_set("a", replicas, annotations=notes)])
    assert proportional.is_scaled(spec, family) is wanted
