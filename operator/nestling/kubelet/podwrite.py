"""How a decision about a pod becomes a write: the smallest patch, on the version that was seen.

Status fields of others stay as they are; lists are replaced as a whole, so every write that carries one
names the version it was decided on.
"""

from collections.abc import Iterable, Iterator
from typing import Final, cast

import orjson

from nestling.api.json import JsonObject
from nestling.api.kinds import POD
from nestling.kubelet.admission import Rejection
from nestling.kubelet.container import Said
from nestling.kubelet.display import pod_display
from nestling.kubelet.merge import merge_patch
from nestling.kubelet.qos import qos_class
from nestling.kubelet.stamp import stamp
from nestling.machinery.plan import Emit, Patch, Plan, Write
from nestling.machinery.records.pod import KUBELET_FINALIZER, SCHEDULING_ANNOTATION, Pod

COMPONENT: Final = "kubelet"
# The scheduler's explanation is bounded where it is written; what is larger than this is not its work.
LARGEST_EXPLANATION: Final = 16_384
_OWNED: Final = frozenset(
    [
        "phase",
        "reason",
        "message",
        "observedGeneration",
        "startTime",
        "qosClass",
        "hostIP",
        "hostIPs",
        "podIP",
        "podIPs",
        "conditions",
        "containerStatuses",
        "initContainerStatuses",
        "display",
        "nominatedNodeName",  # once it is there nobody makes room for it any more
    ]
)


def running_containers(status: JsonObject) -> int:
    """How many containers run, for the metrics."""
    count = 0
    for group in ("containerStatuses", "initContainerStatuses"):
        for entry in status.get(group) or ():
            count += "running" in entry["state"]
    return count


def difference(old: JsonObject, status: JsonObject) -> JsonObject:
    """What to patch: all owned fields if the status is whole (it has a phase), else only those it names."""
    names = _OWNED.union(status) if "phase" in status else status.keys()
    return merge_patch({name: old[name] for name in names if name in old}, status)


def outlives(record: Pod) -> bool:
    """Whether others keep the object after we have let go, so that the end of its containers must be told."""
    return any(name != KUBELET_FINALIZER for name in record.finalizers) and not record.terminal


def let_go(record: Pod, said: Iterable[Write], *, why: str) -> Plan | None:
    """Drop our finalizer."""
    if KUBELET_FINALIZER not in record.finalizers:
        return None
    rest = [name for name in record.finalizers if name != KUBELET_FINALIZER]
    # The list is replaced as a whole: only on the version that we have seen.
    body: JsonObject = {"metadata": {"finalizers": rest}}
    return Plan.of(Patch(POD, record.key, record.uid, body, version=record.version), *said, why=why)


def rejected(record: Pod, body: JsonObject, rejection: Rejection, now: float) -> Plan:
    """Fail a pod that its node does not take."""
    old: JsonObject = body.get("status") or {}
    spec: JsonObject = body["spec"]
    status: JsonObject = {
        "phase": "Failed",
        "reason": rejection.reason,
        "message": f"Pod was rejected: {rejection.message}",
        "startTime": stamp(now),
        "qosClass": qos_class(spec),
        "observedGeneration": record.generation,
    }
    if old.get("conditions"):
        status["conditions"] = old["conditions"]
    status["display"] = pod_display(spec, status, deleting=record.deleting)
    patch = difference(old, status)
    write = Patch(
        POD, record.key, record.uid, {"status": patch}, version=record.version, subresource="status"
    )
    said = Emit(POD, record.key, record.uid, "Warning", rejection.reason, rejection.message, COMPONENT)
    return Plan.of(write, said, why="its node does not take it")


def explanation(body: JsonObject) -> JsonObject | None:
    """The scheduler's account of the placement, as its bind write left it in an annotation."""
    text = (body["metadata"].get("annotations") or {}).get(SCHEDULING_ANNOTATION)
    if not text or len(text) > LARGEST_EXPLANATION:
        return None
    try:
        found = orjson.loads(text)
    except ValueError:
        return None
    return cast("JsonObject", found) if isinstance(found, dict) else None


def remember(moments: dict[int, float], now: float) -> None:
    """Keep the fraction of the second that a status is about to lose; of the last few writes, not of all."""
    moments[int(now)] = now
    while len(moments) > 8:
        del moments[next(iter(moments))]


def events(record: Pod, said: Iterable[Said], *, routine: bool) -> Iterator[Emit]:
    """What to tell people about a pod; without `routine`, only what went wrong."""
    for kind, reason, message in said:
        if kind == "Warning" or routine:
            yield Emit(POD, record.key, record.uid, kind, reason, message, COMPONENT)


def status_patch(record: Pod, patch: JsonObject) -> Patch:
    """The write of a status."""
    return Patch(POD, record.key, record.uid, {"status": patch}, version=record.version, subresource="status")
