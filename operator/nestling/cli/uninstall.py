"""`nestling uninstall`: take every virtual cluster and our kinds off the host, whoever is alive."""

import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from nestling.cli import exit_codes, output, session
from nestling.cli.output import Column, Format, OutputOption
from nestling.cli.problem import Problem

if TYPE_CHECKING:
    from nestling.api.json import JsonObject
    from nestling.api.kinds import Kind
    from nestling.cli.removal import Report
    from nestling.machinery.client import Client

COLUMNS: Final = (
    Column("KIND"),
    Column("DELETED", right=True),
    Column("FINALIZERS TAKEN", right=True),
    Column("LEFT", right=True),
)
_SHOWN: Final = 5


def uninstall(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    keep_crds: Annotated[
        bool, typer.Option("--keep-crds", help="Delete the objects, keep the kinds.")
    ] = False,
    namespace: Annotated[
        list[str] | None,
        typer.Option(
            "--namespace",
            "-n",
            help="Only the virtual cluster in this host namespace; may be repeated. Keeps the kinds.",
        ),
    ] = None,
    grace: Annotated[
        float, typer.Option(min=0, help="Seconds that a living operator has to let its objects go.")
    ] = 10.0,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds after which to give up.")] = 120.0,
    if_terminating: Annotated[
        bool,
        typer.Option(
            "--if-terminating",
            help="Do nothing unless the host namespace is being deleted: for who is stopped with it.",
        ),
    ] = False,
    form: OutputOption = Format.TABLE,
    kubeconfig: session.KubeconfigOption = None,
    context: session.ContextOption = None,
) -> None:
    """Delete all virtual clusters and Nestling's kinds from the host.

    Works without a running operator: finalizers of Nestling that nobody drops within --grace are taken away.
    """
    output.refuse(form, Format.TABLE, Format.WIDE, Format.JSON, Format.YAML)
    spaces = namespace or []
    removes_kinds = not keep_crds and not spaces
    for_people = form in {Format.TABLE, Format.WIDE}

    if if_terminating and len(spaces) != 1:
        raise Problem(
            "--if-terminating needs to know which host namespace",
            next_step="name one with --namespace",
            exit_code=exit_codes.USAGE,
        )

    async def counts(client: "Client") -> "Counter[Kind]":
        from nestling.cli import removal

        live = await _definitions(client, all_of_them=removes_kinds)
        return await removal.count(client, removal.kinds_of(live), spaces)

    if not yes:
        found = session.with_host(counts, kubeconfig=kubeconfig, context=context)
        _confirm(found, spaces, removes_kinds=removes_kinds)

    async def work(client: "Client") -> "tuple[Report, list[str]] | None":
        if if_terminating and not await _is_terminating(client, spaces[0]):
            return None
        report = await uninstall_from(
            client, spaces=spaces, removes_kinds=removes_kinds, grace_s=grace, timeout_s=timeout
        )
        return report, [await _fate(client, space) for space in spaces] if for_people else []

    done = session.with_host(work, kubeconfig=kubeconfig, context=context)
    if done is None:
        output.say(f"host namespace {spaces[0]} is not being deleted: nothing was done")
        return
    report, fates = done
    _print(report, form)
    if not report.complete:
        raise _unfinished(report, timeout)
    if for_people:
        output.say(_summary(report, fates))


async def uninstall_from(
    client: "Client", *, spaces: Sequence[str], removes_kinds: bool, grace_s: float, timeout_s: float
) -> "Report":
    """Remove objects, then definitions; bounded by `timeout_s` in all."""
    from nestling.cli import removal

    report = removal.Report()
    deadline = time.monotonic() + timeout_s
    with output.progress("looking for Nestling's objects") as tell:
        live = await _definitions(client, all_of_them=removes_kinds)
        await removal.remove_objects(
            client,
            removal.kinds_of(live),
            spaces,
            report,
            grace_s=grace_s,
            deadline=deadline,
            tell=tell,
        )
        if removes_kinds and report.complete:
            tell(f"deleting {len(live)} kinds")
            names = [definition["metadata"]["name"] for definition in live]
            await removal.remove_definitions(client, names, report, deadline=deadline, tell=tell)
    return report


