"""What is wrong with a manifest that no API server has seen yet: field, and why.

`nestling schedule` answers from manifests alone, so nobody has refused a misspelt field before it. Only the
parts that scheduling reads are looked at: the spec, and what a node says it has.
"""

from collections.abc import Iterator
from typing import Final

from pydantic import ValidationError

from nestling.api import quantity
from nestling.api.json import JsonObject, JsonValue
from nestling.api.kinds import NODE, POD
from nestling.api.nestling import VirtualNodeSpec
from nestling.api.objects import VirtualPodSpec
from nestling.api.schema import Schema

# The virtual kinds take every native field.
MODELS: Final[dict[str, type[Schema]]] = {
    POD.native: VirtualPodSpec,
    POD.name: VirtualPodSpec,
    NODE.native: VirtualNodeSpec,
    NODE.name: VirtualNodeSpec,
}


def faults_of(manifest: JsonObject) -> Iterator[str]:
    """One sentence per fault of a Node or a Pod, native or virtual; nothing for other kinds."""
    kind = str(manifest.get("kind"))
    if kind not in MODELS:
        return
    yield from _faults(MODELS[kind], manifest.get("spec"))
    status = manifest.get("status")
    if MODELS[kind] is VirtualNodeSpec and isinstance(status, dict):
        for part in ("allocatable", "capacity"):
            yield from _amounts(f"status.{part}", status.get(part))


def _faults(model: type[Schema], spec: JsonValue) -> Iterator[str]:
    try:
        model.model_validate({} if spec is None else spec)
    except ValidationError as error:
        for one in error.errors():
            path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in one["loc"])
            match one["type"]:
                case "extra_forbidden":
                    yield f"spec{path} is no field, so it is ignored"
                case "missing":
                    yield f"spec{path} is missing"
                case _:
                    yield f"spec{path}: {one['input']!r:.80} is wrong: {one['msg']}"


def _amounts(path: str, amounts: JsonValue) -> Iterator[str]:
    for name, amount in amounts.items() if isinstance(amounts, dict) else ():
        if not quantity.is_quantity(amount):
            yield f"{path}.{name}: {amount!r:.80} is not a quantity, so it counts as none"
