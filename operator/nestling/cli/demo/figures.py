"""The figures at the end of the demo: a burst of pods, timed from outside and counted from the operator's
metrics.

Times are taken where a user would take them: on a watch of the API server, from the event that shows a
pod created to the event that shows it Running.
"""

import asyncio
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from nestling.api.kinds import POD
from nestling.cli.demo.stage import Stage


@dataclass(slots=True)
class Burst:
    """Monotonic seconds at which each pod of a burst was first seen, and first seen Running."""

    created: dict[str, float] = field(default_factory=dict[str, float])
    running: dict[str, float] = field(default_factory=dict[str, float])

    @property
    def pods_per_s(self) -> float:
        """Pods that reached Running per second, from the first creation on."""
        return len(self.running) / max(max(self.running.values()) - min(self.created.values()), 1e-9)

    @property
    def latencies_s(self) -> list[float]:
        """Created to Running, per pod, in ascending order."""
        return sorted(self.running[name] - self.created[name] for name in self.running)

    def quantile_s(self, share: float) -> float:
        """The latency that `share` of the pods do not exceed."""
        found = self.latencies_s
        return found[min(int(share * len(found)), len(found) - 1)]

    @property
    def median_s(self) -> float:
        """The middle latency."""
        return statistics.median(self.latencies_s)


async def watch_burst(stage: Stage, selector: str, count: int, started: asyncio.Event) -> Burst:
    """Watch pods of `selector` until `count` of them have been Running once.

    Sets `started` when it is listening.
    """
    burst = Burst()
    version = (await stage.client.list(POD, stage.cluster, selector=selector)).version
    started.set()
    while len(burst.running) < count:
        async for event in stage.client.watch(POD, stage.cluster, version=version, selector=selector):
            now = time.monotonic()
            meta = event["object"]["metadata"]
            version = int(meta["resourceVersion"])
            if event["type"] == "BOOKMARK":
                continue
            name = meta["name"]
            burst.created.setdefault(name, now)
            if (event["object"].get("status") or {}).get("phase") == "Running":
                burst.running.setdefault(name, now)
            if len(burst.running) >= count:
                break
    return burst


def writes_by_kind(metrics: str) -> dict[str, float]:
    """Successful host writes per kind, from the text of the operator's /metrics."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(metrics):
        if family.name == "nestling_host_writes":
            for sample in family.samples:
                if sample.name.endswith("_total") and sample.labels["result"] == "ok":
                    kind = sample.labels["kind"]
                    found[kind] = found.get(kind, 0.0) + sample.value
    return found


def process_figures(metrics: str) -> Mapping[str, float]:
    """CPU seconds and resident bytes of the operator, from the text of its /metrics."""
    wanted = {"process_cpu_seconds_total", "process_resident_memory_bytes"}
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if sample.name in wanted
    }
