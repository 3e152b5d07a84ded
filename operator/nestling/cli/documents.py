"""Find manifests where `-f` points and read them: files, directories, standard input; YAML or JSON.

Out come JSON objects that know where they were written, so that every later complaint can name file and line.
"""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from nestling.api.json import JsonObject, JsonValue
from nestling.cli import exit_codes
from nestling.cli.problem import Problem

SUFFIXES: Final = (".yaml", ".yml", ".json")
STDIN: Final = "-"
MAX_DEPTH: Final = 100
"""Lists and maps inside one another; the deepest native manifest needs about 30."""
MAX_BYTES: Final = 64 * 2**20
_MANY_PROBLEMS: Final = 20


@dataclass(frozen=True, slots=True)
class Document:
    """One object and where it was written; `line` is 0 for JSON, which keeps no lines."""

    source: str
    line: int
    value: JsonObject
    item: str = ""

    @property
    def place(self) -> str:
        """`file:line`, and which item where the document is a list."""
        return f"{self.source}{f':{self.line}' if self.line else ''}{self.item}"


class Unreadable(Problem):  # named after the state of the world
    """A manifest that is not YAML or JSON, or not an object."""


def read(paths: Iterable[str], *, recursive: bool = False) -> list[Document]:
    """Every object in the given files and directories, lists taken apart.

    Reads all of them before it raises, so that one run names every file that is broken.
    """
    found: list[Document] = []
    problems: list[Problem] = []
    for source, data in _contents(paths, recursive=recursive):
        try:
            for document in _objects(source, data):
                found.extend(_unlisted(document))
        except Unreadable as problem:
            problems.append(problem)
    if problems:
        raise one_problem(problems)
    return found


def one_problem(problems: list[Problem]) -> Problem:
    """Several problems as one, a sentence each; a long list is cut."""
    if len(problems) == 1:
        return problems[0]
    shown = [str(problem) for problem in problems[:_MANY_PROBLEMS]]
    if len(problems) > len(shown):
        shown.append(f"... and {len(problems) - len(shown)} more")
    return Problem(". ".join(shown), exit_code=max(problem.exit_code for problem in problems))


def parse(source: str, data: bytes) -> list[Document]:
    """Every object in one text, lists taken apart. Raises Unreadable."""
    return [item for document in _objects(source, data) for item in _unlisted(document)]


def _contents(paths: Iterable[str], *, recursive: bool) -> Iterator[tuple[str, bytes]]:
    for path in paths:
        if path == STDIN:
            yield "standard input", _limited("standard input", sys.stdin.buffer.read(MAX_BYTES + 1))
            continue
        for file in _files(Path(path), recursive=recursive):
            try:
                with file.open("rb") as stream:
                    yield str(file), _limited(str(file), stream.read(MAX_BYTES + 1))
            except OSError as error:
                raise Problem(f"{file} cannot be read: {(error.strerror or str(error)).lower()}") from error


def _files(path: Path, *, recursive: bool) -> list[Path]:
    if not path.exists():
        raise Problem(
            f"{path} does not exist",
            next_step="give a file, a directory, or - for standard input",
            exit_code=exit_codes.NOT_FOUND,
        )
    if not path.is_dir():
        return [path]
    entries = path.rglob("*") if recursive else path.iterdir()
    files = sorted(entry for entry in entries if entry.suffix in SUFFIXES and entry.is_file())
    if not files:
        hint = "" if recursive else ", or look below it with --recursive"
        raise Problem(
            f"the directory {path} holds no manifest",
            next_step=f"name files that end in {', '.join(SUFFIXES)}{hint}",
            exit_code=exit_codes.NOT_FOUND,
        )
    return files


def _limited(source: str, data: bytes) -> bytes:
    if len(data) > MAX_BYTES:
        raise Problem(f"{source} is larger than {MAX_BYTES >> 20} MiB", next_step="split it")
    return data


def _objects(source: str, data: bytes) -> Iterator[Document]:
    text = _decoded(source, data)
    stripped = text.lstrip()
    if stripped[:1] in {"{", "["}:
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            if source.endswith(".json"):
                raise Unreadable(
                    f"{source}:{error.lineno}:{error.colno}: not JSON: {_reason(error)}"
                ) from error
        else:
            if _too_deep(value):
                raise Unreadable(f"{source}: more than {MAX_DEPTH} lists and maps are nested in one another")
            yield from _whole(source, 0, value)
            return
    from nestling.cli import yaml_reader  # the YAML library is not for --help

    try:
        for located in yaml_reader.documents(text):
            if located.value is not None:
                yield from _whole(source, located.line, located.value)
    except yaml_reader.YamlError as error:
        raise Unreadable(f"{source}:{error.line}:{error.column}: not YAML: {error.message}") from error


def _whole(source: str, line: int, value: JsonValue) -> Iterator[Document]:
    if not isinstance(value, dict):
        place = f"{source}:{line}" if line else source
        raise Unreadable(
            f"{place}: this document is {_sort(value)}, not an object",
            next_step="an object begins with apiVersion and kind",
        )
    yield Document(source, line, value)


def _unlisted(document: Document) -> Iterator[Document]:
    """The items of a list (`kind: List`, or `PodList` and its like), or the document itself."""
    kind, items = document.value.get("kind"), document.value.get("items")
    if not isinstance(kind, str) or not kind.endswith("List") or "items" not in document.value:
        yield document
        return
    if items is None:
        return
    if not isinstance(items, list):
        raise Unreadable(f"{document.place}: items of {kind} must be a list, not {_sort(items)}")
    of_kind = {} if kind == "List" else {"apiVersion": document.value.get("apiVersion"), "kind": kind[:-4]}
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise Unreadable(f"{document.place}: items[{index}] of {kind} is {_sort(item)}, not an object")
        # The items of a typed list need not repeat what they are.
        yield from _unlisted(
            Document(document.source, document.line, {**of_kind, **item}, f"{document.item} items[{index}]")
        )


def _decoded(source: str, data: bytes) -> str:
    encoding = "utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise Unreadable(f"{source}:{line}: not text in UTF-8", next_step="save it as UTF-8") from error


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def _sort(value: JsonValue) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return "a bool"
        case str():
            return "text"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case _:
            return "an object"


def _reason(error: orjson.JSONDecodeError) -> str:
    return error.msg.partition(": line ")[0]
