"""Profiles in a whole cluster: schema, scheduler and the VirtualCluster that is told of them."""

import orjson

from nestling.api.kinds import CLUSTER, NODE_POOL, POD
from nestling.apiserver.exchange import Request
from nestling.machinery.records.base import condition
from simulation import CLUSTER as SPACE
from simulation import World


def test_a_profile_of_the_virtual_cluster_places_pods_and_a_bad_one_changes_nothing() -> None:
    with World(seed=1) as world:
        world.create(
            CLUSTER,
            "cluster",
            {"schedulerProfiles": [{"schedulerName": "brave", "disabled": ["TaintToleration"]}]},
        )
        taints = [{"key": "k", "value": "v", "effect": "NoSchedule"}]
        world.create(NODE_POOL, "pool", {"replicas": 1, "template": {"spec": {"taints": taints}}})
        world.run_for(5)
        containers = [{"name": "main", "image": "web:1"}]
        world.create(POD, "bold", {"containers": containers, "schedulerName": "brave"})
        world.create(POD, "shy", {"containers": containers})
        world.run_for(5)
        nodes = {pod["metadata"]["name"]: pod["spec"].get("nodeName") for pod in world.list(POD)}
        assert nodes == {"bold": "pool-0", "shy": None}
        (cluster,) = world.list(CLUSTER)
        found = condition(cluster, "SchedulerProfilesAccepted")
        assert found is not None
        assert found["status"] == "True"

        bad = {"schedulerName": "brave", "enabled": [{"name": "Nope"}]}
        world.patch(CLUSTER, "cluster", {"spec": {"schedulerProfiles": [bad]}})
        world.create(POD, "bolder", {"containers": containers, "schedulerName": "brave"})
        world.run_for(5)
        assert [
            pod["spec"].get("nodeName") for pod in world.list(POD) if pod["metadata"]["name"] == "bolder"
        ] == ["pool-0"]
        (cluster,) = world.list(CLUSTER)
        found = condition(cluster, "SchedulerProfilesAccepted")
        assert found is not None
        assert (found["status"], found["reason"]) == ("False", "InvalidProfile")
        before = world.total_writes
        world.run_for(120)
        assert world.total_writes == before

        for weight in (0, 100_001):
            profile = {"schedulerName": "x", "enabled": [{"name": "NodeAffinity", "weight": weight}]}
            body = orjson.dumps({"spec": {"schedulerProfiles": [profile]}})
            headers = {"content-type": "application/merge-patch+json"}
            answer = world.api.handle(Request("PATCH", CLUSTER.path(SPACE, "cluster"), {}, headers, body))
            assert answer.status == 422
            assert b"weight" in answer.body
