"""Remove every object of our kinds, and the kinds, from a host on which nobody may be left to help.

Objects are asked to go, owners before what they own. An operator that is alive drops its finalizers by
itself; when nobody has within a grace period, the finalizers that are Nestling's are taken away here.
Finalizers of others are theirs: they are named, and the removal says that it could not finish. Nothing here
waits without a deadline.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from nestling.api.json import JsonObject
from nestling.api.kinds import (
    CLUSTER,
    CONTROLLER_REVISION,
    CRON_JOB,
    DAEMON_SET,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    GROUP,
    JOB,
    NAMESPACE,
    NODE,
    NODE_POOL,
    POD,
    POD_DISRUPTION_BUDGET,
    PRIORITY_CLASS,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    SERVICE,
    STATEFUL_SET,
    VERSION,
    Kind,
)
from nestling.cli import definitions
from nestling.cli.together import together
from nestling.machinery.client import Client
from nestling.machinery.errors import Conflict, NotFound, Refused

# Who makes others goes before what it makes, so that nothing is made anew; who rules the cluster goes last.
ORDER: Final[Sequence[Kind]] = (
    CRON_JOB, DEPLOYMENT, STATEFUL_SET, DAEMON_SET, JOB, REPLICA_SET, REPLICATION_CONTROLLER, SERVICE,
    NODE_POOL, POD_DISRUPTION_BUDGET, CONTROLLER_REVISION, ENDPOINT_SLICE, POD, NODE, NAMESPACE,
    PRIORITY_CLASS, CLUSTER,
)  # fmt: skip
# Set by the host's own garbage collection, which may not be running either.
_OF_THE_HOST: Final = frozenset({"foregroundDeletion", "orphan"})
POLL_S: Final = 0.2
_AT_ONCE: Final = 16


@dataclass(slots=True)
class Report:
    """What was done. `held` says of objects that cannot go what keeps them."""

    deleted: Counter[str] = field(default_factory=Counter[str])
    stripped: Counter[str] = field(default_factory=Counter[str])
    definitions: list[str] = field(default_factory=list[str])
    held: dict[str, str] = field(default_factory=dict[str, str])
    left: Counter[str] = field(default_factory=Counter[str])

    @property
    def complete(self) -> bool:
        """Whether nothing is left."""
        return not self.left and not self.held


def is_ours(finalizer: str) -> bool:
    """Whether a finalizer on one of our objects is ours (or the host's garbage collector's) to take away."""
    return finalizer in _OF_THE_HOST or finalizer.partition("/")[0] == GROUP


def kinds_of(live: Iterable[JsonObject]) -> list[Kind]:
    """The kinds that these definitions serve, owners first; kinds of older versions come before all."""
    known = {kind.plural: kind for kind in ORDER}
    found: list[Kind] = []
    for definition in live:
        plural = definition["spec"]["names"]["plural"]
        kind = known.get(plural)
        if kind is None:
            served = [v["name"] for v in definition["spec"]["versions"] if v.get("served")]
            kind = Kind(definition["spec"]["names"]["kind"], plural, version=served[0] if served else VERSION)
        found.append(kind)
    rank = {kind.plural: index for index, kind in enumerate(ORDER)}
    return sorted(found, key=lambda kind: rank.get(kind.plural, -1))


async def count(client: Client, kinds: Sequence[Kind], spaces: Sequence[str]) -> Counter[Kind]:
    """How many objects there are of each kind."""
    found = await _all(client, kinds, spaces)
    return Counter({kind: len(items) for kind, items in found.items() if items})


async def remove_objects(
    client: Client,
    kinds: Sequence[Kind],
    spaces: Sequence[str],
    report: Report,
    *,
    grace_s: float,
    deadline: float,
    tell: Callable[[str], None],
) -> None:
    """Delete the objects of `kinds` in `spaces` (all host namespaces if empty) until none is left.

    `deadline` is on the monotonic clock. What is left by then stands in the report.
    """
    patience = time.monotonic() + grace_s
    asked: set[str] = set()
    while True:
        found = await _all(client, kinds, spaces)
        report.left = Counter({kind.plural: len(items) for kind, items in found.items() if items})
        if not report.left:
            report.held.clear()
            return
        now = time.monotonic()
        if now >= deadline:
            return
        tell(f"waiting for {report.left.total()} objects to go: {_counts(report.left)}")
        for kind in kinds:
            fresh = [item for item in found[kind] if item["metadata"]["uid"] not in asked]
            await together((_delete(client, kind, item) for item in fresh), at_once=_AT_ONCE)
            asked.update(item["metadata"]["uid"] for item in fresh)
            report.deleted[kind.plural] += len(fresh)
        if now >= patience:
            report.held.clear()
            for kind in kinds:
                stuck = [item for item in found[kind] if item["metadata"].get("finalizers")]
                await together((_strip(client, kind, item, report) for item in stuck), at_once=_AT_ONCE)
            if report.held and report.left.total() == len(report.held):
                return  # all that is left is held by others: waiting longer is up to them
        await asyncio.sleep(POLL_S)


async def remove_definitions(
    client: Client, names: Sequence[str], report: Report, *, deadline: float, tell: Callable[[str], None]
) -> None:
    """Delete definitions and wait until they are gone, or `deadline` on the monotonic clock."""
    left = list(names)
    await together((_delete_definition(client, name) for name in left), at_once=_AT_ONCE)
    while True:
        live = await _named(client, left)
        gone = [name for name in left if name not in live]
        report.definitions.extend(gone)
        left = [name for name in left if name in live]
        report.left = Counter(dict.fromkeys(left, 1))
        if not left or time.monotonic() >= deadline:
            return
        tell(f"waiting for {len(left)} kinds to go, such as {left[0]}")
        # An operator that is still alive may have made something after we looked.
        for kind in kinds_of(live[name] for name in left):
            for item in await _list(client, kind, ""):
                if item["metadata"].get("finalizers"):
                    await _strip(client, kind, item, report)
        await asyncio.sleep(POLL_S)


async def _delete_definition(client: Client, name: str) -> None:
    try:
        await client.call("DELETE", definitions.path(name))
    except NotFound:
        return


async def _named(client: Client, names: Sequence[str]) -> dict[str, JsonObject]:
    """Those of the definitions that are still there."""

    async def look(name: str) -> JsonObject | None:
        try:
            return await client.call("GET", definitions.path(name))
        except NotFound:
            return None

    found = await together(look(name) for name in names)
    return {name: live for name, live in zip(names, found, strict=True) if live is not None}


async def _all(client: Client, kinds: Sequence[Kind], spaces: Sequence[str]) -> dict[Kind, list[JsonObject]]:
    async def of(kind: Kind) -> list[JsonObject]:
        found = await together(_list(client, kind, space) for space in (spaces or ("",)))
        return [item for items in found for item in items]

    lists = await together(of(kind) for kind in kinds)
    return dict(zip(kinds, lists, strict=True))


async def _list(client: Client, kind: Kind, space: str) -> list[JsonObject]:
    try:
        return (await client.list(kind, space or None, metadata_only=True)).items
    except NotFound:  # the kind is gone, and its objects with it
        return []


async def _delete(client: Client, kind: Kind, item: JsonObject) -> None:
    metadata = item["metadata"]
    if metadata.get("deletionTimestamp"):
        return
    try:
        await client.delete(kind, metadata["namespace"], metadata["name"], uid=metadata["uid"])
    except (NotFound, Conflict):  # gone, or another one of that name, which the next look will find
        return


async def _strip(client: Client, kind: Kind, item: JsonObject, report: Report) -> None:
    """Take our finalizers off one object that is being deleted."""
    metadata = item["metadata"]
    if not metadata.get("deletionTimestamp"):
        return
    others = [name for name in metadata["finalizers"] if not is_ours(name)]
    title = f"{kind.plural}/{metadata['namespace']}/{metadata['name']}"
    if others:
        report.held[title] = f"finalizer {', '.join(others)} is not Nestling's"
    if len(others) == len(metadata["finalizers"]):
        return
    body = {"metadata": {"finalizers": others or None, "resourceVersion": metadata["resourceVersion"]}}
    try:
        await client.patch(kind, metadata["namespace"], metadata["name"], body)
    except (NotFound, Conflict):
        return
    except Refused as error:
        report.held[title] = f"the host refuses to let it go: {error.message}"
        return
    report.stripped[kind.plural] += 1


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {plural}" for plural, number in counts.most_common(4))
