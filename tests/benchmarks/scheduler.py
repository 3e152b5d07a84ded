"""Measure the scheduling engine: decisions per second on one core, by shape of pod and number of nodes.

No host, no waiting: CPU time of `Scheduler.place`, and of the machine around it (queue, decision, bind plan,
confirmation) per pod. Nodes and pods are those of scheduler_perf: 4 CPUs, 32 GiB, 110 pods; 100m and 500Mi.

    .venv/bin/python tests/benchmarks/scheduler.py [--nodes 5000] [--pods 10000] [--json]
"""

import argparse
import copy
import logging
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any, Final

import orjson
import structlog

from nestling.api.json import JsonObject
from nestling.api.kinds import NODE, POD, Kind
from nestling.machinery.cache import Cache, Change
from nestling.machinery.controller import Outcome
from nestling.machinery.plan import Patch
from nestling.machinery.records.node import Node
from nestling.machinery.records.pod import Pod
from nestling.scheduler.engine import PendingPod, Scheduler
from nestling.scheduler.machine import SchedulerMachine
from nestling.scheduler.resources import allocatable
from nestling.scheduler.table import NodeFacts

NOW: Final = 1_800_000_000.0
ROOM: Final[JsonObject] = {"cpu": "4", "memory": "32Gi", "pods": "110"}
CONTAINER: Final[JsonObject] = {
    "name": "main",
    "image": "registry.k8s.io/pause:3.10",
    "resources": {"requests": {"cpu": "100m", "memory": "500Mi"}},
    "env": [{"name": f"SETTING_{i}", "value": "some text"} for i in range(8)],
}


def basic(_number: int, _nodes: int) -> JsonObject:
    """Equal pods."""
    return {"containers": [CONTAINER]}


def best_effort(_number: int, _nodes: int) -> JsonObject:
    """Equal pods without requests."""
    return {"containers": [{"name": "main"}]}


def node_affinity(number: int, _nodes: int) -> JsonObject:
    """Pods that have to go to two of ten zones, and would rather have one of them."""
    zones = [f"zone-{number % 10}", f"zone-{(number + 1) % 10}"]
    term = {"matchExpressions": [{"key": "zone", "operator": "In", "values": zones}]}
    wish = {"matchExpressions": [{"key": "zone", "operator": "In", "values": zones[:1]}]}
    affinity = {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]},
        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": wish}],
    }
    return {"containers": [CONTAINER], "affinity": {"nodeAffinity": affinity}}


def daemon_set(number: int, nodes: int) -> JsonObject:
    """Each pod names its node: every pod a class of its own."""
    field = {"key": "metadata.name", "operator": "In", "values": [f"node-{number % nodes}"]}
    selector = {"nodeSelectorTerms": [{"matchFields": [field]}]}
    return {
        "containers": [CONTAINER],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": selector}},
    }


def many_classes(number: int, _nodes: int) -> JsonObject:
    """Forty sizes in turn: every decision catches up with forty binds."""
    requests = {"cpu": f"{100 + number % 40}m", "memory": "500Mi"}
    return {"containers": [{"name": "main", "resources": {"requests": requests}}]}


def unschedulable(_number: int, _nodes: int) -> JsonObject:
    """Pods that fit nowhere."""
    return {"containers": [{"name": "main", "resources": {"requests": {"cpu": "64"}}}]}


def churn(number: int, nodes: int) -> JsonObject:
    """Basic pods with a hopeless one among every five."""
    return unschedulable(number, nodes) if number % 5 == 0 else basic(number, nodes)


SHAPES: Final[dict[str, Callable[[int, int], JsonObject]]] = {
    "basic": basic,
    "best effort": best_effort,
    "node affinity": node_affinity,
    "daemon set": daemon_set,
    "many classes": many_classes,
    "unschedulable": unschedulable,
    "churn": churn,
}


def a_scheduler(nodes: int) -> Scheduler:
    """An engine with empty nodes."""
    scheduler = Scheduler()
    room = allocatable(ROOM)
    for i in range(nodes):
        name = f"node-{i}"
        labels = {"kubernetes.io/hostname": name, "zone": f"zone-{i % 10}"}
        scheduler.nodes.put_node(NodeFacts(name, room, labels))
    return scheduler


