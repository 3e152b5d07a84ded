"""The values of the Helm chart as models: each field with its type, its default and a sentence.

`values.yaml`, `values.schema.json` and the table in the chart's README are written from here, so a value that
exists is typed, documented and closed against typing errors. What is passed on to Kubernetes as it stands
(affinity, security contexts, environment) stays open: the API server judges it.
"""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Object: TypeAlias = dict[str, Any]
Strings: TypeAlias = dict[str, str]
Objects: TypeAlias = list[Object]

# A DNS label: names of namespaces, and what names of ours are made of.
Label: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
OptionalLabel: TypeAlias = Annotated[str, Field(pattern=r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$")]
Duration: TypeAlias = Annotated[str, Field(pattern=r"^([0-9]+(ms|s|m|h))+$")]
Port: TypeAlias = Annotated[int, Field(ge=1, le=65535)]
Percent: TypeAlias = Annotated[str, Field(pattern=r"^[0-9]{1,3}%$")]


class Closed(BaseModel):
    """A group of values; a name that it does not have is refused."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Shared(BaseModel):
    """Values that a parent chart shares with all its subcharts."""

    model_config = ConfigDict(extra="allow", alias_generator=to_camel, populate_by_name=True)

    image_registry: str = Field(default="", description="Registry of all images; wins over `image.registry`.")
    image_pull_secrets: Objects = Field(default=[], description="Pull secrets of all images, added to ours.")


class Image(Closed):
    """Where the image comes from."""

    registry: str = Field(
        default="ghcr.io", description="Registry; empty for an image that is on the nodes already."
    )
    repository: str = Field(
        default="nestling-dev/nestling", min_length=1, description="Repository in the registry."
    )
    tag: str = Field(default="", description="Tag; empty takes the chart's appVersion.")
    digest: str = Field(
        default="", pattern=r"^(sha256:[0-9a-f]{64})?$", description="Digest `sha256:...`; wins over the tag."
    )
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        default="IfNotPresent", description="When the image is pulled."
    )


class Crds(Closed):
    """The kinds."""

    enabled: bool = Field(
        default=True,
        description="Install the kinds (cluster-wide) with this release. One release per host may own them; "
        "for others set false.",
    )
    keep: bool = Field(default=True, description="Keep the kinds when the release is uninstalled.")


class Rbac(Closed):
    """Rights."""

    create: bool = Field(
        default=True, description="Create the Roles (or ClusterRoles) that the operator needs."
    )
    aggregate: bool = Field(
        default=True,
        description="Let the host's own roles view, edit and admin reach our kinds (ClusterRoles without a "
        "binding; only together with `crds.enabled`).",
    )


class ServiceAccount(Closed):
    """Who the operator is on the host."""

    create: bool = Field(default=True, description="Create the service accounts.")
    name: OptionalLabel = Field(default="", description="Name; empty makes one from the release's name.")
    annotations: Strings = Field(default={}, description="Annotations, such as a cloud identity.")
    automount: bool = Field(default=True, description="Mount the account's token; else by extraVolumes.")


class LeaderElection(Closed):
    """One leader per role."""

    enabled: bool = Field(
        default=True, description="Elect a leader per role; needed with more than one replica."
    )


class Log(Closed):
    """Log lines."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="How much is logged."
    )
    format: Literal["auto", "json", "console"] = Field(default="json", description="How log lines look.")


class MetricsService(Closed):
    """The Service in front of the metrics."""

    enabled: bool = Field(default=False, description="Create a headless Service for the metrics port.")
    labels: Strings = Field(default={}, description="Labels of the Service.")
    annotations: Strings = Field(
        default={}, description="Annotations of the Service, such as prometheus.io/scrape."
    )


class Monitor(Closed):
    """What a ServiceMonitor and a PodMonitor have in common."""

    enabled: bool = Field(default=False, description="Create it; needs the kinds of prometheus-operator.")
    namespace: OptionalLabel = Field(
        default="", description="Namespace to create it in; empty is the release's."
    )
    labels: Strings = Field(
        default={},
        description="Labels, such as `release: kube-prometheus-stack`, by which Prometheus selects it.",
    )
    annotations: Strings = Field(default={}, description="Annotations.")
    interval: Duration = Field(default="30s", description="Time between two scrapes.")
    scrape_timeout: Duration = Field(default="10s", description="Time after which a scrape is given up.")
    honor_labels: bool = Field(
        default=True, description="Keep the labels namespace, pod and job of simulated series as they are."
    )
    relabelings: Objects = Field(default=[], description="Relabelings of targets, added to ours.")
    metric_relabelings: Objects = Field(default=[], description="Relabelings of samples.")


class PrometheusRules(Closed):
    """Recording and alert rules."""

    enabled: bool = Field(default=False, description="Create a PrometheusRule of the rules in `files/rules`.")
    namespace: OptionalLabel = Field(
        default="", description="Namespace to create it in; empty is the release's."
    )
    labels: Strings = Field(default={}, description="Labels by which Prometheus selects it.")
    annotations: Strings = Field(default={}, description="Annotations.")


class Dashboards(Closed):
    """Boards for Grafana."""

    enabled: bool = Field(default=False, description="Create a ConfigMap per board in `files/dashboards`.")
    namespace: OptionalLabel = Field(
        default="", description="Namespace to create them in; empty is the release's."
    )
    labels: Strings = Field(
        default={"grafana_dashboard": "1"}, description="Labels by which Grafana's sidecar selects them."
    )
    annotations: Strings = Field(
        default={"grafana_folder": "Nestling"}, description="Annotations, such as the folder to show them in."
    )


class Metrics(Closed):
    """Metrics, and what scrapes and shows them."""

    enabled: bool = Field(default=True, description="Serve /metrics (and the probes, which need it).")
    port: Port = Field(default=8080, description="Port of /metrics, /livez and /readyz.")
    service: MetricsService = Field(
        default=MetricsService(), description="The Service in front of the metrics."
    )
    service_monitor: Monitor = Field(
        default=Monitor(), description="A ServiceMonitor; brings the Service along."
    )
    pod_monitor: Monitor = Field(
        default=Monitor(), description="A PodMonitor; not together with serviceMonitor."
    )
    prometheus_rule: PrometheusRules = Field(
        default=PrometheusRules(), description="Recording and alert rules."
    )
    dashboards: Dashboards = Field(default=Dashboards(), description="Boards for Grafana.")


class NetworkPolicy(Closed):
    """Who may talk to the operator, and to whom it may talk."""

    enabled: bool = Field(
        default=False, description="Create a NetworkPolicy that allows only what is needed."
    )
    metrics_from: Objects = Field(
        default=[], description="Peers that may scrape the metrics; empty allows all."
    )
    api_server_ports: list[Port] = Field(
        default=[443, 6443], min_length=1, description="Ports on which the API server answers."
    )
    api_server_to: Objects = Field(default=[], description="Peers that the API server is; empty allows any.")
    extra_egress: Objects = Field(default=[], description="Further egress rules.")


class Disruption(Closed):
    """How many pods a drain may take at once."""

    enabled: bool = Field(default=False, description="Create a PodDisruptionBudget per component.")
    min_available: int | Percent | None = Field(
        default=None, description="Pods that must stay, a number or percent."
    )
    max_unavailable: int | Percent | None = Field(
        default=1, description="Pods that may be gone at once, a number or percent; null to set minAvailable."
    )


class Uninstall(Closed):
    """What `helm uninstall` does before it takes the operator away."""

    enabled: bool = Field(
        default=True,
        description="Delete the virtual clusters first, so that nothing is left with a finalizer that nobody "
        "drops. Without, delete them yourself before you uninstall.",
    )
    grace_seconds: int = Field(
        default=10, ge=0, description="Seconds a living operator has to let objects go before they are freed."
    )
    timeout_seconds: int = Field(default=120, ge=10, description="Seconds after which the removal gives up.")


class Trial(Closed):
    """What `helm test` does."""

    timeout_seconds: int = Field(
        default=60, ge=5, description="Seconds that a pod has to run on a node of its own."
    )


class PodDefaults(Closed):
    """Settings of the operator's pods that each component may override."""

    replicas: int = Field(
        default=1, ge=0, description="Pods per component; the leader works, the others stand by."
    )
    resources: Object = Field(
        default={
            "requests": {"cpu": "100m", "memory": "256Mi", "ephemeral-storage": "64Mi"},
            "limits": {"memory": "1Gi", "ephemeral-storage": "256Mi"},
        },
        description="What a pod asks of its node and may take.",
    )
    node_selector: Strings = Field(default={}, description="Labels that a pod's node must have.")
    tolerations: Objects = Field(default=[], description="Taints that a pod bears.")
    affinity: Object = Field(default={}, description="Affinity of pods.")
    topology_spread_constraints: Objects = Field(
        default=[],
        description="Spread of pods; a constraint without labelSelector gets that of its component. Empty "
        "spreads replicas over hosts where possible.",
    )
    priority_class_name: str = Field(default="", description="Priority class of pods.")
    pod_labels: Strings = Field(default={}, description="Labels of pods.")
    pod_annotations: Strings = Field(default={}, description="Annotations of pods.")
    extra_args: list[str] = Field(default=[], description="Further arguments of `nestling run`.")
    extra_env: Objects = Field(default=[], description="Further environment variables.")


class Component(Closed):
    """What one component of the split topology has of its own; what is absent is taken from the top."""

    replicas: int | None = Field(default=None, ge=0, description="Pods of this component.")
    resources: Object | None = Field(default=None, description="See `resources`.")
    node_selector: Strings | None = Field(default=None, description="See `nodeSelector`.")
    tolerations: Objects | None = Field(default=None, description="See `tolerations`.")
    affinity: Object | None = Field(default=None, description="See `affinity`.")
    topology_spread_constraints: Objects | None = Field(
        default=None, description="See `topologySpreadConstraints`."
    )
    priority_class_name: str | None = Field(default=None, description="See `priorityClassName`.")
    pod_labels: Strings | None = Field(default=None, description="See `podLabels`.")
    pod_annotations: Strings | None = Field(default=None, description="See `podAnnotations`.")
    extra_args: list[str] | None = Field(default=None, description="See `extraArgs`.")
    extra_env: Objects | None = Field(default=None, description="See `extraEnv`.")


class KubeletComponent(Component):
    """The virtual kubelets."""

    shards: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Kubelet processes that share the virtual nodes; each has its replicas.",
    )


