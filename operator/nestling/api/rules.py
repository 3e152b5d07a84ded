"""What the API server refuses by itself: CEL rules, each with the sentence that a user reads.

A rule stands where its field is, or points to the field below; the API server puts that path before the
sentence. Only sentences about the name carry it themselves, for a rule cannot point into the metadata.
Whatever can be said by type, pattern or bound is said there instead. The budget is Kubernetes': an estimated
cost of 10 million per rule and 100 million per CRD, so lists that rules walk are bounded in the models.
Source: Kubernetes 1.37, pkg/apis/*/validation; apiextensions-apiserver, CEL cost.
"""

from collections.abc import Mapping
from typing import Final

from nestling.api import controllers
from nestling.api.schema import Rule

_LABEL: Final = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"

# `web` is in namespace default, `web.shop` in shop, `a.b.default` in default again (see machinery/names).
SCOPED_NAME: Final = (
    Rule(
        f"!self.metadata.name.contains('.') || self.metadata.name.matches('[.]{_LABEL}$')",
        "metadata.name: the part after the last dot is the virtual namespace: "
        "at most 63 lower-case letters, digits and dashes",
    ),
    Rule(
        "!self.metadata.name.matches('^[^.]+[.]default$')",
        "metadata.name: leave out the ending .default, an object of that namespace goes by its own name",
    ),
)
LABEL_NAME: Final = Rule(
    f"self.metadata.name.matches('^{_LABEL}([.][^.]+)?$')",
    "metadata.name: before the namespace, at most 63 lower-case letters, digits and dashes and no dot",
)
SCHEDULE_NAME: Final = Rule(
    "self.metadata.name.matches('^.{1,52}([.][^.]+)?$')",
    "metadata.name: at most 52 characters before the namespace, to leave room for the names of the Jobs",
)
NAMESPACE_NAME: Final = Rule(
    f"self.metadata.name.matches('^{_LABEL}$')",
    "metadata.name: at most 63 lower-case letters, digits and dashes, and no dot",
)
CLUSTER_NAME: Final = Rule(
    "self.metadata.name == 'cluster'",
    "metadata.name: there is one VirtualCluster per namespace, and its name is cluster",
)
PRIORITY_CLASS_NAME: Final = Rule(
    "!self.metadata.name.startsWith('system-')"
    " || self.metadata.name in ['system-cluster-critical', 'system-node-critical']",
    "metadata.name: the prefix system- belongs to the built-in classes",
)

# Pods. What must not change is said at the field itself wherever that is possible: each time a rule of the
# pod's spec looks at a field, the API server copies the schemas of all 43 fields, and that at every bind and
# at every status. Said at the spec, these rules took a third of the server's work for a pod.
NODE_NAME_ONCE: Final = Rule(
    "oldSelf == '' || self == oldSelf", "is set once and cannot be changed", reason="FieldValueForbidden"
)
NODE_NAME_STAYS: Final = Rule(
    "!has(oldSelf.nodeName) || oldSelf.nodeName == '' || has(self.nodeName)",
    "is set once and cannot be changed",
    ".nodeName",
    "FieldValueForbidden",
)
GATES_ONLY_GO: Final = Rule(
    "self.all(g, oldSelf.exists(o, o.name == g.name))",
    "gates can be removed, not added",
    reason="FieldValueForbidden",
)
POD_CONTAINERS_KEPT: Final = Rule(
    "self.size() == oldSelf.size() && self.all(c, oldSelf.exists(o, o.name == c.name))",
    "containers of a pod cannot be added, removed or renamed",
    reason="FieldValueForbidden",
)
UNCHANGED: Final = Rule("self == oldSelf", "cannot be changed", reason="FieldValueForbidden")
KEPT: Final = Rule("self == oldSelf", "cannot be changed once it is set", reason="FieldValueForbidden")

