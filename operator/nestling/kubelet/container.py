"""One container from its last known status to its status now.

The status is the only memory: when a run began, how often there was one, what a back-off waits for, all
stand in `containerStatuses`. So a kubelet that was killed goes on from what the host has. Times there are
whole seconds; the visit's `exact` gives back the fraction where this process still knows it.
Source: Kubernetes 1.37, pkg/kubelet/kuberuntime (computePodActions, startContainer, doBackOff) and
convertToAPIContainerStatuses in pkg/kubelet/kubelet_pods.go.
"""

import math
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from nestling.api.json import JsonObject
from nestling.api.kinds import Uid
from nestling.kubelet import backoff, probing
from nestling.kubelet.condition import should_restart
from nestling.kubelet.runtimes.runtime import Container, Runtime
from nestling.kubelet.stamp import moment, stamp

PULL_BACKOFF_AFTER_S: Final = 10.0
"""From the first failed pull to the second look, which finds it in back-off."""

KILLED, STOPPED, LOST_IN_REBOOT = 137, 143, 255
MOST_HOOK_S: Final = 3600


class Said(NamedTuple):
    """One event about the pod."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


class Visit:
    """One look at one pod: what holds for all its containers, and what the look brings to light."""

    __slots__ = (
        "annotations",
        "booted_at",
        "default_run_s",
        "default_start_delay_s",
        "moments",
        "now",
        "once",
        "operations",
        "pod",
        "runtime",
        "said",
        "seed",
        "spec",
        "stamp",
        "uid",
        "wake_at",
    )

    def __init__(
        self,
        *,
        runtime: Runtime,
        uid: Uid,
        pod: str,
        spec: JsonObject,
        annotations: Mapping[str, str],
        now: float,
        seed: int = 0,
        default_start_delay_s: float = 0.0,
        booted_at: float = 0.0,
        moments: Mapping[int, float] | None = None,
        default_run_s: float | None = None,
        once: frozenset[str] = frozenset(),
    ) -> None:
        self.runtime = runtime
        self.uid = uid
        self.pod = pod  # name_namespace(uid), as messages name it
        self.spec = spec
        self.annotations = annotations
        self.now = now
        self.stamp = stamp(now)
        self.seed = seed
        self.default_start_delay_s = default_start_delay_s
        self.booted_at = booted_at
        self.moments = moments or {}
        self.default_run_s = default_run_s
        self.once = once  # regular init containers: they have to end, and to end well only once
        self.wake_at = math.inf
        self.said: list[Said] = []
        self.operations: list[str] = []

    def exact(self, text: str | None) -> float:
        """Seconds of a timestamp, with the fraction if we wrote it ourselves since we were started."""
        whole = moment(text or "")
        return self.moments.get(int(whole), whole) if self.moments else whole

    def wake(self, when: float) -> None:
        """Ask for another look at `when`; the earliest wins."""
        self.wake_at = min(self.wake_at, when)

    def tell(self, kind: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """Report one event."""
        self.said.append(Said(kind, reason, message))

    def container(self, spec: JsonObject) -> Container:
        """The container as its runtime sees it."""
        default_run_s = 0.0 if spec["name"] in self.once else self.default_run_s
        return Container(
            self.uid, spec, self.annotations, self.seed, self.default_start_delay_s, default_run_s
        )


def advance(visit: Visit, spec: JsonObject, old: JsonObject | None, anchor: float) -> JsonObject:
    """The status of a container that is allowed to run. `anchor` is when its turn came."""
    if old is not None:
        state: JsonObject = old.get("state") or {}
        if "running" in state:
            return _running(visit, spec, old)
        if "terminated" in state:
            return _ended(visit, spec, old, state["terminated"])
        last: JsonObject | None = (old.get("lastState") or {}).get("terminated")
        if last is not None:
            return _backing_off(visit, spec, old, last)
    return _first_start(visit, spec, old, anchor)


def waiting(spec: JsonObject, reason: str, message: str = "", *, old: JsonObject | None = None) -> JsonObject:
    """The status of a container that does not run (yet)."""
    said: JsonObject = {"reason": reason, "message": message} if message else {"reason": reason}
    entry: JsonObject = {
        "name": spec["name"],
        "image": spec.get("image") or "",
        "imageID": "",
        "ready": False,
        "started": False,
        "restartCount": old.get("restartCount", 0) if old else 0,
        "state": {"waiting": said},
    }
    last = old.get("lastState") if old else None
    if last:
        entry["lastState"] = last
    return entry


def stopped(old: JsonObject, at: float, code: int = STOPPED, reason: str = "Error") -> JsonObject:
    """The status of a container after the kubelet has ended its run; one that does not run stays as it is."""
    running = (old.get("state") or {}).get("running")
    if running is None:
        return old
    ended: JsonObject = {
        "exitCode": code,
        "reason": "Completed" if code == 0 else reason,
        "startedAt": running.get("startedAt"),
        "finishedAt": stamp(at),
        "containerID": old.get("containerID", ""),
    }
    return {**old, "ready": False, "started": False, "state": {"terminated": ended}}


def is_running(entry: JsonObject | None) -> bool:
    """Whether a container status says that the container runs."""
    return entry is not None and "running" in (entry.get("state") or {})


def stop_time(visit: Visit, spec: JsonObject, entry: JsonObject) -> float:
    """Seconds that a running container takes to stop if nobody kills it: its hook, then its own time."""
    hook = _hook_sleep(spec, "preStop")
    return hook + visit.runtime.stop(visit.container(spec), entry.get("restartCount", 0))


def _first_start(visit: Visit, spec: JsonObject, old: JsonObject | None, anchor: float) -> JsonObject:
    container = visit.container(spec)
    pull = visit.runtime.pull(container)
    if pull.error:
        return _no_image(visit, spec, old, anchor, pull.error, pull.message)
    due = anchor + pull.seconds + _hook_sleep(spec, "postStart")
    if due > visit.now:
        visit.wake(due)
        if pull.seconds and old is None:
            visit.tell("Normal", "Pulling", f'Pulling image "{spec.get("image")}"')
        return waiting(spec, "ContainerCreating", old=old)
    image = spec.get("image") or ""
    if pull.seconds:
        took = f"{pull.seconds:g}s"
        pulled = (
            f'Successfully pulled image "{image}" in {took} ({took} including waiting). Image size: 0 bytes.'
        )
    else:
        pulled = f'Container image "{image}" already present on machine and can be accessed by the pod'
    visit.tell("Normal", "Pulled", pulled)
    visit.operations.append("pull_image")
    return _start(visit, spec, container, 0, None)


def _no_image(
    visit: Visit, spec: JsonObject, old: JsonObject | None, anchor: float, error: str, message: str
) -> JsonObject:
    """A container whose image cannot be had: first the error, then the back-off, which never ends here."""
    image = spec.get("image") or ""
    said = ((old or {}).get("state") or {}).get("waiting") or {}
    known = said.get("reason") if (old or {}).get("image") == image else None
    if error == "ErrImagePull":
        if known in {"ErrImagePull", "ImagePullBackOff"} and visit.now >= anchor + PULL_BACKOFF_AFTER_S:
            if known == "ErrImagePull":
                visit.tell("Normal", "BackOff", f'Back-off pulling image "{image}"')
                visit.tell("Warning", "Failed", "Error: ImagePullBackOff")
            told = f'Back-off pulling image "{image}": ErrImagePull: {message}'
            return waiting(spec, "ImagePullBackOff", told, old=old)
        visit.wake(max(anchor + PULL_BACKOFF_AFTER_S, visit.now))
    if known is None or known not in {error, "ImagePullBackOff"}:
        if error == "ErrImagePull":
            visit.operations.append("pull_image:error")
            visit.tell("Normal", "Pulling", f'Pulling image "{image}"')
            visit.tell("Warning", "Failed", f'Failed to pull image "{image}": {message}')
        elif error == "ErrImageNeverPull":
            visit.tell("Warning", "ErrImageNeverPull", message)
        else:
            visit.tell("Warning", "InspectFailed", message)
        visit.tell("Warning", "Failed", f"Error: {error}")
    elif known == "ImagePullBackOff":
        return waiting(spec, known, said.get("message", ""), old=old)
    return waiting(spec, error, message, old=old)


def _running(visit: Visit, spec: JsonObject, old: JsonObject) -> JsonObject:
    attempt: int = old.get("restartCount", 0)
    started = visit.exact(old["state"]["running"].get("startedAt"))
    container = visit.container(spec)
    if old.get("image") and old["image"] != spec.get("image"):
        told = f"Container {spec['name']} definition changed, will be restarted"
        visit.tell("Normal", "Killing", told)
        visit.operations.append("stop_container")
        return _restart(visit, spec, old, stopped(old, visit.now)["state"]["terminated"])
    if started < visit.booted_at:
        ended = stopped(old, visit.booted_at, LOST_IN_REBOOT, "Unknown")
        return _ended(visit, spec, ended, ended["state"]["terminated"], at_once=True)
    run = visit.runtime.start(container, attempt)
    marks = _marks(visit, spec, container, attempt)
    ends = math.inf if run.ends_after is None else started + run.ends_after
    killed = started + marks.killed_after
    if min(ends, killed) <= visit.now:
        if killed < ends:
            return _killed_by_probe(visit, spec, old, marks, killed)
        ended = stopped(old, ends, run.exit_code)
        return _ended(visit, spec, ended, ended["state"]["terminated"])
    return _settle(visit, old, started, marks, min(ends, killed))


def _killed_by_probe(
    visit: Visit, spec: JsonObject, old: JsonObject, marks: probing.Marks, at: float
) -> JsonObject:
    policy = spec.get("restartPolicy") or visit.spec.get("restartPolicy") or "Always"
    tail = ", will be restarted" if policy != "Never" else ""
    kind = "Startup" if marks.killed_by == "startup" else "Liveness"
    visit.tell("Warning", "Unhealthy", f"{kind} probe failed: the simulated container does not answer")
    visit.tell("Normal", "Killing", f"Container {spec['name']} failed {marks.killed_by} probe{tail}")
    visit.operations.append("stop_container")
    ended = stopped(old, at, KILLED)
    return _ended(visit, spec, ended, ended["state"]["terminated"])


def _settle(visit: Visit, entry: JsonObject, started: float, marks: probing.Marks, ends: float) -> JsonObject:
    """A running container's flags now, and the wake-up for the next turn."""
    now = visit.now
    is_started = started + marks.started_after <= now
    is_ready = started + marks.ready_after <= now < started + marks.unready_after
    for turn in (started + marks.started_after, started + marks.ready_after, started + marks.unready_after):
        if now < turn < ends:
            visit.wake(turn)
    if ends < math.inf:
        visit.wake(ends)
    if entry.get("ready") and not is_ready:
        visit.tell("Warning", "Unhealthy", "Readiness probe failed: the simulated container does not answer")
    if entry.get("ready") == is_ready and entry.get("started") == is_started:
        return entry
    return {**entry, "ready": is_ready, "started": is_started}


