"""What a person wants to know about one pod: where it is and why there, or why it is nowhere.

Pure: reads the pod's status (what scheduler and kubelet wrote) and its events; the command prints the result.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import orjson

from nestling.api.json import JsonObject, JsonValue
from nestling.api.kinds import POD
from nestling.machinery.names import Key, key_of

ANNOTATION: Final = "nestling.dev/scheduling"
_MOST_EVENTS: Final = 10

# What a refusal's reason begins with, and what usually helps.
_ADVICE: Final = (
    ("Too many pods", "add nodes, or nodes with room for more pods"),
    ("Insufficient ", "ask for less, free some, or add nodes that have it"),
    ("node(s) had untolerated taint", "add a toleration, or nodes without the taint"),
    ("node(s) were unschedulable", "uncordon a node (spec.unschedulable)"),
    (
        "node(s) didn't match Pod's node affinity/selector",
        "change nodeSelector or node affinity, or label a node",
    ),
    ("node(s) didn't match the requested node name", "name a node that exists, or drop spec.nodeName"),
    ("node(s) didn't satisfy plugin(s)", "change what pins the pod to certain nodes, or add such a node"),
    ("node(s) didn't have free ports", "use another hostPort, or more nodes than pods that ask for it"),
    ("node(s) didn't match pod affinity", "start the pods it wants to be near, or relax the rule"),
    ("node(s) didn't match pod anti-affinity", "add nodes, or relax the rule"),
    ("node(s) didn't match pod topology spread", "add nodes to the emptier zones, or raise maxSkew"),
    ("no nodes available", "add nodes: apply a VirtualNodePool"),
)


@dataclass(frozen=True, slots=True)
class Reason:
    """How many nodes refused for one reason, and what helps."""

    nodes: int
    reason: str
    advice: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node that came close: with its score where it would do, with what it lacks where it would not."""

    node: str
    score: int | None = None
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Score:
    """What one plugin gave the chosen node, its weight included."""

    plugin: str
    score: int


@dataclass(frozen=True, slots=True)
class Container:
    """What one container does right now."""

    name: str
    state: str
    ready: bool
    restarts: int
    message: str = ""
    last_run: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of the pod."""

    type: str
    status: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Happening:
    """One event of the pod, the latest first."""

    last: str
    type: str
    reason: str
    message: str
    count: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything there is to say, in the order in which it matters."""

    pod: str
    host_namespace: str
    phase: str
    node: str
    nominated: str
    sentence: str
    next_step: str
    attempts: int
    nodes: int
    feasible: int
    reasons: tuple[Reason, ...]
    candidates: tuple[Candidate, ...]
    scores: tuple[Score, ...]
    containers: tuple[Container, ...]
    conditions: tuple[Condition, ...]
    events: tuple[Happening, ...]

    def to_json(self) -> JsonObject:
        """The explanation as JSON."""
        return asdict(self)


def explain(pod: JsonObject, events: Sequence[JsonObject], *, foreign: bool = False) -> Explanation:
    """Explain one VirtualPod; `foreign` says that its scheduler has no profile in the VirtualCluster."""
    metadata = pod["metadata"]
    key = key_of(POD, metadata.get("namespace", ""), metadata["name"])
    status = _object(pod.get("status"))
    found = scheduling_of(pod)
    conditions = tuple(_condition(one) for one in _objects(status.get("conditions")))
    containers = tuple(
        _container(one)
        for field in ("initContainerStatuses", "containerStatuses")
        for one in _objects(status.get(field))
    )
    node = str(_object(pod.get("spec")).get("nodeName") or "")
    reasons = tuple(
        Reason(int(one.get("count") or 0), str(one.get("reason")), advice(str(one.get("reason"))))
        for one in _objects(found.get("reasons"))
    )
    sentence, next_step = _why(key, pod, found, conditions, containers, foreign=foreign)
    return Explanation(
        pod=key.display,
        host_namespace=key.cluster,
        phase=_phase(pod),
        node=node,
        nominated="" if node else str(status.get("nominatedNodeName") or ""),
        sentence=sentence,
        next_step=next_step or next((one.advice for one in reasons if one.advice), ""),
        attempts=int(found.get("attempts") or 0),
        nodes=int(found.get("nodes") or 0),
        feasible=int(found.get("feasible") or 0),
        reasons=reasons,
        candidates=_candidates(found),
        scores=tuple(
            Score(str(one.get("plugin")), int(one.get("score") or 0)) for one in _objects(found.get("scores"))
        ),
        containers=containers,
        conditions=conditions,
        events=tuple(_happenings(events)),
    )


def scheduling_of(pod: JsonObject) -> JsonObject:
    """What the scheduler wrote: in the status, or still in the annotation that came with the node's name."""
    found = _object(_object(pod.get("status")).get("scheduling"))
    text = _object(pod["metadata"].get("annotations")).get(ANNOTATION)
    bound = bool(_object(pod.get("spec")).get("nodeName"))
    if isinstance(text, str) and (not found or (bound and not found.get("node"))):
        try:
            return _object(orjson.loads(text))
        except orjson.JSONDecodeError:
            return found
    return found


def advice(reason: str) -> str:
    """What usually helps against a refusal, empty if nothing general can be said."""
    return next((text for start, text in _ADVICE if reason.startswith(start)), "")