_SETTLED: Final = (
    "dnsPolicy",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostname",
    "os",
    "preemptionPolicy",
    "restartPolicy",
    "schedulerName",
    "serviceAccountName",
    "subdomain",
)
_ONCE: Final = ("priority", "priorityClassName", "runtimeClassName")
POD_FIELDS: Final[Mapping[str, tuple[Rule, ...]]] = {
    "nodeName": (NODE_NAME_ONCE,),
    "schedulingGates": (GATES_ONLY_GO,),
    "containers": (POD_CONTAINERS_KEPT,),
    **dict.fromkeys(_SETTLED, (UNCHANGED,)),
    **dict.fromkeys(_ONCE, (KEPT,)),
}
# A rule at a field is silent where the field comes or goes. So this one looks at all of them, but only when
# the number of fields is another than before, and not at the bind, which is the scheduler's.
POD_FIELDS_STAY: Final = Rule(
    "dyn(self).size() == dyn(oldSelf).size() || (has(self.nodeName) && !has(oldSelf.nodeName)) || ("
    + " && ".join(
        (
            *(f"has(self.{field}) == has(oldSelf.{field})" for field in _SETTLED),
            *(f"(has(self.{field}) || !has(oldSelf.{field}))" for field in _ONCE),
            "(has(oldSelf.schedulingGates) || !has(self.schedulingGates))",
        )
    )
    + ")",
    f"{', '.join(_SETTLED)} cannot be changed, {', '.join(_ONCE)} not removed, schedulingGates not added",
    reason="FieldValueForbidden",
)


def unchanged(field: str) -> Rule:
    """The field below the rule's place keeps its value, or its absence."""
    return Rule(
        f"has(self.{field}) == has(oldSelf.{field})"
        f" && (!has(self.{field}) || self.{field} == oldSelf.{field})",
        "cannot be changed",
        f".{field}",
        "FieldValueForbidden",
    )


def kept(field: str) -> Rule:
    """The field below the rule's place keeps its value once it has one."""
    return Rule(
        f"!has(oldSelf.{field}) || (has(self.{field}) && self.{field} == oldSelf.{field})",
        "cannot be changed once it is set",
        f".{field}",
        "FieldValueForbidden",
    )


def one_of(fields: tuple[str, ...], message: str, *, least: int = 1) -> Rule:
    """Exactly one of the fields is given; with `least` 0, at most one."""
    given = ", ".join(f"has(self.{field})" for field in fields)
    compare = "== 1" if least else "<= 1"
    return Rule(f"[{given}].filter(x, x).size() {compare}", message)


# Pods and templates alike.
CONTAINER_NAMES_APART: Final = Rule(
    "!has(self.initContainers) || self.initContainers.all(i, !self.containers.exists(c, c.name == i.name))",
    "a name of containers is used again",
    ".initContainers",
)
HOST_PORTS: Final = Rule(
    "!has(self.hostNetwork) || !self.hostNetwork || self.containers.all(c, !has(c.ports)"
    " || c.ports.all(p, !has(p.hostPort) || p.hostPort == 0 || p.hostPort == p.containerPort))",
    "with hostNetwork the hostPort of a port equals its containerPort",
    ".containers",
)
REQUESTS_WITHIN_LIMITS: Final = Rule(
    "!has(self.requests) || !has(self.limits) || self.requests.all(r, !(r in self.limits)"
    " || quantity(string(self.requests[r])).compareTo(quantity(string(self.limits[r]))) <= 0)",
    "must not be more than limits",
    ".requests",
)
ENV_VALUE: Final = Rule(
    "!has(self.valueFrom) || !has(self.value) || self.value == ''",
    "a variable has either value or valueFrom",
    ".valueFrom",
)
SELECTOR_VALUES: Final = Rule(
    "self.operator in ['In', 'NotIn'] ? has(self.values) && self.values.size() > 0"
    " : !has(self.values) || self.values.size() == 0",
    "are needed for In and NotIn, and not allowed for Exists and DoesNotExist",
    ".values",
)
NODE_SELECTOR_VALUES: Final = Rule(
    "self.operator in ['In', 'NotIn'] ? has(self.values) && self.values.size() > 0"
    " : self.operator in ['Gt', 'Lt'] ? has(self.values) && self.values.size() == 1"
    " && self.values[0].matches('^[+-]?[0-9]{1,19}$')"
    " : !has(self.values) || self.values.size() == 0",
    "are needed for In and NotIn, one integer for Gt and Lt, none for Exists and DoesNotExist",
    ".values",
)
TOLERATION: Final = (
    Rule(
        "has(self.key) && self.key != '' || has(self.operator) && self.operator == 'Exists'",
        "must be Exists when key is empty",
        ".operator",
    ),
    Rule(
        "!has(self.operator) || self.operator != 'Exists' || !has(self.value) || self.value == ''",
        "must be empty when operator is Exists",
        ".value",
    ),
    Rule(
        "!has(self.tolerationSeconds) || has(self.effect) && self.effect == 'NoExecute'",
        "must be NoExecute when tolerationSeconds is set",
        ".effect",
    ),
)

