"""Which nodes should have a DaemonSet's pod: by name, by label, and by the taints it tolerates.

The pods tolerate what a node has when it is not well or closed to others: they are the ones who look after
it.
Source: Kubernetes 1.37, pkg/controller/daemon/daemon_controller.go (nodeShouldRunDaemonPod),
util/daemonset_util.go (AddOrUpdateDaemonPodTolerations), component-helpers/scheduling/corev1/nodeaffinity.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from nestling.api.json import JsonObject
from nestling.api.selector import NodeSelectorTerm, Selector
from nestling.api.toleration import Toleration, tolerations_of
from nestling.machinery.records.node import NOT_READY, UNREACHABLE, Node, Taint

_TROUBLES: Final = tuple(
    {"key": key, "operator": "Exists", "effect": effect}
    for key, effect in (
        (NOT_READY, "NoExecute"),
        (UNREACHABLE, "NoExecute"),
        ("node.kubernetes.io/disk-pressure", "NoSchedule"),
        ("node.kubernetes.io/memory-pressure", "NoSchedule"),
        ("node.kubernetes.io/pid-pressure", "NoSchedule"),
        ("node.kubernetes.io/unschedulable", "NoSchedule"),
    )
)
# Only for pods that use the node's own network.
_NO_NETWORK: Final = {
    "key": "node.kubernetes.io/network-unavailable",
    "operator": "Exists",
    "effect": "NoSchedule",
}


class Fit(NamedTuple):
    """Whether a pod should be made for a node, and whether one that is there may stay."""

    runs: bool
    stays: bool


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the pods of one template belong. `terms` is None where the template has no required affinity."""

    node_name: str
    selector: Selector
    terms: tuple[NodeSelectorTerm, ...] | None
    tolerations: tuple[Toleration, ...]

    @classmethod
    def of(cls, spec: JsonObject) -> "Placement":
        """Read the spec of a pod template."""
        affinity: JsonObject = (spec.get("affinity") or {}).get("nodeAffinity") or {}
        required: JsonObject | None = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
        labels: dict[str, str] = spec.get("nodeSelector") or {}
        return cls(
            spec.get("nodeName") or "",
            Selector(tuple(sorted(labels.items()))),
            None if required is None else tuple(_terms(required.get("nodeSelectorTerms") or ())),
            tolerations_of({"tolerations": daemon_tolerations(spec)}),
        )

    def on(self, node: Node) -> Fit:
        """What this placement means for one node."""
        name = node.key.name
        if self.node_name not in {"", name} or not self.selector.matches(node.labels):
            return Fit(runs=False, stays=False)
        if self.terms is not None and not any(term.matches(node.labels, name) for term in self.terms):
            return Fit(runs=False, stays=False)
        effects = {
            taint.effect
            for taint in node.taints
            if taint.effect in {"NoSchedule", "NoExecute"} and not self._tolerates(taint)
        }
        return Fit(runs=not effects, stays="NoExecute" not in effects)

    def _tolerates(self, taint: Taint) -> bool:
        return any(one.tolerates(taint.key, taint.value, taint.effect) for one in self.tolerations)


def daemon_tolerations(spec: JsonObject) -> list[JsonObject]:
    """The tolerations of the pods of a template: its own, and those that all pods of DaemonSets have.

    One that a template has with a time limit loses it.
    """
    found: list[JsonObject] = list(spec.get("tolerations") or ())
    for added in (*_TROUBLES, _NO_NETWORK) if spec.get("hostNetwork") else _TROUBLES:
        same = [at for at, one in enumerate(found) if _alike(one, added)]
        for at in same:
            found[at] = dict(added)
        if not same:
            found.append(dict(added))
    return found


def _alike(one: JsonObject, other: JsonObject) -> bool:
    return all(
        (one.get(name) or "") == (other.get(name) or "") for name in ("key", "operator", "value", "effect")
    )


def _terms(terms: Iterable[JsonObject]) -> Iterator[NodeSelectorTerm]:
    """The terms that can be read; others select nothing."""
    for term in terms:
        try:
            yield NodeSelectorTerm.from_json(term)
        except (ValueError, TypeError, AttributeError, KeyError):
            continue
