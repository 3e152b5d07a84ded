"""The roles a process can play, and for each one which loops run and which kinds they hear of: a table.

A role that is shared has one leader for all; the others (kubelets) are split into shards, each with a leader.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry

from nestling.api.kinds import CLUSTER, LEASE, NODE, POD, Kind
from nestling.controllers import (
    disruption,
    garbage,
    namespace,
    node_address,
    node_heartbeat,
    node_lifecycle,
    node_pool,
    node_template,
    pod_garbage,
    replica_set,
    replication,
    stale_disruption,
    taint_eviction,
    terminated_pods,
    ttl_after_finished,
    zone_eviction,
)
from nestling.controllers.autoscaler import reconcile as autoscaler
from nestling.controllers.cron_job import reconcile as cron_job
from nestling.controllers.daemon_set import routes as daemon_set
from nestling.controllers.deployment import routes as deployment
from nestling.controllers.job import orphan as job_orphan
from nestling.controllers.job import routes as job
from nestling.controllers.stateful_set import routes as stateful_set
from nestling.kubelet.machine import Kubelet
from nestling.kubelet.metrics import KubeletMetrics
from nestling.kubelet.shard import is_of_shard
from nestling.kubelet.usage import usage_of
from nestling.machinery.cache import Cache
from nestling.machinery.clock import Clock
from nestling.machinery.controller import Controller, Machine
from nestling.machinery.records.autoscaler import HorizontalPodAutoscaler
from nestling.machinery.records.base import Record
from nestling.machinery.records.budget import PodDisruptionBudget
from nestling.machinery.records.cluster import Cluster
from nestling.machinery.records.job import CronJob, Job
from nestling.machinery.records.kept import (
    PriorityClass,
)
from nestling.machinery.records.namespace import Namespace
from nestling.machinery.records.node import Lease, Node
from nestling.machinery.records.pod import Pod
from nestling.machinery.records.pool import NodePool
from nestling.machinery.records.revisioned import ControllerRevision, DaemonSet, StatefulSet
from nestling.machinery.records.service import EndpointSlice, Service
from nestling.machinery.records.workload import Deployment, ReplicaSet, ReplicationController
from nestling.machinery.usage import ContainerUsage
from nestling.network import endpoint_slice, service
from nestling.scheduler.configuration import Setup
from nestling.scheduler.machine import SchedulerMachine
from nestling.scheduler.metrics import SchedulerMetrics


@dataclass(frozen=True, slots=True)
class Setting:
    """What a machine is born into: its process's cache, clock and metrics registry, its shard, and how pods
    are placed if not by the default profile.

    Kubelets put into `usages` whom to ask what their containers use.
    """

    cache: Cache
    clock: Clock
    registry: CollectorRegistry
    shard: int = 0
    shards: int = 1
    scheduler: Setup | None = None
    usages: list[Callable[[float], Iterable[ContainerUsage]]] = field(
        default_factory=list[Callable[[float], Iterable[ContainerUsage]]]
    )


Machines = Callable[[Setting], Sequence[tuple[Machine, Sequence[Kind]]]]


@dataclass(frozen=True, slots=True)
class Role:
    """One part that a process can play. `records` are the kinds it needs in the cache.

    `serves_state`: its leader serves the `kube_*` metrics, so `records` must be all kinds.
    """

    name: str
    records: Sequence[type[Record]]
    controllers: Sequence[Controller] = ()
    machines: Machines = lambda _setting: ()
    shared: bool = True
    serves_state: bool = False


def _scheduler(setting: Setting) -> Sequence[tuple[Machine, Sequence[Kind]]]:
    metrics = SchedulerMetrics(setting.registry)
    machine = SchedulerMachine(now=setting.clock.now, recorder=metrics, setup=setting.scheduler)
    metrics.watch(machine.pending)
    return [(machine, SchedulerMachine.kinds)]


def _kubelet(setting: Setting) -> Sequence[tuple[Machine, Sequence[Kind]]]:
    machine = Kubelet(
        setting.cache,
        identity=str(setting.shard),
        owns=partial(is_of_shard, shard=setting.shard, shards=setting.shards),
        metrics=KubeletMetrics(setting.registry),
        stopwatch=setting.clock.monotonic,
    )
    setting.usages.append(machine.usages)
    return [(machine, (POD, NODE, LEASE, CLUSTER))]


# Every kind of ours, and the Leases of kubelets: namespaces are emptied of all of them.
EVERYTHING: Final[tuple[type[Record], ...]] = (
    Cluster,
    NodePool,
    Node,
    Lease,
    Namespace,
    Pod,
    ReplicaSet,
    ReplicationController,
    Deployment,
    StatefulSet,
    DaemonSet,
    Job,
    CronJob,
    Service,
    EndpointSlice,
    ControllerRevision,
    PriorityClass,
    PodDisruptionBudget,
    HorizontalPodAutoscaler,
)

ROLES: Final[Mapping[str, Role]] = {
    role.name: role
    for role in (
        Role(
            "scheduler",
            (
                Cluster,
                Pod,
                Node,
                PriorityClass,
                PodDisruptionBudget,
                Namespace,
                Service,
                ReplicaSet,
                ReplicationController,
                StatefulSet,
            ),
            machines=_scheduler,
        ),
        Role(
            "controllers",
            EVERYTHING,
            controllers=(
                node_pool.CONTROLLER,
                node_template.CONTROLLER,
                node_address.CONTROLLER,
                node_heartbeat.CONTROLLER,
                node_lifecycle.CONTROLLER,
                zone_eviction.CONTROLLER,
                replica_set.CONTROLLER,
                replication.CONTROLLER,
                deployment.CONTROLLER,
                disruption.CONTROLLER,
                stale_disruption.CONTROLLER,
                job.CONTROLLER,
                job_orphan.CONTROLLER,
                cron_job.CONTROLLER,
                ttl_after_finished.CONTROLLER,
                stateful_set.CONTROLLER,
                daemon_set.CONTROLLER,
                autoscaler.controller(usage_of),
                service.CONTROLLER,
                endpoint_slice.CONTROLLER,
                taint_eviction.CONTROLLER,
                pod_garbage.CONTROLLER,
                terminated_pods.CONTROLLER,
                namespace.CONTROLLER,
                garbage.CONTROLLER,
            ),
            serves_state=True,
        ),
        Role("kubelet", (Cluster, Pod, Node, Lease), machines=_kubelet, shared=False),
    )
}
