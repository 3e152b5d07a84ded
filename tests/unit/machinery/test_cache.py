"""The cache: late, double and lost words of the host."""

from typing import Any

import pytest

from builders import a_replica_set, a_service, cache_of
from nestling.api.json import JsonObject
from nestling.api.kinds import POD, SERVICE, Uid
from nestling.api.selector import Selector
from nestling.machinery.cache import Cache
from nestling.machinery.names import Key
from nestling.machinery.records.cluster import Cluster
from nestling.machinery.records.pod import Pod
from nestling.machinery.records.service import Service
from nestling.machinery.records.workload import ReplicaSet
from nestling.machinery.view import View

WEB = Key("team-a", "default", "web")


def pod(
    version: int,
    uid: str = "u1",
    name: str = "web",
    *,
    node: str = "",
    labels: dict[str, str] | None = None,
    owner: str = "",
) -> dict[str, Any]:
    meta: dict[str, Any] = {
        "name": name,
        "namespace": "team-a",
        "uid": uid,
        "resourceVersion": str(version),
        "labels": labels or {},
        "managedFields": [{"manager": "kubectl"}],
    }
    if owner:
        meta["ownerReferences"] = [
            {"kind": "VirtualReplicaSet", "name": "rs", "uid": owner, "controller": True}
        ]
    return {"metadata": meta, "spec": {"nodeName": node} if node else {}}


@pytest.fixture
def cache() -> Cache:
    return Cache([Pod, Cluster])


def test_a_sighting_is_stored_without_its_managed_fields(cache: Cache) -> None:
    change = cache.see(POD, pod(1))
    assert change is not None
    assert change.old is None
    stored = cache.table(Pod).records[WEB]
    assert "managedFields" not in stored.body["metadata"]


def test_an_older_or_equal_version_changes_nothing(cache: Cache) -> None:
    cache.see(POD, pod(5, node="n1"))
    assert cache.see(POD, pod(5)) is None
    assert cache.see(POD, pod(4)) is None
    assert cache.table(Pod).records[WEB].node_name == "n1"


def test_a_deleted_uid_does_not_come_back_with_a_late_answer(cache: Cache) -> None:
    cache.see(POD, pod(5))
    change = cache.see(POD, pod(6), deleted=True)
    assert change is not None
    assert change.new is None
    assert cache.see(POD, pod(7)) is None
    assert WEB not in cache.table(Pod).records


def test_a_recreated_name_is_another_object(cache: Cache) -> None:
    cache.see(POD, pod(5, uid="u1", node="n1"))
    change = cache.see(POD, pod(9, uid="u2"))
    assert change is not None
    assert change.old is None, "the successor is born, not changed"
    assert cache.see(POD, pod(12, uid="u1")) is None, "a late word about the predecessor"
    assert cache.table(Pod).records[WEB].uid == "u2"
    assert list(cache.table(Pod).on_node("team-a", "n1")) == []


def test_a_deletion_of_a_predecessor_leaves_the_successor_alone(cache: Cache) -> None:
    cache.see(POD, pod(9, uid="u2"))
    assert cache.see(POD, pod(10, uid="u1"), deleted=True) is None
    assert cache.table(Pod).records[WEB].uid == "u2"


def test_sweep_drops_what_a_listing_no_longer_shows(cache: Cache) -> None:
    cache.see(POD, pod(5, uid="u1", name="web"))
    cache.see(POD, pod(6, uid="u2", name="api"))
    gone = cache.sweep(POD, None, {Key("team-a", "default", "api"): Uid("u2")}, as_of=10)
    assert [change.key.name for change in gone] == ["web"]
    assert gone[0].new is None


def test_sweep_does_not_judge_what_was_seen_after_the_listing(cache: Cache) -> None:
    cache.see(POD, pod(11))
    assert cache.sweep(POD, None, {}, as_of=10) == []


def test_sweep_compares_uids_not_names(cache: Cache) -> None:
    cache.see(POD, pod(5, uid="u1"))
    assert len(cache.sweep(POD, "team-a", {WEB: Uid("u9")}, as_of=10)) == 1


def test_sweep_of_one_cluster_leaves_the_others_alone(cache: Cache) -> None:
    cache.see(POD, pod(5))
    assert cache.sweep(POD, "team-b", {}, as_of=10) == []


