"""One step of a pod's life: from what its status says to what it should say now, and when to look again.

A pure function of the pod's JSON, of where it runs and of the time. It knows nothing of writes: the
machine turns the difference into a patch. What has been reached stands in the status itself, so a step
after a crash continues.
Source: Kubernetes 1.37, pkg/kubelet (syncPod, generateAPIPodStatus, active_deadline.go, killPod).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from nestling.api.json import JsonObject
from nestling.api.kinds import JOB, Uid
from nestling.api.requests import is_sidecar
from nestling.kubelet import container as containers
from nestling.kubelet.condition import conditions_of, has_run, phase_of
from nestling.kubelet.container import Said, Visit
from nestling.kubelet.display import pod_display
from nestling.kubelet.qos import qos_class
from nestling.kubelet.runtimes.annotation import PREFIX
from nestling.kubelet.runtimes.runtime import Runtime
from nestling.kubelet.stamp import moment, stamp
from nestling.machinery.names import Key
from nestling.machinery.records.pod import DELETION_GRACE, TERMINAL_PHASES

# A start that takes less than this is not worth a write that says it is under way.
BRIEF_S: Final = 1.0
# Containers of a Job are there to end: this long after their start, unless an annotation says otherwise.
JOB_RUN_S: Final = 1.0
NO_NAMES: Final = frozenset[str]()
# A container that does not heed the signal to stop is killed no sooner than this.
LEAST_GRACE_S: Final = 2.0
DEFAULT_GRACE_S: Final = 30

DEADLINE_REASON: Final = "DeadlineExceeded"
DEADLINE_MESSAGE: Final = "Pod was active on the node longer than the specified deadline"


@dataclass(frozen=True, slots=True)
class Site:
    """Where a pod runs and under what settings. `admitted_at` is when this process took the pod on."""

    node_ip: str
    pod_ip: str
    admitted_at: float
    booted_at: float = 0.0
    seed: int = 0
    start_delay_s: float = 0.0
    moments: Mapping[int, float] | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What a look at a pod decided.

    `status` holds the fields the kubelet owns, None if it has nothing to say yet. `wake_at` is None when
    only a change can make a difference. `stopped` says that no container runs any more, nor will.
    """

    status: JsonObject | None
    wake_at: float | None = None
    said: tuple[Said, ...] = ()
    operations: tuple[str, ...] = ()
    stopped: bool = False
    why: str = ""


def step(key: Key, body: JsonObject, site: Site, runtime: Runtime, now: float) -> Step:
    """Look at one bound and admitted pod."""
    meta: JsonObject = body["metadata"]
    spec: JsonObject = body["spec"]
    old: JsonObject = body.get("status") or {}
    visit = _visit(key, meta, spec, site, runtime, now)
    if old.get("phase") in TERMINAL_PHASES:
        return Step(None, stopped=True, why="has run its course")
    if meta.get("deletionTimestamp"):
        return _terminate(visit, meta, spec, old, site)
    _complain(visit, spec, old)
    began = visit.exact(old["startTime"]) if old.get("startTime") else site.admitted_at
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and began + deadline <= now:
        return _past_deadline(visit, meta, spec, old, site, began + deadline)
    entries, initialized = _containers(visit, spec, old, began)
    if deadline is not None:
        visit.wake(began + deadline)
    phase = phase_of(spec, entries, initialized=initialized)
    is_brief = visit.wake_at - now < BRIEF_S and not visit.operations  # nothing has begun that must be kept
    if phase == "Pending" and not old.get("startTime") and is_brief:
        return Step(None, visit.wake_at, tuple(visit.said), why="starts in a moment")
    if spec.get("initContainers"):
        end = phase_of(spec, entries, initialized=initialized, with_sidecars=False)
        if end in TERMINAL_PHASES:
            lingering = _stop_sidecars(visit, spec, entries)
            phase = end
            if lingering is not None:
                visit.wake(lingering)
                phase = "Running" if initialized else "Pending"
    status = _status(visit, meta, spec, old, site, entries, phase)
    return _step(visit, status, why=f"is {phase}", stopped=phase in TERMINAL_PHASES)


