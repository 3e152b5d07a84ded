"""Whole looks at a Deployment: which writes, in which order, on which version, and whose changes wake it."""

from typing import Any, Literal

import pytest

from builders import (
    BIRTH,
    NOW,
    a_deployment,
    a_pod,
    a_replica_set,
    a_template,
    cache_of,
    controller_ref,
    key_for,
    kind_of,
    view_of,
)
from nestling.api.json import JsonObject
from nestling.api.kinds import DEPLOYMENT, POD, REPLICA_SET, Kind
from nestling.controllers import replica_set
from nestling.controllers.deployment import CONTROLLER, creation, reconcile
from nestling.machinery.cache import Change
from nestling.machinery.clock import timestamp
from nestling.machinery.plan import Create, Delete, Emit, Patch, Plan
from nestling.machinery.records.workload import Deployment
from world import World

REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"


def noted(replicas: int, surge: int, revision: str = "1") -> dict[str, str]:
    return {
        REVISION: revision,
        "deployment.kubernetes.io/desired-replicas": str(replicas),
        "deployment.kubernetes.io/max-replicas": str(replicas + surge),
    }


def a_set(name: str, replicas: int, *, image: str = "web:1", status: Any = None, **fields: Any) -> JsonObject:
    """A ReplicaSet of the Deployment `web`, with all its pods available unless it is said otherwise."""
    labels = {"app": "web", HASH: name}
    figures = dict.fromkeys(("replicas", "readyReplicas", "availableReplicas"), replicas)
    fields.setdefault("owner", a_deployment())
    fields.setdefault("annotations", noted(4, 1))
    return a_replica_set(
        name,
        replicas=replicas,
        labels=labels,
        selector={"matchLabels": labels},
        template=a_template(labels, image=image),
        status={"observedGeneration": 1, "terminatingReplicas": 0, **figures, **(status or {})},
        **fields,
    )


def settled(replicas: int = 4, **fields: Any) -> JsonObject:
    """A Deployment that has been rolled out and has said so; revision 1."""
    figures = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), replicas)
    status = {
        **figures,
        "observedGeneration": 1,
        "unavailableReplicas": 0,
        "terminatingReplicas": 0,
        "selector": "app=web",
        "display": {"ready": f"{replicas}/{replicas}"},
        "conditions": [
            entry("Available", "True", "MinimumReplicasAvailable"),
            entry("Progressing", "True", "NewReplicaSetAvailable"),
        ],
    }
    fields.setdefault("annotations", {REVISION: "1"})
    return a_deployment(replicas=replicas, status=status, **fields)


def entry(kind: str, status: str, reason: str, *, at: float = BIRTH, message: str = "") -> JsonObject:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastUpdateTime": timestamp(at),
        "lastTransitionTime": timestamp(at),
    }


def look(deployment: JsonObject, *others: JsonObject, now: float = NOW, refusal: str = "") -> Plan:
    return reconcile(view_of(deployment, *others, now=now, refusal=refusal), key_for(deployment))


def status_of(plan: Plan) -> JsonObject:
    """The one status write of a plan; {} if there is none."""
    found = [w.body["status"] for w in plan.writes if isinstance(w, Patch) and w.subresource]
    assert len(found) <= 1
    return found[0] if found else {}


def reasons(plan: Plan) -> dict[str, tuple[str, str]]:
    """Status and reason of each condition that a plan writes."""
    return {c["type"]: (c["status"], c["reason"]) for c in status_of(plan).get("conditions") or ()}


def patches(plan: Plan, kind: Kind) -> dict[str, Patch]:
    """Writes of metadata and spec, by name."""
    return {
        w.key.name: w for w in plan.writes if isinstance(w, Patch) and w.kind is kind and not w.subresource
    }


def said(plan: Plan) -> list[str]:
    """Events that a plan causes if all its writes succeed, in order."""
    events = [w if isinstance(w, Emit) else w.on_success for w in plan.writes]
    return [f"{e.type} {e.reason} {e.message}" for e in events if e is not None]


