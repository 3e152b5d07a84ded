"""Random clusters with all that a scheduler looks at: nodes, pods on them, pending pods, services, owners."""

from random import Random
from typing import Final

from nestling.api.json import JsonObject

NAMESPACES: Final = ["default", "shop", "lab"]
HOST: Final = "kubernetes.io/hostname"
ZONE: Final = "topology.kubernetes.io/zone"
IMAGES: Final = {"small": 10, "medium": 300, "large": 1500}  # MiB


class Draw:
    """Random parts of manifests, all of which an API server would take."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.roomy = False  # large nodes and small pods: what decides is where other pods are

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def a_cluster(self) -> JsonObject:
        names = [f"n{i}" for i in range(self.random.randint(1, 12))]
        self.roomy = self.chance(0.5)
        bound = [
            self.a_pod(f"b{i}", names, on=self.random.choice(names))
            for i in range(self.random.randint(0, 30 if self.roomy else 14))
        ]
        without_doubles(bound)
        pods = [self.a_pod(f"p{i}", names) for i in range(8)]
        count = self.random.randint
        removals = [
            {
                "node": (node := self.random.choice(names)),
                "without": [
                    i for i, pod in enumerate(bound) if pod["spec"]["nodeName"] == node and self.chance(0.7)
                ],
                "with": self.random.sample(range(8), count(0, 2)) if self.chance(0.3) else [],
            }
            for _ in range(4)
        ]
        return {
            "nodes": [self.a_node(name) for name in names],
            "bound": bound,
            "pods": pods,
            "namespaces": [
                {
                    "metadata": {
                        "name": name,
                        "labels": {"kubernetes.io/metadata.name": name} | self.some_labels(("team", "ab")),
                    }
                }
                for name in NAMESPACES
            ],
            "services": [
                self.an_object(f"s{i}", {"selector": self.some_labels(("app", "xyz"), ("tier", "12"))})
                for i in range(count(0, 3))
            ],
            "replicaSets": [self.an_object("web", {"selector": self.a_selector()})],
            "statefulSets": [self.an_object("db", {"selector": self.a_selector()})],
            "removals": removals,
            "profile": self.a_profile(),
        }

    def an_object(self, name: str, spec: JsonObject) -> JsonObject:
        return {"metadata": {"name": name, "namespace": self.random.choice(NAMESPACES)}, "spec": spec}

    def some_labels(self, *options: tuple[str, str]) -> dict[str, str]:
        return {key: self.random.choice(values) for key, values in options if self.chance(0.6)}

    def a_profile(self) -> JsonObject:
        resources = [{"name": "cpu", "weight": 1}, {"name": "memory", "weight": 1}]
        found: JsonObject = {
            "strategy": {"type": "LeastAllocated", "resources": resources},
            "spread": {"defaultingType": "System"},
            "balanced": resources,
        }
        if self.chance(0.6):
            return found
        others = [
            {"name": name, "weight": self.random.choice([1, 3, 7])}
            for name in ("cpu", "memory", "example.com/gpu", "ephemeral-storage")
            if self.chance(0.6)
        ] or resources
        found["balanced"] = [{**one, "weight": 1} for one in others]
        kind = self.random.choice(["LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"])
        found["strategy"] = {"type": kind, "resources": others}
        if kind == "RequestedToCapacityRatio":
            shape = self.random.choice(
                [
                    [{"utilization": 0, "score": 0}, {"utilization": 100, "score": 10}],
                    [
                        {"utilization": 20, "score": 9},
                        {"utilization": 60, "score": 4},
                        {"utilization": 90, "score": 10},
                    ],
                ]
            )
            found["strategy"] |= {"requestedToCapacityRatio": {"shape": shape}}
        if self.chance(0.5):
            constraints = [
                {"maxSkew": self.random.randint(1, 3), "topologyKey": key, "whenUnsatisfiable": when}
                for key, when in (
                    ("zone", "ScheduleAnyway"),
                    (HOST, "DoNotSchedule"),
                    ("disk", "ScheduleAnyway"),
                )
                if self.chance(0.5)
            ]
            found["spread"] = {"defaultingType": "List", "defaultConstraints": constraints}
        found["near"] = {
            "hardPodAffinityWeight": self.random.choice([0, 1, 50]),
            "ignorePreferredTermsOfExistingPods": self.chance(0.3),
        }
        if self.chance(0.1 if self.roomy else 0.5):
            found["affinity"] = {"addedAffinity": self.an_affinity(["n0", "n1"])}
        return found

    def a_node(self, name: str) -> JsonObject:
        pick = self.random.choice
        room = {
            "cpu": pick(["1", "4", "16", "3900m", "0", "7"]),
            "memory": pick(["1Gi", "8Gi", "3333Mi", "0", "16G"]),
            "pods": pick(["1", "3", "110"]),
            "ephemeral-storage": pick(["10Gi", "0"]),
        }
        if self.roomy:
            room = {"cpu": "64", "memory": "1Ti", "pods": "110", "ephemeral-storage": "1Ti"}
        elif self.chance(0.4):
            room["example.com/gpu"] = "4"
        if self.chance(0.2):
            room["hugepages-2Mi"] = "4Mi"
        if not self.roomy and self.chance(0.1):
            del room["memory"]
        values = {"zone": ["a", "b", "c"], "num": ["5", "6", "x"], "disk": ["a", "b"], ZONE: ["a", "b"]}
        labels = {
            key: pick(options) for key, options in values.items() if self.chance(0.9 if self.roomy else 0.5)
        }
        if self.chance(0.85):
            labels[HOST] = name
        images = [
            {"names": [f"{image}:latest", f"other/{image}:1"], "sizeBytes": size * 2**20}
            for image, size in IMAGES.items()
            if self.chance(0.3)
        ]
        effects = ["NoSchedule", "PreferNoSchedule", "PreferNoSchedule", "NoExecute"]
        pairs = [("a", "x"), ("b", ""), ("c", "1")]
        taints = [
            {"key": k, "value": v, "effect": pick(effects)}
            for k, v in pairs
            if self.chance(0.04 if self.roomy else 0.25)
        ]
        spec = {"taints": taints, "unschedulable": self.chance(0.02 if self.roomy else 0.1)}
        return {
            "metadata": {"name": name, "labels": labels},
            "spec": spec,
            "status": {"allocatable": room, "images": images},
        }

    def a_pod(self, name: str, nodes: list[str], *, on: str = "") -> JsonObject:
        spec: JsonObject = {"containers": [self.a_container(i) for i in range(self.random.randint(1, 3))]}
        if self.chance(0.4):
            spec["initContainers"] = [self.a_container(10 + i) for i in range(self.random.randint(1, 3))]
            for container in spec["initContainers"]:
                if self.chance(0.5):
                    container["restartPolicy"] = "Always"
        if self.chance(0.15):
            spec["overhead"] = {"cpu": "100m", "memory": "10Mi"}
        if self.chance(0.15):
            stated = {k: v for k, v in self.requests().items() if k in {"cpu", "memory", "hugepages-2Mi"}}
            spec["resources"] = {"requests": stated}
        if self.chance(0.05 if self.roomy else 0.2):
            spec["nodeSelector"] = {"zone": self.random.choice("abc")}
        affinity: JsonObject = {}
        if self.chance(0.1 if self.roomy else 0.25):
            affinity["nodeAffinity"] = self.an_affinity(nodes)
        labels = self.some_labels(("app", "xyz"), ("tier", "12"), ("version", "34"))
        for kind in ("podAffinity", "podAntiAffinity"):
            if self.chance(0.35 if self.roomy else 0.25):
                affinity[kind] = self.a_pod_affinity(labels)
        if affinity:
            spec["affinity"] = affinity
        if self.chance(0.5 if self.roomy else 0.3):
            spec["topologySpreadConstraints"] = [
                self.a_constraint() for _ in range(self.random.randint(1, 3))
            ]
        if self.chance(0.1):
            spec["volumes"] = [{"name": "v", "image": {"reference": self.random.choice(list(IMAGES))}}]
        spec["tolerations"] = [self.a_toleration() for _ in range(self.random.randint(0, 3))]
        meta: JsonObject = {"name": name, "uid": name, "labels": labels}
        meta["namespace"] = self.random.choice(NAMESPACES)
        if self.chance(0.4):
            kind, owner = self.random.choice([("ReplicaSet", "web"), ("StatefulSet", "db")])
            meta["ownerReferences"] = [
                {"apiVersion": "apps/v1", "kind": kind, "name": owner, "uid": "u", "controller": True}
            ]
        if on:
            spec["nodeName"] = on
            if self.chance(0.1):
                meta["deletionTimestamp"] = "2027-01-15T08:00:00Z"
        return {"metadata": meta, "spec": spec}

    def a_constraint(self) -> JsonObject:
        hard = self.chance(0.5)
        found: JsonObject = {
            "maxSkew": self.random.choice([1, 1, 2, 3]),
            "topologyKey": self.random.choice([HOST, "zone", ZONE, "disk"]),
            "whenUnsatisfiable": "DoNotSchedule" if hard else "ScheduleAnyway",
        }
        if self.chance(0.9):
            found["labelSelector"] = self.a_selector()
        if self.chance(0.2):
            found["matchLabelKeys"] = ["version", "nobody"]
        if hard and self.chance(0.3):
            found["minDomains"] = self.random.randint(1, 4)
        for policy in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            if self.chance(0.3):
                found[policy] = self.random.choice(["Honor", "Ignore"])
        return found

    def a_pod_affinity(self, labels: dict[str, str]) -> JsonObject:
        found: JsonObject = {}
        if self.chance(0.6):
            found["requiredDuringSchedulingIgnoredDuringExecution"] = [
                self.a_pod_term(labels) for _ in range(self.random.randint(1, 2))
            ]
        if self.chance(0.6):
            found["preferredDuringSchedulingIgnoredDuringExecution"] = [
                {"weight": self.random.choice([1, 7, 100]), "podAffinityTerm": self.a_pod_term(labels)}
                for _ in range(self.random.randint(1, 3))
            ]
        return found

    def a_pod_term(self, labels: dict[str, str]) -> JsonObject:
        found: JsonObject = {"topologyKey": self.random.choice([HOST, "zone", "zone", "disk"])}
        if self.chance(0.9):
            found["labelSelector"] = selector = self.a_selector()
            # As the API server writes it into the selector when the pod is created.
            for field, how in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")):
                if self.chance(0.1):
                    found[field] = ["version"]
                    if "version" in labels:
                        selector.setdefault("matchExpressions", []).append(
                            {"key": "version", "operator": how, "values": [labels["version"]]}
                        )
        if self.chance(0.2):
            found["namespaces"] = self.random.sample(NAMESPACES, self.random.randint(1, 2))
        if self.chance(0.25):
            found["namespaceSelector"] = {"matchLabels": {"team": "a"}} if self.chance(0.6) else {}
        return found

    def a_selector(self) -> JsonObject:
        if self.chance(0.1):
            return {}
        found: JsonObject = {}
        if self.chance(0.7):
            found["matchLabels"] = {"app": self.random.choice("xyz")}
        if self.chance(0.4):
            operator = self.random.choice(["In", "NotIn", "Exists", "DoesNotExist"])
            values = self.random.sample("123", 2) if operator in {"In", "NotIn"} else []
            found["matchExpressions"] = [{"key": "tier", "operator": operator, "values": values}]
        return found

    def a_container(self, number: int) -> JsonObject:
        found: JsonObject = {
            "name": f"c{number}",
            "image": self.random.choice(["x", *IMAGES]),
            "resources": {"requests": self.requests()},
        }
        if self.chance(0.2):
            pick = self.random.choice
            port = {"containerPort": 80, "hostPort": pick([80, 81, 0]), "protocol": pick(["TCP", "UDP"])}
            found["ports"] = [
                port | ({"hostIP": pick(["0.0.0.0", "10.0.0.1", "10.0.0.2"])} if self.chance(0.5) else {})
            ]
        return found

    def requests(self) -> dict[str, str]:
        if self.roomy:
            return {"cpu": self.random.choice(["10m", "100m"])} if self.chance(0.8) else {}
        options = {
            "cpu": (0.75, ["0", "1m", "100m", "250m", "999m", "1", "1500m", "3", "500u", "1k"]),
            "memory": (
                0.75,
                ["0", "1", "128974848", "129M", "123Mi", "1Gi", "1536Mi", "200Mi", "1G", "1Ti", "100m"],
            ),
            "ephemeral-storage": (0.15, ["1Gi", "10Gi", "1Mi", "0"]),
            "example.com/gpu": (0.12, ["0", "1", "2", "3"]),
            "hugepages-2Mi": (0.05, ["2Mi", "4Mi"]),
            "attachable-volumes-x": (0.03, ["1"]),
        }
        return {
            name: self.random.choice(texts) for name, (share, texts) in options.items() if self.chance(share)
        }

    def an_affinity(self, nodes: list[str]) -> JsonObject:
        found: JsonObject = {}
        count = self.random.randint
        if self.chance(0.6):
            terms = [self.a_term(nodes) for _ in range(count(1, 3))]
            found["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": terms}
        if self.chance(0.6):
            found["preferredDuringSchedulingIgnoredDuringExecution"] = [
                {"weight": self.random.choice([1, 7, 33, 100]), "preference": self.a_term(nodes)}
                for _ in range(count(1, 3))
            ]
        return found

    def a_term(self, nodes: list[str]) -> JsonObject:
        found: JsonObject = {}
        if self.chance(0.8):
            found["matchExpressions"] = [self.a_requirement() for _ in range(self.random.randint(1, 2))]
        if self.chance(0.2):
            found["matchFields"] = [
                {
                    "key": "metadata.name",
                    "operator": self.random.choice(["In", "NotIn"]),
                    "values": [self.random.choice([*nodes, "gone"])],
                }
                for _ in range(self.random.choice([1, 1, 2]))
            ]
        return found

    def a_requirement(self) -> JsonObject:
        operator = self.random.choice(["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"])
        values: list[str] = []
        if operator in {"In", "NotIn"}:
            values = self.random.sample(["a", "b", "c", "5", "10"], self.random.randint(1, 3))
        elif operator in {"Gt", "Lt"}:
            values = [self.random.choice(["0", "5", "7"])]
        return {
            "key": self.random.choice(["zone", "disk", "num", "none"]),
            "operator": operator,
            "values": values,
        }

    def a_toleration(self) -> JsonObject:
        if self.chance(0.1):
            return {"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}
        found: JsonObject = {"operator": self.random.choice(["Exists", "Equal", ""])}
        if self.chance(0.15):
            found["operator"] = "Exists"
        else:
            found["key"] = self.random.choice("abc")
        if found["operator"] != "Exists":
            found["value"] = self.random.choice(["x", "", "1"])
        if self.chance(0.6):
            found["effect"] = self.random.choice(["NoSchedule", "PreferNoSchedule", "NoExecute"])
        return found


def without_doubles(bound: list[JsonObject]) -> None:
    """Take host ports away that another pod of the node has: the original forgets both when one leaves."""
    taken: set[tuple[str, int, str]] = set()
    for pod in bound:
        spec = pod["spec"]
        for container in (*spec["containers"], *spec.get("initContainers", ())):
            for port in container.get("ports", ()):
                key = (spec["nodeName"], port["hostPort"], port["protocol"])
                if key in taken:
                    port["hostPort"] = 0
                taken.add(key)
