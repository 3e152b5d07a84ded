"""Bad input that the API server itself must refuse, and what its sentence has to say.

Each case starts from the dullest valid object of its kind and breaks one thing. `native` says whether the
native API refuses the same; where it does not, the rule is about something that only our kinds have.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from nestling.api import kinds
from nestling.api.kinds import Kind

JsonObject = dict[str, Any]

_POD: JsonObject = {"containers": [{"name": "main", "image": "nginx:1.27"}]}
_TEMPLATE: JsonObject = {"metadata": {"labels": {"app": "web"}}, "spec": _POD}
_SELECTOR: JsonObject = {"matchLabels": {"app": "web"}}
_JOB: JsonObject = {"template": {"spec": {**_POD, "restartPolicy": "Never"}}}
_WORKLOAD: JsonObject = {"selector": _SELECTOR, "template": _TEMPLATE}

VALID: dict[Kind, JsonObject] = {
    kinds.CLUSTER: {"spec": {}},
    kinds.NODE_POOL: {"spec": {"replicas": 1, "template": {}}},
    kinds.NODE: {"spec": {}},
    kinds.NAMESPACE: {},
    kinds.POD: {"spec": _POD},
    kinds.REPLICA_SET: {"spec": _WORKLOAD},
    kinds.REPLICATION_CONTROLLER: {"spec": {"selector": {"app": "web"}, "template": _TEMPLATE}},
    kinds.DEPLOYMENT: {"spec": _WORKLOAD},
    kinds.STATEFUL_SET: {"spec": {**_WORKLOAD, "serviceName": "web"}},
    kinds.DAEMON_SET: {"spec": _WORKLOAD},
    kinds.JOB: {"spec": _JOB},
    kinds.CRON_JOB: {"spec": {"schedule": "0 3 * * *", "jobTemplate": {"spec": _JOB}}},
    kinds.SERVICE: {"spec": {"ports": [{"port": 80}]}},
    kinds.ENDPOINT_SLICE: {"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}]},
    kinds.CONTROLLER_REVISION: {"data": {}, "revision": 1},
    kinds.PRIORITY_CLASS: {"value": 10},
    kinds.POD_DISRUPTION_BUDGET: {"spec": {"minAvailable": 1, "selector": _SELECTOR}},
    kinds.HORIZONTAL_POD_AUTOSCALER: {
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": 1,
            "maxReplicas": 3,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
                }
            ],
        }
    },
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An object, the one thing that is wrong with it, and words that the answer has to contain."""

    title: str
    kind: Kind
    changes: tuple[tuple[str, Any], ...]
    words: tuple[str, ...]
    name: str = "web"
    native: bool = True

    @property
    def obj(self) -> JsonObject:
        """The whole broken object."""
        return an_object(self.kind, self.changes, name=self.name)


def an_object(kind: Kind, changes: tuple[tuple[str, Any], ...] = (), *, name: str = "web") -> JsonObject:
    """The dullest valid object of `kind`, with values put at dotted paths; `...` takes the field away."""
    obj = deepcopy(
        {"apiVersion": kind.api_version, "kind": kind.name, "metadata": {"name": name}, **VALID[kind]}
    )
    for path, value in changes:
        place: Any = obj
        *steps, last = (int(step) if step.isdecimal() else step for step in path.split("."))
        for step in steps:
            place = place[step] if isinstance(step, int) else place.setdefault(step, {})
        if value is ...:
            del place[last]
        else:
            place[last] = value
    return obj


def _case(title: str, kind: Kind, path: str, value: Any, *words: str, native: bool = True) -> Refusal:
    return Refusal(title, kind, ((path, value),), words or (path,), native=native)


_CONTAINER = "spec.containers.0"
_IN_TEMPLATE = "spec.template.spec.containers.0"
_MAIN = "spec.containers[0]"
_FRONT = "spec.template.spec"


