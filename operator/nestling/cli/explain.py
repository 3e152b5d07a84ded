"""`nestling explain pod NAME`: why it is where it is, or nowhere."""

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Final

import typer

from nestling.api import kinds
from nestling.api.json import JsonObject
from nestling.cli import age, exit_codes, output, session
from nestling.cli.explanation import Candidate, Explanation, explain
from nestling.cli.output import Cell, Column, Format, OutputOption, Toned
from nestling.cli.problem import Problem
from nestling.machinery import names
from nestling.machinery.errors import NotFound, Refused
from nestling.machinery.records.cluster import CLUSTER_NAME

if TYPE_CHECKING:
    from nestling.machinery.client import Client

DEFAULT_SCHEDULER: Final = "default-scheduler"

app: Final = typer.Typer(name="explain", help="Say why things are as they are.", no_args_is_help=True)


@app.callback()
def explain_group() -> None:
    """Say why things are as they are."""


@app.command("pod")
def pod(
    name: Annotated[
        str, typer.Argument(help="The pod: NAME, NAMESPACE/NAME, or its name on the host (NAME.NAMESPACE).")
    ],
    namespace: session.NamespaceOption = "",
    virtual_namespace: Annotated[
        str, typer.Option(help="Virtual namespace of the pod; else it is part of NAME, or default.")
    ] = "",
    form: OutputOption = Format.TABLE,
    kubeconfig: session.KubeconfigOption = None,
    context: session.ContextOption = None,
) -> None:
    """Explain where a pod is and why, or why it is nowhere."""
    host_name = host_name_of(name, virtual_namespace)
    space = session.namespace_of(namespace, kubeconfig=kubeconfig, context=context)

    async def work(client: "Client") -> Explanation:
        try:
            found = await client.get(kinds.POD, space, host_name)
        except NotFound as error:
            if not error.reason or "virtualpods" not in error.message:
                raise  # the kind itself is unknown: the general sentence says what to do
            raise _no_such_pod(space, host_name, await _like(client, space, host_name)) from error
        events = await _events(client, space, found)
        return explain(found, events, foreign=await _is_foreign(client, space, found))

    found = session.with_host(work, kubeconfig=kubeconfig, context=context)
    match form:
        case Format.JSON | Format.YAML:
            output.show_value(found.to_json(), form)
        case Format.NAME:
            typer.echo(f"{kinds.POD.name.lower()}.{kinds.GROUP}/{host_name}")
        case _:
            _show(found, dt.datetime.now(dt.UTC), wide=form is Format.WIDE)


def host_name_of(name: str, virtual_namespace: str) -> str:
    """The name on the host that a user means. Raises Problem when two namespaces are named."""
    before, slash, after = name.partition("/")
    if slash and virtual_namespace and before != virtual_namespace:
        raise Problem(
            f"{name} is in virtual namespace {before}, and --virtual-namespace says {virtual_namespace}",
            next_step="name it once",
            exit_code=exit_codes.USAGE,
        )
    if slash:
        return names.host_name(before, after)
    return names.host_name(virtual_namespace, name) if virtual_namespace else name


async def _events(client: "Client", space: str, pod: JsonObject) -> list[JsonObject]:
    uid = pod["metadata"]["uid"]
    return (await client.list(kinds.EVENT, space, fields=f"involvedObject.uid={uid}")).items


async def _is_foreign(client: "Client", space: str, pod: JsonObject) -> bool:
    """Whether the pod waits for a scheduler of which the VirtualCluster has no profile."""
    spec: JsonObject = pod.get("spec") or {}
    name = spec.get("schedulerName") or DEFAULT_SCHEDULER
    if name == DEFAULT_SCHEDULER or spec.get("nodeName"):
        return False
    try:
        cluster = await client.get(kinds.CLUSTER, space, CLUSTER_NAME)
    except NotFound:
        return True
    except Refused:
        return False  # we may not look: the general sentence holds
    profiles: list[JsonObject] = (cluster.get("spec") or {}).get("schedulerProfiles") or []
    return all(profile.get("schedulerName") != name for profile in profiles)


