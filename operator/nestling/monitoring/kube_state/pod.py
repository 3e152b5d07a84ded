"""Series of pods; those of their containers are written by `container`.

A pod that nobody has written a status of counts as Pending: a native API server says so from the start.
Source: kube-state-metrics 2.x, internal/store/pod.go.
"""

from typing import Final

from nestling.api.json import JsonObject
from nestling.machinery.conditions import conditions_of
from nestling.machinery.records.pod import Pod
from nestling.monitoring.kube_state import container
from nestling.monitoring.kube_state.container import POD_IDENTITY, write_containers
from nestling.monitoring.kube_state.family import CONDITION_STATES, Exporter, Family, Page, identity_of
from nestling.monitoring.kube_state.reading import (
    OWNER_LABELS,
    add_owners,
    labels_family,
    owner_names,
    unix_time,
)

PHASES: Final = ("Pending", "Succeeded", "Failed", "Unknown", "Running")
QOS_CLASSES: Final = ("BestEffort", "Burstable", "Guaranteed")
REASONS: Final = ("Evicted", "NodeAffinity", "NodeLost", "Shutdown", "UnexpectedAdmissionError")
_INFO_LABELS: Final = (
    "host_ip",
    "pod_ip",
    "node",
    "created_by_kind",
    "created_by_name",
    "priority_class",
    "host_network",
)


def _family(name: str, text: str, labels: tuple[str, ...] = (), states: tuple[str, ...] = ()) -> Family:
    return Family(f"kube_pod_{name}", text, POD_IDENTITY, labels, states=states)


INFO: Final = _family("info", "Where a pod runs and what made it; always 1.", _INFO_LABELS)
IPS: Final = _family("ips", "Addresses of a pod.", ("ip", "ip_family"))
OWNER: Final = _family("owner", "What owns a pod.", OWNER_LABELS)
CREATED: Final = _family("created", "When a pod was created (Unix time).")
START_TIME: Final = _family("start_time", "When the kubelet took up a pod (Unix time).")
COMPLETION_TIME: Final = _family(
    "completion_time", "When the last terminated container of a pod has finished (Unix time)."
)
DELETION: Final = _family("deletion_timestamp", "By when a pod has to be gone (Unix time).")
RESTART_POLICY: Final = _family("restart_policy", "Restart policy of a pod.", ("type",))
TOLERATIONS: Final = _family(
    "tolerations", "Tolerations of a pod.", ("key", "operator", "value", "effect", "toleration_seconds")
)
LABELS: Final = labels_family("pod", POD_IDENTITY)
PHASE: Final = _family("status_phase", "Phase of a pod.", ("phase",), PHASES)
QOS_CLASS: Final = _family(
    "status_qos_class", "Quality of service class of a pod.", ("qos_class",), QOS_CLASSES
)
READY: Final = _family("status_ready", "Readiness of a pod.", ("condition",), CONDITION_STATES)
READY_TIME: Final = _family("status_ready_time", "When a pod became ready (Unix time).")
REASON: Final = _family("status_reason", "Why a pod is in the state it is in.", ("reason",))
SCHEDULED: Final = _family(
    "status_scheduled", "Whether a pod has been given a node.", ("condition",), CONDITION_STATES
)
SCHEDULED_TIME: Final = _family("status_scheduled_time", "When a pod was given a node (Unix time).")
UNSCHEDULABLE: Final = _family("status_unschedulable", "Pods that no node has room for; always 1.")


def write(pod: Pod, page: Page) -> None:
    """All series of one pod."""
    key = pod.key
    who = identity_of(POD_IDENTITY, key.cluster, key.namespace, key.name, pod.uid)
    body = pod.body
    spec: JsonObject = body.get("spec") or {}
    status: JsonObject = body.get("status") or {}
    _write_info(who, pod, spec, status, page)
    add_owners(page[OWNER], who, pod)
    page[CREATED].add(who, int(pod.created_at))
    if pod.deleting_at is not None:
        page[DELETION].add(who, int(pod.deleting_at))
    page[RESTART_POLICY].add(who, 1, spec.get("restartPolicy") or "Always")
    # Alike ones would make one series twice.
    for toleration in dict.fromkeys(map(_toleration, spec.get("tolerations") or ())):
        page[TOLERATIONS].add(who, 1, *toleration)
    for address in status.get("podIPs") or ():
        page[IPS].add(who, 1, address["ip"], "6" if ":" in address["ip"] else "4")
    _write_state(who, pod, body, page)
    write_containers(who, body, page)


def _write_info(who: str, pod: Pod, spec: JsonObject, status: JsonObject, page: Page) -> None:
    owner = pod.controller
    page[INFO].add(
        who,
        1,
        status.get("hostIP") or "",
        pod.ip,
        pod.node_name,
        *(owner_names(pod.key.cluster, owner) if owner is not None else ("", "")),
        spec.get("priorityClassName") or "",
        "true" if spec.get("hostNetwork") else "false",
    )


def _write_state(who: str, pod: Pod, body: JsonObject, page: Page) -> None:
    status: JsonObject = body.get("status") or {}
    page[PHASE].states(who, pod.phase or "Pending")
    if quality := status.get("qosClass"):
        page[QOS_CLASS].states(who, quality)
    if (started := unix_time(status.get("startTime"))) is not None:
        page[START_TIME].add(who, started)
    states: list[JsonObject] = [one.get("state") or {} for one in status.get("containerStatuses") or ()]
    ended: list[JsonObject] = [state["terminated"] for state in states if state.get("terminated")]
    finished = [time for one in ended if (time := unix_time(one.get("finishedAt"))) is not None]
    if finished:
        page[COMPLETION_TIME].add(who, max(finished))
    reasons = {status.get("reason")} | {one.get("reason") for one in ended}
    for condition in conditions_of(body):
        reasons.add(condition.get("reason"))
        _write_condition(who, condition, page)
    for reason in REASONS:
        page[REASON].add(who, 1 if reason in reasons else 0, reason)


def _write_condition(who: str, condition: JsonObject, page: Page) -> None:
    status = condition.get("status") or ""
    since = unix_time(condition.get("lastTransitionTime")) if status == "True" else None
    match condition.get("type"):
        case "Ready":
            page[READY].states(who, status.lower())
            if since is not None:
                page[READY_TIME].add(who, since)
        case "PodScheduled":
            page[SCHEDULED].states(who, status.lower())
            if since is not None:
                page[SCHEDULED_TIME].add(who, since)
            if status == "False":
                page[UNSCHEDULABLE].add(who, 1)
        case _:
            pass


def _toleration(toleration: JsonObject) -> tuple[str, ...]:
    seconds = toleration.get("tolerationSeconds")
    return (
        toleration.get("key") or "",
        toleration.get("operator") or "",
        toleration.get("value") or "",
        toleration.get("effect") or "",
        "" if seconds is None else str(seconds),
    )


EXPORTER: Final = Exporter(
    Pod,
    (
        INFO,
        IPS,
        OWNER,
        CREATED,
        START_TIME,
        COMPLETION_TIME,
        DELETION,
        RESTART_POLICY,
        TOLERATIONS,
        LABELS,
        PHASE,
        QOS_CLASS,
        READY,
        READY_TIME,
        REASON,
        SCHEDULED,
        SCHEDULED_TIME,
        UNSCHEDULABLE,
        *container.FAMILIES,
    ),
    write,
)
