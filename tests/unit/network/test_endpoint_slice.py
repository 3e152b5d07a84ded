"""EndpointSlices: who is in them, what they say of each, and when they are written."""

from typing import Any

import pytest

from builders import BIRTH, NOW, a_node, a_pod, a_service, an_object, key_for, view_of
from nestling.api.json import JsonObject
from nestling.api.kinds import ENDPOINT_SLICE, POD
from nestling.machinery.cache import Change
from nestling.machinery.clock import timestamp
from nestling.machinery.plan import Create, Delete, Patch, Plan
from nestling.machinery.records.pod import Pod
from nestling.network import endpoint_slice

TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"
NODE = a_node("n1", labels={"topology.kubernetes.io/zone": "west"})


def service(**spec: Any) -> JsonObject:
    """A service that has its address."""
    settled = {
        "clusterIP": "10.96.0.5",
        "clusterIPs": ["10.96.0.5"],
        "ipFamilies": ["IPv4"],
        "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}],
    }
    meta = {
        name: spec.pop(name)
        for name in ("labels", "annotations", "deleting_at", "finalizers")
        if name in spec
    }
    return a_service(spec={**settled, **spec}, **meta)


def pod(
    name: str = "web-0", *, ip: str = "10.1.0.1", ready: bool = True, node: str = "n1", **more: Any
) -> JsonObject:
    return a_pod(name, ip=ip, ready=ready, node=node, phase="Running", **more)


def look(subject: JsonObject, *others: JsonObject) -> Plan:
    return endpoint_slice.reconcile(view_of(subject, *others), key_for(subject))


def stored(subject: JsonObject, *others: JsonObject) -> list[JsonObject]:
    """The slices after the plan for `subject` was performed once on a host that had none."""
    bodies = [write.body for write in look(subject, *others).writes if isinstance(write, Create)]
    return [as_stored(body) for body in bodies]


def as_stored(body: JsonObject) -> JsonObject:
    meta: JsonObject = body["metadata"]
    known = {"uid": f"uid-{meta['name']}", "resourceVersion": "1", "creationTimestamp": timestamp(NOW)}
    return {**body, "metadata": {**meta, **known}}


def endpoints(plan: Plan) -> list[JsonObject]:
    return [e for w in plan.writes if isinstance(w, Create | Patch) for e in w.body.get("endpoints") or ()]


def names(plan: Plan) -> list[str]:
    return [endpoint["targetRef"]["name"] for endpoint in endpoints(plan)]


