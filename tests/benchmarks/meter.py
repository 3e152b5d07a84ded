"""What a benchmark reads while it runs: CPU and memory of processes, and writes that the API server counted.

CPU and memory come from /proc, so they are the kernel's own figures for whole processes. Writes come from
`apiserver_request_total`: every request that changes something, whoever sent it, with nothing left out.
"""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nestling.machinery.client import Transport

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
MIB: Final = 1 << 20
WRITE_VERBS: Final = frozenset({"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"})
COUNTER: Final = re.compile(r"^apiserver_request_total\{(?P<labels>[^}]*)\} (?P<value>\S+)$", re.MULTILINE)
LABEL: Final = re.compile(r'(\w+)="([^"]*)"')
# More runnable processes than this at the start, and the figures say more about the neighbours than about us.
BUSY_LOAD: Final = 0.5


def cpu_s(pids: Iterable[int]) -> float:
    """CPU seconds that these processes have used since their start, in user and kernel mode."""
    return sum(_cpu_ticks(pid) for pid in pids) / TICKS_PER_S


def _cpu_ticks(pid: int) -> int:
    stat = Path(f"/proc/{pid}/stat").read_bytes()
    # The command stands in brackets and may hold blanks itself: count from the last bracket.
    fields = stat[stat.rindex(b")") + 2 :].split()
    return int(fields[11]) + int(fields[12])


def rss_mib(pids: Iterable[int]) -> float:
    """Resident memory of these processes now, in MiB."""
    return sum(_status_kib(pid, "VmRSS") for pid in pids) / 1024


def peak_mib(pids: Iterable[int]) -> float:
    """The most resident memory that these processes ever had, in MiB."""
    return sum(_status_kib(pid, "VmHWM") for pid in pids) / 1024


def _status_kib(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(f"/proc/{pid}/status has no {name}")


@dataclass(frozen=True, slots=True)
class Writes:
    """Requests that change something, by `resource[/subresource] VERB`, since the API server's start."""

    counts: Mapping[str, int]

    def since(self, before: "Writes") -> dict[str, int]:
        """What has come on top, the most frequent first."""
        grown = {name: count - before.counts.get(name, 0) for name, count in self.counts.items()}
        return {
            name: grown[name] for name in sorted(grown, key=grown.__getitem__, reverse=True) if grown[name]
        }


async def writes(transport: Transport) -> Writes:
    """Read the API server's counters."""
    answer = await transport.send(
        "GET", "/metrics", query={}, body=None, content_type="", accept="text/plain"
    )
    assert answer.status == 200, answer.body[:200]
    return parse_writes(answer.body.decode())


def parse_writes(text: str) -> Writes:
    """Writes of a metrics page. Refused ones (a 409, say) count: they cost as much."""
    counts: dict[str, int] = {}
    for match in COUNTER.finditer(text):
        labels = dict(LABEL.findall(match["labels"]))
        if labels["verb"] not in WRITE_VERBS:
            continue
        where = "/".join(filter(None, (labels["resource"], labels["subresource"])))
        name = f"{where or 'other'} {labels['verb']}"
        counts[name] = counts.get(name, 0) + int(float(match["value"]))
    return Writes(counts)


def busy_warning() -> str:
    """A sentence when other work runs on this machine, else nothing."""
    load = os.getloadavg()[0]
    cores = os.cpu_count() or 1
    if load <= BUSY_LOAD * cores:
        return ""
    return f"the machine is busy (load {load:.1f} on {cores} cores): trust the ratios, not the figures"
