"""The Kubernetes API without sockets: one request in, one answer out.

`Api.handle` answers everything that has one answer, `Api.watch` opens a stream. Both are synchronous: an
object is judged and stored before they return. What follows from a deletion is done by `step` or `settle`, by
the caller or, with `settles`, right after each write. Time and randomness come in through the constructor.
"""

import time
from random import Random

import orjson

from nestling.apiserver import builtin, crd, discovery, openapi, render, review, scale
from nestling.apiserver.count import CONTENT_TYPE, Counts
from nestling.apiserver.deletion import PERMANENT, Deleter, delete_options
from nestling.apiserver.exchange import Request, Response
from nestling.apiserver.garbage import Collector
from nestling.apiserver.outcome import Outcome
from nestling.apiserver.reader import Reader, parse_revision, shown
from nestling.apiserver.record import Change
from nestling.apiserver.refusal import (
    Refusal,
    Violation,
    bad_request,
    is_invalid,
    method_not_allowed,
    no_such_path,
    not_found,
)
from nestling.apiserver.resource import Resource
from nestling.apiserver.route import Route, route
from nestling.apiserver.selection import selection_of
from nestling.apiserver.state import State
from nestling.apiserver.store import Store
from nestling.apiserver.watch import Watch
from nestling.apiserver.writer import Writer
from nestling.machinery.clock import Clock, SystemClock

SYSTEM_NAMESPACES = (*PERMANENT, "kube-node-lease")
_ALIVE = ("/livez", "/readyz", "/healthz")


