"""Scheduler extenders: services that are asked, by HTTP, where a pod may go, where best, whom to remove, to
bind it.

Pure: makes the questions and reads the answers, in the form that kube-scheduler speaks; whoever drives the
machine carries them. An extender that is dead or talks nonsense costs its pods a sentence (`ExtenderFault`),
or nothing if it may be ignored.
Source: Kubernetes 1.37, pkg/scheduler/extender.go and k8s.io/kube-scheduler/extender/v1.
"""

from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import orjson

from nestling.api.duration import seconds_of_duration
from nestling.api.json import JsonObject, JsonValue
from nestling.api.kinds import NODE, POD
from nestling.machinery.controller import Answer
from nestling.machinery.errors import NestlingError
from nestling.machinery.plan import Ask, Tls
from nestling.scheduler.explain import Overlay
from nestling.scheduler.framework import FilterPlugin
from nestling.scheduler.hints import EXTENDER
from nestling.scheduler.podclass import PodClass
from nestling.scheduler.preemption import Candidate, importance
from nestling.scheduler.queue import QueuedPod
from nestling.scheduler.residents import Resident, Residents
from nestling.scheduler.standing import Standing
from nestling.scheduler.table import BoolArray, IntArray, NodeTable, Rows

if TYPE_CHECKING:  # pydantic stays out of processes that read no configuration file
    from nestling.api.scheduler_configuration import Extender as Settings

HIGHEST: Final = 10
SCALE: Final = 10  # an extender scores 0..10, the scheduler 0..100
LONGEST_SAID: Final = 256  # characters of an extender's word that are passed on


class ExtenderFault(NestlingError):
    """An extender gave no answer, or none that makes sense; the text is for the pod's condition."""


@dataclass(slots=True)
class Refusals:
    """Nodes that extenders refused: what they said (None for not a word), and whether removing pods could
    not help."""

    nodes: dict[str, tuple[str | None, bool]] = field(default_factory=dict[str, tuple[str | None, bool]])


class ExtenderFilter(FilterPlugin):
    """Extenders' refusals in the form of a filter, so that they are explained like any other."""

    name: ClassVar[str] = EXTENDER

    def __init__(self, refused: Refusals) -> None:
        self.refused = refused
        self._said = list(dict.fromkeys(refused.nodes.values()))

    @classmethod
    def of(cls, overlay: Overlay) -> Refusals | None:
        """The refusals that an overlay was made of, if any."""
        return next((plugin.refused for plugin, _ in overlay.values() if isinstance(plugin, cls)), None)

    def overlay(self, standing: Standing) -> dict[int, tuple[FilterPlugin, int]]:
        """The refused nodes that the standing looks at."""
        codes = {what: code for code, what in enumerate(self._said, 1)}
        found: dict[int, tuple[FilterPlugin, int]] = {}
        for node, what in self.refused.nodes.items():
            row = standing.nodes.row_of.get(node)
            if row is not None and standing.place(row) is not None:
                found[row] = (self, codes[what])
        return found

    def prepare(self, pods: PodClass, nodes: NodeTable) -> None:
        """Nothing: what there is was said."""

    def filter(self, state: Any, nodes: NodeTable, rows: Rows) -> IntArray:
        """Lets everything pass: it acts as an overlay only."""
        return np.zeros(len(nodes.alive[rows]), np.int64)

    def reasons(self, code: int, pods: PodClass, nodes: NodeTable) -> tuple[str, ...]:
        """What the extender said, if it said anything."""
        said = self._said[code - 1][0]
        return () if said is None else (said,)

    def resolvable(self, codes: IntArray) -> BoolArray:
        """As the extender has it."""
        return np.array([not self._said[code - 1][1] for code in codes.tolist()], np.bool_)