def _marks(visit: Visit, spec: JsonObject, container: Container, attempt: int) -> probing.Marks:
    if not visit.annotations and not (
        "readinessProbe" in spec or "startupProbe" in spec or "livenessProbe" in spec
    ):
        return probing.PLAIN
    return probing.marks_of(spec, lambda kind: visit.runtime.probe(container, attempt, kind))


def _ended(
    visit: Visit, spec: JsonObject, entry: JsonObject, ended: JsonObject, *, at_once: bool = False
) -> JsonObject:
    """A container whose run is over: done for good, started again, or sent to wait."""
    if entry.get("image") and entry["image"] != spec.get("image"):
        return _restart(visit, spec, entry, ended)
    code: int = ended.get("exitCode", 0)
    if not should_restart(spec, visit.spec, code) or (code == 0 and spec["name"] in visit.once):
        return entry
    if at_once:
        return _restart(visit, spec, entry, ended)
    finished, started = visit.exact(ended.get("finishedAt")), visit.exact(ended.get("startedAt"))
    before: JsonObject | None = (entry.get("lastState") or {}).get("terminated")
    waited = started - visit.exact(before["finishedAt"]) if before and before.get("finishedAt") else None
    delay = backoff.delay(entry.get("restartCount", 0), waited_s=waited, ran_s=finished - started)
    if finished + delay <= visit.now:
        return _restart(visit, spec, entry, ended)
    visit.wake(finished + delay)
    told = f"Back-off restarting failed container {spec['name']} in pod {visit.pod}"
    visit.tell("Warning", "BackOff", told)
    return _crash_loop(visit, spec, {**entry, "lastState": {"terminated": ended}}, delay)


