"""Server-side apply: who owns which field, and what follows when they disagree.

Fields are tracked from the first apply on: an object that nobody ever applied carries no `managedFields`,
which halves it and makes its writes cheap. What it held before then belongs to `before-first-apply`, as on a
real server whose tracking was cleared.
Source: Kubernetes 1.37, k8s.io/apimachinery/pkg/util/managedfields and
sigs.k8s.io/structured-merge-diff/merge.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import orjson

from nestling.api.json import JsonObject
from nestling.apiserver import ownership
from nestling.apiserver.ownership import Fields
from nestling.apiserver.refusal import Refusal
from nestling.apiserver.resource import Resource

BEFORE: Final = "before-first-apply"
NOBODY: Final[Fields] = frozenset()


@dataclass(frozen=True, slots=True)
class Entry:
    """One manager's fields."""

    manager: str
    operation: str
    api_version: str
    subresource: str
    time: str
    fields: Fields

    @classmethod
    def of(cls, entry: JsonObject) -> "Entry":
        """Read one entry of managedFields."""
        return cls(
            entry.get("manager", ""),
            entry.get("operation", "Update"),
            entry.get("apiVersion", ""),
            entry.get("subresource", ""),
            entry.get("time", ""),
            ownership.decode(entry.get("fieldsV1") or {}),
        )

    def json(self) -> JsonObject:
        """The entry as managedFields holds it."""
        entry: JsonObject = {
            "manager": self.manager,
            "operation": self.operation,
            "apiVersion": self.api_version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": ownership.encode(self.fields),
        }
        return {**entry, "subresource": self.subresource} if self.subresource else entry

    def is_of(self, manager: str, operation: str, subresource: str) -> bool:
        """Whether it is the entry of this manager for this way of writing."""
        return (self.manager, self.operation, self.subresource) == (manager, operation, subresource)

    def __str__(self) -> str:
        text = f'"{self.manager}"'
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        return f"{text} using {self.api_version}" if self.operation == "Update" else text


def entries_of(body: JsonObject) -> list[Entry]:
    """All entries of an object."""
    return [Entry.of(entry) for entry in body["metadata"].get("managedFields") or () if entry]


def _store(body: JsonObject, entries: Iterable[Entry]) -> None:
    kept = [entry for entry in entries if entry.fields]
    kept.sort(key=lambda entry: (entry.operation, entry.time, entry.manager, entry.subresource))
    if kept:
        body["metadata"]["managedFields"] = [entry.json() for entry in kept]
    else:
        body["metadata"].pop("managedFields", None)


def _of_endpoint(resource: Resource, fields: Fields, subresource: str) -> Fields:
    """The fields that this endpoint can write."""
    if subresource == "status":
        return frozenset(path for path in fields if path[0] == "f:status")
    if resource.has_status:
        return frozenset(path for path in fields if path[0] != "f:status")
    return fields


def _part_of(resource: Resource, config: JsonObject, subresource: str) -> JsonObject:
    """The part of a configuration that this endpoint can write; the rest is not even looked at."""
    if subresource == "status":
        return {key: config[key] for key in ("apiVersion", "kind", "metadata", "status") if key in config}
    return {key: value for key, value in config.items() if key != "status" or not resource.has_status}


class Applier:
    """Keeps `metadata.managedFields` and merges applied configurations."""

    def track_created(
        self, resource: Resource, body: JsonObject, applied: JsonObject, manager: str, now: str
    ) -> None:
        """Record the first owner of an object made by apply."""
        fields = _of_endpoint(resource, ownership.fields_of(resource, applied), "")
        _store(body, [Entry(manager, "Apply", resource.api_version, "", now, fields)])

    def track_update(
        self, resource: Resource, old: JsonObject, new: JsonObject, manager: str, subresource: str, now: str
    ) -> None:
        """Record what an ordinary write changed, if the object is tracked at all."""
        if not new["metadata"].get("managedFields") or not old["metadata"].get("managedFields"):
            return
        set_, gone = ownership.changed(resource, old, new)
        if not set_ and not gone:
            return
        touched = set_ | gone
        entries: list[Entry] = []
        mine = Entry(manager, "Update", resource.api_version, subresource, now, NOBODY)
        for entry in entries_of(old):
            if entry.is_of(manager, "Update", subresource):
                mine = replace(entry, time=now)
            else:
                entries.append(replace(entry, fields=entry.fields - touched))
        entries.append(replace(mine, fields=(mine.fields | set_) - gone))
        _store(new, entries)

    def apply(
        self,
        resource: Resource,
        old: JsonObject,
        config: JsonObject,
        manager: str,
        subresource: str,
        now: str,
        *,
        force: bool,
    ) -> JsonObject:
        """The object with `config` applied. Raises Refusal when others own what it changes, unless forced."""
        root = ownership.root_node(resource)
        config = _part_of(resource, config, subresource)
        entries = entries_of(old)
        if not entries:
            everything = _of_endpoint(resource, ownership.fields_of(resource, old), "")
            since = old["metadata"].get("creationTimestamp", now)
            entries = [Entry(BEFORE, "Update", resource.api_version, "", since, everything)]
        mine = next((entry for entry in entries if entry.is_of(manager, "Apply", subresource)), None)
        others = [entry for entry in entries if entry is not mine]
        wanted = _of_endpoint(resource, ownership.fields_of(resource, config), subresource)
        new: JsonObject = ownership.merged(root, old, orjson.loads(orjson.dumps(config)))
        changed, _ = ownership.changed(resource, old, new)
        disputed = [(entry, entry.fields & changed) for entry in others]
        if not force and any(fields for _, fields in disputed):
            raise _conflict([(entry, fields) for entry, fields in disputed if fields])
        others = [replace(entry, fields=entry.fields - fields) for entry, fields in disputed]
        dropped = (mine.fields if mine else NOBODY) - wanted
        held = frozenset(path for entry in others for path in entry.fields) | wanted
        # A field goes with its last owner, unless something below it is still owned.
        gone = frozenset(path for path in dropped if not any(other[: len(path)] == path for other in held))
        new = ownership.without(root, new, gone)
        new.setdefault("metadata", {})
        entry = Entry(manager, "Apply", resource.api_version, subresource, now, wanted)
        if mine is not None and mine.fields == wanted:
            entry = replace(entry, time=mine.time)
        _store(new, [*others, entry])
        return new


def _conflict(disputed: list[tuple[Entry, Fields]]) -> Refusal:
    lines: list[tuple[str, str]] = [
        (str(entry), ownership.text_of(path)) for entry, fields in disputed for path in sorted(fields)
    ]
    lines.sort()
    if len(lines) == 1:
        text = f"conflict with {lines[0][0]}: {lines[0][1]}"
    else:
        groups: dict[str, list[str]] = {}
        for who, path in lines:
            groups.setdefault(who, []).append(path)
        text = "\n".join(
            "\n".join((f"conflicts with {who}:", *(f"- {path}" for path in paths)))
            for who, paths in groups.items()
        )
    noun = "conflict" if len(lines) == 1 else "conflicts"
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": path}
        for who, path in lines
    ]
    return Refusal(409, f"Apply failed with {len(lines)} {noun}: {text}", details={"causes": causes})
