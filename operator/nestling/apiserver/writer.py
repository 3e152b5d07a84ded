"""Create, update and patch: from a request to one change of the store.

Each write is judged against the stored object at that moment; nothing runs in between, so a compare-and-swap
needs no retry. A write that changes nothing is answered without a new revision.
Source: Kubernetes 1.37, k8s.io/apiserver/pkg/registry/generic/registry/store.go and pkg/registry/rest.
"""

from collections.abc import Callable
from typing import Any, Final, cast

import orjson
import yaml

from nestling.api.json import JsonObject
from nestling.apiserver import body as bodies
from nestling.apiserver import metadata, patch, scale
from nestling.apiserver.apply import Applier
from nestling.apiserver.body import WriteOptions
from nestling.apiserver.deletion import NAMESPACES, is_held
from nestling.apiserver.exchange import (
    APPLY_PATCH,
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC_PATCH,
    Request,
)
from nestling.apiserver.judge import judge
from nestling.apiserver.outcome import Outcome
from nestling.apiserver.record import Place, Record
from nestling.apiserver.refusal import (
    Refusal,
    Violation,
    already_exists,
    bad_request,
    conflict,
    invalid,
    is_forbidden,
    is_invalid,
    not_found,
    unknown_media_type,
)
from nestling.apiserver.resource import Resource
from nestling.apiserver.state import State

GENERATED_NAME_TRIES: Final = 8
METADATA_MERGE_KEYS: Final = {"metadata.ownerReferences": "uid", "metadata.finalizers": ""}

Mutation = Callable[[JsonObject], tuple[JsonObject, list[str]]]
"""From the stored object to the wanted one, with the fields that were given twice."""


