"""Sets of fields, as `metadata.managedFields` writes them, and what a schema says about merging.

A field is a path of steps: `f:name` into an object, `k:{"name":"a"}` to an item of a keyed list, `v:"x"` to a
value of a set. An atomic list or map is one field.
Source: Kubernetes 1.37, sigs.k8s.io/structured-merge-diff (fieldpath, typed).
"""

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import orjson

from nestling.api.json import JsonObject
from nestling.apiserver.resource import Resource
from nestling.apiserver.schema import METADATA, Node, compile_node

Path: TypeAlias = tuple[str, ...]
Fields: TypeAlias = frozenset[Path]

_METADATA_NODE: Final = compile_node(METADATA)
_UNKNOWN: Final = compile_node({"type": "object", "x-kubernetes-preserve-unknown-fields": True})
_IGNORED: Final = frozenset({("f:apiVersion",), ("f:kind",), ("f:metadata",)})
_SYSTEM: Final = (
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "generation",
    "managedFields",
    "resourceVersion",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
_SYSTEM_PATHS: Final = frozenset(("f:metadata", f"f:{name}") for name in _SYSTEM)


def root_node(resource: Resource) -> Node:
    """The schema of a whole object, metadata included."""
    root = resource.schema.root
    return Node(
        root.source,
        properties={**root.properties, "metadata": _METADATA_NODE},
        extra=root.extra,
        keep_unknown=root.keep_unknown,
    )


def child_of(node: Node, name: str) -> Node:
    """The schema of one field."""
    return node.properties.get(name) or node.extra or _UNKNOWN


def is_atomic(node: Node, value: Any) -> bool:
    """Whether a value has one owner as a whole."""
    match value:
        case dict():
            return node.source.get("x-kubernetes-map-type") == "atomic"
        case list():
            return not (node.map_keys or node.is_set)
        case _:
            return True


def item_step(node: Node, item: Any) -> str:
    """The step to an item of a keyed list or of a set."""
    if node.map_keys:
        key = {name: item[name] for name in sorted(node.map_keys) if name in item}
        return f"k:{orjson.dumps(key, option=orjson.OPT_SORT_KEYS).decode()}"
    return f"v:{orjson.dumps(item).decode()}"


def fields_of(resource: Resource, body: JsonObject) -> Fields:
    """Every field that `body` sets, apart from what identifies it and what the server owns."""
    found = frozenset(_walk(root_node(resource), body, ()))
    return frozenset(path for path in found - _IGNORED if path[:2] not in _SYSTEM_PATHS)


def _walk(node: Node, value: Any, path: Path) -> Iterator[Path]:
    match value:
        case dict() if value and not is_atomic(node, value):
            for name, item in value.items():
                yield from _walk(child_of(node, name), item, (*path, f"f:{name}"))
        case list() if value and not is_atomic(node, value):
            items = node.items or _UNKNOWN
            for item in value:
                here = (*path, item_step(node, item))
                yield here
                if isinstance(item, dict):
                    yield from _walk(items, item, here)
        case _:
            yield path


def encode(fields: Fields) -> JsonObject:
    """The form inside managedFields: nested objects, `.` marking a field that also has fields below it."""
    tree: JsonObject = {}
    for path in sorted(fields):
        place = tree
        for step in path:
            place = place.setdefault(step, {})
        place["."] = {}
    return _pruned(tree)


def _pruned(tree: JsonObject) -> JsonObject:
    return (
        {}
        if list(tree) == ["."]
        else {step: _pruned(below) if step != "." else {} for step, below in tree.items()}
    )


def decode(tree: JsonObject) -> Fields:
    """The opposite of `encode`."""
    return frozenset(_paths(tree, ()))


def _paths(tree: JsonObject, path: Path) -> Iterator[Path]:
    if path and (not tree or "." in tree):
        yield path
    for step, below in tree.items():
        if step != "." and isinstance(below, dict):
            yield from _paths(below, (*path, step))


def changed(resource: Resource, old: JsonObject, new: JsonObject) -> tuple[Fields, Fields]:
    """The fields that `new` sets to another value than `old`, and the fields of `old` that it lacks."""
    before, after = fields_of(resource, old), fields_of(resource, new)
    root = root_node(resource)
    differs = {path for path in after & before if value_at(root, old, path) != value_at(root, new, path)}
    # An item that is in both lists owns nothing by itself; what changed in it is told by its fields.
    differs = {path for path in differs if path[-1].startswith("f:")}
    return frozenset(differs | (after - before)), before - after


MISSING: Final = object()


def value_at(node: Node, value: Any, path: Path) -> Any:
    """The value of a field, MISSING if it is not there."""
    for step in path:
        kind, text = step[:2], step[2:]
        if kind == "f:":
            if not isinstance(value, dict) or text not in value:
                return MISSING
            node, value = child_of(node, text), value[text]
        else:
            found = (
                next((item for item in value if item_step(node, item) == step), MISSING)
                if isinstance(value, list)
                else MISSING
            )
            if found is MISSING:
                return MISSING
            node, value = node.items or _UNKNOWN, found
    return value


def merged(node: Node, old: Any, new: Any) -> Any:
    """`new` laid over `old`: objects by field, keyed lists by key, sets as sets, everything else replaced."""
    match old, new:
        case dict(), dict() if not is_atomic(node, new):
            result = dict(old)
            for name, value in new.items():
                result[name] = merged(child_of(node, name), old[name], value) if name in old else value
            return result
        case list(), list() if not is_atomic(node, new):
            return _merged_list(node, old, new)
        case _:
            return new


def _merged_list(node: Node, old: list[Any], new: list[Any]) -> list[Any]:
    items = node.items or _UNKNOWN
    wanted = {item_step(node, item): item for item in new}
    known = {item_step(node, item): item for item in old}
    # Items of the new list keep their order; what only the old list has stays in front of them or behind.
    result: list[Any] = []
    pending = [step for step in known if step not in wanted]
    for step, item in known.items():
        if step in wanted:
            break
        result.append(item)
        pending.remove(step)
    for step, item in wanted.items():
        result.append(merged(items, known[step], item) if step in known else item)
    return [*result, *(known[step] for step in pending)]


def without(node: Node, value: Any, paths: Fields) -> Any:
    """`value` without some of its fields."""
    if not paths:
        return value
    heads: dict[str, set[Path]] = {}
    for path in paths:
        heads.setdefault(path[0], set()).add(path[1:])
    match value:
        case dict():
            kept: JsonObject = {}
            for name, item in value.items():
                below = heads.get(f"f:{name}")
                if below is None:
                    kept[name] = item
                elif () not in below:
                    kept[name] = without(child_of(node, name), item, frozenset(below))
            return kept
        case list():
            items = node.items or _UNKNOWN
            result: list[Any] = []
            for item in value:
                below = heads.get(item_step(node, item))
                if below is None:
                    result.append(item)
                elif () not in below:
                    result.append(without(items, item, frozenset(below)))
            return result
        case _:
            return value


def text_of(path: Path) -> str:
    """A field as error messages show it: `.spec.ports[name="a"].port`."""
    text = ""
    for step in path:
        kind, rest = step[:2], step[2:]
        if kind == "f:":
            text += f".{rest}"
        elif kind == "k:":
            pairs = orjson.loads(rest)
            text += f"[{','.join(f'{name}={orjson.dumps(value).decode()}' for name, value in pairs.items())}]"
        else:
            text += f"[={rest}]"
    return text
