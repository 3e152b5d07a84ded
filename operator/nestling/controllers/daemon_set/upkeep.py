"""Which pods come and go because of their nodes: one where one should be, none where none may stay.

Pods that have ended go, and their node gets another; one that failed again waits, a second at first,
doubling to a quarter of an hour, as long as it keeps failing under one revision.
Source: Kubernetes 1.37, pkg/controller/daemon/daemon_controller.go (podsShouldBeOnNode,
getUnscheduledPodsWithoutNode).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from nestling.controllers.daemon_set.creation import LAST_SLOT, slot_of
from nestling.controllers.daemon_set.events import failed_pod, succeeded_pod
from nestling.controllers.daemon_set.household import Household
from nestling.controllers.daemon_set.rolling import allows_surge
from nestling.machinery.plan import Emit
from nestling.machinery.records.pod import Pod

BACKOFF_S: Final = 1.0
LONGEST_BACKOFF_S: Final = 900.0


@dataclass(slots=True)
class Turnover:
    """Pods that go, nodes that get one with the first slot it may take, and what is said about it."""

    goes: list[Pod] = field(default_factory=list[Pod])
    comes: dict[str, int] = field(default_factory=dict[str, int])
    says: list[Emit] = field(default_factory=list[Emit])
    wake_at: float | None = None

    def wait(self, due: float) -> None:
        """Look again at `due`, or earlier if something else is due before."""
        self.wake_at = due if self.wake_at is None else min(due, self.wake_at)


def upkeep(house: Household) -> Turnover:
    """What has to be done on all nodes."""
    turnover = Turnover()
    for node, fit in house.fits.items():
        pods = house.on(node)
        if fit.runs and not pods:
            turnover.comes[node] = _slot_after(house, house.leavers.get(node, ()))
        elif fit.stays:
            _tidy(house, node, pods, turnover, runs=fit.runs)
        else:
            turnover.goes += [pod for pod in pods if not pod.deleting]
    for node, pods in house.pods.items():
        if node not in house.fits:  # nobody else would ever miss them: they have no node
            turnover.goes += [pod for pod in pods if not pod.node_name and not pod.deleting]
    return turnover


def backoff_s(failures: int) -> float:
    """Seconds that a pod has to live before its failure counts, after so many failures: 0, 1, 2, 4..."""
    return min(BACKOFF_S * 2 ** (failures - 1), LONGEST_BACKOFF_S) if failures else 0.0


def _tidy(house: Household, node: str, pods: Sequence[Pod], turnover: Turnover, *, runs: bool) -> None:
    """One node that may keep its pod: the ended ones go, and so does the surplus."""
    running: list[Pod] = []
    ended: list[Pod] = []
    waiting = False
    for pod in pods:
        if pod.deleting:
            continue
        if pod.phase == "Failed":
            due = pod.created_at + backoff_s(_failures(house, pod))
            if house.now < due:
                turnover.wait(due)
                waiting = True
                continue
            turnover.says.append(failed_pod(house.ds, pod, node))
            ended.append(pod)
        elif pod.phase == "Succeeded":
            turnover.says.append(succeeded_pod(house.ds, pod, node))
            ended.append(pod)
        else:
            running.append(pod)
    turnover.goes += ended
    if runs and len(ended) == len(pods):
        turnover.comes[node] = _slot_after(house, ended)
    if not allows_surge(house.ds):
        turnover.goes += running[1:]
    elif len(running) > 1:
        turnover.goes += _surplus(house, running)
    elif runs and not running and not waiting and node not in turnover.comes:
        # Kubernetes would make one beside a failed pod that waits, and one more for each that fails too.
        turnover.comes[node] = 0


def _surplus(house: Household, running: Sequence[Pod]) -> list[Pod]:
    """With surge an old and a new pod may stand side by side, until the new one can take over."""
    new = [pod for pod in running if house.updated(pod)]
    old = [pod for pod in running if not house.updated(pod)]
    surplus = [*new[1:], *old[1:]]
    if new and old and (not old[0].ready or house.available(new[0])):
        surplus.append(old[0])
    return surplus


def _failures(house: Household, pod: Pod) -> int:
    """How often pods of this revision have failed on the pod's node before it, one soon after the other."""
    long_ago = house.now - pod.created_at > 2 * LONGEST_BACKOFF_S
    return slot_of(house.ds, pod) if house.updated(pod) and not long_ago else 0


def _slot_after(house: Household, gone: Sequence[Pod]) -> int:
    """The slot of whoever follows: one higher than that of a pod that has failed."""
    failed = [_failures(house, pod) + 1 for pod in gone if pod.phase == "Failed"]
    return min(max(failed, default=0), LAST_SLOT)
