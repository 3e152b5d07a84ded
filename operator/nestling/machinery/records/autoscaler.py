"""What loops read of a VirtualHorizontalPodAutoscaler.

Everything is read once per event into values; what slipped past the schema becomes the default.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from nestling.api.json import JsonObject
from nestling.api.kinds import HORIZONTAL_POD_AUTOSCALER, Kind
from nestling.api.quantity import parse
from nestling.machinery.clock import seconds_or
from nestling.machinery.records.base import Record

DEFAULT_WINDOW_S: Final = 300.0
DEFAULT_TOLERANCE: Final = 0.1
DEFAULT_METRICS: Final[Sequence[JsonObject]] = (
    {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
    },
)


@dataclass(frozen=True, slots=True)
class Policy:
    """So much, in pods or (`percent`) in a share of them, may change within `period_s` seconds."""

    value: int
    period_s: float
    percent: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """How fast the number of pods may go one way.

    `select` is Max, Min or Disabled; `window_s` is for how long recommendations are looked back upon.
    """

    policies: tuple[Policy, ...]
    select: str = "Max"
    window_s: float = 0.0
    tolerance: float = DEFAULT_TOLERANCE

    @property
    def longest_s(self) -> float:
        """The longest period of its policies."""
        return max((policy.period_s for policy in self.policies), default=0.0)


UP: Final = Rules((Policy(4, 15), Policy(100, 15, percent=True)))
DOWN: Final = Rules((Policy(100, 15, percent=True),), window_s=DEFAULT_WINDOW_S)


@dataclass(frozen=True, slots=True)
class Advice:
    """So many pods were recommended from `since` until `until`, seconds since 1970; None: they still are."""

    replicas: int
    since: float
    until: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HorizontalPodAutoscaler(Record):
    """One autoscaler. `up` and `down` are None where it has no behaviour of its own.

    `advice` is what was recommended lately, oldest first; `rescales` when the number was changed, and by how
    much. `current` and `desired` are the figures of its status.
    """

    KIND: ClassVar[Kind] = HORIZONTAL_POD_AUTOSCALER

    target_version: str
    target_kind: str
    target_name: str
    least: int
    most: int
    metrics: Sequence[JsonObject]
    up: Rules | None
    down: Rules | None
    advice: tuple[Advice, ...]
    rescales: tuple[tuple[float, int], ...]
    current: int
    desired: int

    @classmethod
    def fields_of(cls, obj: JsonObject) -> dict[str, Any]:
        """Constructor arguments taken from a VirtualHorizontalPodAutoscaler."""
        fields = super(HorizontalPodAutoscaler, cls).fields_of(obj)
        spec: JsonObject = obj.get("spec") or {}
        status: JsonObject = obj.get("status") or {}
        target: JsonObject = spec.get("scaleTargetRef") or {}
        behavior: JsonObject | None = spec.get("behavior")
        history: JsonObject = status.get("history") or {}
        fields.update(
            target_version=target.get("apiVersion") or "",
            target_kind=target.get("kind") or "",
            target_name=target.get("name") or "",
            least=spec.get("minReplicas", 1),
            most=spec.get("maxReplicas", 1),
            metrics=spec.get("metrics") or DEFAULT_METRICS,
            up=None if behavior is None else _rules(behavior.get("scaleUp") or {}, UP),
            down=None if behavior is None else _rules(behavior.get("scaleDown") or {}, DOWN),
            advice=tuple(map(_advice, history.get("recommendations") or ())),
            rescales=tuple(
                (seconds_or(one.get("at"), 0.0), one.get("change") or 0)
                for one in history.get("rescales") or ()
            ),
            current=status.get("currentReplicas") or 0,
            desired=status.get("desiredReplicas") or 0,
        )
        return fields


def _rules(spec: JsonObject, plain: Rules) -> Rules:
    policies: Sequence[Mapping[str, Any]] | None = spec.get("policies")
    window = spec.get("stabilizationWindowSeconds")
    tolerance = spec.get("tolerance")
    return Rules(
        plain.policies
        if policies is None
        else tuple(
            Policy(one["value"], float(one["periodSeconds"]), percent=one["type"] == "Percent")
            for one in policies
        ),
        spec.get("selectPolicy") or plain.select,
        plain.window_s if window is None else float(window),
        plain.tolerance if tolerance is None else float(parse(tolerance)),
    )


def _advice(one: JsonObject) -> Advice:
    until = one.get("until")
    return Advice(
        one.get("replicas") or 0,
        seconds_or(one.get("since"), 0.0),
        seconds_or(until, 0.0) if until else None,
    )
