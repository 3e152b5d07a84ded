"""Revisions: every template that a StatefulSet or DaemonSet has had, kept as ControllerRevisions.

Reads a workload's revisions and the orphans among them; plans their adoption, the creation of one for a
template that is new, and the renumbering of one whose template has come back. A revision is named after the
hash of its content, so a repeated create meets its twin; a name that belongs to other content is a collision,
which the workload counts and hashes along the next time. What a revision keeps is a patch that puts the
template back, in the words of Kubernetes: `kubectl rollout undo` sends just that.
Source: Kubernetes 1.37, pkg/controller/history, pkg/controller/statefulset/stateful_set_utils.go (getPatch).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

import orjson

from nestling.api.json import JsonObject
from nestling.api.kinds import CONTROLLER_REVISION
from nestling.controllers.ownership import Claims, claim
from nestling.machinery.names import SAFE_ALPHABET, Key
from nestling.machinery.plan import Create, Delete, Patch
from nestling.machinery.records.revisioned import ControllerRevision, Revisioned
from nestling.machinery.view import View

# Kubernetes cuts the owner's name there, so that the whole is no longer than an object's name may be.
STEM_LENGTH: Final = 223
NAME_LENGTH: Final = 253

_FNV_OFFSET: Final = 0x811C9DC5
_FNV_PRIME: Final = 0x01000193
# Go writes these so that JSON may stand in HTML; all of them occur within strings only.
_ESCAPES: Final = {
    b"<": rb"\u003c",
    b">": rb"\u003e",
    b"&": rb"\u0026",
    "\u2028".encode(): rb"\u2028",
    "\u2029".encode(): rb"\u2029",
}


@dataclass(frozen=True, slots=True)
class Present:
    """The revision of the present template: its name, its hash, and the write that makes it so, if it takes
    one.

    `number` is the one it has then, `collisions` the count that the workload has to keep.
    """

    name: str
    hash: str
    number: int
    collisions: int
    write: Create | Patch | None = None


def revisions_of(view: View, owner: Revisioned) -> Claims[ControllerRevision]:
    """The revisions of a workload, lowest first, and what takes in the orphans that it selects."""
    owned = view.owned(ControllerRevision, owner.uid)
    orphans = view.selected(ControllerRevision, owner.key.namespace, owner.selector)
    claims = claim(owner, owner.selector, owned, orphans)
    return Claims(tuple(sorted(claims.held, key=by_number)), claims.writes)


def by_number(revision: ControllerRevision) -> tuple[int, float, str]:
    """Lowest first; of one number the oldest, of one second by name."""
    return revision.number, revision.created_at, revision.key.name


def present(
    view: View,
    owner: Revisioned,
    revisions: Sequence[ControllerRevision],
    *,
    label: str,
    annotation: str = "",
) -> Present:
    """The revision of the present template: it stands, or comes back and gets a new number, or is made.

    `revisions` come lowest first; `label` is where a revision says its hash, `annotation` where a new one
    says its number, if it does.
    """
    number = revisions[-1].number + 1 if revisions else 1
    equal = [one for one in revisions if one.digest == owner.digest]
    if equal:
        found = equal[-1]
        if found is revisions[-1]:
            return _as_it_is(found, label, owner.collisions)
        return Present(
            found.key.name,
            _hash(found, label),
            number,
            owner.collisions,
            Patch(found.KIND, found.key, found.uid, {"revision": number}, version=found.version),
        )
    body = owner.body
    template: JsonObject = body["spec"].get("template") or {}
    for collisions in count(owner.collisions):
        hashed = hash_of(template, collisions)
        key = name_of(owner.key, hashed)
        taken = view.get(ControllerRevision, key)
        if taken is None:
            labels = {**owner.template_labels, label: hashed}
            notes = {**(body["metadata"].get("annotations") or {})}
            if annotation:
                notes[annotation] = str(number)
            made = _body(owner, template, key, number, labels=labels, annotations=notes)
            create = Create(CONTROLLER_REVISION, key, made)
            return Present(key.name, hashed, number, collisions, create)
        if taken.digest == owner.digest:
            # A predecessor's, on its way out: its end will wake us. Or one whose labels somebody has changed.
            return _as_it_is(taken, label, collisions)
    raise AssertionError("numbers do not end")


def _as_it_is(revision: ControllerRevision, label: str, collisions: int) -> Present:
    return Present(revision.key.name, _hash(revision, label), revision.number, collisions)


def _hash(revision: ControllerRevision, label: str) -> str:
    """What a revision goes by: its label, or its name if somebody has made it without."""
    return revision.labels.get(label) or revision.key.name


def _body(
    owner: Revisioned,
    template: JsonObject,
    key: Key,
    number: int,
    *,
    labels: JsonObject,
    annotations: JsonObject,
) -> JsonObject:
    """The new revision; it has the owner's annotations, among them `kubernetes.io/change-cause`."""
    meta: JsonObject = {
        "name": key.host_name,
        "namespace": key.cluster,
        "labels": labels,
        "ownerReferences": [owner.as_owner().to_json()],
    }
    if annotations:
        meta["annotations"] = annotations
    return {
        "apiVersion": CONTROLLER_REVISION.api_version,
        "kind": CONTROLLER_REVISION.name,
        "metadata": meta,
        "data": patch_of(template),
        "revision": number,
    }


def patch_of(template: JsonObject) -> JsonObject:
    """What a revision keeps: the strategic merge patch that puts this template back."""
    return {"spec": {"template": {**template, "$patch": "replace"}}}


def hash_of(template: JsonObject, collisions: int) -> str:
    """The last part of a revision's name, nearly always the very one that Kubernetes would give.

    FNV-1 of 32 bits over the JSON as Go writes it, with all defaults, and over the count; in letters that
    make no words.
    """
    text = orjson.dumps(patch_of(_spelled_out(template)), option=orjson.OPT_SORT_KEYS)
    for plain, escaped in _ESCAPES.items():
        text = text.replace(plain, escaped)
    found = _FNV_OFFSET
    for byte in text + str(collisions).encode():
        found = (found * _FNV_PRIME & 0xFFFFFFFF) ^ byte
    return "".join(SAFE_ALPHABET[byte % len(SAFE_ALPHABET)] for byte in str(found).encode())


def name_of(owner: Key, hashed: str) -> Key:
    """Where the revision of this hash lives, cut so that its host name is not too long."""
    around = len(owner._replace(name="").host_name)
    stem = owner.name[: min(STEM_LENGTH, NAME_LENGTH - around - len(hashed) - 1)]
    return owner._replace(name=f"{stem}-{hashed}")


def forget(revisions: Sequence[ControllerRevision]) -> list[Delete]:
    """Deletion of revisions that nobody needs, if they are as we saw them."""
    return [Delete(one.KIND, one.key, one.uid, version=one.version) for one in revisions if not one.deleting]


def _spelled_out(template: JsonObject) -> JsonObject:
    """A template with the one default that a schema cannot give: when to pull depends on the image's tag."""
    spec: JsonObject = template.get("spec") or {}
    lists = {
        name: [_pulled(container) for container in spec[name]]
        for name in ("initContainers", "containers")
        if spec.get(name)
    }
    return {**template, "spec": {**spec, **lists}}


def _pulled(container: JsonObject) -> JsonObject:
    if container.get("imagePullPolicy"):
        return container
    name: str = (container.get("image") or "").rpartition("/")[2]
    base, _, digest = name.partition("@")
    tag = base.partition(":")[2] or ("" if digest else "latest")
    return {**container, "imagePullPolicy": "Always" if tag == "latest" else "IfNotPresent"}
