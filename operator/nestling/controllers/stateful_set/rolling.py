"""Which pods make room for the update revision, from the highest number down to the partition.

In order, as many go as may be unavailable, counting those that are. In parallel, old pods that serve nobody
go first and at once; the rest of the budget is spent on others.
Source: Kubernetes 1.37, pkg/controller/statefulset/stateful_set_control.go
(updateStatefulSetAfterInvariantEstablished), stateful_set_utils.go (getStatefulSetMaxUnavailable).
"""

from nestling.controllers.deployment.fenceposts import scaled
from nestling.controllers.stateful_set.look import Look
from nestling.machinery.records.pod import Pod
from nestling.machinery.records.revisioned import StatefulSet


def max_unavailable(sts: StatefulSet) -> int:
    """Pods that may be unavailable: a percentage rounds down, and one may always be."""
    return max(scaled(sts.max_unavailable, sts.replicas, round_up=False), 1)


def outgoing(look: Look) -> list[Pod]:
    """The pods to delete now, highest number first; their successors will be of the update revision."""
    sts = look.sts
    first = sts.start + (sts.partition or 0)
    # Highest first; a number without a pod is one that is unavailable.
    targets = [
        pod
        for ordinal, pod in sorted(look.pods.items(), reverse=True)
        if ordinal >= first and look.outdated(pod)
    ]
    missing = sts.replicas - len(look.pods)
    budget = max_unavailable(sts) - missing - sum(map(look.unavailable, look.pods.values()))
    if not sts.parallel:
        return [pod for pod in targets if not pod.deleting][: max(budget, 0)]
    useless = [pod for pod in targets if not look.available(pod) and not pod.deleting]
    others = [pod for pod in targets if not look.unavailable(pod)]
    return [*useless, *others[: max(budget, 0)]]
