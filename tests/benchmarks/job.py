"""Measure what a large Job costs: each look by the number of its pods, and the whole life of one.

    .venv/bin/python tests/benchmarks/job.py [--completions 2000] [--parallelism 200]

Figures are CPU time of this process, so they stand a busy machine. In the first part a look must grow no
faster than the pods do. In the second part server, scheduler and kubelet run in the same process: what counts
is the Job controller's own share, and how many writes to the Job itself a completion takes.
"""

import argparse
import logging
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS)]

from builders import a_job, a_job_pod, key_for, view_of  # noqa: E402  # found by the line above
from nestling.api.kinds import JOB, NODE_POOL  # noqa: E402
from nestling.controllers.job.reconcile import reconcile  # noqa: E402
from nestling.machinery.clock import timestamp  # noqa: E402
from nestling.machinery.names import Key  # noqa: E402
from nestling.machinery.plan import Plan  # noqa: E402
from nestling.machinery.view import View  # noqa: E402
from nestling.operators.roles import ROLES  # noqa: E402
from simulation import World  # noqa: E402

STARTED = {
    "startTime": timestamp(1_800_000_000.0),
    "ready": 0,
    "terminating": 0,
    "uncountedTerminatedPods": {},
}


@dataclass
class Stopwatch:
    """A Job controller that takes note of what its looks cost."""

    looks: int = 0
    seconds: float = 0.0

    def reconcile(self, view: View, key: Key) -> Plan:
        """Look at one Job."""
        began = time.process_time()
        plan = reconcile(view, key)
        self.seconds += time.process_time() - began
        self.looks += 1
        return plan


def looks(mode: str, sizes: list[int]) -> None:
    """Time one look at Jobs that have `size` counted pods, 100 at work and 100 that have just ended."""
    print(f"one look, {mode}: counted pods -> CPU")
    for size in sizes:
        spec = {"completionMode": mode, "completions": size + 500, "parallelism": 200}
        counted = f"0-{size - 1}"
        job = a_job(spec=spec, status={**STARTED, "succeeded": size, "completedIndexes": counted})
        pods = []
        for index in range(size + 200):
            phase = "Succeeded" if index < size + 100 else "Running"
            number = index if mode == "Indexed" else None
            pods.append(a_job_pod(job, f"pi-{index}", index=number, phase=phase, tracked=index >= size))
        view = view_of(job, *pods)
        key = key_for(job)
        writes = len(reconcile(view, key).writes)
        began = time.process_time()
        times = 0
        while time.process_time() - began < 0.5:
            reconcile(view, key)
            times += 1
        took = (time.process_time() - began) / times
        each = took * 1e6 / (size + 200)
        print(f"  {size:>7}  {took * 1000:7.2f} ms  {each:6.2f} us per pod, {writes} writes")


def life(mode: str, completions: int, parallelism: int) -> None:
    """Run one Job to its end; pods take 1 s each."""
    watch = Stopwatch()
    roles = [
        replace(
            role,
            controllers=tuple(
                replace(one, reconcile=watch.reconcile) if one.name == "job" else one
                for one in role.controllers
            ),
        )
        for role in ROLES.values()
    ]
    began = time.process_time()
    with World(seed=1, roles=roles) as world:
        world.create(NODE_POOL, "pool", {"replicas": 5})
        world.run_for(5)
        container = {"name": "main", "image": "web:1"}
        spec = {
            "completionMode": mode,
            "completions": completions,
            "parallelism": parallelism,
            "template": {"spec": {"restartPolicy": "Never", "containers": [container]}},
        }
        world.create(JOB, "pi", spec)
        started = world.clock.now()
        while not (world.list(JOB)[0].get("status") or {}).get("completionTime"):
            world.run_for(1, most_turns=1_000_000)
        took = world.clock.now() - started
        total = time.process_time() - began
        paths = Counter(JOB.plural in line for line in world.operator.transport.log)
    print(f"{mode}: {completions} completions, {parallelism} at once: {took:.0f} s of its own time")
    print(f"  {watch.looks} looks, {watch.seconds:.2f} s CPU in them, of {total:.1f} s for everything")
    print(
        f"  {watch.seconds * 1e6 / completions:.0f} us of looks and {paths[False] / completions:.1f} writes"
    )
    print(f"  per completion, and {paths[True]} writes to the Job")


def main() -> None:
    """Print both parts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--completions", type=int, default=2000)
    parser.add_argument("--parallelism", type=int, default=200)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    for mode in ("NonIndexed", "Indexed"):
        looks(mode, [500, 1000, 2000, 4000, 8000])
    for mode in ("NonIndexed", "Indexed"):
        life(mode, options.completions, options.parallelism)


if __name__ == "__main__":
    main()
