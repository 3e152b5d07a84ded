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
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import orjson
import structlog

from nestling.api.json import JsonObject
from nestling.api.kinds import NODE, POD, Kind
from nestling.api.selector import Selector
from nestling.machinery.cache import Cache, Change
from nestling.machinery.controller import Outcome
from nestling.machinery.plan import Patch
from nestling.machinery.records.node import Node
from nestling.machinery.records.pod import Pod
from nestling.scheduler.engine import PendingPod, Scheduler
from nestling.scheduler.framework import Supposition
from nestling.scheduler.machine import SchedulerMachine
from nestling.scheduler.podterms import HOSTNAME, ZONE
from nestling.scheduler.resources import allocatable
from nestling.scheduler.table import NodeFacts

NOW: Final = 1_800_000_000.0
ROOM: Final[JsonObject] = {"cpu": "4", "memory": "32Gi", "pods": "110"}
IMAGE: Final = "registry.k8s.io/pause:3.10"
COLOR: Final = {"color": "blue"}
CONTAINER: Final[JsonObject] = {
    "name": "main",
    "image": IMAGE,
    "resources": {"requests": {"cpu": "100m", "memory": "500Mi"}},
    "env": [{"name": f"SETTING_{i}", "value": "some text"} for i in range(8)],
}


Spec = Callable[[int, int], JsonObject]


@dataclass(frozen=True, slots=True)
class Shape:
    """A workload of scheduler_perf: the spec of the n-th pod on so many nodes, labels, what is there before.

    `first` pods are placed before the clock starts; `prepare` sees the scheduler before them; `meanwhile` is
    called before every hundredth pod.
    """

    spec: Spec
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    first: int = 0
    prepare: Callable[[Scheduler], None] | None = None
    meanwhile: Callable[[Scheduler, int], None] | None = None


def basic(_number: int, _nodes: int) -> JsonObject:
    """Equal pods."""
    return {"containers": [CONTAINER]}


def best_effort(_number: int, _nodes: int) -> JsonObject:
    """Equal pods without requests."""
    return {"containers": [{"name": "main", "image": IMAGE}]}


def node_affinity(number: int, _nodes: int) -> JsonObject:
    """Pods that have to go to two of ten zones, and would rather have one of them."""
    zones = [f"zone-{number % 10}", f"zone-{(number + 1) % 10}"]
    term = {"matchExpressions": [{"key": ZONE, "operator": "In", "values": zones}]}
    wish = {"matchExpressions": [{"key": ZONE, "operator": "In", "values": zones[:1]}]}
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
    return {"containers": [{"name": "main", "image": IMAGE, "resources": {"requests": requests}}]}


def unschedulable(_number: int, _nodes: int) -> JsonObject:
    """Pods that fit nowhere."""
    return {"containers": [{"name": "main", "image": IMAGE, "resources": {"requests": {"cpu": "64"}}}]}


def churn(number: int, nodes: int) -> JsonObject:
    """Basic pods with a hopeless one among every five."""
    return unschedulable(number, nodes) if number % 5 == 0 else basic(number, nodes)


def near(kind: str, when: str, key: str) -> Spec:
    """Pods that want their like near (podAffinity) or far (podAntiAffinity), required or preferred."""
    term = {"labelSelector": {"matchLabels": COLOR}, "topologyKey": key}
    stated = term if when == "required" else {"weight": 1, "podAffinityTerm": term}
    affinity = {kind: {f"{when}DuringSchedulingIgnoredDuringExecution": [stated]}}
    return lambda _number, _nodes: {"containers": [CONTAINER], "affinity": affinity}


def spread(when: str, key: str, skew: int) -> Spec:
    """Pods that are to be spread."""
    constraint = {
        "maxSkew": skew,
        "topologyKey": key,
        "whenUnsatisfiable": when,
        "labelSelector": {"matchLabels": COLOR},
    }
    return lambda _number, _nodes: {"containers": [CONTAINER], "topologySpreadConstraints": [constraint]}


def serve(scheduler: Scheduler) -> None:
    """A service selects the pods, so that they are spread unasked."""
    scheduler.nodes.peers.put_service("default", "web", Selector.from_labels(COLOR))