def _names() -> Iterator[Refusal]:
    for title, kind, name, native in (
        ("pod, upper case", kinds.POD, "Web", True),
        ("pod, underscore", kinds.POD, "my_web", True),
        ("pod, unicode", kinds.POD, "wéb", True),
        ("pod, starts with a dash", kinds.POD, "-web", True),
        ("pod, 254 characters", kinds.POD, "a" * 254, True),
        ("pod, namespace of 64 characters", kinds.POD, "web." + "a" * 64, False),
        ("pod, needless namespace", kinds.POD, "web.default", False),
        ("service, dots in its own name", kinds.SERVICE, "a.b.shop", True),
        ("service, 64 characters", kinds.SERVICE, "a" * 64, True),
        ("stateful set, dots in its own name", kinds.STATEFUL_SET, "a.b.shop", True),
        ("cron job, 53 characters", kinds.CRON_JOB, "a" * 53, True),
        ("namespace, with a dot", kinds.NAMESPACE, "a.b", True),
        ("namespace, 64 characters", kinds.NAMESPACE, "a" * 64, True),
        ("cluster, another name", kinds.CLUSTER, "main", False),
        ("priority class, reserved prefix", kinds.PRIORITY_CLASS, "system-mine", True),
    ):
        # A name that holds a virtual namespace is another name on the native side.
        yield Refusal(
            f"name of {title}", kind, (), ("metadata.name",), name=name, native=native and "shop" not in name
        )


