"""What the demo acts with: apply manifests, wait for the world to settle, show what the API server says of
it.

All of it goes through the host's API server, as a user's kubectl would; tables are the server's own.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from rich.console import Console

from nestling.api.json import JsonObject
from nestling.api.kinds import BY_PLURAL, EVENT, Kind
from nestling.cli.output import Column, Toned, plain_lines
from nestling.machinery.client import Client
from nestling.machinery.errors import Conflict, HostError, NestlingError, NotFound
from nestling.machinery.records.base import condition_is

AS_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
KIND_BY_NAME = {kind.name: kind for kind in BY_PLURAL.values()}


class Unsettled(NestlingError):
    """Something the demo waited for did not come about."""


class Stage:
    """One virtual cluster, seen from outside: `cluster` is its host namespace."""

    def __init__(self, client: Client, cluster: str, console: Console) -> None:
        self.client = client
        self.cluster = cluster
        self.console = console

    def say(self, text: str) -> None:
        """One line of the story."""
        self.console.print(text, highlight=False)

    def title(self, text: str) -> None:
        """Begin a scene."""
        self.console.print()
        rule = "─" * max(4, min(88, self.console.width - 4) - len(text))
        self.console.print(f"[bold]── {text} {rule}", highlight=False)

    async def apply(self, manifests: Iterable[JsonObject]) -> int:
        """Apply manifests server-side, in order. Returns how many."""
        count = 0
        for manifest in manifests:
            kind = KIND_BY_NAME[manifest["kind"]]
            name = manifest["metadata"]["name"]
            await self.client.patch(
                kind,
                self.cluster,
                name,
                manifest,
                how="apply",
                query={"fieldManager": "nestling-demo", "force": "true"},
            )
            count += 1
        return count

    async def patch(self, kind: Kind, name: str, body: JsonObject, *, subresource: str = "") -> JsonObject:
        """Merge-patch one object, as `kubectl patch` would."""
        return await self.client.patch(kind, self.cluster, name, body, subresource=subresource)

    async def list(self, kind: Kind, *, selector: str = "") -> list[JsonObject]:
        """All objects of a kind."""
        return (await self.client.list(kind, self.cluster, selector=selector)).items

    @asynccontextmanager
    async def waiting(self, what: str) -> AsyncGenerator[None]:
        """Say what we wait for, and afterwards how long it took."""
        started = time.monotonic()
        if self.console.is_terminal:
            with self.console.status(f"waiting until {what}"):
                yield
        else:
            yield
        self.say(f"   {what}: {time.monotonic() - started:.1f} s")

    async def until(
        self, what: str, settled: Callable[[], Awaitable[str]], *, within_s: float = 60.0
    ) -> None:
        """Ask `settled` until it returns an empty text. Raises Unsettled with its last answer."""
        deadline = time.monotonic() + within_s
        async with self.waiting(what):
            while True:
                missing = await settled()
                if not missing:
                    return
                if time.monotonic() > deadline:
                    raise Unsettled(f"waited {within_s:.0f} s until {what}, but {missing}")
                await asyncio.sleep(0.1)

    async def deployments_available(self) -> str:
        """What keeps the deployments from being rolled out, or an empty text."""
        behind: list[str] = []
        for found in await self.list(KIND_BY_NAME["VirtualDeployment"]):
            spec, status = found["spec"], found.get("status") or {}
            wanted = spec.get("replicas", 1)
            done = (
                status.get("observedGeneration") == found["metadata"]["generation"]
                and status.get("updatedReplicas", 0) == wanted
                and status.get("replicas", 0) == wanted
                and status.get("availableReplicas", 0) == wanted
            )
            if not done:
                behind.append(
                    f"{found['metadata']['name']} has {status.get('availableReplicas', 0)}/{wanted}"
                )
        return ", ".join(behind[:3])

    async def nodes_ready(self, wanted: int) -> str:
        """What keeps the nodes from being ready, or an empty text."""
        nodes = await self.list(KIND_BY_NAME["VirtualNode"])
        ready = sum(condition_is(node, "Ready") and not node["spec"].get("taints") for node in nodes)
        tainted = sum(bool(node["spec"].get("taints")) and condition_is(node, "Ready") for node in nodes)
        return "" if ready + tainted >= wanted else f"{ready + tainted} of {wanted} nodes are ready"

    async def show(
        self,
        kind: Kind,
        *,
        selector: str = "",
        rows: int = 12,
        columns: Sequence[str] = (),
        holding: str = "",
    ) -> None:
        """Print the server's own table of a kind, as kubectl would: chosen columns, cut to `rows`.

        With `holding`, only rows that hold this text, as `| grep` would leave them.
        """
        query = {"labelSelector": selector} if selector else {}
        answer = await self.client.call("GET", kind.path(self.cluster), query=query, accept=AS_TABLE)
        defined: list[JsonObject] = answer["columnDefinitions"]
        chosen = [
            index
            for index, column in enumerate(defined)
            if (column["name"] in columns if columns else not column.get("priority"))
        ]
        found = [
            row for row in answer.get("rows") or [] if any(holding in str(cell) for cell in row["cells"])
        ]
        self.table(
            [str(defined[index]["name"]).upper() for index in chosen],
            ([row["cells"][index] for index in chosen] for row in found[:rows]),
        )
        if len(found) > rows:
            self.say(f"[dim]   … and {len(found) - rows} more[/dim]")

    def table(self, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print a table, as wide as it is."""
        cells = [[Toned(_cell(value)) for value in row] for row in rows]
        for line in plain_lines([Column(title) for title in header], cells, headers=True):
            self.console.print(f"   {line}", highlight=False, markup=False)

    async def events_of(self, host_name: str, *, limit: int = 6) -> None:
        """Print the newest events of one object."""
        found = await self.client.list(EVENT, self.cluster, fields=f"involvedObject.name={host_name}")
        # Events of one second are told apart by when the host took them.
        newest = sorted(
            found.items,
            key=lambda event: (str(event.get("lastTimestamp")), int(event["metadata"]["resourceVersion"])),
        )[-limit:]
        self.table(
            ("TYPE", "REASON", "FROM", "MESSAGE"),
            (
                [event["type"], event["reason"], event["source"]["component"], event["message"]]
                for event in newest
            ),
        )

    async def has_cluster(self) -> bool:
        """Whether the host namespace is there."""
        try:
            await self.client.call("GET", f"/api/v1/namespaces/{self.cluster}")
        except NotFound:
            return False
        return True

    async def drop_cluster(self, *, within_s: float = 60.0) -> None:
        """Delete the host namespace and wait until it is gone."""
        path = f"/api/v1/namespaces/{self.cluster}"
        try:
            await self.client.call("DELETE", path)
        except NotFound:
            return
        except Conflict:
            pass  # it is on its way already

        async def gone() -> str:
            try:
                await self.client.call("GET", path)
            except NotFound:
                return ""
            except HostError as error:
                return error.message
            return "it is still there"

        await self.until("the host namespace is gone", gone, within_s=within_s)


def _cell(value: Any) -> str:
    return "<none>" if value is None or value == "" else str(value)
