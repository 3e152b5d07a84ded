"""Objects for tests, as they stand on the host: the dullest valid ones; a case says only what is special.

Every builder returns plain JSON (`metadata`, `spec`, `status`), ready for `view_of`, a store or a request.
Add builders of further kinds here; what only one test needs stays in that test.
"""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from nestling.api.json import JsonObject
from nestling.api.kinds import (
    BY_PLURAL,
    CLUSTER,
    CONTROLLER_REVISION,
    CRON_JOB,
    DAEMON_SET,
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    JOB,
    LEASE,
    NODE,
    NODE_POOL,
    POD,
    POD_DISRUPTION_BUDGET,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    SERVICE,
    STATEFUL_SET,
    Kind,
)
from nestling.controllers.history import hash_of, patch_of
from nestling.controllers.node_template import applied_names
from nestling.machinery.cache import Cache
from nestling.machinery.clock import timestamp, timestamp_micro
from nestling.machinery.names import Key, host_name, key_of
from nestling.machinery.records.autoscaler import HorizontalPodAutoscaler
from nestling.machinery.records.base import Record
from nestling.machinery.records.budget import PodDisruptionBudget
from nestling.machinery.records.cluster import CLUSTER_NAME, Cluster
from nestling.machinery.records.job import CONTROLLER_UID, JOB_NAME, CronJob, Job
from nestling.machinery.records.namespace import Namespace
from nestling.machinery.records.node import Lease, Node
from nestling.machinery.records.pod import COMPLETION_INDEX, JOB_TRACKING, KUBELET_FINALIZER, Pod
from nestling.machinery.records.pool import POOL_APPLIED, POOL_LABEL, NodePool
from nestling.machinery.records.revisioned import ControllerRevision, DaemonSet, StatefulSet
from nestling.machinery.records.service import EndpointSlice, Service
from nestling.machinery.records.workload import Deployment, ReplicaSet, ReplicationController
from nestling.machinery.view import View

HOST_NAMESPACE = "team-a"
NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z
BIRTH = NOW - 3600.0

RECORDS: tuple[type[Record], ...] = (
    Cluster,
    Namespace,
    NodePool,
    Node,
    Lease,
    Pod,
    ReplicaSet,
    ReplicationController,
    Deployment,
    Job,
    CronJob,
    StatefulSet,
    DaemonSet,
    ControllerRevision,
    Service,
    EndpointSlice,
    PodDisruptionBudget,
    HorizontalPodAutoscaler,
)

_KINDS = {kind.name: kind for kind in BY_PLURAL.values()}


def an_object(
    kind: Kind,
    name: str,
    *,
    namespace: str = "default",
    cluster: str = HOST_NAMESPACE,
    uid: str = "",
    version: int = 1,
    generation: int = 1,
    created_at: float = BIRTH,
    deleting_at: float | None = None,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    finalizers: Iterable[str] = (),
    owner: JsonObject | None = None,
    spec: JsonObject | None = None,
    status: JsonObject | None = None,
) -> JsonObject:
    """An object of any kind. `owner` is the object (as built here) that controls it."""
    host = host_name(namespace if kind.scoped else "", name)
    meta: JsonObject = {
        "name": host,
        "namespace": cluster,
        "uid": uid or f"uid-{kind.native.lower() or kind.name.lower()}-{host}",
        "resourceVersion": str(version),
        "generation": generation,
        "creationTimestamp": timestamp(created_at),
    }
    if deleting_at is not None:
        meta["deletionTimestamp"] = timestamp(deleting_at)
    if labels:
        meta["labels"] = dict(labels)
    if annotations:
        meta["annotations"] = dict(annotations)
    if tuple(finalizers):
        meta["finalizers"] = list(finalizers)
    if owner is not None:
        meta["ownerReferences"] = [controller_ref(owner)]
    found: JsonObject = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": meta}
    if spec is not None:
        found["spec"] = copy.deepcopy(spec)
    if status is not None:
        found["status"] = copy.deepcopy(status)
    return found


