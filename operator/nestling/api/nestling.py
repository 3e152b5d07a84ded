"""The kinds that Kubernetes has no counterpart for, and what our kinds add to native ones.

A VirtualCluster holds the settings of its namespace, a VirtualNodePool stamps out nodes. Native statuses gain
what kubectl computes for its columns (`display`) and why a pod is where it is (`scheduling`).
"""

from typing import Annotated, TypeAlias

from annotated_types import Interval, MaxLen, MinLen
from pydantic import Field

from nestling.api import rules
from nestling.api.core.node import NodeSpec
from nestling.api.meta import ObjectMeta, ObservedCondition
from nestling.api.scheduler_configuration import LARGEST_WEIGHT
from nestling.api.schema import (
    Amounts,
    Arbitrary,
    AtLeastOne,
    Atomic,
    ByName,
    ByType,
    Cidr,
    Count,
    Int32,
    Int64,
    IntOrString,
    Keywords,
    ListType,
    Message,
    Schema,
    SetOf,
    Text,
    Time,
)

PluginWeight: TypeAlias = Annotated[int, Field(ge=1, le=LARGEST_WEIGHT), Keywords(format="int32")]

NODE_CAPACITY: dict[str, int | str] = {"cpu": "32", "memory": "256Gi", "pods": "110"}
"""What a virtual machine has if nobody says otherwise."""


class VirtualNodeSpec(NodeSpec):
    """What an administrator says about a node, and the machine that its kubelet finds."""

    validations = (rules.kept("podCIDR"), rules.kept("providerID"))

    capacity: Amounts = Field(default=NODE_CAPACITY)
    """What the machine has, per resource; the kubelet reports it in status."""


class NodeTemplate(Schema):
    """The node to make."""

    metadata: ObjectMeta | None = None
    """Labels and annotations of the nodes."""
    spec: VirtualNodeSpec = VirtualNodeSpec()
    """What an administrator says about the nodes."""


class NodePoolSpec(Schema):
    """How many nodes of which kind."""

    replicas: Count = 1
    """How many nodes are wanted."""
    template: NodeTemplate = NodeTemplate()
    """The node to make."""


class NodePoolStatus(Schema):
    """How many nodes there are."""

    conditions: ByType[ObservedCondition] | None = None
    """Observed aspects of the pool."""
    observed_generation: Int64 | None = None
    """Generation that the figures were counted for."""
    ready_replicas: Count | None = None
    """Nodes that are ready."""
    replicas: Count | None = None
    """Nodes that exist."""
    selector: Text | None = None
    """Labels of the nodes as text, for the scale subresource."""


class NodeLifecycle(Schema):
    """When a silent node counts as lost."""

    grace_period_seconds: Count = 50
    """Silence after which a node becomes unknown and its pods are evicted."""
    startup_grace_period_seconds: Count = 60
    """The same for a node that has never reported."""


class DefaultTolerationSeconds(Schema):
    """How long pods stay on a lost node if they do not say it themselves."""

    not_ready: Count = 300
    """Time on a node that is not ready."""
    unreachable: Count = 300
    """Time on a node that no longer reports."""


class Limits(Schema):
    """Bounds that keep one cluster from crowding out others."""

    max_nodes: Count | None = None
    """Most nodes that pools may make."""
    max_pods: Count | None = None
    """Most pods that controllers may make."""
    max_services: Count | None = None
    """Most Services that get an address."""


class Simulation(Schema):
    """How simulated containers behave unless their pod says otherwise."""

    seed: Int64 = 0
    """Where random choices start: the same seed gives the same run."""
    start_delay_seconds: Annotated[float, Interval(ge=0, le=86400)] = 0
    """Time that a container takes to start."""


class SchedulerPlugin(Schema):
    """A plugin of the scheduler and how much it counts."""

    name: Annotated[Text, MinLen(1)]
    """Name of the plugin."""
    weight: PluginWeight | None = None
    """How much its score counts; its own default if absent."""


class PluginArguments(Schema):
    """Arguments of one plugin of the scheduler."""

    args: Arbitrary | None = None
    """Arguments, as pluginConfig of a KubeSchedulerConfiguration has them."""
    name: Annotated[Text, MinLen(1)]
    """Name of the plugin."""


class SchedulerProfile(Schema):
    """A way to place pods, chosen by their schedulerName."""

    disabled: Annotated[SetOf[Text], MaxLen(64)] | None = None
    """Plugins that take no part; * means all that are not listed as enabled."""
    enabled: Annotated[ByName[SchedulerPlugin], MaxLen(64)] | None = None
    """Plugins that take part besides the default ones, or with another weight."""
    percentage_of_nodes_to_score: Annotated[int, Field(ge=0, le=100)] | None = None
    """Accepted and without effect: all nodes are scored."""
    plugin_config: Annotated[ByName[PluginArguments], MaxLen(64)] | None = None
    """Arguments by plugin."""
    scheduler_name: Annotated[Text, MinLen(1)]
    """Name that pods ask for."""


class SchedulerBackoff(Schema):
    """How long a pod waits after it found no node, before it is tried again."""

    validations = (rules.BACKOFF_ORDER,)

    initial_seconds: AtLeastOne = 1
    """Wait after the first failure; it doubles with every further one."""
    max_seconds: AtLeastOne = 10
    """Longest wait."""


