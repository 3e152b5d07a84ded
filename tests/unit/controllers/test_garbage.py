"""Garbage collection: who goes when owners go, in which order, and who stays."""

from typing import Any

import pytest

from builders import NOW, RECORDS, a_deployment, a_pod, a_replica_set, an_object, cache_of, view_of
from builders import kind_of as kind_named
from nestling.api.json import JsonObject
from nestling.api.kinds import CONFIG_MAP, JOB, POD, VIRTUAL_KINDS
from nestling.controllers import garbage
from nestling.machinery.cache import Cache, Change
from nestling.machinery.names import Key
from nestling.machinery.plan import Delete, Patch, Plan
from nestling.machinery.records.job import Job
from nestling.machinery.view import View

ALL = (*RECORDS, Job)
FOREGROUND = "foregroundDeletion"


def ref(owner: JsonObject, **more: Any) -> JsonObject:
    """A plain owner reference, that of a user: it neither controls nor blocks."""
    meta = owner["metadata"]
    found = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": meta["name"],
        "uid": meta["uid"],
    }
    return {**found, **more}


def owned(obj: JsonObject, *owners: JsonObject) -> JsonObject:
    return {**obj, "metadata": {**obj["metadata"], "ownerReferences": list(owners)}}


def blocked(obj: JsonObject, owner: JsonObject) -> JsonObject:
    return owned(obj, ref(owner, controller=True, blockOwnerDeletion=True))


def going(obj: JsonObject, finalizer: str = FOREGROUND) -> JsonObject:
    meta = {**obj["metadata"], "deletionTimestamp": "2027-01-15T08:00:00Z", "finalizers": [finalizer]}
    return {**obj, "metadata": meta}


def key_of(obj: JsonObject) -> Key:
    return Key("team-a", kind_named(obj).plural, obj["metadata"]["name"])


def look(subject: JsonObject, *others: JsonObject) -> Plan:
    return garbage.reconcile(view_of(subject, *others, records=ALL), key_of(subject))


def steps(plan: Plan) -> list[str]:
    """What a plan does, in short; every step of this loop names the version it was decided on."""
    found: list[str] = []
    for write in plan.writes:
        match write:
            case Delete():
                found.append(f"delete {write.key.name} {write.propagation}")
            case Patch(body={"metadata": {"ownerReferences": left}}):
                found.append(f"{write.key.name} keeps {[one['name'] for one in left]}")
            case Patch(body={"metadata": {"finalizers": []}}):
                found.append(f"release {write.key.name}")
            case _:
                found.append(repr(write))
        assert getattr(write, "version", None) == 1
    return found


WEB = a_deployment("web")
OTHER = a_deployment("other")
LEAF = a_pod("leaf")
AGAIN = a_deployment("web", uid="created-anew")


@pytest.mark.parametrize(
    ("owners", "present", "expected"),
    [
        pytest.param([], [], [], id="nobody's"),
        pytest.param([WEB], [WEB], [], id="the owner is there"),
        pytest.param([WEB], [], ["delete leaf Background"], id="the owner is gone"),
        pytest.param([WEB], [AGAIN], ["delete leaf Background"], id="another of the owner's name"),
        pytest.param([WEB, OTHER], [OTHER], ["leaf keeps ['other']"], id="one of two is gone"),
        pytest.param([WEB, OTHER], [], ["delete leaf Background"], id="both are gone"),
        pytest.param([WEB], [going(WEB, "x/y")], [], id="the owner is going, not gone"),
        pytest.param([WEB], [going(WEB)], ["delete leaf Background"], id="the owner waits for it"),
        pytest.param([WEB, OTHER], [going(WEB), OTHER], ["leaf keeps ['other']"], id="one waits, one stays"),
        pytest.param([WEB, OTHER], [going(WEB)], ["delete leaf Background"], id="one waits, one is gone"),
    ],
)
def test_dependent_goes_with_its_last_owner(
    owners: list[JsonObject], present: list[JsonObject], expected: list[str]
) -> None:
    assert steps(look(owned(LEAF, *map(ref, owners)), *present)) == expected