def _crash_loop(visit: Visit, spec: JsonObject, entry: JsonObject, delay: int) -> JsonObject:
    message = backoff.message(delay, spec["name"], visit.pod)
    found = waiting(spec, "CrashLoopBackOff", message, old=entry)
    return {**found, "imageID": entry.get("imageID", ""), "containerID": entry.get("containerID", "")}


def _backing_off(visit: Visit, spec: JsonObject, old: JsonObject, last: JsonObject) -> JsonObject:
    said: JsonObject = old["state"].get("waiting") or {}
    delay = backoff.told(said.get("message") or "")
    if delay is None:  # not our text: as long as the count of restarts asks for
        delay = backoff.delay(old.get("restartCount", 0), waited_s=math.inf, ran_s=0)
    due = visit.exact(last["finishedAt"]) + delay if last.get("finishedAt") else visit.now
    if due > visit.now and old.get("image") == spec.get("image"):
        visit.wake(due)
        return old
    return _restart(visit, spec, old, last)


def _restart(visit: Visit, spec: JsonObject, entry: JsonObject, ended: JsonObject) -> JsonObject:
    container = visit.container(spec)
    pull = visit.runtime.pull(container)
    if pull.error:  # the image was changed to one that does not exist
        kept = {**entry, "lastState": {"terminated": ended}}
        return waiting(spec, pull.error, pull.message, old=kept)
    present = (
        f'Container image "{spec.get("image")}" already present on machine and can be accessed by the pod'
    )
    visit.tell("Normal", "Pulled", present)
    return _start(visit, spec, container, entry.get("restartCount", 0) + 1, ended)


