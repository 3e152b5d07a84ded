"""What the containers of a pod use at a moment, as a metrics server or cAdvisor would tell it.

Pure: read off the pod's own status and its annotations, for the simulated runtime knows its curves for all
time. A container that does not run uses nothing that anybody could measure.
Source: Kubernetes 1.37, pkg/kubelet/stats.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Final

from nestling.api.json import JsonObject
from nestling.api.kinds import Uid
from nestling.api.requests import is_sidecar
from nestling.kubelet.runtimes.runtime import Container, Runtime, Usage
from nestling.kubelet.runtimes.simulated import Simulated
from nestling.machinery.clock import seconds_or
from nestling.machinery.records.pod import TERMINAL_PHASES, Pod
from nestling.machinery.usage import ContainerUsage

_RUNTIME: Final = Simulated()


@dataclass(frozen=True, slots=True)
class _Measured:
    """One container that runs: its part of the spec and of the status, since when it runs, and its usage."""

    spec: JsonObject
    entry: JsonObject
    started_at: float
    usage: Usage


def usage_of(pod: JsonObject, now: float) -> Mapping[str, Mapping[str, int]]:
    """Thousandths of `cpu` (cores) and `memory` (bytes) per container or sidecar that runs at `now`."""
    return {
        one.spec["name"]: {"cpu": ceil(one.usage.cpu_milli), "memory": one.usage.memory_bytes * 1000}
        for one in _running(pod, now, _RUNTIME)
    }


def of_pod(record: Pod, runtime: Runtime, now: float) -> Iterator[ContainerUsage]:
    """Each container and sidecar of a bound pod that runs at `now`."""
    for one in _running(record.body, now, runtime):
        yield ContainerUsage(
            record.key,
            record.node_name,
            one.spec["name"],
            one.spec.get("image") or "",
            one.entry.get("containerID") or "",
            one.started_at,
            one.usage.cpu_milli,
            one.usage.cpu_seconds,
            one.usage.memory_bytes,
        )


def _running(pod: JsonObject, now: float, runtime: Runtime) -> Iterator[_Measured]:
    status: JsonObject = pod.get("status") or {}
    if status.get("phase") in TERMINAL_PHASES:
        return
    spec: JsonObject = pod.get("spec") or {}
    meta: JsonObject = pod["metadata"]
    entries = {
        one["name"]: one
        for field in ("containerStatuses", "initContainerStatuses")
        for one in status.get(field) or ()
    }
    sidecars = [one for one in spec.get("initContainers") or () if is_sidecar(one)]
    for one in (*(spec.get("containers") or ()), *sidecars):
        entry: JsonObject = entries.get(one["name"]) or {}
        running = (entry.get("state") or {}).get("running")
        if running is None:
            continue
        container = Container(Uid(meta["uid"]), one, meta.get("annotations") or {})
        started_at = seconds_or(running.get("startedAt"), now)
        attempt: int = entry.get("restartCount") or 0
        yield _Measured(one, entry, started_at, runtime.stats(container, attempt, max(now - started_at, 0.0)))
