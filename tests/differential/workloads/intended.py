"""The differences that are meant to be, each with its reason: all that the comparison leaves out on purpose.

Whatever is not listed here has to be the same. What differs by chance (names, hashes, UIDs, addresses, times)
is masked by `chronicle` and `picture` and is no difference.
"""

from typing import Final

from nestling.api.json import JsonObject

POD_SPEC: Final = {
    "nodeName": "which of several nodes a pod gets is the scheduler's choice; `bound` says if it has one",
    "serviceAccount": "virtual pods have no service accounts",
    "serviceAccountName": "virtual pods have no service accounts",
    "enableServiceLinks": "a default that nobody reads: simulated containers have no environment",
    "preemptionPolicy": "admission resolves it from the priority class natively; here the scheduler does",
    "priority": "admission resolves it from the priority class natively; here the scheduler does",
}
CONTAINER: Final = {
    "imagePullPolicy": "natively a default that depends on the image's tag; here the kubelet works it out",
}
ROLLING_DEFAULTS: Final[tuple[JsonObject, ...]] = (
    {"maxSurge": "25%", "maxUnavailable": "25%"},
    {"maxUnavailable": 1},
    {"maxUnavailable": 1, "partition": 0},
    {"maxUnavailable": 1, "maxSurge": 0},
)
"""Bounds of a rolling update that hold when nobody says any. Natively they are filled in beside a bare
`type: RollingUpdate` too; a default of a custom resource cannot depend on another field."""
DEFAULT_TOLERATIONS: Final = frozenset({"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"})
"""Natively admission writes these tolerations with 300 s into every pod; here the VirtualCluster's setting
holds for pods that do not say it themselves, which saves 200 bytes per pod."""
STATUS: Final = {
    "backoff": "natively the Job controller remembers failures; ours writes them down and survives a restart",
    "display": "what kubectl computes for its columns; a custom resource has to store it",
    "history": "natively the autoscaler remembers its advice; ours writes it down and survives a restart",
    "selector": "the scale subresource of a custom resource reads the selector from a field",
}
LABELLED_BY_TEMPLATE: Final = frozenset({"ReplicationController"})
"""Natively a ReplicationController without labels gets those of its template; the defaults of a custom
resource are constants."""
TAINT_TIME: Final = "timeAdded"
"""Natively the taint manager remembers when it saw a taint; ours writes it down, so that a restart forgets
nothing."""
NODE: Final = ("taints", "unschedulable")
"""What a node's controllers decide. The rest is the kubelet's, and KWOK tells of another machine."""
POD_CONDITIONS: Final = frozenset({"Ready", "DisruptionTarget"})
"""KWOK does not set all conditions that a kubelet sets; these are what controllers read and write."""
SILENT: Final = frozenset({"kubelet", "default-scheduler", "kwok"})
"""Whose events are not compared: KWOK has none, and the scheduler is judged by a test of its own."""
SAID_AGAIN: Final = frozenset(
    {
        "AmbiguousSelector",
        "FailedComputeMetricsReplicas",
        "FailedGetContainerResourceMetric",
        "FailedGetExternalMetric",
        "FailedGetObjectMetric",
        "FailedGetPodsMetric",
        "FailedGetResourceMetric",
        "FailedGetScale",
        "InvalidSchedule",
        "NoPods",
        "SawCompletedJob",
    }
)
"""Events that the original repeats with every look, so that their number is that of its looks; compared is
only that they were said."""
UNSAID: Final = r" TaintManagerEviction Cancelling deletion of Pod "
"""Natively a timer per pod is started, and stopped with an event when the taint goes; ours starts no timers,
so there is nothing to stop. Whether a pod that comes while its node recovers gets such a timer is chance."""
UNORDERED: Final = r"\(e\.g\. \[([^]]+)\]\)"
"""Objects that the original names in no order: that of a Go map."""
SCALED: Final = r"ScalingReplicaSet Scaled (?:up|down) replica set (\S+) from (\d+) to (\d+)"
"""How many steps a rollout takes depends on how many pods became ready between two looks of the controller,
and each side has a rhythm of its own. Compared are the sizes at which a ReplicaSet turned."""


def without_defaults(spec: JsonObject) -> JsonObject:
    """A pod's or template's spec without the fields that are filled in on one side only."""
    kept = {name: value for name, value in spec.items() if name not in POD_SPEC}
    for group in ("containers", "initContainers"):
        if kept.get(group):
            kept[group] = [{k: v for k, v in one.items() if k not in CONTAINER} for one in kept[group]]
    if "tolerations" in kept:
        kept["tolerations"] = [one for one in kept["tolerations"] if not _is_default(one)]
    return kept


def without_rolling_defaults(spec: JsonObject) -> JsonObject:
    """A workload's spec without bounds of a rolling update that nobody has chosen."""
    found = dict(spec)
    for field in ("strategy", "updateStrategy"):
        strategy = found.get(field)
        if isinstance(strategy, dict) and strategy.get("rollingUpdate") in ROLLING_DEFAULTS:
            found[field] = {name: value for name, value in strategy.items() if name != "rollingUpdate"}
    return found


def _is_default(toleration: JsonObject) -> bool:
    return toleration.get("key") in DEFAULT_TOLERATIONS and toleration.get("tolerationSeconds") == 300