def test_slice_is_created_complete_in_one_write() -> None:
    subject = service(labels={"team": "a", "kubernetes.io/service-name": "lie"})
    [create] = look(subject, NODE, pod()).writes
    assert isinstance(create, Create)
    assert create.key.name.startswith("web-")
    assert create.body == {
        "apiVersion": "nestling.dev/v1alpha1",
        "kind": "VirtualEndpointSlice",
        "metadata": {
            "name": create.key.name,
            "namespace": "team-a",
            "labels": {
                "team": "a",
                "kubernetes.io/service-name": "web",
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            },
            "annotations": {TRIGGER: timestamp(BIRTH)},
            "ownerReferences": [
                {
                    "apiVersion": "nestling.dev/v1alpha1",
                    "kind": "VirtualService",
                    "name": "web",
                    "uid": subject["metadata"]["uid"],
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "addressType": "IPv4",
        "endpoints": [
            {
                "addresses": ["10.1.0.1"],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "nodeName": "n1",
                "zone": "west",
                "targetRef": {
                    "kind": "Pod",
                    "namespace": "default",
                    "name": "web-0",
                    "uid": pod()["metadata"]["uid"],
                },
            }
        ],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "display": {"endpoints": "10.1.0.1", "ports": "8080"},
    }


def test_nothing_is_written_when_nothing_changed() -> None:
    others = (NODE, pod("a"), pod("b", ip="10.1.0.2", ready=False))
    assert look(service(), *others, *stored(service(), *others)) == Plan.done()


def test_same_plan_twice_has_the_same_names() -> None:
    assert look(service(), NODE, pod()) == look(service(), NODE, pod())


@pytest.mark.parametrize(
    ("member", "conditions"),
    [
        pytest.param(pod(), (True, True, False), id="ready"),
        pytest.param(pod(ready=False), (False, False, False), id="not ready"),
        pytest.param(
            pod(deleting_at=NOW, finalizers=["x/y"]), (False, True, True), id="terminating, still serving"
        ),
        pytest.param(
            pod(ready=False, deleting_at=NOW, finalizers=["x/y"]), (False, False, True), id="terminating"
        ),
        pytest.param(pod(ip=""), None, id="no address"),
        pytest.param(a_pod(ip="10.1.0.1", node="n1", phase="Succeeded"), None, id="finished"),
        pytest.param(a_pod(ip="10.1.0.1", node="n1", phase="Failed"), None, id="failed"),
        pytest.param(pod(labels={"app": "other"}), None, id="not selected"),
        pytest.param(pod(namespace="shop"), None, id="in another namespace"),
        pytest.param(pod(node="gone"), None, id="on an unknown node"),
        pytest.param(pod(ip="fd00::1"), None, id="of another family"),
    ],
)
def test_conditions_of_an_endpoint(member: JsonObject, conditions: tuple[bool, bool, bool] | None) -> None:
    found = endpoints(look(service(), NODE, member))
    said = [
        tuple(endpoint["conditions"][c] for c in ("ready", "serving", "terminating")) for endpoint in found
    ]
    assert said == ([] if conditions is None else [conditions])


def test_unready_addresses_are_published_on_demand() -> None:
    lost = pod("lost", ip="10.1.0.2", ready=False, node="gone")
    plan = look(service(publishNotReadyAddresses=True), NODE, pod(ready=False), lost)
    assert [endpoint["conditions"]["ready"] for endpoint in endpoints(plan)] == [True, True]
    assert plan.wake_at is None


def test_pod_on_an_unknown_node_is_looked_at_again() -> None:
    assert look(service(), NODE, pod(node="gone")).wake_at == NOW + 1


@pytest.mark.parametrize(
    ("spec", "hostname"),
    [
        pytest.param({"hostname": "h", "subdomain": "web"}, "h", id="of this service"),
        pytest.param({"hostname": "h", "subdomain": "other"}, None, id="of another"),
        pytest.param({"subdomain": "web"}, None, id="none"),
    ],
)
def test_hostname_is_for_the_governing_service(spec: JsonObject, hostname: str | None) -> None:
    [endpoint] = endpoints(look(service(), NODE, pod(spec=spec)))
    assert endpoint.get("hostname") == hostname


def with_port(name: str, ip: str, number: int, *, sidecar: bool = False, protocol: str = "TCP") -> JsonObject:
    container = {"name": "c", "ports": [{"name": "http", "containerPort": number, "protocol": protocol}]}
    spec: JsonObject = {"containers": [container]}
    if sidecar:
        spec = {"containers": [{"name": "m"}], "initContainers": [{**container, "restartPolicy": "Always"}]}
    return pod(name, ip=ip, spec=spec)


def test_pods_that_resolve_a_named_port_differently_have_slices_of_their_own() -> None:
    named = [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}]
    plan = look(
        service(ports=named),
        NODE,
        with_port("a", "10.1.0.1", 8080),
        with_port("b", "10.1.0.2", 9090),
        with_port("c", "10.1.0.3", 8080, sidecar=True),
        with_port("d", "10.1.0.4", 8080, protocol="UDP"),
    )
    found = {
        tuple(port["port"] for port in w.body["ports"]): [e["targetRef"]["name"] for e in w.body["endpoints"]]
        for w in plan.writes
        if isinstance(w, Create)
    }
    assert found == {(8080,): ["a", "c"], (9090,): ["b"], (): ["d"]}


def test_dual_stack_service_has_slices_per_family() -> None:
    both = pod(status={"podIPs": [{"ip": "10.1.0.1"}, {"ip": "fd00::1"}]})
    plan = look(service(ipFamilies=["IPv4", "IPv6"]), NODE, both, pod("v4", ip="10.1.0.2"))
    found = {w.body["addressType"]: w.body["endpoints"] for w in plan.writes if isinstance(w, Create)}
    assert [e["addresses"] for e in found["IPv4"]] == [["10.1.0.2"], ["10.1.0.1"]]
    assert [e["addresses"] for e in found["IPv6"]] == [["fd00::1"]]


def test_slice_of_a_family_that_the_service_lost_is_deleted() -> None:
    slices = stored(service(ipFamilies=["IPv4", "IPv6"]), NODE, pod())
    plan = look(service(), NODE, pod(), *slices)
    [delete] = plan.writes
    assert isinstance(delete, Delete)
    assert delete.version == 1


@pytest.mark.parametrize(
    "subject",
    [
        pytest.param(service(selector=None), id="no selector"),
        pytest.param(service(selector={}), id="empty selector"),
        pytest.param(service(type="ExternalName", externalName="x.test"), id="external name"),
        pytest.param(a_service(), id="no address yet"),
        pytest.param(a_service(spec={"clusterIP": "None"}), id="headless, families not settled"),
    ],
)
def test_service_that_is_not_ours_to_fill_is_left_alone(subject: JsonObject) -> None:
    assert look(subject, NODE, pod()) == Plan.done()


def test_empty_service_keeps_one_empty_slice() -> None:
    [create] = look(service()).writes
    assert isinstance(create, Create)
    assert (create.body["endpoints"], create.body["ports"]) == ([], [])
    assert create.body["display"] == {"endpoints": "<unset>", "ports": "<unset>"}
    placeholder = as_stored(create.body)
    assert look(service(), placeholder) == Plan.done()
    [filled] = look(service(), placeholder, NODE, pod()).writes
    assert isinstance(filled, Patch)
    assert (filled.key, names(Plan.of(filled))) == (create.key, ["web-0"])
    assert filled.body["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]


def test_last_endpoint_turns_the_slice_into_the_empty_one() -> None:
    [before] = stored(service(), NODE, pod())
    [patch] = look(service(), NODE, before).writes
    assert isinstance(patch, Patch)
    assert (patch.body["endpoints"], patch.body["ports"], patch.version) == ([], [], 1)
    assert patch.body["metadata"] == {"annotations": {TRIGGER: None}}


def test_headless_service_is_marked() -> None:
    headless = service(clusterIP="None", clusterIPs=["None"], ports=[])
    [create] = look(headless, NODE, pod()).writes
    assert isinstance(create, Create)
    assert create.body["metadata"]["labels"]["service.kubernetes.io/headless"] == ""
    assert create.body["ports"] == []


def test_two_hundred_and_fifty_pods_make_three_slices() -> None:
    pods = [pod(f"p{index:03}", ip=f"10.1.{index // 200}.{index % 200 + 1}") for index in range(250)]
    slices = stored(service(), NODE, *pods)
    assert [len(one["endpoints"]) for one in slices] == [100, 100, 50]
    assert len({one["metadata"]["name"] for one in slices}) == 3
    assert slices[0]["display"]["endpoints"] == "10.1.0.1,10.1.0.2,10.1.0.3 + 97 more..."
    [patch] = look(service(), NODE, *pods[1:], *slices).writes
    assert isinstance(patch, Patch)
    assert len(patch.body["endpoints"]) == 99


def test_readiness_costs_one_write_with_its_time() -> None:
    [before] = stored(service(), NODE, pod(ready=False))
    [patch] = look(service(), NODE, pod(ready_at=NOW - 3), before).writes
    assert isinstance(patch, Patch)
    assert set(patch.body) == {"endpoints", "metadata"}
    assert patch.body["metadata"] == {"annotations": {TRIGGER: timestamp(NOW - 3)}}


def test_change_without_new_readiness_has_no_time() -> None:
    [before] = stored(service(), NODE, pod())
    [patch] = look(service(), NODE, pod(deleting_at=NOW, finalizers=["x/y"]), before).writes
    assert isinstance(patch, Patch)
    assert patch.body["metadata"] == {"annotations": {TRIGGER: None}}


def test_label_of_the_service_goes_to_its_slices() -> None:
    [before] = stored(service(labels={"old": "1", "same": "2"}), NODE, pod())
    [patch] = look(service(labels={"same": "2", "new": "3"}), NODE, pod(), before).writes
    assert isinstance(patch, Patch)
    assert patch.body["metadata"]["labels"] == {"new": "3", "old": None}


@pytest.mark.parametrize(
    ("traffic", "hints"),
    [
        pytest.param(None, None, id="anywhere"),
        pytest.param("PreferClose", {"forZones": [{"name": "west"}]}, id="close"),
        pytest.param("PreferSameZone", {"forZones": [{"name": "west"}]}, id="zone"),
        pytest.param(
            "PreferSameNode", {"forZones": [{"name": "west"}], "forNodes": [{"name": "n1"}]}, id="node"
        ),
        pytest.param("Sideways", None, id="unknown"),
    ],
)
def test_traffic_distribution_becomes_hints(traffic: str | None, hints: JsonObject | None) -> None:
    plan = look(service(trafficDistribution=traffic), NODE, pod(), pod("b", ip="10.1.0.2", ready=False))
    ready, unready = sorted(endpoints(plan), key=lambda endpoint: not endpoint["conditions"]["ready"])
    assert (ready.get("hints"), unready.get("hints")) == (hints, None)


def test_slices_of_others_are_left_alone() -> None:
    foreign = an_object(ENDPOINT_SLICE, "mine", owner=service(), labels={"kubernetes.io/service-name": "web"})
    plan = look(service(), NODE, pod(), {**foreign, "addressType": "IPv4", "endpoints": []})
    assert [type(write) for write in plan.writes] == [Create]


def test_service_being_deleted_gets_no_new_slice() -> None:
    going = service(deleting_at=NOW, finalizers=["x/y"])
    assert look(going, NODE, pod()).writes == ()


def test_name_of_a_slice_on_its_way_out_is_not_used_again() -> None:
    [before] = stored(service(), NODE, pod())
    before["metadata"] |= {"deletionTimestamp": timestamp(NOW), "finalizers": ["x/y"]}
    [create] = look(service(), NODE, pod(), before).writes
    assert isinstance(create, Create)
    assert create.key.name != before["metadata"]["name"]


def test_unreadable_trigger_time_is_none() -> None:
    [before] = stored(service(), NODE, pod(ready=False))
    before["metadata"]["annotations"][TRIGGER] = "yesterday"
    [patch] = look(service(), NODE, pod(ready_at=NOW - 3), before).writes
    assert isinstance(patch, Patch)
    assert patch.body["metadata"]["annotations"] == {TRIGGER: timestamp(NOW - 3)}


@pytest.mark.parametrize(
    ("old", "new", "woken"),
    [
        pytest.param(None, pod(ip=""), [], id="created"),
        pytest.param(pod(ip=""), pod(), ["web"], id="got its address"),
        pytest.param(pod(), pod(ready=False), ["web"], id="went unready"),
        pytest.param(pod(), pod(restarts=3), [], id="restarted"),
        pytest.param(pod(), pod(labels={"app": "other"}), ["other", "web"], id="moved to another service"),
        pytest.param(pod(), pod(deleting_at=NOW, finalizers=["x/y"]), ["web"], id="terminating"),
        pytest.param(pod(), None, ["web"], id="gone"),
        pytest.param(pod(labels={"app": "none"}), None, [], id="selected by nobody"),
    ],
)
def test_change_of_a_pod_wakes_the_services_it_means_something_to(
    old: JsonObject | None, new: JsonObject | None, woken: list[str]
) -> None:
    other = a_service("other", spec={"selector": {"app": "other"}})
    bare = a_service("bare", spec={"selector": None})
    view = view_of(service(), other, bare, a_service("far", namespace="shop"))
    records = [Pod.read(one) if one is not None else None for one in (old, new)]
    [route] = endpoint_slice.CONTROLLER.concerns[POD]
    change = Change(POD, key_for(pod()), *records)
    assert sorted(key.name for key in route.keys(view, change)) == woken
