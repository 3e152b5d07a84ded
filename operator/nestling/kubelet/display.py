"""What kubectl computes for its columns, kept in `status.display` so that a CRD's printer columns can show
it.

Source: Kubernetes 1.37, pkg/printers/internalversion/printers.go (printPod, printNode). Ages are left to
the reader: RESTARTS is the plain number.
"""

from collections.abc import Iterable, Mapping

from nestling.api.json import JsonObject
from nestling.api.requests import is_sidecar

_ROLE = "node-role.kubernetes.io/"


def pod_display(spec: JsonObject, status: JsonObject, *, deleting: bool) -> JsonObject:
    """READY, STATUS, RESTARTS and READINESS GATES of a pod."""
    containers: list[JsonObject] = spec.get("containers") or []
    inits: dict[str, JsonObject] = {c["name"]: c for c in spec.get("initContainers") or ()}
    phase: str = status.get("phase") or "Pending"
    conditions: list[JsonObject] = status.get("conditions") or []
    reason = status.get("reason") or phase
    for condition in conditions:
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            reason = "SchedulingGated"
    total = len(containers) + sum(map(is_sidecar, inits.values()))
    ready = 0
    restarts, sidecar_restarts = 0, 0
    initializing = False
    for index, entry in enumerate(status.get("initContainerStatuses") or ()):
        sidecar = is_sidecar(inits.get(entry["name"], {}))
        restarts += entry.get("restartCount", 0)
        sidecar_restarts += entry.get("restartCount", 0) if sidecar else 0
        said = _init_reason(entry, index, len(inits), sidecar=sidecar)
        if said is None:
            ready += bool(sidecar and entry.get("started") and entry.get("ready"))
            continue
        reason, initializing = said, True
        break
    if not initializing or _is_true(conditions, "Initialized"):
        restarts = sidecar_restarts
        entries: list[JsonObject] = status.get("containerStatuses") or []
        restarts += sum(entry.get("restartCount", 0) for entry in entries)
        running = sum(1 for e in entries if e.get("ready") and "running" in e.get("state", {}))
        ready += running
        reason = _main_reason(
            entries, reason, is_ready=_is_true(conditions, "Ready"), has_running=running > 0
        )
    if deleting and status.get("reason") == "NodeLost":
        reason = "Unknown"
    elif deleting and phase not in {"Succeeded", "Failed"}:
        reason = "Terminating"
    shown: JsonObject = {"ready": f"{ready}/{total}", "status": reason, "restarts": str(restarts)}
    gates: list[JsonObject] | None = spec.get("readinessGates")
    if gates:
        met = sum(_is_true(conditions, gate.get("conditionType", "")) for gate in gates)
        shown["readinessGates"] = f"{met}/{len(gates)}"
    return shown


def _init_reason(entry: JsonObject, index: int, total: int, *, sidecar: bool) -> str | None:
    """What an init container makes of the STATUS column; None if it is done and the next one decides."""
    state: JsonObject = entry.get("state") or {}
    ended: JsonObject | None = state.get("terminated")
    waiting: JsonObject = state.get("waiting") or {}
    if ended is not None and ended.get("exitCode") == 0:
        return None
    if sidecar and entry.get("started"):
        return None
    if ended is not None:
        return f"Init:{ended.get('reason') or _code(ended)}"
    if waiting.get("reason") and waiting["reason"] != "PodInitializing":
        return f"Init:{waiting['reason']}"
    return f"Init:{index}/{total}"


def _main_reason(entries: Iterable[JsonObject], reason: str, *, is_ready: bool, has_running: bool) -> str:
    """What the main containers make of it: the first that is in trouble, in the order of the spec."""
    failed = ""
    for entry in reversed(list(entries)):
        state: JsonObject = entry.get("state") or {}
        waiting: JsonObject = state.get("waiting") or {}
        ended: JsonObject | None = state.get("terminated")
        if waiting.get("reason"):
            reason = waiting["reason"]
        elif ended is not None:
            reason = ended.get("reason") or _code(ended)
            failed = reason if ended.get("exitCode") != 0 else failed
    if reason != "Completed":
        return reason
    if has_running and is_ready:
        return "Running"
    return failed or ("NotReady" if has_running else reason)


def _code(ended: JsonObject) -> str:
    return f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode', 0)}"


def _is_true(conditions: Iterable[JsonObject], kind: str) -> bool:
    return any(c.get("type") == kind and c.get("status") == "True" for c in conditions)


def node_display(
    labels: Mapping[str, str], conditions: Iterable[JsonObject], *, unschedulable: bool
) -> JsonObject:
    """STATUS and ROLES of a node."""
    said = "Unknown"
    for condition in conditions:
        if condition.get("type") == "Ready":
            said = "Ready" if condition.get("status") == "True" else "NotReady"
    roles = sorted(
        role for label in labels if label.startswith(_ROLE) and (role := label.removeprefix(_ROLE))
    )
    status = f"{said},SchedulingDisabled" if unschedulable else said
    return {"status": status, "roles": ",".join(roles) or "<none>"}