def test_indexes_follow_an_object_through_its_changes(cache: Cache) -> None:
    table = cache.table(Pod)
    cache.see(POD, pod(1, labels={"app": "web"}, owner="rs1"))
    assert [p.key for p in table.owned_by(Uid("rs1"))] == [WEB]
    cache.see(POD, pod(2, labels={"app": "api"}, node="n1"))
    assert list(table.owned_by(Uid("rs1"))) == []
    assert [p.key for p in table.on_node("team-a", "n1")] == [WEB]
    assert list(table.labelled("team-a", "default", "app", "web")) == []
    assert [p.key for p in table.labelled("team-a", "default", "app", "api")] == [WEB]
    cache.see(POD, pod(3), deleted=True)
    assert list(table.on_node("team-a", "n1")) == []
    assert list(table.labelled("team-a", "default", "app", "api")) == []
    assert list(table.of_cluster("team-a")) == []


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        pytest.param({"matchLabels": {"app": "web"}}, {"a", "b"}, id="one label"),
        pytest.param({"matchLabels": {"app": "web", "tier": "front"}}, {"a"}, id="two labels"),
        pytest.param(
            {"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, {"a", "c"}, id="expression only"
        ),
        pytest.param({}, {"a", "b", "c"}, id="everything"),
        pytest.param(None, set[str](), id="nothing"),
    ],
)
def test_the_view_selects_pods_of_one_virtual_namespace(
    cache: Cache, selector: dict[str, Any] | None, names: set[str]
) -> None:
    cache.see(POD, pod(1, "u1", "a", labels={"app": "web", "tier": "front"}))
    cache.see(POD, pod(2, "u2", "b", labels={"app": "web"}))
    cache.see(POD, pod(3, "u3", "c", labels={"app": "api", "tier": "back"}))
    cache.see(POD, pod(4, "u4", "d.shop", labels={"app": "web", "tier": "front"}))
    view = View(cache, "team-a", 0.0)
    assert {p.key.name for p in view.selected(Pod, "default", Selector.from_json(selector))} == names


def test_settings_hold_without_a_virtual_cluster(cache: Cache) -> None:
    assert View(cache, "team-a", 0.0).settings.service_cidr == "10.96.0.0/16"


def service(
    name: str, version: int, selector: dict[str, str] | None, namespace: str = "default"
) -> JsonObject:
    return a_service(name, version=version, namespace=namespace, spec={"selector": selector})


def selecting(cache: Cache, **labels: str) -> list[str]:
    return [one.key.name for one in cache.table(Service).selecting("team-a", "default", labels)]


def test_objects_are_found_by_the_labels_they_select() -> None:
    cache = cache_of(
        service("web", 1, {"app": "web", "part-of": "shop"}),
        service("api", 1, {"app": "api", "part-of": "shop"}),
        service("all", 1, {"part-of": "shop"}),
        service("none", 1, None),
        service("elsewhere", 1, {"app": "web"}, namespace="other"),
    )
    assert selecting(cache, app="web") == []
    assert sorted(selecting(cache, app="web", **{"part-of": "shop"})) == ["all", "web"]
    assert selecting(cache, **{"part-of": "shop"}) == ["all"]


def test_a_selector_without_plain_pairs_is_asked_about_all_labels() -> None:
    expression = {"matchExpressions": [{"key": "app", "operator": "Exists"}]}
    table = cache_of(a_replica_set("any", selector=expression), a_replica_set("all", selector={})).table(
        ReplicaSet
    )
    found = [[one.key.name for one in table.selecting("team-a", "default", x)] for x in ({"app": "x"}, {})]
    assert found == [["any", "all"], ["all"]]


def test_a_changed_or_deleted_selector_is_forgotten() -> None:
    cache = cache_of(service("web", 1, {"app": "web", "tier": "front"}))
    cache.see(SERVICE, service("web", 2, {"app": "site"}))
    assert selecting(cache, app="web", tier="front") == []
    assert selecting(cache, app="site") == ["web"]
    cache.see(SERVICE, service("web", 3, {"app": "site"}), deleted=True)
    assert selecting(cache, app="site") == []


def test_a_kind_without_selectors_cannot_be_asked(cache: Cache) -> None:
    with pytest.raises(LookupError):
        next(cache.table(Pod).selecting("team-a", "default", {}))
