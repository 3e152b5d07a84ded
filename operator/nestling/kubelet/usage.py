"""What the containers of a pod use at a moment, as a metrics server would tell it.

Pure: read off the pod's own status and its annotations, for the simulated runtime knows its curves for all
time. A container that does not run uses nothing that anybody could measure.
"""

from collections.abc import Mapping
from math import ceil
from typing import Final

from nestling.api.json import JsonObject
from nestling.api.kinds import Uid
from nestling.api.requests import is_sidecar
from nestling.kubelet.runtimes.runtime import Container
from nestling.kubelet.runtimes.simulated import Simulated
from nestling.machinery.clock import seconds_or
from nestling.machinery.records.pod import TERMINAL_PHASES

_RUNTIME: Final = Simulated()
_NOTHING: Final[Mapping[str, Mapping[str, int]]] = {}


def usage_of(pod: JsonObject, now: float) -> Mapping[str, Mapping[str, int]]:
    """Thousandths of `cpu` (cores) and `memory` (bytes) per container that runs at `now`."""
    status: JsonObject = pod.get("status") or {}
    if status.get("phase") in TERMINAL_PHASES:
        return _NOTHING
    spec: JsonObject = pod.get("spec") or {}
    meta: JsonObject = pod["metadata"]
    started = {
        one["name"]: running
        for field in ("containerStatuses", "initContainerStatuses")
        for one in status.get(field) or ()
        if (running := (one.get("state") or {}).get("running")) is not None
    }
    sidecars = [one for one in spec.get("initContainers") or () if is_sidecar(one)]
    found: dict[str, Mapping[str, int]] = {}
    for one in (*(spec.get("containers") or ()), *sidecars):
        running = started.get(one["name"])
        if running is None:
            continue
        container = Container(Uid(meta["uid"]), one, meta.get("annotations") or {})
        ran_for = max(now - seconds_or(running.get("startedAt"), now), 0.0)
        used = _RUNTIME.stats(container, 0, ran_for)
        found[one["name"]] = {"cpu": ceil(used.cpu_milli), "memory": used.memory_bytes * 1000}
    return found
