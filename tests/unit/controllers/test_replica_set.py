"""ReplicaSets: how many pods they make, which they delete, what they take in, and what they say about it."""

from collections.abc import Sequence
from typing import Any

import pytest

from builders import (
    BIRTH,
    NOW,
    a_condition,
    a_deployment,
    a_pod,
    a_replica_set,
    a_template,
    cache_of,
    controller_ref,
    key_for,
    view_of,
)
from nestling.api.json import JsonObject
from nestling.api.kinds import POD, REPLICA_SET
from nestling.controllers import replica_set
from nestling.controllers.replica_set_deletion import magnitude, surplus
from nestling.machinery.cache import Change
from nestling.machinery.clock import timestamp
from nestling.machinery.names import suffix
from nestling.machinery.plan import Create, Delete, Emit, Patch, Plan
from nestling.machinery.records.pod import Pod
from nestling.machinery.view import View

UID = "uid-replicaset-web"
STATUS: JsonObject = {
    "replicas": 0,
    "fullyLabeledReplicas": 0,
    "readyReplicas": 0,
    "availableReplicas": 0,
    "terminatingReplicas": 0,
    "observedGeneration": 1,
    "selector": "app=web",
}


def status(**changed: Any) -> JsonObject:
    return {**STATUS, **changed}


def full(number: int, **changed: Any) -> JsonObject:
    """Status with `number` pods, all of them ready."""
    names = ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas")
    return status(**{**dict.fromkeys(names, number), **changed})


def slot(number: int, name: str = "web", uid: str = UID) -> str:
    return f"{name}-{suffix(uid, number)}"


def plan_for(rs: JsonObject, *others: JsonObject, now: float = NOW, refusal: str = "") -> Plan:
    return replica_set.reconcile(view_of(rs, *others, now=now, refusal=refusal), key_for(rs))


def pods_of(rs: JsonObject, number: int, **fields: Any) -> list[JsonObject]:
    return [a_pod(slot(i), owner=rs, **fields) for i in range(number)]


def created(plan: Plan) -> list[str]:
    return [write.key.name for write in plan.writes if isinstance(write, Create)]


def deleted(plan: Plan) -> list[str]:
    return [write.key.name for write in plan.writes if isinstance(write, Delete)]


def status_written(plan: Plan) -> JsonObject | None:
    found = [w.body["status"] for w in plan.writes if isinstance(w, Patch) and w.subresource == "status"]
    assert len(found) <= 1
    return found[0] if found else None


# --- how many -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replicas", "pods", "wanted"),
    [
        pytest.param(0, [], 0, id="none wanted"),
        pytest.param(3, [], 3, id="none there"),
        pytest.param(3, [{}], 2, id="one there"),
        pytest.param(1, [{"phase": "Failed"}], 1, id="failed pod is replaced"),
        pytest.param(1, [{"phase": "Succeeded"}], 1, id="finished pod is replaced"),
        pytest.param(1, [{"deleting_at": NOW}], 1, id="terminating pod is replaced at once"),
        pytest.param(700, [], 500, id="no more than 500 in one look"),
        pytest.param(2**31 - 1, [], 500, id="absurdly many"),
    ],
)
def test_missing_pods_are_created(replicas: int, pods: Sequence[dict[str, Any]], wanted: int) -> None:
    rs = a_replica_set(replicas=replicas)
    others = [a_pod(slot(i), owner=rs, **fields) for i, fields in enumerate(pods)]
    plan = plan_for(rs, *others)
    assert len(created(plan)) == wanted
    assert not deleted(plan)


def test_created_pod_is_the_template_under_a_name_made_from_its_slot() -> None:
    template = a_template(image="web:2")
    template["metadata"]["annotations"] = {"note": "yes"}
    template["metadata"]["finalizers"] = ["example.com/hold"]
    rs = a_replica_set("web", namespace="shop", template=template)
    (create,) = plan_for(rs).writes
    assert isinstance(create, Create)
    name = slot(0, uid=rs["metadata"]["uid"])
    assert create.key == ("team-a", "shop", name)
    assert create.body == {
        "apiVersion": "nestling.dev/v1alpha1",
        "kind": "VirtualPod",
        "metadata": {
            "name": f"{name}.shop",
            "namespace": "team-a",
            "labels": {"app": "web"},
            "annotations": {"note": "yes"},
            "finalizers": ["example.com/hold"],
            "ownerReferences": [controller_ref(rs)],
        },
        "spec": {"containers": [{"name": "main", "image": "web:2"}]},
    }


