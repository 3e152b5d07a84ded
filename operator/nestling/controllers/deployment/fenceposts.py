"""How far a rolling update may stray from the wanted number of pods: above by surge, below by unavailability.

Percentages of the surge round up, those of the unavailable round down; if both come to nothing, one pod may
be unavailable, or no rollout could ever move. What is neither a number nor a percentage counts as 0.
Source: Kubernetes 1.37, pkg/controller/deployment/util (ResolveFenceposts), apimachinery/pkg/util/intstr.
"""

import re
from typing import Final

from nestling.machinery.records.workload import INT32_MAX, Deployment

_PERCENT: Final = re.compile(r"([0-9]{1,10})%", re.ASCII)


def max_surge(deployment: Deployment) -> int:
    """Pods above the wanted number that a rollout may have; none where old ones go first."""
    return 0 if deployment.recreate else scaled(deployment.surge, deployment.replicas, round_up=True)


def max_unavailable(deployment: Deployment) -> int:
    """Pods below the wanted number that a rollout may be short of; never more than are wanted."""
    if deployment.recreate or deployment.replicas == 0:
        return 0
    found = scaled(deployment.unavailable, deployment.replicas, round_up=False)
    if found == 0 and max_surge(deployment) == 0:
        found = 1
    return min(found, deployment.replicas)


def scaled(value: object, total: int, *, round_up: bool) -> int:
    """A number as it is, or a percentage of `total`."""
    if isinstance(value, int) and not isinstance(value, bool):
        return min(max(value, 0), INT32_MAX)
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return 0
    share = int(match[1]) * total
    return min(-(-share // 100) if round_up else share // 100, INT32_MAX)
