"""The same random pods before kube-scheduler's own plugins and before ours: same refusals, same scores.

The original plugins are a small Go program beside this file, built from the modules in Go's cache and kept in
Nestling's; nothing is downloaded. Quantities are spelt as an API server spells them: the original adds onto
fractions like 0.5Gi in place and so counts an unspelt one twice. NESTLING_SCHEDULER_CASES sets how many
clusters (of 8 pods each), NESTLING_SCHEDULER_SEED where to start.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from random import Random
from typing import Any, Final

import orjson
import pytest

from nestling.api.json import JsonObject
from nestling.host.paths import cache_home
from nestling.host.release import KUBERNETES_VERSION, go_mod, replaced_modules, staging_version
from nestling.scheduler.engine import Scheduler
from nestling.scheduler.explain import refusals
from nestling.scheduler.resources import allocatable
from nestling.scheduler.standing import Standing
from nestling.scheduler.table import NodeFacts, NodeTaint

pytestmark = pytest.mark.differential

SOURCE: Final = Path(__file__).parent / "scheduler_plugins" / "main.go"
CASES: Final = int(os.environ.get("NESTLING_SCHEDULER_CASES", "250"))
SEED: Final = int(os.environ.get("NESTLING_SCHEDULER_SEED", "1"))


@pytest.fixture(scope="module")
def original() -> Path:
    """The program of the original plugins; skips where Go or the modules are not at hand."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("no go in PATH")
    modules = subprocess.run(
        [go, "env", "GOMODCACHE"], capture_output=True, text=True, check=True
    ).stdout.strip()
    theirs = Path(modules, "k8s.io", f"kubernetes@{KUBERNETES_VERSION}", "go.mod")
    if not theirs.exists():
        pytest.skip(f"Go's module cache has no k8s.io/kubernetes {KUBERNETES_VERSION}")
    name = hashlib.sha256(SOURCE.read_bytes() + KUBERNETES_VERSION.encode()).hexdigest()[:16]
    home = cache_home() / "differential" / name
    program = home / "scheduler-plugins"
    if not program.exists():
        home.mkdir(parents=True, exist_ok=True)
        shutil.copy(SOURCE, home / "main.go")
        staging = {
            module: staging_version(KUBERNETES_VERSION) for module in replaced_modules(theirs.read_text())
        }
        (home / "go.mod").write_text(go_mod({"k8s.io/kubernetes": KUBERNETES_VERSION}, staging))
        env = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GOPROXY": "off", "GONOSUMDB": "*"}
        built = subprocess.run(
            [go, "build", "-o", program, "."], cwd=home, env=env, capture_output=True, text=True, check=False
        )
        if built.returncode != 0:
            pytest.skip(f"cannot build the original plugins from Go's cache: {built.stderr[-500:]}")
    return program


