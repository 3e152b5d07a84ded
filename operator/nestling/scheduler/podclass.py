"""Pods of equal scheduling-relevant spec form a class: parsed, filtered and scored once, placed many times.

Reads pod specs, and of the metadata what other pods' selectors look at: namespace, labels, owner, whether
the pod is on its way out. Leaves the arrays of a class on one node table to `standing`. A class is found by
the bytes of those parts, so a thousand replicas cost one parse and a thousand dictionary look-ups.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import orjson

from nestling.api.json import JsonObject
from nestling.api.kinds import REPLICA_SET, REPLICATION_CONTROLLER, STATEFUL_SET
from nestling.api.requests import is_sidecar
from nestling.api.selector import NodeSelectorTerm, Requirement
from nestling.api.toleration import Toleration, tolerations_of
from nestling.machinery.names import DEFAULT_NAMESPACE, key_of
from nestling.scheduler.podterms import NO_AFFINITY, PodAffinity, SpreadConstraint, Who, spread_of
from nestling.scheduler.resources import NOTHING, Demand

EVERY_ADDRESS: Final = "0.0.0.0"  # noqa: S104  # compared with, never bound
_LONGEST_KEY: Final = 512  # bytes; a longer signature is kept as its digest
_REMEMBERED: Final = 4096  # classes; beyond it the registry starts over, which only costs parsing anew


class HostPort(NamedTuple):
    """One port that a pod wants of its node's own; `address` is 0.0.0.0 for all of the node's addresses."""

    address: str
    protocol: str
    port: int

    def conflicts(self, other: "HostPort") -> bool:
        """Whether one node cannot have both."""
        return self[1:] == other[1:] and (
            self.address == other.address or EVERY_ADDRESS in {self.address, other.address}
        )


@dataclass(frozen=True, slots=True)
class NodeAffinity:
    """Which nodes the pod accepts and which it would rather have.

    `terms` is None without a requirement (every node does) and empty with one that no node can meet.
    """

    selector: tuple[tuple[str, str], ...] = ()
    terms: tuple[NodeSelectorTerm, ...] | None = None
    preferred: tuple[tuple[int, NodeSelectorTerm], ...] = ()

    @classmethod
    def of(cls, spec: JsonObject) -> "NodeAffinity":
        """The node selector and node affinity of a pod spec. Raises ValueError for what cannot be read."""
        affinity: JsonObject = (spec.get("affinity") or {}).get("nodeAffinity") or {}
        required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
        preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms = None
        if required is not None:
            terms = tuple(_term(term) for term in required.get("nodeSelectorTerms") or ())
        return cls(
            tuple(sorted((spec.get("nodeSelector") or {}).items())),
            terms,
            tuple((int(one["weight"]), _term(one["preference"])) for one in preferred if one.get("weight")),
        )


@dataclass(frozen=True, slots=True, eq=False)
class PodClass:
    """The scheduling-relevant part of a pod, read. Two pods are of one class if their `key` is equal.

    `spec_key` is the same for pods that differ only in who they are to other pods (`who`). `images` has one
    entry per container, init container and image volume. `malformed` is a sentence when the spec cannot be
    read; such pods are placed nowhere and demand nothing.
    """

    key: bytes
    spec_key: bytes = b""
    node_name: str = ""
    demand: Demand = NOTHING
    ports: tuple[HostPort, ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    affinity: NodeAffinity = field(default_factory=NodeAffinity)
    images: tuple[str, ...] = ()
    who: Who = field(default_factory=lambda: NOBODY)
    near: PodAffinity = NO_AFFINITY
    spread: tuple[SpreadConstraint, ...] = ()
    malformed: str = ""

    def tolerates(self, key: str, value: str, effect: str) -> bool:
        """Whether any toleration covers that taint."""
        return any(toleration.tolerates(key, value, effect) for toleration in self.tolerations)


NOBODY: Final = Who(DEFAULT_NAMESPACE)
# Controllers whose selector stands in for constraints that a pod does not state: API group and native kind.
_OWNERS: Final = {
    (kind.api_version if virtual else kind.native_api_version, kind.name if virtual else kind.native): kind
    for kind in (REPLICA_SET, REPLICATION_CONTROLLER, STATEFUL_SET)
    for virtual in (True, False)
}


class Classes:
    """Finds the class of a pod, parsing it only the first time."""

    def __init__(self) -> None:
        self._known: dict[bytes, PodClass] = {}
        self._people: dict[bytes, Who] = {}
        self._specs: dict[bytes, dict[str, Any]] = {}

    def of(
        self,
        spec: JsonObject,
        *,
        meta: JsonObject | None = None,
        namespace: str = DEFAULT_NAMESPACE,
        bound: bool = False,
    ) -> PodClass:
        """The class of a pod by its spec, metadata and virtual namespace; never raises, whatever they hold.

        The node of a `bound` pod is no wish any more: it is left out, so that pods stay of their class when
        bound.
        """
        try:
            mine = signature(spec, bound=bound)
            theirs = _signature_of_who(meta or {}, namespace)
        except (TypeError, ValueError, AttributeError) as error:  # orjson's refusal is a TypeError
            return PodClass(repr(error).encode(), malformed=f"the pod's spec cannot be read: {error}")
        key = mine + theirs
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
                self._people.clear()
                self._specs.clear()
            found = self._known[key] = self._parse(
                key, mine, theirs, spec, meta or {}, namespace, bound=bound
            )
        return found

    def _parse(
        self,
        key: bytes,
        mine: bytes,
        theirs: bytes,
        spec: JsonObject,
        meta: JsonObject,
        namespace: str,
        *,
        bound: bool,
    ) -> PodClass:
        who = self._people.get(theirs)
        if who is None:
            who = self._people[theirs] = _who(meta, namespace)
        fields = self._specs.get(mine)
        if fields is None:
            fields = self._specs[mine] = _read(
                spec,
                {
                    "demand": Demand.of,
                    "ports": _ports,
                    "tolerations": tolerations_of,
                    "affinity": NodeAffinity.of,
                    "images": _images,
                },
            )
        if "malformed" not in fields:
            near, spread = partial(PodAffinity.of, who=who), partial(spread_of, who=who)
            fields = fields | _read(spec, {"near": near, "spread": spread})
        if "malformed" in fields:
            return PodClass(key, mine, who=who, malformed=fields["malformed"])
        return PodClass(key, mine, node_name="" if bound else spec.get("nodeName") or "", who=who, **fields)


def signature(spec: JsonObject, *, bound: bool = False) -> bytes:
    """Bytes that are equal for specs that all plugins treat alike. Raises TypeError for what is not JSON."""
    get = spec.get
    parts: list[Any] = [
        None if bound else get("nodeName"),
        get("nodeSelector"),
        get("affinity"),
        get("tolerations"),
        get("overhead"),
        get("resources"),
        [
            (c.get("name"), c.get("resources"), c.get("ports"), c.get("image"))
            for c in get("containers") or ()
        ],
        get("topologySpreadConstraints"),
    ]
    init = get("initContainers")
    if init:
        parts.append(
            [
                (c.get("name"), c.get("resources"), c.get("ports"), c.get("image"), c.get("restartPolicy"))
                for c in init
            ]
        )
    volumes = get("volumes")
    if volumes:
        parts.append([v["image"] for v in volumes if v.get("image")])
    return _short(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS))


def _signature_of_who(meta: JsonObject, namespace: str) -> bytes:
    owner = _owner(meta)
    parts = (namespace, meta.get("labels"), bool(meta.get("deletionTimestamp")), owner)
    return _short(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS))


def _short(key: bytes) -> bytes:
    return key if len(key) <= _LONGEST_KEY else blake2b(key, digest_size=20).digest()


def _who(meta: JsonObject, namespace: str) -> Who:
    # The schema sees to it that labels are texts; a manifest given to the offline scheduler may hold numbers.
    labels = {str(key): str(value) for key, value in (meta.get("labels") or {}).items()}
    return Who(namespace, labels, bool(meta.get("deletionTimestamp")), _owner(meta))


def _owner(meta: JsonObject) -> tuple[str, str] | None:
    """Native kind and name of the controller, if its selector counts."""
    for one in meta.get("ownerReferences") or ():
        if one.get("controller"):
            kind = _OWNERS.get((one.get("apiVersion"), one.get("kind")))
            if kind is None:
                return None
            name = one.get("name") or ""
            return kind.native, key_of(kind, "", name).name if one["kind"] == kind.name else name
    return None


def _read(spec: JsonObject, readers: Mapping[str, Callable[[JsonObject], Any]]) -> dict[str, Any]:
    """What each reader makes of the spec, or `malformed` alone."""
    # The schema refuses most of this on the host; manifests given to the offline scheduler come unchecked.
    fields: dict[str, Any] = {}
    for name, read in readers.items():
        try:
            fields[name] = read(spec)
        except ValueError as error:
            return {"malformed": f"the pod's {_WORDS[name]} cannot be read: {error}"}
        except (TypeError, KeyError, AttributeError, OverflowError):
            return {"malformed": f"the pod's {_WORDS[name]} cannot be read: not of the form a pod has"}
    return fields


_WORDS: Final[Mapping[str, str]] = {
    "demand": "resources",
    "ports": "ports",
    "tolerations": "tolerations",
    "affinity": "node affinity",
    "images": "images",
    "near": "pod affinity",
    "spread": "topology spread constraints",
}


def _ports(spec: JsonObject) -> tuple[HostPort, ...]:
    """Host ports of containers that run as long as the pod. Raises ValueError for one out of range."""
    running: Iterable[JsonObject] = (
        *(one for one in spec.get("initContainers") or () if is_sidecar(one)),
        *(spec.get("containers") or ()),
    )
    found: dict[HostPort, None] = {}
    for container in running:
        for port in container.get("ports") or ():
            number = port.get("hostPort") or 0
            if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= 65535:
                raise ValueError(f"hostPort {str(number)[:32]!r} is not a port of 1 to 65535")
            if number:
                found[
                    HostPort(port.get("hostIP") or EVERY_ADDRESS, port.get("protocol") or "TCP", number)
                ] = None
    return tuple(found)


def _images(spec: JsonObject) -> tuple[str, ...]:
    """Images of init containers, containers and image volumes, each as often as it is named."""
    containers = (*(spec.get("initContainers") or ()), *(spec.get("containers") or ()))
    found = [one.get("image") or "" for one in containers]
    found += [one["image"].get("reference") or "" for one in spec.get("volumes") or () if one.get("image")]
    return tuple(found)


def _term(term: JsonObject) -> NodeSelectorTerm:
    read = NodeSelectorTerm.from_json(term)
    for requirement in read.fields:
        _check_field(requirement)
    return read


def _check_field(requirement: Requirement) -> None:
    if requirement.key != "metadata.name":
        raise ValueError(f"matchFields knows metadata.name only, not {requirement.key[:64]!r}")
    if requirement.operator not in {"In", "NotIn"} or len(requirement.values) != 1:
        raise ValueError("matchFields takes In or NotIn with exactly one value")
