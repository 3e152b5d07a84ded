"""How fast the number of pods may change: windows of recommendations, policies per time, and the bounds.

Kubernetes' controller keeps recommendations and rescales in memory and forgets them with its process; here
they stand in the autoscaler's status, so that windows survive a restart. A recommendation that is repeated is
one entry with a beginning and an end: nothing is written while usage stays as it is.
Source: Kubernetes 1.37, pkg/controller/podautoscaler/horizontal.go (normalizeDesiredReplicas and what it
calls).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from nestling.machinery.records.autoscaler import (
    DEFAULT_WINDOW_S,
    Advice,
    HorizontalPodAutoscaler,
    Policy,
    Rules,
)

INT32: Final = (-(2**31), 2**31 - 1)
# --horizontal-pod-autoscaler-sync-period
SYNC_S: Final = 15.0
SCALE_UP_FACTOR: Final = 2.0
SCALE_UP_LEAST: Final = 4.0
# More entries than any window can need at one per look; the schema allows 512.
MOST_KEPT: Final = 500

READY: Final = ("ReadyForNewScale", "recommended size matches current size")
UP_STABILIZED: Final = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
)
DOWN_STABILIZED: Final = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
)
WITHIN: Final = ("DesiredWithinRange", "the desired count is within the acceptable range")
TOO_FEW: Final = ("TooFewReplicas", "the desired replica count is less than the minimum replica count")
TOO_MANY: Final = ("TooManyReplicas", "the desired replica count is more than the maximum replica count")
TOO_FAST_UP: Final = (
    "ScaleUpLimit",
    "the desired replica count is increasing faster than the maximum scale rate",
)
TOO_FAST_DOWN: Final = (
    "ScaleDownLimit",
    "the desired replica count is decreasing faster than the maximum scale rate",
)


@dataclass(frozen=True, slots=True)
class Step:
    """The number of pods to go to, and reason and message of AbleToScale and ScalingLimited."""

    replicas: int
    able: tuple[str, str]
    limited: bool
    limit: tuple[str, str]


def begun(advice: Sequence[Advice], current: int, now: float) -> tuple[Advice, ...]:
    """Recommendations so far; at the first look the number that is there counts as recommended."""
    return tuple(advice) or (Advice(current, now, now),)


def recorded(advice: Sequence[Advice], replicas: int, longest_s: float, now: float) -> tuple[Advice, ...]:
    """Recommendations with the newest one, without those that no window reaches."""
    kept = [one for one in advice if one.until is None or one.until >= now - longest_s]
    if kept and kept[-1].until is None:
        last = kept[-1]
        if last.replicas == replicas:
            return tuple(kept[-MOST_KEPT:])
        # It was last recommended at the look before this one.
        kept[-1] = Advice(last.replicas, last.since, max(last.since, now - SYNC_S))
    return tuple([*kept, Advice(replicas, now)][-MOST_KEPT:])


def windows_s(hpa: HorizontalPodAutoscaler) -> float:
    """The longest window that recommendations are looked back upon."""
    if hpa.up is None or hpa.down is None:
        return DEFAULT_WINDOW_S
    return max(hpa.up.window_s, hpa.down.window_s)


def step(
    hpa: HorizontalPodAutoscaler, advice: Sequence[Advice], current: int, wanted: int, now: float
) -> Step:
    """Where to go from `current` when the metrics want `wanted`; `advice` does not hold that yet."""
    if hpa.up is None or hpa.down is None:
        stable = max(
            [wanted, *(one.replicas for one in advice if _ended(one, now) >= now - DEFAULT_WINDOW_S)]
        )
        able = READY if stable == wanted else DOWN_STABILIZED
        replicas, limit = _bounded(current, stable, hpa.least, hpa.most)
    else:
        stable = _stabilized(hpa.up, hpa.down, advice, current, wanted, now)
        able = READY if stable == wanted else UP_STABILIZED if wanted >= current else DOWN_STABILIZED
        replicas, limit = _paced(hpa, hpa.up, hpa.down, current, stable, now)
    return Step(replicas, able, replicas != stable, limit)


def _ended(one: Advice, now: float) -> float:
    """When it was last recommended; what still stands was so at the look before this one."""
    return max(one.since, now - SYNC_S) if one.until is None else one.until


def _stabilized(
    up: Rules, down: Rules, advice: Iterable[Advice], current: int, wanted: int, now: float
) -> int:
    lowest = highest = wanted
    for one in advice:
        ended = _ended(one, now)
        if ended > now - up.window_s:
            lowest = min(lowest, one.replicas)
        if ended > now - down.window_s:
            highest = max(highest, one.replicas)
    return min(max(current, lowest), highest)


def _bounded(current: int, wanted: int, least: int, most: int) -> tuple[int, tuple[str, str]]:
    fastest = int(max(SCALE_UP_FACTOR * current, SCALE_UP_LEAST))
    top, why = (fastest, TOO_FAST_UP) if most > fastest else (most, TOO_MANY)
    if wanted < least:
        return least, TOO_FEW
    return (top, why) if wanted > top else (wanted, WITHIN)


def _paced(
    hpa: HorizontalPodAutoscaler, up: Rules, down: Rules, current: int, wanted: int, now: float
) -> tuple[int, tuple[str, str]]:
    if wanted > current:
        fastest = max(_limit(up, hpa.rescales, current, now, grows=True), current)
        top, why = (fastest, TOO_FAST_UP) if hpa.most > fastest else (hpa.most, TOO_MANY)
        if wanted > top:
            return top, why
    elif wanted < current:
        fastest = min(_limit(down, hpa.rescales, current, now, grows=False), current)
        bottom, why = (fastest, TOO_FAST_DOWN) if hpa.least < fastest else (hpa.least, TOO_FEW)
        if wanted < bottom:
            return bottom, why
    return wanted, WITHIN


def _limit(
    rules: Rules, rescales: Sequence[tuple[float, int]], current: int, now: float, *, grows: bool
) -> int:
    """How far the policies let the number go; infinitely far without any, as 32 bits have it."""
    if rules.select == "Disabled":
        return current
    least_change = rules.select == "Min"
    proposals = [_proposal(one, rescales, current, now, grows=grows) for one in rules.policies]
    if not proposals:
        return INT32[0 if grows != least_change else 1]
    return min(proposals) if grows == least_change else max(proposals)


def _proposal(
    policy: Policy, rescales: Iterable[tuple[float, int]], current: int, now: float, *, grows: bool
) -> int:
    """The bound of one policy, counted from the number of pods at the start of its period."""
    start = current - sum(change for at, change in rescales if at > now - policy.period_s)
    if not policy.percent:
        return start + policy.value if grows else start - policy.value
    # Up is rounded up, or a small number could never grow; down is cut.
    if grows:
        return ceil(start * (1 + policy.value / 100))
    return int(start * (1 - policy.value / 100))


def rescaled(
    hpa: HorizontalPodAutoscaler, current: int, wanted: int, now: float
) -> tuple[tuple[float, int], ...]:
    """The rescales with one more, without those that no policy reaches; none without a behaviour."""
    if hpa.up is None or hpa.down is None:
        return ()
    longest = max(hpa.up.longest_s, hpa.down.longest_s)
    kept = [(at, change) for at, change in hpa.rescales if at >= now - longest]
    return tuple([*kept, (now, wanted - current)][-MOST_KEPT:])
