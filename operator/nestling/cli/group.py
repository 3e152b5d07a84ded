"""The group of commands that turns errors into a sentence on stderr and a stable exit status.

Every command, however deep, runs inside it; so a test that drives the app sees exactly what a shell sees.
"""

import sys
from pathlib import PurePath
from typing import Any

import typer
from typer.core import TyperGroup

from nestling.cli.problem import verdict
from nestling.machinery.errors import NestlingError


class SentenceGroup(TyperGroup):
    """A group whose commands may raise any NestlingError, and what the file system and the network raise."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command line; help and usage errors are plain text unless a person looks at them."""
        if not sys.stdout.isatty():
            _make_plain(self)
        return super().main(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except (NestlingError, OSError) as error:
            if isinstance(error, BrokenPipeError):
                raise  # whoever read our output has had enough, which is no error
            found = verdict(error)
            typer.echo(f"Error: {found.sentence}", err=True)
            raise typer.Exit(found.exit_code) from error


def program(path: str) -> str:
    """The name users type: `kubectl nestling` when kubectl started us as its plugin."""
    name = PurePath(path).name
    return "kubectl nestling" if name.startswith("kubectl-") else "nestling"


def _make_plain(command: Any) -> None:
    command.rich_markup_mode = None
    for child in getattr(command, "commands", {}).values():
        _make_plain(child)
