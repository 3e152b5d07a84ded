"""`nestling convert`: native manifests in, virtual ones out, ready for `kubectl apply`.

Reading, translating and printing are three modules; this one says what happened to each object.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from nestling.api.json import JsonObject
from nestling.cli import documents, output
from nestling.cli.documents import Document
from nestling.cli.output import Format
from nestling.cli.problem import Problem
from nestling.cli.translate import Broken, LeftOut, Place, owned_within, title, translate


@dataclass(frozen=True, slots=True)
class Conversion:
    """What became of a set of manifests."""

    objects: list[JsonObject]
    left_out: list[tuple[Document, LeftOut]]
    broken: list[Problem]


def convert(
    filename: Annotated[
        list[str],
        typer.Option("--filename", "-f", help="File, directory, or - for standard input; may be repeated."),
    ],
    namespace: Annotated[
        str,
        typer.Option(
            "--namespace", "-n", help="Host namespace to write into the objects; else kubectl's -n decides."
        ),
    ] = "",
    virtual_namespace: Annotated[
        str, typer.Option(help="Virtual namespace of objects that name none.")
    ] = "default",
    recursive: Annotated[
        bool, typer.Option("--recursive", "-R", help="Look below directories, too.")
    ] = False,
    keep_owned: Annotated[
        bool,
        typer.Option(
            "--keep-owned", help="Keep objects whose controller is in the input and will make them anew."
        ),
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Fail when an object has to be left out.")] = False,
    form: Annotated[Format, typer.Option("--output", "-o", help="yaml, json or name.")] = Format.YAML,
) -> None:
    """Turn native Kubernetes manifests into virtual ones.

    Takes YAML and JSON, many documents, lists, and what `kubectl get -o yaml` prints. Names of objects that
    a spec refers to stay as they are: they are looked up in the object's own virtual namespace.
    """
    output.refuse(form, Format.YAML, Format.JSON, Format.NAME)
    found = documents.read(filename, recursive=recursive)
    result = convert_all(found, Place(namespace, virtual_namespace), keep_owned=keep_owned)
    for document, left_out in result.left_out:
        text = f"{document.place}: {title(document.value)} is left out: {left_out.why}"
        if left_out.expected:
            output.say(text)
        else:
            output.warn(text)
    if result.broken:
        raise documents.one_problem(result.broken)
    if not found:
        output.warn("the input holds no object")
    _print(result.objects, form)
    lost = sum(not left_out.expected for _, left_out in result.left_out)
    if strict and lost:
        raise Problem(
            f"{output.counted(lost, 'object')} left out",
            next_step="take them out of the input, or run without --strict",
        )


def convert_all(found: Sequence[Document], place: Place, *, keep_owned: bool = False) -> Conversion:
    """Translate every document; nothing stops at the first that is broken."""
    owned = {} if keep_owned else owned_within([document.value for document in found])
    result = Conversion([], [], [])
    for index, document in enumerate(found):
        if index in owned:
            why = f"{owned[index]}, which is in the input as well, makes it anew"
            result.left_out.append((document, LeftOut(why, expected=True)))
            continue
        try:
            made = translate(document.value, place)
        except Broken as error:
            result.broken.append(Problem(f"{document.place}: {title(document.value)}: {error}"))
            continue
        if isinstance(made, LeftOut):
            result.left_out.append((document, made))
        else:
            result.objects.append(made)
    return result


def _print(objects: Sequence[JsonObject], form: Format) -> None:
    match form:
        case Format.NAME:
            for made in objects:
                group = made["apiVersion"].rpartition("/")[0].partition("/")[0]
                kind = f"{made['kind'].lower()}{f'.{group}' if group else ''}"
                metadata = made["metadata"]
                sys.stdout.write(f"{kind}/{metadata.get('name') or metadata['generateName']}\n")
        case Format.JSON:
            output.show_value({"apiVersion": "v1", "kind": "List", "items": list(objects)}, form)
        case _:
            from nestling.cli import yaml_writer  # only this form needs the YAML library

            sys.stdout.write(yaml_writer.text(objects))
