"""Measure pods from created to Running: Nestling against kube-scheduler + KWOK on one real API server.

Every round starts one side's programs, waits until they are quiet, creates the pods over some connections,
watches until all run, and stops the programs again. Rounds alternate between the sides, so that a busy
moment of the machine strikes both. Figures are medians over the rounds. Deleting is not part of the time.

    .venv/bin/python tests/benchmarks/pods.py [--nodes 1000] [--pods 3000] [--rounds 3]
        [--arms ours,kwok[,kwok-default]] [--connections 32] [--json]
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

import orjson
import uvloop
from arena import Arena, arena
from meter import busy_warning, cpu_s, peak_mib, rss_mib, writes
from rich.console import Console
from rich.table import Table
from sides import SIDES, Side

BASELINE: Final = "kwok"


@dataclass(frozen=True, slots=True)
class Round:
    """One side, once. `writes_per_pod` has all requests that changed something, the create included."""

    pods_per_s: float
    p50_s: float
    p99_s: float
    cpu_ms_per_pod: float
    host_cpu_ms_per_pod: float
    load_cpu_ms_per_pod: float
    idle_rss_mib: float
    rss_mib: float
    peak_mib: float
    writes_per_pod: dict[str, float]
    creating_s: float
    start_s: float
    watch_cuts: int
    load_average: float

    @property
    def pod_writes(self) -> float:
        """Writes per pod to anything but events."""
        return sum(count for name, count in self.writes_per_pod.items() if not name.startswith("events "))

    @property
    def event_writes(self) -> float:
        """Events written per pod."""
        return sum(count for name, count in self.writes_per_pod.items() if name.startswith("events "))


FIGURES: Final = (
    ("pods_per_s", "pods/s", "{:.0f}"),
    ("p50_s", "p50 to Running, s", "{:.2f}"),
    ("p99_s", "p99 to Running, s", "{:.2f}"),
    ("cpu_ms_per_pod", "CPU per pod, ms", "{:.2f}"),
    ("host_cpu_ms_per_pod", "CPU of the host per pod, ms", "{:.2f}"),
    ("load_cpu_ms_per_pod", "CPU of the load per pod, ms", "{:.2f}"),
    ("pod_writes", "host writes per pod", "{:.2f}"),
    ("event_writes", "events per pod", "{:.2f}"),
    ("idle_rss_mib", "RSS before, MiB", "{:.0f}"),
    ("rss_mib", "RSS with all pods, MiB", "{:.0f}"),
    ("peak_mib", "peak RSS, MiB", "{:.0f}"),
    ("creating_s", "creating took, s", "{:.1f}"),
    ("start_s", "start to all nodes Ready, s", "{:.1f}"),
)


@dataclass(slots=True)
class Results:
    """All rounds of all sides."""

    rounds: dict[str, list[Round]] = field(default_factory=dict[str, list[Round]])

    def median(self, arm: str, figure: str) -> float:
        """The median of one figure of one side."""
        return float(median(getattr(one, figure) for one in self.rounds[arm]))

    def writes(self, arm: str) -> dict[str, float]:
        """Median writes per pod by resource and verb, without what is hardly there."""
        names = dict.fromkeys(name for one in self.rounds[arm] for name in one.writes_per_pod)
        found = {
            name: float(median(one.writes_per_pod.get(name, 0.0) for one in self.rounds[arm]))
            for name in names
        }
        return {name: round(count, 3) for name, count in found.items() if count >= 0.001}


async def one_round(place: Arena, side: Side, pods: int) -> Round:
    """Start a side, run the load, read the meters, and clear up."""
    try:
        start_s = await side.start()
        manifests = [side.manifest(f"pod-{i}") for i in range(pods)]
        idle, written = rss_mib(side.pids), await writes(place.transport)
        average, watched = os.getloadavg()[0], (side.pids, place.pids, [os.getpid()])
        before = [cpu_s(pids) for pids in watched]
        load = await side.load.run(manifests)
        spent = [(cpu_s(pids) - was) / pods * 1000 for pids, was in zip(watched, before, strict=True)]
        resident, peak = rss_mib(side.pids), peak_mib(side.pids)
        await side.quiet()  # what is written late counts too
        grown = (await writes(place.transport)).since(written)
        await side.load.clear()
    finally:
        side.stop()
    waits = load.waits_s
    return Round(
        pods_per_s=load.per_s,
        p50_s=waits[len(waits) // 2],
        p99_s=waits[int(len(waits) * 0.99)],
        cpu_ms_per_pod=spent[0],
        host_cpu_ms_per_pod=spent[1],
        load_cpu_ms_per_pod=spent[2],
        idle_rss_mib=idle,
        rss_mib=resident,
        peak_mib=peak,
        writes_per_pod={name: count / pods for name, count in grown.items()},
        creating_s=load.created_by - load.started,
        start_s=start_s,
        watch_cuts=load.cut,
        load_average=average,
    )


async def measure(options: argparse.Namespace, console: Console) -> Results:
    """All rounds, the sides in turn."""
    results = Results()
    async with arena(connections=options.connections) as place:
        sides = {
            arm: SIDES[arm](place.host, place.client, place.folder, connections=options.connections)
            for arm in options.arms
        }
        for arm, side in sides.items():
            console.print(f"making {options.nodes} nodes for {arm}")
            await side.prepare(options.nodes)
        for number in range(options.rounds):
            for arm, side in sides.items():
                found = await one_round(place, side, options.pods)
                results.rounds.setdefault(arm, []).append(found)
                console.print(
                    f"round {number + 1} {arm}: {found.pods_per_s:.0f} pods/s, p99 {found.p99_s:.2f} s, "
                    f"{found.cpu_ms_per_pod:.2f} ms CPU per pod, load {found.load_average:.1f}"
                    + (f", watch cut {found.watch_cuts} times" if found.watch_cuts else "")
                )
    return results


def table(results: Results, title: str) -> Table:
    """Medians of every side, and our ratio to the first rival."""
    found = Table(title=title)
    found.add_column("median of rounds")
    arms = list(results.rounds)
    compared = "ours" in arms and BASELINE in arms
    for arm in arms:
        found.add_column(arm, justify="right")
    if compared:
        found.add_column(f"ours / {BASELINE}", justify="right")
    for figure, name, form in FIGURES:
        values = {arm: results.median(arm, figure) for arm in arms}
        row = [name, *(form.format(value) for value in values.values())]
        if compared:
            row.append(f"{values['ours'] / values[BASELINE]:.2f}" if values[BASELINE] else "-")
        found.add_row(*row)
    return found


def document(results: Results, options: argparse.Namespace) -> dict[str, Any]:
    """Everything as JSON."""
    found: dict[str, Any] = {"nodes": options.nodes, "pods": options.pods, "rounds": options.rounds}
    found["arms"] = {
        arm: {
            **{figure: round(results.median(arm, figure), 4) for figure, _, _ in FIGURES},
            "writes_per_pod": results.writes(arm),
            "each": [{figure: getattr(one, figure) for figure, _, _ in FIGURES} for one in rounds],
            "watch_cuts": [one.watch_cuts for one in rounds],
            "load_average": [one.load_average for one in rounds],
        }
        for arm, rounds in results.rounds.items()
    }
    if {"ours", BASELINE} <= results.rounds.keys():
        ratio = results.median("ours", "pods_per_s") / results.median(BASELINE, "pods_per_s")
        found["ratio"] = round(ratio, 3)
    return found


def chosen(known: Mapping[str, object]) -> Callable[[str], list[str]]:
    """A parser of names out of `known`, separated by commas."""

    def parse(text: str) -> list[str]:
        found = [name.strip() for name in text.split(",") if name.strip()]
        if not found or not known.keys() >= set(found):
            raise argparse.ArgumentTypeError(f"choose from {', '.join(known)}")
        return found

    return parse


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Pods from created to Running, ours and the rivals'.")
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--pods", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--arms", type=chosen(SIDES), default=["ours", "kwok"], help=f"of {', '.join(SIDES)}")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    console = Console(stderr=True, highlight=False)
    warning = busy_warning()
    if warning:
        console.print(f"Warning: {warning}")
    results = uvloop.run(measure(options, console))
    if options.json:
        sys.stdout.write(orjson.dumps(document(results, options), option=orjson.OPT_INDENT_2).decode() + "\n")
        return 0
    out = Console(highlight=False)
    out.print(table(results, f"{options.pods} pods on {options.nodes} nodes, {options.rounds} rounds"))
    for arm in results.rounds:
        parts = ", ".join(f"{name} {count:g}" for name, count in results.writes(arm).items())
        out.print(f"{arm} wrote per pod: {parts}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
