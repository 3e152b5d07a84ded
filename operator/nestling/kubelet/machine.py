"""The virtual kubelet: one machine for all nodes of all clusters that it owns.

Watches VirtualNodes, VirtualPods bound to them and VirtualClusters; writes node status, pod status, the
kubelet's finalizer off deleted pods, and one Lease per cluster. It decides nothing about placement,
taints or deletion. It keeps no truth: seats, timers and addresses follow from the cache, so a killed
kubelet continues where it was.
Source: Kubernetes 1.37, pkg/kubelet/kubelet.go (syncLoop, HandlePodAdditions).
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, cast

import structlog

from nestling.api.json import JsonObject
from nestling.api.kinds import CLUSTER, LEASE, NODE, POD
from nestling.kubelet import address, heartbeat, lifecycle, node, podwrite, reception, usage
from nestling.kubelet.admission import amounts_of
from nestling.kubelet.agenda import Agenda, Item
from nestling.kubelet.container import Said
from nestling.kubelet.lifecycle import Site, Step
from nestling.kubelet.metrics import KubeletMetrics, NodeCount
from nestling.kubelet.reception import Wait
from nestling.kubelet.runtimes.annotation import PREFIX
from nestling.kubelet.runtimes.runtime import Runtime
from nestling.kubelet.runtimes.simulated import Simulated
from nestling.kubelet.seat import ClusterSeat, NodeSeat, PodSeat
from nestling.machinery.cache import Cache, Change
from nestling.machinery.controller import Outcome
from nestling.machinery.names import Key
from nestling.machinery.plan import Emit, Plan
from nestling.machinery.records.base import Record
from nestling.machinery.records.cluster import Settings
from nestling.machinery.records.node import Lease, Node
from nestling.machinery.records.pod import KUBELET_FINALIZER, Pod
from nestling.machinery.usage import ContainerUsage
from nestling.machinery.view import View

log = structlog.get_logger(__name__)

BROKEN_RETRY_S: Final = 60.0
# A wall clock that falls back further than this leaves every booking too late.
BACKWARDS_S: Final = 1.0
_SIMULATED: Final = PREFIX.encode()
_GATED: Final = b'"readinessGates"'


class Kubelet:
    """The Machine. `owns` tells which nodes are this process's; `identity` names its Lease and outlives
    restarts.

    `routine_events` also tells of pulls and starts that went well; warnings are always told. `stopwatch`
    measures how long looks take, for the metrics only. At most `batch` looks are taken per step.
    """

    name = "kubelet"

    def __init__(
        self,
        cache: Cache,
        *,
        identity: str = "0",
        runtime: Runtime | None = None,
        owns: Callable[[Key], bool] = lambda _node: True,
        metrics: KubeletMetrics | None = None,
        stopwatch: Callable[[], float] | None = None,
        routine_events: bool = True,
        batch: int = 128,
    ) -> None:
        self._cache = cache
        self._lease = heartbeat.lease_name(identity)
        self._runtime: Runtime = runtime if runtime is not None else Simulated()
        self._owns = owns
        self._metrics = metrics
        self._stopwatch = stopwatch if metrics is not None else None
        self._routine_events = routine_events
        self._batch = batch
        self._agenda = Agenda(3)
        self._pods: dict[Key, PodSeat] = {}
        self._nodes: dict[Key, NodeSeat] = {}
        self._clusters: dict[str, ClusterSeat] = {}
        self._latest = 0.0
        self._doing: dict[int, tuple[str, ...]] = {}  # by the identity of a plan: operations of its look
        if metrics is not None:
            metrics.watch(self)

    # What has changed.

    def observe(self, change: Change) -> None:
        """Take note of one change; also called for every object known at the start."""
        if change.kind is POD:
            self._observe_pod(change)
        elif change.kind is NODE:
            self._observe_node(change)
        elif change.kind is LEASE:
            self._observe_lease(change)
        elif change.kind is CLUSTER and isinstance(change.old, Record):
            for seat in self._nodes_of(change.key.cluster):
                self._agenda.add(seat)

    def _observe_pod(self, change: Change) -> None:
        old, new = cast("Pod | None", change.old), cast("Pod | None", change.new)
        seat = self._pods.get(change.key)
        if new is None or (seat is not None and seat.uid != new.uid):
            if seat is not None:
                self._forget_pod(seat)
            if new is None:
                return
            seat = None
        if not new.node_name:
            return
        if seat is None:
            where = Key(new.key.cluster, "", new.node_name)
            if not self._owns(where):
                return
            seat = self._pods[new.key] = PodSeat(new.key, new.uid, where)
            self._agenda.add(seat)
            return
        if new.terminal:
            self._give_back(seat)
        if _is_news(old, new, under_way=seat.plan is not None):
            self._agenda.add(seat)

    def _observe_node(self, change: Change) -> None:
        new = cast("Node | None", change.new)
        seat = self._nodes.get(change.key)
        if seat is not None and (new is None or seat.uid != new.uid):
            self._forget_node(seat)
            seat = None
        if new is None or not self._owns(new.key):
            return
        if seat is None:
            cluster = self._cluster(new.key.cluster)
            seat = self._nodes[new.key] = cluster.nodes[new.key] = NodeSeat(new.key, new.uid)
        was_running, had = seat.running, (seat.booted_at, seat.pool is not None)
        self._read_node(seat, new)
        self._agenda.add(seat)
        if seat.running and (not was_running or had != (seat.booted_at, seat.pool is not None)):
            self._wake_pods(seat)

    def _observe_lease(self, change: Change) -> None:
        seat = self._clusters.get(change.key.cluster)
        if seat is not None and change.key == seat.key and change.new is None and seat.nodes:
            seat.next_beat = 0.0  # somebody deleted it: vouch anew at once
            self._agenda.add(seat)

    def _read_node(self, seat: NodeSeat, record: Node) -> None:
        """Read off a node what looks at its pods need."""
        body = record.body
        cluster = self._cluster(record.key.cluster)
        seat.use_pool(record)
        seat.labels = dict(record.labels)
        seat.taints = record.taints
        seat.room.allocatable = amounts_of(node.capacity_of(body.get("spec") or {}))
        boot = node.booted_at(body)
        seat.registered = record.kubelet_lease == self._lease and boot is not None
        seat.address = node.address_of(body)
        lease = self._cache.table(Lease).records.get(cluster.key)
        told = lease.silent.get(seat.key.name) if lease is not None else None
        if not node.is_switched_on(body):
            if seat.silent_since is None:
                last = lease.renewed_at if lease is not None else 0.0
                seat.silent_since = told if told is not None else last
        elif seat.silent_since is not None or (told is not None and boot is not None and boot < int(told)):
            # The power is back, or came back while nobody looked: whatever ran there is gone.
            seat.silent_since = None
            seat.rebooting = boot is not None
            cluster.next_beat = 0.0  # and the Lease must not call the node silent any longer
            self._agenda.add(cluster)
        if boot is not None and boot > seat.booted_at:
            if seat.booted_at:
                seat.rebooting = False
            seat.booted_at = boot

    # What is due.

    def wake_at(self) -> float | None:
        """When `step` has something to do without further changes; 0 means at once."""
        return self._agenda.due_at()

    def step(self, now: float) -> list[Plan]:
        """Look at what is due, heartbeats first; at most `batch` looks."""
        if now < self._latest - BACKWARDS_S:
            self._look_at_everything()
        self._latest = now
        plans: list[Plan] = []
        for _ in range(self._batch):
            item = self._agenda.take(now)
            if item is None:
                break
            try:
                plan = self._look(item, now)
            except Exception:
                # A bug, or an object that no schema has judged: it must not stop the other thousands.
                log.exception("look failed", cluster=item.key.cluster, object=item.key.display)
                self._agenda.wake(item, now + BROKEN_RETRY_S)
                continue
            if plan is not None and plan.writes:
                item.plan = plan
                plans.append(plan)
                if isinstance(item, PodSeat) and item.operations:
                    self._doing[id(plan)], item.operations = item.operations, ()
        return plans

    def settle(self, plan: Plan, outcome: Outcome, now: float) -> None:
        """Learn how a plan went."""
        write = plan.writes[0]
        operations = self._doing.pop(id(plan), ())
        if outcome.ok and self._metrics is not None:
            self._metrics.did(operations)
        item: Item | None
        if write.kind is POD:
            item = self._pods.get(write.key)
        elif write.kind is NODE:
            item = self._nodes.get(write.key)
        else:
            item = self._clusters.get(write.key.cluster)
        if item is None or item.plan is not plan:
            return  # its object is gone, and another may have taken its place
        record = self._cache.table_of(write.kind).records.get(write.key)
        if outcome.ok and isinstance(item, PodSeat):
            self._count(item, record, now)
        if isinstance(item, ClusterSeat) and not outcome.ok:
            item.next_beat = 0.0
        if isinstance(item, NodeSeat) and not outcome.ok:
            item.complained = ""  # it may have been part of what was not done
        self._agenda.settle(item, outcome, record.version if record is not None else 0, now)

    def _look(self, item: Item, now: float) -> Plan | None:
        if isinstance(item, PodSeat):
            if self._stopwatch is None or self._metrics is None:
                return self._look_at_pod(item, now)
            began = self._stopwatch()
            plan = self._look_at_pod(item, now)
            self._metrics.sync.observe(self._stopwatch() - began)
            return plan
        if isinstance(item, NodeSeat):
            return self._look_at_node(item, now)
        return self._beat(cast("ClusterSeat", item), now)

    # Clusters: heartbeats.

    def _beat(self, seat: ClusterSeat, now: float) -> Plan | None:
        lease = self._cache.table(Lease).records.get(seat.key)
        if not seat.nodes:
            del self._clusters[seat.key.cluster]
            return heartbeat.farewell(seat.key, lease) if lease is not None else None
        grace_s = self._settings(seat.key.cluster).node_grace_s
        plan = heartbeat.beat(seat, lease, heartbeat.renewal_interval(grace_s), now)
        self._agenda.wake(seat, seat.next_beat)
        return plan

    # Nodes: registration and status.

    def _look_at_node(self, seat: NodeSeat, now: float) -> Plan | None:
        record = self._cache.table(Node).records.get(seat.key)
        if record is None or record.deleting:
            return None
        complaint = node.complaint_of(record.body)
        news, seat.complained = complaint if complaint != seat.complained else "", complaint
        if seat.silent_since is not None:
            return None
        seat.version = record.version
        return node.report(
            record,
            lease=self._lease,
            address=seat.address
            or address.node_address(record.pod_cidr, self._settings(seat.key.cluster).pod_cidr, record.uid),
            runtime=f"{self._runtime.name}://{self._runtime.version}",
            rebooting=seat.rebooting,
            complaint=news,
            now=now,
        )

    # Pods.

    def _look_at_pod(self, seat: PodSeat, now: float) -> Plan | None:
        record = self._cache.table(Pod).records.get(seat.key)
        if record is None:
            return None
        seat.version = record.version
        if seat.seen_at is None:
            seat.seen_at = now
        home = self._nodes.get(seat.node)
        if record.deleting and KUBELET_FINALIZER not in record.finalizers:
            return None  # somebody else's finalizer holds it
        if home is None or record.node_name != seat.node.name:
            # A machine that no longer exists runs nothing.
            return podwrite.let_go(record, (), why="its node is gone") if record.deleting else None
        if record.deleting and not record.ip and seat.admitted_at is None:
            return podwrite.let_go(record, (), why="never started")
        if not home.running:
            return None
        body = record.body
        if seat.admitted_at is None and not record.terminal:
            if not home.loaded:
                reception.load(home, self._cache.table(Pod).on_node(home.key.cluster, home.key.name))
            answer = reception.receive(seat, home, record, body["spec"], now)
            if isinstance(answer, Wait):
                self._agenda.wake(seat, answer.until)
                return Plan.of(*self._events(record, filter(None, (answer.said,))), why=answer.why)
            if answer is not None:
                if self._metrics is not None:
                    self._metrics.rejected(answer.reason)
                return podwrite.rejected(record, body, answer, now)
        if record.ip and record.ip != seat.ip and seat.admitted_at is not None and not record.terminal:
            reception.follow(seat, home, record.ip)
        settings = self._settings(seat.key.cluster)
        site = Site(
            node_ip=home.address,
            pod_ip=seat.ip,
            admitted_at=seat.admitted_at or now,
            booted_at=home.booted_at,
            seed=settings.seed,
            start_delay_s=settings.start_delay_s,
            moments=seat.moments,
        )
        found = lifecycle.step(seat.key, body, site, self._runtime, now)
        return self._plan(seat, record, body, found, now)

    def _plan(self, seat: PodSeat, record: Pod, body: JsonObject, found: Step, now: float) -> Plan | None:
        if found.wake_at is not None:
            self._agenda.wake(seat, found.wake_at)
            if seat.moments is None:
                seat.moments = {}
        said = tuple(self._events(record, found.said))
        if record.deleting:
            said, seat.stopping = () if seat.stopping else said, True  # each look finds it stopping
        if record.deleting and found.stopped and not podwrite.outlives(record):
            seat.operations = found.operations if self._metrics is not None else ()
            return podwrite.let_go(record, said, why=found.why)
        old: JsonObject = body.get("status") or {}
        status = dict(found.status) if found.status is not None else None
        if status is not None and "phase" in status:
            seat.running = podwrite.running_containers(status)
        if status is not None and not old.get("startTime"):
            explanation = podwrite.explanation(body)
            if explanation is not None:
                status["scheduling"] = explanation
        patch = podwrite.difference(old, status) if status is not None else {}
        if not patch:
            if record.deleting and found.stopped:
                return podwrite.let_go(record, (), why=found.why)
            return Plan.of(*said, why=found.why) if record.deleting else None
        if seat.moments is not None:
            podwrite.remember(seat.moments, now)
        seat.again = record.deleting and found.stopped
        seat.operations = found.operations if self._metrics is not None else ()
        return Plan.of(podwrite.status_patch(record, patch), *said, why=found.why)

    def _events(self, record: Pod, said: Iterable[Said]) -> Iterator[Emit]:
        return podwrite.events(record, said, routine=self._routine_events)

    def _count(self, seat: PodSeat, record: Record | None, now: float) -> None:
        if self._metrics is None:
            return
        if isinstance(record, Pod) and record.phase == "Running" and not seat.counted:
            seat.counted = True
            self._metrics.started_pods.inc()
            self._metrics.pod_start.observe(max(now - (seat.seen_at or now), 0.0))
            self._metrics.pod_start_sli.observe(max(now - record.created_at, 0.0))

    def counts(self) -> Iterator[NodeCount]:
        """What runs on each node, for the metrics."""
        pods: dict[Key, int] = {}
        containers: dict[Key, int] = {}
        records = self._cache.table(Pod).records
        for key, seat in self._pods.items():
            record = records.get(key)
            if record is not None and record.phase == "Running":
                pods[seat.node] = pods.get(seat.node, 0) + 1
                containers[seat.node] = containers.get(seat.node, 0) + seat.running
        for key in self._nodes:
            yield NodeCount(key.cluster, key.name, pods.get(key, 0), containers.get(key, 0))

    def usages(self, now: float) -> Iterator[ContainerUsage]:
        """What every running container of our nodes uses at `now`, for whoever measures."""
        records = self._cache.table(Pod).records
        for key in list(self._pods):
            record = records.get(key)
            if record is not None:
                yield from usage.of_pod(record, self._runtime, now)

    # Book-keeping.

    def _look_at_everything(self) -> None:
        """Book everything anew, by the clock as it is now."""
        for cluster in self._clusters.values():
            cluster.next_beat = 0.0
            self._agenda.rebook(cluster)
        for seat in (*self._nodes.values(), *self._pods.values()):
            self._agenda.rebook(seat)

    def _forget_pod(self, seat: PodSeat) -> None:
        self._pods.pop(seat.key, None)
        self._give_back(seat)
        self._agenda.drop(seat)

    def _give_back(self, seat: PodSeat) -> None:
        home = self._nodes.get(seat.node)
        if home is not None:
            reception.give_back(seat, home)

    def _forget_node(self, seat: NodeSeat) -> None:
        self._nodes.pop(seat.key, None)
        cluster = self._cluster(seat.key.cluster)
        cluster.nodes.pop(seat.key, None)
        self._agenda.drop(seat)
        if not cluster.nodes:
            self._agenda.add(cluster)
        self._wake_pods(seat)

    def _wake_pods(self, seat: NodeSeat) -> None:
        """Look at the node's pods again; in order of creation, because the first to come is the first
        served.
        """
        pods = list(self._cache.table(Pod).on_node(seat.key.cluster, seat.key.name))
        pods.sort(key=lambda pod: pod.created_at)
        for pod in pods:
            known = self._pods.get(pod.key)
            if known is not None and (pod.deleting or not pod.terminal):
                self._agenda.add(known)

    def _cluster(self, name: str) -> ClusterSeat:
        seat = self._clusters.get(name)
        if seat is None:
            seat = self._clusters[name] = ClusterSeat(Key(name, "", self._lease))
            self._agenda.add(seat)
        return seat

    def _nodes_of(self, cluster: str) -> Iterable[NodeSeat]:
        seat = self._clusters.get(cluster)
        return tuple(seat.nodes.values()) if seat is not None else ()

    def _settings(self, cluster: str) -> Settings:
        return View(self._cache, cluster, 0.0).settings


def _is_news(old: Pod | None, new: Pod, *, under_way: bool) -> bool:
    """Whether a change of a pod we know may change what we decide.

    The echo of our own status write may not; it is most of what a watch says, so it is told apart without
    a parse.
    """
    if old is None or old.generation != new.generation or old.deleting != new.deleting:
        return True
    if new.deleting or _SIMULATED in new.raw or _SIMULATED in old.raw or _GATED in new.raw:
        return True
    return not under_way and (old.phase, old.ip, old.ready, old.restarts) != (
        new.phase,
        new.ip,
        new.ready,
        new.restarts,
    )
