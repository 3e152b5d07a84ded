"""Pods of equal scheduling-relevant spec form a class: parsed, filtered and scored once, placed many times.

Reads pod specs; leaves the arrays of a class on one node table to `standing`. A class is found by the bytes
of those parts of the spec that a plugin looks at, so a thousand replicas cost one parse and a thousand
dictionary look-ups.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import orjson

from nestling.api.json import JsonObject
from nestling.api.requests import is_sidecar
from nestling.api.selector import NodeSelectorTerm, Requirement
from nestling.api.toleration import Toleration, tolerations_of
from nestling.scheduler.resources import NOTHING, Demand

EVERY_ADDRESS: Final = "0.0.0.0"  # noqa: S104  # compared with, never bound
_LONGEST_KEY: Final = 512  # bytes; a longer signature is kept as its digest
_REMEMBERED: Final = 4096  # classes; beyond it the registry starts over, which only costs parsing anew


class HostPort(NamedTuple):
    """One port that a pod wants of its node's own; `address` is 0.0.0.0 for all of the node's addresses."""

    address: str
    protocol: str
    port: int


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
    """The scheduling-relevant part of a pod spec, read. Two pods are of one class if their `key` is equal.

    `malformed` is a sentence when the spec cannot be read; such pods are placed nowhere and demand nothing.
    """

    key: bytes
    node_name: str = ""
    demand: Demand = NOTHING
    ports: tuple[HostPort, ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    affinity: NodeAffinity = field(default_factory=NodeAffinity)
    malformed: str = ""

    def tolerates(self, key: str, value: str, effect: str) -> bool:
        """Whether any toleration covers that taint."""
        return any(toleration.tolerates(key, value, effect) for toleration in self.tolerations)


class Classes:
    """Finds the class of a pod spec, parsing it only the first time."""

    def __init__(self) -> None:
        self._known: dict[bytes, PodClass] = {}

    def of(self, spec: JsonObject, *, bound: bool = False) -> PodClass:
        """The class of a pod spec; never raises, whatever the spec holds.

        The node of a `bound` pod is no wish any more: it is left out, so that pods stay of their class when
        bound.
        """
        try:
            key = signature(spec, bound=bound)
        except (TypeError, ValueError, AttributeError) as error:  # orjson's refusal is a TypeError
            return PodClass(repr(error).encode(), malformed=f"the pod's spec cannot be read: {error}")
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[key] = _parse(key, spec, bound=bound)
        return found


def signature(spec: JsonObject, *, bound: bool = False) -> bytes:
    """Bytes that are equal for pods that every plugin treats alike. Raises TypeError for what is not JSON."""
    get = spec.get
    parts: list[Any] = [
        None if bound else get("nodeName"),
        get("nodeSelector"),
        get("affinity"),
        get("tolerations"),
        get("overhead"),
        get("resources"),
        [(c.get("name"), c.get("resources"), c.get("ports")) for c in get("containers") or ()],
    ]
    init = get("initContainers")
    if init:
        parts.append(
            [(c.get("name"), c.get("resources"), c.get("ports"), c.get("restartPolicy")) for c in init]
        )
    key = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)
    return key if len(key) <= _LONGEST_KEY else blake2b(key, digest_size=20).digest()


def _parse(key: bytes, spec: JsonObject, *, bound: bool) -> PodClass:
    # The schema refuses most of this on the host; manifests given to the offline scheduler come unchecked.
    readers: dict[str, Callable[[JsonObject], Any]] = {
        "demand": Demand.of,
        "ports": _ports,
        "tolerations": tolerations_of,
        "affinity": NodeAffinity.of,
    }
    fields: dict[str, Any] = {}
    for name, read in readers.items():
        try:
            fields[name] = read(spec)
        except ValueError as error:
            return PodClass(key, malformed=f"the pod's {_WORDS[name]} cannot be read: {error}")
        except (TypeError, KeyError, AttributeError, OverflowError):
            return PodClass(
                key, malformed=f"the pod's {_WORDS[name]} cannot be read: not of the form a pod has"
            )
    return PodClass(key, node_name="" if bound else spec.get("nodeName") or "", **fields)


_WORDS: Final[Mapping[str, str]] = {
    "demand": "resources",
    "ports": "ports",
    "tolerations": "tolerations",
    "affinity": "node affinity",
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
