"""The way of a manifest: read, converted, sent to a host. At its end stands an answer or a sentence."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from badinput.corpus import Broken
from nestling.api.kinds import BY_PLURAL
from nestling.cli import documents
from nestling.cli.convert import convert_all
from nestling.cli.problem import Problem, verdict
from nestling.cli.translate import Place

Send: TypeAlias = Callable[..., tuple[int, Any]]
"""Method, path, body, content type: status and answer."""

KINDS = {kind.name: kind for kind in BY_PLURAL.values()}


@dataclass(frozen=True, slots=True)
class Outcome:
    """Who stopped the manifest, with which sentence; `nobody` when it was stored."""

    by: str
    sentence: str = ""
    stored: tuple[str, ...] = ()


def converted(broken: Broken) -> list[dict[str, Any]]:
    """The virtual objects of a manifest. Raises Problem."""
    text = broken.text if isinstance(broken.text, bytes) else broken.text.encode()
    result = convert_all(documents.parse("bad.yaml", text), Place())
    if result.broken:
        raise documents.one_problem(result.broken)
    return result.objects


def submit(broken: Broken, send: Send, namespace: str) -> Outcome:
    """Take a manifest as far as it goes."""
    try:
        objects = converted(broken)
    except Problem as problem:
        return Outcome("convert", verdict(problem).sentence)
    paths: list[str] = []
    for made in objects:
        kind = KINDS[made["kind"]]
        status, answer = send("POST", f"{kind.path(namespace)}?fieldValidation=Strict", made)
        if status >= 400:
            return Outcome("api", f"{answer['message']}", tuple(paths))
        paths.append(kind.path(namespace, answer["metadata"]["name"]))
    if broken.change is not None:
        status, answer = send("PATCH", paths[0], broken.change, content_type="application/merge-patch+json")
        if status >= 400:
            return Outcome("change", f"{answer['message']}", tuple(paths))
    return Outcome("nobody", "", tuple(paths))
