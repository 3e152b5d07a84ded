"""What loops read of a VirtualStatefulSet, a VirtualDaemonSet, and of the VirtualControllerRevisions of both.

A revision holds the template that pods were, are or will be made of; whether two are the same is told by
digest, in the way Kubernetes compares them (see `workload`). Objects that slipped past the schema are read as
far as they make sense; what makes none becomes the default.
Source: Kubernetes 1.37, k8s.io/api/apps/v1, pkg/apis/apps/v1/defaults.go.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from nestling.api.json import JsonObject, JsonValue
from nestling.api.kinds import CONTROLLER_REVISION, DAEMON_SET, STATEFUL_SET, Kind
from nestling.api.selector import Selector
from nestling.machinery.records.base import Record
from nestling.machinery.records.workload import (
    content_digest,
    count,
    labels_of,
    limit_of,
    object_of,
    selector_of,
)

# On pods, and on the revisions of a DaemonSet: which revision they are of.
REVISION_HASH: Final = "controller-revision-hash"
# On a DaemonSet: how many templates it has had.
TEMPLATE_GENERATION: Final = "deprecated.daemonset.template.generation"


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerRevision(Record):
    """One revision: its number, and the digest of the template that it keeps."""

    KIND: ClassVar[Kind] = CONTROLLER_REVISION

    number: int
    digest: str

    @property
    def template(self) -> JsonObject:
        """The pod template that the revision keeps, parsed anew at each call."""
        return _template_of(self.body.get("data"))

    @classmethod
    def fields_of(cls, obj: JsonObject) -> dict[str, Any]:
        """Constructor arguments taken from a VirtualControllerRevision."""
        fields = super(ControllerRevision, cls).fields_of(obj)
        fields.update(
            number=count(obj.get("revision"), 0), digest=content_digest(_template_of(obj.get("data")))
        )
        return fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Revisioned(Record):
    """A workload that keeps its templates as revisions.

    `digest` is that of the present template, `collisions` how often the name of a revision was taken.
    `history_limit` is None where there is no limit, `selector` NOTHING where the object's own cannot be read.
    """

    selector: Selector
    template_labels: Mapping[str, str]
    digest: str
    min_ready_s: int
    on_delete: bool
    history_limit: int | None
    observed_generation: int
    collisions: int

    @classmethod
    def fields_of(cls, obj: JsonObject) -> dict[str, Any]:
        """Constructor arguments taken from a VirtualStatefulSet or VirtualDaemonSet."""
        fields = super(Revisioned, cls).fields_of(obj)
        spec = object_of(obj.get("spec"))
        status = object_of(obj.get("status"))
        template = object_of(spec.get("template"))
        fields.update(
            selector=selector_of(spec.get("selector")),
            template_labels=labels_of(template),
            digest=content_digest(template),
            min_ready_s=count(spec.get("minReadySeconds"), 0),
            on_delete=object_of(spec.get("updateStrategy")).get("type") == "OnDelete",
            history_limit=limit_of(spec.get("revisionHistoryLimit", 10)),
            observed_generation=count(status.get("observedGeneration"), 0),
            collisions=count(status.get("collisionCount"), 0),
        )
        return fields


@dataclass(frozen=True, slots=True, kw_only=True)
class StatefulSet(Revisioned):
    """One StatefulSet: what is wanted, and the revisions that were last reported.

    `partition` is None without bounds of a rolling update; `max_unavailable` stands as written, a number or a
    percentage.
    """

    KIND: ClassVar[Kind] = STATEFUL_SET

    replicas: int
    start: int
    parallel: bool
    partition: int | None
    max_unavailable: int | str

    current_revision: str
    update_revision: str
    current_replicas: int

    @classmethod
    def fields_of(cls, obj: JsonObject) -> dict[str, Any]:
        """Constructor arguments taken from a VirtualStatefulSet."""
        fields = super(StatefulSet, cls).fields_of(obj)
        spec = object_of(obj.get("spec"))
        status = object_of(obj.get("status"))
        rolling = object_of(spec.get("updateStrategy")).get("rollingUpdate")
        bounds = object_of(rolling)
        fields.update(
            replicas=count(spec.get("replicas"), 1),
            start=count(object_of(spec.get("ordinals")).get("start"), 0),
            parallel=spec.get("podManagementPolicy") == "Parallel",
            partition=count(bounds.get("partition"), 0) if bounds is rolling else None,
            max_unavailable=bounds.get("maxUnavailable") or 1,
            current_revision=_text(status.get("currentRevision")),
            update_revision=_text(status.get("updateRevision")),
            current_replicas=count(status.get("currentReplicas"), 0),
        )
        return fields


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonSet(Revisioned):
    """One DaemonSet. `surge` and `unavailable` stand as written, a number or a percentage; 0 with OnDelete.

    `template_generation` is what the annotation says, "" without one; `misscheduled` what was last reported.
    """

    KIND: ClassVar[Kind] = DAEMON_SET

    surge: int | str
    unavailable: int | str
    template_generation: str
    misscheduled: int

    @classmethod
    def fields_of(cls, obj: JsonObject) -> dict[str, Any]:
        """Constructor arguments taken from a VirtualDaemonSet."""
        fields = super(DaemonSet, cls).fields_of(obj)
        strategy = object_of(object_of(obj.get("spec")).get("updateStrategy"))
        bounds = object_of(strategy.get("rollingUpdate"))
        rolls = not fields["on_delete"]
        fields.update(
            surge=bounds.get("maxSurge", 0) if rolls else 0,
            unavailable=bounds.get("maxUnavailable", 1) if rolls else 0,
            template_generation=_text(object_of(obj["metadata"].get("annotations")).get(TEMPLATE_GENERATION)),
            misscheduled=count(object_of(obj.get("status")).get("numberMisscheduled"), 0),
        )
        return fields


def _template_of(data: JsonValue) -> JsonObject:
    """The template in a revision's data, without the directive that says how to put it back."""
    template = object_of(object_of(object_of(data).get("spec")).get("template"))
    return {name: value for name, value in template.items() if name != "$patch"}


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""