def _visit(key: Key, meta: JsonObject, spec: JsonObject, site: Site, runtime: Runtime, now: float) -> Visit:
    annotations: dict[str, str] = meta.get("annotations") or {}
    return Visit(
        runtime=runtime,
        uid=Uid(meta["uid"]),
        pod=f"{key.name}_{key.namespace}({meta['uid']})",
        spec=spec,
        annotations={k: v for k, v in annotations.items() if k.startswith(PREFIX) or k == DELETION_GRACE}
        if annotations
        else {},
        now=now,
        seed=site.seed,
        default_start_delay_s=site.start_delay_s,
        booted_at=site.booted_at,
        moments=site.moments,
        default_run_s=JOB_RUN_S if _is_of_job(meta) else None,
        once=_once(spec["initContainers"]) if spec.get("initContainers") else NO_NAMES,
    )


def _once(inits: list[JsonObject]) -> frozenset[str]:
    return frozenset(c["name"] for c in inits if not is_sidecar(c))


def _is_of_job(meta: JsonObject) -> bool:
    return any(owner.get("kind") == JOB.name for owner in meta.get("ownerReferences") or ())


def _complain(visit: Visit, spec: JsonObject, old: JsonObject) -> None:
    """Say once, with the first status, what is wrong with the simulation's annotations."""
    if not visit.annotations or old.get("startTime"):
        return
    told = dict.fromkeys(
        complaint
        for group in ("initContainers", "containers")
        for container in spec.get(group) or ()
        for complaint in visit.runtime.complaints(visit.container(container))
    )
    for complaint in told:
        visit.tell("Warning", "InvalidSimulation", complaint)


def _containers(
    visit: Visit, spec: JsonObject, old: JsonObject, began: float
) -> tuple[dict[str, JsonObject], bool]:
    """The statuses of all containers by name, and whether initialization has been completed at any time."""
    before = _known(spec, old)
    entries: dict[str, JsonObject] = {}
    mains: list[JsonObject] = spec.get("containers") or []
    initialized = any(has_run(before.get(main["name"])) for main in mains)
    anchor = began
    for init in spec.get("initContainers") or ():
        name = init["name"]
        if initialized and not is_sidecar(init):
            entries[name] = before.get(name) or _taken_as_done(visit, init)
            continue
        if anchor == math.inf:
            entries[name] = before.get(name) or containers.waiting(init, "PodInitializing")
            continue
        entry = containers.advance(visit, init, before.get(name), anchor)
        if is_sidecar(init):
            entries[name] = entry
            if not initialized:
                anchor = max(anchor, _began(visit, entry)) if entry.get("started") else math.inf
            continue
        ended = (entry.get("state") or {}).get("terminated")
        done = ended is not None and ended.get("exitCode") == 0
        # An init container is never started: the field speaks of sidecars.
        entries[name] = {**entry, "ready": done, "started": False}
        if not initialized:
            anchor = max(anchor, visit.exact(ended.get("finishedAt"))) if done and ended else math.inf
    for main in mains:
        name = main["name"]
        if initialized or anchor < math.inf:
            entries[name] = containers.advance(visit, main, before.get(name), anchor)
        else:
            entries[name] = before.get(name) or containers.waiting(main, "PodInitializing")
    return entries, initialized or any(has_run(entries[main["name"]]) for main in mains)


def _known(spec: JsonObject, old: JsonObject) -> dict[str, JsonObject]:
    """Container statuses by name, as far as they say something of containers of this pod."""
    found: dict[str, JsonObject] = {}
    for group, statuses in (("initContainers", "initContainerStatuses"), ("containers", "containerStatuses")):
        entries: list[JsonObject] | None = old.get(statuses)
        if entries:
            names = {container["name"] for container in spec.get(group) or ()}
            found.update({e["name"]: e for e in entries if e.get("state") and e["name"] in names})
    return found