# Workloads.
SELECTOR_KEPT: Final = Rule(
    "self == oldSelf", "spec.selector: cannot be changed", reason="FieldValueForbidden"
)
SELECTOR_SELECTS: Final = Rule(
    "has(self.matchLabels) && self.matchLabels.size() > 0"
    " || has(self.matchExpressions) && self.matchExpressions.size() > 0",
    "must not be empty",
)
_LABELS: Final = "self.template.metadata.labels"
_HAS_LABELS: Final = f"has(self.template.metadata) && has({_LABELS})"


TEMPLATE_IS_SELECTED: Final = (
    Rule(
        "!has(self.selector) || !has(self.selector.matchLabels)"
        " || self.selector.matchLabels.size() == 0"
        f" || {_HAS_LABELS} && self.selector.matchLabels.all(k,"
        f" k in {_LABELS} && {_LABELS}[k] == self.selector.matchLabels[k])",
        "must be selected by spec.selector",
        ".template.metadata.labels",
    ),
    Rule(
        "!has(self.selector) || !has(self.selector.matchExpressions)"
        " || self.selector.matchExpressions.all(e,"
        f" e.operator in ['NotIn', 'DoesNotExist'] ? !({_HAS_LABELS}) || !(e.key in {_LABELS})"
        f" || e.operator == 'NotIn' && !({_LABELS}[e.key] in e.values)"
        f" : {_HAS_LABELS} && e.key in {_LABELS}"
        f" && (e.operator == 'Exists' || {_LABELS}[e.key] in e.values))",
        "must be selected by spec.selector",
        ".template.metadata.labels",
    ),
)


PLAIN_TEMPLATE_IS_SELECTED: Final = Rule(
    "!has(self.selector) || self.selector.size() == 0 || !has(self.template)"
    f" || {_HAS_LABELS} && self.selector.all(k, k in {_LABELS} && {_LABELS}[k] == self.selector[k])",
    "must be selected by spec.selector",
    ".template.metadata.labels",
)
_RESTART: Final = "template.spec.restartPolicy"
ALWAYS_RESTARTS: Final = Rule(
    "!has(self.template) || !has(self.template.spec)"
    f" || !has(self.{_RESTART}) || self.{_RESTART} == 'Always'",
    "must be Always, as these pods are meant to keep running",
    f".{_RESTART}",
)
NO_DEADLINE: Final = Rule(
    "!has(self.template) || !has(self.template.spec) || !has(self.template.spec.activeDeadlineSeconds)",
    "is not allowed, as these pods are meant to keep running",
    ".template.spec.activeDeadlineSeconds",
    "FieldValueForbidden",
)
FINISHES: Final = Rule(
    f"self.{_RESTART} in ['OnFailure', 'Never']",
    "must be OnFailure or Never, as a Job's pods are meant to end",
    f".{_RESTART}",
)
_NONE: Final = "matches('^0+%?$')"
ROLLING_UPDATE_MOVES: Final = Rule(
    "!has(self.maxSurge) || !has(self.maxUnavailable)"
    f" || !(string(self.maxSurge).{_NONE} && string(self.maxUnavailable).{_NONE})",
    "must not be 0 when maxSurge is 0",
    ".maxUnavailable",
)
DAEMON_UPDATE_EXCLUSIVE: Final = Rule(
    "!has(self.maxSurge) || !has(self.maxUnavailable)"
    f" || string(self.maxSurge).{_NONE} || string(self.maxUnavailable).{_NONE}",
    "must be 0 when maxUnavailable is not 0",
    ".maxSurge",
)


