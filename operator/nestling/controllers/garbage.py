"""Delete what its owners have left behind, on hosts that have no garbage collector of their own.

A bare kube-apiserver stores owner references and obeys none of them. This loop does, for our own kinds: an
object goes when all its owners are gone; one that keeps an owner loses its references to the others. An
owner deleted in the foreground goes after the dependents that block it, an owner deleted with orphans lets
them go first. Keys are of the form (cluster, plural of the kind, host name), because one queue serves all
kinds. An owner counts as gone when the cache, which has seen all objects, does not hold its UID; an object
is left alone for some seconds after its creation, because its owner's creation may be seen after its own.
The deletion names the version we decided on, so an object that was adopted meanwhile stays. A host's own
collector is given a head start, and what it has done by then is not done again: so this loop may always run,
and writes nothing on hosts that need no help.
Source: Kubernetes 1.37, pkg/controller/garbagecollector.
"""

from collections.abc import Iterable
from typing import Final, Literal

from nestling.api.json import JsonObject
from nestling.api.kinds import BY_PLURAL, VIRTUAL_KINDS, Uid
from nestling.machinery.cache import Change
from nestling.machinery.controller import Controller, Route
from nestling.machinery.names import Key, key_of
from nestling.machinery.plan import Delete, Patch, Plan, Write
from nestling.machinery.records.base import Owner, Record
from nestling.machinery.view import View

FOREGROUND: Final = "foregroundDeletion"
ORPHAN: Final = "orphan"
GRACE_S: Final = 5.0
PATIENCE_S: Final = 2.0
BURST: Final = 500
KIND_BY_NAME: Final = {kind.name: kind for kind in VIRTUAL_KINDS}

Standing = Literal["solid", "gone", "waiting"]


def garbage_key(record: Record) -> Key:
    """The key under which this loop looks at an object: the place of the namespace names the kind."""
    return Key(record.key.cluster, record.KIND.plural, record.key.host_name)


def standing(view: View, owner: Owner) -> Standing:
    """Whether an owner is there, gone, or there only until its dependents are gone.

    Owners of kinds that we do not watch are taken to be there: nobody here can say otherwise.
    """
    kind = KIND_BY_NAME.get(owner.kind)
    if kind is None or not view.holds(kind):
        return "solid"
    found = view.find(kind, key_of(kind, view.cluster, owner.name))
    if found is None or found.uid != owner.uid:
        return "gone"
    return "waiting" if found.deleting and FOREGROUND in found.finalizers else "solid"


def ancestors(view: View, record: Record) -> set[Uid]:
    """UIDs of all owners of an object, their owners and so on; ends also where owners go in a circle."""
    found: set[Uid] = set()
    ahead = list(record.owners)
    while ahead:
        owner = ahead.pop()
        if owner.uid in found:
            continue
        found.add(owner.uid)
        kind = KIND_BY_NAME.get(owner.kind)
        if kind is None or not view.holds(kind):
            continue
        parent = view.find(kind, key_of(kind, view.cluster, owner.name))
        if parent is not None and parent.uid == owner.uid:
            ahead.extend(parent.owners)
    return found


def reconcile(view: View, key: Key) -> Plan:
    """Plan what the owners, or the dependents, of one object ask for."""
    kind = BY_PLURAL[key.namespace]
    record = view.find(kind, key_of(kind, key.cluster, key.name))
    if record is None:
        return Plan.done("gone itself")
    due = max(record.created_at, view.watching_since) + GRACE_S
    if record.deleting:
        if FOREGROUND not in record.finalizers and ORPHAN not in record.finalizers:
            return Plan.done("on its way out")
        if view.now < due:
            return Plan.wait_until(due, "its dependents may yet be seen")
        return _orphan(view, record) if ORPHAN in record.finalizers else _foreground(view, record)
    if not record.owners:
        return Plan.done("owned by nobody")
    by_standing: dict[Standing, list[Owner]] = {"solid": [], "gone": [], "waiting": []}
    for owner in record.owners:
        by_standing[standing(view, owner)].append(owner)
    if not by_standing["gone"] and not by_standing["waiting"]:
        return Plan.done("its owners are there")
    if by_standing["gone"] and view.now < due:
        return Plan.wait_until(due, "its owner may yet be seen")
    if by_standing["solid"]:
        return Plan.of(_without(record, by_standing["solid"]), why="keeps an owner, loses the others")
    dependents = any(not other.deleting for other in view.dependents(record.uid))
    foreground = bool(by_standing["waiting"]) and dependents
    return Plan.of(
        Delete(
            kind,
            record.key,
            record.uid,
            version=record.version,
            propagation="Foreground" if foreground else "Background",
        ),
        why="its owners are gone" if by_standing["gone"] else "its owner waits for it to go",
    )


