"""Services: what they are given, keep and give back, and what happens when two want the same."""

import pytest

from builders import NOW, a_cluster, a_condition, a_service, key_for, view_of
from nestling.api.json import JsonObject
from nestling.api.kinds import SERVICE
from nestling.machinery.cache import Change
from nestling.machinery.plan import Patch, Plan
from nestling.machinery.records.service import Service
from nestling.network import service

CIDR = "10.96.0.0/16"


def look(subject: JsonObject, *others: JsonObject, refusal: str = "") -> Plan:
    return service.reconcile(view_of(subject, *others, refusal=refusal), key_for(subject))


def spec_change(plan: Plan) -> JsonObject:
    """What the plan changes in the spec; nothing if it leaves it alone."""
    for write in plan.writes:
        if isinstance(write, Patch) and "spec" in write.body:
            assert write.version == 1
            return write.body["spec"]
    return {}


def settled(subject: JsonObject, *others: JsonObject) -> JsonObject:
    """The service after its plan was performed, checked to stay so."""
    spec = {**subject["spec"], **spec_change(look(subject, *others))}
    after = {**subject, "spec": {field: value for field, value in spec.items() if value is not None}}
    after["status"] = {**(subject.get("status") or {}), "display": service.display(after)}
    assert look(after, *others) == Plan.done()
    return after


def status_change(plan: Plan) -> JsonObject:
    for write in plan.writes:
        if isinstance(write, Patch) and write.subresource == "status":
            return write.body["status"]
    return {}


def problem(plan: Plan) -> tuple[str, str] | None:
    for write in plan.writes:
        if isinstance(write, Patch) and write.subresource and "conditions" in write.body["status"]:
            told = write.body["status"]["conditions"][-1]
            assert (told["type"], told["status"]) == ("AddressesAllocated", "False")
            assert write.on_success is not None
            assert (write.on_success.reason, write.on_success.message) == (told["reason"], told["message"])
            return told["reason"], told["message"]
    return None


def number(address: str) -> int:
    a, b, c, d = map(int, address.split("."))
    return ((a * 256 + b) * 256 + c) * 256 + d


def test_plain_service_is_settled_in_one_write() -> None:
    change = spec_change(look(a_service()))
    address = change.pop("clusterIP")
    assert number("10.96.1.0") <= number(address) < number("10.96.255.255")  # above the hand-picked band
    assert change == {
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "clusterIPs": [address],
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
    }
    settled(a_service())


def test_same_service_asks_for_the_same_numbers_again() -> None:
    subject = a_service(spec={"type": "NodePort"})
    assert look(subject) == look(subject)
    other = a_service(uid="another", spec={"type": "NodePort"})
    assert spec_change(look(subject))["clusterIP"] != spec_change(look(other))["clusterIP"]


@pytest.mark.parametrize(
    ("spec", "change"),
    [
        pytest.param(
            {"clusterIP": "None"},
            {"clusterIPs": ["None"], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"},
            id="headless",
        ),
        pytest.param(
            {"clusterIP": "None", "selector": None},
            {"ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "RequireDualStack"},
            id="headless without selector",
        ),
        pytest.param(
            {"clusterIP": "10.96.7.7"},
            {"clusterIPs": ["10.96.7.7"], "ipFamilies": ["IPv4"]},
            id="address of the user's choice",
        ),
        pytest.param({"clusterIPs": ["10.96.7.7"]}, {"clusterIP": "10.96.7.7"}, id="the same in the plural"),
        pytest.param(
            {"sessionAffinity": "ClientIP"},
            {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}}},
            id="client affinity",
        ),
        pytest.param(
            {"ports": [{"port": 80, "targetPort": "http", "protocol": "UDP"}]},
            {},
            id="named target port stays",
        ),
        pytest.param({"externalIPs": ["1.2.3.4"]}, {"externalTrafficPolicy": "Cluster"}, id="external IPs"),
        pytest.param(
            {"type": "LoadBalancer"},
            {"externalTrafficPolicy": "Cluster", "allocateLoadBalancerNodePorts": True},
            id="load balancer",
        ),
    ],
)
def test_defaults_are_those_of_the_api_server(spec: JsonObject, change: JsonObject) -> None:
    found = spec_change(look(a_service(spec=spec)))
    assert {field: found.get(field) for field in change} == change
    settled(a_service(spec=spec))