class Api:
    """One API server. Not thread-safe: one thread at a time may call it."""

    def __init__(
        self,
        store: Store | None = None,
        *,
        clock: Clock | None = None,
        random: Random | None = None,
        settles: bool = True,
    ) -> None:
        """Serve `store`, by default a fresh one in memory.

        With `random`, UIDs and generated names come from it, so that a run can be repeated. With `settles`,
        garbage is collected before each answer; otherwise by `step` and `settle`.
        """
        self.state = State(
            Store() if store is None else store, SystemClock() if clock is None else clock, random
        )
        self.counts = Counts(self.state)
        self._settles = settles
        self._reader = Reader(self.state)
        self._writer = Writer(self.state)
        self._deleter = Deleter(self.state)
        builtin.register(self.state.registry)
        self._collector = Collector(self.state, self._deleter)
        self.state.store.listen(self._follow_definitions)
        for resource in self.state.registry.tables():
            self.state.store.table(resource.storage)
            self.state.index_fields(resource)
        for record in self.state.store.table(crd.STORAGE).records():
            self._serve(record.data)
        for name in SYSTEM_NAMESPACES:
            self._ensure_namespace(name)
        self._collector.load()

    # Requests

    def handle(self, request: Request) -> Response:
        """Answer one request; errors become `Status` answers."""
        started = time.perf_counter()
        verb, resource, at = "", None, None
        try:
            at = None if request.path == review.PATH else route(request.path)
            if at is None:
                response = self._answer_other(request)
            else:
                resource = self._resource(at)
                verb = _verb(request, at)
                response = self._answer(request, at, resource, verb)
                if self._settles and request.method != "GET":
                    self._collector.settle()
        except Refusal as refusal:
            response = refusal.response()
        subresource = at.subresource if at else ""
        self.counts.observe(verb, resource, subresource, response.status, time.perf_counter() - started)
        return response

    def watch(self, request: Request) -> Watch | Response:
        """Open a watch, or answer why not."""
        resource = None
        try:
            at = route(request.path)
            if at is None:
                raise no_such_path()
            resource = self._resource(at)
            watch = self._open(request, at, resource)
        except Refusal as refusal:
            self.counts.observe("watch", resource, "", refusal.code, 0.0)
            return refusal.response()
        self.counts.observe("watch", resource, "", 200, 0.0)
        return watch

    # What happens by itself

    def step(self) -> bool:
        """Do one piece of garbage collection; answer whether there was one."""
        return self._collector.step()

    def settle(self) -> None:
        """Collect garbage until nothing is left to collect."""
        self._collector.settle()

    @property
    def idle(self) -> bool:
        """Whether garbage collection has nothing to do."""
        return self._collector.idle

    def compact(self, revision: int | None = None) -> None:
        """Forget history up to `revision`, by default all of it: older watches and pages end with 410."""
        self.state.store.compact(revision)

    def unsupported_rules(self) -> list[str]:
        """Every CEL rule that this server cannot evaluate, with its place; such rules are not enforced."""
        return sorted({rule for r in self.state.registry if r.rules for rule in r.rules.unsupported(r.kind)})

    @property
    def revision(self) -> int:
        """The revision of the last write."""
        return self.state.store.revision

    # Answers

    def _answer_other(self, request: Request) -> Response:
        if request.path == "/readyz" and (failure := self.state.store.failure) is not None:
            raise Refusal(500, f"the data file cannot be written: {failure}", plain=True)
        if request.path in _ALIVE or request.path.startswith(tuple(f"{path}/" for path in _ALIVE)):
            return Response(200, b"ok", content_type="text/plain; charset=utf-8")
        if request.path == "/metrics":
            return Response(200, self.counts.exposition(), content_type=CONTENT_TYPE)
        if request.path == review.PATH and request.method == "POST":
            return review.answer(request)
        answer = discovery.answer(self.state.registry, request) or openapi.answer(
            self.state.registry, request
        )
        if answer is None:
            raise no_such_path()
        return answer

    def _resource(self, at: Route) -> Resource:
        resource = self.state.registry.find(at.group, at.version, at.plural)
        if resource is None or not resource.served:
            raise no_such_path() if not at.group else _unknown(at)
        if not resource.namespaced and at.namespace is not None:
            raise no_such_path() if resource.custom is False else _unknown(at)
        return resource

    def _answer(self, request: Request, at: Route, resource: Resource, verb: str) -> Response:
        if at.subresource and at.subresource not in (*resource.subresources, "finalize"):
            raise not_found(resource.group, resource.plural, at.name) if resource.custom else no_such_path()
        place = (at.namespace or "", at.name)
        form = render.form_of(request, resource, self.state.clock.now)
        match verb:
            case "get":
                record = self._reader.get(resource, place)
                if at.subresource == "scale":
                    return Response.of(scale.view(resource, record.parse()))
                return form.one(shown(resource, record), warnings=_warnings(resource))
            case "list":
                page = self._reader.list(resource, at.namespace, request)
                return form.many([shown(resource, record) for record in page.records], page.metadata())
            case "create":
                outcome = self._writer.create(resource, at.namespace or "", request)
            case "update":
                outcome = self._writer.update(resource, place, at.subresource, request)
            case "patch":
                outcome = self._writer.patch(resource, place, at.subresource, request)
            case "delete":
                outcome = self._deleter.delete(resource, place, request)
                if outcome.deleted:
                    return _success(resource, at.name, outcome)
            case "deletecollection":
                return self._delete_collection(request, at, resource, form)
            case _:
                raise method_not_allowed()
        data = outcome.data
        if resource.from_storage is not None:
            data = orjson.dumps(resource.from_storage(orjson.loads(data)))
        warnings = (*_warnings(resource), *outcome.warnings)
        if at.subresource == "scale":
            return Response.of(scale.view(resource, orjson.loads(data)), warnings=warnings)
        return form.one(data, 201 if outcome.created else 200, warnings)

    def _delete_collection(
        self, request: Request, at: Route, resource: Resource, form: render.Form
    ) -> Response:
        page = self._reader.list(resource, at.namespace, request)
        options = delete_options(request)
        gone: list[bytes] = []
        for record in page.records:
            current = self.state.get(resource, record.place)
            if current is None:
                continue
            try:
                gone.append(self._deleter.delete_record(resource, current, options).data)
            except Refusal as refusal:
                if refusal.code != 404:
                    raise
        return form.many(gone, page.metadata())

    def _open(self, request: Request, at: Route, resource: Resource) -> Watch:
        query = request.query
        selection = selection_of(query, resource, at.namespace)
        if at.name:
            raise method_not_allowed()
        text = query.get("resourceVersion", "")
        revision = parse_revision(text)
        initial = revision == 0
        wants_initial = query.get("sendInitialEvents")
        bookmarks = request.flag("allowWatchBookmarks")
        if wants_initial is not None:
            initial = request.flag("sendInitialEvents")
            _check_initial(query, bookmarks=bookmarks)
            if not initial and revision == 0:
                revision = self.revision
        try:
            timeout = float(query["timeoutSeconds"]) if query.get("timeoutSeconds") else None
        except ValueError as error:
            raise bad_request(
                f'strconv.ParseInt: parsing "{query["timeoutSeconds"]}": invalid syntax'
            ) from error
        form = render.form_of(request, resource, self.state.clock.now)
        return Watch(
            self.state,
            resource,
            selection,
            revision=revision,
            initial=initial,
            bookmarks=bookmarks,
            sends_end=initial and wants_initial is not None and bookmarks,
            timeout_s=timeout,
            render=form.event_renderer(),
            bookmark=form.bookmark,
        )

    # Definitions and namespaces

    def _follow_definitions(self, change: Change) -> None:
        if change.resource != crd.STORAGE:
            return
        if change.after is None:
            self.state.registry.remove(change.place[1])
            self.state.store.forget(change.place[1])
        else:
            self._serve(change.after.data)

    def _serve(self, definition: bytes) -> None:
        body = orjson.loads(definition)
        known = self.state.registry.stored(body["metadata"]["name"])
        generation = (body["metadata"].get("generation"), body["metadata"]["uid"])
        if known is not None and self._served.get(known.storage) == generation:
            return
        self._served[body["metadata"]["name"]] = generation
        self.state.registry.remove(body["metadata"]["name"])
        for index, resource in enumerate(crd.resources_of(body)):
            self.state.registry.add(resource, storage=index == 0)
            if index == 0:
                self.state.store.table(resource.storage)
                self.state.index_fields(resource)

    @property
    def _served(self) -> dict[str, tuple[int | None, str]]:
        return self.state.served

    def _ensure_namespace(self, name: str) -> None:
        if self.state.store.table(builtin.NAMESPACE).get(("", name)) is None:
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            request = Request("POST", "/api/v1/namespaces", body=orjson.dumps(body))
            resource = self.state.registry.find("", "v1", builtin.NAMESPACE)
            assert resource is not None, "namespaces are always served"
            self._writer.create(resource, "", request)


