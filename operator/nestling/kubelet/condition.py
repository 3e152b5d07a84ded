"""Phase and conditions of a pod, from its containers' states.

Source: Kubernetes 1.37, pkg/kubelet/status/generate.go and getPhase in pkg/kubelet/kubelet_pods.go.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from nestling.api.json import JsonObject
from nestling.api.requests import is_sidecar

# Written by us; every other condition belongs to somebody else and survives.
OURS: Final = frozenset(
    {"PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"}
)
_TRUE: Final = ("True", "", "")


def should_restart(container: JsonObject, spec: JsonObject, exit_code: int) -> bool:
    """Whether a container that ended with this code is started again."""
    policy = container.get("restartPolicy")
    if policy is not None:
        for rule in container.get("restartPolicyRules") or ():
            codes: JsonObject = rule.get("exitCodes") or {}
            listed = exit_code in (codes.get("values") or ())
            if listed == (codes.get("operator") == "In") and codes:
                return True
    else:
        policy = spec.get("restartPolicy") or "Always"
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def phase_of(
    spec: JsonObject,
    entries: Mapping[str, JsonObject],
    *,
    initialized: bool,
    stopped: bool = False,
    with_sidecars: bool = True,
) -> str:
    """The phase. `entries` are the container statuses by name.

    `stopped` says that nothing will be restarted; without sidecars it is the phase that the pod will have
    once they have ended too.
    """
    pending = 0
    running = 0
    for container in spec.get("initContainers") or ():
        entry = entries.get(container["name"], {})
        state: JsonObject = entry.get("state") or {}
        if is_sidecar(container):
            if not with_sidecars:
                continue
            if "running" in state:
                running += 1
                pending += not entry.get("started") and not initialized
            elif "terminated" not in state and not _last(entry):
                pending += 1
            continue
        ended = state.get("terminated") or (_last(entry) if "waiting" in state else None)
        if ended is None:
            pending += 1
        elif ended.get("exitCode") != 0 and (
            stopped or not should_restart(container, spec, ended.get("exitCode", 0))
        ):
            return "Failed"
    waiting = ended_for_good = succeeded = ended_all = 0
    for container in spec.get("containers") or ():
        entry = entries.get(container["name"], {})
        state = entry.get("state") or {}
        ended = state.get("terminated") or (_last(entry) if "waiting" in state else None)
        if "running" in state:
            running += 1
        elif ended is not None:
            code = ended.get("exitCode", 0)
            ended_all += 1
            ended_for_good += stopped or not should_restart(container, spec, code)
            # A container that waits for its next run has not come to an end, whatever its last run was.
            succeeded += code == 0
        else:
            waiting += 1
    if pending or waiting:
        return "Pending"
    if running:
        return "Running"
    if ended_all != ended_for_good:
        return "Running"
    return "Succeeded" if ended_all == succeeded else "Failed"


def _last(entry: JsonObject) -> JsonObject | None:
    return (entry.get("lastState") or {}).get("terminated")


def conditions_of(
    spec: JsonObject,
    phase: str,
    entries: Mapping[str, JsonObject],
    old: Sequence[JsonObject],
    *,
    generation: int,
    stamp: str,
    has_sandbox: bool = True,
) -> list[JsonObject]:
    """All conditions of a pod: foreign ones as they are, then ours.

    A transition time changes with the status only; `stamp` is now.
    """
    foreign = [entry for entry in old if entry.get("type") not in OURS]
    before = {entry.get("type"): entry for entry in old}
    sandbox = _TRUE if has_sandbox else ("False", "PodSandboxNotReady", "pod sandbox is not ready")
    containers_ready = _containers_ready(spec, phase, entries)
    ready = containers_ready
    if ready is _TRUE and spec.get("readinessGates"):
        ready = _gates(spec["readinessGates"], before)
    return [
        *foreign,
        _entry("PodReadyToStartContainers", sandbox, before, generation, stamp),
        _entry("Initialized", _initialized(spec, phase, entries), before, generation, stamp),
        _entry("Ready", ready, before, generation, stamp),
        _entry("ContainersReady", containers_ready, before, generation, stamp),
        _entry("PodScheduled", _TRUE, before, generation, stamp),
    ]


def _entry(
    kind: str,
    said: tuple[str, str, str],
    before: Mapping[str | None, JsonObject],
    generation: int,
    stamp: str,
) -> JsonObject:
    status, reason, message = said
    old = before.get(kind)
    since = (old.get("lastTransitionTime") or stamp) if old and old.get("status") == status else stamp
    entry: JsonObject = {
        "type": kind,
        "status": status,
        "observedGeneration": generation,
        "lastTransitionTime": since,
    }
    if reason:
        entry["reason"] = reason
    if message:
        entry["message"] = message
    return entry


def _containers_ready(
    spec: JsonObject, phase: str, entries: Mapping[str, JsonObject]
) -> tuple[str, str, str]:
    if phase == "Succeeded":
        return "False", "PodCompleted", ""
    if phase == "Failed":
        return "False", "PodFailed", ""
    counted = [c for c in spec.get("initContainers") or () if is_sidecar(c)]
    counted.extend(spec.get("containers") or ())
    unready = [c["name"] for c in counted if not entries.get(c["name"], {}).get("ready")]
    if not unready:
        return _TRUE
    return "False", "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"


def _gates(gates: Iterable[JsonObject], conditions: Mapping[str | None, JsonObject]) -> tuple[str, str, str]:
    missing: list[str] = []
    for gate in gates:
        kind = gate.get("conditionType", "")
        found = conditions.get(kind)
        if found is None:
            missing.append(f'corresponding condition of pod readiness gate "{kind}" does not exist.')
        elif found.get("status") != "True":
            missing.append(
                f'the status of pod readiness gate "{kind}" is not "True", but {found.get("status")}'
            )
    return ("False", "ReadinessGatesNotReady", ", ".join(missing)) if missing else _TRUE


def _initialized(spec: JsonObject, phase: str, entries: Mapping[str, JsonObject]) -> tuple[str, str, str]:
    inits: list[JsonObject] = spec.get("initContainers") or []
    if phase == "Succeeded":
        return "True", "PodCompleted", ""
    if not inits or any(has_run(entries.get(c["name"])) for c in spec.get("containers") or ()):
        return _TRUE
    missing = [c["name"] for c in inits if not _is_initialized(c, entries.get(c["name"], {}))]
    if not missing:
        return _TRUE
    return "False", "ContainersNotInitialized", f"containers with incomplete status: [{' '.join(missing)}]"


def _is_initialized(container: JsonObject, entry: JsonObject) -> bool:
    return bool(entry.get("started") if is_sidecar(container) else entry.get("ready"))


def has_run(entry: JsonObject | None) -> bool:
    """Whether a container has been started at least once."""
    if not entry:
        return False
    state: JsonObject = entry.get("state") or {}
    return "running" in state or "terminated" in state or _last(entry) is not None
