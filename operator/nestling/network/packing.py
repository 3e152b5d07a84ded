"""Put endpoints into slices of at most a hundred with as few writes as possible.

Endpoints stay where they are. What is new goes into slices that have to be written anyway, the fullest
first; what is left then goes into the one untouched slice that it fills best, or into new slices. A slice
that loses its last endpoint goes. Slices are never rearranged to be fuller.
Source: Kubernetes 1.37, k8s.io/endpointslice reconciler.go (reconcileByPortMapping).
"""

from dataclasses import dataclass, field
from typing import Final

from nestling.api.json import JsonObject
from nestling.network.endpoint import Identity, identity_of

MOST_ENDPOINTS: Final = 100


@dataclass(slots=True)
class Stored:
    """The endpoints of one slice that exists, by the slice's name."""

    name: str
    endpoints: list[JsonObject]


@dataclass(slots=True)
class Packing:
    """What to do: new contents by name, contents of new slices, and names of slices to drop."""

    updates: dict[str, list[JsonObject]] = field(default_factory=dict[str, list[JsonObject]])
    creates: list[list[JsonObject]] = field(default_factory=list[list[JsonObject]])
    drops: list[str] = field(default_factory=list[str])


def pack(stored: list[Stored], desired: dict[Identity, JsonObject], *, most: int = MOST_ENDPOINTS) -> Packing:
    """Distribute the `desired` endpoints over the `stored` slices of the same family and ports."""
    left = dict(desired)
    packing = Packing()
    untouched: dict[str, list[JsonObject]] = {}
    for one in stored:
        kept: list[JsonObject] = []
        for endpoint in one.endpoints:
            wanted = left.pop(identity_of(endpoint), None)
            if wanted is not None:
                kept.append(wanted)
        if kept == one.endpoints:
            untouched[one.name] = kept
        elif kept:
            packing.updates[one.name] = kept
        else:
            packing.drops.append(one.name)

    rest = list(left.values())
    for contents in sorted(packing.updates.values(), key=len, reverse=True):
        room = max(most - len(contents), 0)
        contents.extend(rest[:room])
        del rest[:room]
    while rest:
        fitting = [
            name
            for name, contents in untouched.items()
            if len(rest) < most and len(contents) + len(rest) <= most
        ]
        if fitting:
            best = max(fitting, key=lambda name: len(untouched[name]))
            packing.updates[best] = [*untouched.pop(best), *rest]
            break
        packing.creates.append(rest[:most])
        del rest[:most]
    return packing
