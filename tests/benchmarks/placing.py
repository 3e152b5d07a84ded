"""Measure placing end to end: pods from created to bound on a real API server, in scheduler_perf's shapes.

Nestling with all its roles against kube-scheduler and KWOK, whose client limits are lifted and, as an arm of
its own, as shipped. Every story creates some pods that are there before, then those that count; a pod counts
when it has a node, or was told that it has none. Rounds alternate between the sides, figures are medians.
`scheduler.py` measures the engine alone.

    .venv/bin/python tests/benchmarks/placing.py [--nodes 500] [--pods 1000] [--rounds 1]
        [--stories basic,...] [--arms ours,kwok[,kwok-default]] [--json]
"""

import argparse
import asyncio
import itertools
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Final

import orjson
import uvloop
from arena import Arena, arena
from load import Generator, Load
from meter import busy_warning, cpu_s
from pods import chosen
from rich.console import Console
from rich.table import Table
from scheduler import COLOR, SHAPES, Spec, basic
from sides import ROOM, SIDES, Side

from nestling.api.json import JsonObject
from nestling.api.kinds import PRIORITY_CLASS, SERVICE, Kind
from nestling.machinery.conditions import conditions_of, find_condition
from nestling.machinery.errors import AlreadyExists, NotFound

BASELINES: Final = ("kwok", "kwok-default")
NATIVE: Final[Mapping[Kind, Kind]] = {
    SERVICE: Kind("Service", "services", group="", version="v1"),
    PRIORITY_CLASS: Kind(
        "PriorityClass", "priorityclasses", group="scheduling.k8s.io", version="v1", scoped=False
    ),
}
CHURN_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Story:
    """A shape of pods. `before` are those that are there first, by their number among `nodes` and `pods`.

    `prepare` makes what else there has to be; `meanwhile` goes on until the last pod is placed.
    """

    spec: Spec
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    before: Callable[[int, int], int] = lambda _nodes, _pods: 0
    before_spec: Spec | None = None
    most: Callable[[int], int] | None = None
    prepare: Callable[[Arena, Side], Awaitable[None]] | None = None
    meanwhile: Callable[[Arena, Side], Awaitable[None]] | None = None


def _kind(side: Side, kind: Kind) -> Kind:
    return kind if side.pod.group == kind.group else NATIVE[kind]


async def _make(place: Arena, side: Side, kind: Kind, name: str, **content: Any) -> None:
    own = _kind(side, kind)
    body = {"apiVersion": own.api_version, "kind": own.name, "metadata": {"name": name}, **content}
    # Every kind of ours lies in a host namespace; of theirs a priority class belongs to the whole cluster.
    space = side.namespace if own is kind or own.scoped else None
    with suppress(AlreadyExists):  # it is there from another round
        await place.client.call("POST", own.path(space), body=body)


async def serve(place: Arena, side: Side) -> None:
    """A service selects the pods, so that they are spread unasked."""
    await _make(place, side, SERVICE, "web", spec={"selector": COLOR, "ports": [{"port": 80}]})


async def rank(place: Arena, side: Side) -> None:
    """A class for the pods that may take the room of others."""
    await _make(place, side, PRIORITY_CLASS, "bench-high", value=1000)


async def churn(place: Arena, side: Side) -> None:
    """Services come and go."""
    service = _kind(side, SERVICE)
    for number in itertools.count():
        name = f"churn-{number}"
        await _make(place, side, SERVICE, name, spec={"selector": {"app": name}, "ports": [{"port": 80}]})
        await asyncio.sleep(CHURN_S)
        with suppress(NotFound):
            await place.client.delete(service, side.namespace, name)


def gated(_number: int, _nodes: int) -> JsonObject:
    """Pods that nobody may look at yet."""
    return {**basic(0, 0), "schedulingGates": [{"name": "example.com/wait"}]}


