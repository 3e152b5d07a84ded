"""All plugins by name: our own, and those that installed packages offer.

A package offers one by an entry point of the group `nestling.scheduler.plugins`, whose name is the plugin's
and whose object is a `Factory`: a function of the plugin's arguments, often the class itself.
Source: Kubernetes 1.37, pkg/scheduler/framework/plugins/registry.go.
"""

from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points
from typing import Final, cast

from nestling.api.json import JsonObject
from nestling.scheduler.framework import Factory, Plugin, PluginError, Registry
from nestling.scheduler.plugins.balanced_allocation import NodeResourcesBalancedAllocation
from nestling.scheduler.plugins.default_binder import DefaultBinder
from nestling.scheduler.plugins.default_preemption import DefaultPreemption
from nestling.scheduler.plugins.fit import NodeResourcesFit
from nestling.scheduler.plugins.image_locality import ImageLocality
from nestling.scheduler.plugins.inter_pod_affinity import InterPodAffinity
from nestling.scheduler.plugins.node_affinity import NodeAffinity
from nestling.scheduler.plugins.node_name import NodeName
from nestling.scheduler.plugins.node_ports import NodePorts
from nestling.scheduler.plugins.node_unschedulable import NodeUnschedulable
from nestling.scheduler.plugins.priority_sort import PrioritySort
from nestling.scheduler.plugins.scheduling_gates import SchedulingGates
from nestling.scheduler.plugins.taint_toleration import TaintToleration
from nestling.scheduler.plugins.topology_spread import PodTopologySpread

GROUP: Final = "nestling.scheduler.plugins"


def without_args(make: Callable[[], Plugin]) -> Factory:
    """The factory of a plugin that takes no arguments, and says so when it gets some."""

    def factory(args: JsonObject) -> Plugin:
        if args:
            raise ValueError(f"it takes no arguments, not {', '.join(sorted(args))}")
        return make()

    return factory


def in_tree() -> Registry:
    """Our own plugins."""
    return Registry(
        {
            SchedulingGates.name: without_args(SchedulingGates),
            PrioritySort.name: without_args(PrioritySort),
            NodeName.name: without_args(NodeName),
            NodeUnschedulable.name: without_args(NodeUnschedulable),
            TaintToleration.name: without_args(TaintToleration),
            NodeAffinity.name: NodeAffinity.of,
            NodePorts.name: without_args(NodePorts),
            NodeResourcesFit.name: NodeResourcesFit.of,
            PodTopologySpread.name: PodTopologySpread.of,
            InterPodAffinity.name: InterPodAffinity.of,
            DefaultPreemption.name: DefaultPreemption,
            NodeResourcesBalancedAllocation.name: NodeResourcesBalancedAllocation.of,
            ImageLocality.name: without_args(ImageLocality),
            DefaultBinder.name: without_args(DefaultBinder),
        }
    )


@cache
def installed() -> Registry:
    """Our own plugins and those of installed packages. Raises PluginError for two of one name, and whatever
    the import of a package raises."""
    registry = in_tree()
    for entry in entry_points(group=GROUP):
        factory = entry.load()
        if not callable(factory):
            raise PluginError(entry.name, f"{entry.value} is nothing that makes a plugin")
        registry.register(entry.name, cast("Factory", factory))
    return registry
