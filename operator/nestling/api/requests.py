"""What a pod asks of its node: the requests of its containers, added up the way Kubernetes adds them.

A limit without a request counts as one. For native pods the API server writes that into the object; the
schema of a custom resource cannot, so the scheduler and the kubelet, who must come to the same sum, ask here.
Works on JSON with any kind of number: the caller reads the quantities, exactly or rounded.
Source: Kubernetes 1.37, component-helpers/resource/helpers.go (PodRequests), pkg/apis/core/v1/defaults.go
(SetDefaults_Pod, defaultPodRequests).
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Final, TypeAlias, TypeVar

from nestling.api.json import JsonObject

N = TypeVar("N", int, Fraction)
Read: TypeAlias = Callable[[JsonObject, str], dict[str, N]]
"""Reads a map of quantities; the text says whose they are, for an error."""

OF_POD: Final = "the pod"
OF_OVERHEAD: Final = "the pod's overhead"


def is_sidecar(container: JsonObject) -> bool:
    """Whether an init container keeps running beside the main ones."""
    return container.get("restartPolicy") == "Always"


def is_pod_level(name: str) -> bool:
    """Whether this resource can be asked for by the pod as a whole."""
    return name in {"cpu", "memory"} or name.startswith("hugepages-")


def has_pod_level(spec: JsonObject) -> bool:
    """Whether a pod asks for anything as a whole."""
    whole: JsonObject = spec.get("resources") or {}
    return any(is_pod_level(name) for part in ("requests", "limits") for name in whole.get(part) or ())


def container_requests(container: JsonObject) -> JsonObject:
    """The requests of one container as written, completed by its limits."""
    resources: JsonObject | None = container.get("resources")
    if not resources:
        return {}
    limits: JsonObject | None = resources.get("limits")
    requests: JsonObject = resources.get("requests") or {}
    return {**limits, **requests} if limits else requests


def pod_requests(
    spec: JsonObject,
    read: Read[N],
    *,
    unsaid: Mapping[str, N] | None = None,
    pod_level: bool = True,
) -> dict[str, N]:
    """Requests of a whole pod by resource. Raises what `read` raises.

    `unsaid` stands in for what a container does not mention (a stated zero is stated). `pod_level=False`
    looks past what the pod asks for as a whole.
    """

    def of(container: JsonObject) -> dict[str, N]:
        own = read(container_requests(container), f"container {container.get('name', '')!r}")
        return {**unsaid, **own} if unsaid else own

    total: dict[str, N] = {}
    for container in spec.get("containers") or ():
        _add(total, of(container))
    # The n-th init container runs beside the sidecars before it; the pod needs the largest of these moments.
    sidecars: dict[str, N] = {}
    peak: dict[str, N] = {}
    for container in spec.get("initContainers") or ():
        own = of(container)
        if is_sidecar(container):
            _add(total, own)
            _add(sidecars, own)
            moment = sidecars
        else:
            moment = own
            _add(moment, sidecars)
        for name, amount in moment.items():
            peak[name] = max(peak.get(name, amount), amount)
    for name, amount in peak.items():
        total[name] = max(total.get(name, amount), amount)
    if pod_level and spec.get("resources"):
        _take_pod_level(total, spec["resources"], read)
    if spec.get("overhead"):
        _add(total, read(spec["overhead"], OF_OVERHEAD))
    return total


def _take_pod_level(total: dict[str, N], whole: JsonObject, read: Read[N]) -> None:
    """Put what the pod asks for as a whole in place of the sum; a limit, only where there is no sum."""
    limits = read(whole.get("limits") or {}, OF_POD)
    requests = read(whole.get("requests") or {}, OF_POD)
    for name, amount in {**limits, **requests}.items():
        if is_pod_level(name) and (name in requests or name not in total):
            total[name] = amount


def _add(total: dict[str, N], more: Mapping[str, N]) -> None:
    for name, amount in more.items():
        total[name] = total[name] + amount if name in total else amount
