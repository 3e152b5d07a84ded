"""The long mode: `PYTHONPATH=tests python -m differential.scheduler --pods 20000 --seed 7 --out DIR`.

Plays as many random pods as asked for and prints every disagreement; with `--out` each is made small and
written there as a case. `--without` leaves plugins out on kube-scheduler's side, `--case` plays case files.
"""

import argparse
import asyncio
import sys
import time
from pathlib import Path

from differential.scheduler.casefile import read, write
from differential.scheduler.clusters import Cluster, clusters
from differential.scheduler.duel import ENOUGH, Tally, duel
from differential.scheduler.minimise import minimise
from differential.scheduler.ours import lacking
from differential.scheduler.theirs import APISERVER_ARGS, SCHEDULER_ARGS, configuration, judge
from realhost import RealHost, real_host, real_scheduler


def main() -> int:
    """Play; exit code 1 if the sides disagreed."""
    parser = argparse.ArgumentParser(prog="python -m differential.scheduler", description=__doc__)
    parser.add_argument("--pods", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="the number of one cluster of the seed")
    parser.add_argument("--out", type=Path, help="a folder for small cases")
    parser.add_argument("--without", action="append", default=[], help="a plugin to leave out")
    parser.add_argument("--case", type=Path, action="append", default=[])
    options = parser.parse_args()
    without = {*options.without, *lacking()}
    print(f"left out on kube-scheduler's side: {', '.join(sorted(without)) or 'nothing'}")
    with (
        real_host(controllers=(), apiserver_args=APISERVER_ARGS) as host,
        real_scheduler(host, configuration(without), *SCHEDULER_ARGS),
    ):
        return asyncio.run(_play(host, options))


async def _play(host: RealHost, options: argparse.Namespace) -> int:
    tally, printed, started = Tally(), 0, time.monotonic()
    async with judge(host) as kubernetes:
        for number, cluster in enumerate(_clusters(options)):
            if options.only is not None and number != options.only:
                continue
            await duel(kubernetes, cluster, tally)
            print(f"{time.monotonic() - started:6.1f} s  {cluster.about}: {tally}", flush=True)
            for difference in tally.differences[printed:]:
                print(difference, flush=True)
            printed = len(tally.differences)
            if printed >= ENOUGH:
                break
        for counts in (tally.deciding, tally.reasons):
            print("\n".join(f"{count:6} {name}" for name, count in counts.most_common()), flush=True)
        if options.out is not None:
            options.out.mkdir(parents=True, exist_ok=True)
            for number, difference in enumerate(tally.differences):
                small = await minimise(kubernetes, difference)
                path = options.out / f"{difference.what}-{number}.yaml"
                write(small, path)
                print(f"{path}: {len(small.nodes)} nodes, {len(small.bound)} bound pods", flush=True)
    return int(bool(tally.differences))


def _clusters(options: argparse.Namespace) -> list[Cluster]:
    if options.case:
        return [read(path) for path in options.case]
    return list(clusters(options.seed, options.pods))


if __name__ == "__main__":
    sys.exit(main())
