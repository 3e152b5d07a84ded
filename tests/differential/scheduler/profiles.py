"""Random profiles out of a seed, as one KubeSchedulerConfiguration that both sides read.

kube-scheduler runs all of them in one process; a cluster's pods go to the profile that its number says.
"""

from collections.abc import Iterator
from random import Random
from typing import Any, Final

from differential.scheduler.clusters import GPU, HOSTNAME, RACK, ZONE, Cluster, clusters
from differential.scheduler.theirs import configuration
from nestling.api.json import JsonObject
from nestling.api.scheduler_configuration import read_configuration
from nestling.scheduler.configuration import Setup
from nestling.scheduler.framework import Profile

# What may be left out, everywhere or where scores are given alone.
OPTIONAL: Final = (
    "NodeUnschedulable",
    "TaintToleration",
    "NodeAffinity",
    "NodePorts",
    "PodTopologySpread",
    "InterPodAffinity",
    "NodeResourcesBalancedAllocation",
    "ImageLocality",
)
SCORING: Final = (
    "TaintToleration",
    "NodeAffinity",
    "NodeResourcesFit",
    "PodTopologySpread",
    "InterPodAffinity",
    "NodeResourcesBalancedAllocation",
    "ImageLocality",
)
RESOURCES: Final = ("cpu", "memory", "ephemeral-storage", GPU)


def configured(seed: int, count: int) -> JsonObject:
    """The default profile and so many random ones."""
    document = configuration(())
    document["profiles"] += [_Draw(seed, number).profile() for number in range(count)]
    return document


def ours_of(document: JsonObject) -> dict[str, Profile]:
    """Our profiles by name, made of the same document."""
    return {**Setup.of(read_configuration(document)).profiles}


def games(seed: int, count: int, pods: int) -> Iterator[tuple[str, Cluster]]:
    """Clusters whose pending pods hold so many together, each with the profile that its pods ask for."""
    for number, cluster in enumerate(clusters(seed, pods)):
        name = name_of(number % count)
        cluster.about += f", {name}"
        for pod in cluster.pending:
            pod["spec"]["schedulerName"] = name
        yield name, cluster


def name_of(number: int) -> str:
    """The name of a random profile."""
    return f"profile-{number}"


class _Draw:
    def __init__(self, seed: int, number: int) -> None:
        self.random = Random(f"profile {seed}/{number}")
        self.name = name_of(number)

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def profile(self) -> JsonObject:
        """Plugins, weights and arguments of one profile."""
        disabled = [name for name in OPTIONAL if self.chance(0.12)]
        silent = [name for name in SCORING if name not in disabled and self.chance(0.12)]
        weighted = [
            {"name": name, "weight": self.random.choice([1, 2, 5, 40])}
            for name in SCORING
            if name not in disabled and self.chance(0.4)
        ]
        plugins: JsonObject = {
            "multiPoint": {"enabled": weighted, "disabled": [{"name": name} for name in disabled]},
            "score": {"disabled": [{"name": name} for name in silent]},
        }
        args = [
            {"name": name, "args": make()}
            for name, share, make in (
                ("NodeResourcesFit", 0.8, self.fit),
                ("NodeResourcesBalancedAllocation", 0.4, lambda: {"resources": self.resources(even=True)}),
                ("NodeAffinity", 0.4, lambda: {"addedAffinity": self.affinity()}),
                ("PodTopologySpread", 0.7, self.spread),
                ("InterPodAffinity", 0.6, self.inter_pod),
            )
            if self.chance(share)
        ]
        return {
            "schedulerName": self.name,
            "percentageOfNodesToScore": 100,
            "plugins": plugins,
            "pluginConfig": args,
        }

    def resources(self, *, even: bool = False) -> list[JsonObject]:
        found = self.random.sample(RESOURCES, self.random.randint(1, 3))
        return [{"name": name, "weight": 1 if even else self.random.choice([1, 1, 3, 10])} for name in found]

    def fit(self) -> JsonObject:
        strategy: JsonObject = {
            "type": self.random.choice(["LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"]),
            "resources": self.resources(),
        }
        if strategy["type"] == "RequestedToCapacityRatio":
            at = sorted(self.random.sample(range(101), self.random.randint(1, 4)))
            shape = [{"utilization": point, "score": self.random.randint(0, 10)} for point in at]
            strategy["requestedToCapacityRatio"] = {"shape": shape}
        found: JsonObject = {"scoringStrategy": strategy}
        if self.chance(0.2):
            found["ignoredResources"] = [GPU]
        return found

    def affinity(self) -> JsonObject:
        term: JsonObject = {
            "matchExpressions": [
                {
                    "key": self.random.choice([ZONE, "disk"]),
                    "operator": self.random.choice(["In", "NotIn"]),
                    "values": self.random.sample(["a", "b", "c", "ssd", "hdd"], 3),
                }
            ]
        }
        found: JsonObject = {}
        if self.chance(0.5):
            found["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": [term]}
        if not found or self.chance(0.5):
            found["preferredDuringSchedulingIgnoredDuringExecution"] = [
                {"weight": self.random.choice([1, 50, 100]), "preference": term}
            ]
        return found

    def spread(self) -> JsonObject:
        if self.chance(0.3):
            return {"defaultingType": "System"}
        constraints: list[Any] = [
            {
                "maxSkew": self.random.choice([1, 2, 5]),
                "topologyKey": key,
                "whenUnsatisfiable": self.random.choice(["DoNotSchedule", "ScheduleAnyway"]),
            }
            for key in self.random.sample([ZONE, HOSTNAME, RACK], self.random.randint(0, 2))
        ]
        return {"defaultingType": "List", "defaultConstraints": constraints}

    def inter_pod(self) -> JsonObject:
        return {
            "hardPodAffinityWeight": self.random.choice([0, 1, 30, 100]),
            "ignorePreferredTermsOfExistingPods": self.chance(0.5),
        }
