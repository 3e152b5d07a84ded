"""`nestling schedule`: where would these pods go? Manifests in, verdicts out, nothing written anywhere."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from nestling.api import kinds
from nestling.cli import documents, output
from nestling.cli.output import Cell, Column, Format, NoHeadersOption, OutputOption, Toned
from nestling.cli.problem import Problem
from nestling.cli.translate import title

if TYPE_CHECKING:
    from nestling.cli.documents import Document
    from nestling.scheduler.offline import Verdict

NODES: Final = frozenset({kinds.NODE.native, kinds.NODE.name})
PODS: Final = frozenset({kinds.POD.native, kinds.POD.name})
CLASSES: Final = frozenset({kinds.PRIORITY_CLASS.native, kinds.PRIORITY_CLASS.name})
COLUMNS: Final = (
    Column("NAMESPACE"),
    Column("POD"),
    Column("RESULT"),
    Column("NODE"),
    Column("SCORE", right=True),
    Column("FEASIBLE", right=True),
    Column("MESSAGE"),
    Column("RUNNERS-UP", wide=True),
    Column("REFUSED", wide=True),
    Column("NOMINATED", wide=True),
    Column("VICTIMS", wide=True),
)
TONES: Final[dict[str, output.Tone]] = {"scheduled": "good", "unschedulable": "bad", "error": "bad"}
_FEW: Final = 5


def schedule(
    nodes: Annotated[
        list[str], typer.Option("--nodes", help="Node manifests: file, directory or -; may be repeated.")
    ],
    pods: Annotated[
        list[str],
        typer.Option(
            "--pods", help="Pod manifests, and PriorityClasses: file, directory or -; may be repeated."
        ),
    ],
    config: Annotated[
        Path | None,
        typer.Option(
            help="KubeSchedulerConfiguration: profiles and plugin arguments; extenders are not asked."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides between nodes of equal score.")] = 0,
    form: OutputOption = Format.TABLE,
    no_headers: NoHeadersOption = False,
) -> None:
    """Say where pending pods would go, and why.

    Takes native and virtual manifests. Pods that have a node count as running there; the others are
    placed in the order of their priority, each on top of those before it. A file may hold nodes and
    pods at once.
    """
    node_documents = documents.read(nodes)
    # Standard input can be read only once, so one `-` serves both.
    pod_documents = node_documents if pods == nodes else documents.read(pods)
    everything = [*node_documents, *(pod_documents if pod_documents is not node_documents else ())]
    wanted_nodes = [one.value for one in node_documents if one.value.get("kind") in NODES]
    wanted_pods = [one.value for one in pod_documents if one.value.get("kind") in PODS]
    classes = [one.value for one in everything if one.value.get("kind") in CLASSES]
    for one in everything:
        if one.value.get("kind") not in NODES | PODS | CLASSES:
            output.warn(f"{one.place}: {title(one.value)} is neither a Node nor a Pod, and is ignored")
    if not wanted_pods:
        raise Problem(f"{', '.join(pods)} holds no Pod", next_step="give --pods a file with Pod manifests")
    from nestling.cli.scheduler_setup import scheduler_setup
    from nestling.scheduler import offline  # numpy and the plugins: not for --help

    setup = scheduler_setup(config) if config is not None else None
    if setup is not None and setup.extenders:
        output.warn(f"{config} names extenders, and none of them is asked")
    verdicts = offline.schedule(
        wanted_nodes,
        wanted_pods,
        priority_classes=classes,
        seed=seed,
        setup=setup,
    )
    _print(verdicts, form, headers=not no_headers)
    broken = [one for one in verdicts if one.result == "error"]
    if broken:
        raise Problem(
            "; ".join(f"pod {one.namespace}/{one.name}: {one.message}" for one in broken[:_FEW]),
            next_step="correct the manifests",
        )
    if not wanted_nodes:
        output.warn(f"{', '.join(nodes)} holds no Node; give --nodes a file with Node manifests")
    _doubt(everything)


def _doubt(documents: "Sequence[Document]") -> None:
    """Warn of what no API server would take: a misspelt field would count as not written at all."""
    from nestling.cli.manifest_faults import faults_of  # the models: not for --help

    doubts = [
        f"{one.place}: {title(one.value)}: {what}" for one in documents for what in faults_of(one.value)
    ]
    for doubt in doubts[:_FEW]:
        output.warn(doubt)
    if len(doubts) > _FEW:
        output.warn(f"and {len(doubts) - _FEW} more like these")


def _print(verdicts: "Sequence[Verdict]", form: Format, *, headers: bool) -> None:
    match form:
        case Format.JSON | Format.YAML:
            output.show_value({"items": [one.to_json() for one in verdicts]}, form)
        case Format.NAME:
            for one in verdicts:
                typer.echo(f"pod/{one.name}")
        case _:
            output.show_table(
                COLUMNS, [_row(one) for one in verdicts], wide=form is Format.WIDE, headers=headers
            )


def _row(one: "Verdict") -> tuple[Cell, ...]:
    best = one.feasible[0].score if one.node and one.feasible else None
    runners = ", ".join(f"{other.node} ({other.score})" for other in one.feasible[1 : _FEW + 1])
    refused = "; ".join(f"{other.node}: {', '.join(other.reasons)}" for other in one.refused[:_FEW])
    more = len(one.refused) - _FEW
    return (
        one.namespace,
        one.name,
        Toned(one.result, TONES.get(one.result, "warn")),
        one.node or "<none>",
        "" if best is None else str(best),
        f"{len(one.feasible)}/{one.nodes}",
        one.message,
        runners or "<none>",
        (f"{refused}; and {more} more" if more > 0 else refused) or "<none>",
        one.nominated or "<none>",
        ", ".join(one.victims) or "<none>",
    )
