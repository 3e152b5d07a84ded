"""One look at a DaemonSet: make it right, or say how it stands.

Reads the DaemonSet, all nodes, its pods, its revisions and the orphans it could take in; writes pods,
revisions, the DaemonSet's status and the number of its template. The scheduler binds the pods: each may go
to one node only.
Source: Kubernetes 1.37, pkg/controller/daemon.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from nestling.api.json import JsonObject
from nestling.controllers.daemon_set.creation import free_key_on, pod_on
from nestling.controllers.daemon_set.events import creation, deletion, selecting_all
from nestling.controllers.daemon_set.household import Household, by_node
from nestling.controllers.daemon_set.placement import Placement
from nestling.controllers.daemon_set.rolling import rollout
from nestling.controllers.daemon_set.status import status_of
from nestling.controllers.daemon_set.upkeep import upkeep
from nestling.controllers.history import forget, present, revisions_of
from nestling.controllers.ownership import claim
from nestling.controllers.replica_set_status import next_available
from nestling.controllers.status_change import status_write
from nestling.machinery.names import Key
from nestling.machinery.plan import Delete, Patch, Plan, Write
from nestling.machinery.records.node import Node
from nestling.machinery.records.pod import Pod
from nestling.machinery.records.revisioned import (
    REVISION_HASH,
    TEMPLATE_GENERATION,
    ControllerRevision,
    DaemonSet,
)
from nestling.machinery.view import View

# Creates, and deletes, of one look; the rest waits for the next.
BURST: Final = 250


def reconcile(view: View, key: Key) -> Plan:
    """Plan the next step of one DaemonSet; when there is none, its status."""
    ds = view.get(DaemonSet, key)
    if ds is None:
        return Plan.done("gone")
    if ds.selector.everything:
        return Plan.of(selecting_all(ds), why="its selector is empty")
    if ds.selector.nothing or not ds.selector.matches(ds.template_labels):
        # The host refuses such an object: its pods would not be its own.
        return Plan.done("its selector cannot be read, or does not match its template")
    if ds.deleting:
        return Plan.done("its revisions may be gone already: nobody can say how it stands")
    history = revisions_of(view, ds)
    update = present(view, ds, history.held, label=REVISION_HASH, annotation=TEMPLATE_GENERATION)
    pods = view.owned(Pod, ds.uid)
    claims = claim(ds, ds.selector, pods, view.selected(Pod, key.namespace, ds.selector))
    writes: list[Write] = [*history.writes, *_labelled(history.held), *claims.writes]
    numbered = ds.template_generation == str(update.number)
    if not numbered:
        # First of all, as it asks the host whether this is the template: an old view must not renumber.
        writes.append(_numbered(ds, update.number))
    if update.write is not None:
        writes.append(update.write)
    if not numbered:
        return Plan.of(*writes, why="its template is new")

    body = ds.body
    template: JsonObject = body["spec"].get("template") or {}
    placement = Placement.of(template.get("spec") or {})
    there, leaving = by_node(claims.held)
    house = Household(
        ds=ds,
        template=template,
        fits={node.key.name: placement.on(node) for node in view.all(Node)},
        pods=there,
        leavers=leaving,
        hash=update.hash,
        generation=update.number,
        now=view.now,
    )
    turnover = upkeep(house)
    goes, comes = turnover.goes, turnover.comes
    if not (goes or comes or ds.on_delete):
        further = rollout(house)
        goes, comes = further.goes, dict.fromkeys(further.comes, 0)
    changes = [
        *turnover.says,
        *(deletion(ds, pod) for pod in goes[:BURST]),
        *_creations(view, house, list(comes.items())[:BURST]),
    ]
    said = status_write(ds, body.get("status"), status_of(house, update.collisions))
    # The answers wake us: then one status says what has become of it. What was refused may be refused again.
    if said is not None and (view.refusal or not changes):
        writes.append(said)
    writes += changes
    writes += _expired(ds, history.held, update.name, claims.held)
    wakes = (turnover.wake_at, next_available(claims.held, ds.min_ready_s, view.now))
    wake_at = min((at for at in wakes if at is not None), default=None)
    return Plan(tuple(writes), wake_at, f"{len(comes)} to come, {len(goes)} to go")


def _creations(view: View, house: Household, comes: Iterable[tuple[str, int]]) -> Iterable[Write]:
    for node, slot in comes:
        key = free_key_on(house.ds, node, slot, lambda key: view.get(Pod, key) is not None)
        yield creation(house.ds, key, pod_on(house, node, key))


def _labelled(revisions: Iterable[ControllerRevision]) -> Iterable[Patch]:
    """Revisions that somebody made without the label go by their name."""
    for one in revisions:
        if REVISION_HASH not in one.labels and not one.deleting:
            body: JsonObject = {"metadata": {"labels": {REVISION_HASH: one.key.name}}}
            yield Patch(one.KIND, one.key, one.uid, body, version=one.version)


def _numbered(ds: DaemonSet, number: int) -> Patch:
    """The number of its template, which native DaemonSets carry since before they had revisions."""
    body: JsonObject = {"metadata": {"annotations": {TEMPLATE_GENERATION: str(number)}}}
    return Patch(ds.KIND, ds.key, ds.uid, body, version=ds.version)


def _expired(
    ds: DaemonSet, revisions: Sequence[ControllerRevision], present: str, pods: Iterable[Pod]
) -> list[Delete]:
    """Deletion of the revisions beyond the limit, lowest first, but of none that a pod has."""
    if ds.history_limit is None:
        return []
    old = [one for one in revisions if one.key.name != present]
    surplus = len(old) - ds.history_limit
    if surplus <= 0:
        return []
    live = {pod.labels.get(REVISION_HASH) for pod in pods}
    return forget([one for one in old if one.labels.get(REVISION_HASH) not in live][:surplus])