def _verb(request: Request, at: Route) -> str:
    match request.method, bool(at.name):
        case "GET", True:
            return "get"
        case "GET", False:
            return "list"
        case "POST", False:
            return "create"
        case "PUT", True:
            return "update"
        case "PATCH", True:
            return "patch"
        case "DELETE", True:
            return "delete"
        case "DELETE", False:
            return "deletecollection"
        case _:
            return ""


def _unknown(at: Route) -> Refusal:
    """A path of an unknown resource is plain text, like any path that nothing serves."""
    return no_such_path()


def _warnings(resource: Resource) -> tuple[str, ...]:
    return (resource.deprecation,) if resource.deprecation else ()


def _success(resource: Resource, name: str, outcome: Outcome) -> Response:
    meta = orjson.loads(outcome.data)["metadata"]
    details = {"name": name, "group": resource.group, "kind": resource.plural, "uid": meta["uid"]}
    if not resource.group:
        del details["group"]
    return Response.of(
        {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
    )


def _check_initial(query: object, *, bookmarks: bool) -> None:
    get = query.get  # type: ignore[attr-defined] # a mapping of texts
    found: list[Violation] = []
    if get("resourceVersionMatch") != "NotOlderThan":
        why = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        found.append(Violation("FieldValueForbidden", "resourceVersionMatch", why))
    if get("sendInitialEvents") == "true" and not bookmarks:
        why = "Forbidden: sendInitialEvents requires setting allowWatchBookmarks to true"
        found.append(Violation("FieldValueForbidden", "sendInitialEvents", why))
    if found:
        raise is_invalid("meta.k8s.io", "ListOptions", "", found)
