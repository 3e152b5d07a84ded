"""A virtual cluster that works, and what its `kube_*` metrics say: the same as the API server's objects."""

from collections import Counter
from collections.abc import Iterator

import pytest

from nestling.api.kinds import DEPLOYMENT, NODE_POOL, POD, REPLICA_SET, SERVICE
from simulation import World
from unit.monitoring.scraping import Scrape, scrape_cache

TEMPLATE = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {
        "containers": [
            {
                "name": "main",
                "image": "web:1",
                "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
            }
        ]
    },
}


@pytest.fixture
def world() -> Iterator[World]:
    """Two nodes of one core each, and a Deployment of which they hold four pods."""
    with World() as world:
        machine = {"cpu": "1", "memory": "64Gi", "pods": "110"}
        world.create(NODE_POOL, "pool", {"replicas": 2, "template": {"spec": {"capacity": machine}}})
        labels = {"matchLabels": {"app": "web"}}
        world.create(DEPLOYMENT, "web.shop", {"replicas": 5, "selector": labels, "template": TEMPLATE})
        world.create(SERVICE, "web.shop", {"selector": {"app": "web"}, "ports": [{"port": 80}]})
        world.run_for(60)
        yield world


def scrape(world: World) -> Scrape:
    world.operator.hear()
    return scrape_cache(world.operator.cache)


def test_metrics_agree_with_the_objects(world: World) -> None:
    found = scrape(world)
    pods = world.list(POD)
    assert Counter(pod["status"]["phase"] for pod in pods) == {"Running": 4, "Pending": 1}

    infos = found.values("kube_pod_info", "pod", "uid", "node", "pod_ip", "created_by_kind", "namespace")
    assert set(infos) == {
        (
            pod["metadata"]["name"].removesuffix(".shop"),
            pod["metadata"]["uid"],
            pod["spec"].get("nodeName", ""),
            pod["status"].get("podIP", ""),
            "ReplicaSet",
            "shop",
        )
        for pod in pods
    }
    phases = found.values("kube_pod_status_phase", "uid", "phase")
    assert {names for names, value in phases.items() if value} == {
        (pod["metadata"]["uid"], pod["status"]["phase"]) for pod in pods
    }
    running = found.values("kube_pod_container_status_running", "container", "uid")
    assert sum(running.values()) == 4
    unschedulable = [pod["metadata"]["uid"] for pod in pods if pod["status"]["phase"] == "Pending"]
    assert list(found.values("kube_pod_status_unschedulable", "uid")) == [(uid,) for uid in unschedulable]

    deployment = world.list(DEPLOYMENT)[0]["status"]
    who = {"namespace": "shop", "deployment": "web", "cluster": "team-a"}
    for family, field in (
        ("status_replicas", "replicas"),
        ("status_replicas_available", "availableReplicas"),
        ("status_replicas_unavailable", "unavailableReplicas"),
        ("status_observed_generation", "observedGeneration"),
    ):
        assert found.values(f"kube_deployment_{family}", **who) == {(): deployment[field]}
    owners = found.values("kube_replicaset_owner", "replicaset", "owner_kind", "owner_name")
    name = world.list(REPLICA_SET)[0]["metadata"]["name"].removesuffix(".shop")
    assert owners == {(name, "Deployment", "web"): 1}

    cores = found.values("kube_node_status_capacity", "node", resource="cpu", unit="core")
    assert list(cores.values()) == [1, 1]
    nodes = found.values("kube_node_status_condition", "node", condition="Ready", status="true")
    assert nodes == dict.fromkeys(cores, 1)
    address = world.list(SERVICE)[0]["spec"]["clusterIP"]
    assert list(found.values("kube_service_info", "cluster_ip")) == [(address,)]


def test_a_dashboard_s_sum_of_requests_is_that_of_the_scheduled_pods(world: World) -> None:
    found = scrape(world)
    requests = found.values("kube_pod_container_resource_requests", "uid", "node", resource="cpu")
    assert sum(value for (_, node), value in requests.items() if node) == 2
    assert sorted(value for value in requests.values()) == [0.5] * 5


def test_series_go_with_the_deployment(world: World) -> None:
    world.delete(DEPLOYMENT, "web.shop")
    world.delete(SERVICE, "web.shop")
    world.run_for(120)
    found = scrape(world)
    assert world.list(POD) == []
    names = {name for name, _ in found.series}
    assert not {name for name in names if name.startswith(("kube_pod", "kube_repl", "kube_dep", "kube_ser"))}
    assert any(name.startswith("kube_node") for name in names)
