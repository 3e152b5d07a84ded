"""Virtual namespaces: what a living one needs, how a dying one is emptied, what it says meanwhile."""

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from builders import NOW, RECORDS, a_deployment, a_pod, a_replica_set, a_service, an_object, key_for, view_of
from nestling.api.json import JsonObject
from nestling.api.kinds import CONFIG_MAP, JOB, NAMESPACE, NODE, POD, Kind
from nestling.controllers import namespace
from nestling.machinery.cache import Change
from nestling.machinery.clock import timestamp
from nestling.machinery.plan import Delete, Patch, Plan
from nestling.machinery.records.base import Record
from nestling.machinery.records.job import Job
from nestling.machinery.records.namespace import NAMESPACE_FINALIZER

ALL = (*RECORDS, Job)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigMap(Record):
    """A ConfigMap of the host, in case somebody watches them."""

    KIND: ClassVar[Kind] = CONFIG_MAP


def living(name: str = "shop", *, phase: str = "Active", **more: object) -> JsonObject:
    """A namespace that has all it needs."""
    given: dict[str, object] = {
        "labels": {"kubernetes.io/metadata.name": name},
        "finalizers": [NAMESPACE_FINALIZER],
    }
    return an_object(NAMESPACE, name, status={"phase": phase}, **{**given, **more})  # type: ignore[arg-type]  # an_object's keywords


def dying(name: str = "shop", *, since: float = NOW - 10, **more: Any) -> JsonObject:
    return living(name, deleting_at=since, **more)


def look(subject: JsonObject, *others: JsonObject, refusal: str = "") -> Plan:
    return namespace.reconcile(view_of(subject, *others, refusal=refusal, records=ALL), key_for(subject))


def deleted(plan: Plan) -> list[str]:
    return [f"{w.kind.native}/{w.key.name}" for w in plan.writes if isinstance(w, Delete)]


def conditions(plan: Plan) -> dict[str, tuple[str, str, str]]:
    for write in plan.writes:
        if isinstance(write, Patch) and write.subresource == "status":
            assert write.body["status"]["phase"] == "Terminating"
            return {
                c["type"]: (c["status"], c["reason"], c["message"])
                for c in write.body["status"]["conditions"]
            }
    return {}


RELEASE = {"metadata": {"finalizers": []}}


@pytest.mark.parametrize(
    ("subject", "changes"),
    [
        pytest.param(living(), [], id="has all it needs"),
        pytest.param(
            living(labels=None, finalizers=["x/y"]),
            [
                {
                    "metadata": {
                        "finalizers": ["x/y", NAMESPACE_FINALIZER],
                        "labels": {"kubernetes.io/metadata.name": "shop"},
                    }
                }
            ],
            id="new",
        ),
        pytest.param(living(phase=""), [{"status": {"phase": "Active"}}], id="without a phase"),
        pytest.param(living("default", finalizers=[]), [], id="default needs no finalizer"),
    ],
)
def test_living_namespace_gets_what_it_needs(subject: JsonObject, changes: list[JsonObject]) -> None:
    plan = look(subject, a_pod("p", namespace="shop"))
    assert [write.body for write in plan.writes if isinstance(write, Patch)] == changes
    assert deleted(plan) == []


def test_pods_and_their_makers_go_before_anything_else() -> None:
    pod = a_pod("p", namespace="shop")
    makers = [
        a_replica_set("web-1", namespace="shop"),
        an_object(JOB, "batch", namespace="shop"),
        a_deployment("web", namespace="shop"),
    ]
    service = a_service("web", namespace="shop")
    expected = ["Deployment/web", "Job/batch", "ReplicaSet/web-1"]
    assert deleted(look(dying(), service, pod, *makers)) == [*expected, "Pod/p"]
    going = a_pod("p", namespace="shop", deleting_at=NOW, finalizers=["x/y"])
    assert deleted(look(dying(), service, going, *makers)) == expected
    assert deleted(look(dying(), service, going)) == []
    assert deleted(look(dying(), service, *makers)) == [*expected, "Service/web"]


