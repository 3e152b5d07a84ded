"""`nestling rollout`: how a rollout is doing, what came before it, and how to steer it.

Does for Deployments, StatefulSets and DaemonSets of a virtual cluster what `kubectl rollout` does for native
ones, in the same words.
Source: Kubernetes 1.37, kubectl/pkg/cmd/rollout.
"""

import asyncio
import datetime as dt
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperCommand

from nestling.api.json import JsonObject
from nestling.api.kinds import DEPLOYMENT, Kind
from nestling.cli import duration, exit_codes, output, rollout_history, session
from nestling.cli.output import Format, OutputOption
from nestling.cli.problem import Problem
from nestling.cli.rollout_status import progress_of
from nestling.cli.workload import Workload, kind_alone, one_workload, workloads
from nestling.machinery.errors import NotFound

if TYPE_CHECKING:
    from nestling.machinery.client import Client

RESTARTED_AT: Final = "kubectl.kubernetes.io/restartedAt"
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
POLL_S: Final = 0.5
_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "FALSE", "false", "False"})

app: Final = typer.Typer(name="rollout", help="Look at, stop and take back rollouts.", no_args_is_help=True)
WorkloadsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="TYPE/NAME...",
        help="Deployments, StatefulSets or DaemonSets: TYPE/NAME as often as wanted, or TYPE NAME.",
    ),
]
SelectorOption = Annotated[
    str, typer.Option("--selector", "-l", help="All of TYPE with these labels, instead of names.")
]


@app.callback()
def rollout_group() -> None:
    """Look at, stop and take back rollouts."""


class _StatusCommand(TyperCommand):
    """A command whose `--watch` may carry its value, as kubectl's does: `--watch=false`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments; nothing behind `--` is an option."""
        end = args.index("--") if "--" in args else len(args)
        return super().parse_args(ctx, [*map(_plain_watch, args[:end]), *args[end:]])


def _plain_watch(argument: str) -> str:
    name, equals, value = argument.partition("=")
    if not equals or name not in {"--watch", "-w"}:
        return argument
    if value in _TRUE:
        return "--watch"
    if value in _FALSE:
        return "--no-watch"
    raise Problem(
        f'"{value}" is no value of {name}',
        next_step=f"write {name}=true or {name}=false",
        exit_code=exit_codes.USAGE,
    )


@app.command("status", cls=_StatusCommand)
def status(
    workload: WorkloadsArgument,
    namespace: session.NamespaceOption = "",
    selector: SelectorOption = "",
    watch: Annotated[
        bool, typer.Option("--watch/--no-watch", "-w", help="Wait until the rollout is done.")
    ] = True,
    revision: Annotated[
        int, typer.Option(min=0, help="Only this revision: fail when another takes over; 0 for any.")
    ] = 0,
    timeout: Annotated[str, typer.Option(help="How long to wait, such as 90s or 5m; 0 for ever.")] = "0",
    kubeconfig: session.KubeconfigOption = None,
    context: session.ContextOption = None,
) -> None:
    """Show the status of a rollout, until it is done."""
    wanted = kind_alone(workload) if selector else [one_workload(workload)]
    limit_s = duration.seconds(timeout)
    space = session.namespace_of(namespace, kubeconfig=kubeconfig, context=context)

    async def work(client: "Client") -> None:
        until = time.monotonic() + limit_s if limit_s else float("inf")
        for one in await _chosen(client, space, wanted, selector):
            await _follow(client, space, one, revision=revision, until=until if watch else None)

    session.with_host(work, kubeconfig=kubeconfig, context=context)


async def _follow(
    client: "Client", space: str, wanted: Workload, *, revision: int, until: float | None
) -> None:
    """Print how far a rollout is until it is done, or the monotonic second `until`; once if that is None."""
    uid, last = "", ""
    while True:
        try:
            found = await _get(client, space, wanted)
        except Problem:
            if uid:
                raise Problem("object has been deleted") from None
            raise
        if uid and found["metadata"]["uid"] != uid:
            raise Problem("object has been deleted")
        uid = found["metadata"]["uid"]
        progress = progress_of(wanted.kind, found, revision)
        if progress.text != last:
            typer.echo(progress.text)
            last = progress.text
        if progress.done or until is None:
            return
        if time.monotonic() >= until:
            raise Problem("timed out waiting for the condition")
        await asyncio.sleep(min(POLL_S, max(until - time.monotonic(), 0.01)))


