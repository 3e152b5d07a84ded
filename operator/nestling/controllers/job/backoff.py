"""How long a Job waits before it replaces failed pods: 10 s after the first failure, doubling to 10 min.

Failures count from the last success, for the whole Job, or per index where `backoffLimitPerIndex` is set. The
wait starts when the last failed pod finished. Kubernetes keeps the count in memory and forgets it with a
restart; here it stands in `status.backoff` until the Job has finished.
Source: Kubernetes 1.37, pkg/controller/job/backoff_utils.go.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nestling.api.json import JsonObject
from nestling.api.requests import is_sidecar
from nestling.machinery.clock import seconds_of, seconds_or, timestamp
from nestling.machinery.conditions import conditions_of, find_condition

FIRST_S: Final = 10.0
LONGEST_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """Failures since the last success, and when the last of them finished (seconds since 1970)."""

    failures: int = 0
    last_failed_at: float = 0.0

    @property
    def until(self) -> float:
        """When the wait is over; long ago if there is nothing to wait for."""
        return self.last_failed_at + delay(self.failures)

    def after(self, succeeded: Sequence[float], failed: Sequence[float]) -> "Backoff":
        """What becomes of it once pods have finished at these times."""
        if not succeeded:
            return Backoff(self.failures + len(failed), max(failed)) if failed else self
        later = [at for at in failed if at > max(succeeded)]
        return Backoff(len(later), max(later, default=0.0))

    @classmethod
    def read(cls, status: JsonObject) -> "Backoff":
        """The back-off as `status.backoff` has it."""
        found: JsonObject = status.get("backoff") or {}
        return cls(found.get("failures") or 0, seconds_or(found.get("lastFailureTime"), 0.0))

    def to_json(self) -> JsonObject | None:
        """The back-off as it goes into the status; None if there is nothing to remember."""
        if not self.failures:
            return None
        return {"failures": self.failures, "lastFailureTime": timestamp(self.last_failed_at)}


def delay(failures: int) -> float:
    """Seconds to wait after so many failures in a row: none, 10, 20, 40, at most 600."""
    return min(FIRST_S * 2.0 ** min(failures - 1, 30), LONGEST_S) if failures > 0 else 0.0


def finished_at(pod: JsonObject) -> float:
    """When a pod finished (seconds since 1970).

    When its last container did; else when it ceased to be ready; else when it was asked to go.
    """
    status: JsonObject = pod.get("status") or {}
    inits: Iterable[JsonObject] = (pod.get("spec") or {}).get("initContainers") or ()
    sidecars = {container["name"] for container in inits if is_sidecar(container)}
    found = _last_end(status.get("containerStatuses") or (), None)
    found = _last_end(
        (one for one in status.get("initContainerStatuses") or () if one.get("name") in sidecars), found
    )
    if found is not None:
        return found
    ready = find_condition(conditions_of(pod), "Ready")
    if ready is not None and ready.get("status") == "False" and ready.get("lastTransitionTime"):
        return seconds_of(ready["lastTransitionTime"])
    meta: Mapping[str, Any] = pod["metadata"]
    if meta.get("deletionTimestamp"):
        return seconds_of(meta["deletionTimestamp"]) - (meta.get("deletionGracePeriodSeconds") or 0)
    return seconds_of(meta["creationTimestamp"])


def _last_end(statuses: Iterable[JsonObject], so_far: float | None) -> float | None:
    """The latest end of these containers, at least `so_far`; None if one has not ended."""
    for status in statuses:
        ended: JsonObject = (status.get("state") or {}).get("terminated") or {}
        if not ended.get("finishedAt"):
            return None
        at = seconds_of(ended["finishedAt"])
        so_far = at if so_far is None else max(so_far, at)
    return so_far
