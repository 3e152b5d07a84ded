"""How values of objects read in metrics: times, quantities, owners and labels.

Source: kube-state-metrics 2.x, internal/store/utils.go.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from nestling.api.json import JsonObject
from nestling.api.kinds import VIRTUAL_KINDS
from nestling.api.quantity import milli, whole
from nestling.machinery.clock import seconds_of
from nestling.machinery.names import key_of
from nestling.machinery.records.base import Owner, Record
from nestling.monitoring.kube_state.family import Family, Section

OWNER_LABELS: Final = ("owner_kind", "owner_name", "owner_is_controller")

_BY_NAME: Final = {kind.name: kind for kind in VIRTUAL_KINDS}
_NOT_IN_A_LABEL: Final = re.compile(r"[^a-zA-Z0-9_]")
_BYTES: Final = frozenset({"memory", "storage", "ephemeral-storage"})
_QUOTA_PREFIX: Final = "requests."
_NATIVE: Final = "kubernetes.io/"


def unix_time(text: str | None) -> int | None:
    """Whole seconds since 1970 of a time in an object, None if there is none."""
    return int(seconds_of(text)) if text else None


def flag(value: object) -> int:
    """1 for true, 0 for anything else."""
    return 1 if value is True else 0


def resources(amounts: JsonObject | None) -> Iterator[tuple[str, str, float]]:
    """Name, unit and amount of each resource that has a unit; of others nobody can say what they count."""
    for name, amount in (amounts or {}).items():
        unit = unit_of(name)
        if unit == "core":
            thousandths = milli(amount)
            yield "cpu", unit, thousandths // 1000 if thousandths % 1000 == 0 else thousandths / 1000
        elif unit:
            yield sanitized(name), unit, whole(amount)


def unit_of(resource: str) -> str:
    """What a resource is counted in, "" for one without a unit."""
    if resource == "cpu":
        return "core"
    if resource in _BYTES or resource.startswith(("hugepages-", "attachable-volumes-")):
        return "byte"
    extended = "/" in resource and _NATIVE not in resource and not resource.startswith(_QUOTA_PREFIX)
    return "integer" if extended or resource == "pods" else ""


def sanitized(name: str) -> str:
    """A name with everything that a label name may not hold replaced by underscores."""
    return _NOT_IN_A_LABEL.sub("_", name)


def owner_names(cluster: str, owner: Owner) -> tuple[str, str]:
    """Kind and name of an owner as its own cluster knows them: `ReplicaSet` and `web`."""
    kind = _BY_NAME.get(owner.kind)
    if kind is None:
        return owner.kind, owner.name
    return kind.native or kind.name, key_of(kind, cluster, owner.name).name


def add_owners(section: Section, who: str, record: Record) -> None:
    """One series per owner; an object without any has one whose labels are empty."""
    if not record.owners:
        section.add(who, 1, "", "", "")
    for owner in record.owners:
        kind, name = owner_names(record.key.cluster, owner)
        section.add(who, 1, kind, name, "true" if owner.controller else "false")


def labels_family(kind: str, identity: tuple[str, ...]) -> Family:
    """The family that shows an object's labels, as far as they are allowed."""
    return Family(f"kube_{kind}_labels", "Kubernetes labels as Prometheus labels.", identity)


def label_pairs(labels: Mapping[str, str], allowed: Sequence[str]) -> list[tuple[str, str]]:
    """Names and values of the labels that may be shown; `*` allows them all.

    Labels whose names become equal are told apart by a suffix, as in kube-state-metrics.
    """
    shown = sorted(labels) if "*" in allowed else sorted(set(allowed) & labels.keys())
    names = [f"label_{sanitized(name)}" for name in shown]
    seen: dict[str, int] = {}
    found: list[tuple[str, str]] = []
    for label, name in zip(shown, names, strict=True):
        if names.count(name) > 1:
            seen[name] = seen.get(name, 0) + 1
            found.append((f"{name}_conflict{seen[name]}", labels[label]))
        else:
            found.append((name, labels[label]))
    return found
