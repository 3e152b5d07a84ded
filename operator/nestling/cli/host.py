"""`nestling host up|down|status`: a cluster to develop against.

The one line on standard output is for a shell: `eval "$(nestling host up)"` sets KUBECONFIG. What it does
meanwhile and how it went is told on standard error.
"""

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from nestling.cli import exit_codes
from nestling.cli.group import SentenceGroup
from nestling.cli.output import (
    Column,
    Format,
    NoHeadersOption,
    OutputOption,
    Tone,
    Toned,
    progress,
    say,
    show_table,
    show_value,
)
from nestling.host.errors import HostNotFoundError
from nestling.host.record import HostState, HostStatus

app: Final = typer.Typer(
    name="host",
    cls=SentenceGroup,
    help="Find or start a host cluster to develop against.",
    no_args_is_help=True,
)


class Kind(StrEnum):
    """What kinds of host there are."""

    embedded = "embedded"
    local = "local"
    kind = "kind"
    current = "current"


KINDS_HELP: Final = (
    "embedded: our own API server, up in a second. local: a real kube-apiserver and etcd. "
    "kind: a cluster in Docker. current: what the kubeconfig points to."
)
TONES: Final[dict[HostState, Tone]] = {"running": "good", "degraded": "warn", "stopped": "dim"}


@app.command()
def up(
    *,
    kind: Annotated[Kind, typer.Argument(help=KINDS_HELP)] = Kind.embedded,
    name: Annotated[str, typer.Option(help="The host's name; that of its kind unless given.")] = "",
    data_dir: Annotated[
        Path | None, typer.Option(help="Where objects are kept (embedded, local).", file_okay=False)
    ] = None,
    image: Annotated[str, typer.Option(help="Node image (kind).", envvar="NESTLING_KIND_IMAGE")] = "",
    context: Annotated[str, typer.Option(help="Context of the kubeconfig (current).")] = "",
    controllers: Annotated[
        bool, typer.Option(help="Run what finishes namespace deletion and follows owners (local).")
    ] = True,
    output: OutputOption = Format.TABLE,
) -> None:
    """Bring a host up, or find it up, and print the KUBECONFIG to use."""
    from nestling.host import hosts  # keys and certificates are not for --help

    wishes = hosts.Wishes(data_dir=data_dir, controllers=controllers, image=image, context=context)
    with progress(f"bringing up host {name or kind.value}") as tell:
        host = hosts.up(kind.value, name, wishes=wishes, progress=tell)
    if output in {Format.TABLE, Format.WIDE}:
        say(f"host {host.name} is up at {host.server}{f' ({host.version})' if host.version else ''}")
        sys.stdout.write(f"export KUBECONFIG={shlex.quote(str(host.kubeconfig))}\n")
    else:
        _show(f"host/{host.name}", host.document(), output)


@app.command()
def down(
    *,
    name: Annotated[str, typer.Argument(help="The host; may be left out when only one is up.")] = "",
    purge: Annotated[bool, typer.Option("--purge", help="Also delete everything stored in it.")] = False,
    output: OutputOption = Format.TABLE,
) -> None:
    """Stop a host. What is stored in it is kept, unless --purge."""
    from nestling.host import hosts  # keys and certificates are not for --help

    with progress(f"taking down {f'host {name}' if name else 'the host'}") as tell:
        name = hosts.down(name, purge=purge, progress=tell)
    if output in {Format.TABLE, Format.WIDE}:
        say(f"host {name} is down; {'nothing of it is left' if purge else 'what is stored in it is kept'}")
    else:
        _show(f"host/{name}", {"name": name, "state": "purged" if purge else "stopped"}, output)


@app.command()
def status(
    *,
    name: Annotated[str, typer.Argument(help="One host; all of them unless given.")] = "",
    output: OutputOption = Format.TABLE,
    no_headers: NoHeadersOption = False,
) -> None:
    """Show hosts. Exit status 0 when one runs, 4 when one runs but does not answer, 3 when none does."""
    from nestling.host import hosts  # keys and certificates are not for --help

    found = [hosts.status(one) for one in ([name] if name else hosts.names())]
    if not found:
        raise HostNotFoundError("no host has been up", next_step="start one with `nestling host up`")
    match output:
        case Format.TABLE | Format.WIDE:
            show_table(
                COLUMNS, [_row(one) for one in found], wide=output is Format.WIDE, headers=not no_headers
            )
            for one in found:
                if one.note:
                    say(f"host {one.host.name}: {one.note}")
        case Format.JSON | Format.YAML:
            documents = [one.document() for one in found]
            show_value(documents[0] if name else {"items": documents}, output)
        case _:
            sys.stdout.writelines(f"host/{one.host.name}\n" for one in found)
    states = {one.state for one in found}
    if "running" not in states:
        raise typer.Exit(exit_codes.UNAVAILABLE if "degraded" in states else exit_codes.NOT_FOUND)


COLUMNS: Final = (
    Column("NAME"),
    Column("KIND"),
    Column("STATE"),
    Column("VERSION"),
    Column("SERVER"),
    Column("PROCESSES", wide=True),
    Column("KUBECONFIG", wide=True),
    Column("DATA", wide=True),
)


def _row(one: HostStatus) -> list[str | Toned]:
    host = one.host
    processes = [
        f"{part.name}({part.pid or '-'},{part.rss_bytes >> 20}Mi)" if part.running else f"{part.name}(-)"
        for part in one.components
    ]
    return [
        host.name,
        host.kind,
        Toned(one.state, TONES[one.state]),
        host.version or "-",
        host.server,
        ",".join(processes) or "-",
        str(host.kubeconfig),
        str(host.data_dir or "-"),
    ]


def _show(name: str, document: dict[str, Any], output: Format) -> None:
    if output in {Format.JSON, Format.YAML}:
        show_value(document, output)
    else:
        sys.stdout.write(f"{name}\n")
