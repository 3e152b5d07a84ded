"""What the server serves: one `Resource` per group, version and plural, and the registry that finds them.

Built-in resources and custom ones are the same record; what sets a built-in apart is data (columns, schema)
and, for a few, a pair of functions.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from nestling.api.json import JsonObject
from nestling.apiserver import metadata
from nestling.apiserver.refusal import Violation
from nestling.apiserver.rules import Rules
from nestling.apiserver.schema import Schema

VERBS: Final = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")


@dataclass(frozen=True, slots=True)
class Column:
    """One printed column: where its value lies; columns of a priority above 0 are for wide output."""

    name: str
    type: str
    path: str
    description: str = ""
    format: str = ""
    priority: int = 0


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where `/scale` finds its numbers, as paths of field names."""

    spec: tuple[str, ...]
    status: tuple[str, ...]
    selector: tuple[str, ...] = ()


def nothing_to_prepare(new: JsonObject, old: JsonObject | None) -> None:
    """The preparation of a resource that needs none."""


def nothing_to_check(new: JsonObject, old: JsonObject | None) -> list[Violation]:
    """The check of a resource whose schema says everything."""
    return []


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """One kind in one version. `storage` names the table: versions of a kind share it."""

    group: str
    version: str
    plural: str
    kind: str
    storage: str
    namespaced: bool = True
    singular: str = ""
    list_kind: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    schema: Schema = field(default_factory=lambda: OPEN)
    rules: Rules | None = None
    columns: tuple[Column, ...] = ()
    selectable: tuple[tuple[str, tuple[str, ...]], ...] = ()
    has_status: bool = False
    scale: ScalePaths | None = None
    custom: bool = False
    counts_generations: bool = False
    unconditional_update: bool = True
    create_on_update: bool = False
    name_check: metadata.NameCheck = metadata.subdomain
    prepare: Callable[[JsonObject, JsonObject | None], None] = nothing_to_prepare
    check: Callable[[JsonObject, JsonObject | None], list[Violation]] = nothing_to_check
    to_storage: Callable[[JsonObject], JsonObject] | None = None
    from_storage: Callable[[JsonObject], JsonObject] | None = None
    cells: Callable[[JsonObject, float], list[object]] | None = None
    merge_keys: Mapping[str, str] = field(default_factory=dict[str, str])
    deprecation: str = ""
    served: bool = True
    verbs: tuple[str, ...] = VERBS

    @property
    def api_version(self) -> str:
        """`group/version`, or the bare version in the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def subresources(self) -> tuple[str, ...]:
        """The subresources that exist, in the order discovery shows them."""
        return (*(("status",) if self.has_status else ()), *(("scale",) if self.scale else ()))


OPEN: Final = Schema({"type": "object", "x-kubernetes-preserve-unknown-fields": True})
"""The schema of a resource that takes anything."""


def priority(version: str) -> tuple[int, int, int, str]:
    """The order of versions: v2, v1, v2beta1, v1beta2, v1alpha1, then anything else by name."""
    match = re.fullmatch(r"v([1-9][0-9]*)(?:(alpha|beta)([1-9][0-9]*))?", version)
    if match is None:
        return (3, 0, 0, version)
    major, stage, minor = match.groups()
    return ({None: 0, "beta": 1, "alpha": 2}[stage], -int(major), -int(minor or 0), "")


class Registry:
    """All resources served right now."""

    def __init__(self) -> None:
        self._by_path: dict[tuple[str, str, str], Resource] = {}
        self._by_storage: dict[str, Resource] = {}
        self.generation = 0

    def add(self, resource: Resource, *, storage: bool = True) -> None:
        """Serve `resource`; with `storage`, its version is the one that objects are kept in."""
        self._by_path[resource.group, resource.version, resource.plural] = resource
        if storage:
            self._by_storage[resource.storage] = resource
        self.generation += 1

    def remove(self, storage: str) -> None:
        """Stop serving every version kept in this table."""
        self._by_path = {key: r for key, r in self._by_path.items() if r.storage != storage}
        self._by_storage.pop(storage, None)
        self.generation += 1

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """The resource at a path, if it is served."""
        return self._by_path.get((group, version, plural))

    def stored(self, storage: str) -> Resource | None:
        """The resource, in the version that objects are kept in."""
        return self._by_storage.get(storage)

    def of_kind(self, api_version: str, kind: str) -> Resource | None:
        """The resource of an owner reference."""
        return next((r for r in self if r.kind == kind and r.api_version == api_version), None)

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._by_path.values())

    def tables(self) -> Iterator[Resource]:
        """One resource per table."""
        return iter(list(self._by_storage.values()))

    def groups(self) -> dict[str, list[str]]:
        """Versions by group, the one to prefer first."""
        groups: dict[str, list[str]] = {}
        for resource in self:
            versions = groups.setdefault(resource.group, [])
            if resource.version not in versions:
                versions.append(resource.version)
        return {group: sorted(versions, key=priority) for group, versions in groups.items()}

    def has_version(self, group: str, version: str) -> bool:
        """Whether anything is served there."""
        return any(r.group == group and r.version == version for r in self)
