"""What each part of Nestling may do on the host: the rules of the chart's Roles.

What a role reads follows from the table of roles. What it writes is told here per kind, and a test compares
it with the writes in the code; the end-to-end run then works with exactly these rights. No wildcards: a
right that is not listed is not had.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import yaml

from nestling.api import kinds
from nestling.api.crd import crds
from nestling.api.json import JsonObject
from nestling.api.kinds import GROUP, VIRTUAL_KINDS, Kind
from nestling.operators.roles import ROLES

READ: Final = ("list", "watch")


@dataclass(frozen=True, slots=True)
class Writes:
    """Kinds that a part creates, patches, patches the status of, patches the scale of and deletes."""

    creates: Sequence[Kind] = ()
    patches: Sequence[Kind] = ()
    status: Sequence[Kind] = ()
    scale: Sequence[Kind] = ()
    deletes: Sequence[Kind] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a Role."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    names: tuple[str, ...] = field(default=())

    def to_json(self) -> JsonObject:
        """The rule as the API has it."""
        rule: JsonObject = {"apiGroups": [self.group], "resources": list(self.resources)}
        if self.names:
            rule["resourceNames"] = list(self.names)
        return {**rule, "verbs": list(self.verbs)}


def with_status() -> tuple[Kind, ...]:
    """Our kinds that have a status."""
    made = crds()
    return tuple(
        kind
        for kind in VIRTUAL_KINDS
        if "status" in made[kind.plural]["spec"]["versions"][0].get("subresources", {})
    )


_MADE: Final = (
    kinds.NODE,
    kinds.POD,
    kinds.REPLICA_SET,
    kinds.ENDPOINT_SLICE,
    kinds.CONTROLLER_REVISION,
    kinds.JOB,
)
# What an autoscaler may be pointed at.
_SCALED: Final = tuple(kind for kind in VIRTUAL_KINDS if kind.scale)
WRITES: Final[Mapping[str, Writes]] = {
    # Binding is a patch of the pod, preemption a deletion; profiles of no use are told on the cluster.
    "scheduler": Writes(patches=(kinds.POD,), status=(kinds.POD, kinds.CLUSTER), deletes=(kinds.POD,)),
    # Garbage collection and virtual namespaces delete objects of every kind; adoption and finalizers patch.
    "controllers": Writes(
        creates=_MADE, patches=VIRTUAL_KINDS, status=with_status(), scale=_SCALED, deletes=VIRTUAL_KINDS
    ),
    # Its Leases are the host's kind, so the template grants them by name.
    "kubelet": Writes(patches=(kinds.POD,), status=(kinds.POD, kinds.NODE)),
}


def operator(role: str) -> list[Rule]:
    """Rules for `nestling run ROLE`, in each host namespace that it serves."""
    writes = WRITES[role]
    verbs: dict[tuple[str, str], list[str]] = {}
    for record in ROLES[role].records:
        verbs[record.KIND.group, record.KIND.plural] = list(READ)
    for verb, written, subresource in (
        ("create", writes.creates, ""),
        ("patch", writes.patches, ""),
        ("delete", writes.deletes, ""),
        ("patch", writes.status, "/status"),
        ("patch", writes.scale, "/scale"),
    ):
        for kind in written:
            verbs.setdefault((kind.group, f"{kind.plural}{subresource}"), []).append(verb)
    # An event that is told again is patched; one from before a restart is read first.
    verbs[kinds.EVENT.group, kinds.EVENT.plural] = ["create", "get", "patch"]
    return _joined(verbs)


def watching_definitions() -> list[Rule]:
    """Cluster-wide, Kopf also watches which kinds there are."""
    return [Rule("apiextensions.k8s.io", ("customresourcedefinitions",), READ)]


def removal() -> list[Rule]:
    """Rules for `nestling uninstall --keep-crds`, in each host namespace that it empties."""
    return [Rule(GROUP, _plurals(VIRTUAL_KINDS), ("list", "patch", "delete"))]


def trial() -> list[Rule]:
    """Rules for `nestling trial`: a node and a pod that come and go."""
    return [Rule(GROUP, _plurals((kinds.NODE, kinds.POD)), ("create", "get", "delete"))]


def viewing() -> list[Rule]:
    """Added to the host's own role `view`."""
    return [Rule(GROUP, _plurals(VIRTUAL_KINDS), ("get", *READ))]


def editing() -> list[Rule]:
    """Added to the host's own roles `edit` and `admin`."""
    scale = tuple(f"{kind.plural}/scale" for kind in VIRTUAL_KINDS if kind.scale)
    verbs = ("create", "update", "patch", "delete", "deletecollection")
    return [
        Rule(GROUP, _plurals(VIRTUAL_KINDS), verbs),
        Rule(GROUP, scale, ("get", "update", "patch")),
    ]


def files() -> dict[str, bytes]:
    """File names and contents, one per part: `rights/<part>.yaml`."""
    parts = {
        **{role: operator(role) for role in ROLES},
        "definitions": watching_definitions(),
        "removal": removal(),
        "trial": trial(),
        "view": viewing(),
        "edit": editing(),
    }
    return {
        f"rights/{part}.yaml": yaml.safe_dump(
            [rule.to_json() for rule in rules], sort_keys=False, width=100
        ).encode()
        for part, rules in parts.items()
    }


def _joined(verbs: Mapping[tuple[str, str], Sequence[str]]) -> list[Rule]:
    """One rule for all resources of a group with the same verbs."""
    rules: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (group, resource), wanted in verbs.items():
        rules.setdefault((group, tuple(dict.fromkeys(wanted))), []).append(resource)
    return [Rule(group, tuple(resources), wanted) for (group, wanted), resources in rules.items()]


def _plurals(listed: Iterable[Kind]) -> tuple[str, ...]:
    return tuple(kind.plural for kind in listed)
