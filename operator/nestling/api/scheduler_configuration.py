"""The file that configures a scheduler: `KubeSchedulerConfiguration`, as kube-scheduler reads it.

Parsed here and judged as a whole; every complaint is one sentence that names the field. What tunes a process
that we are not (parallelism, leader election, client connection) is accepted and without effect. Names of
plugins and their arguments are judged by whoever has the plugins.
Source: Kubernetes 1.37, k8s.io/kube-scheduler/config/v1 and pkg/scheduler/apis/config/validation.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal

from annotated_types import MaxLen, MinLen
from pydantic import Field, ValidationError

from nestling.api.duration import seconds_of_duration
from nestling.api.json import JsonObject
from nestling.api.schema import Count, Keywords, NonNegativeLong, PositiveLong, Schema, Text

DEFAULT_NAME: Final = "default-scheduler"
LARGEST_WEIGHT: Final = 100_000  # a sum of 64 such scores of up to 100 fits 32 bits
Percentage = Annotated[int, Field(ge=0, le=100), Keywords(format="int32")]
# Any object; spelled so that the CRD keeps its fields.
Arguments = Annotated[
    dict[str, Any], Keywords(type="object", **{"x-kubernetes-preserve-unknown-fields": True})
]


class PluginReference(Schema):
    """A plugin by name, and how much its score counts."""

    name: Annotated[Text, MinLen(1)]
    """Name of the plugin."""
    weight: Annotated[int, Field(ge=0, le=LARGEST_WEIGHT), Keywords(format="int32")] | None = None
    """How much its score counts, if it scores; its own default if absent or 0."""


class PluginSet(Schema):
    """Plugins that take part at an extension point, and default ones that do not."""

    disabled: Annotated[list[PluginReference], MaxLen(64)] = Field(default=[])
    """Default plugins that take no part; one named * stands for all."""
    enabled: Annotated[list[PluginReference], MaxLen(64)] = Field(default=[])
    """Plugins that take part besides the default ones, in this order, or with another weight."""


class Plugins(Schema):
    """Plugins by extension point."""

    bind: PluginSet = PluginSet()
    """Who binds a pod."""
    filter: PluginSet = PluginSet()
    """Who says which nodes will not do."""
    multi_point: PluginSet = PluginSet()
    """All points that a plugin has at once."""
    permit: PluginSet = PluginSet()
    """Who can hold back a bind."""
    placement_generate: PluginSet = PluginSet()
    """For pod groups; without effect."""
    placement_score: PluginSet = PluginSet()
    """For pod groups; without effect."""
    pod_group_post_filter: PluginSet = PluginSet()
    """For pod groups; without effect."""
    post_bind: PluginSet = PluginSet()
    """Who is told of a bind."""
    post_filter: PluginSet = PluginSet()
    """Who makes room for a pod that found no node."""
    pre_bind: PluginSet = PluginSet()
    """Who adds to the write that binds a pod."""
    pre_enqueue: PluginSet = PluginSet()
    """Who keeps pods from being tried."""
    pre_filter: PluginSet = PluginSet()
    """Part of filter here."""
    pre_score: PluginSet = PluginSet()
    """Part of score here."""
    queue_sort: PluginSet = PluginSet()
    """Who says which pod comes first; the same in all profiles."""
    reserve: PluginSet = PluginSet()
    """Who sets something aside for a pod."""
    score: PluginSet = PluginSet()
    """Who says which nodes are better."""


class PluginConfig(Schema):
    """Arguments of one plugin."""

    args: Arguments = Field(default={})
    """Arguments, in the plugin's own terms."""
    name: Annotated[Text, MinLen(1)]
    """Name of the plugin."""


class KubeSchedulerProfile(Schema):
    """A way to place pods, chosen by their schedulerName."""

    percentage_of_nodes_to_score: Percentage | None = None
    """Accepted and without effect: all nodes are scored, which costs less here than choosing some."""
    plugin_config: Annotated[list[PluginConfig], MaxLen(64)] = Field(default=[])
    """Arguments by plugin."""
    plugins: Plugins = Plugins()
    """Plugins by extension point."""
    scheduler_name: Annotated[Text, MinLen(1)] = DEFAULT_NAME
    """Name that pods ask for."""


class ExtenderManagedResource(Schema):
    """A resource that an extender looks after."""

    ignored_by_scheduler: bool = False
    """Whether nodes are not asked for it."""
    name: Annotated[Text, MinLen(1)]
    """Name of the extended resource."""


class ExtenderTls(Schema):
    """How to speak TLS with an extender."""

    ca_data: Text | None = None
    """PEM text of the authority, in base64; counts before the file."""
    ca_file: Text | None = None
    """File of the authority."""
    cert_data: Text | None = None
    """PEM text of the client certificate, in base64; counts before the file."""
    cert_file: Text | None = None
    """File of the client certificate."""
    insecure: bool = False
    """Whether the server is not checked."""
    key_data: Text | None = None
    """PEM text of the client key, in base64; counts before the file."""
    key_file: Text | None = None
    """File of the client key."""
    server_name: Text | None = None
    """Name that the server's certificate has to carry."""