async def _like(client: "Client", space: str, host_name: str) -> list[str]:
    """Pods that a user may have meant: a Deployment's pods begin with its name, as `web-x7k2p` does."""
    wanted = names.key_of(kinds.POD, space, host_name)
    listed = (await client.list(kinds.POD, space, metadata_only=True)).items
    found = {
        item["metadata"]["name"]: names.key_of(kinds.POD, space, item["metadata"]["name"]) for item in listed
    }
    return sorted(
        name
        for name, key in found.items()
        if key.namespace == wanted.namespace and key.name.startswith(f"{wanted.name}-")
    )


def _no_such_pod(space: str, host_name: str, like: list[str]) -> Problem:
    key = names.key_of(kinds.POD, space, host_name)
    step = f"see what there is: kubectl -n {space} get virtualpods"
    if like:
        more = f" or one of {len(like) - 1} more" if len(like) > 1 else ""
        step = f"perhaps you mean {like[0]}{more}"
    return Problem(
        f"there is no pod {key.display} in host namespace {space}",
        next_step=step,
        exit_code=exit_codes.NOT_FOUND,
    )


def _show(found: Explanation, now: dt.datetime, *, wide: bool) -> None:
    facts: list[tuple[str, Cell]] = [
        ("Pod", found.pod),
        ("Status", Toned(found.phase, _tone(found))),
        ("Node", found.node or "<none>"),
        *([("Nominated", found.nominated)] if found.nominated else []),
        ("Why", found.sentence),
    ]
    if found.next_step:
        facts.append(("What helps", found.next_step))
    if found.attempts:
        facts.append(("Attempts", str(found.attempts)))
    output.show_table((Column("FACT"), Column("VALUE")), facts, headers=False)
    _section_table(
        "Refused, by reason",
        (Column("NODES", right=True), Column("REASON"), Column("WHAT HELPS")),
        [(str(one.nodes), one.reason, one.advice) for one in found.reasons],
    )
    refused = [one for one in found.candidates if one.score is None]
    scored = [one for one in found.candidates if one.score is not None]
    _section_table(
        "Nodes that came closest",
        (Column("NODE"), Column("LACKS")),
        [(one.node, ", ".join(one.lacks)) for one in refused],
    )
    _section_table(
        "Best nodes",
        (Column("NODE"), Column("SCORE", right=True), Column("BEHIND", right=True), Column("")),
        [_scored(one, scored[0], found.node) for one in scored],
    )
    _section_table(
        "Score of the chosen node",
        (Column("PLUGIN"), Column("SCORE", right=True)),
        [(one.plugin, str(one.score)) for one in sorted(found.scores, key=lambda one: -one.score)],
    )
    _section_table(
        "Containers",
        (
            Column("CONTAINER"),
            Column("STATE"),
            Column("READY"),
            Column("RESTARTS", right=True),
            Column("LAST RUN"),
            Column("MESSAGE"),
        ),
        [
            (one.name, one.state, str(one.ready).lower(), str(one.restarts), one.last_run, one.message)
            for one in found.containers
        ],
    )
    if wide or not found.node:
        _section_table(
            "Conditions",
            (Column("CONDITION"), Column("STATUS"), Column("REASON"), Column("MESSAGE")),
            [(one.type, one.status, one.reason, one.message) for one in found.conditions],
        )
    _section_table(
        "Events",
        (
            Column("LAST SEEN"),
            Column("TYPE"),
            Column("REASON"),
            Column("COUNT", right=True),
            Column("MESSAGE"),
        ),
        [
            (age.since(one.last, now), one.type, one.reason, str(one.count), one.message)
            for one in found.events
        ],
    )


def _section_table(title: str, columns: tuple[Column, ...], rows: list[tuple[Cell, ...]]) -> None:
    if rows:
        typer.echo(f"\n{title}:")
        output.show_table(columns, rows)


def _scored(one: Candidate, best: Candidate, node: str) -> tuple[Cell, ...]:
    score, top = one.score or 0, best.score or 0
    return one.node, str(score), str(top - score) if top > score else "", "chosen" if one.node == node else ""


def _tone(found: Explanation) -> output.Tone:
    match found.phase:
        case "Running" | "Succeeded" | "Completed":
            return "good"
        case "Pending" | "Terminating" | "ContainerCreating" | "SchedulingGated":
            return "warn"
        case _:
            return "bad"
