"""The two shapes of a loop: a controller that is asked key by key, and a machine with a state of its own.

Both are pure: they look at records, the time and what they were told, and answer with plans. Whoever drives
them (see `driver`) does the waiting and the writing, so a test can be the driver.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from nestling.api.kinds import Kind
from nestling.machinery.cache import Change
from nestling.machinery.errors import HostError
from nestling.machinery.measure import Metric
from nestling.machinery.names import Key, key_of
from nestling.machinery.plan import Plan
from nestling.machinery.view import View


@dataclass(frozen=True, slots=True)
class Route:
    """Which keys of a controller a change concerns, and how long to gather more of the same before looking.

    `delay_s` is for followers that only add up (a count in a status): many changes within it make one look.
    `delay`, in its place, is for what a change puts off; it gives seconds.
    """

    keys: Callable[[View, Change], Iterable[Key]]
    delay_s: float = 0.0
    delay: Callable[[View, Change], float] | None = None


@dataclass(frozen=True, slots=True)
class Controller:
    """A loop without memory: what it decides, and whose changes concern it.

    `name` is its queue and its metric label; `api.controllers` says which name in
    `VirtualCluster.spec.controllers` switches it. Keys of a `lane` are decided and written one after the
    other, for what they share out; None: each key by itself. `metrics` are all that its plans count in.
    """

    name: str
    reconcile: Callable[[View, Key], Plan]
    concerns: Mapping[Kind, tuple[Route, ...]] = field(default_factory=dict[Kind, tuple[Route, ...]])
    lane: Callable[[Key], Hashable] | None = None
    metrics: tuple[Metric, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of asking: HTTP status and body, or in `error` why there is no answer (status 0)."""

    status: int = 0
    body: bytes = b""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a plan went: how many of its writes were done, and what stopped the rest (None if nothing did).

    `answers` has one for each thing that the plan asked.
    """

    done: int
    error: HostError | None = None
    answers: tuple[Answer, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every write of the plan succeeded."""
        return self.error is None


class Machine(Protocol):
    """A loop with a state of its own, which it can build anew from the cache at any time.

    Scheduler, kubelet.
    """

    name: str

    def observe(self, change: Change) -> None:
        """Take note of one change; also called for every object known at the start."""
        ...

    def step(self, now: float) -> list[Plan]:
        """Decide what is due at `now` (seconds since 1970, UTC).

        Plans run side by side; each is about one object.
        """
        ...

    def settle(self, plan: Plan, outcome: Outcome, now: float) -> None:
        """Learn how a plan that `step` returned went."""
        ...

    def wake_at(self) -> float | None:
        """When `step` has something to do without further changes.

        `now` or earlier means at once, None never.
        """
        ...


def own_key(_view: View, change: Change) -> Iterable[Key]:
    """The changed object itself."""
    return (change.key,)


def owner_key(kind: Kind) -> Callable[[View, Change], Iterable[Key]]:
    """The controller of the changed object, if it is of `kind`; the old controller too when it was let go."""

    def keys(_view: View, change: Change) -> Iterable[Key]:
        found: dict[Key, None] = {}
        for record in (change.old, change.new):
            owner = record.controller if record is not None else None
            if owner is not None and owner.kind == kind.name:
                found[key_of(kind, change.key.cluster, owner.name)] = None
        return found

    return keys