def test_other_namespaces_and_kinds_without_one_are_left_alone() -> None:
    others = [a_pod("p"), a_pod("shop"), a_service("web", namespace="other"), an_object(NODE, "a.shop")]
    plan = look(dying(), *others)
    assert [write.body for write in plan.writes if isinstance(write, Patch)] == [RELEASE]


def test_config_map_of_the_host_is_not_ours_to_delete() -> None:
    records = (*ALL, ConfigMap)
    view = view_of(dying("crt"), an_object(CONFIG_MAP, "kube-root-ca", namespace="crt"), records=records)
    [write] = namespace.reconcile(view, key_for(dying("crt"))).writes
    assert isinstance(write, Patch)
    assert write.body == RELEASE


@pytest.mark.parametrize(
    ("subject", "plan"),
    [
        pytest.param(dying(since=NOW - 1), Plan.wait_until(NOW + 1), id="objects may yet be seen"),
        pytest.param(dying(finalizers=["x/y"]), Plan.done(), id="held by others"),
    ],
)
def test_empty_namespace_waits(subject: JsonObject, plan: Plan) -> None:
    assert look(subject) == plan


def test_empty_namespace_is_let_go_on_the_version_we_saw() -> None:
    [write] = look(dying(finalizers=["x/y", NAMESPACE_FINALIZER], version=5)).writes
    assert isinstance(write, Patch)
    assert (write.body, write.version) == ({"metadata": {"finalizers": ["x/y"]}}, 5)


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
def test_immortal_namespace_is_not_emptied(name: str) -> None:
    plan = look(dying(name), a_pod("p", namespace=name))
    assert [write.body for write in plan.writes if isinstance(write, Patch)] == [RELEASE]
    assert deleted(plan) == []


def test_conditions_say_what_remains_and_who_holds_it() -> None:
    pods = [a_pod(f"p{i}", namespace="shop", deleting_at=NOW, finalizers=["x/b", "x/a"]) for i in range(2)]
    found = conditions(look(dying(), a_deployment("web", namespace="shop", finalizers=["x/c"]), *pods))
    assert list(found) == list(namespace.FINE)
    assert found["NamespaceContentRemaining"] == (
        "True",
        "SomeResourcesRemain",
        (
            "Some resources are remaining:"
            " deployments.apps has 1 resource instances, pods. has 2 resource instances"
        ),
    )
    assert found["NamespaceFinalizersRemaining"] == (
        "True",
        "SomeFinalizersRemain",
        (
            "Some content in the namespace has finalizers remaining:"
            " x/a in 2 resource instances, x/b in 2 resource instances"
        ),
    )
    assert found["NamespaceDeletionContentFailure"] == (
        "False",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    )


def test_refusal_becomes_a_condition() -> None:
    found = conditions(look(dying(), a_service("web", namespace="shop"), refusal="not allowed"))
    assert found["NamespaceDeletionContentFailure"] == (
        "True",
        "ContentDeletionFailed",
        "Failed to delete all resource types, 1 remaining: not allowed",
    )


def test_conditions_are_written_once() -> None:
    pod = a_pod("p", namespace="shop", deleting_at=NOW, finalizers=["x/y"])
    [write] = look(dying(), pod).writes
    assert isinstance(write, Patch)
    after = {**dying(), "status": write.body["status"]}
    assert look(after, pod) == Plan.done()
    assert {c["lastTransitionTime"] for c in write.body["status"]["conditions"]} == {timestamp(NOW)}


def test_big_namespace_is_emptied_in_bursts() -> None:
    plan = look(dying(), *(a_pod(f"p{index}", namespace="shop") for index in range(700)))
    assert (len(deleted(plan)), plan.wake_at) == (500, NOW)


def test_namespace_without_an_object_is_nobodys() -> None:
    assert namespace.reconcile(view_of(a_pod("p")), key_for(living("default"))) == Plan.done()


@pytest.mark.parametrize(
    ("subject", "woken"),
    [pytest.param(living(), [], id="living"), pytest.param(dying(), ["shop"], id="dying")],
)
def test_contents_wake_only_a_dying_namespace(subject: JsonObject, woken: list[str]) -> None:
    [route] = namespace.CONTROLLER.concerns[POD]
    change = Change(POD, key_for(a_pod("p", namespace="shop")), None, None)
    assert [key.name for key in route.keys(view_of(subject), change)] == woken
