"""Answer "where would these pods go" from manifests alone: nothing is written, no host is asked.

Native Nodes and Pods go in, or virtual ones. Pods that have a node count as running there; the others are
placed one after the other, higher priority first, each on top of the ones before it. Every verdict names the
feasible nodes with their scores and the refused ones with their reasons; who finds no node is told who would
have to go, though nobody is: later pods see things as they are, and leave that room alone. What cannot be
read gets a sentence instead of an exception.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Final, Literal, TypeAlias

from nestling.api.json import JsonObject, JsonValue
from nestling.api.kinds import POD
from nestling.machinery.names import DEFAULT_NAMESPACE, host_name, key_of
from nestling.machinery.records.pod import TERMINAL_PHASES, Pod
from nestling.scheduler.budgets import Budgets
from nestling.scheduler.choice import feasible
from nestling.scheduler.configuration import Setup
from nestling.scheduler.engine import Scheduler
from nestling.scheduler.explain import NodeRefusal, Refusal, refused_nodes
from nestling.scheduler.framework import DEFAULT_SCHEDULER
from nestling.scheduler.judge import Judge, Judgement
from nestling.scheduler.nodes import images_of, read_taints
from nestling.scheduler.nominator import Nominator
from nestling.scheduler.podclass import Classes
from nestling.scheduler.preemption import Candidate, Fruitless, Preemption, found_room
from nestling.scheduler.priority import PriorityClasses
from nestling.scheduler.queue import QueuedPod
from nestling.scheduler.residents import Resident, Residents
from nestling.scheduler.resources import allocatable
from nestling.scheduler.standing import Standing
from nestling.scheduler.table import BoolArray, NodeFacts, NodeTable
from nestling.scheduler.yielding import Yielding

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
    """What became of one pending pod. `feasible` is ordered best first, `refused` by node name.

    `nominated` is the node where room can be made for it, by the going of `victims`.
    """

    namespace: str
    name: str
    result: Result
    message: str
    node: str = ""
    nodes: int = 0
    feasible: tuple[NodeScore, ...] = ()
    refused: tuple[NodeRefusal, ...] = ()
    nominated: str = ""
    victims: tuple[str, ...] = ()

    def to_json(self) -> JsonObject:
        """The verdict as JSON."""
        found = asdict(self)
        found["feasible"] = [asdict(one) for one in self.feasible]
        found["refused"] = [
            {"node": one.node, "plugin": one.plugin, "reasons": list(one.reasons)} for one in self.refused
        ]
        found["victims"] = list(self.victims)
        return found


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A pending pod as read from its manifest."""

    namespace: str
    name: str
    spec: JsonObject = field(default_factory=dict[str, object])
    meta: JsonObject = field(default_factory=dict[str, object])
    priority: int = 0
    preempts: bool = True
    error: str = ""


class _Cluster:
    """Nodes and pods as the manifests have them, and whoever judges by them."""

    def __init__(self, setup: Setup, seed: int) -> None:
        self.nodes = NodeTable()
        self.classes = Classes()
        self.residents = Residents()
        self.nominator = Nominator()
        self.yielding = Yielding(self.nominator)
        self.profiles = setup.profiles
        self.engines = {
            name: Scheduler(profile=profile, seed=seed, classes=self.classes, nodes=self.nodes)
            for name, profile in setup.profiles.items()
        }
        self.preemption = Preemption(self.residents, self.nominator, Budgets())
        self._judge = Judge(self.engines, self.preemption, self.nominator, self.residents, lambda _name: None)

    def judge(self, pod: QueuedPod) -> Judgement:
        """The judgement on one pod. No extender is asked: they might do more than answer."""
        try:
            next(self._judge.judge(pod, self.profiles[pod.profile].around.preemption))
        except StopIteration as stop:
            found: Judgement = stop.value
            return found
        raise AssertionError("somebody is to be asked, although there is nobody")


def schedule(
    nodes: Iterable[JsonObject],
    pods: Iterable[JsonObject],
    *,
    priority_classes: Iterable[JsonObject] = (),
    seed: int = 0,
    setup: Setup | None = None,
) -> list[Verdict]:
    """A verdict for every pending pod, in the order of scheduling: by priority, then as given."""
    cluster = _Cluster(setup if setup is not None else Setup.plain(), seed)
    unread = [refusal for node in _items(nodes) if (refusal := _put(cluster, node)) is not None]
    classes = _classes(priority_classes)
    pending = [pod for one in _items(pods) if (pod := _read(cluster, one, classes)) is not None]
    pending.sort(key=lambda pod: -pod.priority)
    return [_verdict(cluster, pod, unread) for pod in pending]


