"""`nestling doctor`: is everything in place, and if not, what is the next step?"""

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from nestling.cli import exit_codes, output, session
from nestling.cli.output import Column, Format, NoHeadersOption, OutputOption, Tone, Toned
from nestling.machinery.errors import NestlingError

if TYPE_CHECKING:
    from nestling.cli.checks import Finding
    from nestling.machinery.client import Client

COLUMNS: Final = (Column("CHECK"), Column("RESULT"), Column("FOUND"), Column("NEXT STEP"))
TONES: Final[dict[str, Tone]] = {"PASS": "good", "WARN": "warn", "FAIL": "bad", "SKIP": "dim"}


def doctor(
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="Look at one host namespace only; else at all.")
    ] = "",
    form: OutputOption = Format.TABLE,
    no_headers: NoHeadersOption = False,
    kubeconfig: session.KubeconfigOption = None,
    context: session.ContextOption = None,
) -> None:
    """Check the host, the kinds, your rights, the operator, the nodes and the pods.

    Exit code 0 when nothing fails (warnings are fine), 1 otherwise.
    """
    found = _findings(namespace, kubeconfig, context)
    match form:
        case Format.JSON | Format.YAML:
            output.show_value({"items": [one.to_json() for one in found]}, form)
        case Format.NAME:
            for one in found:
                typer.echo(f"{one.check}/{one.level}")
        case _:
            rows = [
                (one.check, Toned(one.level, TONES[one.level]), one.found, one.next_step) for one in found
            ]
            output.show_table(COLUMNS, rows, headers=not no_headers)
    if any(one.level == "FAIL" for one in found):
        raise typer.Exit(exit_codes.ERROR)


def _findings(namespace: str, kubeconfig: Path | None, context: str | None) -> "list[Finding]":
    from nestling.cli import checks
    from nestling.machinery.login import log_in

    try:
        login = log_in(session.chosen(kubeconfig), context)
    except NestlingError as error:
        return [
            checks.Finding(
                "kubeconfig", "FAIL", str(error).partition(". ")[0], "nestling host up, or set KUBECONFIG"
            )
        ]
    first = checks.Finding("kubeconfig", "PASS", f"context {login.context or '?'} at {login.server}")

    async def work(client: "Client") -> "list[Finding]":
        return await checks.examine(client, namespace, dt.datetime.now(dt.UTC))

    return [first, *session.with_host(work, kubeconfig=kubeconfig, context=context)]
