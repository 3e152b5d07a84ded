"""Make room for a pod that found no node, by removing less important ones.

The plugin is the arguments, and the place in a profile; the search is in `preemption`, the doing in the lane.
Source: Kubernetes 1.37, plugins/defaultpreemption/default_preemption.go.
"""

from typing import ClassVar, Final

from nestling.api.json import JsonObject
from nestling.scheduler.extension import PostFilterPlugin
from nestling.scheduler.preemption import PreemptionArgs

_PERCENTAGE: Final = "minCandidateNodesPercentage"
_ABSOLUTE: Final = "minCandidateNodesAbsolute"


class DefaultPreemption(PostFilterPlugin):
    """Look for victims on so many nodes at least: a share of those that could help, and a number."""

    name: ClassVar[str] = "DefaultPreemption"

    def __init__(self, args: JsonObject) -> None:
        """Read the arguments. Raises ValueError for what makes no sense."""
        unknown = args.keys() - {_PERCENTAGE, _ABSOLUTE, "apiVersion", "kind"}
        if unknown:
            raise ValueError(f"it has no argument {min(unknown)!r}; there are {_PERCENTAGE} and {_ABSOLUTE}")
        plain = PreemptionArgs()
        percentage = _whole(args, _PERCENTAGE, plain.percentage)
        absolute = _whole(args, _ABSOLUTE, plain.absolute)
        if not 0 <= percentage <= 100:
            raise ValueError(f"{_PERCENTAGE} is {percentage}, which is not within 0 to 100")
        if absolute < 0:
            raise ValueError(f"{_ABSOLUTE} is {absolute}, which is less than 0")
        if percentage == absolute == 0:
            raise ValueError(f"{_PERCENTAGE} and {_ABSOLUTE} are both 0: raise one of them")
        self.args = PreemptionArgs(percentage, absolute)


def _whole(args: JsonObject, name: str, default: int) -> int:
    value = args.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} is {value!r}, which is no whole number")
    return value
