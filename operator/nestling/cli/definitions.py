"""The CustomResourceDefinitions on the host: compare with ours, create or update, wait until they serve.

Every write is conditional: a create meets what exists as a conflict, an update names the resourceVersion it
was decided on. So two installs at once, or one that was killed half-way, end in the same state.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal, TypeAlias

from nestling.api.json import JsonObject, JsonValue
from nestling.api.kinds import GROUP, Kind
from nestling.cli import exit_codes
from nestling.cli.problem import Problem
from nestling.cli.together import together
from nestling.machinery.client import Client
from nestling.machinery.errors import Conflict, NotFound, Unavailable

DEFINITION: Final = Kind(
    "CustomResourceDefinition", "customresourcedefinitions", group="apiextensions.k8s.io", version="v1"
)
Outcome: TypeAlias = Literal["created", "changed", "unchanged"]

POLL_S: Final = 0.2
_ATTEMPTS: Final = 5
_AT_ONCE: Final = 4  # a server compiles the rules of each: more at once only queue there


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of one definition, or of the host namespace (`namespace/NAME`)."""

    name: str
    outcome: Outcome

    @property
    def is_namespace(self) -> bool:
        """Whether this is the host namespace, which is none of our kinds."""
        return self.name.startswith("namespace/")


@cache
def ours() -> Mapping[str, JsonObject]:
    """The definitions that belong to this version, by name."""
    from nestling.api.crds import load_crds  # reads 3 MB of YAML

    try:
        return {crd["metadata"]["name"]: crd for crd in load_crds()}
    except FileNotFoundError as error:
        raise Problem(str(error), next_step="install Nestling again, its files are not complete") from error


def path(name: str = "") -> str:
    """Path of one definition, or of all."""
    return DEFINITION.path(None, name)


async def installed(client: Client) -> dict[str, JsonObject]:
    """The definitions of our group on the host, by name; also those that this version no longer has."""
    listing = await client.list(DEFINITION)
    return {
        crd["metadata"]["name"]: crd for crd in listing.items if crd.get("spec", {}).get("group") == GROUP
    }


def differs(wanted: JsonObject, live: JsonObject) -> bool:
    """Whether the live definition is not the wanted one; what a server fills in itself does not count."""
    spec = {field: entry for field, entry in live["spec"].items() if field in wanted["spec"]}
    return _plain(spec) != _plain(wanted["spec"])


def trouble(live: JsonObject) -> str:
    """Why a definition does not serve yet, empty when it does."""
    if live["metadata"].get("deletionTimestamp"):
        return "it is being deleted"
    conditions: Mapping[str, JsonObject] = {
        condition["type"]: condition for condition in (live.get("status") or {}).get("conditions") or ()
    }
    accepted = conditions.get("NamesAccepted", {})
    if accepted.get("status") == "False":
        return str(accepted.get("message") or "its names are taken")
    established = conditions.get("Established", {})
    return "" if established.get("status") == "True" else "the API server has not established it yet"


async def apply_all(
    client: Client, wanted: Mapping[str, JsonObject], *, dry_run: bool = False
) -> list[Applied]:
    """Create or update every definition; a few at a time."""

    async def one(name: str) -> Applied:
        return Applied(name, await _apply(client, wanted[name], dry_run=dry_run))

    return await together((one(name) for name in sorted(wanted)), at_once=_AT_ONCE)


async def wait_until_served(
    client: Client, kinds: Mapping[str, Kind], *, timeout_s: float, tell: Callable[[str], None]
) -> None:
    """Wait until the definitions of `kinds` (by name) are established and answer. Raises Problem in time."""
    waiting = dict.fromkeys(kinds, "the API server does not answer")
    try:
        async with asyncio.timeout(timeout_s):
            while waiting := await _not_served(client, {name: kinds[name] for name in waiting}):
                name, why = next(iter(waiting.items()))
                tell(f"waiting for {len(waiting)} of {len(kinds)} kinds; {name}: {why}")
                await asyncio.sleep(POLL_S)
    except TimeoutError as error:
        name, why = next(iter(waiting.items()))
        raise Problem(
            f"not all kinds are served after {timeout_s:g} s: {name}: {why}",
            next_step="run `nestling install` again; it goes on where it stopped",
            exit_code=exit_codes.UNAVAILABLE,
        ) from error


async def _apply(client: Client, definition: JsonObject, *, dry_run: bool) -> Outcome:
    name = definition["metadata"]["name"]
    query = {"dryRun": "All"} if dry_run else {}
    for attempt in range(_ATTEMPTS):
        try:
            live = await client.call("GET", path(name))
        except NotFound:
            try:
                await client.call("POST", path(), body=definition, query=query)
            except Conflict:  # somebody else was faster: look again
                continue
            return "created"
        if live["metadata"].get("deletionTimestamp"):
            raise Problem(
                f"{name} is being deleted",
                next_step="wait until `nestling uninstall` is through, then install again",
                exit_code=exit_codes.UNAVAILABLE,
            )
        if not differs(definition, live):
            return "unchanged"
        changed = {**live, "spec": {**definition["spec"]}}
        changed.pop("status", None)
        try:
            await client.call("PUT", path(name), body=changed, query=query)
        except Conflict:
            await asyncio.sleep(POLL_S * attempt)
            continue
        return "changed"
    raise Unavailable(f"{name} keeps changing while it is being updated", status=409)


async def _not_served(client: Client, kinds: Mapping[str, Kind]) -> dict[str, str]:
    """Definitions that cannot be used yet, with the reason.

    Asks each kind itself once it is established: a server says established a moment before it serves.
    """

    async def look(name: str, kind: Kind) -> tuple[str, str]:
        try:
            why = trouble(await client.call("GET", path(name)))
            if not why:
                await client.call("GET", kind.path(), query={"limit": "1"})
        except (NotFound, Unavailable):
            return name, "the API server does not serve it yet"
        return name, why

    answers = await together(look(name, kind) for name, kind in kinds.items())
    return {name: why for name, why in answers if why}


def _plain(value: JsonValue) -> JsonValue:
    """JSON without what servers drop or add: empty lists and maps, nulls, and the conversion default."""
    if isinstance(value, dict):
        plain = {key: _plain(entry) for key, entry in value.items()}
        return {key: entry for key, entry in plain.items() if entry not in (None, [], {})}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return value
