"""How one cluster's pods are placed: what holds for all clusters, and what its VirtualCluster changes of it.

A profile that cannot be is told in a condition of the VirtualCluster and in an event; the last ones that
could be stay in force. Extenders are the business of whoever runs the process, not of a cluster's users: a
VirtualCluster cannot name any, or its users could have the process speak to whatever it can reach.
Source: Kubernetes 1.37, pkg/scheduler/profile and pkg/scheduler/scheduler.go (New).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Final

import orjson

from nestling.api.json import JsonObject
from nestling.api.kinds import CLUSTER
from nestling.machinery.conditions import conditions_of, find_condition, with_condition
from nestling.machinery.controller import Outcome
from nestling.machinery.plan import Emit, Patch, Plan
from nestling.machinery.records.cluster import Cluster
from nestling.scheduler.extender import Extender
from nestling.scheduler.framework import Registry
from nestling.scheduler.plugins.registry import installed
from nestling.scheduler.profiles import FullProfile, ProfileError, ProfileSpec, build, default_profile
from nestling.scheduler.queue import Backoff

if TYPE_CHECKING:  # pydantic stays out of processes that read no configuration file
    from nestling.api.scheduler_configuration import KubeSchedulerConfiguration

CONDITION: Final = "SchedulerProfilesAccepted"
ACCEPTED: Final = ("True", "Accepted", "pods are placed as the profiles say")
INVALID: Final = "InvalidProfile"
COMPONENT: Final = "nestling-scheduler"
RETRY_S: Final = 5.0
_FIT: Final = "NodeResourcesFit"


@dataclass(frozen=True, slots=True)
class Setup:
    """What holds for all clusters unless their VirtualCluster says otherwise: profiles by name, extenders,
    back-off."""

    profiles: Mapping[str, FullProfile]
    extenders: tuple[Extender, ...] = ()
    backoff: Backoff = field(default_factory=Backoff)
    registry: Registry = field(default_factory=installed)

    @classmethod
    def plain(cls) -> "Setup":
        """The default scheduler alone."""
        profile = default_profile()
        return cls({profile.name: profile})

    @classmethod
    def of(cls, found: "KubeSchedulerConfiguration", registry: Registry | None = None) -> "Setup":
        """From a configuration file. Raises ProfileError with a sentence for a profile that cannot be."""
        known = registry if registry is not None else installed()
        ignored = [
            resource.name
            for extender in found.extenders
            for resource in extender.managed_resources
            if resource.ignored_by_scheduler
        ]
        specs = [ProfileSpec.of_file(one, f"profiles[{index}]") for index, one in enumerate(found.profiles)]
        profiles = [build(_ignoring(spec, ignored), known) for spec in specs]
        return cls(
            {profile.name: profile for profile in profiles},
            # Those that may be ignored are asked last.
            tuple(sorted(map(Extender.of, found.extenders), key=attrgetter("ignorable"))),
            Backoff(float(found.pod_initial_backoff_seconds), float(found.pod_max_backoff_seconds)),
            known,
        )


def _ignoring(spec: ProfileSpec, resources: Sequence[str]) -> ProfileSpec:
    """The profile with resources that extenders look after left out of what nodes are asked for."""
    if not resources:
        return spec
    fit = dict(spec.args.get(_FIT, {}))
    fit["ignoredResources"] = [*(fit.get("ignoredResources") or ()), *resources]
    return ProfileSpec(spec.name, spec.switches, {**spec.args, _FIT: fit}, spec.path)


class Configuration:
    """What is in force for one cluster, and what its VirtualCluster has to be told about that."""

    def __init__(self, setup: Setup) -> None:
        self.profiles: Mapping[str, FullProfile] = setup.profiles
        self.backoff = setup.backoff
        self.fault = ""
        self._setup = setup
        self._record: Cluster | None = None
        self._built: dict[bytes, FullProfile] = {}
        self._telling = False
        self._not_before = 0.0

    def take(self, record: Cluster | None) -> None:
        """Learn of the VirtualCluster, or that there is none."""
        self._record = record
        spec: JsonObject = record.settings.body if record is not None else {}
        listed: list[JsonObject] = spec.get("schedulerProfiles") or []
        backoff: JsonObject = spec.get("schedulerBackoff") or {}
        plain = self._setup.backoff
        self.backoff = (
            Backoff(
                float(backoff.get("initialSeconds", plain.first_s)),
                float(backoff.get("maxSeconds", plain.longest_s)),
            )
            if backoff.keys() and backoff != {"initialSeconds": 1, "maxSeconds": 10}
            else plain
        )
        try:
            built = {orjson.dumps(one, option=orjson.OPT_SORT_KEYS): one for one in listed}
            made = {key: self._built.get(key) or self._build(one) for key, one in built.items()}
        except ProfileError as error:
            self.fault = str(error)
            return
        self.fault = ""
        self._built = made
        self.profiles = {**self._setup.profiles, **{one.name: one for one in made.values()}}

    def _build(self, profile: JsonObject) -> FullProfile:
        return build(ProfileSpec.of_cluster(profile), self._setup.registry)

    @property
    def due_at(self) -> float | None:
        """When the VirtualCluster has to be told something; None for never."""
        return self._not_before if not self._telling and self._news() else None

    def tell(self, now: float) -> Plan | None:
        """The write that tells it."""
        record = self._record
        if record is None or self._telling or now < self._not_before or not self._news():
            return None
        status, reason, message = self._verdict()
        body = record.body
        new: JsonObject = {"type": CONDITION, "status": status, "reason": reason, "message": message}
        conditions = with_condition(conditions_of(body), new, now)
        patch = Patch(
            CLUSTER,
            record.key,
            record.uid,
            {"status": {"conditions": conditions}},
            version=record.version,
            subresource="status",
        )
        self._telling = True
        if status == "True":
            return Plan.of(patch, why="the profiles are in force")
        said = Emit(CLUSTER, record.key, record.uid, "Warning", reason, message, COMPONENT, "Configuring")
        return Plan.of(patch, said, why="a profile cannot be")

    def told(self, outcome: Outcome, now: float) -> None:
        """Learn how the telling went."""
        self._telling = False
        self._not_before = 0.0 if outcome.ok else now + RETRY_S

    def _verdict(self) -> tuple[str, str, str]:
        if self.fault:
            return "False", INVALID, f"{self.fault}; until then the last good profiles stay in force"[:32768]
        return ACCEPTED

    def _news(self) -> bool:
        """Whether the condition says something else; nothing is said while there is nothing to say it
        about."""
        record = self._record
        if record is None or record.deleting:
            return False
        found = find_condition(conditions_of(record.body), CONDITION)
        if found is None:
            return bool(record.settings.body.get("schedulerProfiles"))
        return (found.get("status"), found.get("reason"), found.get("message")) != self._verdict()