def guard(scheduler: Scheduler) -> None:
    """A thousand pods keep the ones to come away from their nodes."""
    spec = near("podAntiAffinity", "required", HOSTNAME)(0, 0)
    pods = scheduler.classes.of(spec, meta={"labels": {"color": "red"}}, bound=True)
    for i in range(min(1000, scheduler.nodes.count // 2)):
        scheduler.nodes.add_pod(f"node-{i}", pods)


def recreate(scheduler: Scheduler, number: int) -> None:
    """A node goes and comes back."""
    before = scheduler.nodes.remove_node(f"node-{number % scheduler.nodes.count}")
    assert before is not None
    scheduler.nodes.put_node(before)


SHAPES: Final[dict[str, Shape]] = {
    "basic": Shape(basic, first=1000),
    "best effort": Shape(best_effort),
    "node affinity": Shape(node_affinity, first=5000),
    "daemon set": Shape(daemon_set),
    "many classes": Shape(many_classes),
    "pod affinity": Shape(near("podAffinity", "required", ZONE), COLOR, first=5000),
    "pod anti-affinity": Shape(near("podAntiAffinity", "required", HOSTNAME), COLOR, first=1000),
    "matching anti-affinity": Shape(basic, COLOR, prepare=guard),
    "preferred affinity": Shape(near("podAffinity", "preferred", HOSTNAME), COLOR, first=5000),
    "preferred affinity, zone": Shape(near("podAffinity", "preferred", ZONE), COLOR, first=5000),
    "preferred anti-affinity": Shape(near("podAntiAffinity", "preferred", HOSTNAME), COLOR, first=5000),
    "hard spread": Shape(spread("DoNotSchedule", ZONE, 5), COLOR, first=5000),
    "hard spread, hosts": Shape(spread("DoNotSchedule", HOSTNAME, 1), COLOR, first=5000),
    "soft spread": Shape(spread("ScheduleAnyway", ZONE, 5), COLOR, first=5000),
    "default spread": Shape(basic, COLOR, first=5000, prepare=serve),
    "unschedulable": Shape(unschedulable),
    "unschedulable churn": Shape(churn, first=100),
    "mixed churn": Shape(basic, first=1000, meanwhile=recreate),
}


def a_scheduler(nodes: int) -> Scheduler:
    """An engine with empty nodes in ten zones."""
    scheduler = Scheduler()
    room = allocatable(ROOM)
    for i in range(nodes):
        name = f"node-{i}"
        scheduler.nodes.put_node(NodeFacts(name, room, {HOSTNAME: name, ZONE: f"zone-{i % 10}"}))
    return scheduler


def decisions_per_second(shape: Shape, nodes: int, pods: int) -> float:
    """Rate of `place` alone; the classes are known, as they are after the first replica."""
    scheduler = a_scheduler(nodes)
    if shape.prepare is not None:
        shape.prepare(scheduler)
    meta = {"labels": dict(shape.labels)}
    first = min(shape.first, nodes // 2)
    if shape.spec is SHAPES["pod anti-affinity"].spec:
        pods = min(pods, nodes - first)  # one on each node is all there can be
    wishes = [
        PendingPod(f"p{i}", scheduler.classes.of(shape.spec(i, nodes), meta=meta))
        for i in range(first + pods)
    ]
    scheduler.place(wishes[:first])
    scheduler.decide(wishes[0])
    start = time.process_time()
    if shape.meanwhile is None:
        scheduler.place(wishes[first:])
    else:
        for number in range(first, first + pods, 100):
            shape.meanwhile(scheduler, number)
            scheduler.place(wishes[number : number + 100])
    return pods / (time.process_time() - start)


def what_if_us(nodes: int) -> float:
    """Microseconds to ask of one node what preemption asks: without all of its 4 pods, then one less each.

    A tenth of the nodes, at least 100, are asked together, as preemption does.
    """
    scheduler = a_scheduler(nodes)
    low = scheduler.classes.of({"containers": [_sized("900m")]}, bound=True)
    for i in range(nodes):
        for _ in range(4):
            scheduler.nodes.add_pod(f"node-{i}", low)
    high = scheduler.classes.of({"containers": [_sized("3")]})
    rows = scheduler.resolvable(high)[: max(100, nodes // 10)]
    start = time.process_time()
    rounds = 20
    for _ in range(rounds):
        for left in range(5):
            counts = np.full((len(rows), 1), left - 4, np.int64)
            fits = scheduler.would_fit(high, rows, Supposition((low,), counts))
            assert fits.all() == (left <= 1)
    return (time.process_time() - start) / rounds / len(rows) * 1e6


def _sized(cpu: str) -> JsonObject:
    return {"name": "main", "resources": {"requests": {"cpu": cpu, "memory": "500Mi"}}}


def machine_cost(nodes: int, pods: int, gated: int = 0) -> dict[str, float]:
    """Microseconds of CPU per pod in the machine: seeing it, deciding and planning, seeing it bound.

    `gated` pods are there before, and stay behind their gates.
    """
    cache = Cache((Node, Pod))
    machine = SchedulerMachine(now=lambda: NOW)
    for i in range(nodes):
        _observe(machine, cache.see(NODE, _an_object(NODE, f"node-{i}", status={"allocatable": ROOM})))
    gates = {"containers": [CONTAINER], "schedulingGates": [{"name": "example.com/wait"}]}
    for i in range(gated):
        _observe(machine, cache.see(POD, _an_object(POD, f"gated-{i}", spec=gates)))
    while machine.wake_at() == 0.0:
        for plan in machine.step(NOW):  # they are told that they wait
            machine.settle(plan, Outcome(1), NOW)
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


def memory_per_pod(nodes: int) -> float:
    """Bytes per pod that the table keeps of pods on nodes, a label of its own on each."""
    scheduler = a_scheduler(nodes)
    serve(scheduler)
    spec = basic(0, nodes)
    scheduler.decide(PendingPod("p", scheduler.classes.of(spec, meta={"labels": dict(COLOR)})))
    classes = [
        scheduler.classes.of(spec, meta={"labels": {**COLOR, "index": str(i)}}) for i in range(2 * nodes)
    ]
    tracemalloc.start()
    for i, pods in enumerate(classes):
        scheduler.nodes.add_pod(f"node-{i % nodes}", pods)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / len(classes)


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
    parser.add_argument("--shapes", nargs="*", choices=list(SHAPES), help="only these")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    found: JsonObject = {
        "nodes": options.nodes,
        "pods": options.pods,
        "decisions_per_second": {
            shape: round(decisions_per_second(SHAPES[shape], options.nodes, options.pods))
            for shape in options.shapes or SHAPES
        },
        "basic_us_by_nodes": {
            nodes: round(1e6 / decisions_per_second(SHAPES["basic"], nodes, min(options.pods, nodes * 30)), 1)
            for nodes in (100, 1000, 5000, 20_000)
        },
        "what_if_us_per_node": round(what_if_us(options.nodes), 2),
        "bytes_per_placed_pod": round(memory_per_pod(options.nodes)),
        "machine_us_per_pod": {
            **{name: round(cost, 1) for name, cost in machine_cost(options.nodes, options.pods).items()},
            "all, gated too": round(machine_cost(options.nodes, options.pods, options.pods)["all"], 1),
        },
        "bytes_per_node": round(memory_per_node(options.nodes)),
    }
    if options.json:
        sys.stdout.write(orjson.dumps(found, option=orjson.OPT_NON_STR_KEYS).decode() + "\n")
        return
    lines = [f"{options.nodes} nodes, {options.pods} pods, CPU time of one core"]
    lines += [f"  {shape:<26}{rate:>9,} decisions/s" for shape, rate in found["decisions_per_second"].items()]
    lines += [f"  basic, {nodes:>6,} nodes {us:>6} us" for nodes, us in found["basic_us_by_nodes"].items()]
    lines += [f"  machine, {name:<16}{us:>6} us per pod" for name, us in found["machine_us_per_pod"].items()]
    lines.append(f"  what if: {found['what_if_us_per_node']} us per node with 4 pods")
    lines.append(f"  table and one standing: {found['bytes_per_node']} bytes per node")
    lines.append(f"  each pod on a node: {found['bytes_per_placed_pod']} bytes in the table")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
