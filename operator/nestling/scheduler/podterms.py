"""What a pod says about other pods: whom it wants near, whom far, and over what it wants to be spread.

Read from a pod spec together with the pod's namespace and labels, because a term means the pod's own
namespace unless it names others, and takes in the pod's own labels where it says so (`matchLabelKeys`).
Natively the API server writes those labels into the selectors at creation; the result is the same.
Source: Kubernetes 1.37, k8s.io/kube-scheduler/framework (AffinityTerm), plugins/podtopologyspread/common.go,
pkg/registry/core/pod/strategy.go (applyMatchLabelKeysAndMismatchLabelKeys).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from nestling.api.json import JsonObject
from nestling.api.selector import NOTHING, Requirement, Selector

HOSTNAME: Final = "kubernetes.io/hostname"
ZONE: Final = "topology.kubernetes.io/zone"
EMPTY: Final[Mapping[str, str]] = {}


@dataclass(slots=True, eq=False)
class Who:
    """What other pods' selectors ask of a pod: namespace, labels, whether it is on its way out, its owner.

    Pods of equal answers share one object. `owner` is the native kind and the name of the controller, for the
    kinds that default spreading knows.
    """

    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    leaving: bool = False
    owner: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Audience:
    """The pods that one term is about. `anywhere` stands for every namespace, `namespace_selector` for those
    with such labels, beside the ones in `namespaces`."""

    selector: Selector
    namespaces: frozenset[str] = frozenset()
    namespace_selector: Selector = NOTHING

    @property
    def anywhere(self) -> bool:
        """Whether pods of every namespace are meant, whatever its labels."""
        return self.namespace_selector.everything

    def includes(self, who: Who, namespaces: Mapping[str, Mapping[str, str]]) -> bool:
        """Whether the pod is meant; `namespaces` has the labels of every namespace."""
        return self.covers(who.namespace, namespaces) and self.selector.matches(who.labels)

    def covers(self, namespace: str, namespaces: Mapping[str, Mapping[str, str]]) -> bool:
        """Whether pods of this namespace can be meant."""
        if namespace in self.namespaces:
            return True
        return self.namespace_selector.matches(namespaces[namespace])


@dataclass(frozen=True, slots=True)
class AffinityTerm:
    """Pods of `audience`, in the same domain of `topology_key`."""

    topology_key: str
    audience: Audience


@dataclass(frozen=True, slots=True)
class PodAffinity:
    """Terms of one pod. Weights of `preferred` are below 0 for pods that it would rather keep away from."""

    required: tuple[AffinityTerm, ...] = ()
    anti: tuple[AffinityTerm, ...] = ()
    preferred: tuple[tuple[int, AffinityTerm], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.required or self.anti or self.preferred)

    @classmethod
    def of(cls, spec: JsonObject, who: Who) -> "PodAffinity":
        """The terms of a pod spec. Raises ValueError for what cannot be read."""
        affinity: JsonObject = spec.get("affinity") or {}
        near: JsonObject = affinity.get("podAffinity") or {}
        far: JsonObject = affinity.get("podAntiAffinity") or {}
        if not (near or far):
            return NO_AFFINITY
        weighted = [(one, 1) for one in near.get(_PREFERRED) or ()]
        weighted += [(one, -1) for one in far.get(_PREFERRED) or ()]
        return cls(
            tuple(_term(term, who) for term in near.get(_REQUIRED) or ()),
            tuple(_term(term, who) for term in far.get(_REQUIRED) or ()),
            tuple((sign * int(one["weight"]), _term(one["podAffinityTerm"], who)) for one, sign in weighted),
        )


NO_AFFINITY: Final = PodAffinity()
_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"

Policy = Literal["Honor", "Ignore"]


@dataclass(frozen=True, slots=True)
class SpreadConstraint:
    """One topology spread constraint; `hard` keeps pods pending, otherwise it is a matter of score."""

    max_skew: int
    topology_key: str
    hard: bool
    selector: Selector
    min_domains: int = 1
    honor_affinity: bool = True
    honor_taints: bool = False

    @classmethod
    def from_json(cls, constraint: JsonObject, labels: Mapping[str, str] = EMPTY) -> "SpreadConstraint":
        """Build from one entry of `topologySpreadConstraints` of a pod with these labels.

        Raises ValueError for what cannot be read.
        """
        when = constraint.get("whenUnsatisfiable") or "DoNotSchedule"
        if when not in {"DoNotSchedule", "ScheduleAnyway"}:
            raise ValueError(f"whenUnsatisfiable {str(when)[:64]!r} is no way to deal with it")
        selector = Selector.from_json(constraint.get("labelSelector"))
        keys = [key for key in constraint.get("matchLabelKeys") or () if key in labels]
        minimum = constraint.get("minDomains")
        return cls(
            int(constraint["maxSkew"]),
            str(constraint["topologyKey"]),
            when == "DoNotSchedule",
            _narrowed(selector, ((key, "In") for key in keys), labels),
            1 if minimum is None else int(minimum),
            (constraint.get("nodeAffinityPolicy") or "Honor") == "Honor",
            (constraint.get("nodeTaintsPolicy") or "Ignore") == "Honor",
        )

    def of(self, selector: Selector) -> "SpreadConstraint":
        """The same constraint over other pods."""
        return replace(self, selector=selector)


def spread_of(spec: JsonObject, who: Who) -> tuple[SpreadConstraint, ...]:
    """The topology spread constraints of a pod spec. Raises ValueError for what cannot be read."""
    return tuple(
        SpreadConstraint.from_json(one, who.labels) for one in spec.get("topologySpreadConstraints") or ()
    )


def _term(term: JsonObject, who: Who) -> AffinityTerm:
    selector = Selector.from_json(term.get("labelSelector"))
    added = [(key, "In") for key in term.get("matchLabelKeys") or ()]
    added += [(key, "NotIn") for key in term.get("mismatchLabelKeys") or ()]
    selector = _narrowed(selector, [(key, how) for key, how in added if key in who.labels], who.labels)
    names, namespace_selector = term.get("namespaces") or (), term.get("namespaceSelector")
    if not names and namespace_selector is None:
        names = (who.namespace,)
    audience = Audience(selector, frozenset(names), Selector.from_json(namespace_selector))
    return AffinityTerm(str(term["topologyKey"]), audience)


def _narrowed(selector: Selector, added: Iterable[tuple[str, str]], labels: Mapping[str, str]) -> Selector:
    """The selector with conditions on the pod's own values of these keys; nothing stays nothing."""
    more = tuple(Requirement.of(key, how, (labels[key],)) for key, how in added)
    if selector.nothing or not more:
        return selector
    return replace(selector, requirements=(*selector.requirements, *more))
