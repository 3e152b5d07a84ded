"""When the probes of one run of a container speak: a closed form instead of a timer per probe.

A probe ticks `initialDelaySeconds` plus whole periods after the start. The runtime says from when until
when the container answers; so the tick that settles a threshold can be computed, and the kubelet wakes
for that one only.
Source: Kubernetes 1.37, pkg/kubelet/prober/worker.go (thresholds, startup before the others, kill on
failure).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from nestling.api.json import JsonObject
from nestling.kubelet.runtimes.runtime import Answers, ProbeKind

NEVER: Final = math.inf


@dataclass(frozen=True, slots=True)
class Marks:
    """Turning points of one run, in seconds after its start; NEVER for what does not happen.

    `killed_by` is the probe whose failure ends the run at `killed_after`.
    """

    started_after: float = 0.0
    ready_after: float = 0.0
    unready_after: float = NEVER
    killed_after: float = NEVER
    killed_by: ProbeKind | None = None


PLAIN: Final = Marks()


def marks_of(container: JsonObject, answers: Callable[[ProbeKind], Answers]) -> Marks:
    """The turning points of a run of this container (as in the pod's spec)."""
    startup: JsonObject | None = container.get("startupProbe")
    liveness: JsonObject | None = container.get("livenessProbe")
    started_after, killed_after = 0.0, NEVER
    killed_by: ProbeKind | None = None
    if startup is not None:
        passes = _tick_at(startup, answers("startup").since)
        gives_up = _tick_at(startup, 0.0, _threshold(startup, "failureThreshold", 3))
        if passes > gives_up:
            return Marks(NEVER, NEVER, NEVER, gives_up, "startup")
        started_after = passes
    if liveness is not None:
        killed_after = _failure(liveness, answers("liveness"), started_after)
        killed_by = "liveness" if killed_after < NEVER else None
    ready_after, unready_after = _readiness(
        container.get("readinessProbe"), answers("readiness"), started_after
    )
    return Marks(started_after, ready_after, unready_after, killed_after, killed_by)


def _readiness(probe: JsonObject | None, answers: Answers, started_after: float) -> tuple[float, float]:
    """When the container turns ready, and when it stops being so."""
    if probe is None:
        return max(answers.since, started_after), NEVER
    first = _tick_at(probe, max(answers.since, started_after))
    ready_after = first + (_threshold(probe, "successThreshold", 1) - 1) * _period(probe)
    if answers.until is None:
        return ready_after, NEVER
    if ready_after >= answers.until:
        return NEVER, NEVER
    return ready_after, _tick_at(probe, answers.until, _threshold(probe, "failureThreshold", 3))


def _failure(probe: JsonObject, answers: Answers, started_after: float) -> float:
    """When so many ticks in a row have failed that the container is killed."""
    failures = _threshold(probe, "failureThreshold", 3)
    settled = _tick_at(probe, started_after, failures)
    passes = _tick_at(probe, max(answers.since, started_after))
    if settled < passes or (answers.until is not None and passes >= answers.until):
        return settled
    if answers.until is None:
        return NEVER
    return _tick_at(probe, max(answers.until, started_after), failures)


def _tick_at(probe: JsonObject, moment: float, count: int = 1) -> float:
    """The `count`-th tick at or after `moment`; the first tick of all comes a period after the initial
    delay.
    """
    delay, period = _seconds(probe, "initialDelaySeconds", 0), _period(probe)
    number = max(math.ceil((moment - delay) / period), 1) + count - 1
    return delay + number * period


def _period(probe: JsonObject) -> int:
    return max(_seconds(probe, "periodSeconds", 10), 1)


def _seconds(probe: JsonObject, field: str, default: int) -> int:
    value = probe.get(field)
    return default if value is None else max(int(value), 0)


def _threshold(probe: JsonObject, field: str, default: int) -> int:
    return max(_seconds(probe, field, default), 1)