def new_name(deployment: JsonObject) -> str:
    return creation.new_key(cache_of(deployment).table(Deployment).records[key_for(deployment)]).name


# --- making the ReplicaSet ------------------------------------------------------------------------


def test_first_look_makes_the_replica_set_and_then_says_so() -> None:
    obj = a_deployment(replicas=3, version=5)
    plan = look(obj)
    create, status = plan.writes
    assert isinstance(create, Create)
    assert create.key.name == new_name(obj)
    assert create.body["spec"]["replicas"] == 3
    assert isinstance(status, Patch)
    assert (status.version, status.subresource) == (5, "status")
    assert said(plan) == [f"Normal ScalingReplicaSet Scaled up replica set {new_name(obj)} from 0 to 3"]
    assert reasons(plan) == {
        "Progressing": ("True", "NewReplicaSetCreated"),
        "Available": ("False", "MinimumReplicasUnavailable"),
    }
    assert status_of(plan)["unavailableReplicas"] == 3
    assert status_of(plan)["display"] == {"ready": "0/3"}


def test_replica_set_without_pods_is_made_in_silence() -> None:
    assert said(look(a_deployment(replicas=0))) == []


def test_new_template_makes_a_replica_set_and_shrinks_the_old_one_beside_it() -> None:
    obj = settled(template=a_template(image="web:2"), generation=2)
    plan = look(obj, a_set("web-old", 4))
    assert [type(w) for w in plan.writes] == [Create, Patch, Patch]
    create = plan.writes[0]
    assert isinstance(create, Create)
    assert create.body["spec"]["replicas"] == 1
    assert create.body["metadata"]["annotations"] == noted(4, 1, "2")
    assert patches(plan, REPLICA_SET)["web-old"].body["spec"] == {"replicas": 3}
    assert said(plan) == [
        f"Normal ScalingReplicaSet Scaled up replica set {new_name(obj)} from 0 to 1",
        "Normal ScalingReplicaSet Scaled down replica set web-old from 4 to 3",
    ]
    assert reasons(plan)["Progressing"] == ("True", "NewReplicaSetCreated")
    assert status_of(plan)["updatedReplicas"] == 0
    assert status_of(plan)["observedGeneration"] == 2


def test_second_look_copies_the_revision() -> None:
    obj = settled(template=a_template(image="web:2"), version=8)
    old = a_set("web-old", 3)
    new = a_set("web-new", 1, image="web:2", annotations=noted(4, 1, "2"), status={"availableReplicas": 0})
    plan = look(obj, old, new)
    assert status_of(plan) == {}  # one write per object
    assert patches(plan, DEPLOYMENT)["web"] == Patch(
        DEPLOYMENT,
        key_for(obj),
        obj["metadata"]["uid"],
        {"metadata": {"annotations": {REVISION: "2"}}},
        version=8,
    )


def test_no_write_when_nothing_has_changed() -> None:
    assert look(settled(), a_set("web-1", 4)) == Plan.done()


def test_refused_replica_set_is_said_before_it_is_tried_again() -> None:
    obj = a_deployment(replicas=3)
    name = new_name(obj)
    plan = look(obj, refusal="exceeded quota")
    (status,) = plan.writes
    assert isinstance(status, Patch)
    assert reasons(plan) == {"Progressing": ("False", "ReplicaSetCreateError")}
    (found,) = status_of(plan)["conditions"]
    message = f'Failed to create new replica set "{name}": exceeded quota'
    assert found["message"] == message

    obj["status"] = status_of(plan)
    plan = look(obj, refusal="exceeded quota")
    create, after = plan.writes
    assert isinstance(create, Create)
    assert create.on_failure is not None
    failed = create.on_failure("exceeded quota")
    assert (failed.type, failed.reason, failed.message) == ("Warning", "ReplicaSetCreateError", message)
    assert isinstance(after, Patch)
    assert reasons(plan)["Progressing"] == ("True", "NewReplicaSetCreated")  # written only if it was made


