"""ReplicationControllers: what they do as ReplicaSets do, and the little that differs."""

from collections.abc import Mapping

import pytest

from builders import (
    NOW,
    a_pod,
    a_replica_set,
    a_replication_controller,
    a_template,
    cache_of,
    controller_ref,
    key_for,
    view_of,
)
from nestling.api.json import JsonObject
from nestling.api.kinds import POD, REPLICATION_CONTROLLER
from nestling.controllers import replica_set, replication
from nestling.machinery.cache import Change
from nestling.machinery.names import suffix
from nestling.machinery.plan import Create, Delete, Emit, Patch, Plan
from nestling.machinery.records.pod import Pod
from nestling.machinery.records.workload import ReplicationController

UID = "uid-replicationcontroller-web"
STATUS: JsonObject = {
    "replicas": 0,
    "fullyLabeledReplicas": 0,
    "readyReplicas": 0,
    "availableReplicas": 0,
    "observedGeneration": 1,
    "selector": "app=web",
}


def plan_for(rc: JsonObject, *others: JsonObject, refusal: str = "") -> Plan:
    return replication.reconcile(view_of(rc, *others, now=NOW, refusal=refusal), key_for(rc))


def test_missing_pod_is_created_under_the_controllers_own_kind_and_component() -> None:
    rc = a_replication_controller(replicas=1)
    (create,) = plan_for(rc).writes
    assert isinstance(create, Create)
    name = f"web-{suffix(UID, 0)}"
    assert create.body["metadata"]["ownerReferences"] == [controller_ref(rc)]
    assert create.on_success == Emit(
        REPLICATION_CONTROLLER, key_for(rc), rc["metadata"]["uid"], "Normal", "SuccessfulCreate",
        f"Created pod: {name}", "replication-controller",
    )  # fmt: skip


def test_surplus_pod_is_deleted() -> None:
    rc = a_replication_controller(replicas=0)
    (delete,) = plan_for(rc, a_pod("p", owner=rc)).writes
    assert isinstance(delete, Delete)
    assert delete.on_success is not None
    assert delete.on_success.component == "replication-controller"


@pytest.mark.parametrize(
    ("pod", "wanted"),
    [
        pytest.param({"ready": True}, {"replicas": 1, "fullyLabeledReplicas": 1, "readyReplicas": 1,
                                       "availableReplicas": 1}, id="ready"),
        pytest.param({"deleting_at": NOW}, {}, id="terminating pods are not counted: there is no such field"),
    ],
)  # fmt: skip
def test_status_has_no_terminating_pods(pod: JsonObject, wanted: JsonObject) -> None:
    replicas = 1 if wanted else 0
    rc = a_replication_controller(replicas=replicas)
    (patch,) = plan_for(rc, a_pod("p", owner=rc, **pod)).writes
    assert isinstance(patch, Patch)
    assert patch.body["status"] == {**STATUS, **wanted}


@pytest.mark.parametrize(
    ("selector", "labels", "text"),
    [
        pytest.param({"app": "web"}, {"app": "web", "v": "1"}, "app=web", id="its own"),
        pytest.param(None, {"app": "web", "v": "1"}, "app=web,v=1", id="absent: the template's labels"),
        pytest.param({}, {"app": "web"}, "app=web", id="empty: the template's labels"),
        pytest.param(None, {}, None, id="nothing to go by"),
        pytest.param({"app": 7}, {"app": "web"}, None, id="junk"),
    ],
)
def test_selector(selector: Mapping[str, str] | None, labels: Mapping[str, str], text: str | None) -> None:
    rc = a_replication_controller(template=a_template(labels))
    rc["spec"]["selector"] = selector
    found = cache_of(rc).table(ReplicationController).records[key_for(rc)].selector
    assert (str(found), found.nothing) == (text, False) if text else found.nothing


def test_selector_of_nothing_makes_no_pods() -> None:
    rc = a_replication_controller(template=a_template({}))
    rc["spec"]["selector"] = None
    assert plan_for(rc) == Plan.done()


def test_refusal_becomes_a_condition() -> None:
    rc = a_replication_controller(replicas=2, status=STATUS)
    status, *creates = plan_for(rc, refusal="exceeded quota: small").writes
    assert isinstance(status, Patch)
    assert status.kind == REPLICATION_CONTROLLER
    assert status.body["status"]["conditions"][0]["reason"] == "FailedCreate"
    assert len(creates) == 2


def test_orphan_wakes_those_that_select_it_and_each_kind_looks_after_its_own() -> None:
    rc, rs = a_replication_controller("rc"), a_replica_set("rs")
    view = view_of(rc, rs)

    def woken(pod: JsonObject) -> set[str]:
        record = cache_of(pod).table(Pod).records[key_for(pod)]
        change = Change(POD, record.key, None, record)
        concerns = replication.CONTROLLER.concerns[POD]
        return {key.name for route in concerns for key in route.keys(view, change)}

    assert woken(a_pod("p")) == {"rc"}
    assert woken(a_pod("p", owner=rc)) == {"rc"}
    assert woken(a_pod("p", owner=rs)) == set()
    assert replica_set.reconcile(view, key_for(rc)) == Plan.done()  # no ReplicaSet of that name
