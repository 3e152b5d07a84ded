"""Which plugins judge pods, in which order and weight: kube-scheduler's defaults, as far as they exist here.

Source: Kubernetes 1.37, pkg/scheduler/apis/config/v1/default_plugins.go.
"""

from nestling.scheduler.framework import DEFAULT_SCHEDULER, Profile, Weighted
from nestling.scheduler.plugins.balanced_allocation import NodeResourcesBalancedAllocation
from nestling.scheduler.plugins.fit import NodeResourcesFit
from nestling.scheduler.plugins.node_affinity import NodeAffinity
from nestling.scheduler.plugins.node_name import NodeName
from nestling.scheduler.plugins.node_ports import NodePorts
from nestling.scheduler.plugins.node_unschedulable import NodeUnschedulable
from nestling.scheduler.plugins.taint_toleration import TaintToleration


def default_profile(name: str = DEFAULT_SCHEDULER) -> Profile:
    """The default plugins in kube-scheduler's order: a node gives the reason of the first filter it fails."""
    taints, affinity, fit = TaintToleration(), NodeAffinity(), NodeResourcesFit()
    return Profile(
        filters=(NodeName(), NodeUnschedulable(), taints, affinity, NodePorts(), fit),
        scores=(
            Weighted(taints, 3),
            Weighted(affinity, 2),
            Weighted(fit, 1),
            Weighted(NodeResourcesBalancedAllocation(), 1),
        ),
        name=name,
    )