def test_refused_replica_set_without_a_deadline_is_only_tried_again() -> None:
    plan = look(a_deployment(spec={"progressDeadlineSeconds": None}), refusal="no")
    assert isinstance(plan.writes[0], Create)
    assert "Progressing" not in reasons(plan)


@pytest.mark.parametrize(
    "twin",
    [
        pytest.param({"labels": {"other": "x"}, "owner": None}, id="a stranger's"),
        pytest.param({"labels": {"app": "web"}, "owner": a_deployment("other")}, id="another Deployment's"),
        pytest.param(
            {"labels": {"app": "web"}, "template": a_template(image="web:9")}, id="our own, other template"
        ),
    ],
)
def test_name_that_is_taken_is_counted_as_a_collision(twin: dict[str, Any]) -> None:
    obj = a_deployment(version=4, status={"collisionCount": 2})
    twin.setdefault("owner", obj)
    other = a_replica_set(new_name(obj), replicas=0, **twin)
    plan = look(obj, other)
    assert plan.writes == (
        Patch(
            DEPLOYMENT,
            key_for(obj),
            obj["metadata"]["uid"],
            {"status": {"collisionCount": 3}},
            version=4,
            subresource="status",
        ),
    )
    obj["status"] = {"collisionCount": 3}
    plan = look(obj, other)
    assert isinstance(plan.writes[0], Create)
    assert "collisionCount" not in status_of(plan)


def test_template_that_does_not_match_is_said_once() -> None:
    obj = a_deployment(selector={"matchLabels": {"app": "db"}})
    plan = look(obj)
    message = (
        f'Failed to create new replica set "{new_name(obj)}": `selector` does not match template `labels`'
    )
    assert said(plan) == [f"Warning ReplicaSetCreateError {message}"]
    assert reasons(plan)["Progressing"] == ("False", "ReplicaSetCreateError")
    obj["status"] = status_of(plan)
    assert look(obj, now=NOW + 10_000) == Plan.done()


def test_selecting_all_pods_is_said_once() -> None:
    obj = a_deployment(selector={}, version=3)
    plan = look(obj, a_set("web-1", 1, owner=None))
    assert said(plan) == [
        "Warning SelectingAll This deployment is selecting all pods. A non-empty selector is required."
    ]
    assert status_of(plan) == {"observedGeneration": 1}
    obj["status"] = {"observedGeneration": 1}
    assert look(obj) == Plan.done()