class ClusterSpec(Schema):
    """Settings of the virtual cluster in this namespace."""

    controllers: Annotated[Atomic[Annotated[Text, MaxLen(80)]], MaxLen(64), rules.KNOWN_CONTROLLERS] = Field(
        default=["*"]
    )
    """Controllers that run: * for all, a name to add one, -name to leave one out."""
    default_toleration_seconds: DefaultTolerationSeconds = DefaultTolerationSeconds()
    """How long pods stay on a lost node if they do not say it themselves."""
    dns_domain: Annotated[Text, MinLen(1), MaxLen(253)] = "cluster.local"
    """Domain that the names of Services end with."""
    limits: Limits | None = None
    """Bounds that keep one cluster from crowding out others."""
    node_lifecycle: NodeLifecycle = NodeLifecycle()
    """When a silent node counts as lost."""
    node_port_range: Annotated[Text, MaxLen(11), Field(pattern=r"^[0-9]{1,5}-[0-9]{1,5}$")] = "30000-32767"
    """First and last node port that Services may get."""
    pod_cidr: Annotated[Cidr, rules.IS_CIDR] = Field(default="10.128.0.0/9")
    """Range that nodes take their pod ranges from, a /24 each."""
    scheduler_profiles: (
        Annotated[list[SchedulerProfile], ListType("map", "schedulerName"), MaxLen(16)] | None
    ) = None
    """Ways to place pods besides default-scheduler, or in its place."""
    scheduler_backoff: SchedulerBackoff = SchedulerBackoff()
    """How long a pod waits after it found no node."""
    service_cidr: Annotated[Cidr, rules.IS_CIDR] = Field(default="10.96.0.0/16")
    """Range that Services take their addresses from."""
    simulation: Simulation = Simulation()
    """How simulated containers behave unless their pod says otherwise."""


class ClusterStatus(Schema):
    """What the operator makes of the settings."""

    conditions: ByType[ObservedCondition] | None = None
    """Observed aspects of the cluster."""
    observed_generation: Int64 | None = None
    """Generation of the settings that are in force."""


class PodDisplay(Schema):
    """What kubectl shows of a pod."""

    readiness_gates: Text | None = None
    """Readiness gates that are met, of those there are, such as 1/2."""
    ready: Text | None = None
    """Containers that are ready, of those there are, such as 1/1."""
    restarts: IntOrString | None = None
    """How often containers were started again."""
    status: Text | None = None
    """State in one word, such as Running or CrashLoopBackOff."""


class SchedulingReason(Schema):
    """One reason against nodes and how many it holds for."""

    count: Count
    """Nodes that it holds for."""
    reason: Message
    """The reason, as in the event."""


class SchedulingCandidate(Schema):
    """How one node did."""

    node: Text
    """Name of the node."""
    reasons: Annotated[Atomic[Message], MaxLen(32)] | None = None
    """Why the pod may not go there; absent if it may."""
    score: Int64 | None = None
    """Weighted sum of all scores; absent if the pod may not go there."""


class SchedulingScore(Schema):
    """What one plugin gave the chosen node."""

    plugin: Text
    """Name of the plugin."""
    score: Int64
    """Its score times its weight."""


class Scheduling(Schema):
    """Why the pod is where it is, or nowhere."""

    attempts: Count | None = None
    """How often the scheduler has tried."""
    best: Annotated[Atomic[SchedulingCandidate], MaxLen(32)] | None = None
    """Nodes that did best, or came closest."""
    feasible: Count | None = None
    """Nodes that the pod could go to."""
    message: Message | None = None
    """The one-line answer, as in the event."""
    node: Text | None = None
    """Node that was chosen."""
    nodes: Count | None = None
    """Nodes that were looked at."""
    reasons: Annotated[Atomic[SchedulingReason], MaxLen(64)] | None = None
    """Reasons against nodes, the most frequent first."""
    score: Int64 | None = None
    """Score of the chosen node."""
    scores: Annotated[Atomic[SchedulingScore], MaxLen(32)] | None = None
    """What that score is the sum of."""


class NodeDisplay(Schema):
    """What kubectl shows of a node."""

    roles: Text | None = None
    """Roles from its labels, joined by commas."""
    status: Text | None = None
    """State in words, such as Ready,SchedulingDisabled."""


class ReadyDisplay(Schema):
    """What kubectl shows of a workload."""

    ready: Text | None = None
    """Pods that are ready, of those wanted, such as 2/3."""


class DaemonSetDisplay(Schema):
    """What kubectl shows of a DaemonSet."""

    node_selector: Text | None = None
    """Labels that nodes must carry, as text."""
    selector: Text | None = None
    """Labels of the pods as text."""


class JobBackoff(Schema):
    """Failures of a Job's pods since the last success, which Kubernetes keeps in memory."""

    failures: Count | None = None
    """How many there were."""
    last_failure_time: Time | None = None
    """When the last of these pods finished."""


class JobDisplay(Schema):
    """What kubectl shows of a Job."""

    completions: Text | None = None
    """Successes, of those wanted, such as 1/1."""
    duration: Text | None = None
    """Time from start to end, such as 12s."""
    selector: Text | None = None
    """Labels of the pods as text."""
    status: Text | None = None
    """State in one word, such as Running or Complete."""


class CronJobDisplay(Schema):
    """What kubectl shows of a CronJob."""

    active: Int32 | None = None
    """How many of its Jobs still run."""
    selector: Text | None = None
    """Labels of the pods as text, where the template chooses them."""


class ServiceDisplay(Schema):
    """What kubectl shows of a Service."""

    external_ip: Text | None = None
    """Addresses from outside, joined by commas."""
    ports: Text | None = None
    """Ports, such as 80:30080/TCP, joined by commas."""
    selector: Text | None = None
    """Labels of the pods as text."""


class EndpointSliceDisplay(Schema):
    """What kubectl shows of an EndpointSlice."""

    endpoints: Text | None = None
    """First addresses, joined by commas."""
    ports: Text | None = None
    """Ports, joined by commas."""
