"""Server-side apply: who owns which field, and what follows when they disagree."""

from nestling.api.json import JsonObject
from nestling.apiserver.resource import Resource


class Applier:
    """Keeps `metadata.managedFields`."""

    def track_created(
        self, resource: Resource, body: JsonObject, applied: JsonObject, manager: str, now: str
    ) -> None:
        """Record the first owner of an object made by apply."""

    def track_update(
        self, resource: Resource, old: JsonObject, new: JsonObject, manager: str, subresource: str, now: str
    ) -> None:
        """Record what an ordinary write changed."""

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
        """Merge `config` into `old`."""
        from nestling.apiserver import patch

        return patch.merge(old, config)
