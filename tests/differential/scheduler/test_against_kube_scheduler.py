"""Random pods in random clusters, one after the other, before the real kube-scheduler and before ours.

For each pod: the same verdict, the real choice among our highest-scored nodes, the same score of every plugin
for every node (from its log), the same sentence, the same kind of victims. Fixed seeds here;
NESTLING_SCHEDULER_PODS and NESTLING_SCHEDULER_SEED make it longer, and `python -m differential.scheduler`
makes small cases of what it finds. What was once found is in `cases`.
"""

import asyncio
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import pytest

from differential.scheduler import extenders
from differential.scheduler.casefile import cases, read
from differential.scheduler.clusters import Cluster, clusters
from differential.scheduler.duel import Tally, duel
from differential.scheduler.extenders import served
from differential.scheduler.ours import Ours, lacking
from differential.scheduler.profiles import SCORING, configured, games, ours_of
from differential.scheduler.theirs import APISERVER_ARGS, SCHEDULER_ARGS, configuration, judge
from nestling.api.scheduler_configuration import read_configuration
from nestling.scheduler.configuration import Setup
from nestling.scheduler.framework import Profile, Weighted
from nestling.scheduler.profiles import default_profile
from realhost import RealHost, real_host, real_scheduler

pytestmark = [pytest.mark.differential, pytest.mark.timeout(600)]

# What plugins must have refused often enough for the comparison to mean something.
REASONS: Final = {
    "NodeUnschedulable": {"node(s) were unschedulable"},
    "TaintToleration": {"node(s) had untolerated taint(s)"},
    "NodeAffinity": {"node(s) didn't match Pod's node affinity/selector"},
    "NodePorts": {"node(s) didn't have free ports for the requested pod ports"},
    "NodeResourcesFit": {
        "Too many pods",
        "Insufficient cpu",
        "Insufficient memory",
        "Insufficient ephemeral-storage",
        "Insufficient example.com/gpu",
        "Insufficient hugepages-2Mi",
    },
    "PodTopologySpread": {
        "node(s) didn't match pod topology spread constraints",
        "node(s) didn't match pod topology spread constraints (missing required label)",
    },
    "InterPodAffinity": {
        "node(s) didn't match pod affinity rules",
        "node(s) didn't match pod anti-affinity rules",
        "node(s) didn't satisfy existing pods anti-affinity rules",
    },
    "DefaultPreemption": {
        "No preemption victims found for incoming pod",
        "Preemption is not helpful for scheduling",
    },
}
PODS: Final = int(os.environ.get("NESTLING_SCHEDULER_PODS", "2000"))
SEED: Final = int(os.environ.get("NESTLING_SCHEDULER_SEED", "1"))
PROFILES: Final = 12


@pytest.fixture(scope="module")
def kubernetes() -> Iterator[RealHost]:
    """An API server without controllers, and a kube-scheduler with the plugins that we have too."""
    with (
        real_host(controllers=(), apiserver_args=APISERVER_ARGS) as host,
        real_scheduler(host, configuration(lacking()), *SCHEDULER_ARGS),
    ):
        yield host


async def play(host: RealHost, games: Iterator[Cluster], profile: Profile | None = None) -> Tally:
    """Play clusters until one shows a difference."""
    return await play_each(host, ((profile, cluster) for cluster in games))


async def play_each(host: RealHost, games: Iterable[tuple[Profile | None, Cluster]]) -> Tally:
    """Play each cluster with our profile for it, until one shows a difference."""
    tally = Tally()
    async with judge(host) as kube_scheduler:
        for profile, cluster in games:
            await duel(kube_scheduler, cluster, tally, profile=profile)
            if tally.differences:
                break
    print(tally)
    return tally