def _start(
    visit: Visit, spec: JsonObject, container: Container, attempt: int, last: JsonObject | None
) -> JsonObject:
    """The status of a container that starts now; one whose run is over at once is taken to its end."""
    runtime = visit.runtime
    run = runtime.start(container, attempt)
    visit.tell("Normal", "Created", "Container created")
    visit.tell("Normal", "Started", "Container started")
    visit.operations.extend(("create_container", "start_container"))
    image: str = spec.get("image") or ""
    entry: JsonObject = {
        "name": spec["name"],
        "image": image,
        "imageID": runtime.image_id(image),
        "containerID": runtime.create(container, attempt),
        "ready": True,
        "started": True,
        "restartCount": attempt,
        "state": {"running": {"startedAt": visit.stamp}},
    }
    if last is not None:
        entry["lastState"] = {"terminated": last}
    resources: JsonObject | None = spec.get("resources")
    if resources:
        entry["resources"] = resources
        if resources.get("requests"):
            entry["allocatedResources"] = resources["requests"]
    mounts = spec.get("volumeMounts")
    if mounts:
        entry["volumeMounts"] = [_mount(mount) for mount in mounts]
    marks = _marks(visit, spec, container, attempt)
    if run.ends_after is not None and run.ends_after <= 0:
        ended = stopped(entry, visit.now, run.exit_code)
        return _ended(visit, spec, ended, ended["state"]["terminated"])
    if marks is probing.PLAIN and run.ends_after is None:
        return entry
    entry["ready"] = False  # so that a probe that has not passed yet is no failure worth an event
    ends = math.inf if run.ends_after is None else run.ends_after
    return _settle(visit, entry, visit.now, marks, visit.now + min(ends, marks.killed_after))


def _mount(mount: JsonObject) -> JsonObject:
    found: JsonObject = {"name": mount.get("name", ""), "mountPath": mount.get("mountPath", "")}
    if mount.get("readOnly"):
        found["readOnly"] = True
        found["recursiveReadOnly"] = "Disabled"
    return found


def _hook_sleep(spec: JsonObject, hook: str) -> float:
    """Seconds that a sleep hook takes; other hooks have nothing to act on and take no time."""
    lifecycle: JsonObject | None = spec.get("lifecycle")
    if not lifecycle:
        return 0.0
    sleep: JsonObject = (lifecycle.get(hook) or {}).get("sleep") or {}
    return float(min(max(sleep.get("seconds") or 0, 0), MOST_HOOK_S))
