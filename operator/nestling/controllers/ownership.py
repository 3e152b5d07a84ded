"""Who belongs to whom: take in the orphans that a selector matches, let go of what it no longer matches.

Reads an owner and the objects that are, or could be, its own; writes owner references, and the finalizer
that goes with them where the owner has one. Before the first adoption the host is asked whether the owner
still stands as we saw it, because an object that is given to an owner already deleted would be collected with
it.
Source: Kubernetes 1.37, pkg/controller/controller_ref_manager.go.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from nestling.api.json import JsonObject
from nestling.api.selector import Selector
from nestling.machinery.plan import Patch
from nestling.machinery.records.base import Record

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Claims(Generic[R]):
    """`held` is what belongs to the owner once `writes` are done."""

    held: tuple[R, ...]
    writes: tuple[Patch, ...]


def _any(_one: Record) -> bool:
    return True


def claim(
    owner: Record,
    selector: Selector,
    owned: Iterable[R],
    orphans: Iterable[R],
    *,
    fits: Callable[[R], bool] = _any,
    finalizer: str = "",
) -> Claims[R]:
    """Sort the objects that name `owner` as their controller, and those that name none.

    An owner on its way out keeps what it has, and neither takes in nor lets go. `fits` is what more than its
    labels makes an object one of the owner's. What is taken in gets `finalizer`, what is let go loses it.
    """
    held: list[R] = []
    writes: list[Patch] = []
    for one in owned:
        if one.key.namespace != owner.key.namespace:
            continue  # on the host they are neighbours, in the virtual cluster they could never be related
        if selector.matches(one.labels) and fits(one):
            held.append(one)
        elif not owner.deleting:
            writes.append(_release(owner, one, finalizer))
    adopted: list[R] = []
    if not owner.deleting:
        adopted = [
            one
            for one in orphans
            if one.controller is None
            and not one.deleting
            and one.key.namespace == owner.key.namespace
            and selector.matches(one.labels)
            and fits(one)
        ]
    if adopted:
        writes.append(unchanged(owner))
        writes.extend(_adopt(owner, one, finalizer) for one in adopted)
    return Claims((*held, *adopted), tuple(writes))


def unchanged(owner: Record) -> Patch:
    """A write of nothing: the host checks that `owner` is as we saw it, and stops the plan if it is not."""
    return Patch(owner.KIND, owner.key, owner.uid, {}, version=owner.version)


def _adopt(owner: Record, one: Record, finalizer: str) -> Patch:
    # A reference that does not control makes room for the one that does: an owner is named once.
    refs = [ref for ref in _references(one) if ref.get("uid") != owner.uid]
    added = (*one.finalizers, finalizer) if finalizer and finalizer not in one.finalizers else one.finalizers
    return _refer(one, [*refs, owner.as_owner().to_json()], added)


def _release(owner: Record, one: Record, finalizer: str) -> Patch:
    refs = [ref for ref in _references(one) if ref.get("uid") != owner.uid]
    return _refer(one, refs, tuple(name for name in one.finalizers if name != finalizer))


def _references(one: Record) -> list[JsonObject]:
    return one.body["metadata"].get("ownerReferences") or []


def _refer(one: Record, refs: list[JsonObject], finalizers: tuple[str, ...]) -> Patch:
    meta: JsonObject = {"ownerReferences": refs}
    if finalizers != one.finalizers:
        meta["finalizers"] = list(finalizers)
    return Patch(one.KIND, one.key, one.uid, {"metadata": meta}, version=one.version)