def test_new_pod_takes_the_lowest_slot_that_nobody_has() -> None:
    rs = a_replica_set(replicas=4)
    taken = [
        a_pod(slot(0), owner=rs),
        a_pod(slot(1), owner=rs, deleting_at=NOW),  # still there, so a create of its name would be refused
        a_pod(slot(3), labels={"app": "other"}),  # a stranger that happens to have the name
    ]
    assert created(plan_for(rs, *taken)) == [slot(2), slot(4), slot(5)]


def test_repeated_look_plans_the_same_creates() -> None:
    rs = a_replica_set(replicas=5)
    assert plan_for(rs) == plan_for(rs)


def test_long_name_leaves_room_for_the_suffix() -> None:
    rs = a_replica_set("w" * 200)
    (name,) = created(plan_for(rs))
    assert len(name) == 63
    assert name.startswith("w" * 58)


def test_creates_and_deletes_say_what_happened() -> None:
    rs = a_replica_set()
    (create,) = plan_for(rs).writes
    assert isinstance(create, Create)
    assert create.on_success == Emit(
        REPLICA_SET, key_for(rs), rs["metadata"]["uid"], "Normal", "SuccessfulCreate",
        f"Created pod: {slot(0)}", "replicaset-controller",
    )  # fmt: skip
    assert create.on_failure is not None
    said = create.on_failure("exceeded quota: small")
    assert (said.type, said.reason, said.message) == (
        "Warning",
        "FailedCreate",
        "Error creating: exceeded quota: small",
    )

    empty = a_replica_set(replicas=0)
    (delete,) = plan_for(empty, *pods_of(empty, 1)).writes
    assert isinstance(delete, Delete)
    assert delete.uid == f"uid-pod-{slot(0)}"
    assert delete.on_success is not None
    assert (delete.on_success.reason, delete.on_success.message) == (
        "SuccessfulDelete",
        f"Deleted pod: {slot(0)}",
    )
    assert delete.on_failure is not None
    said = delete.on_failure("no")
    assert (said.type, said.reason, said.message) == ("Warning", "FailedDelete", "Error deleting: no")


@pytest.mark.parametrize(
    ("replicas", "pods", "wanted"),
    [
        pytest.param(2, 3, 1, id="one too many"),
        pytest.param(0, 3, 3, id="all"),
        pytest.param(0, 600, 500, id="no more than 500 in one look"),
        pytest.param(-5, 1, 1, id="negative counts as none"),
    ],
)
def test_surplus_pods_are_deleted(replicas: int, pods: int, wanted: int) -> None:
    rs = a_replica_set(replicas=replicas)
    plan = plan_for(rs, *pods_of(rs, pods))
    assert len(deleted(plan)) == wanted
    assert not created(plan)


@pytest.mark.parametrize(
    "rs",
    [
        pytest.param(a_replica_set(replicas=3, deleting_at=NOW), id="being deleted"),
        pytest.param(a_replica_set(selector={}), id="selects everything"),
        pytest.param(
            a_replica_set(selector={"matchExpressions": [{"key": "a", "operator": "?"}]}), id="junk"
        ),
        pytest.param(a_replica_set(selector={"matchLabels": {"app": "other"}}), id="template does not match"),
    ],
)
def test_no_pods_are_made_for(rs: JsonObject) -> None:
    plan = plan_for(rs)
    assert not created(plan)
    assert not deleted(plan)


def test_nothing_is_done_about_what_is_gone() -> None:
    rs = a_replica_set()
    assert replica_set.reconcile(view_of(), key_for(rs)) == Plan.done()


# --- which go first -------------------------------------------------------------------------------