@pytest.mark.timeout(60 + PODS)
def test_random_pods_fare_the_same(kubernetes: RealHost) -> None:
    tally = asyncio.run(play(kubernetes, clusters(SEED, PODS)))
    shown = "\n".join(map(str, tally.differences))
    assert not tally.differences, f"{tally}\n{shown}"
    assert tally.pods > 0.95 * PODS
    if PODS < 2000:
        return
    # Enough of everything to mean something.
    assert tally.scored > PODS / 4
    assert tally.refused > PODS / 20
    assert tally.preempted > PODS / 50
    assert {plugin for plugin, pods in tally.deciding.items() if pods > PODS / 100} == {*SCORING} - lacking()
    given = {reason for reason, pods in tally.reasons.items() if pods > PODS / 1000}
    assert given >= {reason for plugin in REASONS.keys() - lacking() for reason in REASONS[plugin]}


@pytest.mark.timeout(60 + PODS)
def test_random_pods_of_random_profiles_fare_the_same() -> None:
    document = configured(SEED, PROFILES)
    ours = ours_of(document)
    with (
        real_host(controllers=(), apiserver_args=APISERVER_ARGS) as host,
        real_scheduler(host, document, *SCHEDULER_ARGS),
    ):
        each = ((ours[name], cluster) for name, cluster in games(SEED, PROFILES, PODS // 2))
        tally = asyncio.run(play_each(host, each))
        wrong = ((ours["default-scheduler"], cluster) for _, cluster in games(SEED, PROFILES, 300))
        assert asyncio.run(play_each(host, wrong)).differences
    shown = "\n".join(map(str, tally.differences))
    assert not tally.differences, f"{tally}\n{shown}"
    assert tally.scored > PODS / 10
    assert tally.refused > PODS / 50


@pytest.mark.timeout(60 + PODS)
def test_random_pods_fare_the_same_with_extenders() -> None:
    with served() as url:
        document = extenders.configured(url)
        setup = Setup.of(read_configuration(document))
        profile = setup.profiles["default-scheduler"]
        tally = Tally()

        async def play_asking(host: RealHost) -> None:
            async with judge(host) as kube_scheduler:
                for cluster in clusters(SEED, PODS // 2):
                    ours = Ours(profile, setup.extenders, extenders.answered)
                    await duel(kube_scheduler, cluster, tally, ours=ours)
                    if tally.differences:
                        break

        with (
            real_host(controllers=(), apiserver_args=APISERVER_ARGS) as host,
            real_scheduler(host, document, *SCHEDULER_ARGS),
        ):
            asyncio.run(play_asking(host))
    print(tally)
    shown = "\n".join(map(str, tally.differences))
    assert not tally.differences, f"{tally}\n{shown}"
    assert tally.scored > PODS / 10
    assert tally.refused > PODS / 50
    assert {"node is reserved", "never here"} <= tally.reasons.keys()


def without(name: str) -> Profile:
    """Our default profile without one plugin."""
    profile = default_profile()
    return Profile(
        [one for one in profile.filters if one.name != name],
        [one for one in profile.scores if one.plugin.name != name],
    )


def weighing(name: str, weight: int) -> Profile:
    """Our default profile with one weight changed."""
    profile = default_profile()
    scores = [
        Weighted(one.plugin, weight if one.plugin.name == name else one.weight) for one in profile.scores
    ]
    return Profile(profile.filters, scores)


@pytest.mark.parametrize(
    "profile",
    [
        pytest.param(without("TaintToleration"), id="without taints"),
        pytest.param(weighing("NodeAffinity", 1), id="node affinity weighs half"),
        pytest.param(without("NodeResourcesBalancedAllocation"), id="without balance"),
        pytest.param(without("PodTopologySpread"), id="without spread"),
        pytest.param(without("InterPodAffinity"), id="without pod affinity"),
        pytest.param(without("ImageLocality"), id="without images"),
    ],
)
def test_wrong_rule_is_found_out(kubernetes: RealHost, profile: Profile) -> None:
    tally = asyncio.run(play(kubernetes, clusters(SEED, 300), profile))
    assert tally.differences


@pytest.mark.parametrize("path", list(cases()), ids=lambda path: path.stem)
def test_known_case_fares_the_same(kubernetes: RealHost, path: Path) -> None:
    tally = asyncio.run(play(kubernetes, iter([read(path)])))
    assert tally.pods
    assert not tally.differences, "\n".join(map(str, tally.differences))