def at_most_all(field: str) -> Rule:
    """A percentage of `field` is not above 100."""
    return Rule(
        f"!has(self.{field}) || !string(self.{field}).endsWith('%')"
        f" || string(self.{field}).matches('^0*(100|[0-9]{{1,2}})%$')",
        "must not be greater than 100%",
        f".{field}",
    )


NO_ROLLING_UPDATE_UNLESS_TYPE: Final = Rule(
    "!has(self.rollingUpdate) || self.type == 'RollingUpdate'",
    "is only allowed with type RollingUpdate",
    ".rollingUpdate",
    "FieldValueForbidden",
)
SOME_UNAVAILABLE: Final = Rule(
    f"!has(self.maxUnavailable) || !string(self.maxUnavailable).{_NONE}",
    "must not be 0",
    ".maxUnavailable",
)
DEADLINE_AFTER_READY: Final = Rule(
    "!has(self.progressDeadlineSeconds) || !has(self.minReadySeconds)"
    " || self.progressDeadlineSeconds > self.minReadySeconds",
    "must be greater than minReadySeconds",
    ".progressDeadlineSeconds",
)
INDEXED_COUNTS: Final = Rule(
    # With neither of both given, both count as 1.
    "!has(self.completionMode) || self.completionMode != 'Indexed' || has(self.completions)"
    " || !has(self.parallelism)",
    "is needed when completionMode is Indexed",
    ".completions",
    "FieldValueRequired",
)
INDEX_LIMIT: Final = (
    Rule(
        "!has(self.backoffLimitPerIndex) || has(self.completionMode) && self.completionMode == 'Indexed'",
        "needs completionMode Indexed",
        ".backoffLimitPerIndex",
    ),
    Rule(
        "!has(self.maxFailedIndexes) || has(self.backoffLimitPerIndex)",
        "needs backoffLimitPerIndex",
        ".maxFailedIndexes",
    ),
    Rule(
        "!has(self.successPolicy) || has(self.completionMode) && self.completionMode == 'Indexed'",
        "needs completionMode Indexed",
        ".successPolicy",
    ),
    Rule(
        "!has(self.podFailurePolicy) || self.template.spec.restartPolicy == 'Never'",
        "needs restartPolicy Never in the template",
        ".podFailurePolicy",
    ),
)
TIME_ZONE: Final = Rule(
    "self != '' && self.lowerAscii() != 'local'",
    "must be a name of the time zone database, such as Europe/Paris or UTC",
)


def _cron_field(value: str) -> str:
    """One of the five fields: values, ranges and steps, separated by commas."""
    part = f"([*?]|{value}(-{value})?)(/0*[1-9][0-9]*)?"
    return f"{part}(,{part})*"


_CRON: Final = " +".join(
    _cron_field(value)
    for value in (
        "[0-5]?[0-9]",
        "([01]?[0-9]|2[0-3])",
        "(0?[1-9]|[12][0-9]|3[01])",
        "(0?[1-9]|1[0-2]|(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))",
        "(0?[0-6]|(?i:sun|mon|tue|wed|thu|fri|sat))",
    )
)
SCHEDULE: Final = Rule(
    "self.contains('TZ') || self.matches('^ *(@(yearly|annually|monthly|weekly|daily|midnight|hourly)"
    f"|@every [0-9.]+[a-zµ]+[0-9.a-zµ]*|{_CRON}) *$')",
    "must be five fields (minute hour day month weekday) or a name such as @daily",
)
SCHEDULE_WITHOUT_ZONE: Final = Rule(
    "!self.contains('TZ')",
    "must not carry a time zone, that is what timeZone is for",
)