class Writer:
    """The write verbs."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._applier = Applier()

    # Create

    def create(self, resource: Resource, namespace: str, request: Request) -> Outcome:
        """POST of one object."""
        options = WriteOptions.of(request)
        wanted, repeated = bodies.decode(request, resource)
        return self.create_from(resource, namespace, wanted, repeated, request, options)

    def create_from(
        self,
        resource: Resource,
        namespace: str,
        wanted: JsonObject,
        repeated: list[str],
        request: Request,
        options: WriteOptions,
        applied: JsonObject | None = None,
    ) -> Outcome:
        """Create a decoded object, which with `applied` comes from an apply of that configuration."""
        state = self._state
        bodies.identify(wanted, resource, request)
        repeated_keys, warnings = bodies.admit(wanted, resource, repeated, options)
        bodies.locate(wanted, namespace, None)
        meta: JsonObject = wanted["metadata"]
        given_revision = meta.get("resourceVersion") or ""
        generate = meta.get("generateName") or ""
        self._require_namespace(resource, namespace, meta.get("name") or generate)
        meta["uid"] = state.new_uid()
        meta["creationTimestamp"] = state.now()
        for key in (
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "selfLink",
            "generation",
            "managedFields",
        ):
            meta.pop(key, None)
        if resource.counts_generations:
            meta["generation"] = 1
        if resource.has_status and resource.custom:
            wanted.pop("status", None)
        if applied is not None:
            self._applier.track_created(resource, wanted, applied, options.manager, state.now())
        if resource.to_storage is not None:
            wanted = resource.to_storage(wanted)
            meta = wanted["metadata"]
        stored = state.registry.stored(resource.storage) or resource
        stored.prepare(wanted, None)
        generated = not meta.get("name") and bool(generate)
        for attempt in range(GENERATED_NAME_TRIES):
            if generated:
                meta["name"] = generate[: metadata.GENERATED_LIMIT - 5] + state.suffix()
            if attempt == 0:
                self._judge_new(stored, wanted, repeated_keys)
                if given_revision not in ("", "0"):
                    message = "resourceVersion should not be set on objects to be created"
                    raise Refusal(500, message, reason="")
            exists = state.get(resource, (namespace, meta["name"])) is not None
            if not exists:
                break
            if not generated:
                raise already_exists(resource.group, resource.plural, meta["name"])
        else:
            raise already_exists(resource.group, resource.plural, meta["name"])
        if options.dry_run:
            meta.pop("resourceVersion", None)
            return Outcome(orjson.dumps(wanted), warnings, created=True)
        record = state.write(stored, wanted, None, "create")
        return Outcome(record.data, warnings, created=True)

    def _judge_new(self, resource: Resource, wanted: JsonObject, repeated: list[Violation]) -> None:
        meta = wanted["metadata"]
        found = metadata.check(meta, namespaced=resource.namespaced, name_check=resource.name_check)
        found += judge(resource, wanted, None, found, repeated)
        if found:
            raise is_invalid(resource.group, resource.kind, meta.get("name", ""), found)

    def _require_namespace(self, resource: Resource, namespace: str, name: str) -> None:
        """Refuse new content in a namespace that is absent or on its way out."""
        if not namespace or not resource.namespaced:
            return
        home = self._state.store.table(NAMESPACES).get(("", namespace))
        if home is None:
            raise not_found("", NAMESPACES, namespace)
        if home.deleting:
            cause = {
                "reason": "NamespaceTerminating",
                "message": f"namespace {namespace} is being terminated",
                "field": "metadata.namespace",
            }
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            raise is_forbidden(resource.group, resource.plural, name, why, [cause])

    # Update

    def update(self, resource: Resource, place: Place, subresource: str, request: Request) -> Outcome:
        """PUT of one object or of its status."""
        options = WriteOptions.of(request, "UpdateOptions")
        wanted, repeated = bodies.decode(request, resource)
        if self._state.get(resource, place) is None and resource.create_on_update and not subresource:
            if isinstance(meta := wanted.get("metadata") or {}, dict):
                wanted["metadata"] = {"name": place[1], **meta}
            return self.create_from(resource, place[0], wanted, repeated, request, options)
        return self._change(
            resource, place, subresource, request, options, lambda _: (wanted, repeated), put=True
        )

    def patch(self, resource: Resource, place: Place, subresource: str, request: Request) -> Outcome:
        """PATCH of one object or of its status, in any of the forms."""
        options = WriteOptions.of(request, "PatchOptions")
        accepted = [JSON_PATCH, MERGE_PATCH, APPLY_PATCH]
        if not resource.custom:
            accepted.insert(2, STRATEGIC_PATCH)
        content_type = request.content_type
        if content_type not in accepted:
            raise unknown_media_type(accepted)
        if content_type == APPLY_PATCH:
            return self._apply(resource, place, subresource, request, options)
        wanted = _parse_patch(request)
        repeated = bodies.repeated_fields(request.body, wanted) if content_type == MERGE_PATCH else []

        def change(old: JsonObject) -> tuple[JsonObject, list[str]]:
            match content_type:
                case "application/json-patch+json":
                    return patch.apply_operations(old, wanted), []
                case "application/strategic-merge-patch+json":
                    keys = METADATA_MERGE_KEYS | dict(resource.merge_keys)
                    return patch.strategic(old, wanted, keys), []
                case _:
                    return cast("JsonObject", patch.merge(old, wanted)), repeated

        return self._change(resource, place, subresource, request, options, change)

    def _apply(
        self, resource: Resource, place: Place, subresource: str, request: Request, options: WriteOptions
    ) -> Outcome:
        if not request.query.get("fieldManager"):
            found = [
                Violation("FieldValueRequired", "fieldManager", "Required value: is required for apply patch")
            ]
            raise is_invalid("meta.k8s.io", "PatchOptions", "", found)
        config = _parse_configuration(request)
        bodies.identify(config, resource, request)
        meta = config.get("metadata")
        if meta is None:
            meta = config["metadata"] = {}
        if isinstance(meta, dict) and meta.get("managedFields") is not None:
            raise bad_request("metadata.managedFields must be nil")
        _require_known_fields(resource, orjson.loads(orjson.dumps(config)))
        repeated = bodies.repeated_fields(request.body, config) if request.body[:1] == b"{" else []
        admitted = orjson.loads(orjson.dumps(config))
        bodies.locate(admitted, place[0], place[1])
        if self._state.get(resource, place) is None and not subresource:
            if uid := admitted["metadata"].get("uid"):
                why = (
                    f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                )
                raise conflict(resource.group, resource.plural, place[1], why)
            return self.create_from(resource, place[0], admitted, repeated, request, options, applied=config)
        force = request.flag("force")

        def change(old: JsonObject) -> tuple[JsonObject, list[str]]:
            new = self._applier.apply(
                resource, old, config, options.manager, subresource, self._state.now(), force=force
            )
            return new, repeated

        return self._change(resource, place, subresource, request, options, change, applying=True)

    def _change(
        self,
        resource: Resource,
        place: Place,
        subresource: str,
        request: Request,
        options: WriteOptions,
        mutate: Mutation,
        *,
        put: bool = False,
        applying: bool = False,
    ) -> Outcome:
        state = self._state
        record = state.get(resource, place)
        if record is None:
            raise not_found(resource.group, resource.plural, place[1])
        stored = state.registry.stored(resource.storage) or resource
        shown = record.parse()
        if resource.from_storage is not None:
            shown = resource.from_storage(shown)
        if subresource == "scale":
            wanted, repeated = scale.mutate(resource, shown, mutate)
        else:
            wanted, repeated = mutate(shown)
        if wanted.get("metadata") is None:
            wanted["metadata"] = {}
        bodies.identify(wanted, resource, request)
        repeated_keys, warnings = bodies.admit(wanted, resource, repeated, options)
        bodies.locate(wanted, place[0], place[1])
        if resource.to_storage is not None:
            wanted = resource.to_storage(wanted)
        old = record.parse()
        self._check_identity(stored, record, wanted, put=put)
        wanted = self._keep(stored, old, wanted, subresource)
        stored.prepare(wanted, old)
        meta, old_meta = wanted["metadata"], old["metadata"]
        found = metadata.check(meta, namespaced=stored.namespaced, name_check=metadata.path_segment)
        found += metadata.check_update(meta, old_meta)
        found += judge(stored, wanted, old, found, repeated_keys, subresource=subresource)
        if found:
            raise is_invalid(stored.group, stored.kind, place[1], found)
        if not applying:
            self._applier.track_update(stored, old, wanted, options.manager, subresource, state.now())
        self._count_generation(stored, old, wanted)
        if "deletionTimestamp" in meta and not meta.get("finalizers") and not is_held(wanted):
            if options.dry_run:
                return Outcome(orjson.dumps(wanted), warnings)
            meta["resourceVersion"] = str(record.revision)
            last = orjson.dumps(wanted)
            state.erase(stored, record)
            return Outcome(last, warnings, deleted=True)
        meta["resourceVersion"] = str(record.revision)
        if _same(old, wanted):
            return Outcome(record.data, warnings)
        if options.dry_run:
            return Outcome(orjson.dumps(wanted), warnings)
        after = state.write(stored, wanted, record, subresource or "update")
        return Outcome(after.data, warnings)

    def _check_identity(self, resource: Resource, record: Record, wanted: JsonObject, *, put: bool) -> None:
        meta = wanted["metadata"]
        name = record.place[1]
        revision = meta.get("resourceVersion") or ""
        if not revision or revision == "0":
            if put and not resource.unconditional_update:
                found = [invalid("metadata.resourceVersion", 0, "must be specified for an update")]
                raise is_invalid(resource.group, resource.plural, name, found)
        elif revision != str(record.revision):
            if not revision.isdigit():
                found = [invalid("metadata.resourceVersion", revision, "must be an unsigned integer")]
                raise is_invalid(resource.group, resource.plural, name, found)
            raise conflict(resource.group, resource.plural, name)
        uid = meta.get("uid")
        if put and uid and uid != record.uid:
            key = "/".join(
                part for part in ("/registry", resource.group, resource.plural, *record.place) if part
            )
            raise conflict(
                resource.group,
                resource.plural,
                name,
                f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: "
                f"Precondition failed: UID in precondition: {uid}, UID in object meta: {record.uid}",
            )

    def _keep(self, resource: Resource, old: JsonObject, wanted: JsonObject, subresource: str) -> JsonObject:
        """Let only those parts change that this endpoint may change."""
        old_meta: JsonObject = old["metadata"]
        meta: JsonObject = wanted["metadata"]
        if subresource == "status":
            fields = meta.get("managedFields", old_meta.get("managedFields"))
            uid = meta.get("uid") or old_meta["uid"]
            kept = orjson.loads(orjson.dumps(old))
            meta = kept["metadata"]
            meta["uid"] = uid
            if fields is not None:
                meta["managedFields"] = fields
            if "status" in wanted:
                kept["status"] = wanted["status"]
            else:
                kept.pop("status", None)
            wanted = kept
        elif resource.has_status:
            if "status" in old:
                wanted["status"] = old["status"]
            else:
                wanted.pop("status", None)
        for key in ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"):
            if not meta.get(key) and key in old_meta:
                meta[key] = old_meta[key]
        if "deletionTimestamp" not in old_meta:
            # Only a deletion can start a deletion.
            meta.pop("deletionTimestamp", None)
            meta.pop("deletionGracePeriodSeconds", None)
        meta.pop("selfLink", None)
        if "generation" in old_meta:
            meta["generation"] = old_meta["generation"]
        else:
            meta.pop("generation", None)
        fields = meta.get("managedFields")
        if fields is not None and not any(fields):
            # One empty entry is the way to say: forget who wrote what.
            meta.pop("managedFields")
        return wanted

    def _count_generation(self, resource: Resource, old: JsonObject, wanted: JsonObject) -> None:
        if not resource.counts_generations:
            return
        ignored = ("metadata", "status") if resource.has_status else ("metadata",)
        if bodies.without(old, *ignored) != bodies.without(wanted, *ignored):
            wanted["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1


def _require_known_fields(resource: Resource, config: JsonObject) -> None:
    """Refuse to apply fields that nobody could own: the schema does not have them. Uses up `config`."""
    meta = config.get("metadata") or {}
    unknown = metadata.admit(config, resource.kind, resource.version) + resource.schema.admit(config).unknown
    if unknown:
        lines = [f".{path}: field not declared in schema" for path in unknown]
        text = lines[0] if len(lines) == 1 else "errors:\n" + "\n".join(f"  {line}" for line in lines)
        place = f"{meta.get('namespace') or ''}/{meta.get('name') or ''}"
        subject = f"{place}; {resource.api_version}, Kind={resource.kind}"
        raise Refusal(500, f"failed to create typed patch object ({subject}): {text}", reason="")


def _same(old: JsonObject, new: JsonObject) -> bool:
    """Whether two versions differ in nothing but the times in managed fields."""
    if old == new:
        return True
    before, after = old["metadata"].get("managedFields"), new["metadata"].get("managedFields")
    if not before or not after or bodies.without(old, "metadata") != bodies.without(new, "metadata"):
        return False
    if bodies.without(old["metadata"], "managedFields") != bodies.without(new["metadata"], "managedFields"):
        return False
    return [bodies.without(entry, "time") for entry in before] == [
        bodies.without(entry, "time") for entry in after
    ]


def _parse_configuration(request: Request) -> JsonObject:
    """What a client applies: an object in JSON or YAML."""
    body = request.body
    try:
        # JSON is YAML too, but a hundred times faster read as JSON.
        applied = orjson.loads(body) if body[:1] in (b"{", b"[") else yaml.safe_load(body)
    except (yaml.YAMLError, orjson.JSONDecodeError) as error:
        raise bad_request(f"error decoding YAML: {error}") from error
    if not isinstance(applied, dict):
        raise bad_request("error decoding YAML: the patch is not an object")
    return orjson.loads(orjson.dumps(applied))


def _parse_patch(request: Request) -> Any:
    try:
        wanted = orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        raise bad_request(f"error decoding patch: {error}") from error
    if request.content_type != JSON_PATCH and not isinstance(wanted, dict):
        raise bad_request("error decoding patch: the patch is not an object")
    return wanted
