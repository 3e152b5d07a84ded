"""Fold the kinds for the chart: what several of them share is kept once.

Helm keeps a release, templates and manifest both, in one Secret of at most 1 MiB. The schema of a pod stands
in every kind that makes pods; written out, templates and manifest together would take most of that. So a part
that occurs more than once becomes a file of its own and is put back by the template `crds.yaml`, larger parts
first, because they refer to smaller ones.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from nestling.api.json import JsonObject

SMALLEST: Final = 3000
"""Bytes from which a part is worth a file: the release takes 339 kB, 703 kB without parts, 324 kB at 600."""


def folded(crds: Mapping[str, JsonObject]) -> dict[str, bytes]:
    """File names and contents: each kind's spec as `kinds/<plural>.json`, what they share as `parts/NN.json`.

    A part is referred to by the string `@NN@`.
    """
    counts: Counter[bytes] = Counter()
    for crd in crds.values():
        counts.update(_parts(crd["spec"]))
    # Larger parts first; a part that only occurs inside one larger part, as often as that, stays in it.
    shared = sorted((text for text, seen in counts.items() if seen > 1), key=lambda text: (-len(text), text))
    names = {text: f"{index:02}" for index, text in enumerate(_worthwhile(shared, crds))}
    files = {f"kinds/{plural}.json": _fold(crd["spec"], names, whole=True) for plural, crd in crds.items()}
    for text, name in names.items():
        files[f"parts/{name}.json"] = _fold(orjson.loads(text), names, whole=True)
    return files


def unfolded(files: Mapping[str, bytes]) -> dict[str, JsonObject]:
    """The specs of the kinds by plural, as the template makes them."""
    parts = {name: text for name, text in files.items() if name.startswith("parts/")}
    specs: dict[str, JsonObject] = {}
    for path, folded_text in files.items():
        if path.startswith("kinds/"):
            text = folded_text
            for name in sorted(parts):
                text = text.replace(b'"@' + name[6:-5].encode() + b'@"', parts[name])
            specs[path[6:-5]] = orjson.loads(text)
    return specs


def _parts(node: Any) -> Iterator[bytes]:
    """Every object in a tree that is large enough, as text."""
    if isinstance(node, dict):
        text = orjson.dumps(node)
        if len(text) < SMALLEST:
            return
        yield text
        for child in node.values():
            yield from _parts(child)
    elif isinstance(node, list):
        for child in node:
            yield from _parts(child)


def _worthwhile(shared: list[bytes], crds: Mapping[str, JsonObject]) -> list[bytes]:
    """Those of the parts that are met when larger ones have been taken out already."""
    chosen: set[bytes] = set(shared)
    met: Counter[bytes] = Counter()

    def walk(node: Any, *, whole: bool) -> None:
        if isinstance(node, dict):
            text = orjson.dumps(node)
            if len(text) < SMALLEST:
                return
            if not whole and text in chosen:
                met[text] += 1
                if met[text] > 1:
                    return
            for child in node.values():
                walk(child, whole=False)
        elif isinstance(node, list):
            for child in node:
                walk(child, whole=False)

    for crd in crds.values():
        walk(crd["spec"], whole=True)
    return [text for text in shared if met[text] > 1]


def _fold(node: Any, names: Mapping[bytes, str], *, whole: bool = False) -> bytes:
    return orjson.dumps(_folded(node, names, whole=whole))


def _folded(node: Any, names: Mapping[bytes, str], *, whole: bool) -> Any:
    if isinstance(node, dict):
        text = orjson.dumps(node)
        if len(text) < SMALLEST:
            return node
        if not whole and text in names:
            return f"@{names[text]}@"
        return {key: _folded(child, names, whole=False) for key, child in node.items()}
    if isinstance(node, list):
        return [_folded(child, names, whole=False) for child in node]
    return node
