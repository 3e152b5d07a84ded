"""Answer "where would these pods go" from manifests alone: nothing is written, no host is asked.

Native Nodes and Pods go in, or virtual ones. Pods that have a node count as running there; the others are
placed one after the other, higher priority first, each on top of the ones before it. Every verdict names the
feasible nodes with their scores and the refused ones with their reasons. What cannot be read gets a sentence
instead of an exception.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Final, Literal, TypeAlias

from nestling.api.json import JsonObject, JsonValue
from nestling.api.kinds import POD
from nestling.machinery.names import DEFAULT_NAMESPACE, key_of
from nestling.machinery.records.pod import TERMINAL_PHASES
from nestling.scheduler.engine import PendingPod, Scheduler
from nestling.scheduler.explain import NodeRefusal, refused_nodes
from nestling.scheduler.framework import DEFAULT_SCHEDULER
from nestling.scheduler.nodes import read_taints
from nestling.scheduler.priority import PriorityClasses
from nestling.scheduler.resources import allocatable
from nestling.scheduler.standing import Standing
from nestling.scheduler.table import NodeFacts

Result: TypeAlias = Literal["scheduled", "unschedulable", "error", "gated", "ignored"]

# What a VirtualNode has that says nothing about its size (DESIGN, section 2).
DEFAULT_CAPACITY: Final[JsonObject] = {"cpu": "32", "memory": "256Gi", "pods": "110"}
_UNREADABLE: Final = (ValueError, TypeError, KeyError, AttributeError)


@dataclass(frozen=True, slots=True)
class NodeScore:
    """A node that would do: its total, and what each plugin gave times its weight."""

    node: str
    score: int
    plugins: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one pending pod. `feasible` is ordered best first, `refused` by node name."""

    namespace: str
    name: str
    result: Result
    message: str
    node: str = ""
    nodes: int = 0
    feasible: tuple[NodeScore, ...] = ()
    refused: tuple[NodeRefusal, ...] = ()

    def to_json(self) -> JsonObject:
        """The verdict as JSON."""
        found = asdict(self)
        found["feasible"] = [asdict(one) for one in self.feasible]
        found["refused"] = [
            {"node": one.node, "plugin": one.plugin, "reasons": list(one.reasons)} for one in self.refused
        ]
        return found


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A pending pod as read from its manifest."""

    namespace: str
    name: str
    spec: JsonObject = field(default_factory=dict[str, object])
    meta: JsonObject = field(default_factory=dict[str, object])
    priority: int = 0
    error: str = ""


def schedule(
    nodes: Iterable[JsonObject],
    pods: Iterable[JsonObject],
    *,
    priority_classes: Iterable[JsonObject] = (),
    seed: int = 0,
    scheduler_name: str = DEFAULT_SCHEDULER,
) -> list[Verdict]:
    """A verdict for every pending pod, in the order of scheduling: by priority, then as given."""
    engine = Scheduler(seed=seed)
    unread = [refusal for node in _items(nodes) if (refusal := _put(engine, node)) is not None]
    classes = _classes(priority_classes)
    pending = [pod for one in _items(pods) if (pod := _read(engine, one, classes)) is not None]
    pending.sort(key=lambda pod: -pod.priority)
    return [_verdict(engine, pod, unread, scheduler_name) for pod in pending]


def _verdict(engine: Scheduler, pod: _Candidate, unread: list[NodeRefusal], scheduler_name: str) -> Verdict:
    if pod.error:
        return Verdict(pod.namespace, pod.name, "error", pod.error)
    theirs = pod.spec.get("schedulerName") or DEFAULT_SCHEDULER
    if theirs != scheduler_name:
        return Verdict(pod.namespace, pod.name, "ignored", f"left to scheduler {str(theirs)[:253]!r}")
    gates = pod.spec.get("schedulingGates")
    if gates:
        return Verdict(pod.namespace, pod.name, "gated", f"waiting for scheduling gates: [{_names(gates)}]")
    pods = engine.classes.of(pod.spec, meta=pod.meta, namespace=pod.namespace)
    wish = PendingPod(f"{pod.namespace}/{pod.name}", pods)
    if wish.pods.malformed:
        return Verdict(pod.namespace, pod.name, "error", wish.pods.malformed, nodes=engine.nodes.count)
    standing = engine.standing(wish.pods)
    feasible = tuple(sorted(_scores(standing), key=lambda one: (-one.score, one.node)))
    refused = tuple(sorted([*refused_nodes(standing), *unread]))
    decision = engine.place([wish])[0]
    if decision.refusal is not None:
        result, message = "unschedulable", decision.refusal.message
        return Verdict(pod.namespace, pod.name, result, message, nodes=decision.nodes, refused=refused)
    feasible = tuple(sorted(feasible, key=lambda one: one.node != decision.node))
    message = f"Successfully assigned {pod.namespace}/{pod.name} to {decision.node}"
    return Verdict(
        pod.namespace, pod.name, "scheduled", message, decision.node, decision.nodes, feasible, refused
    )


def _scores(standing: Standing) -> Iterator[NodeScore]:
    for place in standing.feasible.nonzero()[0].tolist():
        node = standing.nodes.names[standing.row(place)]
        yield NodeScore(node, int(standing.total[place]), standing.shares(place))


def _put(engine: Scheduler, node: JsonObject) -> NodeRefusal | None:
    """Add a node to the table, or say why not, so that it shows among the refused ones."""
    name = "?"
    try:
        meta, spec, status = node["metadata"], node.get("spec") or {}, node.get("status") or {}
        name = str(meta["name"])
        room = status.get("allocatable") or status.get("capacity") or spec.get("capacity") or DEFAULT_CAPACITY
        facts = NodeFacts(
            name,
            allocatable(room),
            {str(key): str(value) for key, value in (meta.get("labels") or {}).items()},
            read_taints(spec),
            bool(spec.get("unschedulable")),
        )
        engine.nodes.put_node(facts)
    except _UNREADABLE as error:
        return NodeRefusal(name, "", (f"the node's manifest cannot be read: {_why(error)}"[:256],))
    return None


def _read(engine: Scheduler, pod: JsonObject, classes: PriorityClasses) -> _Candidate | None:
    """Count a pod that has a node, or return it as a candidate; None for one that is bound or finished."""
    namespace = name = "?"
    try:
        kind, meta = pod.get("kind", POD.native), pod["metadata"]
        name = str(meta["name"])
        if kind == POD.name:
            key = key_of(POD, meta.get("namespace") or "", name)
            namespace, name = key.namespace, key.name
        else:
            namespace = str(meta.get("namespace") or DEFAULT_NAMESPACE)
        if kind not in {POD.native, POD.name}:
            return _Candidate(namespace, name, error=f"a {kind} is not a Pod: nothing to schedule")
        spec, status = pod.get("spec") or {}, pod.get("status") or {}
        if status.get("phase") in TERMINAL_PHASES:
            return None
        if spec.get("nodeName"):
            pods = engine.classes.of(spec, meta=meta, namespace=namespace, bound=True)
            engine.nodes.add_pod(str(spec["nodeName"]), pods)
            return None
        return _Candidate(namespace, name, spec, meta, classes.of(spec).value)
    except _UNREADABLE as error:
        return _Candidate(namespace, name, error=f"the pod's manifest cannot be read: {_why(error)}"[:256])


def _why(error: Exception) -> str:
    return f"it has no {error.args[0]}" if isinstance(error, KeyError) else repr(error)


def _classes(objects: Iterable[JsonObject]) -> PriorityClasses:
    found = PriorityClasses()
    for one in _items(objects):
        try:
            found.put(str(one["metadata"]["name"]), one)
        except _UNREADABLE:
            continue  # its pods count as priority 0, as with a class that does not exist
    return found


def _names(gates: JsonValue) -> str:
    if not isinstance(gates, list):
        return str(gates)[:256]
    return " ".join(str(gate.get("name") if isinstance(gate, dict) else gate) for gate in gates)


def _items(objects: Iterable[JsonValue]) -> Iterator[JsonObject]:
    """The objects, with lists taken apart."""
    for one in objects:
        items = one.get("items") if isinstance(one, dict) else None
        if isinstance(items, list):
            yield from items
        else:
            yield one
