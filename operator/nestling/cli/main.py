"""The `nestling` command, also `kubectl nestling`: the table of its sub-commands.

Each lives in a module of its own and imports what is heavy when it runs, so that `--help` and completion
stay fast.
"""

import sys
from typing import Annotated, Final

import typer

from nestling.cli import (
    completion,
    convert,
    doctor,
    drain,
    explain,
    host,
    install,
    rollout,
    run,
    schedule,
    trial,
    uninstall,
)
from nestling.cli.demo.command import demo
from nestling.cli.group import SentenceGroup, program

app: Final = typer.Typer(
    cls=SentenceGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:  # typer passes it by position
    if not wanted:
        return
    from importlib.metadata import version  # reads files; only this option needs it

    typer.echo(f"nestling {version('nestling')}")
    raise typer.Exit


@app.callback()
def nestling(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_version,
            is_eager=True,
            help="Show the version.",
        ),
    ] = False,
) -> None:
    """Kubernetes clusters that live in namespaces of another one."""
    del version


app.add_typer(host.app, name="host")
app.command("install")(install.install)
app.command("uninstall")(uninstall.uninstall)
app.command("run")(run.run)
app.command("convert")(convert.convert)
app.add_typer(explain.app, name="explain")
app.add_typer(rollout.app, name="rollout")
app.command("cordon")(drain.cordon)
app.command("uncordon")(drain.uncordon)
app.command("drain")(drain.drain)
app.command("schedule")(schedule.schedule)
app.command("doctor")(doctor.doctor)
app.command("trial")(trial.trial)
app.command("demo")(demo)
app.command("completion")(completion.completion)


def main() -> None:
    """Run the command line; the entry point of the installed scripts."""
    completion.prepare()
    app(prog_name=program(sys.argv[0]), complete_var=completion.VARIABLE)