class Extender(Schema):
    """A service that has a say in where pods go."""

    bind_verb: Text = ""
    """Path below the prefix that binds a pod; empty if it does not."""
    enable_https: Annotated[bool, Field(alias="enableHTTPS")] = False
    """Whether to speak TLS."""
    filter_verb: Text = ""
    """Path that filters nodes."""
    http_timeout: Annotated[Text | None, Field(alias="httpTimeout")] = None
    """Longest wait for an answer, such as 5s; 5 seconds if absent."""
    ignorable: bool = False
    """Whether pods are placed without it when it does not answer."""
    managed_resources: Annotated[list[ExtenderManagedResource], MaxLen(64)] = Field(default=[])
    """Resources it looks after: only pods that ask for one of them are its business; none: all pods."""
    node_cache_capable: bool = False
    """Whether it knows the nodes, so that their names suffice."""
    preempt_verb: Text = ""
    """Path that has a say in preemption."""
    prioritize_verb: Text = ""
    """Path that scores nodes, 0 to 10."""
    tls_config: ExtenderTls | None = None
    """How to speak TLS."""
    url_prefix: Annotated[Text, MinLen(1), Field(pattern=r"^https?://[^\s]+$")]
    """Where it is reached."""
    weight: Count = 0
    """How much its scores count; at least 1 if it scores."""


class KubeSchedulerConfiguration(Schema):
    """How pods are placed."""

    api_version: Literal["kubescheduler.config.k8s.io/v1"]
    """Version of this form."""
    client_connection: Arguments | None = None
    """Without effect: the process has a connection of its own."""
    contention_profiling: Annotated[bool | None, Field(alias="enableContentionProfiling")] = None
    """Without effect."""
    delay_cache_until_active: bool = False
    """Without effect."""
    extenders: Annotated[list[Extender], MaxLen(16)] = Field(default=[])
    """Services that have a say in where pods go; shared by all profiles."""
    kind: Literal["KubeSchedulerConfiguration"]
    """Name of this form."""
    leader_election: Arguments | None = None
    """Without effect: the process elects a leader per role."""
    parallelism: Annotated[int, Field(ge=1)] = 16
    """Without effect: nodes are looked at in arrays."""
    percentage_of_nodes_to_score: Percentage | None = None
    """Accepted and without effect: all nodes are scored."""
    pod_initial_backoff_seconds: PositiveLong = 1
    """Wait after the first failure of a pod."""
    pod_max_backoff_seconds: NonNegativeLong = 10
    """Longest wait after a failure."""
    profiling: Annotated[bool | None, Field(alias="enableProfiling")] = None
    """Without effect."""
    profiles: Annotated[list[KubeSchedulerProfile], MinLen(1), MaxLen(16)] = Field(
        default=[KubeSchedulerProfile()]
    )
    """Ways to place pods."""


class ConfigurationError(ValueError):
    """A configuration that makes no sense; the text says which field, why, and what would do."""


def read_configuration(document: JsonObject) -> KubeSchedulerConfiguration:
    """The configuration in a parsed document. Raises ConfigurationError with a sentence per fault."""
    try:
        found = KubeSchedulerConfiguration.model_validate(document)
    except ValidationError as error:
        raise ConfigurationError("; ".join(map(_sentence, error.errors(include_url=False)))) from None
    faults = list(_faults(found))
    if faults:
        raise ConfigurationError("; ".join(faults))
    return found


def _faults(found: KubeSchedulerConfiguration) -> Iterator[str]:
    names: dict[str, int] = {}
    sort = found.profiles[0].plugins.queue_sort
    for index, profile in enumerate(found.profiles):
        path = f"profiles[{index}]"
        if profile.scheduler_name in names:
            yield (
                f"{path}.schedulerName: there is a profile {profile.scheduler_name!r} already, at profiles"
                f"[{names[profile.scheduler_name]}]: give each profile a name of its own"
            )
        names.setdefault(profile.scheduler_name, index)
        if profile.plugins.queue_sort != sort:
            yield f"{path}.plugins.queueSort: must be the same for all profiles, which share one queue"
        configured: set[str] = set()
        for at, config in enumerate(profile.plugin_config):
            if config.name in configured:
                yield f"{path}.pluginConfig[{at}].name: {config.name!r} is configured twice: keep one of them"
            configured.add(config.name)
    if found.pod_max_backoff_seconds < found.pod_initial_backoff_seconds:
        yield (
            f"podMaxBackoffSeconds: {found.pod_max_backoff_seconds} is less than podInitialBackoffSeconds "
            f"({found.pod_initial_backoff_seconds}): it must be at least that"
        )
    yield from _extender_faults(found.extenders)


def _extender_faults(extenders: list[Extender]) -> Iterator[str]:
    managed: set[str] = set()
    binders = [index for index, extender in enumerate(extenders) if extender.bind_verb]
    for index, extender in enumerate(extenders):
        path = f"extenders[{index}]"
        if extender.prioritize_verb and extender.weight < 1:
            yield f"{path}.weight: must be at least 1 for an extender with a prioritizeVerb"
        try:
            seconds_of_duration(extender.http_timeout or "5s")
        except ValueError as error:
            yield f"{path}.httpTimeout: {error}"
        for at, resource in enumerate(extender.managed_resources):
            if "/" not in resource.name or resource.name.split("/")[0].endswith("kubernetes.io"):
                yield (
                    f"{path}.managedResources[{at}].name: {resource.name!r} is no extended resource, "
                    "which has a domain of its own, such as example.com/gpu"
                )
            if resource.name in managed:
                yield f"{path}.managedResources[{at}].name: {resource.name!r} is managed already: drop it"
            managed.add(resource.name)
    if len(binders) > 1:
        yield f"extenders[{binders[1]}].bindVerb: only one can bind, and extenders[{binders[0]}] does already"


def _sentence(error: Mapping[str, Any]) -> str:
    """One complaint of pydantic's as `profiles[0].plugins: why`."""
    path = ""
    for part in error["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    why = str(error["msg"])
    if error["type"] == "extra_forbidden":
        why = "there is no such field: see how it is spelled"
    elif error["type"] == "missing":
        why = "is missing"
    elif error["type"] == "literal_error":
        why = f"must be {error['ctx']['expected']}, not {error['input']!r}"
    return f"{path or 'the document'}: {why[:1].lower()}{why[1:]}"
