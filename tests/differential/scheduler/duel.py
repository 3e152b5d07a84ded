"""One cluster on both sides, pod after pod, and where they disagree.

After every pod our side takes over what the judge did, so that both worlds stay equal. The judge is asked a
second time before a disagreement counts, since its view of nodes, services and namespaces may lag behind.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from differential.scheduler.clusters import Cluster
from differential.scheduler.ours import Judgement, Ours
from differential.scheduler.theirs import Judge, Outcome
from nestling.api.json import JsonObject
from nestling.machinery.errors import Refused
from nestling.scheduler.framework import Profile

ENOUGH: Final = 5  # differences; more nobody reads at once
Scores: TypeAlias = dict[str, dict[str, int]]
"""Weighted scores by node and plugin."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One disagreement about one pod, and the cluster as it was then: enough to play it again."""

    what: str
    about: str
    expected: str
    got: str
    case: Cluster

    def __str__(self) -> str:
        pod = self.case.pending[-1]["metadata"]["name"]
        return (
            f"{self.about}, pod {pod}: {self.what}\n"
            f"  kube-scheduler: {self.expected}\n  ours:           {self.got}"
        )


@dataclass(slots=True)
class Tally:
    """What a run amounted to."""

    pods: int = 0
    bound: int = 0
    scored: int = 0
    refused: int = 0
    preempted: int = 0
    invalid: int = 0
    asked_again: int = 0
    differences: list[Difference] = field(default_factory=list[Difference])

    def __str__(self) -> str:
        return (
            f"{self.pods} pods: {self.bound} bound ({self.scored} with scores), {self.refused} refused, "
            f"{self.preempted} by preemption; {self.invalid} invalid, {self.asked_again} asked again, "
            f"{len(self.differences)} differences"
        )


async def duel(judge: Judge, cluster: Cluster, tally: Tally, *, profile: Profile | None = None) -> None:
    """Play one cluster on both sides; differences go into the tally, and end it when they are `ENOUGH`.

    `profile` puts other rules on our side.
    """
    await judge.clear()
    nodes, bound = await judge.make(cluster)
    ours = Ours(profile)
    for node in nodes:
        ours.put_node(node)
    there = {_key(pod): pod for pod in bound}
    manifests = {_key(pod): pod for pod in cluster.bound}
    for pod in bound:
        ours.add_pod(pod)
    for manifest in cluster.pending:
        if len(tally.differences) >= ENOUGH:
            break
        try:
            asked = await judge.create(manifest)
        except Refused:
            tally.invalid += 1
            continue
        tally.pods += 1
        outcome = await _verdict(judge, asked)
        found = list(_compare(ours, asked, ours.judge(asked), outcome))
        if found and not outcome.victims:
            tally.asked_again += 1
            if outcome.bound is not None:
                await judge.drop(outcome.bound)
            await judge.settle()
            asked = await judge.create(manifest)
            outcome = await _verdict(judge, asked)
            found = list(_compare(ours, asked, ours.judge(asked), outcome))
        case = Cluster(cluster.about, cluster.nodes, cluster.owners, cluster.budgets)
        case.bound = [
            {**manifests[key], "spec": {**manifests[key]["spec"], "nodeName": pod["spec"]["nodeName"]}}
            for key, pod in there.items()
        ]
        case.pending = [manifest]
        tally.differences += [
            Difference(what, cluster.about, expected, got, case) for what, expected, got in found
        ]
        for victim in outcome.victims:
            ours.remove_pod(there.pop(_key(victim)))
        if outcome.bound is None:
            tally.refused += 1
        else:
            tally.bound += 1
            tally.scored += bool(outcome.scores)
            tally.preempted += bool(outcome.nominated)
            ours.add_pod(outcome.bound)
            there[_key(outcome.bound)] = outcome.bound
            manifests[_key(outcome.bound)] = manifest


async def _verdict(judge: Judge, pod: JsonObject) -> Outcome:
    if pod["spec"].get("schedulingGates"):
        pod = await judge.lift_gates(pod)
    return await judge.ask(pod)


def _compare(ours: Ours, pod: JsonObject, mine: Judgement, theirs: Outcome) -> Iterator[tuple[str, str, str]]:
    """What differs: the kind of difference, what the judge says, what we say."""
    if theirs.message:
        if mine.scores:
            yield "verdict", theirs.message, f"feasible: {sorted(mine.scores)}"
        elif mine.message != theirs.message or theirs.reason != "Unschedulable":
            yield "sentence", f"{theirs.reason}: {theirs.message}", mine.message
        return
    if theirs.node not in mine.scores:
        yield "verdict", f"bound to {theirs.node}", mine.message or f"feasible: {sorted(mine.scores)}"
    elif theirs.node not in mine.best:
        best = min(mine.best)
        yield (
            "choice",
            f"{theirs.node}, which we give {mine.scores[theirs.node]}: {ours.shares(pod, theirs.node)}",
            f"{sorted(mine.best)}, which get {mine.scores[best]}: {ours.shares(pod, best)}",
        )
    if theirs.scores and theirs.scores.keys() != mine.scores.keys():
        yield "nodes", f"feasible: {sorted(theirs.scores)}", f"feasible: {sorted(mine.scores)}"
    elif theirs.scores:
        yield from _compare_scores({node: ours.shares(pod, node) for node in mine.scores}, theirs.scores)


def _compare_scores(mine: Scores, theirs: Scores) -> Iterator[tuple[str, str, str]]:
    """The first node that a plugin scores otherwise. A plugin that only one side asked must not decide."""
    plugins = {plugin for scores in (*mine.values(), *theirs.values()) for plugin in scores}
    for plugin in sorted(plugins):
        ours = {node: scores.get(plugin) for node, scores in mine.items()}
        judges = {node: scores.get(plugin) for node, scores in theirs.items()}
        skipped = None in ours.values() or None in judges.values()
        if skipped and len(set(ours.values())) == len(set(judges.values())) == 1:
            continue
        wrong = [node for node in sorted(mine) if ours[node] != judges[node]]
        if wrong:
            yield (
                f"score of {plugin}",
                str({node: judges[node] for node in wrong[:8]}),
                str({node: ours[node] for node in wrong[:8]}),
            )


def _key(pod: JsonObject) -> tuple[str, str]:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]