class Values(PodDefaults):
    """All values of the chart."""

    global_: Shared = Field(
        default=Shared(), alias="global", description="What a parent chart shares with us."
    )
    name_override: OptionalLabel = Field(
        default="", description="Name instead of the chart's in names and labels."
    )
    fullname_override: OptionalLabel = Field(
        default="", description="Name instead of release and chart together."
    )
    common_labels: Strings = Field(default={}, description="Labels of every object.")
    common_annotations: Strings = Field(default={}, description="Annotations of every object.")

    scope: Literal["namespaced", "cluster"] = Field(
        default="namespaced",
        description="Which host namespaces are virtual clusters: those of `namespaces`, for which Roles are "
        "enough, or all of them, for which ClusterRoles are needed.",
    )
    namespaces: list[Label] = Field(
        default=[],
        json_schema_extra={"uniqueItems": True},
        description="Host namespaces to serve with scope namespaced; empty serves the release's own.",
    )
    topology: Literal["single", "split"] = Field(
        default="single",
        description="All roles in one process, or scheduler, controllers and kubelet shards in pods of their "
        "own.",
    )
    scheduler: Component = Field(default=Component(), description="The scheduler, with topology split.")
    controllers: Component = Field(default=Component(), description="The controllers, with topology split.")
    kubelet: KubeletComponent = Field(
        default=KubeletComponent(), description="The kubelets, with topology split."
    )
    leader_election: LeaderElection = Field(default=LeaderElection(), description="One leader per role.")

    image: Image = Field(default=Image(), description="The image, one for all roles.")
    image_pull_secrets: Objects = Field(
        default=[], description="Secrets to pull the image with, as `name: ...`."
    )
    crds: Crds = Field(default=Crds(), description="The kinds.")
    rbac: Rbac = Field(default=Rbac(), description="Rights.")
    service_account: ServiceAccount = Field(
        default=ServiceAccount(), description="Who the operator is on the host."
    )
    log: Log = Field(default=Log(), description="Log lines.")
    metrics: Metrics = Field(default=Metrics(), description="Metrics, and what scrapes and shows them.")
    network_policy: NetworkPolicy = Field(default=NetworkPolicy(), description="Traffic that is allowed.")
    pod_disruption_budget: Disruption = Field(
        default=Disruption(), description="Pods that a drain may take at once."
    )
    uninstall: Uninstall = Field(default=Uninstall(), description="What `helm uninstall` does first.")
    trial: Trial = Field(default=Trial(), description="What `helm test` does.")

    pod_security_context: Object = Field(
        default={
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        description="Security of pods; the default is Pod Security `restricted`.",
    )
    security_context: Object = Field(
        default={
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        description="Security of containers; the default is Pod Security `restricted`.",
    )
    revision_history_limit: int = Field(
        default=3, ge=0, description="Old ReplicaSets to keep for a rollback."
    )
    termination_grace_period_seconds: int = Field(
        default=30,
        ge=5,
        description="Seconds a pod has to let go of its leases, or of a namespace that is deleted.",
    )
    update_strategy: Object = Field(
        default={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        description="How pods are replaced: the new one stands by before the old one lets go.",
    )
    extra_volumes: Objects = Field(default=[], description="Further volumes of pods.")
    extra_volume_mounts: Objects = Field(default=[], description="Further mounts of containers.")
    extra_objects: list[Object | str] = Field(
        default=[], description="Further objects of the release; templates in them are filled in."
    )