def _verdict(cluster: _Cluster, pod: _Candidate, unread: list[NodeRefusal]) -> Verdict:
    if pod.error:
        return Verdict(pod.namespace, pod.name, "error", pod.error)
    theirs = str(pod.spec.get("schedulerName") or DEFAULT_SCHEDULER)
    if theirs not in cluster.engines:
        return Verdict(pod.namespace, pod.name, "ignored", f"left to scheduler {theirs[:253]!r}")
    gates = pod.spec.get("schedulingGates")
    if gates:
        return Verdict(pod.namespace, pod.name, "gated", f"waiting for scheduling gates: [{_names(gates)}]")
    pods = cluster.classes.of(pod.spec, meta=pod.meta, namespace=pod.namespace)
    if pods.malformed:
        return Verdict(pod.namespace, pod.name, "error", pods.malformed, nodes=cluster.nodes.count)
    queued = QueuedPod(
        _record(pod.namespace, pod.name, pod.meta, pod.spec),
        pods,
        pod.priority,
        0.0,
        profile=theirs,
        preempts=pod.preempts,
    )
    standing = cluster.engines[theirs].standing(pods)
    overlay = cluster.yielding.overlay(queued, standing)
    mask = feasible(standing, overlay)
    scores = tuple(sorted(_scores(standing, mask), key=lambda one: (-one.score, one.node)))
    refused = tuple(sorted([*refused_nodes(standing, overlay), *unread]))
    judgement = cluster.judge(queued)
    decision = judgement.decision
    if decision.refusal is not None:
        return _refused(cluster, queued, judgement, decision.refusal, refused)
    cluster.nodes.add_pod(decision.node, pods)
    best = tuple(sorted(scores, key=lambda one: one.node != decision.node))
    message = f"Successfully assigned {pod.namespace}/{pod.name} to {decision.node}"
    return Verdict(
        pod.namespace, pod.name, "scheduled", message, decision.node, decision.nodes, best, refused
    )


def _refused(
    cluster: _Cluster,
    pod: QueuedPod,
    judgement: Judgement,
    refusal: Refusal,
    refused: tuple[NodeRefusal, ...],
) -> Verdict:
    """The verdict on a pod without a node: who would have to go, if that helps, and what those after it yield
    to."""
    victims: tuple[str, ...] = ()
    nominated = ""
    match judgement.room:
        case Candidate() as room:
            nominated = room.node
            victims = tuple(victim.key.display for victim in room.victims)
            refusal = refusal.and_then(found_room(room))
            cluster.nominator.nominate(pod, nominated)
        case Fruitless() as nothing:
            refusal = refusal.and_then(nothing.message)
        case None:
            pass
    return Verdict(
        pod.key.namespace,
        pod.key.name,
        "unschedulable",
        refusal.message,
        nodes=refusal.nodes,
        refused=refused,
        nominated=nominated,
        victims=victims,
    )


def _record(
    namespace: str, name: str, meta: JsonObject, spec: JsonObject, status: JsonObject | None = None
) -> Pod:
    """What the scheduler reads of a pod, without whatever else the manifest holds."""
    return Pod.read(
        {
            "metadata": {
                "name": host_name(namespace, name),
                "namespace": "",
                "uid": str(meta.get("uid") or f"{namespace}/{name}"),
                **{key: meta[key] for key in ("labels", "deletionTimestamp") if meta.get(key)},
            },
            "spec": {key: spec[key] for key in ("nodeName", "schedulerName", "priority") if spec.get(key)},
            "status": {key: status[key] for key in ("startTime", "conditions") if status.get(key)}
            if status
            else {},
        }
    )


def _scores(standing: Standing, mask: BoolArray) -> Iterator[NodeScore]:
    for place in mask.nonzero()[0].tolist():
        node = standing.nodes.names[standing.row(place)]
        yield NodeScore(node, int(standing.total[place]), standing.shares(place))


def _put(cluster: _Cluster, node: JsonObject) -> NodeRefusal | None:
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
            images_of(status),
        )
        cluster.nodes.put_node(facts)
    except _UNREADABLE as error:
        return NodeRefusal(name, "", (f"the node's manifest cannot be read: {_why(error)}"[:256],))
    return None


def _read(cluster: _Cluster, pod: JsonObject, classes: PriorityClasses) -> _Candidate | None:
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
            node, pods = (
                str(spec["nodeName"]),
                cluster.classes.of(spec, meta=meta, namespace=namespace, bound=True),
            )
            record = _record(namespace, name, meta, spec, status)
            cluster.nodes.add_pod(node, pods)
            cluster.residents.remove(record.key)
            cluster.residents.add(Resident(record, node, pods, classes.of(spec).value))
            return None
        priority = classes.of(spec)
        return _Candidate(namespace, name, spec, meta, priority.value, priority.preempts)
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