def doomed_first(a: JsonObject, b: JsonObject, related: Sequence[JsonObject] = ()) -> bool:
    """Whether `a` goes before `b`, asked in both orders."""
    view = view_of(a, b, *related)
    everybody = list(view.all(Pod))
    first, second = (view.get(Pod, key_for(obj)) for obj in (a, b))
    assert first is not None
    assert second is not None
    answers = {surplus(pods, everybody, 1, NOW)[0].uid for pods in ([first, second], [second, first])}
    assert len(answers) == 1, "the order of the question must not matter"
    return answers == {first.uid}


COST = "controller.kubernetes.io/pod-deletion-cost"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param({}, {"node": "n1"}, id="unassigned before assigned"),
        pytest.param({"node": "n1"}, {"node": "n1", "phase": "Unknown"}, id="pending before unknown"),
        pytest.param(
            {"node": "n1", "phase": "Unknown"},
            {"node": "n1", "phase": "Running"},
            id="unknown before running",
        ),
        pytest.param(
            {"node": "n1", "phase": "Running"}, {"node": "n1", "ready": True}, id="unready before ready"
        ),
        pytest.param(
            {"node": "n1", "phase": "Running", "annotations": {COST: "100"}},
            {"node": "n1", "ready": True, "annotations": {COST: "-100"}},
            id="readiness before cost",
        ),
        pytest.param(
            {"node": "n1", "ready": True, "annotations": {COST: "-1"}},
            {"node": "n1", "ready": True, "ready_at": NOW},
            id="lower cost before younger",
        ),
        pytest.param(
            {"node": "n1", "ready": True, "ready_at": NOW - 4},
            {"node": "n1", "ready": True, "ready_at": NOW - 4000},
            id="ready for shorter",
        ),
        pytest.param(
            {"node": "n1", "ready": True, "uid": "a", "ready_at": NOW - 1400},
            {"node": "n1", "ready": True, "uid": "b", "ready_at": NOW - 1300},
            id="of one magnitude the UID decides",
        ),
        pytest.param(
            {"node": "n1", "ready": True, "restarts": 2, "uid": "b"},
            {"node": "n1", "ready": True, "restarts": 1, "uid": "a"},
            id="more restarts",
        ),
        pytest.param(
            {"node": "n1", "ready": True, "created_at": NOW - 10, "uid": "b"},
            {"node": "n1", "ready": True, "created_at": NOW - 1000, "uid": "a"},
            id="younger",
        ),
        pytest.param(
            {"created_at": NOW + 100, "uid": "b"},
            {"created_at": NOW - 1, "uid": "a"},
            id="born in the future",
        ),
    ],
)
def test_pod_goes_before(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert doomed_first(a_pod("first", **first), a_pod("second", **second))


def test_pods_on_a_crowded_node_go_first() -> None:
    crowded = a_pod("crowded", node="n1", ready=True)
    alone = a_pod("alone", node="n2", ready=True, ready_at=NOW)
    assert doomed_first(crowded, alone, [a_pod("sibling", node="n1", ready=True)])
    assert not doomed_first(crowded, alone, [a_pod("sibling", node="n1", phase="Failed")])


def test_sidecar_restarts_break_the_tie() -> None:
    def with_sidecar(name: str, restarts: int) -> JsonObject:
        return a_pod(
            name,
            node="n1",
            ready=True,
            spec={"initContainers": [{"name": "log", "image": "log:1", "restartPolicy": "Always"}]},
            status={"initContainerStatuses": [{"name": "log", "restartCount": restarts}]},
        )

    assert doomed_first(with_sidecar("z", 3), with_sidecar("a", 1))


def test_crowding_counts_pods_of_every_replica_set_under_the_same_deployment() -> None:
    owner = a_deployment()
    rs = a_replica_set("web", replicas=1, owner=owner)
    sibling = a_replica_set("old", owner=owner, selector={"matchLabels": {"app": "web", "v": "old"}})
    pods = [
        a_pod("a", owner=rs, node="n1", ready=True),
        a_pod("b", owner=rs, node="n2", ready=True, ready_at=NOW),
        a_pod("c", owner=sibling, node="n1", ready=True, labels={"app": "web", "v": "old"}),
    ]
    assert deleted(plan_for(rs, owner, sibling, *pods)) == ["a"]
    alone = a_replica_set("web", replicas=1)  # nobody's: upstream finds no related pods then
    pods[:2] = [a_pod(p["metadata"]["name"], owner=alone, node=p["spec"]["nodeName"], ready=True,
                      ready_at=at) for p, at in zip(pods[:2], (BIRTH, NOW), strict=True)]  # fmt: skip
    assert deleted(plan_for(alone, *pods)) == ["b"]


@pytest.mark.parametrize(
    ("age", "wanted"),
    [
        pytest.param(-5.0, -1, id="not born yet"),
        pytest.param(0.0, -1, id="just born"),
        pytest.param(1e-9, 0, id="a nanosecond"),
        pytest.param(1.0, 29, id="a second"),
        pytest.param(2.0, 30, id="two seconds"),
        pytest.param(2.1, 30, id="a bit more than two"),
    ],
)
def test_magnitude_of_an_age(age: float, wanted: int) -> None:
    assert magnitude(age) == wanted


# --- whose ----------------------------------------------------------------------------------------


def test_matching_orphan_is_adopted_after_asking_whether_the_owner_lives() -> None:
    rs = a_replica_set(replicas=1, version=7)
    orphan = a_pod("stray", version=9)
    other = {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "u", "controller": False}
    orphan["metadata"]["ownerReferences"] = [other]
    plan = plan_for(rs, orphan)
    assert plan.writes == (
        Patch(REPLICA_SET, key_for(rs), rs["metadata"]["uid"], {}, version=7),
        Patch(
            POD,
            key_for(orphan),
            orphan["metadata"]["uid"],
            {"metadata": {"ownerReferences": [other, controller_ref(rs)]}},
            version=9,
        ),
    )
    assert len(plan.stages()) == 2  # the question comes first, alone


def test_adopted_pod_counts_at_once() -> None:
    rs = a_replica_set(replicas=0)
    plan = plan_for(rs, a_pod("stray"))
    assert [type(write) for write in plan.writes] == [Patch, Patch, Delete]


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param(a_pod("p", owner=a_replica_set("other")), id="another's"),
        pytest.param(a_pod("p", labels={"app": "db"}), id="other labels"),
        pytest.param(a_pod("p", phase="Failed"), id="failed"),
        pytest.param(a_pod("p", deleting_at=NOW), id="terminating"),
        pytest.param(a_pod("p", namespace="shop"), id="of another namespace"),
        pytest.param(a_pod("p", cluster="team-b"), id="of another cluster"),
        pytest.param(a_pod("p", namespace="shop", owner=a_replica_set()), id="ours, in another namespace"),
    ],
)
def test_pod_is_left_alone(pod: JsonObject) -> None:
    rs = a_replica_set(replicas=0, status=STATUS)
    assert plan_for(rs, pod) == Plan.done()