def _pods() -> Iterator[Refusal]:
    pod = kinds.POD
    yield _case("no containers", pod, "spec.containers", [], "spec.containers")
    yield Refusal("no spec", pod, (("spec", ...),), ("spec",))
    yield _case("container without a name", pod, f"{_CONTAINER}.name", ..., f"{_MAIN}.name")
    yield _case("container name", pod, f"{_CONTAINER}.name", "Main_1", f"{_MAIN}.name")
    yield _case("container without an image", pod, f"{_CONTAINER}.image", ..., f"{_MAIN}.image", "Required")
    yield _case("container with an empty image", pod, f"{_CONTAINER}.image", "", f"{_MAIN}.image")
    yield _case(
        "template without an image",
        kinds.DEPLOYMENT,
        f"{_IN_TEMPLATE}.image",
        ...,
        f"{_FRONT}.containers[0].image",
    )
    yield _case("restart policy", pod, "spec.restartPolicy", "Sometimes")
    yield _case("dns policy", pod, "spec.dnsPolicy", "Magic")
    yield _case(
        "image pull policy", pod, f"{_CONTAINER}.imagePullPolicy", "Maybe", f"{_MAIN}.imagePullPolicy"
    )
    yield _case("deadline of zero", pod, "spec.activeDeadlineSeconds", 0)
    for title, text in (
        ("word", "lots"),
        ("unit", "64MB"),
        ("blank", "64 Mi"),
        ("empty", ""),
        ("negative", "-1"),
        ("two points", "1.2.3"),
        ("unicode digits", "٣"),
    ):
        limit = f"{_CONTAINER}.resources.limits"
        yield _case(f"quantity, {title}", pod, limit, {"memory": text}, f"{_MAIN}.resources.limits")
    yield _case(
        "quantity, bool", pod, f"{_CONTAINER}.resources.requests", {"cpu": True}, "resources.requests"
    )
    yield _case("quantity, negative number", pod, f"{_CONTAINER}.resources.requests", {"cpu": -1}, "requests")
    more = {"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"cpu": "1500m", "memory": "1Gi"}}
    yield _case("requests above limits", pod, f"{_CONTAINER}.resources", more, f"{_MAIN}.resources.requests")
    port = f"{_CONTAINER}.ports"
    yield _case("port 0", pod, port, [{"containerPort": 0}], f"{_MAIN}.ports[0].containerPort")
    yield _case("port 65536", pod, port, [{"containerPort": 65536}], f"{_MAIN}.ports[0].containerPort")
    yield _case(
        "port name", pod, port, [{"containerPort": 80, "name": "a-very-long-port-name"}], "ports[0].name"
    )
    yield _case("protocol", pod, port, [{"containerPort": 80, "protocol": "ICMP"}], "ports[0].protocol")
    env = f"{_CONTAINER}.env"
    yield _case("variable without a name", pod, env, [{"value": "1"}], f"{_MAIN}.env[0].name")
    both = [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    yield _case("variable with two values", pod, env, both, f"{_MAIN}.env[0].valueFrom")
    yield _case(
        "variable from nowhere", pod, env, [{"name": "A", "valueFrom": {}}], f"{_MAIN}.env[0].valueFrom"
    )
    probe = f"{_CONTAINER}.livenessProbe"
    yield _case("probe without action", pod, probe, {"periodSeconds": 5}, f"{_MAIN}.livenessProbe")
    two = {"exec": {"command": ["true"]}, "tcpSocket": {"port": 80}}
    yield _case("probe with two actions", pod, probe, two, f"{_MAIN}.livenessProbe")
    yield _case("probe port", pod, probe, {"tcpSocket": {"port": 70000}}, "livenessProbe.tcpSocket.port")
    yield _case("hook without action", pod, f"{_CONTAINER}.lifecycle", {"preStop": {}}, "lifecycle.preStop")
    yield _case(
        "volume with two sources",
        pod,
        "spec.volumes",
        [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}],
        "spec.volumes[0]",
    )
    yield _case(
        "two volumes of one name", pod, "spec.volumes", [{"name": "v"}, {"name": "v"}], "spec.volumes[1]"
    )
    yield _case("volume name", pod, "spec.volumes", [{"name": "V.1", "emptyDir": {}}], "spec.volumes[0].name")
    twins = [{"name": "main", "image": "a"}, {"name": "main", "image": "b"}]
    yield _case("two containers of one name", pod, "spec.containers", twins, "spec.containers[1]")
    yield _case(
        "init container of a container's name", pod, "spec.initContainers", twins[:1], "initContainers"
    )
    toleration = "spec.tolerations"
    yield _case(
        "toleration of nothing", pod, toleration, [{"operator": "Equal"}], f"{toleration}[0].operator"
    )
    odd = {"key": "a", "operator": "Exists", "value": "b"}
    yield _case("toleration with a useless value", pod, toleration, [odd], f"{toleration}[0]")
    timed = {"key": "a", "operator": "Exists", "effect": "NoSchedule", "tolerationSeconds": 5}
    yield _case("toleration with useless seconds", pod, toleration, [timed], f"{toleration}[0].effect")
    spread = {"maxSkew": 0, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    yield _case("skew of zero", pod, "spec.topologySpreadConstraints", [spread], "[0].maxSkew")
    required = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
    for title, wrong in (
        ("no values", {"operator": "In"}),
        ("values for Exists", {"operator": "Exists", "values": ["a"]}),
        ("two values for Gt", {"operator": "Gt", "values": ["1", "2"]}),
        ("operator", {"operator": "Like", "values": ["a"]}),
    ):
        yield _case(
            f"node affinity, {title}",
            pod,
            required,
            [{"matchExpressions": [{"key": "k", **wrong}]}],
            required,
        )
    weight = "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution"
    heavy = [{"weight": 101, "preference": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}]
    yield _case("weight of 101", pod, weight, heavy, f"{weight}[0].weight")
    yield _case(
        "user of -1", pod, "spec.securityContext", {"runAsUser": -1}, "spec.securityContext.runAsUser"
    )
    yield _case("node selector value", pod, "spec.nodeSelector", {"zone": "a b"}, "spec.nodeSelector")
    host = {
        "hostNetwork": True,
        "containers": [{**_POD["containers"][0], "ports": [{"containerPort": 80, "hostPort": 81}]}],
    }
    yield _case("host network with another host port", pod, "spec", host, "hostPort")
    yield _case("unknown field", pod, "spec.colour", "red", "spec.colour")
    yield _case("unknown field, deep", pod, f"{_CONTAINER}.resources.limit", {}, "resources.limit")
    yield _case("wrong type, number for text", pod, f"{_CONTAINER}.image", 5, "image")
    yield _case("wrong type, text for list", pod, f"{_CONTAINER}.args", "a b", "args")
    yield _case("wrong type, text for bool", pod, "spec.hostNetwork", "yes", "hostNetwork")
    yield _case("150 KiB of name", pod, f"{_CONTAINER}.name", "a" * 150 * 1024, f"{_MAIN}.name")


def _workloads() -> Iterator[Refusal]:
    for kind in (kinds.DEPLOYMENT, kinds.REPLICA_SET, kinds.STATEFUL_SET, kinds.DAEMON_SET):
        native = kind.native
        yield _case(f"{native}, selector of nothing", kind, "spec.selector", {}, "spec.selector")
        yield Refusal(f"{native}, no selector", kind, (("spec.selector", ...),), ("spec.selector",))
        yield _case(
            f"{native}, selector of other labels",
            kind,
            "spec.selector",
            {"matchLabels": {"app": "db"}},
            "spec.template.metadata.labels",
        )
        yield _case(
            f"{native}, selector expression of other labels",
            kind,
            "spec.selector",
            {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]},
            "spec.template.metadata.labels",
        )
        yield _case(f"{native}, restart policy", kind, f"{_FRONT}.restartPolicy", "Never")
        labels = {"app": "web", "bad key": "x"}
        yield _case(f"{native}, label key", kind, "spec.template.metadata.labels", labels, "metadata.labels")
        labels = {"app": "web", "tier": "x" * 64}
        yield _case(
            f"{native}, label value", kind, "spec.template.metadata.labels", labels, "metadata.labels.tier"
        )
        yield _case(f"{native}, deadline", kind, f"{_FRONT}.activeDeadlineSeconds", 5)
        if kind is not kinds.DAEMON_SET:
            yield _case(f"{native}, negative replicas", kind, "spec.replicas", -1)
    controller = kinds.REPLICATION_CONTROLLER
    yield _case("ReplicationController, other labels", controller, "spec.selector", {"app": "db"}, "labels")
    yield _case("ReplicationController, negative replicas", controller, "spec.replicas", -3)
    yield _case("ReplicationController, restart policy", controller, f"{_FRONT}.restartPolicy", "OnFailure")
    deployment = kinds.DEPLOYMENT
    rolling = "spec.strategy.rollingUpdate"
    for title, update in (
        ("numbers", {"maxSurge": 0, "maxUnavailable": 0}),
        ("percentages", {"maxSurge": "0%", "maxUnavailable": "0%"}),
        ("one of each", {"maxSurge": 0, "maxUnavailable": "00%"}),
    ):
        yield _case(
            f"Deployment that cannot move, {title}", deployment, rolling, update, f"{rolling}.maxUnavailable"
        )
    yield _case(
        "Deployment, surge of a word", deployment, rolling, {"maxSurge": "some"}, f"{rolling}.maxSurge"
    )
    yield _case("Deployment, negative surge", deployment, rolling, {"maxSurge": -1}, f"{rolling}.maxSurge")
    yield _case(
        "Deployment, 101 %", deployment, rolling, {"maxUnavailable": "101%"}, f"{rolling}.maxUnavailable"
    )
    mixed = {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}
    yield _case("Deployment, Recreate with bounds", deployment, "spec.strategy", mixed, rolling)
    yield _case("Deployment, unknown strategy", deployment, "spec.strategy.type", "Yolo")
    yield _case("Deployment, history", deployment, "spec.revisionHistoryLimit", -1)
    yield Refusal(
        "Deployment, deadline before readiness",
        deployment,
        (("spec.minReadySeconds", 60), ("spec.progressDeadlineSeconds", 60)),
        ("spec.progressDeadlineSeconds",),
    )
    yield _case(
        "Deployment, bad quantity", deployment, f"{_IN_TEMPLATE}.resources.limits", {"cpu": "x"}, "limits"
    )
    yield _case("Deployment, unknown field", deployment, f"{_FRONT}.nodename", "n1", f"{_FRONT}.nodename")
    daemon = "spec.updateStrategy.rollingUpdate"
    surge = {"maxSurge": 1, "maxUnavailable": 1}
    yield _case("DaemonSet, surge and unavailable", kinds.DAEMON_SET, daemon, surge, f"{daemon}.maxSurge")
    still = {"maxSurge": 0, "maxUnavailable": 0}
    yield _case("DaemonSet that cannot move", kinds.DAEMON_SET, daemon, still, f"{daemon}.maxUnavailable")
    yield _case("StatefulSet, policy", kinds.STATEFUL_SET, "spec.podManagementPolicy", "Random")
    yield _case("StatefulSet, negative partition", kinds.STATEFUL_SET, daemon, {"partition": -1}, "partition")
    yield _case("node pool, negative replicas", kinds.NODE_POOL, "spec.replicas", -1, native=False)


def _jobs() -> Iterator[Refusal]:
    job = kinds.JOB
    policy = "spec.template.spec.restartPolicy"
    yield _case("Job that always restarts", job, policy, "Always")
    yield _case("Job without a restart policy", job, policy, ...)
    yield _case("Job, negative parallelism", job, "spec.parallelism", -1)
    yield _case("Job, negative completions", job, "spec.completions", -1)
    yield _case("Job, negative back-off", job, "spec.backoffLimit", -1)
    indexed = (("spec.completionMode", "Indexed"), ("spec.parallelism", 2))
    yield Refusal("Job, indexed without completions", job, indexed, ("completions",))
    yield _case("Job, back-off per index without indexes", job, "spec.backoffLimitPerIndex", 1)
    yield _case("Job, time to live", job, "spec.ttlSecondsAfterFinished", -1)
    cron = kinds.CRON_JOB
    for schedule in (
        "",
        "* * * *",
        "* * * * * *",
        "61 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "*/0 * * * *",
        "a * * * *",
        "@sometimes",
        "every minute",
    ):
        yield _case(f"schedule {schedule!r}", cron, "spec.schedule", schedule)
    # The native parser skips the gaps between commas.
    yield _case("schedule with a gap", cron, "spec.schedule", "5,, * * * *", native=False)
    yield _case("schedule with a zone", cron, "spec.schedule", "TZ=UTC 0 3 * * *")
    yield _case("schedule with a cron zone", cron, "spec.schedule", "CRON_TZ=UTC 0 3 * * *")
    yield _case("zone of nowhere", cron, "spec.timeZone", "Local")
    yield _case("concurrency", cron, "spec.concurrencyPolicy", "Perhaps")
    yield _case("CronJob that always restarts", cron, f"spec.jobTemplate.{policy}", "Always", "restartPolicy")
    yield _case("CronJob, negative history", cron, "spec.failedJobsHistoryLimit", -1)


def _rest() -> Iterator[Refusal]:
    service = kinds.SERVICE
    yield _case("Service without ports", service, "spec.ports", ...)
    yield _case("Service with unnamed ports", service, "spec.ports", [{"port": 80}, {"port": 81}])
    same = [{"port": 80, "name": "a"}, {"port": 81, "name": "a"}]
    yield _case("Service with two ports of one name", service, "spec.ports", same)
    yield _case("Service, port 0", service, "spec.ports", [{"port": 0}], "spec.ports[0].port")
    yield _case("Service, type", service, "spec.type", "Public")
    yield _case("Service, external name missing", service, "spec.type", "ExternalName", "spec.externalName")
    yield _case("Service, address", service, "spec.clusterIP", "10.96.0.256")
    yield _case(
        "Service, node port of a cluster address", service, "spec.ports", [{"port": 80, "nodePort": 30080}]
    )
    headless = {"type": "NodePort", "clusterIP": "None", "ports": [{"port": 80}]}
    yield _case("Service, headless with node ports", service, "spec", headless, "spec.clusterIP")
    yield _case("Service, affinity", service, "spec.sessionAffinity", "Sticky")
    node = kinds.NODE
    taint = {"key": "a", "effect": "NoSchedule"}
    yield _case("Node, taint without effect", node, "spec.taints", [{"key": "a"}], "spec.taints[0].effect")
    yield _case(
        "Node, effect", node, "spec.taints", [{"key": "a", "effect": "Shoo"}], "spec.taints[0].effect"
    )
    yield _case("Node, the same taint twice", node, "spec.taints", [taint, taint], "spec.taints")
    yield _case("Node, capacity", node, "spec.capacity", {"cpu": "many"}, "spec.capacity", native=False)
    hpa, metric = kinds.HORIZONTAL_POD_AUTOSCALER, "spec.metrics.0.resource.target.averageUtilization"
    yield _case(
        "HorizontalPodAutoscaler, more at least than at most", hpa, "spec.minReplicas", 4, "maxReplicas"
    )
    yield _case("HorizontalPodAutoscaler, none at most", hpa, "spec.maxReplicas", 0)
    yield _case(
        "HorizontalPodAutoscaler, zero without a metric from outside", hpa, "spec.minReplicas", 0, "metric"
    )
    yield _case(
        "HorizontalPodAutoscaler, no target", hpa, "spec.scaleTargetRef.name", ..., "scaleTargetRef.name"
    )
    yield _case("HorizontalPodAutoscaler, target of 0 %", hpa, metric, 0, "averageUtilization")
    yield _case(
        "HorizontalPodAutoscaler, metric of another type",
        hpa,
        "spec.metrics.0.type",
        "Pods",
        "spec.metrics[0]",
    )
    cluster = kinds.CLUSTER
    for path, value in (
        ("spec.podCIDR", "10.244.0.0"),
        ("spec.serviceCIDR", "10.96.0.0/33"),
        ("spec.nodePortRange", "30000"),
        ("spec.nodeLifecycle", {"gracePeriodSeconds": -1}),
        ("spec.limits", {"maxNodes": "ten"}),
        ("spec.controllers", ["*", "-cronjobs"]),
    ):
        yield Refusal(
            f"VirtualCluster, {path}", cluster, ((path, value),), (path,), name="cluster", native=False
        )
    slice_ = kinds.ENDPOINT_SLICE
    yield _case("EndpointSlice, address type", slice_, "addressType", "IPv5")
    yield _case(
        "EndpointSlice, no addresses", slice_, "endpoints", [{"addresses": []}], "endpoints[0].addresses"
    )
    yield _case("PriorityClass, too high", kinds.PRIORITY_CLASS, "value", 1000000001)
    budget = kinds.POD_DISRUPTION_BUDGET
    yield _case("budget with both bounds", budget, "spec.maxUnavailable", 1)
    yield _case("budget of a word", budget, "spec.minAvailable", "most")
    yield _case("budget, negative", budget, "spec.minAvailable", -1)


REFUSALS: tuple[Refusal, ...] = (*_names(), *_pods(), *_workloads(), *_jobs(), *_rest())


@dataclass(frozen=True, slots=True)
class Frozen:
    """A change of an existing object that must be refused, or (without words) accepted."""

    title: str
    kind: Kind
    before: tuple[tuple[str, Any], ...]
    after: tuple[tuple[str, Any], ...]
    words: tuple[str, ...] = ()


def _frozen(title: str, kind: Kind, path: str, old: Any, new: Any, *words: str) -> Frozen:
    return Frozen(title, kind, ((path, old),), ((path, new),), words or (path,))


def _changes() -> Iterator[Frozen]:
    pod = kinds.POD
    yield Frozen("binding a pod", pod, (), (("spec.nodeName", "n1"),))
    yield Frozen(
        "binding a pod whose node is empty", pod, (("spec.nodeName", ""),), (("spec.nodeName", "n1"),)
    )
    yield _frozen("binding a pod again", pod, "spec.nodeName", "n1", "n2")
    yield _frozen("unbinding a pod", pod, "spec.nodeName", "n1", "", "spec.nodeName")
    yield Frozen("unbinding a pod by absence", pod, (("spec.nodeName", "n1"),), (), ("spec.nodeName",))
    yield Frozen("new image", pod, (), ((f"{_CONTAINER}.image", "nginx:1.28"),))
    yield Frozen("new label", pod, (), (("metadata.labels", {"a": "b"}),))
    yield _frozen("another restart policy", pod, "spec.restartPolicy", "Always", "Never")
    yield _frozen("host network", pod, "spec.hostNetwork", False, True)
    yield Frozen("host name added", pod, (), (("spec.hostname", "a"),), ("hostname",))
    yield Frozen("host name removed", pod, (("spec.hostname", "a"),), (), ("hostname",))
    yield Frozen(
        "priority class removed", pod, (("spec.priorityClassName", "a"),), (), ("priorityClassName",)
    )
    yield Frozen(
        "first gate added", pod, (), (("spec.schedulingGates", [{"name": "a.b/c"}]),), ("schedulingGates",)
    )
    yield _frozen("another scheduler", pod, "spec.schedulerName", "a", "b")
    yield _frozen("another priority", pod, "spec.priority", 1, 2)
    yield Frozen("priority from admission", pod, (), (("spec.priority", 2),))
    one, two = (
        [{"name": "main", "image": "a"}],
        [{"name": "main", "image": "a"}, {"name": "more", "image": "b"}],
    )
    yield _frozen("container added", pod, "spec.containers", one, two)
    yield _frozen("container removed", pod, "spec.containers", two, one)
    yield _frozen("container renamed", pod, f"{_CONTAINER}.name", "main", "other", "spec.containers")
    gate = [{"name": "example.com/a"}]
    yield _frozen("gate added", pod, "spec.schedulingGates", [], gate)
    yield Frozen("gate removed", pod, (("spec.schedulingGates", gate),), (("spec.schedulingGates", []),))
    for kind in (kinds.DEPLOYMENT, kinds.REPLICA_SET, kinds.STATEFUL_SET, kinds.DAEMON_SET):
        both = (("spec.template.metadata.labels", {"app": "web", "tier": "front"}),)
        narrowed = {"matchLabels": {"app": "web", "tier": "front"}}
        yield Frozen(
            f"{kind.native}, another selector",
            kind,
            both,
            (*both, ("spec.selector", narrowed)),
            ("spec.selector",),
        )
        if kind.scale:
            yield Frozen(f"{kind.native}, other replicas", kind, (), (("spec.replicas", 5),))
        yield Frozen(f"{kind.native}, another image", kind, (), ((f"{_IN_TEMPLATE}.image", "nginx:1.28"),))
    stateful = kinds.STATEFUL_SET
    yield _frozen("StatefulSet, another service", stateful, "spec.serviceName", "a", "b")
    yield _frozen(
        "StatefulSet, another policy", stateful, "spec.podManagementPolicy", "Parallel", "OrderedReady"
    )
    indexed = (("spec.completionMode", "Indexed"), ("spec.completions", 2))
    yield Frozen(
        "Job, another mode", kinds.JOB, (("spec.completions", 2),), indexed, ("spec.completionMode",)
    )
    yield Frozen("Job, suspended", kinds.JOB, (), (("spec.suspend", True),))
    yield _frozen("Service, another address", kinds.SERVICE, "spec.clusterIP", "10.96.0.5", "10.96.0.6")
    yield Frozen("Service gets its address", kinds.SERVICE, (), (("spec.clusterIP", "10.96.0.5"),))
    yield _frozen("Node, another pod range", kinds.NODE, "spec.podCIDR", "10.244.1.0/24", "10.244.2.0/24")
    yield Frozen("Node gets its pod range", kinds.NODE, (), (("spec.podCIDR", "10.244.1.0/24"),))
    yield _frozen("PriorityClass, another value", kinds.PRIORITY_CLASS, "value", 10, 11)
    yield _frozen("EndpointSlice, another type", kinds.ENDPOINT_SLICE, "addressType", "IPv4", "IPv6")


CHANGES: tuple[Frozen, ...] = tuple(_changes())