@app.command("history")
def history(
    workload: WorkloadsArgument,
    namespace: session.NamespaceOption = "",
    revision: Annotated[int, typer.Option(min=0, help="Show the template of this revision; 0 for all.")] = 0,
    form: OutputOption = Format.TABLE,
    kubeconfig: session.KubeconfigOption = None,
    context: session.ContextOption = None,
) -> None:
    """Show the revisions of a workload."""
    output.refuse(form, Format.TABLE, Format.JSON, Format.YAML)
    wanted = one_workload(workload)
    space = session.namespace_of(namespace, kubeconfig=kubeconfig, context=context)

    async def work(client: "Client") -> list[rollout_history.Revision]:
        return await _revisions(client, space, wanted, await _get(client, space, wanted))

    found = session.with_host(work, kubeconfig=kubeconfig, context=context)
    shown = [rollout_history.find(found, revision)] if revision else found
    if form is not Format.TABLE:
        objects = [one.kept for one in shown]
        output.show_value(
            objects[0] if revision else {"apiVersion": "v1", "kind": "List", "items": objects}, form
        )
    elif revision:
        typer.echo(f"{wanted.text} with revision #{revision}")
        typer.echo("\n".join(rollout_history.described(shown[0].template)))
    else:
        typer.echo("\n".join((wanted.text, *rollout_history.listing(found))))


@app.command("undo")
def undo(
    workload: WorkloadsArgument,
    namespace: session.NamespaceOption = "",
    selector: SelectorOption = "",
    to_revision: Annotated[int, typer.Option(help="The revision to go back to; 0 for the one before.")] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show the template that would be put in place.")
    ] = False,
    kubeconfig: session.KubeconfigOption = None,
    context: session.ContextOption = None,
) -> None:
    """Go back to an earlier revision."""

    async def change(client: "Client", space: str, wanted: Workload) -> str:
        found = await _get(client, space, wanted)
        history = await _revisions(client, space, wanted, found)
        to = rollout_history.target(wanted.kind, found, history, to_revision)
        if dry_run:
            _warn_of_last_applied(wanted, found)
            return "\n".join((*rollout_history.described(to.template), "(dry run)"))
        patch = rollout_history.undo(wanted.kind, found, to)
        if patch is None:
            return rollout_history.SKIPPED.format(to_revision)
        await _patch(client, space, wanted, found, patch)
        _warn_of_last_applied(wanted, found)
        return rollout_history.DONE

    _each(workload, change, namespace, selector, kubeconfig=kubeconfig, context=context)


def _warn_of_last_applied(wanted: Workload, found: JsonObject) -> None:
    """What `kubectl apply` will make of it; only for an undo that comes about (kubectl says it first)."""
    if LAST_APPLIED in (found["metadata"].get("annotations") or {}):
        output.warn(
            f"resource {wanted.kind.plural}/{wanted.name} was previously managed with 'kubectl apply'. "
            f"Rolling back will not update the {LAST_APPLIED} annotation, which may cause unexpected "
            "behavior on future 'kubectl apply' operations. Consider using 'kubectl apply' with your "
            "previous configuration file instead."
        )


@app.command("restart")
def restart(
    workload: WorkloadsArgument,
    namespace: session.NamespaceOption = "",
    selector: SelectorOption = "",
    kubeconfig: session.KubeconfigOption = None,
    context: session.ContextOption = None,
) -> None:
    """Replace all pods of a workload, one after the other."""

    async def change(client: "Client", space: str, wanted: Workload) -> str:
        found = await _get(client, space, wanted)
        if wanted.kind == DEPLOYMENT and found["spec"].get("paused"):
            step = "can't restart paused deployment (run rollout resume first)"
            raise Problem(f"{wanted.resource} {step}")
        now = dt.datetime.now(dt.UTC).astimezone().isoformat(timespec="seconds").replace("+00:00", "Z")
        template: JsonObject = found["spec"].get("template") or {}
        if ((template.get("metadata") or {}).get("annotations") or {}).get(RESTARTED_AT) == now:
            raise Problem(
                f"failed to create patch for {wanted.name}: if restart has already been triggered within "
                "the past second, please wait before attempting to trigger another"
            )
        patch = {"spec": {"template": {"metadata": {"annotations": {RESTARTED_AT: now}}}}}
        await _patch(client, space, wanted, found, patch)
        return "restarted"

    _each(workload, change, namespace, selector, kubeconfig=kubeconfig, context=context)