@pytest.mark.parametrize(
    "selector",
    [{"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]}, {"matchLabels": 5}],
    ids=["unknown operator", "wrong type"],
)
def test_selector_that_cannot_be_read_stops_everything(selector: JsonObject) -> None:
    assert look(a_deployment(selector=selector)) == Plan.done()


def test_nothing_is_done_about_what_is_gone() -> None:
    assert reconcile(view_of(), key_for(a_deployment())) == Plan.done()


# --- rolling on -----------------------------------------------------------------------------------


def test_status_waits_while_replica_sets_are_scaled() -> None:
    obj = settled(template=a_template(image="web:2"), annotations={REVISION: "2"})
    old, new = (
        a_set("web-old", 3),
        a_set("web-new", 2, image="web:2", annotations=noted(4, 1, "2"), version=6),
    )
    plan = look(obj, old, new)
    assert status_of(plan) == {}
    assert patches(plan, REPLICA_SET)["web-old"].body == {
        "metadata": {"managedFields": [{}]},
        "spec": {"replicas": 1},
    }
    scaled = look(obj, old, new, refusal="no")
    assert status_of(scaled)["updatedReplicas"] == 2
    assert isinstance(scaled.writes[0], Patch)
    assert scaled.writes[0].subresource == "status"  # said before it is refused again


def test_one_write_carries_all_that_changes_on_the_new_replica_set() -> None:
    obj = settled(4, spec={"minReadySeconds": 7}, annotations={REVISION: "5", "note": "new"})
    new = a_set("web-new", 2, annotations=noted(3, 1, "1"), version=6)
    old = a_set("web-old", 2, image="web:0", annotations=noted(4, 1, "4"))
    plan = look(obj, new, old)
    patch = patches(plan, REPLICA_SET)["web-new"]
    assert patch.version == 6
    assert patch.body["metadata"]["annotations"] == {
        "note": "new",
        "deployment.kubernetes.io/revision-history": "1",
        **noted(4, 1, "5"),
    }
    assert patch.body["spec"]["minReadySeconds"] == 7
    assert [w.key for w in plan.writes].count(patch.key) == 1


def test_history_is_cut_when_the_rollout_is_complete() -> None:
    obj = settled(spec={"revisionHistoryLimit": 1}, annotations={REVISION: "4"})
    sets = [a_set(f"web-{n}", 0, image=f"web:0{n}", annotations=noted(4, 1, str(n))) for n in (1, 2, 3)]
    plan = look(obj, a_set("web-4", 4, annotations=noted(4, 1, "4")), *sets)
    assert [(w.key.name, w.propagation) for w in plan.writes if isinstance(w, Delete)] == [
        ("web-1", "Background"),
        ("web-2", "Background"),
    ]
    unfinished = a_set("web-4", 4, annotations=noted(4, 1, "4"), status={"availableReplicas": 3})
    obj["status"]["availableReplicas"] = 3
    assert not [w for w in look(obj, unfinished, *sets).writes if isinstance(w, Delete)]


def test_next_look_is_when_the_deadline_has_passed() -> None:
    obj = settled(4)
    obj["status"]["conditions"][1] = entry("Progressing", "True", "ReplicaSetUpdated", at=NOW - 100)
    obj["status"].update(
        availableReplicas=3, readyReplicas=3, unavailableReplicas=1, display={"ready": "3/4"}
    )
    rs = a_set("web-1", 4, status={"availableReplicas": 3, "readyReplicas": 3})
    assert look(obj, rs) == Plan.wait_until(NOW + 501)
    assert look(obj, rs, now=NOW + 500) == Plan.wait_until(NOW + 501)
    plan = look(obj, rs, now=NOW + 501)
    assert reasons(plan)["Progressing"] == ("False", "ProgressDeadlineExceeded")
    assert plan.wake_at is None


def test_failure_of_a_replica_set_is_shown() -> None:
    failure = {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": "exceeded quota",
        "lastTransitionTime": timestamp(BIRTH),
    }
    plan = look(settled(), a_set("web-1", 4, status={"conditions": [failure]}))
    assert reasons(plan)["ReplicaFailure"] == ("True", "FailedCreate")


# --- pausing and scaling --------------------------------------------------------------------------


def test_paused_deployment_scales_and_cuts_history_but_does_not_roll() -> None:
    spec = {"paused": True, "revisionHistoryLimit": 0}
    obj = settled(6, spec=spec, template=a_template(image="web:2"), generation=2)
    plan = look(obj, a_set("web-1", 4), a_set("web-0", 0, image="web:0"))
    assert not [w for w in plan.writes if isinstance(w, Create)]
    assert patches(plan, REPLICA_SET)["web-1"].body["spec"] == {"replicas": 6}
    assert [w.key.name for w in plan.writes if isinstance(w, Delete)] == ["web-0"]
    plan = look(obj, a_set("web-1", 6, annotations=noted(6, 2)))
    assert reasons(plan)["Progressing"] == ("Unknown", "DeploymentPaused")
    assert status_of(plan)["updatedReplicas"] == 0


def test_resumed_deployment_starts_its_clock_anew() -> None:
    obj = settled()
    obj["status"]["conditions"][1] = entry("Progressing", "Unknown", "DeploymentPaused")
    obj["status"].update(availableReplicas=3, readyReplicas=3)
    rs = a_set("web-1", 4, status={"availableReplicas": 3, "readyReplicas": 3})
    plan = look(obj, rs)
    assert reasons(plan)["Progressing"] == ("Unknown", "DeploymentResumed")
    assert plan.wake_at == NOW + 601


def test_scaling_comes_before_rolling() -> None:
    obj = settled(10, template=a_template(image="web:2"), annotations={REVISION: "2"})
    sets = [a_set("web-1", 3), a_set("web-2", 2, image="web:2", annotations=noted(4, 1, "2"))]
    plan = look(obj, *sets)
    assert {n: p.body["spec"]["replicas"] for n, p in patches(plan, REPLICA_SET).items()} == {
        "web-1": 8,
        "web-2": 5,
    }
    assert patches(plan, REPLICA_SET)["web-1"].body["metadata"]["annotations"] == {
        "deployment.kubernetes.io/desired-replicas": "10",
        "deployment.kubernetes.io/max-replicas": "13",
    }


def test_new_template_and_new_size_scale_first_and_roll_next() -> None:
    obj = settled(6, template=a_template(image="web:2"))
    plan = look(obj, a_set("web-1", 4))
    assert not [w for w in plan.writes if isinstance(w, Create)]
    plan = look(obj, a_set("web-1", 6, annotations=noted(6, 2)))
    assert isinstance(plan.writes[0], Create)


# --- whose ReplicaSets ----------------------------------------------------------------------------


def test_matching_orphan_is_adopted_and_becomes_the_new_replica_set() -> None:
    obj = settled(version=3)
    orphan = a_set("web-1", 4, owner=None, version=5)
    plan = look(obj, orphan)
    assert plan.writes[:2] == (
        Patch(DEPLOYMENT, key_for(obj), obj["metadata"]["uid"], {}, version=3),
        Patch(
            REPLICA_SET,
            key_for(orphan),
            orphan["metadata"]["uid"],
            {"metadata": {"ownerReferences": [controller_ref(obj)]}},
            version=5,
        ),
    )
    assert not [w for w in plan.writes if isinstance(w, Create)]


def test_replica_set_that_no_longer_matches_is_released() -> None:
    obj = settled()
    stray = a_set("web-1", 4)
    stray["metadata"]["labels"] = {"app": "debug"}
    plan = look(obj, stray)
    assert patches(plan, REPLICA_SET)["web-1"].body == {"metadata": {"ownerReferences": []}}


@pytest.mark.parametrize("strategy", ["RollingUpdate", "Recreate"])
def test_deployment_on_its_way_out_only_counts(strategy: str) -> None:
    obj = settled(strategy={"type": strategy}, deleting_at=NOW, template=a_template(image="web:2"))
    plan = look(obj, a_set("web-1", 4), a_set("web-2", 1, owner=None))
    assert [type(w) for w in plan.writes] == [Patch]
    assert status_of(plan) == {"updatedReplicas": 0}


def test_owners_in_a_circle_hurt_nobody() -> None:
    obj = a_deployment()
    rs = a_set("web-1", 1, owner=obj)
    obj["metadata"]["ownerReferences"] = [controller_ref(rs)]
    own = a_replica_set("self")
    own["metadata"]["ownerReferences"] = [controller_ref(own)]
    view = view_of(obj, rs, own)
    assert reconcile(view, key_for(obj)).writes
    assert replica_set.reconcile(view, key_for(own)).writes
    assert replica_set.reconcile(view, key_for(rs)).writes


# --- a whole story --------------------------------------------------------------------------------


def test_recreate_waits_for_the_last_old_pod() -> None:
    world = World(a_deployment(replicas=2, strategy={"type": "Recreate"}))
    both = (CONTROLLER, replica_set.CONTROLLER)
    world.settle(*both)
    for pod in world.all(POD):
        world.put({**pod, "spec": {**pod["spec"], "nodeName": "n1"}})
    world.edit(DEPLOYMENT, "web", {"spec": {"template": a_template(image="web:2")}})
    world.settle(*both)
    assert len(world.all(REPLICA_SET)) == 1
    assert [bool(p["metadata"].get("deletionTimestamp")) for p in world.all(POD)] == [True, True]
    world.reap()
    world.settle(*both)
    assert len(world.all(REPLICA_SET)) == 2
    assert [p["spec"]["containers"][0]["image"] for p in world.all(POD)] == ["web:2", "web:2"]
    scaled = [event.partition("replica set ")[2].split()[1:] for event in world.events if "Scaling" in event]
    assert scaled == [["from", "0", "to", "2"], ["from", "2", "to", "0"], ["from", "0", "to", "2"]]


# --- who is woken ---------------------------------------------------------------------------------


def woken(old: JsonObject | None, new: JsonObject | None, *others: JsonObject) -> dict[str, list[float]]:
    """Names of Deployments that a change wakes, each with the delays."""
    some = new or old or {}
    kind, key = kind_of(some), key_for(some)
    records = [None if obj is None else cache_of(obj).table_of(kind).records[key] for obj in (old, new)]
    change = Change(kind, key, *records)
    found: dict[str, list[float]] = {}
    for route in CONTROLLER.concerns[kind]:
        for name in route.keys(view_of(*others), change):
            found.setdefault(name.name, []).append(route.delay_s)
    return found


RS = a_set("web-1", 4)
EVERYTHING = a_deployment("all", selector={})


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        pytest.param(None, RS, {"web": [0.0]}, id="born"),
        pytest.param(RS, None, {"web": [0.0]}, id="gone"),
        pytest.param(RS, a_set("web-1", 3, generation=2), {"web": [0.0, 0.05]}, id="scaled"),
        pytest.param(RS, a_set("web-1", 4, status={"availableReplicas": 1}), {"web": [0.05]}, id="counts"),
        pytest.param(RS, a_set("web-1", 4, version=2), {}, id="nothing we read"),
        pytest.param(RS, a_set("web-1", 4, owner=None), {"web": [0.0]}, id="let go, and could come back"),
        pytest.param(None, a_set("web-1", 4, owner=a_deployment("x")), {"x": [0.0]}, id="another's"),
        pytest.param(None, a_replica_set("db", labels={"app": "db"}), {}, id="orphan that does not match"),
        pytest.param(None, a_set("web-1", 1, owner=None, deleting_at=NOW), {}, id="orphan on its way out"),
    ],
)
def test_replica_set_wakes(
    old: JsonObject | None, new: JsonObject | None, wanted: dict[str, list[float]]
) -> None:
    assert woken(old, new, a_deployment(), EVERYTHING) == wanted


OWN_POD = a_pod("p", owner=RS)


@pytest.mark.parametrize("strategy", ["RollingUpdate", "Recreate"])
@pytest.mark.parametrize(
    ("old", "new", "wakes"),
    [
        pytest.param(OWN_POD, None, True, id="gone"),
        pytest.param(OWN_POD, a_pod("p", owner=RS, phase="Failed"), True, id="finished"),
        pytest.param(None, OWN_POD, False, id="born"),
        pytest.param(a_pod("p"), None, False, id="nobody's"),
        pytest.param(
            a_pod("p", owner=a_replica_set("web-1", uid="earlier")), None, False, id="of one gone before"
        ),
    ],
)
def test_pod_wakes_a_deployment_that_recreates(
    old: JsonObject | None,
    new: JsonObject | None,
    wakes: bool,
    strategy: Literal["RollingUpdate", "Recreate"],
) -> None:
    owner = a_deployment(strategy={"type": strategy})
    found = woken(old, new, owner, RS)
    assert found == ({"web": [0.05]} if wakes and strategy == "Recreate" else {})