def _share(parts: int, of: int, **more: Any) -> Spec:
    """Pods that take `parts` of `of` equal parts of a node's CPUs."""
    cpu = f"{int(ROOM['cpu']) * 1000 * parts // of}m"
    container = {"name": "main", "image": "web:1", "resources": {"requests": {"cpu": cpu}}}
    return lambda _number, _nodes: {"containers": [container], **more}


def _a_pod_per_node(nodes: int, _pods: int) -> int:
    return nodes


def _as_many_as_counted(_nodes: int, pods: int) -> int:
    return pods


def _one_per_node(nodes: int) -> int:
    return nodes


def _of(shape: str, **more: Any) -> Story:
    return Story(SHAPES[shape].spec, SHAPES[shape].labels, **more)


STORIES: Final[Mapping[str, Story]] = {
    "basic": _of("basic", before=_a_pod_per_node),
    "node affinity": _of("node affinity", before=_a_pod_per_node),
    "pod affinity": _of("pod affinity", before=_a_pod_per_node),
    "pod anti-affinity": _of("pod anti-affinity", most=_one_per_node),
    "preferred affinity": _of("preferred affinity", before=_a_pod_per_node),
    "preferred anti-affinity": _of("preferred anti-affinity", before=_a_pod_per_node),
    "hard spread": _of("hard spread", before=_a_pod_per_node),
    "soft spread": _of("soft spread", before=_a_pod_per_node),
    "default spread": _of("default spread", before=_a_pod_per_node, prepare=serve),
    "preemption": Story(
        _share(3, 4, priorityClassName="bench-high", terminationGracePeriodSeconds=0),
        before=lambda nodes, _pods: 4 * nodes,
        before_spec=_share(1, 4, terminationGracePeriodSeconds=0),
        most=_one_per_node,
        prepare=rank,
    ),
    "unschedulable churn": _of("unschedulable churn"),
    "gated": _of("basic", before=_as_many_as_counted, before_spec=gated),
    "mixed churn": _of("basic", before=_a_pod_per_node, meanwhile=churn),
}


@dataclass(frozen=True, slots=True)
class Round:
    """One story on one side, once."""

    per_s: float
    p99_s: float
    cpu_ms: float
    host_cpu_ms: float


def answered(pod: JsonObject) -> bool:
    """Whether a pod has a node, or was told that it has none for now."""
    if pod["spec"].get("nodeName"):
        return True
    told = find_condition(conditions_of(pod), "PodScheduled")
    return told is not None and told["reason"] in {"Unschedulable", "SchedulingGated"}


def bound(pod: JsonObject) -> bool:
    """Whether a pod has a node."""
    return bool(pod["spec"].get("nodeName"))


def _pods(
    side: Side, name: str, spec: Spec, labels: Mapping[str, str], count: int, nodes: int
) -> list[JsonObject]:
    return [
        {
            **side.manifest(f"{name}-{i}"),
            "metadata": {"name": f"{name}-{i}", "labels": {"app": "bench", **labels}},
            "spec": {"automountServiceAccountToken": False, **spec(i, nodes)},
        }
        for i in range(count)
    ]


async def one_round(place: Arena, side: Side, name: str, options: argparse.Namespace) -> Round:
    """Tell one story on a side that runs and is quiet, read the meters, and clear up."""
    story = STORIES[name]
    count = min(options.pods, story.most(options.nodes)) if story.most else options.pods
    if story.prepare is not None:
        await story.prepare(place, side)
    generator = Generator(place.client, side.pod, side.namespace, options.connections, answered)
    try:
        first = _pods(
            side, "first", story.before_spec or story.spec, story.labels,
            story.before(options.nodes, options.pods), options.nodes,
        )  # fmt: skip
        if first:
            await generator.run(first, within_s=600)
            await side.quiet(within_s=120)
        manifests = _pods(side, "pod", story.spec, story.labels, count, options.nodes)
        # Who has to make room first is told so before it gets it; only the node counts.
        wished = bound if name == "preemption" else answered
        measured = Generator(place.client, side.pod, side.namespace, options.connections, wished)
        before = cpu_s(side.pids), cpu_s(place.pids)
        load = await _run(measured, manifests, story.meanwhile(place, side) if story.meanwhile else None)
        spent = cpu_s(side.pids) - before[0], cpu_s(place.pids) - before[1]
    finally:
        await side.load.clear()
        if story.prepare is serve:
            await place.client.delete(_kind(side, SERVICE), side.namespace, "web")
        await side.quiet()
    return Round(
        per_s=load.per_s,
        p99_s=load.waits_s[int(len(load.waits_s) * 0.99)],
        cpu_ms=spent[0] / count * 1000,
        host_cpu_ms=spent[1] / count * 1000,
    )


