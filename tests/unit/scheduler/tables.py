"""Small node tables and pod classes for scheduler tests; a case says only what matters to it."""

from collections.abc import Mapping
from typing import Any

from nestling.api.json import JsonObject
from nestling.scheduler.framework import FilterPlugin
from nestling.scheduler.podclass import Classes, PodClass
from nestling.scheduler.resources import allocatable
from nestling.scheduler.table import ALL, NodeFacts, NodeTable, NodeTaint

ROOM: JsonObject = {"cpu": "4", "memory": "8Gi", "ephemeral-storage": "100Gi", "pods": "110"}


def facts(
    name: str = "n1",
    *,
    labels: Mapping[str, str] | None = None,
    taints: tuple[tuple[str, str, str], ...] = (),
    unschedulable: bool = False,
    gpus: str = "",
    **room: str,
) -> NodeFacts:
    """A node of 4 CPUs and 8 GiB; `room` changes resources, `gpus` adds some x.io/gpu."""
    amounts = {**ROOM, **room, **({"x.io/gpu": gpus} if gpus else {})}
    return NodeFacts(
        name,
        allocatable(amounts),
        labels or {},
        tuple(NodeTaint(*taint) for taint in taints),
        unschedulable,
    )


def a_table(*nodes: NodeFacts) -> NodeTable:
    """A table with these nodes, in rows 0, 1, 2 and so on."""
    table = NodeTable()
    for node in nodes:
        table.put_node(node)
    return table


def requests(**amounts: str) -> JsonObject:
    """A container that requests these amounts."""
    return {"name": "main", "resources": {"requests": amounts}}


def a_class(*containers: JsonObject, **spec: Any) -> PodClass:
    """A pod class of these containers, or of one that requests nothing."""
    return Classes().of({"containers": list(containers) or [{"name": "main"}], **spec})


def refusals(plugin: FilterPlugin, pods: PodClass, table: NodeTable) -> dict[str, tuple[str, ...]]:
    """Node name -> reasons, for the nodes that the plugin refuses."""
    state = plugin.prepare(pods, table)
    if state is None:
        return {}
    codes = plugin.filter(state, table, ALL)
    return {
        name: plugin.reasons(int(codes[row]), pods, table)
        for name, row in table.row_of.items()
        if table.alive[row] and codes[row]
    }
