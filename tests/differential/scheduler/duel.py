"""One cluster on both sides, pod after pod, and where they disagree.

After every pod our side takes over what the judge did, so that both worlds stay equal. The judge is asked a
second time before a disagreement counts, since its view of nodes, services and namespaces may lag behind.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from differential.scheduler.clusters import NAMESPACES, Cluster
from differential.scheduler.ours import Judgement, Ours
from differential.scheduler.theirs import Judge, Outcome
from nestling.api.json import JsonObject
from nestling.machinery.errors import Refused
from nestling.scheduler.framework import Profile

ENOUGH: Final = 5  # differences; more nobody reads at once
# One "count reason" of a sentence; a reason may hold anything but a comma, and ends before the full stop.
_REASON: Final = re.compile(r"[:,] (\d+) ([^,]+?)(?=, \d|\.(?: |$))")
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
    """What a run amounted to: `reasons` by pods that were given them, `deciding` plugins by pods whose nodes
    they told apart."""

    pods: int = 0
    bound: int = 0
    scored: int = 0
    refused: int = 0
    preempted: int = 0
    invalid: int = 0
    asked_again: int = 0
    reasons: Counter[str] = field(default_factory=Counter[str])
    deciding: Counter[str] = field(default_factory=Counter[str])
    differences: list[Difference] = field(default_factory=list[Difference])

    def __str__(self) -> str:
        return (
            f"{self.pods} pods: {self.bound} bound ({self.scored} with scores), {self.refused} refused, "
            f"{self.preempted} by preemption; {self.invalid} invalid, {self.asked_again} asked again, "
            f"{len(self.differences)} differences"
        )

    def count(self, outcome: Outcome) -> None:
        """Count one verdict of the judge."""
        self.pods += 1
        self.bound += outcome.bound is not None
        self.refused += outcome.bound is None
        self.preempted += bool(outcome.nominated)
        self.scored += bool(outcome.scores)
        self.reasons.update({text for _, text in _REASON.findall(outcome.message)})
        by_plugin: dict[str, set[int]] = {}
        for scores in outcome.scores.values():
            for plugin, score in scores.items():
                by_plugin.setdefault(plugin, set()).add(score)
        self.deciding.update(plugin for plugin, scores in by_plugin.items() if len(scores) > 1)


async def duel(
    judge: Judge,
    cluster: Cluster,
    tally: Tally,
    *,
    profile: Profile | None = None,
    ours: Ours | None = None,
) -> None:
    """Play one cluster on both sides; differences go into the tally, and end it when they are `ENOUGH`.

    `profile` puts other rules on our side, `ours` is our side with whatever else it has.
    """
    await judge.clear()
    made = await judge.make(cluster)
    ours = ours if ours is not None else Ours(profile)
    for name, labels in NAMESPACES.items():
        ours.put_namespace(name, labels)
    for owner in cluster.owners:
        ours.put_owner(owner)
    for budget in made.budgets:
        ours.put_budget(budget)
    for node in made.nodes:
        ours.put_node(node)
    there = {_key(pod): pod for pod in made.bound}
    manifests = {_key(pod): pod for pod in cluster.bound}
    for pod in made.bound:
        ours.add_pod(pod)
    for manifest in cluster.pending:
        if len(tally.differences) >= ENOUGH:
            break
        try:
            asked = await judge.create(manifest)
        except Refused:
            tally.invalid += 1
            continue
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
        tally.count(outcome)
        if outcome.bound is not None:
            bound = await judge.begin(outcome.bound)
            ours.add_pod(bound)
            there[_key(bound)] = bound
            manifests[_key(bound)] = manifest


async def _verdict(judge: Judge, pod: JsonObject) -> Outcome:
    if pod["spec"].get("schedulingGates"):
        pod = await judge.lift_gates(pod)
    return await judge.ask(pod)


def _compare(ours: Ours, pod: JsonObject, mine: Judgement, theirs: Outcome) -> Iterator[tuple[str, str, str]]:
    """What differs: the kind of difference, what the judge says, what we say."""
    if theirs.message:
        if mine.scores:
            yield "verdict", theirs.message, f"feasible: {sorted(mine.scores)}"
        elif theirs.nominated:
            yield from _compare_victims(mine, theirs)
        elif mine.rooms:
            yield "preemption", theirs.message, f"room on {sorted(mine.best_rooms)}"
        elif (mine.reason, mine.message) != (theirs.reason, theirs.message):
            yield "sentence", f"{theirs.reason}: {theirs.message}", f"{mine.reason}: {mine.message}"
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


def _compare_victims(mine: Judgement, theirs: Outcome) -> Iterator[tuple[str, str, str]]:
    """Whose room the pod got. Pods that were leaving before are nobody's victims for the API."""
    victims = sorted(map(_victim, theirs.victims))
    if theirs.nominated not in mine.rooms:
        yield "preemption", f"{theirs.nominated} without {victims}", mine.message or str(mine.scores)
        return
    room, message = mine.rooms[theirs.nominated]
    expected = sorted((one.priority, one.key.display) for one in room.victims if not one.record.deleting)
    if expected != [one[:2] for one in victims if not one[2]]:
        yield "victims", f"on {theirs.nominated}: {victims}", f"{expected}, violations: {room.violations}"
    elif theirs.nominated not in mine.best_rooms:
        best, _ = mine.rooms[min(mine.best_rooms)]
        yield (
            "nomination",
            f"{theirs.nominated} without {victims}, which we rank {room.rank}",
            f"{best.node} without {[one.key.display for one in best.victims]}: {best.rank}",
        )
    elif message != theirs.message:
        yield "sentence", theirs.message, message


def _victim(pod: JsonObject) -> tuple[int, str, bool]:
    """Priority, name, and whether it was leaving before."""
    meta = pod["metadata"]
    leaving = not any(one["type"] == "DisruptionTarget" for one in pod["status"].get("conditions") or ())
    return pod["spec"].get("priority") or 0, f"{meta['namespace']}/{meta['name']}", leaving


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