class Draw:
    """Random parts of manifests, all of which an API server would take."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def a_cluster(self) -> JsonObject:
        names = [f"n{i}" for i in range(self.random.randint(1, 12))]
        return {
            "nodes": [self.a_node(name) for name in names],
            "bound": [
                self.a_pod(f"b{i}", names, on=self.random.choice(names))
                for i in range(self.random.randint(0, 10))
            ],
            "pods": [self.a_pod(f"p{i}", names) for i in range(8)],
        }

    def a_node(self, name: str) -> JsonObject:
        pick = self.random.choice
        room = {
            "cpu": pick(["1", "4", "16", "3900m", "0", "7"]),
            "memory": pick(["1Gi", "8Gi", "3333Mi", "0", "16G"]),
            "pods": pick(["1", "3", "110"]),
            "ephemeral-storage": pick(["10Gi", "0"]),
        }
        if self.chance(0.4):
            room["example.com/gpu"] = "4"
        if self.chance(0.2):
            room["hugepages-2Mi"] = "4Mi"
        if self.chance(0.1):
            del room["memory"]
        values = {"zone": ["a", "b", "c"], "num": ["5", "6", "x"], "disk": ["a", "b"]}
        labels = {key: pick(options) for key, options in values.items() if self.chance(0.5)}
        effects = ["NoSchedule", "PreferNoSchedule", "PreferNoSchedule", "NoExecute"]
        pairs = [("a", "x"), ("b", ""), ("c", "1")]
        taints = [{"key": k, "value": v, "effect": pick(effects)} for k, v in pairs if self.chance(0.25)]
        spec = {"taints": taints, "unschedulable": self.chance(0.1)}
        return {"metadata": {"name": name, "labels": labels}, "spec": spec, "status": {"allocatable": room}}

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
        if self.chance(0.2):
            spec["nodeSelector"] = {"zone": self.random.choice("abc")}
        if self.chance(0.4):
            spec["affinity"] = {"nodeAffinity": self.an_affinity(nodes)}
        spec["tolerations"] = [self.a_toleration() for _ in range(self.random.randint(0, 3))]
        if on:
            spec["nodeName"] = on
        return {"metadata": {"name": name, "namespace": "default", "uid": name}, "spec": spec}

    def a_container(self, number: int) -> JsonObject:
        found: JsonObject = {"name": f"c{number}", "image": "x", "resources": {"requests": self.requests()}}
        if self.chance(0.2):
            pick = self.random.choice
            port = {"containerPort": 80, "hostPort": pick([80, 81, 0]), "protocol": pick(["TCP", "UDP"])}
            found["ports"] = [
                port | ({"hostIP": pick(["0.0.0.0", "10.0.0.1", "10.0.0.2"])} if self.chance(0.5) else {})
            ]
        return found

    def requests(self) -> dict[str, str]:
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


def ours(cluster: JsonObject) -> list[JsonObject]:
    """Our verdicts, in the form of the original's."""
    scheduler = Scheduler()
    for node in cluster["nodes"]:
        meta, spec = node["metadata"], node["spec"]
        taints = tuple(NodeTaint(one["key"], one["value"], one["effect"]) for one in spec["taints"])
        room = allocatable(node["status"]["allocatable"])
        facts = NodeFacts(meta["name"], room, meta["labels"], taints, spec["unschedulable"])
        scheduler.nodes.put_node(facts)
    for pod in cluster["bound"]:
        scheduler.nodes.add_pod(pod["spec"]["nodeName"], scheduler.classes.of(pod["spec"], bound=True))
    return [verdict(scheduler.standing(scheduler.classes.of(pod["spec"]))) for pod in cluster["pods"]]


def verdict(standing: Standing) -> JsonObject:
    """What a standing says, in the form of the original's."""
    found: dict[str, Any] = {"rejected": "", "elsewhere": [], "refused": {}, "scores": {}}
    if standing.rejection is not None:
        return {**found, "rejected": standing.rejection[1].message}
    nodes = standing.nodes
    for slot, places in refusals(standing):
        for place in places.tolist():
            reasons = slot.plugin.reasons(int(slot.codes[place]), standing.pods, nodes)
            found["refused"][nodes.names[standing.row(place)]] = sorted(reasons)
    feasible: set[str] = set()
    for place in standing.feasible.nonzero()[0].tolist():
        name = nodes.names[standing.row(place)]
        feasible.add(name)
        shares = standing.shares(place)
        assert sum(shares.values()) == standing.total[place]
        for plugin, score in shares.items():
            found["scores"].setdefault(plugin, {})[name] = score
    found["elsewhere"] = sorted(nodes.row_of.keys() - feasible - found["refused"].keys())
    return found


def test_every_node_is_refused_for_the_same_reasons_or_scored_the_same(original: Path) -> None:
    draw = Draw(SEED)
    clusters = [draw.a_cluster() for _ in range(CASES)]
    answer = subprocess.run(
        [original], input=orjson.dumps(clusters), capture_output=True, check=True, timeout=600
    )
    scored = 0
    for number, (cluster, theirs) in enumerate(zip(clusters, orjson.loads(answer.stdout), strict=True)):
        for pod, mine, their in zip(cluster["pods"], ours(cluster), theirs, strict=True):
            their["elsewhere"].sort()
            for reasons in their["refused"].values():
                reasons.sort()
            assert mine == their, f"seed {SEED}, cluster {number}: {orjson.dumps(pod['spec']).decode()}"
            scored += bool(mine["scores"])
    assert scored > CASES  # enough pods had somewhere to go for the comparison of scores to mean something
