"""Data on stdout in the form that was asked for; talk on stderr.

Tables are coloured and fitted when a person looks on, and plain aligned text otherwise, so that pipes and
logs read well. JSON and YAML are the same values in full.
"""

import os
import sys
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, TypeAlias

import orjson
import typer

from nestling.cli import exit_codes
from nestling.cli.problem import Problem

Tone: TypeAlias = Literal["good", "warn", "bad", "dim", ""]
STYLES: Final[Mapping[str, str]] = {
    "good": "green",
    "warn": "yellow",
    "bad": "bold red",
    "dim": "dim",
    "": "",
}
_LOG_EVERY_S: Final = 2.0
GAP: Final = "   "  # as kubectl separates columns


class Format(StrEnum):
    """What `-o` takes."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


OutputOption = Annotated[Format, typer.Option("--output", "-o", help="How to print the result.")]
NoHeadersOption = Annotated[bool, typer.Option("--no-headers", help="Leave out the titles of the columns.")]


@dataclass(frozen=True, slots=True)
class Toned:
    """Text of a cell that means something good or bad."""

    text: str
    tone: Tone = ""


Cell: TypeAlias = str | Toned


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table; `wide` ones only show with `-o wide`."""

    title: str
    wide: bool = False
    right: bool = False


def say(text: str) -> None:
    """Tell the person something that is not data."""
    typer.echo(text, err=True)


def warn(text: str) -> None:
    """Tell the person about something they may not expect."""
    coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    typer.secho(f"Warning: {text}", err=True, fg="yellow" if coloured else None)


def counted(number: int, noun: str) -> str:
    """`1 object`, `2 objects`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def show_value(value: Any, form: Format) -> None:
    """Print a JSON value as JSON or YAML."""
    if form is Format.YAML:
        from nestling.cli import yaml_writer  # only this form needs the YAML library

        sys.stdout.write(yaml_writer.text([value]))
    else:
        sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


def refuse(form: Format, *allowed: Format) -> None:
    """Raise when a command has no such form of output."""
    if form not in allowed:
        raise Problem(
            f"-o {form} is not a form of this command",
            next_step=f"use one of {', '.join(allowed)}",
            exit_code=exit_codes.USAGE,
        )


def show_table(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], *, wide: bool = False, headers: bool = True
) -> None:
    """Print rows under their titles; on a terminal in colour, fitted to its width."""
    chosen = [index for index, column in enumerate(columns) if wide or not column.wide]
    shown = [columns[index] for index in chosen]
    cells = [[_toned(row[index]) for index in chosen] for row in rows]
    if sys.stdout.isatty():
        _rich_table(shown, cells, headers=headers)
    else:
        sys.stdout.write("".join(f"{line}\n" for line in plain_lines(shown, cells, headers=headers)))


def plain_lines(
    columns: Sequence[Column], rows: Sequence[Sequence[Toned]], *, headers: bool = True
) -> Iterator[str]:
    """The table as aligned text, without trailing blanks."""
    texts = [[cell.text for cell in row] for row in rows]
    if headers:
        texts.insert(0, [column.title for column in columns])
    widths = [max((len(row[index]) for row in texts), default=0) for index in range(len(columns))]
    for row in texts:
        padded = (
            text.rjust(width) if column.right else text.ljust(width)
            for text, width, column in zip(row, widths, columns, strict=True)
        )
        yield GAP.join(padded).rstrip()


def _rich_table(columns: Sequence[Column], rows: Sequence[Sequence[Toned]], *, headers: bool) -> None:
    from rich.console import Console  # a tenth of a second that pipes do not need
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=headers, header_style="bold", padding=(0, 3, 0, 0), pad_edge=False)
    for column in columns:
        table.add_column(column.title, justify="right" if column.right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell.text, style=STYLES[cell.tone]) for cell in row))
    Console(highlight=False).print(table)


def _toned(cell: Cell) -> Toned:
    return cell if isinstance(cell, Toned) else Toned(cell)


class Progress:
    """Says what a long step waits for: a live line on a terminal, a new line per change elsewhere."""

    def __init__(self, status: Any = None) -> None:
        self._status = status
        self._last = ""
        self._told_at = float("-inf")

    def __call__(self, text: str) -> None:
        """Tell what is being waited for now; in a log, at most every few seconds."""
        if text == self._last:
            return
        if self._status is not None:
            self._status.update(text)
        elif time.monotonic() - self._told_at >= _LOG_EVERY_S:
            self._told_at = time.monotonic()
            say(text)
        else:
            return  # too soon: told if it is still so when asked again
        self._last = text


@contextmanager
def progress(text: str) -> Generator[Progress]:
    """Show that something long is going on, and what it waits for."""
    if not sys.stderr.isatty():
        line = Progress()
        line(text)
        yield line
        return
    from rich.console import Console  # a tenth of a second that pipes do not need

    with Console(stderr=True).status(text) as status:
        yield Progress(status)
