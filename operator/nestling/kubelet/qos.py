"""The quality-of-service class of a pod.

Source: Kubernetes 1.37, pkg/apis/core/v1/helper/qos/qos.go.
"""

from typing import Final, Literal, TypeAlias

from nestling.api import quantity
from nestling.api.json import JsonObject

QosClass: TypeAlias = Literal["Guaranteed", "Burstable", "BestEffort"]
_COMPUTE: Final = ("cpu", "memory")


def qos_class(spec: JsonObject) -> QosClass:
    """Guaranteed if every container has CPU and memory limits equal to its requests, BestEffort if none has
    any of them, else Burstable. Requests and limits of the pod as a whole decide alone where they are
    set.
    """
    whole: JsonObject = spec.get("resources") or {}
    if any(name in (whole.get(part) or {}) for part in ("requests", "limits") for name in _COMPUTE):
        return _of_requirements(whole)
    found: QosClass | None = None
    for group in ("initContainers", "containers"):
        for container in spec.get(group) or ():
            resources = container.get("resources")
            own = _of_requirements(resources) if resources else "BestEffort"
            if own == "Burstable" or (found is not None and found != own):
                return "Burstable"
            found = own
    return found or "BestEffort"


def _of_requirements(resources: JsonObject) -> QosClass:
    requests: JsonObject = resources.get("requests") or {}
    limits: JsonObject = resources.get("limits") or {}
    found: QosClass | None = None
    for name in _COMPUTE:
        own = _of_resource(requests.get(name), limits.get(name))
        if own == "Burstable" or (found is not None and found != own):
            return "Burstable"
        found = own
    return found or "BestEffort"


def _of_resource(request: object, limit: object) -> QosClass:
    if request is None:
        request = limit  # as the API server fills it in
    if request is None:
        return "BestEffort"
    requested, limited = _amount(request), _amount(limit)
    if requested != limited:
        return "Burstable"
    return "Guaranteed" if requested else "BestEffort"


def _amount(text: object) -> int:
    """Thousandths; nothing, or something unreadable, counts as zero."""
    if not isinstance(text, str | int | float):
        return 0
    try:
        return quantity.milli(text)
    except ValueError:
        return 0