def test_pod_that_no_longer_matches_is_released_and_replaced() -> None:
    rs = a_replica_set(replicas=1)
    pod = a_pod(slot(0), owner=rs, labels={"app": "debug"}, version=3)
    plan = plan_for(rs, pod)
    assert plan.writes[0] == Patch(
        POD, key_for(pod), pod["metadata"]["uid"], {"metadata": {"ownerReferences": []}}, version=3
    )
    assert created(plan) == [slot(1)]


def test_replica_set_on_its_way_out_neither_adopts_nor_releases() -> None:
    rs = a_replica_set(deleting_at=NOW, status=status(replicas=1, fullyLabeledReplicas=1))
    pods = [a_pod("a", owner=rs), a_pod("b", owner=rs, labels={"app": "debug"}), a_pod("c")]
    assert plan_for(rs, *pods) == Plan.done()


# --- what it says ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rs", "pods", "wanted"),
    [
        pytest.param({"replicas": 0}, [], STATUS, id="first look at an empty one"),
        pytest.param(
            {"replicas": 0, "status": STATUS, "generation": 2}, [], {"observedGeneration": 2}, id="only seen"
        ),
        pytest.param({"replicas": 0, "status": STATUS}, [], None, id="nothing new"),
        pytest.param(
            {"status": STATUS}, [{}], {"replicas": 1, "fullyLabeledReplicas": 1}, id="pod is there, not ready"
        ),
        pytest.param(
            {"status": STATUS},
            [{"ready": True}],
            {"replicas": 1, "fullyLabeledReplicas": 1, "readyReplicas": 1, "availableReplicas": 1},
            id="ready and so available",
        ),
        pytest.param(
            {"status": full(1), "min_ready_s": 0},
            [{"ready": True, "ready_at": NOW + 5}],
            None,
            id="no minimum: no clock is asked",
        ),
        pytest.param(
            {"status": full(1, availableReplicas=0), "min_ready_s": 10},
            [{"ready": True, "ready_at": NOW - 9}],
            None,
            id="a second short",
        ),
        pytest.param(
            {"status": full(1, availableReplicas=0), "min_ready_s": 10},
            [{"ready": True, "ready_at": NOW - 10}],
            {"availableReplicas": 1},
            id="exactly long enough",
        ),
        pytest.param(
            {"status": full(1), "template": a_template({"app": "web", "v": "2"})},
            [{"ready": True}],
            {"fullyLabeledReplicas": 0},
            id="lacks a label of the template",
        ),
        pytest.param(
            {"replicas": 0, "status": STATUS},
            [{"deleting_at": NOW}],
            {"terminatingReplicas": 1},
            id="terminating",
        ),
        pytest.param(
            {"replicas": 0, "status": STATUS},
            [{"deleting_at": NOW, "phase": "Failed"}],
            None,
            id="terminated is not terminating",
        ),
    ],
)
def test_status_has_what_changed(
    rs: dict[str, Any], pods: Sequence[dict[str, Any]], wanted: JsonObject | None
) -> None:
    body = a_replica_set(version=5, **rs)
    plan = plan_for(body, *[a_pod(slot(i), owner=body, **fields) for i, fields in enumerate(pods)])
    assert status_written(plan) == wanted
    assert [w.version for w in plan.writes if isinstance(w, Patch)] == [5] * (wanted is not None)


