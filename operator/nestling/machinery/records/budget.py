"""What loops read of a VirtualPodDisruptionBudget."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from nestling.api.json import JsonObject
from nestling.api.kinds import POD_DISRUPTION_BUDGET, Kind
from nestling.api.selector import NOTHING, Selector
from nestling.machinery.clock import seconds_or
from nestling.machinery.records.base import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class PodDisruptionBudget(Record):
    """One disruption budget: what it asks for, and what was last counted.

    `min_available` and `max_unavailable` stand as written, a number or a percentage, None where absent.
    `selector` is NOTHING where there is none, or none that can be read; an empty one selects all pods of the
    namespace. `disrupted` maps the names of pods whose eviction was granted to when, seconds since 1970.
    """

    KIND: ClassVar[Kind] = POD_DISRUPTION_BUDGET

    selector: Selector
    min_available: int | str | None
    max_unavailable: int | str | None
    always_evicts_unhealthy: bool

    observed_generation: int
    disruptions_allowed: int
    current_healthy: int
    desired_healthy: int
    expected_pods: int
    disrupted: Mapping[str, float]

    @classmethod
    def fields_of(cls, obj: JsonObject) -> dict[str, Any]:
        """Constructor arguments taken from a VirtualPodDisruptionBudget."""
        fields = super(PodDisruptionBudget, cls).fields_of(obj)
        spec: JsonObject = obj.get("spec") or {}
        status: JsonObject = obj.get("status") or {}
        disrupted = cast("Mapping[str, object]", status.get("disruptedPods") or {})
        fields.update(
            selector=_selector(spec.get("selector")),
            min_available=spec.get("minAvailable"),
            max_unavailable=spec.get("maxUnavailable"),
            always_evicts_unhealthy=spec.get("unhealthyPodEvictionPolicy") == "AlwaysAllow",
            observed_generation=status.get("observedGeneration") or 0,
            disruptions_allowed=status.get("disruptionsAllowed") or 0,
            current_healthy=status.get("currentHealthy") or 0,
            desired_healthy=status.get("desiredHealthy") or 0,
            expected_pods=status.get("expectedPods") or 0,
            disrupted={name: seconds_or(when, 0.0) for name, when in disrupted.items()},
        )
        return fields


def _selector(value: JsonObject | None) -> Selector:
    try:
        return Selector.from_json(value)
    except ValueError:  # the schema refuses these
        return NOTHING
