"""`nestling install`: teach the host our kinds, and wait until it serves them."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Final

import typer

from nestling.api import kinds
from nestling.cli import exit_codes, output, session
from nestling.cli.output import Column, Format, NoHeadersOption, OutputOption, Tone, Toned
from nestling.cli.problem import Problem

if TYPE_CHECKING:
    from nestling.cli.definitions import Applied
    from nestling.machinery.client import Client

COLUMNS: Final = (Column("KIND"), Column("NAME"), Column("RESULT"))
TONES: Final[Mapping[str, Tone]] = {"created": "good", "changed": "warn", "unchanged": "dim"}


def install(
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="Host namespace that is to hold a virtual cluster.")
    ] = "",
    create_namespace: Annotated[
        bool, typer.Option("--create-namespace", help="Create that namespace if it does not exist.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for the kinds to be served.")] = 60.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; show what would change.")
    ] = False,
    form: OutputOption = Format.TABLE,
    no_headers: NoHeadersOption = False,
    kubeconfig: session.KubeconfigOption = None,
    context: session.ContextOption = None,
) -> None:
    """Create or update Nestling's kinds on the host.

    Safe to repeat: what is right already stays untouched.
    """
    if create_namespace and not namespace:
        raise Problem(
            "--create-namespace needs to know which one",
            next_step="name it with --namespace",
            exit_code=exit_codes.USAGE,
        )

    async def work(client: "Client") -> "list[Applied]":
        return await install_on(
            client,
            namespace=namespace,
            create_namespace=create_namespace,
            timeout_s=timeout,
            dry_run=dry_run,
        )

    started = time.monotonic()
    applied = session.with_host(work, kubeconfig=kubeconfig, context=context)
    _print(applied, form, headers=not no_headers)
    ours = [one for one in applied if not one.is_namespace]
    changed = sum(one.outcome != "unchanged" for one in ours)
    took = f"{time.monotonic() - started:.1f} s"
    if dry_run:
        made = any(one.is_namespace and one.outcome == "created" for one in applied)
        also = f", and host namespace {namespace} would be created" if made else ""
        output.say(f"{changed} of {len(ours)} kinds would change{also}; nothing was written")
    elif form in {Format.TABLE, Format.WIDE}:
        output.say(f"Nestling's kinds are served ({changed} of {len(ours)} changed, {took})")


async def install_on(
    client: "Client", *, namespace: str, create_namespace: bool, timeout_s: float, dry_run: bool = False
) -> "list[Applied]":
    """Bring the definitions (and the namespace) to the wanted state and wait until they serve."""
    from nestling.cli import definitions

    with output.progress("reading Nestling's kinds") as tell:
        applied: list[Applied] = []
        if namespace:
            applied.append(await _namespace(client, namespace, create=create_namespace, dry_run=dry_run))
        wanted = definitions.ours()
        tell(f"applying {len(wanted)} kinds")
        applied += await definitions.apply_all(client, wanted, dry_run=dry_run)
        if not dry_run:
            by_name = {f"{kind.plural}.{kind.group}": kind for kind in kinds.VIRTUAL_KINDS}
            served = {name: by_name[name] for name in wanted}
            await definitions.wait_until_served(client, served, timeout_s=timeout_s, tell=tell)
    return applied


async def _namespace(client: "Client", name: str, *, create: bool, dry_run: bool) -> "Applied":
    from nestling.cli.definitions import Applied
    from nestling.machinery.errors import AlreadyExists, NotFound

    space = kinds.Kind("Namespace", "namespaces", group="", version="v1")
    try:
        live = await client.call("GET", space.path(None, name))
    except NotFound as error:
        if not create:
            raise Problem(
                f"the host has no namespace {name}",
                next_step="add --create-namespace, or create it with kubectl",
                exit_code=exit_codes.NOT_FOUND,
            ) from error
    else:
        if live["metadata"].get("deletionTimestamp"):
            raise Problem(
                f"the host namespace {name} is being deleted",
                next_step="wait until it is gone, or choose another one",
            )
        return Applied(f"namespace/{name}", "unchanged")
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    try:
        await client.call("POST", space.path(), body=body, query={"dryRun": "All"} if dry_run else {})
    except AlreadyExists:
        return Applied(f"namespace/{name}", "unchanged")
    return Applied(f"namespace/{name}", "created")


def _print(applied: "list[Applied]", form: Format, *, headers: bool) -> None:
    rows = [(*_named(one), one.outcome) for one in applied]
    match form:
        case Format.JSON | Format.YAML:
            items = [{"kind": kind, "name": name, "result": outcome} for kind, name, outcome in rows]
            output.show_value({"items": items}, form)
        case Format.NAME:
            for kind, name, _ in rows:
                typer.echo(f"{kind.lower()}/{name}")
        case _:
            table = [(kind, name, Toned(outcome, TONES[outcome])) for kind, name, outcome in rows]
            output.show_table(COLUMNS, table, headers=headers)


def _named(one: "Applied") -> tuple[str, str]:
    if one.is_namespace:
        return "Namespace", one.name.removeprefix("namespace/")
    return "CustomResourceDefinition", one.name
