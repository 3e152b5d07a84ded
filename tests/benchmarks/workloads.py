"""Measure workloads from apply to done: our controllers and kube-controller-manager's on one real API server.

Three stories, each from the first create until the last object is done: Deployments until all are available,
a Job of many completions, a StatefulSet that makes its pods in parallel. The native side is
kube-controller-manager, kube-scheduler and KWOK's fast stages, with the limits of their clients lifted and,
as an arm of its own, as shipped. Rounds alternate between the sides; figures are medians over the rounds.

    .venv/bin/python tests/benchmarks/workloads.py [--nodes 100] [--rounds 3]
        [--stories deployments,job,stateful-set] [--arms ours,native[,native-default]] [--json]
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

import orjson
import uvloop
from arena import Arena, arena
from load import Generator, until
from meter import busy_warning, cpu_s, writes
from pods import chosen
from rich.console import Console
from rich.table import Table
from sides import POD_SPEC, Native, NativeByDefault, Ours, Side

from nestling.api.json import JsonObject
from nestling.api.kinds import DEPLOYMENT, JOB, REPLICA_SET, STATEFUL_SET, Kind

SIDES: Final[Mapping[str, type[Side]]] = {"ours": Ours, "native": Native, "native-default": NativeByDefault}
BASELINES: Final = ("native", "native-default")
NATIVE: Final[Mapping[Kind, Kind]] = {
    DEPLOYMENT: Kind("Deployment", "deployments", group="apps", version="v1"),
    REPLICA_SET: Kind("ReplicaSet", "replicasets", group="apps", version="v1"),
    STATEFUL_SET: Kind("StatefulSet", "statefulsets", group="apps", version="v1"),
    JOB: Kind("Job", "jobs", group="batch", version="v1"),
}
# KWOK ends a Job's pod as soon as it runs; ours would run for a second.
RUNS_NO_TIME: Final = {"sim.nestling.dev/run-duration": "0s"}


@dataclass(frozen=True, slots=True)
class Story:
    """Objects of one kind, the pods that they need in all, and when one of them is done."""

    kind: Kind
    pods: int
    specs: tuple[JsonObject, ...]
    done: Callable[[JsonObject], bool]


def template(
    labels: Mapping[str, str], *, annotations: Mapping[str, str] | None = None, **spec: Any
) -> JsonObject:
    """A pod template of the pods that all benchmarks make."""
    metadata = {"labels": dict(labels), "annotations": dict(annotations or {})}
    return {"metadata": metadata, "spec": {**POD_SPEC, **spec}}


def _status(obj: JsonObject, count: str) -> int:
    return (obj.get("status") or {}).get(count, 0)


def deployments(number: int, replicas: int) -> Story:
    """Deployments, done when all their pods are available."""

    def spec(index: int) -> JsonObject:
        labels = {"app": f"web-{index}"}
        return {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template(labels)}

    return Story(
        DEPLOYMENT,
        number * replicas,
        tuple(map(spec, range(number))),
        lambda one: _status(one, "availableReplicas") == replicas,
    )


def job(completions: int, parallelism: int) -> Story:
    """One Job, done when it is Complete."""
    spec: JsonObject = {
        "completions": completions,
        "parallelism": parallelism,
        "template": template({"app": "job"}, annotations=RUNS_NO_TIME, restartPolicy="Never"),
    }

    def complete(one: JsonObject) -> bool:
        conditions = (one.get("status") or {}).get("conditions") or ()
        return any(each["type"] == "Complete" and each["status"] == "True" for each in conditions)

    return Story(JOB, completions, (spec,), complete)


def stateful_set(replicas: int) -> Story:
    """One StatefulSet with parallel pods, done when all are ready."""
    labels = {"app": "db"}
    spec: JsonObject = {
        "replicas": replicas,
        "serviceName": "db",
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": labels},
        "template": template(labels),
    }
    return Story(STATEFUL_SET, replicas, (spec,), lambda one: _status(one, "readyReplicas") == replicas)


STORIES: Final[Mapping[str, Story]] = {
    "deployments": deployments(200, 5),
    "job": job(2000, 200),
    "stateful-set": stateful_set(100),
}
TITLES: Final = {
    "deployments": "200 Deployments of 5 pods, until all are available",
    "job": "a Job of 2,000 completions, 200 at a time, until it is Complete",
    "stateful-set": "a StatefulSet of 100 parallel pods, until all are ready",
}


@dataclass(frozen=True, slots=True)
class Round:
    """One story on one side, once. CPU and writes are per pod; `writes` are of all kinds but events."""

    seconds: float
    cpu_ms: float
    host_cpu_ms: float
    writes: float
    events: float


FIGURES: Final = (
    ("seconds", "time, s", "{:.2f}"),
    ("cpu_ms", "CPU per pod, ms", "{:.2f}"),
    ("host_cpu_ms", "CPU of the host per pod, ms", "{:.2f}"),
    ("writes", "host writes per pod", "{:.2f}"),
    ("events", "events per pod", "{:.2f}"),
)
Results = dict[str, dict[str, list[Round]]]


async def one_round(place: Arena, side: Side, story: Story, connections: int) -> Round:
    """Tell one story on a side that runs and is quiet, read the meters, and clear up."""
    ours = side.pod.group == story.kind.group
    kind, sets = (story.kind, REPLICA_SET) if ours else (NATIVE[story.kind], NATIVE[REPLICA_SET])
    load = Generator(place.client, kind, side.namespace, connections, story.done)
    manifests: list[JsonObject] = [
        {
            "apiVersion": kind.api_version,
            "kind": kind.name,
            "metadata": {"name": f"bench-{index}"},
            "spec": spec,
        }
        for index, spec in enumerate(story.specs)
    ]
    written = await writes(place.transport)
    before = cpu_s(side.pids), cpu_s(place.pids)
    told = await load.run(manifests, within_s=900)
    spent = cpu_s(side.pids) - before[0], cpu_s(place.pids) - before[1]
    await side.quiet()  # what is written late counts too
    grown = (await writes(place.transport)).since(written)
    events = sum(count for name, count in grown.items() if name.startswith("events "))
    await load.clear()

    async def no_set_is_left() -> bool:
        return not (await place.client.list(sets, side.namespace, metadata_only=True)).items

    await until(no_set_is_left, within_s=300)
    await side.load.clear()
    await side.quiet()
    return Round(
        seconds=told.seconds,
        cpu_ms=spent[0] / story.pods * 1000,
        host_cpu_ms=spent[1] / story.pods * 1000,
        writes=(sum(grown.values()) - events) / story.pods,
        events=events / story.pods,
    )


async def measure(options: argparse.Namespace, console: Console) -> Results:
    """All rounds, the sides in turn, the stories one after the other."""
    results: Results = {}
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
                        found = await one_round(place, side, STORIES[name], options.connections)
                        results.setdefault(name, {}).setdefault(arm, []).append(found)
                        console.print(f"round {number + 1} {arm}: {name} {found.seconds:.1f} s")
                finally:
                    side.stop()
    return results


def medians(rounds: Sequence[Round]) -> Round:
    """The median of each figure."""
    return Round(
        **{figure: float(median(getattr(one, figure) for one in rounds)) for figure, _, _ in FIGURES}
    )


def table(title: str, arms: Mapping[str, Sequence[Round]]) -> Table:
    """Medians of every side, and by how much ours is below the others."""
    found = Table(title=title)
    found.add_column("median of rounds")
    values = {arm: medians(rounds) for arm, rounds in arms.items()}
    compared = [arm for arm in BASELINES if "ours" in values and arm in values]
    for arm in values:
        found.add_column(arm, justify="right")
    for arm in compared:
        found.add_column(f"{arm} / ours", justify="right")
    for figure, name, form in FIGURES:
        own = getattr(values["ours"], figure) if compared else 0.0
        ratios = [f"{getattr(values[arm], figure) / own:.2f}" if own else "-" for arm in compared]
        found.add_row(name, *(form.format(getattr(one, figure)) for one in values.values()), *ratios)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Workloads from apply to done, ours and the native ones.")
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument(
        "--stories", type=chosen(STORIES), default=list(STORIES), help=f"of {', '.join(STORIES)}"
    )
    parser.add_argument(
        "--arms", type=chosen(SIDES), default=["ours", "native"], help=f"of {', '.join(SIDES)}"
    )
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
                arm: {**asdict(medians(rounds)), "each": list(map(asdict, rounds))}
                for arm, rounds in arms.items()
            }
            for story, arms in results.items()
        }
        sys.stdout.write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n")
        return 0
    out = Console(highlight=False, width=120)
    for story, arms in results.items():
        out.print(table(TITLES[story], arms))
    return 0


if __name__ == "__main__":
    sys.exit(main())
