"""How many pods a metric asks for.

Usage over target, times the pods that count: pods that are not ready, or of which nothing is known, are
assumed to use nothing when that would mean more pods, and all they may when it would mean fewer; if that
turns the answer round, nothing is asked. Whole numbers are cut and rounded as the original does.
Source: Kubernetes 1.37, pkg/controller/podautoscaler (replica_calculator.go, metrics/utilization.go).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Final, TypeAlias

from nestling.api.json import JsonObject
from nestling.api.quantity import milli
from nestling.api.requests import is_sidecar
from nestling.machinery.clock import seconds_or
from nestling.machinery.records.base import condition
from nestling.machinery.records.pod import Pod

# --horizontal-pod-autoscaler-cpu-initialization-period, -initial-readiness-delay
CPU_INITIALIZATION_S: Final = 300.0
INITIAL_READINESS_S: Final = 30.0
# A sample of usage tells of so many seconds before it, as metrics-server's do.
SAMPLE_WINDOW_S: Final = 15.0
INT32_MAX: Final = 2**31 - 1

Amounts: TypeAlias = Mapping[str, int]
"""Thousandths of each resource (a core, a byte) that one container uses."""
Meter: TypeAlias = Callable[[JsonObject, float], Mapping[str, Amounts]]
"""What the containers of a pod (its JSON) use at a moment, by name; empty while that cannot be known."""


class NoMetric(Exception):
    """Nobody can say how many pods are needed; the text is Kubernetes' own."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far from 1 the ratio of usage to target may be without anything being asked."""

    down: float
    up: float

    def covers(self, ratio: float) -> bool:
        """Whether a ratio is near enough."""
        return 1.0 - self.down <= ratio <= 1.0 + self.up


@dataclass(frozen=True, slots=True)
class Demand:
    """How many pods are asked for; what one uses on average (thousandths), and as percentage of requests."""

    replicas: int
    average: int
    utilization: int | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """The pods that are scaled, and what each uses; pods of which nothing is known are left out."""

    pods: Sequence[tuple[Pod, JsonObject]]
    usage: Mapping[str, int]
    resource: str
    now: float


@dataclass(frozen=True, slots=True)
class Groups:
    """How many pods count, and the names of those that are not ready, unknown, or not counted at all."""

    ready: int
    unready: frozenset[str]
    missing: frozenset[str]
    ignored: frozenset[str]


def measured(pods: Iterable[Pod], meter: Meter, resource: str, container: str, now: float) -> Sample:
    """What pods use of a resource, all containers together or one of them. Raises NoMetric."""
    found: list[tuple[Pod, JsonObject]] = [(pod, pod.body) for pod in pods]
    usage: dict[str, int] = {}
    anything = False
    for pod, body in found:
        used = meter(body, now)
        anything = anything or bool(used)
        parts = [amounts.get(resource) for name, amounts in used.items() if container in {"", name}]
        if parts and None not in parts:
            usage[pod.key.name] = sum(part for part in parts if part is not None)
    if not anything:
        raise NoMetric(
            f"unable to get metrics for resource {resource}: no metrics returned from resource metrics API"
        )
    return Sample(found, usage, resource, now)


def grouped(sample: Sample) -> Groups:
    """Sort the pods by whether their usage says anything."""
    ready = 0
    unready: set[str] = set()
    missing: set[str] = set()
    ignored: set[str] = set()
    for pod, body in sample.pods:
        name = pod.key.name
        if pod.deleting or pod.phase == "Failed":
            ignored.add(name)
        elif pod.phase in {"Pending", ""}:
            unready.add(name)
        elif name not in sample.usage:
            missing.add(name)
        elif sample.resource == "cpu" and _starts(body, sample.now):
            unready.add(name)
        else:
            ready += 1
    return Groups(ready, frozenset(unready), frozenset(missing), frozenset(ignored))


def _starts(body: JsonObject, now: float) -> bool:
    """Whether a pod is still starting, so that its CPU time says little about its work."""
    state = condition(body, "Ready")
    started = seconds_or((body.get("status") or {}).get("startTime"), -1.0)
    if state is None or started < 0:
        return True
    since = seconds_or(state.get("lastTransitionTime"), 0.0)
    unready = state.get("status") == "False"
    if started + CPU_INITIALIZATION_S > now:
        return unready or now < since + SAMPLE_WINDOW_S
    return unready and started + INITIAL_READINESS_S > since