def _began(visit: Visit, entry: JsonObject) -> float:
    running: JsonObject = (entry.get("state") or {}).get("running") or {}
    return visit.exact(running["startedAt"]) if running.get("startedAt") else visit.now


def _taken_as_done(visit: Visit, init: JsonObject) -> JsonObject:
    entry = containers.waiting(init, "PodInitializing")
    ended: JsonObject = {
        "exitCode": 0,
        "reason": "Completed",
        "startedAt": visit.stamp,
        "finishedAt": visit.stamp,
        "message": "Unable to get init container status from container runtime and pod has been initialized, "
        "treat it as exited normally",
    }
    return {**entry, "ready": True, "state": {"terminated": ended}}


def _stop_sidecars(visit: Visit, spec: JsonObject, entries: dict[str, JsonObject]) -> float | None:
    """End the sidecars of a pod whose main containers are done; when they will have ended, None if they
    have.
    """
    running = [c for c in spec.get("initContainers") or () if containers.is_running(entries.get(c["name"]))]
    if not running:
        return None
    ended = [
        visit.exact(found["finishedAt"])
        for entry in entries.values()
        if (found := (entry.get("state") or {}).get("terminated")) and found.get("finishedAt")
    ]
    due = max(ended, default=visit.now) + _stop_time(visit, spec, running, entries)
    if due > visit.now:
        return due
    for sidecar in running:
        visit.tell("Normal", "Killing", f"Stopping container {sidecar['name']}")
        visit.operations.append("stop_container")
        entries[sidecar["name"]] = containers.stopped(entries[sidecar["name"]], due)
    return None


def _stop_time(
    visit: Visit, spec: JsonObject, running: list[JsonObject], entries: Mapping[str, JsonObject]
) -> float:
    """Seconds until all of `running` have stopped: main containers together, then sidecars one by one.

    Whoever is not done by the end of the grace period is killed.
    """
    grace = spec.get("terminationGracePeriodSeconds")
    asked = visit.annotations.get(DELETION_GRACE, "")
    if asked.isdecimal():
        grace = int(asked)
    grace = max(float(DEFAULT_GRACE_S if grace is None else grace), LEAST_GRACE_S)
    sidecars = {c["name"] for c in spec.get("initContainers") or () if is_sidecar(c)}
    together, after = 0.0, 0.0
    for container in running:
        takes = containers.stop_time(visit, container, entries[container["name"]])
        if container["name"] in sidecars:
            after += takes
        else:
            together = max(together, takes)
    return min(together + after, grace)


def _running(spec: JsonObject, old: JsonObject) -> tuple[list[JsonObject], dict[str, JsonObject]]:
    """The containers (of the spec) that run according to `old`, and all their statuses."""
    entries = _known(spec, old)
    running = [
        container
        for group in ("initContainers", "containers")
        for container in spec.get(group) or ()
        if containers.is_running(entries.get(container["name"]))
    ]
    return running, entries


def _end(
    visit: Visit,
    running: list[JsonObject],
    entries: dict[str, JsonObject],
    *,
    since: float,
    due: float,
) -> dict[str, JsonObject]:
    """The statuses after all of `running` were stopped, with the signal that ended each."""
    for container in running:
        name = container["name"]
        takes = containers.stop_time(visit, container, entries[name])
        code = containers.STOPPED if since + takes <= due else containers.KILLED
        entries[name] = containers.stopped(entries[name], min(since + takes, due), code)
        visit.operations.append("stop_container")
    return entries


