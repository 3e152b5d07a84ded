"""What an autoscaler says about itself: conditions, figures, kubectl's columns, and its history.

Source: Kubernetes 1.37, pkg/controller/podautoscaler/horizontal.go (setStatus, setCondition),
pkg/printers/internalversion/printers.go (formatHPAMetrics).
"""

from collections.abc import Sequence
from typing import Any, Final, Literal

from nestling.api.json import JsonObject
from nestling.api.quantity import canonical, format_binary, format_milli
from nestling.controllers.autoscaler.demand import Demand
from nestling.controllers.status_change import LONGEST_MESSAGE
from nestling.machinery.clock import timestamp, timestamp_micro
from nestling.machinery.conditions import conditions_of, with_condition
from nestling.machinery.records.autoscaler import Advice, HorizontalPodAutoscaler

ABLE: Final = "AbleToScale"
ACTIVE: Final = "ScalingActive"
LIMITED: Final = "ScalingLimited"
TO_ZERO: Final = "ScaledToZero"
UNKNOWN: Final = "<unknown>"
# Type of a metric -> the field that holds it.
FIELDS: Final = {
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}
_SHOWN: Final = 2


class Report:
    """The status of one autoscaler as it grows during a look."""

    def __init__(self, hpa: HorizontalPodAutoscaler, body: JsonObject, now: float) -> None:
        self._hpa = hpa
        self._now = now
        self.stored: JsonObject = body.get("status") or {}
        self.conditions = conditions_of(body)
        self.fields: JsonObject = {}

    def set(self, kind: str, status: Literal["True", "False"], reason: str, message: str) -> None:
        """Set one condition."""
        state: JsonObject = {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message[:LONGEST_MESSAGE],
        }
        self.conditions = with_condition(self.conditions, state, self._now)

    def is_true(self, kind: str) -> bool:
        """Whether a condition stands and is True."""
        return any(one.get("type") == kind and one.get("status") == "True" for one in self.conditions)

    def count(
        self, current: int, desired: int, metrics: Sequence[JsonObject], *, rescaled: bool = False
    ) -> None:
        """Set the figures."""
        self.fields.update(
            currentReplicas=current,
            desiredReplicas=desired,
            currentMetrics=list(metrics) or None,
            observedGeneration=self._hpa.generation,
        )
        if rescaled:
            self.fields["lastScaleTime"] = timestamp(self._now)

    def remember(self, advice: Sequence[Advice], rescales: Sequence[tuple[float, int]] | None = None) -> None:
        """Set the history; without `rescales` those that stand there stay."""
        changes = self._hpa.rescales if rescales is None else rescales
        self.fields["history"] = {
            "recommendations": [_advice(one) for one in advice],
            # A merge patch keeps what it does not name.
            "rescales": [{"at": timestamp_micro(at), "change": change} for at, change in changes] or None,
        }

    def finish(self) -> JsonObject:
        """The status, with kubectl's columns."""
        metrics = self.fields.get("currentMetrics", self.stored.get("currentMetrics")) or []
        found: JsonObject = {**self.fields, "conditions": self.conditions or None, "display": {
            "reference": f"{self._hpa.target_kind.removeprefix('Virtual')}/{self._hpa.target_name}",
            "targets": targets(self._hpa.metrics, metrics),
        }}  # fmt: skip
        found.setdefault("desiredReplicas", self._hpa.desired)  # the schema asks for it, as the native one
        if "history" in found:
            found["history"] = _as_stored(found["history"], self.stored.get("history"))
        return found


def _as_stored(history: JsonObject, stored: JsonObject | None) -> JsonObject:
    """The history without what is absent on both sides: no write is due for that."""
    before = stored or {}
    return {name: value for name, value in history.items() if value is not None or name in before}


def _advice(one: Advice) -> JsonObject:
    entry: JsonObject = {"replicas": one.replicas, "since": timestamp_micro(one.since)}
    return entry if one.until is None else {**entry, "until": timestamp_micro(one.until)}


def metric_status(spec: JsonObject, demand: Demand) -> JsonObject:
    """The status of a metric of a resource."""
    field = FIELDS[spec["type"]]
    source: JsonObject = spec[field]
    current: JsonObject = {"averageValue": quantity(source["name"], demand.average)}
    if demand.utilization is not None:
        current = {"averageUtilization": demand.utilization, **current}
    names = {name: source[name] for name in ("container", "name") if name in source}
    return {"type": spec["type"], field: {**names, "current": current}}


def quantity(resource: str, thousandths: int) -> str:
    """An amount as Kubernetes prints it: memory in Ki, Mi, Gi, all else in thousandths."""
    if resource == "memory" and thousandths % 1000 == 0:
        return format_binary(thousandths // 1000)
    return format_milli(thousandths)


def targets(specs: Sequence[JsonObject], statuses: Sequence[JsonObject]) -> str:
    """Metrics and what they should be, as kubectl's column shows them; of many, the first two."""
    texts = [
        _target(spec, statuses[index] if index < len(statuses) else {})
        for index, spec in enumerate(specs[:_SHOWN])
    ]
    more = len(specs) - _SHOWN
    return ", ".join(texts) + (f" + {more} more..." if more > 0 else "") if texts else "<none>"


def _target(spec: JsonObject, status: JsonObject) -> str:
    field = FIELDS[spec["type"]]
    target: JsonObject = spec[field]["target"]
    current: JsonObject = (status.get(field) or {}).get("current") or {}
    name = spec[field].get("name", "")
    prefix = f"{name}: " if name else ""
    if target.get("averageValue") is not None:
        average = " (avg)" if spec["type"] in {"External", "Object"} else ""
        return f"{prefix}{_amount(current.get('averageValue'))}/{_amount(target['averageValue'])}{average}"
    if "averageUtilization" in target:
        used = current.get("averageUtilization")
        return f"{prefix}{UNKNOWN if used is None else f'{used}%'}/{target['averageUtilization']}%"
    return f"{prefix}{_amount(current.get('value'))}/{_amount(target.get('value'))}"


def _amount(value: Any) -> str:
    return UNKNOWN if value is None else canonical(value)
