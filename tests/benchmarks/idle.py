"""Measure what idle Ready nodes cost: host writes per second, and CPU of Nestling, KWOK and the host itself.

Each side in turn brings its nodes to Ready, becomes quiet, and is then watched for a while; nothing else runs
on its API server. Heartbeats are all that is left: one Lease per kubelet process here, one per node there.

    .venv/bin/python tests/benchmarks/idle.py [--nodes 1000] [--seconds 60] [--settle 60]
        [--arms ours,kwok] [--json]
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import orjson
import uvloop
from arena import Arena, arena
from meter import busy_warning, cpu_s, rss_mib, writes
from pods import chosen
from rich.console import Console
from rich.table import Table
from sides import SIDES, Side

FIGURES: Final = (
    ("writes_per_s", "host writes per s", "{:.2f}"),
    ("cpu_percent", "CPU, % of a core", "{:.2f}"),
    ("host_cpu_percent", "CPU of the host, % of a core", "{:.2f}"),
    ("rss_mib", "RSS, MiB", "{:.0f}"),
    ("start_s", "start to all nodes Ready, s", "{:.1f}"),
)


@dataclass(frozen=True, slots=True)
class Idle:
    """One side at rest."""

    writes_per_s: float
    cpu_percent: float
    host_cpu_percent: float
    rss_mib: float
    start_s: float
    writes: dict[str, int]
    load_average: float


async def one_side(place: Arena, side: Side, options: argparse.Namespace) -> Idle:
    """Bring the nodes up, let the events about them be written, and watch."""
    seconds = float(options.seconds)
    await side.prepare(options.nodes)
    try:
        start_s = await side.start()
        await asyncio.sleep(options.settle)
        average, watched = os.getloadavg()[0], (side.pids, place.pids)
        written, before = await writes(place.transport), [cpu_s(pids) for pids in watched]
        await asyncio.sleep(seconds)
        spent = [(cpu_s(pids) - was) / seconds * 100 for pids, was in zip(watched, before, strict=True)]
        grown = (await writes(place.transport)).since(written)
        resident = rss_mib(side.pids)
    finally:
        side.stop()
    return Idle(sum(grown.values()) / seconds, spent[0], spent[1], resident, start_s, grown, average)


async def measure(options: argparse.Namespace, console: Console) -> dict[str, Idle]:
    """Every side on an API server of its own: the nodes of one must not weigh on the other."""
    found: dict[str, Idle] = {}
    for arm in options.arms:
        console.print(f"{options.nodes} idle nodes of {arm} for {options.seconds:.0f} s")
        async with arena(connections=32) as place:
            side = SIDES[arm](place.host, place.client, place.folder)
            found[arm] = await one_side(place, side, options)
    return found


def table(found: dict[str, Idle], title: str) -> Table:
    """The figures side by side."""
    shown = Table(title=title)
    shown.add_column("idle")
    for arm in found:
        shown.add_column(arm, justify="right")
    for figure, name, form in FIGURES:
        shown.add_row(name, *(form.format(getattr(one, figure)) for one in found.values()))
    return shown


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What idle Ready nodes cost, ours and the rivals'.")
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--settle", type=float, default=60.0, help="seconds from all Ready to the first look")
    parser.add_argument("--arms", type=chosen(SIDES), default=["ours", "kwok"], help=f"of {', '.join(SIDES)}")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    console = Console(stderr=True, highlight=False)
    warning = busy_warning()
    if warning:
        console.print(f"Warning: {warning}")
    found = uvloop.run(measure(options, console))
    if options.json:
        document: dict[str, Any] = {"nodes": options.nodes, "seconds": options.seconds}
        document["arms"] = {arm: asdict(one) for arm, one in found.items()}
        sys.stdout.write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n")
        return 0
    out = Console(highlight=False)
    out.print(table(found, f"{options.nodes} Ready nodes for {options.seconds:.0f} s"))
    for arm, one in found.items():
        parts = ", ".join(f"{name} {count}" for name, count in one.writes.items())
        out.print(f"{arm} wrote: {parts or 'nothing'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