def _foreground(view: View, record: Record) -> Plan:
    """An owner that goes after its dependents: delete those, then let it go."""
    above = ancestors(view, record)
    blocking: list[Record] = []
    doomed: list[Record] = []
    for other in view.dependents(record.uid):
        if not any(owner.uid == record.uid and owner.blocks_deletion for owner in other.owners):
            continue
        if other.uid == record.uid or (
            other.deleting and FOREGROUND in other.finalizers and other.uid in above
        ):
            continue  # it waits for us as we for it: a circle, and somebody has to go first
        blocking.append(other)
        if not other.deleting and all(standing(view, owner) != "solid" for owner in other.owners):
            doomed.append(other)
    if not blocking:
        return Plan.of(_released(record, FOREGROUND), why="nobody blocks it any more")
    # Dependents decide for themselves too; this is for the one whose change nobody told us of.
    writes: list[Write] = [
        Delete(
            one.KIND,
            one.key,
            one.uid,
            version=one.version,
            propagation="Foreground" if any(True for _ in view.dependents(one.uid)) else "Background",
        )
        for one in doomed[:BURST]
    ]
    more = len(doomed) > BURST
    return Plan.of(*writes, wake_at=view.now if more else None, why=f"{len(blocking)} dependents block it")


def _orphan(view: View, record: Record) -> Plan:
    """An owner that lets its dependents live: take its reference off them, then let it go."""
    writes: list[Write] = [
        _without(other, [owner for owner in other.owners if owner.uid != record.uid])
        for other in view.dependents(record.uid)
    ]
    if len(writes) > BURST:
        return Plan.of(*writes[:BURST], wake_at=view.now, why=f"{len(writes)} dependents to let go")
    return Plan.of(*writes, _released(record, ORPHAN), why="lets its dependents live")


def _without(record: Record, kept: list[Owner]) -> Patch:
    """The write that leaves an object only the owners in `kept`, their references as they stand."""
    uids = {owner.uid for owner in kept}
    references: list[JsonObject] = record.body["metadata"].get("ownerReferences") or []
    left = [reference for reference in references if reference.get("uid") in uids]
    change: JsonObject = {"metadata": {"ownerReferences": left}}
    return Patch(record.KIND, record.key, record.uid, change, version=record.version)


def _released(record: Record, finalizer: str) -> Patch:
    left = [name for name in record.finalizers if name != finalizer]
    change: JsonObject = {"metadata": {"finalizers": left}}
    return Patch(record.KIND, record.key, record.uid, change, version=record.version)


def _concerned(view: View, change: Change) -> Iterable[Key]:
    """Whoever a change may doom: the object, its dependents when it goes, owners that wait for it."""
    old, new = change.old, change.new
    record = change.record
    if new is not None and not new.deleting:
        if new.owners and (old is None or old.owners != new.owners):
            yield garbage_key(new)
        return
    began = new is not None and (old is None or not old.deleting or old.finalizers != new.finalizers)
    if new is not None and began and not {FOREGROUND, ORPHAN}.isdisjoint(new.finalizers):
        yield garbage_key(new)
    if new is None or (began and FOREGROUND in new.finalizers):
        for other in view.dependents(record.uid):
            yield garbage_key(other)
    for owner in record.owners:
        kind = KIND_BY_NAME.get(owner.kind)
        if kind is not None and standing(view, owner) == "waiting":
            yield Key(view.cluster, kind.plural, owner.name)


def collector(patience_s: float) -> Controller:
    """The loop, leaving a host's own collector so many seconds to do the work: 0 where there is none."""
    concerns = {kind: (Route(_concerned, delay_s=patience_s),) for kind in VIRTUAL_KINDS}
    return Controller(name="garbage-collector", reconcile=reconcile, concerns=concerns)


CONTROLLER: Final = collector(PATIENCE_S)
