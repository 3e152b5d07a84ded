"""What loops read of a VirtualReplicaSet, its elder VirtualReplicationController, and a VirtualDeployment.

Templates are compared by digest, in the way Kubernetes compares them: `cpu: "1"` and `cpu: 1000m`, or an
absent list and an empty one, are the same, so neither starts a rollout.
Objects that slipped past the schema are read as far as they make sense; what makes none becomes the default.
Source: Kubernetes 1.37, pkg/controller/deployment/util (EqualIgnoreHash),
k8s.io/apimachinery/pkg/api/equality.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, cast

import orjson

from nestling.api.json import JsonObject, JsonValue
from nestling.api.kinds import DEPLOYMENT, REPLICA_SET, REPLICATION_CONTROLLER, Kind
from nestling.api.quantity import parse
from nestling.api.selector import NOTHING, Selector
from nestling.machinery.records.base import EMPTY, Record, condition

TEMPLATE_HASH: Final = "pod-template-hash"
REVISION: Final = "deployment.kubernetes.io/revision"
REVISION_HISTORY: Final = "deployment.kubernetes.io/revision-history"
DESIRED_REPLICAS: Final = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS: Final = "deployment.kubernetes.io/max-replicas"
REPLICA_FAILURE: Final = "ReplicaFailure"

INT32_MAX: Final = 2**31 - 1

# Maps in which empty says no more than absent. An empty object often says a lot: `emptyDir: {}`.
_MAPS: Final = frozenset(
    {"labels", "annotations", "nodeSelector", "limits", "requests", "overhead", "matchLabels"}
)
_QUANTITIES: Final = frozenset({"limits", "requests", "overhead"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaSet(Record):
    """One ReplicaSet: what is wanted, what was last counted, and what its Deployment noted on it.

    `selector` is NOTHING where the object's own cannot be read; `terminating` is None until somebody counted.
    `failure` is the ReplicaFailure condition, if there is one.
    """

    KIND: ClassVar[Kind] = REPLICA_SET

    replicas: int
    selector: Selector
    min_ready_s: int
    template_digest: str
    template_labels: Mapping[str, str]

    observed_generation: int
    observed_replicas: int
    fully_labeled: int
    ready: int
    available: int
    terminating: int | None
    failure: JsonObject | None

    revision: str
    desired: str | None
    max_replicas: str | None

    @classmethod
    def fields_of(cls, obj: JsonObject) -> dict[str, Any]:
        """Constructor arguments taken from a VirtualReplicaSet."""
        fields = super(ReplicaSet, cls).fields_of(obj)
        spec = object_of(obj.get("spec"))
        status = object_of(obj.get("status"))
        template = object_of(spec.get("template"))
        notes = object_of(obj["metadata"].get("annotations"))
        terminating = status.get("terminatingReplicas")
        fields.update(
            replicas=count(spec.get("replicas"), 1),
            selector=selector_of(spec.get("selector")),
            min_ready_s=count(spec.get("minReadySeconds"), 0),
            template_digest=template_digest(template),
            template_labels=labels_of(template),
            observed_generation=count(status.get("observedGeneration"), 0),
            observed_replicas=count(status.get("replicas"), 0),
            fully_labeled=count(status.get("fullyLabeledReplicas"), 0),
            ready=count(status.get("readyReplicas"), 0),
            available=count(status.get("availableReplicas"), 0),
            terminating=None if terminating is None else count(terminating, 0),
            failure=condition(obj, REPLICA_FAILURE),
            revision=str(notes.get(REVISION) or ""),
            desired=notes.get(DESIRED_REPLICAS),
            max_replicas=notes.get(MAX_REPLICAS),
        )
        return fields


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicationController(ReplicaSet):
    """A ReplicaSet under its older name: a plain map selects, and without one the template's labels do.

    Source: Kubernetes 1.37, pkg/apis/core/v1 (defaults, conversion to apps.ReplicaSet).
    """

    KIND: ClassVar[Kind] = REPLICATION_CONTROLLER

    @classmethod
    def fields_of(cls, obj: JsonObject) -> dict[str, Any]:
        """Constructor arguments taken from a VirtualReplicationController."""
        fields = super(ReplicationController, cls).fields_of(obj)
        labels = object_of(object_of(obj.get("spec")).get("selector")) or fields["template_labels"]
        fields["selector"] = selector_of({"matchLabels": labels}) if labels else NOTHING
        return fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment(Record):
    """One Deployment. `surge` and `unavailable` stand as written, a number or a percentage.

    `deadline_s` and `history_limit` are None where there is no limit. `selector` is NOTHING where the
    object's own cannot be read.
    """

    KIND: ClassVar[Kind] = DEPLOYMENT

    replicas: int
    selector: Selector
    min_ready_s: int
    template_digest: str
    template_labels: Mapping[str, str]
    recreate: bool
    surge: int | str
    unavailable: int | str
    paused: bool
    deadline_s: int | None
    history_limit: int | None
    observed_generation: int
    collisions: int

    @classmethod
    def fields_of(cls, obj: JsonObject) -> dict[str, Any]:
        """Constructor arguments taken from a VirtualDeployment."""
        fields = super(Deployment, cls).fields_of(obj)
        spec = object_of(obj.get("spec"))
        status = object_of(obj.get("status"))
        template = object_of(spec.get("template"))
        strategy = object_of(spec.get("strategy"))
        rolling = object_of(strategy.get("rollingUpdate"))
        fields.update(
            replicas=count(spec.get("replicas"), 1),
            selector=selector_of(spec.get("selector")),
            min_ready_s=count(spec.get("minReadySeconds"), 0),
            template_digest=template_digest(template),
            template_labels=labels_of(template),
            recreate=strategy.get("type") == "Recreate",
            surge=rolling.get("maxSurge", "25%"),
            unavailable=rolling.get("maxUnavailable", "25%"),
            paused=spec.get("paused") is True,
            deadline_s=limit_of(spec.get("progressDeadlineSeconds")),
            history_limit=limit_of(spec.get("revisionHistoryLimit")),
            observed_generation=count(status.get("observedGeneration"), 0),
            collisions=count(status.get("collisionCount"), 0),
        )
        return fields


def template_digest(template: JsonObject) -> str:
    """A text that is equal for templates of the same pods, whatever their label `pod-template-hash`."""
    return _digest(_plain(template, hashed=True))


def content_digest(template: JsonObject) -> str:
    """A text that is equal for templates of the same pods, all labels compared."""
    return _digest(_plain(template))


def labels_of(template: JsonObject) -> Mapping[str, str]:
    """The labels that a template gives its pods."""
    return object_of(object_of(template.get("metadata")).get("labels")) or EMPTY


def count(value: JsonValue, default: int) -> int:
    """A number of things: `default` for what is no whole number, 0 for a negative one."""
    return max(value, 0) if isinstance(value, int) and not isinstance(value, bool) else default


def limit_of(value: JsonValue) -> int | None:
    """A limit, or None where Kubernetes reads none: absent, or the largest number there is."""
    return None if value is None or value == INT32_MAX else count(value, 0)


def object_of(value: JsonValue) -> JsonObject:
    """An object as it is, an empty one for anything else."""
    return cast("JsonObject", value) if isinstance(value, dict) else {}


def selector_of(value: JsonValue) -> Selector:
    """The selector of a workload, NOTHING if it cannot be read."""
    # The schema refuses all of these; see the module's docstring.
    try:
        found = Selector.from_json(value)
    except (ValueError, TypeError, AttributeError, KeyError):
        return NOTHING
    pairs = cast("Iterable[tuple[object, object]]", found.equals)
    return found if all(isinstance(text, str) for pair in pairs for text in pair) else NOTHING


def _digest(value: JsonValue) -> str:
    return hashlib.blake2b(orjson.dumps(value, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


def _plain(value: JsonValue, *, key: str = "", hashed: bool = False) -> JsonValue:
    """`value` without what says nothing, quantities by their worth. `hashed` is for the template itself."""
    if isinstance(value, list):
        return [_plain(entry) for entry in cast("list[JsonValue]", value)]
    if not isinstance(value, dict):
        return _worth(value) if key == "sizeLimit" else value
    found: JsonObject = {}
    for name, entry in cast("JsonObject", value).items():
        if key in _QUANTITIES:
            found[name] = _worth(entry)
            continue
        if key == "labels" and name == TEMPLATE_HASH and hashed:
            continue
        # Only `metadata.labels` of the template itself carries the hash: the flag goes down that path alone.
        plain = _plain(
            entry, key=name, hashed=hashed and (key, name) in {("", "metadata"), ("metadata", "labels")}
        )
        if plain is None or plain == [] or (plain == {} and name in _MAPS | {"metadata", "resources"}):
            continue
        found[name] = plain
    return found


def _worth(value: JsonValue) -> JsonValue:
    """A quantity as the number it stands for; anything else as it is."""
    try:
        return str(parse(value))
    except (ValueError, TypeError):
        return value