# Services and endpoints.
SERVICE: Final = (
    Rule(
        "self.type == 'ExternalName' || has(self.clusterIP) && self.clusterIP == 'None'"
        " || has(self.ports) && self.ports.size() > 0",
        "at least one is needed, unless the Service is headless or an ExternalName",
        ".ports",
        "FieldValueRequired",
    ),
    Rule(
        "!has(self.ports) || self.ports.size() < 2"
        " || self.ports.all(p, has(p.name) && p.name != '' && self.ports.exists_one(q, q.name == p.name))",
        "each of several ports needs a name of its own",
        ".ports",
    ),
    Rule(
        "self.type != 'ExternalName' || has(self.externalName) && self.externalName != ''",
        "is needed with type ExternalName",
        ".externalName",
        "FieldValueRequired",
    ),
    Rule(
        "!has(self.clusterIP) || self.clusterIP in ['', 'None'] || isIP(self.clusterIP)",
        "must be an IP address, None or empty",
        ".clusterIP",
    ),
    Rule(
        "!has(self.clusterIP) || self.clusterIP != 'None' || self.type in ['ClusterIP', 'ExternalName']",
        "None is not allowed with type NodePort or LoadBalancer",
        ".clusterIP",
    ),
    Rule(
        "self.type in ['NodePort', 'LoadBalancer'] || !has(self.ports)"
        " || self.ports.all(p, !has(p.nodePort) || p.nodePort == 0)",
        "nodePort is only allowed with type NodePort or LoadBalancer",
        ".ports",
        "FieldValueForbidden",
    ),
)
CLUSTER_IP_KEPT: Final = Rule(
    "!has(oldSelf.clusterIP) || oldSelf.clusterIP == '' || !has(self.clusterIP) || self.clusterIP == ''"
    " || self.clusterIP == oldSelf.clusterIP || 'ExternalName' in [self.type, oldSelf.type]",
    "cannot be changed once it is set",
    ".clusterIP",
    "FieldValueForbidden",
)

# Nodes and the rest.
TAINTS_DIFFER: Final = Rule(
    "self.all(t, self.exists_one(u, u.key == t.key && u.effect == t.effect))",
    "key and effect together must be unique",
)
BUDGET_EXCLUSIVE: Final = Rule(
    "!has(self.minAvailable) || !has(self.maxUnavailable)",
    "must not be set together with minAvailable",
    ".maxUnavailable",
)
REPLICA_BOUNDS: Final = Rule(
    "!has(self.minReplicas) || self.maxReplicas >= self.minReplicas",
    "must be greater than or equal to minReplicas",
    ".maxReplicas",
)
ZERO_NEEDS_A_METRIC: Final = Rule(
    "!has(self.minReplicas) || self.minReplicas > 0 || has(self.metrics)"
    " && self.metrics.exists(m, m.type in ['Object', 'External'])",
    "must specify at least one Object or External metric to support scaling to zero replicas",
    ".metrics",
)
METRIC_OF_ITS_TYPE: Final = Rule(
    "self.type == 'ContainerResource' ? has(self.containerResource)"
    " : self.type == 'External' ? has(self.external)"
    " : self.type == 'Object' ? has(self.object)"
    " : self.type == 'Pods' ? has(self.pods) : has(self.resource)",
    "must come with the field that its type names",
    ".type",
)
PRIORITY_VALUE: Final = Rule(
    "self.value <= 1000000000 || self.metadata.name.startsWith('system-')",
    "must not be greater than 1000000000, higher ones belong to the built-in classes",
    ".value",
)
KNOWN_CONTROLLERS: Final = Rule(
    "self.all(c, c == '*' || (c.startsWith('-') ? c.substring(1) : c) in "
    f"[{', '.join(repr(name) for name in controllers.NAMES)}])",
    "must name known controllers: * for all, a name to add one, -name to leave one out",
)
BACKOFF_ORDER: Final = Rule(
    "self.maxSeconds >= self.initialSeconds", "must be at least initialSeconds", ".maxSeconds"
)
IS_CIDR: Final = Rule("isCIDR(self)", "must be a range of addresses such as 10.244.0.0/16")
