"""Let all old pods go before the first new one comes.

Source: Kubernetes 1.37, pkg/controller/deployment/recreate.go.
"""

from collections.abc import Iterable

from nestling.controllers.deployment.family import Decision, Family, active
from nestling.machinery.records.pod import Pod
from nestling.machinery.records.workload import Deployment


def decide(deployment: Deployment, family: Family, old_pods: Iterable[Pod]) -> Decision:
    """Sizes after one step. `old_pods` are those of all old ReplicaSets, in whatever state."""
    shrinking = {rs.uid: 0 for rs in active(family.old)}
    if shrinking:
        return Decision(shrinking, why="old pods go first")
    # A ReplicaSet that still reports pods may know of some that have not reached us.
    if any(rs.observed_replicas for rs in family.old) or not all(pod.terminal for pod in old_pods):
        return Decision(why="old pods are still there")
    new = family.new
    if new is None:
        return Decision(create=deployment.replicas, why="old pods are gone")
    growing = {new.uid: deployment.replicas} if new.replicas != deployment.replicas else {}
    return Decision(growing, settled=True, why="old pods are gone")
