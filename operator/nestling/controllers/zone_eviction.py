"""Evict from unready nodes, one node after the other: NoExecute taints at upstream's pace per zone.

One node in ten seconds; one in a hundred, or none in a small zone, when most of the zone is unready; none at
all when no node anywhere is ready, because then it is more likely we who are cut off, and what was tainted
is taken back. The pace is read off the taints' own `timeAdded`, so it needs no memory and survives a restart.
Looks at all nodes of a cluster at once, under a key without a name: a thousand nodes that come up together
make one look, not a thousand looks at a thousand nodes. Which of the two taints a node carries, and that it
loses it when it is ready again, is `node_lifecycle`'s; what the taint does to pods is `taint_eviction`'s.
Source: Kubernetes 1.37, pkg/controller/nodelifecycle/node_lifecycle_controller.go (handleDisruption,
zoneNoExecuteTainter).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from nestling.api.json import JsonObject
from nestling.api.kinds import NODE
from nestling.machinery.cache import Change
from nestling.machinery.clock import seconds_or, timestamp
from nestling.machinery.controller import Controller, Route
from nestling.machinery.measure import Levels, Measurement, Metric, Tally
from nestling.machinery.names import Key
from nestling.machinery.plan import Patch, Plan, Write
from nestling.machinery.records.base import Record
from nestling.machinery.records.node import UNREADY_TAINTS, ZONE_LABEL, Node, Taint
from nestling.machinery.view import View

BURST: Final = 500
REGION_LABEL: Final = "topology.kubernetes.io/region"
EXCLUDED: Final = "node.kubernetes.io/exclude-disruption"

# Source: kube-controller-manager's --node-eviction-rate, --secondary-node-eviction-rate,
# --large-cluster-size-threshold and --unhealthy-zone-threshold.
EVICTION_INTERVAL_S: Final = 10.0
SECONDARY_INTERVAL_S: Final = 100.0
LARGE_ZONE: Final = 50
UNHEALTHY_ZONE: Final = 0.55

_ZONE: Final = ("zone",)
HEALTH: Final = Metric("node_collector_zone_health", "Ready nodes of a zone, percent.", _ZONE, gauge=True)
SIZE: Final = Metric("node_collector_zone_size", "Nodes of a zone.", _ZONE, gauge=True)
UNHEALTHY: Final = Metric(
    "node_collector_unhealthy_nodes_in_zone", "Nodes of a zone that are not ready.", _ZONE, gauge=True
)
EVICTIONS: Final = Metric(
    "node_collector_evictions_total", "Nodes from which eviction has begun because they are not ready.", _ZONE
)


@dataclass(slots=True)
class Zone:
    """One zone: how many nodes are ready and unready, as far as they count for disruption, and who is next.

    `waiting` are the unready nodes that have not been tainted; `last` is when one was, seconds since 1970.
    """

    ready: int = 0
    unready: int = 0
    waiting: list[Node] = field(default_factory=list[Node])
    last: float | None = None

    @property
    def size(self) -> int:
        """How many nodes count."""
        return self.ready + self.unready

    @property
    def interval_s(self) -> float | None:
        """Seconds from one evicting taint to the next; None for no eviction at all."""
        if self.ready and self.unready > 2 and self.unready / self.size >= UNHEALTHY_ZONE:
            return SECONDARY_INTERVAL_S if self.size > LARGE_ZONE else None
        return EVICTION_INTERVAL_S


@dataclass(frozen=True, slots=True)
class Facts:
    """What one look finds: the zones, and those in which it begins to evict from a node."""

    zones: Mapping[tuple[str, str], Zone]
    evicting: Iterable[tuple[str, str]] = ()

    def measure(self, done: int, ok: bool, seconds: float) -> Iterator[Measurement]:  # noqa: FBT001  # see Measure
        """What to say of the zones, and to count once it is known how the plan went."""
        del done, seconds
        counting = {_label(place): zone for place, zone in self.zones.items() if zone.size}
        yield Levels(SIZE, {(place,): zone.size for place, zone in counting.items()})
        yield Levels(UNHEALTHY, {(place,): zone.unready for place, zone in counting.items()})
        yield Levels(HEALTH, {(place,): 100 * zone.ready / zone.size for place, zone in counting.items()})
        if ok:
            for place in self.evicting:
                yield Tally(EVICTIONS, (_label(place),))


def _label(place: tuple[str, str]) -> str:
    """Region and zone as the native metrics name them."""
    region, zone = place
    return f"{region}:\x00:{zone}" if region or zone else ""


def evicting_taint(node: Node) -> Taint | None:
    """The NoExecute taint that a node has for being unready."""
    keys = UNREADY_TAINTS.values()
    return next((taint for taint in node.taints if taint.effect == "NoExecute" and taint.key in keys), None)


def zone_of(node: Node) -> tuple[str, str]:
    """Region and zone of a node, empty where it has none."""
    return node.labels.get(REGION_LABEL, ""), node.labels.get(ZONE_LABEL, "")


def zones_of(nodes: Iterable[Node]) -> dict[tuple[str, str], Zone]:
    """All zones of a cluster. A node that has not registered is unready, but has nothing to evict."""
    found: dict[tuple[str, str], Zone] = {}
    for node in nodes:
        zone = found.setdefault(zone_of(node), Zone())
        if EXCLUDED not in node.labels:
            zone.ready += node.ready
            zone.unready += not node.ready
        if node.ready:
            continue
        taint = evicting_taint(node)
        if taint is not None:
            zone.last = max(zone.last or 0.0, seconds_or(taint.added_at, 0.0))
        elif node.readiness in UNREADY_TAINTS and not node.deleting:
            zone.waiting.append(node)
    return found


def reconcile(view: View, key: Key) -> Plan:
    """Plan the taints that are due in all zones of one cluster, and the moment of the next."""
    del key
    nodes = list(view.all(Node))
    zones = zones_of(nodes)
    if not any(zone.ready for zone in zones.values()):
        return _taken_back(view, nodes, Facts(zones))
    writes: list[Write] = []
    evicting: list[tuple[str, str]] = []
    wake_at: float | None = None
    for place, zone in zones.items():
        interval = zone.interval_s
        if not zone.waiting or interval is None:
            continue
        waiting = sorted(zone.waiting, key=lambda node: node.key.name)
        due = view.now if zone.last is None else zone.last + interval
        if due <= view.now:
            writes.append(_evicted(waiting.pop(0), view.now))
            evicting.append(place)
            due = view.now + interval
        if waiting:
            wake_at = due if wake_at is None else min(wake_at, due)
    why = f"{len(writes)} unready nodes are evicted from"
    return Plan.of(*writes, wake_at=wake_at, why=why, measure=Facts(zones, evicting).measure)


def _taken_back(view: View, nodes: Iterable[Node], facts: Facts) -> Plan:
    """No node is ready, so nobody is evicted. A ready node loses its taint to `node_lifecycle`."""
    tainted = [node for node in nodes if evicting_taint(node) is not None and not node.deleting]
    return Plan.of(
        *(_spared(node) for node in tainted[:BURST]),
        wake_at=view.now if len(tainted) > BURST else None,
        why="no node is ready: perhaps it is we who are cut off",
        measure=facts.measure,
    )


def _evicted(node: Node, now: float) -> Patch:
    taint = {"key": UNREADY_TAINTS[node.readiness], "effect": "NoExecute", "timeAdded": timestamp(now)}
    return _with_taints(node, [*_taints(node), taint])


def _spared(node: Node) -> Patch:
    keys = UNREADY_TAINTS.values()
    kept = [t for t in _taints(node) if t.get("effect") != "NoExecute" or t.get("key") not in keys]
    return _with_taints(node, kept)


def _taints(node: Node) -> list[JsonObject]:
    return (node.body.get("spec") or {}).get("taints") or []


def _with_taints(node: Node, taints: list[JsonObject]) -> Patch:
    # A list is replaced as a whole: only as we saw it.
    return Patch(NODE, node.key, node.uid, {"spec": {"taints": taints}}, version=node.version)


def _cluster(view: View, change: Change) -> Iterable[Key]:
    """The cluster, when a node changed in anything that the pace depends on."""
    if _looks_of(change.old) == _looks_of(change.new):
        return ()
    return (Key(view.cluster, "", ""),)


def _looks_of(record: Record | None) -> tuple[object, ...] | None:
    if not isinstance(record, Node):
        return None
    excluded = EXCLUDED in record.labels
    return record.readiness, record.deleting, zone_of(record), excluded, evicting_taint(record)


CONTROLLER: Final = Controller(
    name="zone-eviction",
    reconcile=reconcile,
    # A cluster that comes up, or goes down, makes one look in a second.
    concerns={NODE: (Route(_cluster, delay_s=1.0),)},
    metrics=(HEALTH, SIZE, UNHEALTHY, EVICTIONS),
)
