"""The JSONPath of printer columns: fields, indexes, wildcards, and filters by one comparison.

`.status.conditions[?(@.type=="Ready")].status` is about as far as columns go; a path compiles to steps once.
Source: Kubernetes 1.37, k8s.io/client-go/util/jsonpath.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

Step: TypeAlias = Callable[[Any], Iterator[Any]]

_TOKEN: Final = re.compile(
    r"""\.(?P<deep>\.)?(?P<field>(?:\\.|[^.\[\]\\*])+)
      | \.?\[(?P<quote>['"])(?P<quoted>(?:\\.|(?!(?P=quote)).)*)(?P=quote)\] | \[(?P<index>-?\d+)\] |
      \[(?P<slice>-?\d*:-?\d*(?::-?\d+)?)\] | (?P<all>\.\*|\[\*\]) |
      \[\?\(\s*@(?P<left>(?:\.[\w/-]+|\['[^']+'\])*)\s*(?:(?P<op>==|!=|<=|>=|<|>)\s*(?P<right>"[^"]*"|'[^']*'|[^)\s]+)\s*)?\)\]
    """,
    re.VERBOSE,
)


class JsonPath:
    """A compiled path."""

    def __init__(self, text: str) -> None:
        """Compile. Raises ValueError for what is not understood."""
        self.text = text
        self._steps = list(_steps(text))

    def find(self, value: Any) -> list[Any]:
        """Every value at the path, in document order; empty when there is none."""
        found = [value]
        for step in self._steps:
            found = [below for item in found for below in step(item)]
        return found


def _steps(text: str) -> Iterator[Step]:
    path = text.strip()
    if path.startswith("{") and path.endswith("}"):
        path = path[1:-1].strip()
    path = path.removeprefix("$")
    if path and path[0] not in ".[":
        path = f".{path}"
    position = 0
    while position < len(path):
        match = _TOKEN.match(path, position)
        if match is None:
            raise ValueError(f"cannot read the JSONPath {text!r} at {path[position:]!r}")
        yield _step(match)
        position = match.end()


def _step(match: re.Match[str]) -> Step:
    if (name := match["field"]) is not None:
        field = re.sub(r"\\(.)", r"\1", name)
        return _deep(field) if match["deep"] else _field(field)
    if (quoted := match["quoted"]) is not None:
        return _field(re.sub(r"\\(.)", r"\1", quoted))
    if (index := match["index"]) is not None:
        return _index(int(index))
    if (bounds := match["slice"]) is not None:
        return _slice(slice(*(int(bound) if bound else None for bound in bounds.split(":"))))
    if match["all"]:
        return _all
    return _filter(match["left"] or "", match["op"], match["right"])


def _field(name: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]

    return step


def _deep(name: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict):
            if name in value:
                yield value[name]
            for below in value.values():
                yield from step(below)
        elif isinstance(value, list):
            for below in value:
                yield from step(below)

    return step


def _index(position: int) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list) and -len(value) <= position < len(value):
            yield value[position]

    return step


def _slice(bounds: slice) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list):
            yield from value[bounds]

    return step


def _all(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        yield from value
    elif isinstance(value, dict):
        yield from value.values()


def _filter(left: str, operator: str | None, right: str | None) -> Step:
    inner = JsonPath(left) if left else None
    wanted = _literal(right) if right is not None else None

    def step(value: Any) -> Iterator[Any]:
        if not isinstance(value, list):
            return
        for item in value:
            found = inner.find(item) if inner is not None else [item]
            if operator is None:
                if found:
                    yield item
            elif found and _compare(found[0], operator, wanted):
                yield item

    return step


def _literal(text: str) -> Any:
    if text[0] in "\"'":
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


def _compare(left: Any, operator: str, right: Any) -> bool:
    match operator:
        case "==":
            return bool(left == right)
        case "!=":
            return bool(left != right)
        case _ if type(left) is not type(right):
            return False
        case "<":
            return bool(left < right)
        case "<=":
            return bool(left <= right)
        case ">":
            return bool(left > right)
        case _:
            return bool(left >= right)
