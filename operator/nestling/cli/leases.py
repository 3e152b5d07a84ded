"""Who runs the operator, and which host namespaces it serves, as far as its Leases tell.

In: the Leases of a host. Out: a sighting per role. A leader's Lease lies where the operator keeps them, which
need not be a namespace that it serves; a kubelet's heartbeat lies in each one it serves, so it alone proves
that somebody does. Nobody gives a heartbeat back: it looks fresh for a while after its kubelet has ended, and
so it only counts if it outlived the leaders that are gone.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from nestling.api.json import JsonObject
from nestling.cli import age

LEADERS: Final = "nestling-leader-"
KUBELETS: Final = "nestling-kubelet-"
HEARTBEAT: Final = "kubelet heartbeat"
_DURATION_S: Final = 15.0  # of a Lease that does not say; a leader's


@dataclass(frozen=True, slots=True)
class Sighting:
    """One Lease: what it says, where, whether it still holds, and since when nobody has renewed it."""

    namespace: str
    name: str
    alive: bool
    renewed: dt.datetime | None
    duration: dt.timedelta
    seen: str

    @property
    def beats(self) -> bool:
        """Whether it is the heartbeat of a kubelet."""
        return self.name.startswith(KUBELETS)

    @property
    def role(self) -> str:
        """What people call it."""
        return HEARTBEAT if self.beats else self.name.removeprefix(LEADERS)


def sightings(leases: Iterable[JsonObject], now: dt.datetime) -> list[Sighting]:
    """The operator's Leases among `leases`."""
    told = [
        _read(lease, now) for lease in leases if lease["metadata"]["name"].startswith((LEADERS, KUBELETS))
    ]
    leaders = [one for one in told if not one.beats]
    return [replace(one, alive=False) if one.beats and _is_orphan(one, leaders) else one for one in told]


def about(told: Sequence[Sighting], namespace: str) -> list[Sighting]:
    """What concerns `namespace` (empty: all): its heartbeats, and its leaders, or else those elsewhere."""
    if not namespace:
        return list(told)
    beats = [one for one in told if one.beats and one.namespace == namespace]
    leaders = [one for one in told if not one.beats]
    here = [one for one in leaders if one.namespace == namespace]
    return [*(here if any(one.alive for one in here) else leaders), *beats]


def served(told: Iterable[Sighting]) -> set[str]:
    """The host namespaces in which a kubelet beats."""
    return {one.namespace for one in told if one.beats and one.alive}


def _is_orphan(beat: Sighting, leaders: Sequence[Sighting]) -> bool:
    """Whether nobody may have renewed this heartbeat since its leaders went.

    Its leaders are those of its own shard and namespace, or else the nearest that are known. Without an
    election there are none, and the heartbeat speaks for itself.
    """
    shard = f"{LEADERS}kubelet-{beat.name.removeprefix(KUBELETS)}"
    near = [one for one in leaders if one.namespace == beat.namespace]
    ever = [one for one in leaders if one.name == shard]
    known = [one for one in near if one.name == shard] or ever or near or leaders
    ends = [one.renewed + one.duration for one in known if one.renewed is not None]
    if beat.renewed is None or not ends or any(one.alive for one in known):
        return False
    return beat.renewed <= max(ends)


def _read(lease: JsonObject, now: dt.datetime) -> Sighting:
    meta, spec = lease["metadata"], lease.get("spec") or {}
    duration = dt.timedelta(seconds=float(spec.get("leaseDurationSeconds") or _DURATION_S))
    renewed = age.parse(spec.get("renewTime"))
    alive = renewed is not None and bool(spec.get("holderIdentity")) and now - renewed <= duration
    seen = "an unknown time" if renewed is None else age.human((now - renewed).total_seconds())
    return Sighting(meta["namespace"], meta["name"], alive, renewed, duration, seen)
