"""`nestling completion SHELL`: the script that teaches a shell our commands and options."""

from enum import StrEnum
from typing import Annotated, Final

import typer
from typer import completion as typers

VARIABLE: Final = "_NESTLING_COMPLETE"
"""The variable under which the script calls us back for suggestions."""


class Shell(StrEnum):
    """Shells that can be taught."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(shell: Annotated[Shell, typer.Argument(help="The shell to teach.")]) -> None:
    """Print the completion script of a shell.

    bash and zsh: source <(nestling completion bash). fish: nestling completion fish | source.
    """
    script = typers.get_completion_script(prog_name="nestling", complete_var=VARIABLE, shell=shell.value)  # pyright: ignore[reportPrivateImportUsage]  # typer offers it by an option only
    typer.echo(script)


def prepare() -> None:
    """Get ready to answer a shell that asks for suggestions."""
    typers.completion_init()  # pyright: ignore[reportPrivateImportUsage]  # typer calls it for its option only
