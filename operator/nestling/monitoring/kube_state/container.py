"""Series of the containers and the init containers of a pod.

The two groups have the same families under two prefixes, but for a few that only one of them has.
Source: kube-state-metrics 2.x, internal/store/pod.go.
"""

from dataclasses import dataclass
from typing import Final

from nestling.api.json import JsonObject
from nestling.monitoring.kube_state.family import Family, Page
from nestling.monitoring.kube_state.reading import flag, resources, unix_time

POD_IDENTITY: Final = ("cluster", "namespace", "pod", "uid")

_ONE: Final = ("container",)
_WITH_REASON: Final = ("container", "reason")
_RESOURCE: Final = ("container", "node", "resource", "unit")
_IMAGE: Final = ("container", "image_spec", "image", "image_id", "container_id")


def _family(name: str, text: str, labels: tuple[str, ...] = _ONE) -> Family:
    return Family(name, text, POD_IDENTITY, labels)


@dataclass(frozen=True, slots=True)
class Group:
    """The families of one group of containers; `spec` and `status` are the fields they are read from."""

    spec: str
    status: str
    info: Family
    requests: Family
    limits: Family
    ready: Family
    restarts: Family
    running: Family
    terminated: Family
    terminated_reason: Family
    last_terminated_reason: Family
    waiting: Family
    waiting_reason: Family

    @property
    def families(self) -> tuple[Family, ...]:
        """All of them, in the order in which they are served."""
        return (
            self.info,
            self.requests,
            self.limits,
            self.ready,
            self.restarts,
            self.running,
            self.terminated,
            self.terminated_reason,
            self.last_terminated_reason,
            self.waiting,
            self.waiting_reason,
        )


def _group(prefix: str, who: str, spec: str, status: str, *more: str) -> Group:
    def state(name: str, text: str, labels: tuple[str, ...] = _ONE) -> Family:
        return _family(f"{prefix}_status_{name}", f"{text} of {who}.", labels)

    return Group(
        spec=spec,
        status=status,
        info=_family(f"{prefix}_info", f"Image and identity of {who}; always 1.", (*_IMAGE, *more)),
        requests=_family(f"{prefix}_resource_requests", f"What {who} asks for, by resource.", _RESOURCE),
        limits=_family(f"{prefix}_resource_limits", f"What {who} may use at most, by resource.", _RESOURCE),
        ready=state("ready", "Readiness"),
        restarts=Family(
            f"{prefix}_status_restarts_total", f"Restarts of {who}.", POD_IDENTITY, _ONE, type="counter"
        ),
        running=state("running", "Whether the state is running,"),
        terminated=state("terminated", "Whether the state is terminated,"),
        terminated_reason=state("terminated_reason", "Why the state is terminated,", _WITH_REASON),
        last_terminated_reason=state(
            "last_terminated_reason", "Why the previous run has terminated,", _WITH_REASON
        ),
        waiting=state("waiting", "Whether the state is waiting,"),
        waiting_reason=state("waiting_reason", "Why the state is waiting,", _WITH_REASON),
    )


CONTAINERS: Final = _group("kube_pod_container", "a container", "containers", "containerStatuses")
INIT_CONTAINERS: Final = _group(
    "kube_pod_init_container",
    "an init container",
    "initContainers",
    "initContainerStatuses",
    "restart_policy",
)
STARTED: Final = _family("kube_pod_container_state_started", "When a container has started (Unix time).")
LAST_EXIT_CODE: Final = _family(
    "kube_pod_container_status_last_terminated_exitcode", "Exit code of a container's previous run."
)
LAST_FINISHED: Final = _family(
    "kube_pod_container_status_last_terminated_timestamp",
    "When a container's previous run has terminated (Unix time).",
)

FAMILIES: Final = (
    *CONTAINERS.families,
    STARTED,
    LAST_EXIT_CODE,
    LAST_FINISHED,
    *INIT_CONTAINERS.families,
)


def write_containers(who: str, body: JsonObject, page: Page) -> None:
    """All series of the containers of one pod."""
    spec: JsonObject = body.get("spec") or {}
    status: JsonObject = body.get("status") or {}
    for group in (CONTAINERS, INIT_CONTAINERS):
        _write_specs(group, who, spec, page)
        _write_statuses(group, who, spec, status, page)
    for state in status.get("containerStatuses") or ():
        _write_times(who, state, page)


def _write_specs(group: Group, who: str, spec: JsonObject, page: Page) -> None:
    node = spec.get("nodeName") or ""
    for container in spec.get(group.spec) or ():
        wanted: JsonObject = container.get("resources") or {}
        for family, part in ((group.requests, "requests"), (group.limits, "limits")):
            for resource, unit, amount in resources(wanted.get(part)):
                page[family].add(who, amount, container["name"], node, resource, unit)


def _write_statuses(group: Group, who: str, spec: JsonObject, status: JsonObject, page: Page) -> None:
    found = status.get(group.status)
    if not found:
        return
    specs: dict[str, JsonObject] = {one["name"]: one for one in spec.get(group.spec) or ()}
    for container in found:
        name = container["name"]
        state: JsonObject = container.get("state") or {}
        waiting, terminated = state.get("waiting"), state.get("terminated")
        page[group.ready].add(who, flag(container.get("ready")), name)
        page[group.restarts].add(who, container.get("restartCount") or 0, name)
        page[group.running].add(who, 1 if state.get("running") is not None else 0, name)
        page[group.waiting].add(who, 1 if waiting is not None else 0, name)
        page[group.terminated].add(who, 1 if terminated is not None else 0, name)
        if waiting is not None:
            page[group.waiting_reason].add(who, 1, name, waiting.get("reason") or "")
        if terminated is not None:
            page[group.terminated_reason].add(who, 1, name, terminated.get("reason") or "")
        last = (container.get("lastState") or {}).get("terminated")
        if last is not None:
            page[group.last_terminated_reason].add(who, 1, name, last.get("reason") or "")
        own = specs.get(name)
        if own is not None:
            _write_info(group, who, own, container, page)


def _write_info(group: Group, who: str, spec: JsonObject, status: JsonObject, page: Page) -> None:
    values = (
        status["name"],
        spec.get("image") or "",
        status.get("image") or "",
        status.get("imageID") or "",
        status.get("containerID") or "",
    )
    more = (spec.get("restartPolicy") or "",) if group is INIT_CONTAINERS else ()
    page[group.info].add(who, 1, *values, *more)


def _write_times(who: str, container: JsonObject, page: Page) -> None:
    name = container["name"]
    state: JsonObject = container.get("state") or {}
    run: JsonObject = state.get("running") or state.get("terminated") or {}
    started = unix_time(run.get("startedAt"))
    if started is not None:
        page[STARTED].add(who, started, name)
    last = (container.get("lastState") or {}).get("terminated")
    if last is not None:
        page[LAST_EXIT_CODE].add(who, last.get("exitCode") or 0, name)
        finished = unix_time(last.get("finishedAt"))
        if finished is not None:
            page[LAST_FINISHED].add(who, finished, name)