def _why(
    key: Key,
    pod: JsonObject,
    found: JsonObject,
    conditions: Sequence[Condition],
    containers: Sequence[Container],
    *,
    foreign: bool,
) -> tuple[str, str]:
    """The one sentence, and the next step where it is clear."""
    spec, metadata = _object(pod.get("spec")), pod["metadata"]
    if metadata.get("deletionTimestamp"):
        holders = ", ".join(metadata.get("finalizers") or ())
        return (
            f"it is being deleted{f'; held by {holders}' if holders else ''}",
            "wait for its containers to stop; if nobody runs it any more, `nestling doctor` says so",
        )
    if not spec.get("nodeName"):
        unscheduled = next(
            (one for one in conditions if one.type == "PodScheduled" and one.status == "False"), None
        )
        if unscheduled is not None:
            gated = unscheduled.reason == "SchedulingGated"
            return unscheduled.message, "remove its scheduling gates" if gated else ""
        if found.get("message"):
            return str(found["message"]), ""
        if foreign:
            name = spec["schedulerName"]
            sentence = f'it is left to scheduler "{name}": the VirtualCluster has no profile of that name'
            return (
                sentence,
                "start that scheduler, add a profile to spec.schedulerProfiles, or drop schedulerName",
            )
        return "no scheduler has looked at it yet", "see whether the scheduler runs: `nestling doctor`"
    placed = _placed(spec["nodeName"], found)
    troubled = next((one for one in containers if one.message or one.state in _TROUBLE), None)
    if troubled is not None:
        what = f"container {troubled.name} is in {troubled.state}"
        said = f": {troubled.message}" if troubled.message else ""
        return f"{placed}; {what}{said}", _TROUBLE.get(troubled.state, "")
    if _object(pod.get("status")).get("phase") in {None, "", "Pending"}:
        return f"{placed}; its kubelet has not started it yet", "" if containers else (
            f"see whether node {spec['nodeName']} is Ready: kubectl -n {key.cluster} get virtualnodes"
        )
    return placed, ""


_TROUBLE: Final = {
    "CrashLoopBackOff": "correct what the program does: how its last run ended stands below",
    "ImagePullBackOff": "correct the image's name",
    "ErrImagePull": "correct the image's name",
    "CreateContainerConfigError": "create the ConfigMap or Secret it names, in its virtual namespace",
    "RunContainerError": "correct the command",
}


def _placed(node: str, found: JsonObject) -> str:
    if found.get("node") != node:
        return f"it was given to node {node} without the scheduler"
    feasible, nodes = int(found.get("feasible") or 0), int(found.get("nodes") or 0)
    if feasible == 1:
        return f"node {node} was the only one of {nodes} that would do"
    return f"node {node} scored best ({found.get('score')}) of {feasible} that would do, of {nodes} in all"


def _candidates(found: JsonObject) -> tuple[Candidate, ...]:
    listed = [
        Candidate(
            str(one.get("node")),
            one["score"] if isinstance(one.get("score"), int) else None,
            tuple(str(reason) for reason in one.get("reasons") or ()),
        )
        for one in _objects(found.get("best"))
    ]
    winner = found.get("node")
    if winner and all(one.node != winner for one in listed):
        listed.insert(0, Candidate(str(winner), found.get("score")))
    return tuple(listed)


def _container(status: JsonObject) -> Container:
    state = _object(status.get("state"))
    name = str(status.get("name"))
    ready, restarts = bool(status.get("ready")), int(status.get("restartCount") or 0)
    waiting, ended = _object(state.get("waiting")), _object(state.get("terminated"))
    before = _ending(_object(_object(status.get("lastState")).get("terminated")))
    if waiting:
        reason, said = str(waiting.get("reason") or "Waiting"), str(waiting.get("message") or "")
        return Container(name, reason, ready, restarts, said, before)
    if ended:
        return Container(name, _ending(ended), ready, restarts, "", before)
    return Container(name, "Running" if "running" in state else "Waiting", ready, restarts, "", before)


def _ending(terminated: JsonObject) -> str:
    """How a run ended: `Error, exit code 3`."""
    if not terminated:
        return ""
    return f"{terminated.get('reason') or 'Terminated'}, exit code {terminated.get('exitCode', 0)}"


def _condition(condition: JsonObject) -> Condition:
    return Condition(*(str(condition.get(field) or "") for field in ("type", "status", "reason", "message")))


def _happenings(events: Sequence[JsonObject]) -> list[Happening]:
    found = [
        Happening(
            str(
                one.get("lastTimestamp")
                or one.get("eventTime")
                or one["metadata"].get("creationTimestamp")
                or ""
            ),
            str(one.get("type") or ""),
            str(one.get("reason") or ""),
            " ".join(str(one.get("message") or one.get("note") or "").split()),
            int(one.get("count") or 1),
        )
        for one in events
    ]
    # The host lists those of one second by name, the first one first.
    return sorted(found, key=lambda one: one.last)[::-1][:_MOST_EVENTS]


def _phase(pod: JsonObject) -> str:
    """What kubectl would show under STATUS."""
    status = _object(pod.get("status"))
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    return str(_object(status.get("display")).get("status") or status.get("phase") or "Pending")


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _objects(value: JsonValue) -> list[JsonObject]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