def decisions_per_second(shape: str, nodes: int, pods: int) -> float:
    """Rate of `place` alone; the classes are known, as they are after the first replica."""
    scheduler = a_scheduler(nodes)
    wishes = [PendingPod(f"p{i}", scheduler.classes.of(SHAPES[shape](i, nodes))) for i in range(pods)]
    scheduler.decide(wishes[0])
    start = time.process_time()
    decisions = scheduler.place(wishes)
    took = time.process_time() - start
    assert len(decisions) == pods
    return pods / took


def machine_cost(nodes: int, pods: int) -> dict[str, float]:
    """Microseconds of CPU per pod in the machine: seeing it, deciding and planning, seeing it bound."""
    cache = Cache((Node, Pod))
    machine = SchedulerMachine(now=lambda: NOW)
    for i in range(nodes):
        _observe(machine, cache.see(NODE, _an_object(NODE, f"node-{i}", status={"allocatable": ROOM})))
    created = [_an_object(POD, f"p{i}", spec={"containers": [CONTAINER]}) for i in range(pods)]
    changes = [cache.see(POD, obj) for obj in created]

    marks = [time.process_time()]
    for change in changes:
        _observe(machine, change)
    marks.append(time.process_time())
    plans: list[Any] = []
    while machine.wake_at() is not None:
        plans += machine.step(NOW)
    marks.append(time.process_time())
    bound = [cache.see(POD, _bound(cache, plan.writes[0])) for plan in plans]
    paused = time.process_time()
    for change, plan in zip(bound, plans, strict=True):
        _observe(machine, change)
        machine.settle(plan, Outcome(1), NOW)
    confirmed = time.process_time() - paused
    assert len(plans) == pods
    seen, decided = marks[1] - marks[0], marks[2] - marks[1]
    parts = {"see": seen, "decide and plan": decided, "confirm": confirmed, "all": seen + decided + confirmed}
    return {name: seconds / pods * 1e6 for name, seconds in parts.items()}


def memory_per_node(nodes: int) -> float:
    """Bytes per node of the table and one standing."""
    tracemalloc.start()
    scheduler = a_scheduler(nodes)
    scheduler.decide(PendingPod("p", scheduler.classes.of(basic(0, nodes))))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / nodes


def _an_object(kind: Kind, name: str, **content: Any) -> JsonObject:
    owner = {"kind": "VirtualReplicaSet", "name": "web", "uid": "web", "controller": True}
    meta = {
        "name": name,
        "namespace": "team-a",
        "uid": f"uid-{name}",
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": "2027-01-15T08:00:00Z",
        "labels": {"app": "web"},
        "ownerReferences": [owner],
    }
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": meta, **content}


def _observe(machine: SchedulerMachine, change: Change | None) -> None:
    assert change is not None
    machine.observe(change)


def _bound(cache: Cache, write: Patch) -> JsonObject:
    obj = copy.deepcopy(cache.table(Pod).records[write.key].body)
    obj["spec"].update(write.body["spec"])
    obj["metadata"].update(resourceVersion="2", generation=2)
    return obj


def main() -> None:
    """Run everything and print it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nodes", type=int, default=5000)
    parser.add_argument("--pods", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    found: JsonObject = {
        "nodes": options.nodes,
        "pods": options.pods,
        "decisions_per_second": {
            shape: round(decisions_per_second(shape, options.nodes, options.pods)) for shape in SHAPES
        },
        "basic_us_by_nodes": {
            nodes: round(1e6 / decisions_per_second("basic", nodes, min(options.pods, nodes * 30)), 1)
            for nodes in (100, 1000, 5000, 20_000)
        },
        "machine_us_per_pod": {
            name: round(cost, 1) for name, cost in machine_cost(options.nodes, options.pods).items()
        },
        "bytes_per_node": round(memory_per_node(options.nodes)),
    }
    if options.json:
        sys.stdout.write(orjson.dumps(found, option=orjson.OPT_NON_STR_KEYS).decode() + "\n")
        return
    lines = [f"{options.nodes} nodes, {options.pods} pods, CPU time of one core"]
    lines += [f"  {shape:<16}{rate:>9,} decisions/s" for shape, rate in found["decisions_per_second"].items()]
    lines += [f"  basic, {nodes:>6,} nodes {us:>6} us" for nodes, us in found["basic_us_by_nodes"].items()]
    lines += [f"  machine, {name:<16}{us:>6} us per pod" for name, us in found["machine_us_per_pod"].items()]
    lines.append(f"  table and one standing: {found['bytes_per_node']} bytes per node")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
