"""Random clusters and pending pods out of a seed, as native manifests that an API server takes.

What is drawn here is meant to collide: few labels, few zones, small nodes, many pods, so that every rule has
work to do and most choices are close. Names are the same in every cluster; namespaces and priority classes
are fixed (`FIXED`), so that only what a cluster is about has to be made and deleted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from nestling.api.json import JsonObject

ZONE: Final = "topology.kubernetes.io/zone"
HOSTNAME: Final = "kubernetes.io/hostname"
RACK: Final = "example.com/rack"
GPU: Final = "example.com/gpu"
NAMESPACES: Final[dict[str, dict[str, str]]] = {"red": {"team": "a"}, "blue": {"team": "b"}, "green": {}}
PRIORITIES: Final = {"low": -10, "mid": 10, "high": 1000, "never": 1000, "probe": -1_000_000}
OVERHEAD: Final = {"cpu": "100m", "memory": "10Mi"}
MEBI: Final = 1 << 20
IMAGES: Final = {
    "registry.example.com/web:1": 40 * MEBI,
    "registry.example.com/db:latest": 700 * MEBI,
    "registry.example.com/cache:1": 22 * MEBI,
    "registry.example.com/model:1": 3000 * MEBI,
}


@dataclass(slots=True)
class Cluster:
    """What is there before the first pending pod, and the pods to come, in order.

    `owners` are Services, ReplicaSets and the like, for default spread; `budgets` are disruption budgets.
    """

    about: str
    nodes: list[JsonObject] = field(default_factory=list[JsonObject])
    owners: list[JsonObject] = field(default_factory=list[JsonObject])
    budgets: list[JsonObject] = field(default_factory=list[JsonObject])
    bound: list[JsonObject] = field(default_factory=list[JsonObject])
    pending: list[JsonObject] = field(default_factory=list[JsonObject])


def fixed() -> Iterator[JsonObject]:
    """What is made once for all clusters."""
    for name, labels in NAMESPACES.items():
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    for name, value in PRIORITIES.items():
        policy = "Never" if name in {"never", "probe"} else "PreemptLowerPriority"
        yield {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": value,
            "preemptionPolicy": policy,
        }
    yield {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": "heavy"},
        "handler": "heavy",
        "overhead": {"podFixed": OVERHEAD},
    }


def clusters(seed: int, pods: int) -> Iterator[Cluster]:
    """Clusters that hold so many pending pods together; the n-th depends on the seed and n alone."""
    number = 0
    while pods > 0:
        cluster = Draw(seed, number).cluster()
        cluster.pending = cluster.pending[:pods]
        pods -= len(cluster.pending)
        number += 1
        yield cluster


class Draw:
    """The random parts of one cluster; its `mood` is what its pods are mostly about, if not mixed."""

    def __init__(self, seed: int, number: int) -> None:
        self.about = f"seed {seed}, cluster {number}"
        self.random = Random(f"{seed}/{number}")
        self.mood = self.pick(["mixed", "mixed", "plain", "affinity", "spread", "full", "owned"])
        self.nodes = self.random.randint(1, 6) if self.chance(0.2) else self.random.randint(10, 60)
        self.names = [f"n{i}" for i in range(self.nodes)]
        self.serial = 0

    # -- dice --

    def chance(self, share: float) -> bool:
        """Whether it happens."""
        return self.random.random() < share

    def often(self, mood: str, share: float) -> bool:
        """Whether it happens: more often in a cluster of this mood, less in one of another single mood."""
        factor = 2.0 if self.mood == mood else 1.0 if self.mood == "mixed" else 0.4
        return self.chance(min(share * factor, 0.9))

    def pick(self, options: Sequence[Any]) -> Any:
        """One of them."""
        return self.random.choice(options)

    def some(self, options: Sequence[Any], least: int = 1) -> list[Any]:
        """A few of them, in random order."""
        return self.random.sample(options, self.random.randint(least, len(options)))

    # -- the cluster --

    def cluster(self) -> Cluster:
        """All of it."""
        found = Cluster(f"{self.about} ({self.mood})")
        found.nodes = [self.node(name) for name in self.names]
        found.owners = [self.owner(i) for i in range(self.random.randint(0, 4))] if self.chance(0.7) else []
        if self.mood == "owned":
            found.owners += [self.owner(10 + i) for i in range(3)]
        self.owners = found.owners
        found.budgets = [self.budget(i) for i in range(self.random.randint(0, 3))] if self.chance(0.6) else []
        count = int(self.nodes * self.random.uniform(0, 6 if self.mood == "full" else 3))
        found.bound = [self.pod(f"b{i}", on=self.pick(self.names)) for i in range(min(count, 150))]
        found.pending = self.waiting(self.random.randint(50, 120))
        return found

    def waiting(self, count: int) -> list[JsonObject]:
        """Pods to come: some alone, some replicas of one template, for their scores depend on each other."""
        found: list[JsonObject] = []
        while len(found) < count:
            template = self.pod("")
            for _ in range(self.pick([1, 1, 1, 2, 3, 8])):
                twin = {**template, "metadata": {**template["metadata"], "name": f"p{len(found)}"}}
                found.append(twin)
        return found[:count]

    def node(self, name: str) -> JsonObject:
        """A node with its status, as its kubelet would have registered it."""
        room = {
            "cpu": self.pick(["2", "4", "4", "8", "8", "16", "3900m", "7", "5500m"]),
            "memory": self.pick(["4Gi", "8Gi", "8Gi", "3333Mi", "16G", "32Gi"]),
            "pods": self.pick(["3", "8", "110", "110", "110"]),
            "ephemeral-storage": self.pick(["10Gi", "100Gi", "0"]),
        }
        if self.chance(0.3):
            room[GPU] = self.pick(["1", "4"])
        if self.chance(0.15):
            room["hugepages-2Mi"] = "4Mi"
        if self.chance(0.03):
            del room["memory"]
        if self.chance(0.03):
            room["cpu"] = "0"
        labels = {HOSTNAME: name, "kubernetes.io/os": "linux"}
        if self.chance(0.9):
            labels[ZONE] = self.pick(["a", "b", "c"])
        if self.chance(0.5):
            labels[RACK] = self.pick(["r1", "r2", "r3", "r4", "r5"])
        values = {"disk": ["ssd", "hdd"], "num": ["5", "6", "x"]}
        labels |= {key: self.pick(options) for key, options in values.items() if self.chance(0.5)}
        if self.chance(0.04):
            del labels[HOSTNAME]
        effects = ["NoSchedule", "PreferNoSchedule", "PreferNoSchedule", "NoExecute"]
        pairs = [("a", "x"), ("b", ""), ("c", "1")]
        share = 0.04 if self.mood in {"plain", "full"} else 0.12
        taints = [
            {"key": k, "value": v, "effect": self.pick(effects)} for k, v in pairs if self.chance(share)
        ]
        spec: JsonObject = {"taints": taints}
        if self.chance(0.05):
            spec["unschedulable"] = True
        images = [
            {"names": [image, f"{image.split(':')[0]}@sha256:{'0' * 64}"], "sizeBytes": size}
            for image, size in IMAGES.items()
            if self.chance(0.3)
        ]
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": labels},
            "spec": spec,
            "status": {
                "capacity": room,
                "allocatable": room,
                "images": images,
                "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
            },
        }

    def owner(self, number: int) -> JsonObject:
        """A Service, or a workload that the pods of its namespace may belong to."""
        namespace = self.pick(list(NAMESPACES))
        name = f"o{number}"
        labels = {"app": self.pick(["web", "db", "cache"])}
        if self.chance(0.3):
            labels["tier"] = self.pick(["front", "back"])
        kind = self.pick(["Service", "Service", "ReplicaSet", "StatefulSet", "ReplicationController"])
        body: JsonObject = {"kind": kind, "metadata": {"name": name, "namespace": namespace}}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
        match kind:
            case "Service":
                selector = {} if self.chance(0.1) else labels
                spec: JsonObject = {"selector": selector, "clusterIP": "None", "ports": [{"port": 80}]}
                return {"apiVersion": "v1", **body, "spec": spec}
            case "ReplicationController":
                return {"apiVersion": "v1", **body, "spec": {"selector": labels, "template": template}}
            case _:
                selector = {"matchLabels": labels}
                if self.chance(0.3):
                    selector = {
                        "matchExpressions": [
                            {"key": key, "operator": "In", "values": [value, "other"]}
                            for key, value in labels.items()
                        ]
                    }
                spec = {"selector": selector, "template": template}
                if kind == "StatefulSet":
                    spec["serviceName"] = name
                return {"apiVersion": "apps/v1", **body, "spec": spec}

    def budget(self, number: int) -> JsonObject:
        """A disruption budget, with the status that its controller would have written."""
        selector: JsonObject = {"matchLabels": {"app": self.pick(["web", "db", "cache"])}}
        if self.chance(0.15):
            selector = {}
        return {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": f"d{number}", "namespace": self.pick(list(NAMESPACES))},
            "spec": {"maxUnavailable": 1, "selector": selector},
            "status": {
                "disruptionsAllowed": self.pick([0, 0, 1, 2]),
                "currentHealthy": 3,
                "desiredHealthy": 2,
                "expectedPods": 3,
            },
        }

    # -- pods --

    def pod(self, name: str, *, on: str = "") -> JsonObject:
        """A pod, pending or bound to a node."""
        labels = {"app": self.pick(["web", "db", "cache"])}
        if self.chance(0.5):
            labels["tier"] = self.pick(["front", "back"])
        if self.chance(0.3):
            labels["version"] = self.pick(["v1", "v2"])
        if self.chance(0.03):
            labels = {}
        meta: JsonObject = {"name": name, "namespace": self.pick(list(NAMESPACES)), "labels": labels}
        spec: JsonObject = {
            "containers": [self.container(i) for i in range(self.pick([1, 1, 1, 2, 3]))],
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
        }
        if self.chance(0.15):
            spec["initContainers"] = [self.container(10 + i) for i in range(self.pick([1, 1, 2]))]
            for container in spec["initContainers"]:
                if self.chance(0.5):
                    container["restartPolicy"] = "Always"
        if self.chance(0.05):
            spec["runtimeClassName"] = "heavy"
        if self.chance(0.06):
            spec["resources"] = {"requests": {"cpu": "1500m", "memory": "1Gi"}}
            for container in (*spec["containers"], *spec.get("initContainers", ())):
                container["resources"] = {}
        if self.chance(0.7):
            spec["priorityClassName"] = self.pick(["low", "mid", "high", "never"])
            if self.chance(0.3):
                del spec["priorityClassName"]
        if self.often("affinity", 0.08):
            spec["nodeSelector"] = {"disk": self.pick(["ssd", "hdd"])}
        tolerations = [self.toleration() for _ in range(self.pick([0, 0, 0, 1, 2]))]
        if tolerations:
            spec["tolerations"] = tolerations
        affinity = {
            kind: make()
            for kind, share, make in (
                ("nodeAffinity", 0.25, self.node_affinity),
                ("podAffinity", 0.15, self.pod_affinity),
                ("podAntiAffinity", 0.15, self.pod_affinity),
            )
            if self.often("affinity", share)
        }
        if affinity:
            spec["affinity"] = affinity
        if self.often("spread", 0.2):
            spec["topologySpreadConstraints"] = self.spread()
        self.own(meta)
        if on:
            spec["nodeName"] = on
            if self.chance(0.03):  # on its way out, held by a finalizer
                meta["finalizers"] = ["example.com/hold"]
        elif self.chance(0.03):
            spec["schedulingGates"] = [{"name": "example.com/wait"}]
        return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}

    def own(self, meta: JsonObject) -> None:
        """Give the pod to a workload of its namespace, with the labels that the workload would give it."""
        mine = [
            one
            for one in self.owners
            if one["kind"] != "Service" and one["metadata"]["namespace"] == meta["namespace"]
        ]
        if mine and self.chance(0.7):
            owner = self.pick(mine)
            meta["labels"] = {**meta["labels"], **owner["spec"]["template"]["metadata"]["labels"]}
            reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "controller": True}
            reference |= {"name": owner["metadata"]["name"], "uid": "00000000-0000-0000-0000-000000000001"}
            meta["ownerReferences"] = [reference]

    def container(self, number: int) -> JsonObject:
        """A container with odd requests."""
        found: JsonObject = {
            "name": f"c{number}",
            "image": self.pick([*IMAGES, "registry.example.com/db", "registry.example.com/none"]),
            "resources": self.resources(),
        }
        if self.chance(0.06):
            port: JsonObject = {
                "containerPort": 80 + number,
                "hostPort": self.pick([80, 81]) + 10 * number,
                "protocol": self.pick(["TCP", "TCP", "UDP"]),
            }
            if self.chance(0.4):
                port["hostIP"] = self.pick(["0.0.0.0", "10.0.0.1", "10.0.0.2"])
            found["ports"] = [port]
        return found

    def resources(self) -> JsonObject:
        """Requests, and the limits that go with some of them."""
        options = {
            "cpu": (0.75, ["0", "1m", "100m", "250m", "500m", "999m", "1", "1500m", "3"]),
            "memory": (
                0.75,
                ["0", "1", "128974848", "129M", "123Mi", "1Gi", "1536Mi", "200Mi", "1G", "0.5Gi"],
            ),
            "ephemeral-storage": (0.08, ["1Gi", "10Gi", "1Mi", "0"]),
        }
        requests = {name: self.pick(texts) for name, (share, texts) in options.items() if self.chance(share)}
        limits: dict[str, str] = {}
        if self.chance(0.04):
            limits[GPU] = requests[GPU] = self.pick(["1", "2"])
        if self.chance(0.02):
            limits["hugepages-2Mi"] = requests["hugepages-2Mi"] = "2Mi"
            requests.setdefault("cpu", "100m")
        if self.chance(0.1) and "cpu" in requests:
            limits["cpu"] = "4"
        if self.chance(0.03):  # a limit without a request stands for both
            limits["memory"] = "700Mi"
            requests.pop("memory", None)
        return {name: amounts for name, amounts in (("requests", requests), ("limits", limits)) if amounts}

    def toleration(self) -> JsonObject:
        """A toleration that a validation lets pass."""
        if self.chance(0.15):
            return {"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}
        found: JsonObject = {"operator": self.pick(["Exists", "Equal", ""])}
        if self.chance(0.1):
            found["operator"] = "Exists"
        else:
            found["key"] = self.pick(["a", "b", "c"])
        if found["operator"] != "Exists":
            found["value"] = self.pick(["x", "", "1"])
        if self.chance(0.6):
            found["effect"] = self.pick(["NoSchedule", "PreferNoSchedule", "NoExecute"])
        return found

    # -- affinity --

    def node_affinity(self) -> JsonObject:
        """Terms over the labels and the names of nodes."""
        found: JsonObject = {}
        if self.chance(0.4):
            terms = [self.node_term() for _ in range(self.pick([1, 1, 2, 3]))]
            found["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": terms}
        if not found or self.chance(0.6):
            found["preferredDuringSchedulingIgnoredDuringExecution"] = [
                {"weight": self.pick([1, 7, 33, 100]), "preference": self.node_term()}
                for _ in range(self.pick([1, 2, 3]))
            ]
        return found

    def node_term(self) -> JsonObject:
        """One term: expressions, fields, both, or nothing at all."""
        found: JsonObject = {}
        if self.chance(0.85):
            found["matchExpressions"] = [self.node_requirement() for _ in range(self.pick([1, 1, 2]))]
        if self.chance(0.12):
            name = self.pick([*self.names, "gone"])
            operator = self.pick(["In", "NotIn"])
            found["matchFields"] = [{"key": "metadata.name", "operator": operator, "values": [name]}]
        return found

    def node_requirement(self) -> JsonObject:
        """One requirement of a node's label."""
        operator = self.pick(["In", "In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"])
        key = self.pick([ZONE, ZONE, "disk", RACK, "num", "none"])
        found: JsonObject = {"key": key, "operator": operator}
        if operator in {"In", "NotIn"}:
            found["values"] = self.some(["a", "b", "c", "ssd", "r1", "5"])
        elif operator in {"Gt", "Lt"}:
            found |= {"key": self.pick(["num", "num", ZONE]), "values": [self.pick(["0", "5", "7"])]}
        return found

    def pod_affinity(self) -> JsonObject:
        """Required and preferred terms over other pods; the same for anti-affinity."""
        found: JsonObject = {}
        if self.chance(0.5):
            found["requiredDuringSchedulingIgnoredDuringExecution"] = [
                self.pod_term() for _ in range(self.pick([1, 1, 2]))
            ]
        if not found or self.chance(0.4):
            found["preferredDuringSchedulingIgnoredDuringExecution"] = [
                {"weight": self.pick([1, 7, 50, 100]), "podAffinityTerm": self.pod_term()}
                for _ in range(self.pick([1, 2]))
            ]
        return found

    def pod_term(self) -> JsonObject:
        """One term: which pods, of which namespaces, how near."""
        found: JsonObject = {"topologyKey": self.pick([HOSTNAME, ZONE, ZONE, RACK, "none"])}
        if self.chance(0.95):
            found["labelSelector"] = self.selector()
        if self.chance(0.25):
            found["namespaces"] = self.some([*NAMESPACES, "gone"])
        if self.chance(0.25):
            found["namespaceSelector"] = self.pick(
                [
                    {},
                    {"matchLabels": {"team": "a"}},
                    {"matchExpressions": [{"key": "team", "operator": "Exists"}]},
                    {"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]},
                ]
            )
        if "labelSelector" in found and self.chance(0.15):
            found[self.pick(["matchLabelKeys", "mismatchLabelKeys"])] = ["version"]
        return found

    def selector(self) -> JsonObject:
        """A label selector over pods, never over `version`, which is for matchLabelKeys."""
        if self.chance(0.05):
            return {}
        if self.chance(0.6):
            return {"matchLabels": {"app": self.pick(["web", "db", "cache"])}}
        return {
            "matchExpressions": [
                self.pick(
                    [
                        {"key": "app", "operator": "In", "values": self.some(["web", "db", "none"])},
                        {"key": "app", "operator": "NotIn", "values": self.some(["web", "db"])},
                        {"key": "tier", "operator": "Exists"},
                        {"key": "tier", "operator": "DoesNotExist"},
                        {"key": "tier", "operator": "In", "values": ["front"]},
                    ]
                )
                for _ in range(self.pick([1, 1, 2]))
            ]
        }

    def spread(self) -> list[JsonObject]:
        """One to three constraints; key and action are unique among them."""
        found: dict[tuple[str, str], JsonObject] = {}
        for _ in range(self.pick([1, 1, 2, 3])):
            key = self.pick([ZONE, ZONE, HOSTNAME, RACK])
            action = self.pick(["DoNotSchedule", "ScheduleAnyway"])
            one: JsonObject = {"maxSkew": self.pick([1, 1, 2, 4]), "topologyKey": key}
            one["whenUnsatisfiable"] = action
            if self.chance(0.95):
                one["labelSelector"] = self.selector()
            if action == "DoNotSchedule" and self.chance(0.2):
                one["minDomains"] = self.pick([1, 2, 3, 5])
            for policy in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
                if self.chance(0.25):
                    one[policy] = self.pick(["Honor", "Ignore"])
            if "labelSelector" in one and self.chance(0.2):
                one["matchLabelKeys"] = ["version"]
            found[key, action] = one
        return list(found.values())