def requests_of(sample: Sample, container: str) -> dict[str, int]:
    """What each pod requests of the resource, in thousandths. Raises NoMetric if one does not say."""
    return {
        pod.key.name: _requested(pod.key.name, body, sample.resource, container) for pod, body in sample.pods
    }


def _requested(name: str, body: JsonObject, resource: str, container: str) -> int:
    spec: JsonObject = body.get("spec") or {}
    whole: JsonObject | None = (spec.get("resources") or {}).get("requests")
    if whole and not container:
        if resource not in whole:
            raise NoMetric(f"missing pod-level request for {resource} in Pod {name}")
        return milli(whole[resource])
    sidecars = [one for one in spec.get("initContainers") or () if is_sidecar(one)]
    total = 0
    for one in (*(spec.get("containers") or ()), *sidecars):
        if container not in {"", one["name"]}:
            continue
        amounts: JsonObject = (one.get("resources") or {}).get("requests") or {}
        if resource not in amounts:
            raise NoMetric(f"missing request for {resource} in container {one['name']} of Pod {name}")
        total += milli(amounts[resource])
        if container:
            return total
    if container:
        raise NoMetric(f"container {container} not found in Pod {name}")
    return total


def by_utilization(
    sample: Sample, target: int, current: int, tolerance: Tolerance, container: str = ""
) -> Demand:
    """Pods needed for `target` percent of what they request. Raises NoMetric."""
    groups, usage = _counting(sample)
    requests = requests_of(sample, container)

    def ratio_of(used: Mapping[str, int]) -> tuple[float, int, int]:
        total = sum(requests[name] for name in used)
        if total == 0:
            raise NoMetric("no metrics returned matched known pods")
        share = sum(used.values()) * 100 // total
        return share / target, share, sum(used.values()) // len(used)

    def full(name: str) -> int:
        return requests[name] * max(100, target) // 100

    ratio, share, average = ratio_of(usage)
    replicas = _replicas(groups, usage, ratio, lambda used: ratio_of(used)[0], full, current, tolerance)
    return Demand(replicas, average, share)


def by_average(sample: Sample, target: int, current: int, tolerance: Tolerance) -> Demand:
    """Pods needed for `target` thousandths each. Raises NoMetric."""
    groups, usage = _counting(sample)

    def ratio_of(used: Mapping[str, int]) -> float:
        return sum(used.values()) // len(used) / target

    average = sum(usage.values()) // len(usage)
    replicas = _replicas(groups, usage, ratio_of(usage), ratio_of, lambda _name: target, current, tolerance)
    return Demand(replicas, average)


def _counting(sample: Sample) -> tuple[Groups, dict[str, int]]:
    if not sample.pods:
        raise NoMetric("no pods returned by selector while calculating replica count")
    groups = grouped(sample)
    left_out = groups.ignored | groups.unready
    usage = {name: value for name, value in sample.usage.items() if name not in left_out}
    if not usage:
        raise NoMetric("did not receive metrics for targeted pods (pods might be unready)")
    return groups, usage


def _replicas(
    groups: Groups,
    usage: Mapping[str, int],
    ratio: float,
    ratio_of: Callable[[Mapping[str, int]], float],
    full: Callable[[str], int],
    current: int,
    tolerance: Tolerance,
) -> int:
    grows_with_unready = bool(groups.unready) and ratio > 1.0
    if not grows_with_unready and not groups.missing:
        return current if tolerance.covers(ratio) else _ceil(ratio * groups.ready)
    assumed: dict[str, Any] = dict(usage)
    if ratio < 1.0:
        assumed |= {name: full(name) for name in groups.missing}
    elif ratio > 1.0:
        assumed |= dict.fromkeys(groups.missing, 0)
    if grows_with_unready:
        assumed |= dict.fromkeys(groups.unready, 0)
    again = ratio_of(assumed)
    if tolerance.covers(again) or (ratio < 1.0 < again) or (again < 1.0 < ratio):
        return current
    wanted = _ceil(again * len(assumed))
    turned = (again < 1.0 and wanted > current) or (again > 1.0 and wanted < current)
    return current if turned else wanted


def _ceil(value: float) -> int:
    return min(ceil(value), INT32_MAX)