@dataclass(frozen=True, slots=True)
class Extender:
    """One extender: where it is reached, what it is asked, and by which pods."""

    url: str
    filter_verb: str = ""
    prioritize_verb: str = ""
    preempt_verb: str = ""
    bind_verb: str = ""
    weight: int = 1
    ignorable: bool = False
    knows_nodes: bool = False
    managed: frozenset[str] = frozenset()
    timeout_s: float = 5.0
    tls: Tls | None = None

    @classmethod
    def of(cls, settings: "Settings") -> "Extender":
        """From the configuration, which has been checked."""
        return cls(
            settings.url_prefix,
            settings.filter_verb,
            settings.prioritize_verb,
            settings.preempt_verb,
            settings.bind_verb,
            settings.weight,
            settings.ignorable,
            settings.node_cache_capable,
            frozenset(one.name for one in settings.managed_resources),
            seconds_of_duration(settings.http_timeout or "5s"),
            _tls(settings),
        )

    def interested(self, spec: JsonObject) -> bool:
        """Whether a pod is this extender's business: it asks for one of its resources, or it has none."""
        if not self.managed:
            return True
        containers: Iterable[JsonObject] = (
            *(spec.get("containers") or ()),
            *(spec.get("initContainers") or ()),
        )
        for container in containers:
            resources: JsonObject = container.get("resources") or {}
            for side in ("requests", "limits"):
                if self.managed & (resources.get(side) or {}).keys():
                    return True
        return False

    # -- filter --

    def ask_filter(
        self, pod: QueuedPod, names: Sequence[str], node_of: Callable[[str], JsonObject | None]
    ) -> Ask:
        """Which of these nodes will do?"""
        return self._ask(self.filter_verb, pod, self._arguments(pod, names, node_of))

    def read_filter(self, answer: Answer, names: Sequence[str], refused: Refusals) -> list[str]:
        """The nodes that will do, and into `refused` the others. Raises ExtenderFault."""
        said = self._read(self.filter_verb, answer)
        if error := said.get("error"):
            raise ExtenderFault(_short(error))
        known = set(names)
        if self.knows_nodes and said.get("nodenames") is not None:
            kept = [str(name) for name in _list(said["nodenames"])]
            for name in kept:
                if name not in known:
                    raise ExtenderFault(
                        f'extender "{self.url}" claims a filtered node "{_short(name)}" '
                        "which is not found in the input node list"
                    )
        elif said.get("nodes") is not None:
            items = _list(_lower(said["nodes"]).get("items"))
            kept = [str((_object(item).get("metadata") or {}).get("name")) for item in items]
            kept = [name for name in kept if name in known]
        else:
            kept = []
        final = _object(said.get("failedandunresolvablenodes"))
        failed = _object(said.get("failednodes"))
        for name in known.difference(kept):
            why = final.get(name, failed.get(name))
            refused.nodes[name] = (None if why is None else _short(why), name in final)
        return kept

    # -- prioritize --

    def ask_prioritize(
        self, pod: QueuedPod, names: Sequence[str], node_of: Callable[[str], JsonObject | None]
    ) -> Ask:
        """How good are these nodes?"""
        return self._ask(self.prioritize_verb, pod, self._arguments(pod, names, node_of))

    def read_prioritize(self, answer: Answer) -> dict[str, int]:
        """What to add to the nodes' scores; nothing if the answer makes no sense."""
        if answer.error or answer.status != 200:
            return {}
        try:
            listed = [_lower(one) for one in _list(orjson.loads(answer.body))]
            scores = {str(one.get("host")): int(one.get("score") or 0) for one in listed}
        except (ValueError, TypeError):
            return {}
        return {node: max(min(score, HIGHEST), 0) * self.weight * SCALE for node, score in scores.items()}

    # -- preempt --

    def ask_preempt(self, pod: QueuedPod, candidates: Sequence[Candidate]) -> Ask:
        """Which of these nodes, and whom there?"""
        whole = {
            one.node: {
                "Pods": [
                    {"UID": victim.record.uid} if self.knows_nodes else native_pod(victim.record.body, victim)
                    for victim in one.victims
                ],
                "NumPDBViolations": one.violations,
            }
            for one in candidates
        }
        body = {
            "Pod": native_pod(pod.record.body, pod),
            "NodeNameToVictims": None if self.knows_nodes else whole,
            "NodeNameToMetaVictims": whole if self.knows_nodes else None,
        }
        return self._ask(self.preempt_verb, pod, body)

    def read_preempt(self, answer: Answer, residents: Residents) -> list[Candidate]:
        """The candidates that are left, with the victims that the extender wants. Raises ExtenderFault."""
        said = self._read(self.preempt_verb, answer)
        found: list[Candidate] = []
        for node, value in _object(said.get("nodenametometavictims")).items():
            meta = _lower(value)
            on_node = {str(resident.record.uid): resident for resident in residents.on(node)}
            victims: list[Resident] = []
            for one in _list(meta.get("pods")):
                uid = str(_lower(one).get("uid"))
                if uid not in on_node:
                    raise ExtenderFault(
                        f"extender: {self.url} claims to preempt pod (UID: {_short(uid)}) on node: "
                        f"{_short(node)}, but the pod is not found on that node"
                    )
                victims.append(on_node[uid])
            if victims:
                victims.sort(key=importance)
                found.append(Candidate(node, tuple(victims), int(meta.get("numpdbviolations") or 0)))
            elif not self.ignorable:
                raise ExtenderFault(f'expected at least one victim pod on node "{_short(node)}"')
        return found

    # -- bind --

    def ask_bind(self, pod: QueuedPod, node: str) -> Ask:
        """Bind this pod to that node."""
        body = {
            "PodName": pod.key.name,
            "PodNamespace": pod.key.namespace,
            "PodUID": pod.record.uid,
            "Node": node,
        }
        return self._ask(self.bind_verb, pod, body)

    def read_bind(self, answer: Answer) -> None:
        """See whether it was done. Raises ExtenderFault if not."""
        said = self._read(self.bind_verb, answer)
        if error := said.get("error"):
            raise ExtenderFault(_short(error))

    # -- both ways --

    def _arguments(
        self, pod: QueuedPod, names: Sequence[str], node_of: Callable[[str], JsonObject | None]
    ) -> JsonObject:
        nodes: JsonObject | None = None
        if not self.knows_nodes:
            items = [native_node(body) for name in names if (body := node_of(name)) is not None]
            nodes = {"apiVersion": "v1", "kind": "NodeList", "metadata": {}, "items": items}
        return {
            "Pod": native_pod(pod.record.body, pod),
            "Nodes": nodes,
            "NodeNames": list(names) if self.knows_nodes else None,
        }

    def _ask(self, verb: str, pod: QueuedPod, body: JsonObject) -> Ask:
        url = f"{self.url.rstrip('/')}/{verb}"
        return Ask(pod.key, pod.record.uid, url, orjson.dumps(body), self.timeout_s, self.tls)

    def _read(self, verb: str, answer: Answer) -> JsonObject:
        """The answer with its names in lower case, as Go would find them. Raises ExtenderFault."""
        if answer.error:
            raise ExtenderFault(answer.error)
        if answer.status != 200:
            url = f"{self.url.rstrip('/')}/{verb}"
            raise ExtenderFault(f"failed {verb} with extender at URL {url}, code {answer.status}")
        try:
            said = orjson.loads(answer.body)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            raise ExtenderFault(f"extender {self.url} answered to {verb} with something unreadable")
        return _lower(said)


