"""What the machine makes of namespaces, services, workloads and labels: pods that look at other pods."""

from typing import Any

import pytest

from builders import a_node, a_pod, a_replica_set, a_service, an_object
from nestling.api.json import JsonObject
from nestling.api.kinds import NAMESPACE, NODE, POD, STATEFUL_SET
from nestling.scheduler.podterms import HOSTNAME, ZONE
from unit.scheduler.a_host import Host
from unit.scheduler.tables import requests

WEB = {"app": "web"}


def a_zoned(name: str, zone: str, **more: Any) -> JsonObject:
    return a_node(name, labels={HOSTNAME: name, ZONE: zone}, **more)


def pending(name: str, **more: Any) -> JsonObject:
    spec = {"containers": [requests(cpu="100m")], **more.pop("spec", {})}
    more.setdefault("labels", {})
    return a_pod(name, spec=spec, phase="", status={"conditions": []}, **more)


def beside(labels: dict[str, str], kind: str = "podAffinity", **term: Any) -> JsonObject:
    stated = {"labelSelector": {"matchLabels": labels}, "topologyKey": HOSTNAME, **term}
    return {"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [stated]}}}


SET = an_object(STATEFUL_SET, "web", spec={"selector": {"matchLabels": WEB}})


@pytest.mark.parametrize(
    ("kin", "owners"),
    [
        pytest.param(a_replica_set("web"), True, id="replica set"),
        pytest.param(SET, True, id="stateful set"),
        pytest.param(a_service("web"), False, id="service"),
        pytest.param(None, False, id="nobody"),
    ],
)
def test_pods_of_one_workload_or_service_spread_over_zones_unasked(
    kin: JsonObject | None, owners: bool
) -> None:
    # Zone b is full to the half, so that room alone would send every pod to zone a.
    nodes = [a_zoned("a1", "a"), a_zoned("a2", "a"), a_zoned("b1", "b", cpu="1", memory="1Gi")]
    host = Host(*nodes, *([kin] if kin is not None else []))
    for i in range(4):
        more = {"owner": kin} if kin is not None and owners else {}
        host.put(pending(f"web-{i}", labels=WEB, **more))
        host.run()
    zones = {host.node_of(f"web-{i}")[0] for i in range(4)}
    assert zones == ({"a", "b"} if kin is not None else {"a"})


def test_a_pod_waits_for_the_one_it_wants_to_be_with_and_for_nobody_else() -> None:
    host = Host(a_zoned("n1", "a"), a_zoned("n2", "a"), pending("follower", spec=beside(WEB)))
    host.run()
    assert host.node_of("follower") == ""
    host.put(a_pod("stranger", node="n1", labels={"app": "other"}))
    assert host.step() == []
    host.clock.advance(5)
    host.put(a_pod("leader", node="n2", labels=WEB))
    host.run()
    assert host.node_of("follower") == "n2"


def test_a_new_label_on_a_bound_pod_counts() -> None:
    host = Host(
        a_zoned("n1", "a"), a_pod("leader", node="n1", labels={}), pending("follower", spec=beside(WEB))
    )
    host.run()
    assert host.node_of("follower") == ""
    host.clock.advance(5)
    host.edit(POD, "leader", {"metadata": {"labels": WEB}})
    host.run()
    assert host.node_of("follower") == "n1"


def test_a_new_label_on_a_waiting_pod_counts() -> None:
    keeper = a_pod("keeper", node="n1", labels=WEB, spec=beside(WEB, "podAntiAffinity"))
    host = Host(a_zoned("n1", "a"), keeper, pending("web", labels=WEB))
    host.run()
    assert host.node_of("web") == ""
    host.clock.advance(5)
    host.edit(POD, "web", {"metadata": {"labels": {"app": "other"}}})
    host.run()
    assert host.node_of("web") == "n1"


def test_the_one_in_the_way_goes_and_the_other_comes() -> None:
    keeper = a_pod("keeper", node="n1", labels=WEB, spec=beside(WEB, "podAntiAffinity"))
    host = Host(a_zoned("n1", "a"), keeper, a_pod("else", node="n1", labels={}), pending("web", labels=WEB))
    host.run()
    assert host.node_of("web") == ""
    host.clock.advance(5)
    host.delete(POD, "else")
    assert host.step() == []
    host.delete(POD, "keeper")
    host.run()
    assert host.node_of("web") == "n1"


def test_a_namespace_selector_reads_the_labels_of_virtual_namespaces() -> None:
    shop = an_object(NAMESPACE, "shop", labels={"team": "a"})
    far = beside(WEB, "podAntiAffinity", namespaceSelector={"matchLabels": {"team": "a"}})
    host = Host(
        a_zoned("n1", "a"),
        a_zoned("n2", "a", cpu="1"),
        shop,
        a_pod("web", namespace="shop", node="n1", labels=WEB),
    )
    host.put(pending("one", spec=far))
    host.run()
    assert host.node_of("one") == "n2"
    host.edit(NAMESPACE, "shop", {"metadata": {"labels": {"team": "b"}}})
    host.put(pending("two", spec=far))
    host.run()
    assert host.node_of("two") == "n1"


def test_a_pod_waits_for_a_domain_that_has_room_in_its_spread() -> None:
    spread = {
        "maxSkew": 1,
        "topologyKey": ZONE,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": WEB},
    }
    spec = {"topologySpreadConstraints": [spread]}
    full = a_zoned("b1", "b", cpu="0")
    host = Host(a_zoned("a1", "a"), full, a_pod("web-0", node="a1", labels=WEB))
    host.put(pending("web-1", labels=WEB, spec=spec))
    host.run()
    assert host.node_of("web-1") == ""
    host.clock.advance(5)
    host.edit(NODE, "b1", {"status": {"allocatable": {"cpu": "4"}}})
    host.run()
    assert host.node_of("web-1") == "b1"


def test_the_last_pod_does_not_take_what_is_known_of_its_services_along() -> None:
    host = Host(a_service("web"), pending("web-0", labels=WEB))
    host.delete(POD, "web-0")
    assert [lane.state.nodes.peers.known for lane in host.machine.lanes()] == [True]
