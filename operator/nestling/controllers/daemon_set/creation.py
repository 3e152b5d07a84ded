"""The pod of one node: what it looks like, and its name.

A name depends on the DaemonSet, the node, and a slot, so a repeated create meets its twin. Slots also
count: the successor of a pod that has failed takes a higher one, and that is how long its own failure has
to wait.
Source: Kubernetes 1.37, pkg/controller/daemon/util/daemonset_util.go (CreatePodTemplate,
ReplaceDaemonSetPodNodeNameNodeAffinity).
"""

from collections.abc import Callable
from itertools import count
from typing import Final

from nestling.api.json import JsonObject
from nestling.controllers.daemon_set.household import Household
from nestling.controllers.daemon_set.placement import daemon_tolerations
from nestling.controllers.pod_template import STEM_LENGTH, pod_of
from nestling.machinery.names import Key, suffix
from nestling.machinery.records.pod import Pod
from nestling.machinery.records.revisioned import REVISION_HASH, DaemonSet

GENERATION_LABEL: Final = "pod-template-generation"
# Above it the wait grows no more.
LAST_SLOT: Final = 11

_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"


def key_on(ds: DaemonSet, node: str, slot: int) -> Key:
    """The name of the pod of this node in this slot."""
    stem = f"{ds.key.name}-"[:STEM_LENGTH]
    return ds.key._replace(name=stem + suffix(ds.uid, node, slot))


def free_key_on(ds: DaemonSet, node: str, first: int, taken: Callable[[Key], bool]) -> Key:
    """The name in the first slot from `first` on that no pod has; terminating pods have theirs."""
    return next(key for slot in count(first) if not taken(key := key_on(ds, node, slot)))


def slot_of(ds: DaemonSet, pod: Pod) -> int:
    """The slot that a pod's name was made from; 0 for a name that was not made here."""
    slots = range(LAST_SLOT + 4)
    return next((slot for slot in slots if key_on(ds, pod.target_node, slot) == pod.key), 0)


def pod_on(house: Household, node: str, key: Key) -> JsonObject:
    """The pod for a node as it has to be created; the scheduler binds it."""
    pod = pod_of(house.template, key=key, owner=house.ds.as_owner())
    pod["metadata"]["labels"] = {
        **pod["metadata"]["labels"],
        GENERATION_LABEL: str(house.generation),
        REVISION_HASH: house.hash,
    }
    spec: JsonObject = house.template.get("spec") or {}
    pod["spec"] = {
        **spec,
        "affinity": _pinned(spec.get("affinity") or {}, node),
        "tolerations": daemon_tolerations(spec),
    }
    return pod


def _pinned(affinity: JsonObject, node: str) -> JsonObject:
    """The affinity with the node's name in place of all that was required of a node."""
    named = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    nodes: JsonObject = affinity.get("nodeAffinity") or {}
    return {**affinity, "nodeAffinity": {**nodes, _REQUIRED: {"nodeSelectorTerms": [named]}}}
