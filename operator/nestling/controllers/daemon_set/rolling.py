"""Which pods make room for a new revision, and where a new one comes before the old one goes.

Without surge, old pods that serve nobody go at once, others as far as nodes may be without. With surge, a
new pod comes where the old one serves nobody, and on so many nodes more; the old one goes when the new one
can take over.
Source: Kubernetes 1.37, pkg/controller/daemon/update.go (rollingUpdate).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from nestling.controllers.daemon_set.household import Household
from nestling.controllers.deployment.fenceposts import scaled
from nestling.machinery.records.pod import Pod
from nestling.machinery.records.revisioned import DaemonSet


@dataclass(slots=True)
class Rollout:
    """Pods that go, and nodes that get one beside the one they have."""

    goes: list[Pod] = field(default_factory=list[Pod])
    comes: list[str] = field(default_factory=list[str])


def allows_surge(ds: DaemonSet) -> bool:
    """Whether any node may have two pods."""
    return scaled(ds.surge, 1, round_up=True) > 0


def rollout(house: Household) -> Rollout:
    """What has to be done for the present revision; upkeep has nothing to do at this moment."""
    ds = house.ds
    desired = sum(fit.runs for fit in house.fits.values())
    surge = scaled(ds.surge, desired, round_up=True)
    unavailable = scaled(ds.unavailable, desired, round_up=True)
    if surge:
        return _with_surge(house, surge, desired)
    return _in_place(house, max(unavailable, 1))


def _in_place(house: Household, budget: int) -> Rollout:
    useless: list[Pod] = []
    others: list[Pod] = []
    for _, new, old in _pairs(house):
        if len(new) + len(old) != 1:
            budget -= 1  # being made, being tidied, or gone: there is no pod to count on
        elif new:
            budget -= not house.available(new[0])
        elif house.available(old[0]):
            others.append(old[0])
        else:
            budget -= 1
            useless.append(old[0])
    return Rollout(goes=[*useless, *others[: max(budget, 0)]])


def _with_surge(house: Household, surge: int, desired: int) -> Rollout:
    found = Rollout()
    others: list[str] = []
    unwanted: list[Pod] = []
    available = 0
    for node, new, old in _pairs(house):
        if len(new) > 1 or len(old) > 1:
            surge -= 1  # upkeep will see to it
            continue
        available += any(map(house.available, old or new))
        if not old:
            continue
        if new:
            if house.available(new[0]):
                found.goes.append(old[0])
            else:
                surge -= 1
        elif not house.fits[node].runs:
            (unwanted if house.available(old[0]) else found.goes).append(old[0])
        elif house.available(old[0]):
            others.append(node)
        else:
            found.comes.append(node)
    # Where a pod should not be any more it stays until there are enough where they should be.
    found.goes += unwanted[: max(available - desired, 0)]
    found.comes += others[: max(surge, 0)]
    return found


def _pairs(house: Household) -> Iterator[tuple[str, list[Pod], list[Pod]]]:
    """Each node that has a pod or should, with its new and its old ones; who is going counts no more."""
    for node, fit in house.fits.items():
        pods = house.on(node)
        if pods or fit.runs:
            staying = [pod for pod in pods if not pod.deleting]
            yield (
                node,
                [pod for pod in staying if house.updated(pod)],
                [pod for pod in staying if not house.updated(pod)],
            )
