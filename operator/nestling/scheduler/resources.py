"""What one pod asks of a node, in the units of the node table.

Reads a pod spec; answers whole numbers (milli-CPU, bytes, items). Computed once per pod class, so exact
fractions are affordable: containers are added before anything is rounded.
Source: Kubernetes 1.37, pkg/scheduler/util/pod_resources.go.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, TypeAlias

from nestling.api.json import JsonObject
from nestling.api.quantity import parse
from nestling.api.requests import has_pod_level, pod_requests

CPU: Final = "cpu"
MEMORY: Final = "memory"
EPHEMERAL_STORAGE: Final = "ephemeral-storage"
PODS: Final = "pods"

# A container that says nothing counts as this much, in scores alone: so pods without requests spread out too.
UNSAID: Final[Mapping[str, Fraction]] = {CPU: Fraction(1, 10), MEMORY: Fraction(200 * 1024 * 1024)}

# Beyond it a number is nonsense, and int64 columns that add or multiply it by 100 would wrap around.
LARGEST: Final = 2**53

Amounts: TypeAlias = dict[str, Fraction]


@dataclass(frozen=True, slots=True)
class Demand:
    """Requests of one pod: `amounts` in column units by resource, in the order of filtering, without zeros.

    `scored` are the incoming pod's for scoring, `counted_cpu` and `counted_memory` what it adds to its node's
    column for scoring; they differ only for pods with pod-level resources.
    """

    amounts: Mapping[str, int]
    scored: Mapping[str, int]
    counted_cpu: int
    counted_memory: int

    @classmethod
    def of(cls, spec: JsonObject) -> "Demand":
        """The demand of a pod spec. Raises ValueError with a sentence that names container and quantity."""
        plain = pod_requests(spec, _amounts)
        # LeastAllocated of 1.37 looks past an incoming pod's pod-level resources, a node's account does not:
        # the original forgets a feature gate (found by tests/differential/test_scheduler_plugins.py).
        scored = counted = pod_requests(spec, _amounts, unsaid=UNSAID, pod_level=False)
        if has_pod_level(spec):
            missing = {name: unsaid for name, unsaid in UNSAID.items() if name not in plain}
            counted = pod_requests(spec, _amounts, unsaid=missing)
        amounts = {name: in_units(name, plain[name]) for name in sorted(plain, key=_filter_order)}
        return cls(
            {name: amount for name, amount in amounts.items() if amount > 0 and counts(name)},
            {name: in_units(name, amount) for name, amount in scored.items()},
            in_units(CPU, counted.get(CPU, Fraction(0))),
            in_units(MEMORY, counted.get(MEMORY, Fraction(0))),
        )


NOTHING: Final = Demand({}, {}, 0, 0)


def allocatable(amounts: JsonObject) -> dict[str, int]:
    """A node's allocatable in column units, without the quantities that cannot be read."""
    found: dict[str, int] = {}
    for name, text in amounts.items():
        try:
            found[name] = in_units(name, parse(text))
        except ValueError:
            continue
    return found


def in_units(name: str, amount: Fraction) -> int:
    """Whole milli-CPU, bytes or items, rounded up and kept within 0..2^53."""
    scaled = amount * 1000 if name == CPU else amount
    return max(0, min(-(-scaled.numerator // scaled.denominator), LARGEST))


def counts(name: str) -> bool:
    """Whether the scheduler counts a resource: built-in, extended, huge pages, attachable volumes.

    A short name without a slash that Kubernetes does not know (`foo`) is let through uncounted, as upstream
    does.
    """
    return (
        name in {CPU, MEMORY, EPHEMERAL_STORAGE}
        or "/" in name
        or name.startswith(("hugepages-", "attachable-volumes-"))
    )


def _amounts(quantities: JsonObject, whose: str) -> Amounts:
    amounts: Amounts = {}
    for name, text in quantities.items():
        try:
            amounts[name] = parse(text)
        except ValueError:
            raise ValueError(
                f"{whose} requests {name} of {str(text)[:64]!r}, which is not a quantity"
            ) from None
        if amounts[name] < 0:
            raise ValueError(f"{whose} requests {name} of {str(text)[:64]!r}, which is less than nothing")
    return amounts


_BUILT_IN: Final = (CPU, MEMORY, EPHEMERAL_STORAGE)


def _filter_order(name: str) -> tuple[int, str]:
    return (_BUILT_IN.index(name) if name in _BUILT_IN else len(_BUILT_IN), name)


def totals(demands: Iterable[Demand]) -> dict[str, int]:
    """Sum of several pods' requests by resource: what a node would have to hold for all of them."""
    found: dict[str, int] = {}
    for demand in demands:
        for name, amount in demand.amounts.items():
            found[name] = found.get(name, 0) + amount
    return found
