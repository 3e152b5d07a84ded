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
from typing import Any, Final

import numpy as np
import orjson
import pytest

from nestling.api.json import JsonObject
from nestling.api.selector import Selector
from nestling.host.paths import cache_home
from nestling.host.release import KUBERNETES_VERSION, go_mod, replaced_modules, staging_version
from nestling.scheduler.engine import Scheduler
from nestling.scheduler.explain import refusals
from nestling.scheduler.framework import FilterPlugin, Profile, ScorePlugin, Supposition, Weighted
from nestling.scheduler.nodes import images_of
from nestling.scheduler.plugins.registry import in_tree
from nestling.scheduler.podclass import PodClass
from nestling.scheduler.resources import allocatable
from nestling.scheduler.standing import Standing
from nestling.scheduler.table import NodeFacts, NodeTaint
from unit.scheduler.draw import Draw

# The program is built first where it has not been: that alone may take a minute on a busy machine.
pytestmark = [pytest.mark.differential, pytest.mark.timeout(900)]

SOURCE: Final = Path(__file__).parent / "scheduler_plugins" / "main.go"
CASES: Final = int(os.environ.get("NESTLING_SCHEDULER_CASES", "250"))
SEED: Final = int(os.environ.get("NESTLING_SCHEDULER_SEED", "1"))
FILTERS: Final = (
    "NodeName",
    "NodeUnschedulable",
    "TaintToleration",
    "NodeAffinity",
    "NodePorts",
    "NodeResourcesFit",
    "PodTopologySpread",
    "InterPodAffinity",
)
WEIGHTS: Final = {
    "TaintToleration": 3,
    "NodeAffinity": 2,
    "NodeResourcesFit": 1,
    "PodTopologySpread": 2,
    "InterPodAffinity": 2,
    "NodeResourcesBalancedAllocation": 1,
    "ImageLocality": 1,
}


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


def ours(cluster: JsonObject) -> list[JsonObject]:
    """Our verdicts, in the form of the original's."""
    scheduler = Scheduler(profile=a_profile(cluster["profile"]))
    for node in cluster["nodes"]:
        meta, spec, status = node["metadata"], node["spec"], node["status"]
        taints = tuple(NodeTaint(one["key"], one["value"], one["effect"]) for one in spec["taints"])
        room = allocatable(status["allocatable"])
        facts = NodeFacts(
            meta["name"], room, meta["labels"], taints, spec["unschedulable"], images_of(status)
        )
        scheduler.nodes.put_node(facts)
    peers = scheduler.nodes.peers
    for one in cluster["namespaces"]:
        peers.put_namespace(one["metadata"]["name"], one["metadata"]["labels"])
    for one in cluster["services"]:
        meta, selector = one["metadata"], Selector.from_labels(one["spec"]["selector"])
        peers.put_service(meta["namespace"], meta["name"], selector)
    for kind, plural in (("ReplicaSet", "replicaSets"), ("StatefulSet", "statefulSets")):
        for one in cluster[plural]:
            meta, selector = one["metadata"], Selector.from_json(one["spec"]["selector"])
            peers.put_workload(kind, meta["namespace"], meta["name"], selector)

    def class_of(pod: JsonObject, *, bound: bool = False) -> PodClass:
        meta = pod["metadata"]
        return scheduler.classes.of(pod["spec"], meta=meta, namespace=meta["namespace"], bound=bound)

    bound = [class_of(pod, bound=True) for pod in cluster["bound"]]
    for pod, pods in zip(cluster["bound"], bound, strict=True):
        scheduler.nodes.add_pod(pod["spec"]["nodeName"], pods)
    pending = [class_of(pod) for pod in cluster["pods"]]

    def fits(pods: PodClass, removal: JsonObject) -> bool:
        come = [pending[i] for i in removal["with"]]
        gone = [bound[i] for i in removal["without"]]
        signs = np.array([[1] * len(come) + [-1] * len(gone)], np.int64)
        row = np.array([scheduler.nodes.row_of[removal["node"]]], np.intp)
        return bool(scheduler.would_fit(pods, row, Supposition((*come, *gone), signs))[0])

    return [
        verdict(scheduler.standing(pods)) | {"fits": [fits(pods, one) for one in cluster["removals"]]}
        for pods in pending
    ]


def a_profile(with_args: JsonObject) -> Profile:
    """The default plugins with these arguments."""
    registry = in_tree()
    args = {
        "NodeResourcesFit": {"scoringStrategy": with_args["strategy"]},
        "PodTopologySpread": with_args["spread"],
        "InterPodAffinity": with_args.get("near", {}),
        "NodeAffinity": with_args.get("affinity", {}),
        "NodeResourcesBalancedAllocation": {"resources": with_args["balanced"]},
    }
    made = {name: registry.make(name, args.get(name, {})) for name in {*FILTERS, *WEIGHTS}}
    return Profile(
        [one for name in FILTERS if isinstance(one := made[name], FilterPlugin)],
        [
            Weighted(one, weight)
            for name, weight in WEIGHTS.items()
            if isinstance(one := made[name], ScorePlugin)
        ],
    )


def verdict(standing: Standing) -> JsonObject:
    """What a standing says, in the form of the original's."""
    found: dict[str, Any] = {"rejected": "", "elsewhere": [], "refused": {}, "scores": {}, "helpless": []}
    if standing.rejection is not None:
        return {**found, "rejected": standing.rejection[1].message}
    nodes = standing.nodes
    for refused in refusals(standing):
        for place, code in zip(refused.places.tolist(), refused.codes.tolist(), strict=True):
            reasons = refused.plugin.reasons(code, standing.pods, nodes)
            found["refused"][nodes.names[standing.row(place)]] = sorted(reasons)
    resolvable = {nodes.names[row] for row in standing.resolvable()}
    found["helpless"] = sorted(found["refused"].keys() - resolvable)
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
            their["helpless"].sort()
            # A plugin that the original leaves out gives every node the same.
            for scores in (mine["scores"], their["scores"]):
                for plugin in [one for one, nodes in scores.items() if not any(nodes.values())]:
                    del scores[plugin]
            for reasons in their["refused"].values():
                reasons.sort()
            assert mine == their, f"seed {SEED}, cluster {number}: {orjson.dumps(pod['spec']).decode()}"
            scored += bool(mine["scores"])
    assert scored > CASES  # enough pods had somewhere to go for the comparison of scores to mean something