@pytest.mark.parametrize(
    "owner",
    [
        pytest.param({"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "u"}, id="of the host"),
        pytest.param({"apiVersion": "x/v1", "kind": "Thing", "name": "a", "uid": "u"}, id="unheard of"),
    ],
)
def test_owner_that_we_cannot_judge_is_taken_to_be_there(owner: JsonObject) -> None:
    assert look(owned(LEAF, owner)) == Plan.done()


def test_owner_of_a_kind_that_is_not_watched_is_taken_to_be_there() -> None:
    job = an_object(JOB, "batch")
    dependent = owned(LEAF, ref(job))
    view = view_of(dependent, records=[record for record in RECORDS if record is not Job])
    assert garbage.reconcile(view, key_of(LEAF)) == Plan.done()
    assert steps(look(dependent)) == ["delete leaf Background"]


@pytest.mark.parametrize(
    ("subject", "plan"),
    [
        pytest.param(
            owned(a_pod("leaf", created_at=NOW - 2), ref(WEB)), Plan.wait_until(NOW + 3), id="dependent"
        ),
        pytest.param(
            going(a_deployment("web", created_at=NOW - 2)), Plan.wait_until(NOW + 3), id="foreground owner"
        ),
        pytest.param(
            going(a_deployment("web", created_at=NOW), "orphan"),
            Plan.wait_until(NOW + 5),
            id="orphaning owner",
        ),
    ],
)
def test_new_objects_are_left_alone_until_all_events_are_in(subject: JsonObject, plan: Plan) -> None:
    assert look(subject) == plan


def test_cache_that_has_just_begun_to_watch_is_not_trusted() -> None:
    cache = cache_of(owned(LEAF, ref(WEB)), records=ALL)
    cache.watching_since = NOW - 1
    assert garbage.reconcile(View(cache, "team-a", NOW), key_of(LEAF)) == Plan.wait_until(NOW + 4)


def test_foreground_owner_goes_after_what_blocks_it() -> None:
    owner = going(WEB)
    middle = blocked(a_replica_set("middle"), WEB)
    leaf = blocked(LEAF, middle)
    free = owned(a_pod("free"), ref(WEB))
    assert steps(look(owner, middle, leaf, free)) == ["delete middle Foreground"]
    assert steps(look(going(middle), owner, leaf)) == ["delete leaf Background"]
    assert steps(look(owner, going(middle), leaf)) == []
    assert steps(look(going(middle), owner)) == ["release middle"]
    assert steps(look(owner, free)) == ["release web"]


def test_dependent_with_dependents_goes_in_the_foreground_of_a_waiting_owner() -> None:
    middle = blocked(a_replica_set("middle"), WEB)
    assert steps(look(middle, going(WEB), blocked(LEAF, middle))) == ["delete middle Foreground"]


def test_dependent_that_another_owner_keeps_does_not_go_with_a_foreground_owner() -> None:
    shared = owned(LEAF, ref(WEB, blockOwnerDeletion=True), ref(OTHER))
    assert steps(look(going(WEB), shared, OTHER)) == []
    assert steps(look(shared, going(WEB), OTHER)) == ["leaf keeps ['other']"]


def test_orphans_keep_their_other_owners() -> None:
    first = blocked(LEAF, WEB)
    second = owned(a_pod("second"), ref(OTHER), ref(WEB))
    assert steps(look(going(WEB, "orphan"), first, second, OTHER)) == [
        "leaf keeps []",
        "second keeps ['other']",
        "release web",
    ]


def test_circle_of_owners_lives_as_long_as_nobody_deletes() -> None:
    a, b = a_deployment("a"), a_replica_set("b")
    in_a, in_b = blocked(a, b), blocked(b, a)
    assert look(in_a, in_b) == look(in_b, in_a) == Plan.done()
    itself = blocked(a, a)
    assert look(itself) == Plan.done()
    assert steps(look(going(itself))) == ["release a"]


def settle(cache: Cache, *, most: int = 50) -> list[str]:
    """Perform plans, as a host without a collector would, until nothing is planned; the steps in order."""
    done: list[str] = []
    for _ in range(most):
        view = View(cache, "team-a", NOW)
        plans = [
            garbage.reconcile(view, garbage.garbage_key(one))
            for kind in cache.kinds
            for one in view.every(kind)
        ]
        write = next((write for plan in plans for write in plan.writes), None)
        if write is None:
            return done
        done += steps(Plan.of(write))
        perform(cache, write)
    raise AssertionError(f"does not come to rest: {done[-6:]}")


def living(cache: Cache) -> list[str]:
    """Names of all that is left."""
    return [one.key.name for kind in cache.kinds for one in View(cache, "team-a", NOW).every(kind)]


def perform(cache: Cache, write: object) -> None:
    assert isinstance(write, Delete | Patch)
    record = View(cache, "team-a", NOW).find(write.kind, write.key)
    assert record is not None
    body = record.body
    meta: JsonObject = body["metadata"]
    match write:
        case Delete(propagation="Foreground"):
            meta.update(deletionTimestamp="2027-01-15T08:00:00Z", finalizers=[FOREGROUND])
        case Delete():
            cache.forget(write.kind, write.key, write.uid)
            return
        case Patch():
            meta.update(write.body["metadata"])
    if meta.get("deletionTimestamp") and not meta.get("finalizers"):
        cache.forget(write.kind, write.key, write.uid)
        return
    cache.forget(write.kind, write.key, write.uid)
    cache._gone.clear()  # type: ignore[reportPrivateUsage]  # the same object, changed, under the same version
    cache.see(write.kind, body)


@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_circle_deleted_in_the_foreground_comes_to_an_end(length: int) -> None:
    ring = [a_replica_set(f"r{index}") for index in range(length)]
    ring = [blocked(one, ring[index - 1]) for index, one in enumerate(ring)]
    ring[0] = going(ring[0])
    cache = cache_of(*ring, records=ALL)
    settle(cache)
    assert living(cache) == []


def test_cascade_comes_to_an_end_in_the_background() -> None:
    middle = blocked(a_replica_set("middle"), WEB)
    stays = a_pod("stays")
    cache = cache_of(middle, blocked(LEAF, middle), stays, records=ALL)
    assert settle(cache) == ["delete middle Background", "delete leaf Background"]
    assert living(cache) == ["stays"]


def woken(old: JsonObject | None, new: JsonObject | None, *others: JsonObject) -> list[str]:
    subject = new or old
    assert subject is not None
    kind = kind_named(subject)
    view = view_of(*([new] if new is not None else []), *others, records=ALL)
    record = next(record for record in ALL if kind == record.KIND)
    key = record.read(dict(subject)).key
    change = Change(kind, key, *(record.read(dict(one)) if one is not None else None for one in (old, new)))
    [route] = garbage.CONTROLLER.concerns[kind]
    return [f"{key.namespace.removeprefix('virtual')}/{key.name}" for key in route.keys(view, change)]


MIDDLE = blocked(a_replica_set("middle"), WEB)


@pytest.mark.parametrize(
    ("old", "new", "others", "expected"),
    [
        pytest.param(None, MIDDLE, [WEB], ["replicasets/middle"], id="created with an owner"),
        pytest.param(None, WEB, [], [], id="created without"),
        pytest.param(MIDDLE, MIDDLE, [WEB], [], id="changed in other ways"),
        pytest.param(a_replica_set("middle"), MIDDLE, [WEB], ["replicasets/middle"], id="adopted"),
        pytest.param(WEB, None, [MIDDLE], ["replicasets/middle"], id="owner gone"),
        pytest.param(WEB, going(WEB, "x/y"), [MIDDLE], [], id="owner going"),
        pytest.param(
            WEB,
            going(WEB),
            [MIDDLE],
            ["deployments/web", "replicasets/middle"],
            id="owner going in the foreground",
        ),
        pytest.param(WEB, going(WEB, "orphan"), [MIDDLE], ["deployments/web"], id="owner going without them"),
        pytest.param(MIDDLE, None, [going(WEB)], ["deployments/web"], id="dependent gone"),
        pytest.param(MIDDLE, None, [WEB], [], id="dependent gone, the owner stays"),
        pytest.param(
            None,
            owned(LEAF, {"apiVersion": "v1", "kind": CONFIG_MAP.name, "name": "a", "uid": "u"}),
            [],
            ["pods/leaf"],
            id="owner of the host",
        ),
    ],
)
def test_changes_wake_whom_they_may_doom(
    old: JsonObject | None, new: JsonObject | None, others: list[JsonObject], expected: list[str]
) -> None:
    assert woken(old, new, *others) == expected


def test_hosts_own_collector_is_given_a_head_start() -> None:
    assert {route.delay_s for routes in garbage.CONTROLLER.concerns.values() for route in routes} == {2.0}
    assert set(garbage.CONTROLLER.concerns) == set(VIRTUAL_KINDS)
    assert garbage.collector(0).concerns[POD][0].delay_s == 0