@app.command("pause")
def pause(
    workload: WorkloadsArgument,
    namespace: session.NamespaceOption = "",
    selector: SelectorOption = "",
    kubeconfig: session.KubeconfigOption = None,
    context: session.ContextOption = None,
) -> None:
    """Hold a Deployment's rollout: changes of its template wait until it is resumed."""

    async def change(client: "Client", space: str, wanted: Workload) -> str:
        return await _set_paused(client, space, wanted, paused=True)

    _each(workload, change, namespace, selector, kubeconfig=kubeconfig, context=context)


@app.command("resume")
def resume(
    workload: WorkloadsArgument,
    namespace: session.NamespaceOption = "",
    selector: SelectorOption = "",
    kubeconfig: session.KubeconfigOption = None,
    context: session.ContextOption = None,
) -> None:
    """Let a held Deployment go on."""

    async def change(client: "Client", space: str, wanted: Workload) -> str:
        return await _set_paused(client, space, wanted, paused=False)

    _each(workload, change, namespace, selector, kubeconfig=kubeconfig, context=context)


async def _set_paused(client: "Client", space: str, wanted: Workload, *, paused: bool) -> str:
    if wanted.kind != DEPLOYMENT:
        raise Problem(f"{wanted.resource} {'pausing' if paused else 'resuming'} is not supported")
    found = await _get(client, space, wanted)
    if bool(found["spec"].get("paused")) == paused:
        raise Problem(f"{wanted.resource} is {'already' if paused else 'not'} paused")
    await _patch(client, space, wanted, found, {"spec": {"paused": True if paused else None}})
    return "paused" if paused else "resumed"


def _each(
    arguments: list[str],
    change: "Callable[[Client, str, Workload], Awaitable[str]]",
    namespace: str,
    selector: str,
    **host: Any,
) -> None:
    """Do something to every workload that is chosen, and say what was done; one that fails stops no other."""
    asked = kind_alone(arguments) if selector else workloads(arguments)
    space = session.namespace_of(namespace, **host)

    async def work(client: "Client") -> list[Problem]:
        problems: list[Problem] = []
        for wanted in await _chosen(client, space, asked, selector):
            try:
                done = await change(client, space, wanted)
            except Problem as problem:
                problems.append(problem)
            else:
                typer.echo(f"{wanted.text} {done}")
        return problems

    problems = session.with_host(work, **host)
    for problem in problems[:-1]:
        output.say(f"Error: {problem}")
    if problems:
        raise problems[-1]


async def _chosen(
    client: "Client", space: str, asked: list[Workload] | Kind, selector: str
) -> list[Workload]:
    """The workloads that are named, or all of a kind that the selector matches."""
    if isinstance(asked, list):
        return asked
    found = (await client.list(asked, space, selector=selector)).items
    if not found:
        output.say(f"No resources found in {space} namespace.")
    return [Workload(asked, obj["metadata"]["name"]) for obj in found]


async def _get(client: "Client", space: str, wanted: Workload) -> JsonObject:
    try:
        return await client.get(wanted.kind, space, wanted.name)
    except NotFound as error:
        if wanted.kind.plural not in error.message:
            raise  # the kind itself is unknown: the general sentence says what to do
        raise Problem(
            f"there is no {wanted.kind.native} {wanted.name} in host namespace {space}",
            next_step=f"see what there is: kubectl -n {space} get {wanted.kind.plural}",
            exit_code=exit_codes.NOT_FOUND,
        ) from error


async def _patch(
    client: "Client", space: str, wanted: Workload, found: JsonObject, patch: JsonObject
) -> None:
    # What was decided on is what is changed: another's change meanwhile is a conflict, not lost.
    meta: JsonObject = {**patch.get("metadata", {}), "resourceVersion": found["metadata"]["resourceVersion"]}
    await client.patch(wanted.kind, space, wanted.name, {**patch, "metadata": meta})


async def _revisions(
    client: "Client", space: str, wanted: Workload, found: JsonObject
) -> list[rollout_history.Revision]:
    kept = (await client.list(rollout_history.keeper_of(wanted.kind), space)).items
    return rollout_history.revisions(wanted.kind, found, kept)