def _past_deadline(
    visit: Visit, meta: JsonObject, spec: JsonObject, old: JsonObject, site: Site, deadline: float
) -> Step:
    running, entries = _running(spec, old)
    due = deadline + _stop_time(visit, spec, running, entries)
    if due > visit.now:
        visit.wake(due)
        return _step(visit, None, why="stops after its deadline")
    visit.tell("Normal", DEADLINE_REASON, DEADLINE_MESSAGE)
    for container in running:
        visit.tell("Normal", "Killing", f"Stopping container {container['name']}")
    entries = _end(visit, running, entries, since=deadline, due=due)
    for group in ("initContainers", "containers"):
        for container in spec.get(group) or ():
            entries.setdefault(container["name"], containers.waiting(container, "ContainerCreating"))
    status = _status(visit, meta, spec, old, site, entries, "Failed")
    status.update(reason=DEADLINE_REASON, message=DEADLINE_MESSAGE)
    status["display"] = pod_display(spec, status, deleting=False)
    return _step(visit, status, why="exceeded its deadline", stopped=True)


def _terminate(visit: Visit, meta: JsonObject, spec: JsonObject, old: JsonObject, site: Site) -> Step:
    """A pod that somebody has asked to delete: stop what runs, then say so."""
    since = moment(meta["deletionTimestamp"])
    running, entries = _running(spec, old)
    for container in [c for c in running if _began(visit, entries[c["name"]]) < visit.booted_at]:
        lost = entries[container["name"]]
        entries[container["name"]] = containers.stopped(
            lost, visit.booted_at, containers.LOST_IN_REBOOT, "Unknown"
        )
        running.remove(container)
    due = since + _stop_time(visit, spec, running, entries)
    for container in running:
        visit.tell("Normal", "Killing", f"Stopping container {container['name']}")
    if due > visit.now:
        visit.wake(due)
        display: JsonObject = {**(old.get("display") or {}), "status": "Terminating"}
        status = {"display": display} if due - visit.now >= BRIEF_S else None
        return _step(visit, status, why="is stopping")
    if not old.get("startTime"):
        return _step(visit, None, why="never started", stopped=True)
    entries = _end(visit, running, entries, since=since, due=due)
    phase = phase_of(spec, entries, initialized=True, stopped=True)
    status = _status(visit, meta, spec, old, site, entries, phase if phase in TERMINAL_PHASES else "Failed")
    return _step(visit, status, why="has stopped", stopped=True)


def _step(visit: Visit, status: JsonObject | None, *, why: str, stopped: bool = False) -> Step:
    wake_at = None if stopped or visit.wake_at == math.inf else visit.wake_at
    return Step(status, wake_at, tuple(visit.said), tuple(visit.operations), stopped, why)


def _status(
    visit: Visit,
    meta: JsonObject,
    spec: JsonObject,
    old: JsonObject,
    site: Site,
    entries: Mapping[str, JsonObject],
    phase: str,
) -> JsonObject:
    """The fields of the status that the kubelet owns."""
    generation: int = meta.get("generation", 0)
    status: JsonObject = {
        "phase": phase,
        "observedGeneration": generation,
        "startTime": old.get("startTime") or stamp(site.admitted_at),
        "qosClass": old.get("qosClass") or qos_class(spec),
        "hostIP": site.node_ip,
        "hostIPs": [{"ip": site.node_ip}],
        "podIP": site.pod_ip,
        "podIPs": [{"ip": site.pod_ip}],
        "conditions": conditions_of(
            spec,
            phase,
            entries,
            old.get("conditions") or [],
            generation=generation,
            stamp=visit.stamp,
            has_sandbox=phase not in TERMINAL_PHASES,
        ),
        "containerStatuses": [entries[c["name"]] for c in spec.get("containers") or ()],
    }
    inits: list[JsonObject] = spec.get("initContainers") or []
    if inits:
        status["initContainerStatuses"] = [entries[c["name"]] for c in inits]
    if phase == old.get("phase"):  # a reason belongs to the phase it was given for
        status.update({field: old[field] for field in ("reason", "message") if old.get(field)})
    status["display"] = pod_display(spec, status, deleting=bool(meta.get("deletionTimestamp")))
    return status