def test_external_name_gets_nothing_and_gives_everything_back() -> None:
    before = settled(a_service(spec={"type": "NodePort"}))
    before["spec"].update(type="ExternalName", externalName="example.org")
    change = spec_change(look(before))
    gone = {field for field, value in change.items() if value is None}
    assert gone == {
        "clusterIP",
        "clusterIPs",
        "externalTrafficPolicy",
        "internalTrafficPolicy",
        "ipFamilies",
        "ipFamilyPolicy",
    }
    assert "nodePort" not in change["ports"][0]
    settled(before)


def test_node_ports_lie_in_the_range_and_above_the_hand_picked_ones() -> None:
    [port] = settled(a_service(spec={"type": "NodePort"}))["spec"]["ports"]
    assert 30000 + 86 <= port["nodePort"] <= 32767


def test_ports_of_one_number_share_a_node_port() -> None:
    ports = [{"name": p, "port": 53, "protocol": p.upper()} for p in ("udp", "tcp")]
    found = settled(a_service(spec={"type": "NodePort", "ports": [*ports, {"name": "web", "port": 80}]}))
    dns_udp, dns_tcp, web = (port["nodePort"] for port in found["spec"]["ports"])
    assert dns_udp == dns_tcp != web


def test_port_that_the_user_chose_for_one_protocol_serves_the_other() -> None:
    ports = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP", "nodePort": 30053}]
    found = settled(a_service(spec={"type": "NodePort", "ports": ports}))
    assert [port["nodePort"] for port in found["spec"]["ports"]] == [30053, 30053]


def test_load_balancer_without_node_ports_gets_none() -> None:
    spec = {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False}
    assert "nodePort" not in settled(a_service(spec=spec))["spec"]["ports"][0]


def test_local_load_balancer_has_a_health_check_port_and_gives_it_back() -> None:
    before = settled(a_service(spec={"type": "LoadBalancer", "externalTrafficPolicy": "Local"}))
    health = before["spec"]["healthCheckNodePort"]
    assert 30086 <= health <= 32767
    assert health != before["spec"]["ports"][0]["nodePort"]
    before["spec"]["externalTrafficPolicy"] = "Cluster"
    assert spec_change(look(before)) == {"healthCheckNodePort": None}


def test_node_ports_are_given_back_when_the_type_changes() -> None:
    before = settled(a_service(spec={"type": "LoadBalancer"}))
    before["spec"]["type"] = "ClusterIP"
    before["status"] = {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}
    plan = look(before)
    assert spec_change(plan) == {
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
        "allocateLoadBalancerNodePorts": None,
        "externalTrafficPolicy": None,
    }
    shown = {"externalIP": "<none>", "ports": "80/TCP", "selector": "app=web"}
    assert status_change(plan) == {"loadBalancer": None, "display": shown}


def test_services_looked_at_side_by_side_never_take_the_same_number() -> None:
    tight = a_cluster({"serviceCIDR": "10.0.0.0/28", "nodePortRange": "30000-30011"})
    services = [a_service(f"s{index}", spec={"type": "NodePort"}) for index in range(12)]
    plans = [look(one, tight, *(other for other in services if other is not one)) for one in services]
    changes = [spec_change(plan) for plan in plans]
    addresses = [change["clusterIP"] for change in changes]
    assert len(set(addresses)) == 12  # of the 14 of a /28, .1 and .10 are reserved
    assert not {"10.0.0.0", "10.0.0.1", "10.0.0.10", "10.0.0.15"} & set(addresses)
    assert len({change["ports"][0]["nodePort"] for change in changes}) == 12


def test_number_on_its_way_to_the_host_is_not_given_again() -> None:
    """Whether the first service's numbers have reached the cache or not, the second chooses the same."""
    first, second = (a_service(f"s{index}", spec={"type": "NodePort"}) for index in range(2))
    assert spec_change(look(second, first)) == spec_change(look(second, settled(first, second)))


@pytest.mark.parametrize(
    ("cluster", "reason"),
    [
        pytest.param({"serviceCIDR": "10.0.0.0/30"}, "ServiceCIDRFull", id="no address left"),
        pytest.param({"nodePortRange": "30000-30000"}, "PortRangeFull", id="no port left"),
        pytest.param({"serviceCIDR": "nonsense"}, "ServiceCIDRNotValid", id="no network"),
        pytest.param({"serviceCIDR": "10.0.0.0/16,nonsense"}, "ServiceCIDRNotValid", id="half a network"),
    ],
)
def test_exhausted_supply_is_told_to_the_user(cluster: JsonObject, reason: str) -> None:
    spec = {"type": "NodePort"}
    first = a_service("a", spec={**spec, "clusterIP": "10.0.0.2", "ports": [{"port": 1, "nodePort": 30000}]})
    found = problem(look(a_service("b", spec=spec), first, a_cluster(cluster)))
    assert found is not None
    assert found[0] == reason