def controller_ref(owner: JsonObject) -> JsonObject:
    """The owner reference by which an object says that `owner` controls it."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def a_condition(
    kind: str, status: str = "True", *, since: float = BIRTH, reason: str = "", **more: str
) -> JsonObject:
    """One entry of `status.conditions`."""
    entry = {"type": kind, "status": status, "lastTransitionTime": timestamp(since), **more}
    return {**entry, "reason": reason} if reason else entry


def a_template(labels: Mapping[str, str] | None = None, *, image: str = "web:1", **spec: Any) -> JsonObject:
    """A pod template with one container; `app: web` unless labels say otherwise."""
    return {
        "metadata": {"labels": dict(labels if labels is not None else {"app": "web"})},
        "spec": {"containers": [{"name": "main", "image": image}], **spec},
    }


def a_pod(
    name: str = "web-0",
    *,
    node: str = "",
    phase: str = "Pending",
    ready: bool = False,
    ready_at: float = BIRTH,
    restarts: int = 0,
    ip: str = "",
    spec: JsonObject | None = None,
    status: JsonObject | None = None,
    **meta: Any,
) -> JsonObject:
    """A pod with one container: pending and unbound; or running, and ready since `ready_at`."""
    meta.setdefault("labels", {"app": "web"})
    if ready:
        phase = "Running"
    bound = {"nodeName": node} if node else {}
    state: JsonObject = {
        "phase": phase,
        "conditions": [a_condition("Ready", "True" if ready else "False", since=ready_at)],
    }
    if phase == "Running":
        state["containerStatuses"] = [
            {"name": "main", "ready": ready, "restartCount": restarts, "image": "web:1", "imageID": ""}
        ]
    if ip:
        state["podIP"] = ip
    return an_object(
        POD,
        name,
        spec={"containers": [{"name": "main", "image": "web:1"}], **bound, **(spec or {})},
        status={**state, **(status or {})},
        **meta,
    )


def a_node(
    name: str = "n1",
    *,
    ready: bool = True,
    cpu: str = "32",
    memory: str = "256Gi",
    pods: str = "110",
    spec: JsonObject | None = None,
    status: JsonObject | None = None,
    **meta: Any,
) -> JsonObject:
    """A node that is ready and empty."""
    room = {"cpu": cpu, "memory": memory, "pods": pods}
    state = {
        "capacity": room,
        "allocatable": room,
        "conditions": [a_condition("Ready", "True" if ready else "False")],
    }
    meta.setdefault("labels", {"kubernetes.io/hostname": name})
    return an_object(NODE, name, spec=spec or {}, status={**state, **(status or {})}, **meta)


def a_node_pool(
    name: str = "pool",
    *,
    replicas: int = 1,
    template: JsonObject | None = None,
    status: JsonObject | None = None,
    **meta: Any,
) -> JsonObject:
    """A pool of nodes of the default shape."""
    return an_object(
        NODE_POOL, name, spec={"replicas": replicas, "template": template or {}}, status=status, **meta
    )


def a_pooled_node(pool: JsonObject, index: int, **more: Any) -> JsonObject:
    """A node of `pool` as the pool would have created it, without its address block."""
    name: str = pool["metadata"]["name"]
    template: JsonObject = pool["spec"].get("template") or {}
    meta: JsonObject = template.get("metadata") or {}
    applied = orjson.dumps(applied_names(template), option=orjson.OPT_SORT_KEYS).decode()
    more.setdefault("labels", {**(meta.get("labels") or {}), POOL_LABEL: name})
    more.setdefault("annotations", {**(meta.get("annotations") or {}), POOL_APPLIED: applied})
    more.setdefault("spec", dict(template.get("spec") or {}))
    return a_node(f"{name}-{index}", owner=pool, **more)


def a_lease(
    name: str = "kubelet-1", *, renewed_at: float = NOW, duration_s: int = 40, **meta: Any
) -> JsonObject:
    """A Lease that was renewed just now."""
    spec = {
        "holderIdentity": name,
        "leaseDurationSeconds": duration_s,
        "renewTime": timestamp_micro(renewed_at),
    }
    return an_object(LEASE, name, spec=spec, **meta)


def a_cluster(spec: JsonObject | None = None, **meta: Any) -> JsonObject:
    """The VirtualCluster of the host namespace."""
    return an_object(CLUSTER, CLUSTER_NAME, spec=spec or {}, **meta)


def a_service(
    name: str = "web",
    *,
    spec: JsonObject | None = None,
    status: JsonObject | None = None,
    **meta: Any,
) -> JsonObject:
    """A service that selects `app: web` on port 80 and has no address yet."""
    plain = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
    return an_object(SERVICE, name, spec={**plain, **(spec or {})}, status=status, **meta)


def a_replica_set(
    name: str = "web",
    *,
    replicas: int = 1,
    selector: JsonObject | None = None,
    template: JsonObject | None = None,
    min_ready_s: int = 0,
    status: JsonObject | None = None,
    **meta: Any,
) -> JsonObject:
    """A ReplicaSet that selects `app: web` and has not been looked at yet."""
    meta.setdefault("labels", {"app": "web"})
    spec: JsonObject = {
        "replicas": replicas,
        "selector": selector if selector is not None else {"matchLabels": {"app": "web"}},
        "template": template if template is not None else a_template(),
        "minReadySeconds": min_ready_s,
    }
    return an_object(REPLICA_SET, name, spec=spec, status=status, **meta)


def a_replication_controller(
    name: str = "web",
    *,
    replicas: int = 1,
    selector: Mapping[str, str] | None = None,
    template: JsonObject | None = None,
    status: JsonObject | None = None,
    **meta: Any,
) -> JsonObject:
    """A ReplicationController that selects `app: web` and has not been looked at yet."""
    spec: JsonObject = {
        "replicas": replicas,
        "selector": dict(selector if selector is not None else {"app": "web"}),
        "template": template if template is not None else a_template(),
    }
    return an_object(REPLICATION_CONTROLLER, name, spec=spec, status=status, **meta)


def a_deployment(
    name: str = "web",
    *,
    replicas: int = 1,
    strategy: JsonObject | None = None,
    selector: JsonObject | None = None,
    template: JsonObject | None = None,
    status: JsonObject | None = None,
    spec: JsonObject | None = None,
    **meta: Any,
) -> JsonObject:
    """A Deployment as the API server stores it, defaults filled in, not looked at yet."""
    full: JsonObject = {
        "replicas": replicas,
        "selector": selector if selector is not None else {"matchLabels": {"app": "web"}},
        "template": template if template is not None else a_template(),
        "strategy": strategy
        if strategy is not None
        else {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
        "minReadySeconds": 0,
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
        **(spec or {}),
    }
    return an_object(DEPLOYMENT, name, spec=full, status=status, **meta)


def a_budget(
    name: str = "web",
    *,
    min_available: int | str | None = None,
    max_unavailable: int | str | None = None,
    selector: JsonObject | None = None,
    spec: JsonObject | None = None,
    status: JsonObject | None = None,
    **meta: Any,
) -> JsonObject:
    """A disruption budget for `app: web` that nobody has counted yet."""
    full: JsonObject = {"selector": selector if selector is not None else {"matchLabels": {"app": "web"}}}
    if min_available is not None:
        full["minAvailable"] = min_available
    if max_unavailable is not None:
        full["maxUnavailable"] = max_unavailable
    return an_object(POD_DISRUPTION_BUDGET, name, spec={**full, **(spec or {})}, status=status, **meta)


def a_job(
    name: str = "pi",
    *,
    template: JsonObject | None = None,
    status: JsonObject | None = None,
    spec: JsonObject | None = None,
    **meta: Any,
) -> JsonObject:
    """A Job of one pod as its controller has completed it; `spec` adds to it."""
    uid = meta.setdefault("uid", f"uid-job-{name}")
    own = {"controller-uid": uid, "job-name": name, CONTROLLER_UID: uid, JOB_NAME: name}
    meta.setdefault("labels", own)
    full: JsonObject = {
        "completions": 1,
        "parallelism": 1,
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "suspend": False,
        "podReplacementPolicy": "TerminatingOrFailed",
        "manualSelector": False,
        "selector": {"matchLabels": {CONTROLLER_UID: uid}},
        "template": template if template is not None else a_template(own, restartPolicy="Never"),
        **(spec or {}),
    }
    return an_object(
        JOB, name, spec={key: full[key] for key in full if full[key] is not None}, status=status, **meta
    )


def a_cron_job(
    name: str = "tick",
    *,
    schedule: str = "*/5 * * * *",
    spec: JsonObject | None = None,
    status: JsonObject | None = None,
    **meta: Any,
) -> JsonObject:
    """A CronJob as the API server stores it, defaults filled in: a Job every five minutes."""
    full: JsonObject = {
        "schedule": schedule,
        "concurrencyPolicy": "Allow",
        "suspend": False,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1,
        "jobTemplate": {"spec": {"template": a_template(restartPolicy="Never")}},
        **(spec or {}),
    }
    return an_object(CRON_JOB, name, spec=full, status=status, **meta)


def a_job_pod(
    job: JsonObject,
    name: str = "pi-0",
    *,
    index: int | None = None,
    phase: str = "Running",
    tracked: bool = True,
    ended_at: float | None = None,
    exit_code: int | None = None,
    annotations: Mapping[str, str] | None = None,
    **more: Any,
) -> JsonObject:
    """A pod of a Job on a node: it runs, or has ended at `ended_at` (by default just now)."""
    labels = dict(job["spec"]["template"]["metadata"]["labels"])
    notes = dict(annotations or {})
    if index is not None:
        labels[COMPLETION_INDEX] = notes[COMPLETION_INDEX] = str(index)
    status: JsonObject = dict(more.pop("status", None) or {})
    if phase in {"Succeeded", "Failed"}:
        code = exit_code if exit_code is not None else int(phase == "Failed")
        ended = {"exitCode": code, "finishedAt": timestamp(NOW if ended_at is None else ended_at)}
        status.setdefault("containerStatuses", [{"name": "main", "state": {"terminated": ended}}])
    more.setdefault("node", "n1")
    more.setdefault("labels", labels)
    finalizers = [KUBELET_FINALIZER, *([JOB_TRACKING] if tracked else [])]
    return a_pod(
        name, phase=phase, status=status, owner=job, annotations=notes, finalizers=finalizers, **more
    )


def a_stateful_set(
    name: str = "web",
    *,
    replicas: int = 1,
    template: JsonObject | None = None,
    strategy: JsonObject | None = None,
    status: JsonObject | None = None,
    spec: JsonObject | None = None,
    **meta: Any,
) -> JsonObject:
    """A StatefulSet as the API server stores it, defaults filled in, not looked at yet."""
    full: JsonObject = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": "web"}},
        "template": template if template is not None else a_template(),
        "serviceName": "web",
        "podManagementPolicy": "OrderedReady",
        "updateStrategy": strategy
        if strategy is not None
        else {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
        "revisionHistoryLimit": 10,
        **(spec or {}),
    }
    return an_object(STATEFUL_SET, name, spec=full, status=status, **meta)


def a_daemon_set(
    name: str = "web",
    *,
    template: JsonObject | None = None,
    strategy: JsonObject | None = None,
    status: JsonObject | None = None,
    spec: JsonObject | None = None,
    **meta: Any,
) -> JsonObject:
    """A DaemonSet as the API server stores it, defaults filled in; its first template is numbered."""
    meta.setdefault("annotations", {"deprecated.daemonset.template.generation": "1"})
    bounds = {"maxSurge": 0, "maxUnavailable": 1}
    full: JsonObject = {
        "selector": {"matchLabels": {"app": "web"}},
        "template": template if template is not None else a_template(),
        "updateStrategy": strategy
        if strategy is not None
        else {"type": "RollingUpdate", "rollingUpdate": bounds},
        "revisionHistoryLimit": 10,
        **(spec or {}),
    }
    return an_object(DAEMON_SET, name, spec=full, status=status, **meta)


def a_revision(
    workload: JsonObject,
    *,
    number: int = 1,
    template: JsonObject | None = None,
    label: str = "controller.kubernetes.io/hash",
    name: str = "",
    **meta: Any,
) -> JsonObject:
    """The revision of a template of a StatefulSet or DaemonSet, of the present one if none is given."""
    kept: JsonObject = workload["spec"]["template"] if template is None else template
    hashed = hash_of(kept, 0)
    owned = key_for(workload)
    meta.setdefault("labels", {"app": "web", label: hashed})
    meta.setdefault("owner", workload)
    obj = an_object(CONTROLLER_REVISION, name or f"{owned.name}-{hashed}", namespace=owned.namespace, **meta)
    return {**obj, "data": patch_of(kept), "revision": number}


def an_autoscaler(
    name: str = "web",
    *,
    target: str = "web",
    least: int = 1,
    most: int = 10,
    metrics: Iterable[JsonObject] | None = None,
    spec: JsonObject | None = None,
    status: JsonObject | None = None,
    **meta: Any,
) -> JsonObject:
    """An autoscaler of a Deployment that aims at half of the CPU that pods request."""
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
    full: JsonObject = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
        "minReplicas": least,
        "maxReplicas": most,
        "metrics": list(metrics) if metrics is not None else [{"type": "Resource", "resource": cpu}],
        **(spec or {}),
    }
    return an_object(HORIZONTAL_POD_AUTOSCALER, name, spec=full, status=status, **meta)


def kind_of(obj: JsonObject) -> Kind:
    """The kind that an object says it is."""
    return _KINDS[obj["kind"]]


def key_for(obj: JsonObject) -> Key:
    """The virtual identity of an object."""
    meta = obj["metadata"]
    return key_of(kind_of(obj), meta["namespace"], meta["name"])


def cache_of(*objects: JsonObject, records: Iterable[type[Record]] = RECORDS) -> Cache:
    """A real cache that has seen these objects. They are copied: the caller's stay as they are."""
    cache = Cache(records)
    for obj in objects:
        cache.see(kind_of(obj), copy.deepcopy(obj))
    return cache


def view_of(
    *objects: JsonObject,
    now: float = NOW,
    cluster: str = HOST_NAMESPACE,
    refusal: str = "",
    records: Iterable[type[Record]] = RECORDS,
) -> View:
    """What a reconciler sees when the cache holds these objects and it is `now`."""
    return View(cache_of(*objects, records=records), cluster, now, refusal=refusal)