def test_status_waits_for_the_outcome_of_creates() -> None:
    plan = plan_for(a_replica_set(replicas=3, generation=2, status=STATUS))
    assert status_written(plan) is None


def test_next_look_is_when_the_first_pod_has_been_ready_for_long_enough() -> None:
    rs = a_replica_set(replicas=3, min_ready_s=30, status=full(3, availableReplicas=0))
    pods = [a_pod(slot(i), owner=rs, ready=True, ready_at=NOW - at) for i, at in enumerate((5, 20, 10))]
    assert plan_for(rs, *pods) == Plan.wait_until(NOW + 10)
    assert status_written(plan_for(rs, *pods, now=NOW + 10)) == {"availableReplicas": 1}


# --- when the host says no ------------------------------------------------------------------------


def test_refused_create_becomes_a_condition_and_is_tried_again() -> None:
    rs = a_replica_set(replicas=2, status=STATUS)
    plan = plan_for(rs, refusal="exceeded quota: small")
    assert status_written(plan) == {
        "conditions": [
            {
                "type": "ReplicaFailure",
                "status": "True",
                "lastTransitionTime": timestamp(NOW),
                "reason": "FailedCreate",
                "message": "exceeded quota: small",
            }
        ]
    }
    assert isinstance(plan.writes[0], Patch)  # said before it is tried: a second refusal must not hide it
    assert len(created(plan)) == 2


def test_refused_delete_becomes_a_condition() -> None:
    rs = a_replica_set(replicas=0, status=status(replicas=1, fullyLabeledReplicas=1))
    said = status_written(plan_for(rs, *pods_of(rs, 1), refusal="no"))
    assert said is not None
    assert said["conditions"][0]["reason"] == "FailedDelete"
    assert said["conditions"][0]["message"] == "unable to delete pods: no"