TAKEN = a_service(
    "taken",
    spec={"type": "NodePort", "clusterIP": "10.96.0.50", "ports": [{"port": 1, "nodePort": 30001}]},
    created_at=NOW - 9999,
)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        pytest.param(
            {"clusterIP": "not an address"},
            ("ClusterIPNotValid", "Cluster IP not an address is not a valid IP; please recreate service"),
            id="not valid",
        ),
        pytest.param(
            {"clusterIP": "10.0.0.1"},
            (
                "ClusterIPOutOfRange",
                f"Cluster IP [IPv4]:10.0.0.1 is not within the service CIDR {CIDR}; please recreate service",
            ),
            id="out of range",
        ),
        pytest.param(
            {"clusterIP": "10.96.0.0"},
            (
                "ClusterIPOutOfRange",
                f"Cluster IP [IPv4]:10.96.0.0 is not within the service CIDR {CIDR}; please recreate service",
            ),
            id="the network's own address",
        ),
        pytest.param(
            {"clusterIP": "10.96.0.50"},
            (
                "ClusterIPAlreadyAllocated",
                "Cluster IP [IPv4]:10.96.0.50 was assigned to multiple services; please recreate service",
            ),
            id="taken",
        ),
        pytest.param(
            {"clusterIP": "10.96.0.1"},
            (
                "ClusterIPAlreadyAllocated",
                "Cluster IP [IPv4]:10.96.0.1 was assigned to multiple services; please recreate service",
            ),
            id="the API server's",
        ),
        pytest.param(
            {"clusterIP": "fd00::5"},
            ("IPFamilyNotConfigured", "IPv6 is not configured on this cluster"),
            id="wrong family",
        ),
        pytest.param(
            {"ipFamilyPolicy": "RequireDualStack"},
            ("IPFamilyNotConfigured", "this cluster is not configured for dual-stack services"),
            id="two families on a cluster of one",
        ),
        pytest.param(
            {"ipFamilies": ["IPv5"]},
            ("IPFamilyNotConfigured", "IPv5 is not configured on this cluster"),
            id="unknown family",
        ),
        pytest.param(
            {"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]},
            ("PortOutOfRange", "Port 80 is not within the port range 30000-32767; please recreate service"),
            id="port out of range",
        ),
        pytest.param(
            {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30001}]},
            ("PortAlreadyAllocated", "Port 30001 was assigned to multiple services; please recreate service"),
            id="port taken",
        ),
    ],
)
def test_wish_that_cannot_be_met_is_told_once(spec: JsonObject, told: tuple[str, str]) -> None:
    plan = look(a_service(spec=spec), TAKEN)
    assert problem(plan) == told
    status = next(w.body["status"] for w in plan.writes if isinstance(w, Patch) and w.subresource)
    assert problem(look(a_service(spec=spec, status=status), TAKEN)) is None


def test_end_of_the_trouble_is_told_too() -> None:
    status = {"conditions": [a_condition("AddressesAllocated", "False", reason="ServiceCIDRFull")]}
    assert status_change(look(a_service(status=status)))["conditions"][0]["status"] == "True"


def test_kubernetes_service_may_have_the_first_address() -> None:
    assert problem(look(a_service("kubernetes", spec={"clusterIP": "10.96.0.1"}))) is None


def test_of_two_with_an_address_of_ours_the_younger_yields() -> None:
    younger = settled(a_service("b", spec={"type": "NodePort"}, created_at=NOW - 1))
    numbers = {field: younger["spec"][field] for field in ("type", "clusterIP", "clusterIPs", "ports")}
    rival = a_service("a", spec=numbers, created_at=NOW - 2)
    change = spec_change(look(younger, rival))
    assert (change["clusterIP"], change["clusterIPs"]) == (None, None)
    without = {**younger["spec"]}
    del without["clusterIP"], without["clusterIPs"]
    again = spec_change(look({**younger, "spec": without}, rival))
    assert again["clusterIP"] not in {None, younger["spec"]["clusterIP"]}
    assert change["ports"][0]["nodePort"] != younger["spec"]["ports"][0]["nodePort"]
    assert problem(look(younger, rival)) is None
    last = {**rival, "metadata": {**rival["metadata"], "creationTimestamp": "2099-01-01T00:00:00Z"}}
    assert look(younger, last) == Plan.done()


