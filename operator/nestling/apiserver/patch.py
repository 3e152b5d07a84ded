"""Patches: merge (RFC 7386), JSON (RFC 6902), and strategic merge for the built-in kinds.

Each function takes the old object and the patch and answers the new object; the old one is not kept.
Source: Kubernetes 1.37, k8s.io/apimachinery/pkg/util/strategicpatch, and the RFCs.
"""

from collections.abc import Mapping
from typing import Any, Final, cast

import jsonpatch
import jsonpointer

from nestling.api.json import JsonObject
from nestling.apiserver.refusal import Refusal, bad_request

MAX_OPERATIONS: Final = 10_000
_DIRECTIVES: Final = ("$patch", "$retainKeys")


def merge(old: Any, patch: Any) -> Any:
    """Apply a merge patch in place where it can and answer the result."""
    if not isinstance(patch, dict):
        return patch
    target: JsonObject = old if isinstance(old, dict) else {}
    for key, value in cast("JsonObject", patch).items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            target[key] = merge(target.get(key), value)
        else:
            target[key] = value
    return target


def apply_operations(old: JsonObject, operations: Any) -> JsonObject:
    """Apply a JSON patch. Raises Refusal: 400 for a malformed patch, 422 for one that does not fit."""
    if not isinstance(operations, list):
        raise bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    if len(operations) > MAX_OPERATIONS:
        raise Refusal(
            413, f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}"
        )
    try:
        return cast("JsonObject", jsonpatch.apply_patch(old, operations, in_place=True))
    except (
        jsonpatch.JsonPatchConflict,
        jsonpatch.JsonPatchTestFailed,
        jsonpointer.JsonPointerException,
    ) as error:
        raise Refusal(422, "the server rejected our request due to an error in our request") from error
    except (jsonpatch.InvalidJsonPatch, KeyError, TypeError, AttributeError) as error:
        raise bad_request(f"the JSON patch cannot be applied: {error}") from error


def strategic(old: Any, patch: JsonObject, keys: Mapping[str, str], path: str = "") -> JsonObject:
    """Apply a strategic merge patch.

    `keys` gives, per path of a list, the field that tells its items apart; an empty text marks a list of
    plain values that is merged as a set. Lists at other paths are replaced.
    """
    if patch.get("$patch") == "delete":
        return {}
    target: JsonObject = (
        dict(cast("JsonObject", old)) if isinstance(old, dict) and patch.get("$patch") != "replace" else {}
    )
    if isinstance(retain := patch.get("$retainKeys"), list):
        target = {key: value for key, value in target.items() if key in retain}
    for key, value in patch.items():
        here = f"{path}.{key}" if path else key
        if key in _DIRECTIVES or key.startswith("$setElementOrder/"):
            continue
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            target[name] = [item for item in target.get(name) or [] if item not in value]
        elif value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            child = cast("JsonObject", value)
            if child.get("$patch") == "delete":
                target.pop(key, None)
            else:
                target[key] = strategic(target.get(key), child, keys, here)
        elif isinstance(value, list) and here in keys:
            target[key] = _merge_list(target.get(key) or [], cast("list[Any]", value), keys, here)
        else:
            target[key] = value
    return target


def _merge_list(old: list[Any], patch: list[Any], keys: Mapping[str, str], path: str) -> list[Any]:
    key = keys[path]
    if not key:
        return [*old, *(item for item in patch if item not in old)]
    if any(item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if "$patch" not in item]
    merged = list(old)
    for item in patch:
        at = next((i for i, known in enumerate(merged) if known.get(key) == item.get(key)), None)
        if item.get("$patch") == "delete":
            if at is not None:
                del merged[at]
        elif at is None:
            merged.append(item)
        else:
            merged[at] = strategic(merged[at], item, keys, path)
    return merged
