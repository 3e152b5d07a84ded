"""`nestling cordon`, `uncordon` and `drain`: take virtual nodes out of service, and put them back.

Does what kubectl does to native nodes, in the same words. A drain evicts: it asks the disruption budgets, and
waits where they say no. The host knows no eviction of our pods, so the budgets are asked here (see
`controllers.eviction`).
Source: Kubernetes 1.37, kubectl/pkg/cmd/drain, kubectl/pkg/drain.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import typer

from nestling.api.json import JsonObject
from nestling.api.kinds import DAEMON_SET, NODE, POD, POD_DISRUPTION_BUDGET
from nestling.cli import draining, duration, exit_codes, output, session
from nestling.cli.draining import Wishes, display
from nestling.cli.problem import Problem
from nestling.cli.workload import printed
from nestling.machinery.errors import Conflict, NotFound

if TYPE_CHECKING:
    from nestling.controllers.eviction import Denied, Granted
    from nestling.machinery.client import Client

# How long a drain waits before it asks a budget again; and how often it looks whether pods are gone.
RETRY_S: Final = 5.0
POLL_S: Final = 1.0

NodesArgument = Annotated[list[str] | None, typer.Argument(metavar="NODE...", help="Names of virtual nodes.")]
SelectorOption = Annotated[str, typer.Option("--selector", "-l", help="Nodes with these labels instead.")]


def cordon(
    nodes: NodesArgument = None,
    namespace: session.NamespaceOption = "",
    selector: SelectorOption = "",
    kubeconfig: session.KubeconfigOption = None,
    context: session.ContextOption = None,
) -> None:
    """Mark nodes as unschedulable: what runs there stays, nothing new comes."""
    _mark(nodes, selector, namespace, unschedulable=True, kubeconfig=kubeconfig, context=context)


def uncordon(
    nodes: NodesArgument = None,
    namespace: session.NamespaceOption = "",
    selector: SelectorOption = "",
    kubeconfig: session.KubeconfigOption = None,
    context: session.ContextOption = None,
) -> None:
    """Mark nodes as schedulable again."""
    _mark(nodes, selector, namespace, unschedulable=False, kubeconfig=kubeconfig, context=context)


def drain(
    nodes: NodesArgument = None,
    namespace: session.NamespaceOption = "",
    selector: SelectorOption = "",
    force: Annotated[
        bool, typer.Option("--force", help="Go on even if there are pods that declare no controller.")
    ] = False,
    ignore_daemonsets: Annotated[
        bool, typer.Option("--ignore-daemonsets", help="Leave pods of DaemonSets where they are.")
    ] = False,
    delete_emptydir_data: Annotated[
        bool, typer.Option("--delete-emptydir-data", help="Go on even if there are pods using emptyDir.")
    ] = False,
    disable_eviction: Annotated[
        bool, typer.Option("--disable-eviction", help="Delete instead of evicting: no budget is asked.")
    ] = False,
    grace_period: Annotated[
        int, typer.Option(help="Seconds that each pod has to stop; if negative, what the pod says.")
    ] = -1,
    timeout: Annotated[
        str, typer.Option(help="How long to wait before giving up, such as 90s or 5m; 0 for ever.")
    ] = "0",
    pod_selector: Annotated[str, typer.Option(help="Only pods with these labels.")] = "",
    skip_wait_for_delete_timeout: Annotated[
        int, typer.Option(help="Do not wait for pods whose deletion began more than so many seconds ago.")
    ] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    kubeconfig: session.KubeconfigOption = None,
    context: session.ContextOption = None,
) -> None:
    """Empty nodes for maintenance: cordon them, then evict their pods as disruption budgets allow."""
    limit_s = duration.seconds(timeout)
    wishes = Wishes(
        force=force,
        ignore_daemonsets=ignore_daemonsets,
        delete_emptydir_data=delete_emptydir_data,
        skip_deleted_after_s=skip_wait_for_delete_timeout,
    )
    space = session.namespace_of(namespace, kubeconfig=kubeconfig, context=context)

    async def work(client: "Client") -> list[tuple[str, Problem]]:
        chosen = await _nodes(client, space, nodes or [], selector)
        await _set_unschedulable(client, space, chosen, unschedulable=True, dry_run=dry_run)
        failed: list[tuple[str, Problem]] = []
        for node in chosen:
            name = node["metadata"]["name"]
            eviction = Eviction(
                client, space, name, wishes, pod_selector, grace_period, limit_s, asks=not disable_eviction
            )
            try:
                await eviction.run(dry_run=dry_run)
            except Problem as problem:
                output.say(
                    f'error: unable to drain node "{name}" due to error: {problem}, continuing command...'
                )
                failed.append((name, problem))
            else:
                typer.echo(f"{printed(NODE, name)} drained{' (dry run)' if dry_run else ''}")
        return failed

    failed = session.with_host(work, kubeconfig=kubeconfig, context=context)
    if failed:
        output.say("There are pending nodes to be drained:")
        for name, _ in failed:
            output.say(f" {name}")
        raise failed[-1][1]


@dataclass(frozen=True, slots=True)
class Eviction:
    """The emptying of one node."""

    client: "Client"
    space: str
    node: str
    wishes: Wishes
    pod_selector: str
    grace_s: int
    limit_s: float
    asks: bool

    async def run(self, *, dry_run: bool) -> None:
        """Evict what has to go, all at once, and wait until it is gone. Raises Problem."""
        pods = await self._going(warns=True)
        if dry_run:
            for pod in pods:
                typer.echo(f"evicting pod {display(pod)} (dry run)")
            return
        try:
            async with asyncio.timeout(self.limit_s or None):
                problems = [found for found in await asyncio.gather(*map(self._end, pods)) if found]
        except TimeoutError:
            listed = ", ".join(display(pod) for pod in await self._going(warns=False))
            raise Problem(f"global timeout reached: {self.limit_s:g}s; still there: {listed}") from None
        if problems:
            raise Problem("; ".join(problems))

    async def _going(self, *, warns: bool) -> list[JsonObject]:
        """The pods to evict. Raises Problem when a pod forbids the drain."""
        listed = await self.client.list(
            POD, self.space, selector=self.pod_selector, fields=f"spec.nodeName={self.node}"
        )
        daemon_sets = await self.client.list(DAEMON_SET, self.space, metadata_only=True)
        uids = {one["metadata"]["uid"] for one in daemon_sets.items}
        found = [(draining.verdict(pod, self.wishes, uids, time.time()), pod) for pod in listed.items]
        stops = draining.grouped((one.stops, pod) for one, pod in found)
        if stops:
            raise Problem("; ".join(f"cannot delete {text}" for text in stops))
        warnings = draining.grouped((one.warning, pod) for one, pod in found)
        if warns and warnings:
            output.warn("; ".join(warnings))
        return [pod for one, pod in found if one.goes]

    async def _end(self, pod: JsonObject) -> str:
        """Evict one pod and wait until it is gone; returns what went wrong, empty if nothing did."""
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        while True:
            if self.asks:
                typer.echo(f"evicting pod {display(pod)}")
            try:
                denied = await self._evict(pod)
                pod = pod if denied is None else await self.client.get(POD, self.space, name)
            except Conflict:  # somebody was quicker: look again, and ask again
                await asyncio.sleep(0.05)
                try:
                    pod = await self.client.get(POD, self.space, name)
                except NotFound:
                    return ""
                continue
            except NotFound:
                return ""
            if denied is None:
                break
            if not denied.later:
                return f'error when evicting pods/"{display(pod)}": {denied.message}'
            output.say(
                f'error when evicting pods/"{display(pod)}" (will retry after {RETRY_S:g}s): {denied.message}'
            )
            await asyncio.sleep(RETRY_S)
            if pod["metadata"]["uid"] != uid:
                return ""
        await self._gone(pod)
        return ""

    async def _evict(self, pod: JsonObject) -> "Denied | None":
        """Ask the budgets and delete the pod. Returns the refusal, None if it is on its way."""
        from nestling.controllers.eviction import Denied  # the loops' records take a tenth of a second

        if self.grace_s >= 0:
            from nestling.machinery.records.pod import DELETION_GRACE

            meta: JsonObject = {
                "annotations": {DELETION_GRACE: str(self.grace_s)},
                "uid": pod["metadata"]["uid"],
            }
            pod = await self.client.patch(POD, self.space, pod["metadata"]["name"], {"metadata": meta})
        if not self.asks:
            await self.client.delete(POD, self.space, pod["metadata"]["name"], uid=pod["metadata"]["uid"])
            return None
        decided = await self._decide(pod)
        if isinstance(decided, Denied):
            return decided
        first, *rest = decided.writes
        await self._write(cast("Any", first))
        if first.kind != POD_DISRUPTION_BUDGET:
            await self._write(cast("Any", rest[0]))
        else:
            await self._leave(pod)
        return None

    async def _leave(self, pod: JsonObject) -> None:
        """Tell and delete a pod for which the budget has paid: it is not asked a second time."""
        from nestling.controllers.eviction import leave
        from nestling.machinery.records.pod import Pod

        while True:
            try:
                for write in leave(Pod.read(pod), time.time()):
                    await self._write(cast("Any", write))
            except Conflict:
                pod = await self.client.get(POD, self.space, pod["metadata"]["name"])
            else:
                return

    async def _decide(self, pod: JsonObject) -> "Granted | Denied":
        from nestling.controllers.eviction import evict
        from nestling.machinery.records.budget import PodDisruptionBudget
        from nestling.machinery.records.pod import Pod

        record = Pod.read(pod)
        listed = await self.client.list(POD_DISRUPTION_BUDGET, self.space)
        budgets = [PodDisruptionBudget.read(one) for one in listed.items]
        mine = [
            one
            for one in budgets
            if one.key.namespace == record.key.namespace and one.selector.matches(record.labels)
        ]
        return evict(record, mine, time.time())

    async def _write(self, write: Any) -> None:
        from nestling.machinery.plan import Patch

        if not isinstance(write, Patch):
            await self.client.delete(POD, self.space, write.key.host_name, uid=write.uid)
            return
        meta: JsonObject = {"uid": write.uid}
        if write.version is not None:
            meta["resourceVersion"] = str(write.version)
        await self.client.patch(
            write.kind,
            self.space,
            write.key.host_name,
            {**write.body, "metadata": meta},
            subresource=write.subresource,
        )

    async def _gone(self, pod: JsonObject) -> None:
        """Wait until a pod is no more, or has been terminating for too long to wait."""
        name = pod["metadata"]["name"]
        while True:
            try:
                found = await self.client.get(POD, self.space, name)
            except NotFound:
                break
            if found["metadata"]["uid"] != pod["metadata"]["uid"]:
                break
            since = (time.time() - _deleted_at(found)) if "deletionTimestamp" in found["metadata"] else 0.0
            if 0 < self.wishes.skip_deleted_after_s < since:
                typer.echo(
                    f"pod {display(pod)} has DeletionTimestamp older than "
                    f"{self.wishes.skip_deleted_after_s:g} seconds, skipping"
                )
                return
            await asyncio.sleep(POLL_S)
        typer.echo(f"{printed(POD, name)} {'evicted' if self.asks else 'deleted'}")


def _deleted_at(pod: JsonObject) -> float:
    from nestling.machinery.clock import seconds_or

    return seconds_or(pod["metadata"].get("deletionTimestamp"), time.time())


def _mark(
    nodes: list[str] | None, selector: str, namespace: str, *, unschedulable: bool, **host: Any
) -> None:
    space = session.namespace_of(namespace, **host)

    async def work(client: "Client") -> None:
        chosen = await _nodes(client, space, nodes or [], selector)
        await _set_unschedulable(client, space, chosen, unschedulable=unschedulable, dry_run=False)

    session.with_host(work, **host)


async def _nodes(client: "Client", space: str, names: list[str], selector: str) -> list[JsonObject]:
    """The nodes that are meant. Raises Problem when none is named, or both ways are used."""
    if bool(names) == bool(selector):
        problem = (
            "no node is named" if not names else "cannot specify both a node name and a --selector option"
        )
        raise Problem(problem, next_step="write NODE or -l LABEL=VALUE", exit_code=exit_codes.USAGE)
    if selector:
        return (await client.list(NODE, space, selector=selector)).items
    found: list[JsonObject] = []
    for name in names:
        try:
            found.append(await client.get(NODE, space, name))
        except NotFound as error:
            if NODE.plural not in error.message:
                raise
            raise Problem(
                f"there is no node {name} in host namespace {space}",
                next_step=f"see what there is: kubectl -n {space} get {NODE.plural}",
                exit_code=exit_codes.NOT_FOUND,
            ) from error
    return found


async def _set_unschedulable(
    client: "Client", space: str, nodes: list[JsonObject], *, unschedulable: bool, dry_run: bool
) -> None:
    word = "cordoned" if unschedulable else "uncordoned"
    for node in nodes:
        name = node["metadata"]["name"]
        if bool((node.get("spec") or {}).get("unschedulable")) == unschedulable:
            typer.echo(f"{printed(NODE, name)} already {word}")
            continue
        if not dry_run:
            # Taken away rather than set to false: a node that was never cordoned has no such field either.
            body: JsonObject = {"spec": {"unschedulable": True if unschedulable else None}}
            await client.patch(NODE, space, name, body)
        typer.echo(f"{printed(NODE, name)} {word}{' (dry run)' if dry_run else ''}")