FAILED = [a_condition("ReplicaFailure", reason="FailedCreate", message="exceeded quota: small")]


def test_condition_keeps_its_first_reason_while_it_lasts() -> None:
    rs = a_replica_set(replicas=2, status=status(conditions=FAILED))
    plan = plan_for(rs, refusal="exceeded quota: other")
    assert status_written(plan) is None
    assert len(created(plan)) == 2


@pytest.mark.parametrize("refusal", ["", "late word about something else"])
def test_condition_goes_when_the_pods_are_there(refusal: str) -> None:
    other = a_condition("Own")
    rs = a_replica_set(replicas=1, status=full(1, conditions=[*FAILED, other]))
    plan = plan_for(rs, *pods_of(rs, 1, ready=True), refusal=refusal)
    assert status_written(plan) == {"conditions": [other]}
    rs = a_replica_set(replicas=1, status=full(1, conditions=FAILED))
    plan = plan_for(rs, *pods_of(rs, 1, ready=True), refusal=refusal)
    assert status_written(plan) == {"conditions": None}


def test_template_that_does_not_match_is_said_once() -> None:
    rs = a_replica_set(selector={"matchLabels": {"app": "other"}})
    plan = plan_for(rs)
    said = status_written(plan)
    assert said is not None
    assert said["conditions"][0]["message"] == "`selector` does not match template `labels`"
    assert [w.message for w in plan.writes if isinstance(w, Emit)] == [
        "Error creating: `selector` does not match template `labels`"
    ]
    rs["status"] = said
    assert plan_for(rs) == Plan.done()


# --- who is woken ---------------------------------------------------------------------------------


def woken(old: JsonObject | None, new: JsonObject | None, *others: JsonObject) -> dict[str, list[float]]:
    """Names of ReplicaSets that a change of a pod wakes, each with the delays."""
    kind = POD
    record = Pod
    key = key_for(new or old or {})
    change = Change(
        kind, key, *(None if obj is None else cache_of(obj).table(record).records[key] for obj in (old, new))
    )
    view: View = view_of(*others)
    found: dict[str, list[float]] = {}
    for route in replica_set.CONTROLLER.concerns[kind]:
        for name in route.keys(view, change):
            found.setdefault(name.name, []).append(route.delay_s)
    return found


RS = a_replica_set("web")
OWN = a_pod("p", owner=RS)


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        pytest.param(None, OWN, {"web": [0.0]}, id="born"),
        pytest.param(OWN, None, {"web": [0.0, 0.5]}, id="vanished"),
        pytest.param(OWN, a_pod("p", owner=RS, deleting_at=NOW), {"web": [0.0]}, id="deletion begins"),
        pytest.param(a_pod("p", owner=RS, deleting_at=NOW), None, {"web": [0.5]}, id="deletion ends"),
        pytest.param(OWN, a_pod("p", owner=RS, ready=True), {"web": [0.05]}, id="ready"),
        pytest.param(OWN, a_pod("p", owner=RS, phase="Failed"), {"web": [0.0, 0.05]}, id="failed"),
        pytest.param(OWN, a_pod("p", owner=RS, node="n1"), {}, id="bound: no business of ours"),
        pytest.param(OWN, a_pod("p", owner=RS, labels={"app": "x"}), {"web": [0.0]}, id="relabelled"),
        pytest.param(OWN, a_pod("p"), {"web": [0.0]}, id="let go"),
        pytest.param(None, a_pod("p"), {"web": [0.0]}, id="orphan that matches"),
        pytest.param(None, a_pod("p", labels={"app": "db"}), {}, id="orphan that does not"),
        pytest.param(None, a_pod("p", namespace="shop"), {}, id="orphan elsewhere"),
    ],
)
def test_pod_wakes(old: JsonObject | None, new: JsonObject | None, wanted: dict[str, list[float]]) -> None:
    everything = a_replica_set("all", selector={})
    assert (
        woken(old, new, RS, everything, a_replica_set("db", selector={"matchLabels": {"a": "b"}})) == wanted
    )
