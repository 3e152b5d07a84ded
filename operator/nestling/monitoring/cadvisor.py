"""cAdvisor for virtual containers: the `container_*` families that stock boards of resource usage build on.

Asks the process's kubelets, at each scrape, what their running containers use; nothing is remembered, so
series vanish with their container. CPU and memory follow the simulation's curves. Simulated containers send
and store nothing: their counters of networks and disks stand at 0, and their CPU is never throttled.

Served on `/metrics/cadvisor` by processes that play the role `kubelet`: a scrape target of its own, as on a
real kubelet, with `job="cadvisor"` and `honor_labels`.
Source: cAdvisor as the kubelet of Kubernetes 1.37 serves it, pkg/kubelet/server (names, labels).
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from nestling.machinery.usage import ContainerUsage
from nestling.monitoring.gzip_parts import Part
from nestling.monitoring.kube_state.family import Family, Section, identity_of

PATH: Final = "/metrics/cadvisor"
# A stretch longer than this gives way to the event loop; the clock is asked after that many containers.
STRETCH_S: Final = 0.003
LOOK_EVERY: Final = 8

CONTAINER: Final = ("cluster", "namespace", "pod", "container", "node", "image", "id", "name")
POD: Final = ("cluster", "namespace", "pod", "node", "image", "id")
NETWORK_INTERFACE: Final = "eth0"
DISK: Final = "/dev/vda"
PAUSE: Final = "pause"  # networks belong to a pod's sandbox, and boards want an image


def _of_container(name: str, text: str, labels: tuple[str, ...] = (), *, counter: bool = True) -> Family:
    return Family(f"container_{name}", text, CONTAINER, labels, "counter" if counter else "gauge")


def _of_pod(name: str, text: str) -> Family:
    return Family(f"container_network_{name}_total", text, POD, ("interface",), "counter")


START_TIME: Final = _of_container("start_time_seconds", "Start of a container (Unix time).", counter=False)
CPU_SECONDS: Final = _of_container("cpu_usage_seconds_total", "CPU time that a container has used.", ("cpu",))
CPU_PERIODS: Final = _of_container("cpu_cfs_periods_total", "Periods of CPU that a container has had.")
CPU_THROTTLED: Final = _of_container("cpu_cfs_throttled_periods_total", "Periods in which it was throttled.")
WORKING_SET: Final = _of_container("memory_working_set_bytes", "Memory in use.", counter=False)
RSS: Final = _of_container("memory_rss", "Anonymous memory in use.", counter=False)
USAGE: Final = _of_container("memory_usage_bytes", "Memory in use, caches included.", counter=False)
CACHE: Final = _of_container("memory_cache", "Memory of caches.", counter=False)
SWAP: Final = _of_container("memory_swap", "Memory swapped out.", counter=False)
DISKS: Final = tuple(
    _of_container(f"fs_{verb}{what}_total", f"{text} of disks.", ("device",))
    for verb, what, text in (
        ("reads", "", "Reads"),
        ("reads", "_bytes", "Bytes read"),
        ("writes", "", "Writes"),
        ("writes", "_bytes", "Bytes written"),
    )
)
NETWORKS: Final = tuple(
    _of_pod(f"{way}_{what}", f"{what.replace('_', ' ').capitalize()}, {way} side.")
    for way in ("receive", "transmit")
    for what in ("bytes", "packets", "packets_dropped")
)
FAMILIES: Final = (
    START_TIME,
    CPU_SECONDS,
    CPU_PERIODS,
    CPU_THROTTLED,
    WORKING_SET,
    RSS,
    USAGE,
    CACHE,
    SWAP,
    *DISKS,
    *NETWORKS,
)
PERIODS_PER_S: Final = 10  # a period of the kernel's CPU bandwidth control is 100 ms
NOTHING: Final = 0


class Cadvisor:
    """The `container_*` families of what `usages` tells, made anew for each scrape."""

    def __init__(
        self,
        usages: Callable[[float], Iterable[ContainerUsage]],
        *,
        now: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._usages = usages
        self._now = now
        self._monotonic = monotonic

    async def scrape(self) -> Sequence[Part]:
        """The text of all families, in parts."""
        page = {family: Section(family) for family in FAMILIES}
        for _ in self._steps(page):
            await asyncio.sleep(0)
        return [section.finish() for section in page.values()]

    def _steps(self, page: Mapping[Family, Section]) -> Iterator[None]:
        """Write every container, and stop whenever it is time to give way."""
        now, until, sandbox = self._now(), self._monotonic() + STRETCH_S, None
        for count, found in enumerate(self._usages(now)):
            _write(found, now, page)
            if found.pod != sandbox:
                sandbox = found.pod
                _write_network(found, page)
            if count % LOOK_EVERY == 0 and self._monotonic() > until:
                yield
                until = self._monotonic() + STRETCH_S


def _write(found: ContainerUsage, now: float, page: Mapping[Family, Section]) -> None:
    key = found.pod
    who = identity_of(
        CONTAINER,
        key.cluster,
        key.namespace,
        key.name,
        found.container,
        found.node,
        found.image,
        f"/kubepods/{found.id.rpartition('/')[2]}",
        found.id.rpartition("/")[2],
    )
    page[START_TIME].add(who, found.started_at)
    page[CPU_SECONDS].add(who, found.cpu_seconds, "total")
    page[CPU_PERIODS].add(who, int(max(now - found.started_at, 0) * PERIODS_PER_S))
    for family in (CPU_THROTTLED, CACHE, SWAP):
        page[family].add(who, NOTHING)
    for family in (WORKING_SET, RSS, USAGE):
        page[family].add(who, found.memory_bytes)
    for family in DISKS:
        page[family].add(who, NOTHING, DISK)


def _write_network(found: ContainerUsage, page: Mapping[Family, Section]) -> None:
    key = found.pod
    who = identity_of(
        POD, key.cluster, key.namespace, key.name, found.node, PAUSE, f"/kubepods/{key.cluster}/{key.display}"
    )
    for family in NETWORKS:
        page[family].add(who, NOTHING, NETWORK_INTERFACE)