def native_pod(body: JsonObject, pod: QueuedPod | Resident) -> JsonObject:
    """A pod as extenders know it: of the native kind, under its virtual name."""
    meta = {**body["metadata"], "name": pod.key.name, "namespace": pod.key.namespace}
    return {**body, "apiVersion": POD.native_api_version, "kind": POD.native, "metadata": meta}


def native_node(body: JsonObject) -> JsonObject:
    """A node as extenders know it."""
    meta = {key: value for key, value in body["metadata"].items() if key != "namespace"}
    return {**body, "apiVersion": NODE.native_api_version, "kind": NODE.native, "metadata": meta}


def _tls(settings: "Settings") -> Tls | None:
    found = settings.tls_config
    if found is None:
        return Tls(insecure=True) if settings.enable_https else None

    def text(data: str | None) -> str:
        return b64decode(data).decode() if data else ""

    checked = bool(found.ca_data or found.ca_file)
    return Tls(
        found.insecure or (settings.enable_https and not checked),
        found.server_name or "",
        found.ca_file or "",
        found.cert_file or "",
        found.key_file or "",
        text(found.ca_data),
        text(found.cert_data),
        text(found.key_data),
    )


def _short(said: object) -> str:
    text = " ".join(str(said).split())
    return text if len(text) <= LONGEST_SAID else f"{text[:LONGEST_SAID]} ..."


def _lower(value: JsonValue) -> JsonObject:
    """An object with its names in lower case; empty for what is none."""
    return {str(name).lower(): one for name, one in _object(value).items()}


def _object(value: JsonValue) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: JsonValue) -> list[Any]:
    return value if isinstance(value, list) else []