async def _run(generator: Generator, manifests: list[JsonObject], meanwhile: Awaitable[None] | None) -> Load:
    if meanwhile is None:
        return await generator.run(manifests, within_s=600)
    beside = asyncio.ensure_future(meanwhile)
    try:
        return await generator.run(manifests, within_s=600)
    finally:
        beside.cancel()
        with suppress(asyncio.CancelledError):
            await beside


Results = dict[str, dict[str, list[Round]]]


async def measure(options: argparse.Namespace, console: Console) -> Results:
    """All rounds, the sides in turn, the stories one after the other."""
    results: Results = {name: {} for name in options.stories}
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
                try:
                    await side.start()
                    for name in options.stories:
                        found = await one_round(place, side, name, options)
                        results[name].setdefault(arm, []).append(found)
                        console.print(f"round {number + 1} {arm}: {name} {found.per_s:.0f} pods/s")
                finally:
                    side.stop()
    return results


def medians(rounds: Sequence[Round]) -> Round:
    """The median of each figure."""
    names = ("per_s", "p99_s", "cpu_ms", "host_cpu_ms")
    return Round(**{name: float(median(getattr(one, name) for one in rounds)) for name in names})


def table(results: Results, title: str) -> Table:
    """Pods per second of every story and side, ours over the others', and what a pod costs."""
    found = Table(title=title)
    found.add_column("pods/s, created to bound")
    arms = list(next(iter(results.values())))
    compared = [arm for arm in BASELINES if {"ours", arm} <= set(arms)]
    for name in (*arms, *(f"ours / {arm}" for arm in compared), *(f"{arm}: CPU + host, ms" for arm in arms)):
        found.add_column(name, justify="right")
    for story, rounds in results.items():
        each = {arm: medians(rounds[arm]) for arm in arms}
        found.add_row(
            story,
            *(f"{each[arm].per_s:.0f}" for arm in arms),
            *(f"{each['ours'].per_s / each[arm].per_s:.2f}" for arm in compared),
            *(f"{each[arm].cpu_ms:.1f} + {each[arm].host_cpu_ms:.1f}" for arm in arms),
        )
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Pods from created to bound, ours and the rivals'.")
    parser.add_argument("--nodes", type=int, default=500)
    parser.add_argument("--pods", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument(
        "--stories", type=chosen(STORIES), default=list(STORIES), help=f"of {', '.join(STORIES)}"
    )
    parser.add_argument("--arms", type=chosen(SIDES), default=["ours", "kwok"], help=f"of {', '.join(SIDES)}")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    console = Console(stderr=True, highlight=False)
    warning = busy_warning()
    if warning:
        console.print(f"Warning: {warning}")
    results = uvloop.run(measure(options, console))
    if options.json:
        document = {
            story: {
                arm: {**asdict(medians(each)), "each": list(map(asdict, each))}
                for arm, each in rounds.items()
            }
            for story, rounds in results.items()
        }
        sys.stdout.write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n")
        return 0
    title = f"{options.pods} pods on {options.nodes} nodes, {options.rounds} rounds"
    Console(highlight=False, width=160).print(table(results, title))
    return 0


if __name__ == "__main__":
    sys.exit(main())