async def _definitions(client: "Client", *, all_of_them: bool) -> "list[JsonObject]":
    """All definitions of our group on the host; or those of this version, without a right to ask for them."""
    from nestling.cli import definitions

    return list((await definitions.installed(client) if all_of_them else definitions.ours()).values())


async def _is_terminating(client: "Client", namespace: str) -> bool:
    from nestling.machinery.errors import NotFound, Refused

    try:
        live = await client.call("GET", f"/api/v1/namespaces/{namespace}")
    except (NotFound, Refused):  # whose rights went before it can do nothing about the rest
        return False
    return bool(live["metadata"].get("deletionTimestamp"))


async def _fate(client: "Client", namespace: str) -> str:
    """What becomes of a host namespace, as the summary says it."""
    from nestling.machinery.errors import HostError, NotFound

    try:
        live = await client.call("GET", f"/api/v1/namespaces/{namespace}")
    except NotFound:
        return f"there is no host namespace {namespace}"
    except HostError:  # who may not look; what was to be done is done
        return f"nothing was done to the host namespace {namespace} itself"
    leaves = bool(live["metadata"].get("deletionTimestamp"))
    return f"the host namespace {namespace} {'is being deleted' if leaves else 'stays too'}"


def _confirm(found: "Counter[Kind]", spaces: Sequence[str], *, removes_kinds: bool) -> None:
    where = f"host namespace {', '.join(spaces)}" if spaces else "all host namespaces"
    each = sorted((kind.plural, kind.name.lower(), number) for kind, number in found.items())
    objects = ", ".join(f"{number} {one if number == 1 else many}" for many, one, number in each)
    objects = objects or "no objects"
    question = f"This deletes {objects} in {where}{', and the kinds' if removes_kinds else ''}."
    if not sys.stdin.isatty():
        raise Problem(
            f"{question[:-1]}, and nobody is there to agree",
            next_step="add --yes",
            exit_code=exit_codes.USAGE,
        )
    output.say(question)
    if not typer.confirm("Go on?", err=True):
        raise Problem("nothing was deleted")


def _print(report: "Report", form: Format) -> None:
    plurals = sorted({plural for plural, number in report.deleted.items() if number} | set(report.left))
    if form in {Format.JSON, Format.YAML}:
        output.show_value(
            {
                "deleted": {plural: number for plural, number in sorted(report.deleted.items()) if number},
                "finalizersTaken": dict(sorted(report.stripped.items())),
                "kindsDeleted": sorted(report.definitions),
                "left": dict(sorted(report.left.items())),
                "held": report.held,
            },
            form,
        )
        return
    if plurals:
        rows = [
            (plural, *(str(counter[plural]) for counter in (report.deleted, report.stripped, report.left)))
            for plural in plurals
        ]
        output.show_table(COLUMNS, rows)


def _unfinished(report: "Report", timeout_s: float) -> Problem:
    if report.held:
        shown = [f"{title}: {why}" for title, why in list(report.held.items())[:_SHOWN]]
        more = f" and {len(report.held) - _SHOWN} more" if len(report.held) > _SHOWN else ""
        return Problem(
            f"{output.counted(len(report.held), 'object')} cannot go: {'; '.join(shown)}{more}",
            next_step="have their owner let them go, then run `nestling uninstall` again",
        )
    return Problem(
        f"{output.counted(report.left.total(), 'object')} still there after {timeout_s:g} s",
        next_step="run `nestling uninstall` again; it goes on where it stopped",
        exit_code=exit_codes.UNAVAILABLE,
    )


def _summary(report: "Report", fates: Sequence[str]) -> str:
    objects = report.deleted.total()
    text = f"{output.counted(objects, 'object')} deleted" if objects else "no objects were there"
    taken = report.stripped.total()
    if taken:
        text += f" ({taken} needed their finalizers taken away)"
    if report.definitions:
        text += f", {output.counted(len(report.definitions), 'kind')} removed"
    if fates:
        text += f"; the kinds stay; {'; '.join(fates)}"
    return text
