"""Series of virtual namespaces.

A virtual namespace needs no object to hold others. Dashboards fill their list of namespaces from
`kube_namespace_status_phase`, so one that is only used has a phase too: Active, and no other series.
Source: kube-state-metrics 2.x, internal/store/namespace.go.
"""

from collections.abc import Iterable
from typing import Final

from nestling.machinery.names import DEFAULT_NAMESPACE, Key
from nestling.machinery.records.namespace import Namespace
from nestling.monitoring.kube_state.family import Exporter, Family, Page, identity_of
from nestling.monitoring.kube_state.reading import labels_family

IDENTITY: Final = ("cluster", "namespace")

CREATED: Final = Family("kube_namespace_created", "When a namespace was created (Unix time).", IDENTITY)
LABELS: Final = labels_family("namespace", IDENTITY)
PHASE: Final = Family(
    "kube_namespace_status_phase",
    "Phase of a namespace.",
    IDENTITY,
    ("phase",),
    states=("Active", "Terminating"),
)


def write(namespace: Namespace, page: Page) -> None:
    """All series of one virtual namespace that has an object."""
    who = identity_of(IDENTITY, namespace.key.cluster, namespace.key.name)
    page[CREATED].add(who, int(namespace.created_at))
    page[PHASE].states(who, namespace.phase or ("Terminating" if namespace.deleting else "Active"))


def write_used(used: Iterable[Key], having_objects: Iterable[Key], page: Page) -> None:
    """The phase of namespaces that objects live in although they have no object of their own."""
    known = {(key.cluster, key.name) for key in having_objects}
    found = {(key.cluster, key.namespace or DEFAULT_NAMESPACE) for key in used}
    for cluster, name in sorted(found - known):
        page[PHASE].states(identity_of(IDENTITY, cluster, name), "Active")


EXPORTER: Final = Exporter(Namespace, (CREATED, LABELS, PHASE), write)