def test_dual_stack_cluster_gives_two_addresses() -> None:
    both = a_cluster({"serviceCIDR": "10.96.0.0/16,fd00:10::/112"})
    found = spec_change(look(a_service(spec={"ipFamilyPolicy": "PreferDualStack"}), both))
    assert found["ipFamilies"] == ["IPv4", "IPv6"]
    assert found["clusterIPs"][0] == found["clusterIP"]
    assert found["clusterIPs"][1].startswith("fd00:10::")
    six = spec_change(look(a_service(spec={"ipFamilies": ["IPv6"]}), both))
    assert six["clusterIP"].startswith("fd00:10::")
    assert len(six["clusterIPs"]) == 1


def test_second_address_is_given_back_for_a_single_stack() -> None:
    both = a_cluster({"serviceCIDR": "10.96.0.0/16,fd00:10::/112"})
    before = settled(a_service(spec={"ipFamilyPolicy": "PreferDualStack"}), both)
    before["spec"]["ipFamilyPolicy"] = "SingleStack"
    change = spec_change(look(before, both))
    assert change == {"clusterIPs": before["spec"]["clusterIPs"][:1], "ipFamilies": ["IPv4"]}


def test_refusal_by_the_host_is_told() -> None:
    plan = look(a_service(), refusal="spec.clusterIP is immutable")
    assert problem(plan) == ("Refused", "spec.clusterIP is immutable")
    assert [bool(w.subresource) for w in plan.writes if isinstance(w, Patch)] == [True, False]


@pytest.mark.parametrize(
    ("spec", "status", "columns"),
    [
        pytest.param({}, {}, ("<none>", "80/TCP", "app=web"), id="plain"),
        pytest.param({"selector": None, "ports": None}, {}, ("<none>", "<none>", "<none>"), id="empty"),
        pytest.param(
            {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}, {"port": 53, "protocol": "UDP"}]},
            {},
            ("<none>", "80:30080/TCP,53/UDP", "app=web"),
            id="ports",
        ),
        pytest.param(
            {"externalIPs": ["1.1.1.1", "2.2.2.2"]}, {}, ("1.1.1.1,2.2.2.2", "80/TCP", "app=web"), id="IPs"
        ),
        pytest.param({"type": "LoadBalancer"}, {}, ("<pending>", "80/TCP", "app=web"), id="pending"),
        pytest.param(
            {"type": "LoadBalancer", "externalIPs": ["9.9.9.9"]},
            {"loadBalancer": {"ingress": [{"ip": "1.1.1.1"}, {"hostname": "lb.test"}]}},
            ("1.1.1.1,lb.test,9.9.9.9", "80/TCP", "app=web"),
            id="balanced",
        ),
        pytest.param(
            {"type": "ExternalName", "externalName": "db.test", "ports": None},
            {},
            ("db.test", "<none>", "app=web"),
            id="alias",
        ),
    ],
)
def test_columns_are_those_of_kubectl(spec: JsonObject, status: JsonObject, columns: tuple[str, ...]) -> None:
    shown = service.display(a_service(spec={"type": "ClusterIP", **spec}, status=status))
    assert (shown["externalIP"], shown["ports"], shown["selector"]) == columns


def test_service_being_deleted_is_left_alone() -> None:
    assert look(a_service(deleting_at=NOW, finalizers=["x/y"])) == Plan.done()


def test_number_that_comes_free_wakes_who_waits_or_claims_it() -> None:
    claims = a_service("claims", spec={"clusterIP": "10.96.0.50"})
    content = a_service("content", spec={"clusterIP": "10.96.0.60"})
    view = view_of(TAKEN, claims, content, a_service("waits"))
    taken = view.get(Service, key_for(TAKEN))
    [route] = service.CONTROLLER.concerns[SERVICE]
    change = Change(SERVICE, key_for(TAKEN), taken, None)
    assert [key.name for key in route.keys(view, change)] == ["claims", "waits"]
    same = Change(SERVICE, key_for(TAKEN), taken, taken)
    assert [key.name for key in route.keys(view, same)] == ["taken"]
