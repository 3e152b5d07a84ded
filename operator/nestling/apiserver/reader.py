"""Get and list: bytes of the store, joined, never parsed unless the client wants another form.

A list with `limit` is a page of the state at one revision; the continue token names that revision and the
last place.
Source: Kubernetes 1.37, k8s.io/apiserver/pkg/storage (continue tokens, resourceVersionMatch).
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Final

import orjson

from nestling.api.json import JsonObject
from nestling.apiserver.exchange import Request
from nestling.apiserver.record import Place, Record
from nestling.apiserver.refusal import (
    Refusal,
    Violation,
    bad_request,
    expired,
    is_invalid,
    not_found,
)
from nestling.apiserver.resource import Resource
from nestling.apiserver.selection import Selection, selection_of
from nestling.apiserver.state import State
from nestling.apiserver.store import Compacted

TOKEN_VERSION: Final = "meta.k8s.io/v1"  # noqa: S105 - not a secret
TOO_OLD: Final = (
    "The provided continue parameter is too old to display a consistent list result. "
    "You can start a new list without the continue parameter, or use the continue token in this response "
    "to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent "
    "list - objects that were created, modified, or deleted between the time the first chunk was returned "
    "and now may show up in the list."
)


class Page:
    """One answer of a list: the records, and the list's own metadata."""

    __slots__ = ("more", "records", "remaining", "revision")

    def __init__(
        self, records: Sequence[Record], revision: int, more: str = "", remaining: int | None = None
    ) -> None:
        self.records = records
        self.revision = revision
        self.more = more
        self.remaining = remaining

    def metadata(self) -> JsonObject:
        """The `metadata` of the list object."""
        meta: JsonObject = {"resourceVersion": str(self.revision)}
        if self.more:
            meta["continue"] = self.more
        if self.remaining is not None:
            meta["remainingItemCount"] = self.remaining
        return meta


def parse_revision(text: str, *, field: str = "resourceVersion") -> int:
    """A resourceVersion parameter as a number, 0 when empty. Raises Refusal for anything else."""
    if not text:
        return 0
    if not text.isdigit():
        raise Refusal(
            500,
            f'{field}: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax',
            reason="",
        )
    return int(text)


def shown(resource: Resource, record: Record) -> bytes:
    """The bytes of an object in the version of `resource`."""
    if resource.from_storage is None:
        return record.data
    return orjson.dumps(resource.from_storage(record.parse()))


class Reader:
    """The read verbs."""

    def __init__(self, state: State) -> None:
        self._state = state

    def get(self, resource: Resource, place: Place) -> Record:
        """One object. Raises Refusal when it is not there."""
        record = self._state.get(resource, place)
        if record is None:
            raise not_found(resource.group, resource.plural, place[1])
        return record

    def list(self, resource: Resource, namespace: str | None, request: Request) -> Page:
        """One page of a list, or all of it."""
        query = request.query
        selection = selection_of(query, resource, namespace)
        limit = self._limit(query.get("limit", ""))
        if token := query.get("continue"):
            if query.get("resourceVersion") not in (None, "", "0"):
                raise bad_request("specifying resource version is not allowed when using continue")
            return self._continue(resource, selection, token, limit)
        revision, exact = self._wanted_revision(query)
        table = self._state.store.table(resource.storage)
        current = self._state.store.revision
        if exact:
            if revision > current:
                raise self._too_large(revision, current)
            try:
                records = table.at(revision, namespace)
            except Compacted as error:
                raise expired("The resourceVersion for the provided list is too old.") from error
            return self._page(selection, records, revision, limit)
        if revision > current:
            raise self._too_large(revision, current)
        return self._page(selection, table.records(namespace), current, limit, table_of=resource)

    def _page(
        self,
        selection: Selection,
        records: Sequence[Record],
        revision: int,
        limit: int,
        *,
        after: Place | None = None,
        table_of: Resource | None = None,
    ) -> Page:
        everything = selection.everything
        start = 0 if after is None else _position_after(records, after)
        if not limit:
            chosen = records[start:] if start else records
            return Page(chosen if everything else [r for r in chosen if selection.matches(r)], revision)
        chosen = []
        index = start
        while index < len(records) and len(chosen) < limit:
            if everything or selection.matches(records[index]):
                chosen.append(records[index])
            index += 1
        if index >= len(records):
            return Page(chosen, revision)
        if table_of is not None:
            self._state.store.table(table_of.storage).keep(revision, selection.namespace, records)
        token = {"v": TOKEN_VERSION, "rv": revision, "start": "/".join(records[index - 1].place)}
        more = base64.urlsafe_b64encode(orjson.dumps(token)).decode().rstrip("=")
        return Page(chosen, revision, more, len(records) - index if everything else None)

    def _continue(self, resource: Resource, selection: Selection, token: str, limit: int) -> Page:
        try:
            told = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
            revision = int(told["rv"])
            namespace, _, name = str(told["start"]).partition("/")
        except (ValueError, KeyError, TypeError, binascii.Error) as error:
            raise bad_request(f"invalid continue token: continue key is not valid: {error}") from error
        table = self._state.store.table(resource.storage)
        if revision < 0:
            current = self._state.store.revision
            return self._page(
                selection,
                table.records(selection.namespace),
                current,
                limit,
                after=(namespace, name),
                table_of=resource,
            )
        try:
            records = table.at(revision, selection.namespace)
        except Compacted as error:
            refusal = expired(TOO_OLD)
            again = {"v": TOKEN_VERSION, "rv": -1, "start": told["start"]}
            refusal.list_continue = base64.urlsafe_b64encode(orjson.dumps(again)).decode().rstrip("=")
            raise refusal from error
        return self._page(selection, records, revision, limit, after=(namespace, name))

    def _limit(self, text: str) -> int:
        if not text:
            return 0
        try:
            return max(int(text), 0)
        except ValueError as error:
            raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from error

    def _wanted_revision(self, query: Mapping[str, str]) -> tuple[int, bool]:
        get = query.get
        try:
            revision = parse_revision(get("resourceVersion", ""))
        except Refusal as refusal:
            raise bad_request(f"invalid resource version: {refusal.message}") from refusal
        match_ = get("resourceVersionMatch", "")
        found: list[Violation] = []
        if match_ and match_ not in ("Exact", "NotOlderThan"):
            message = f'Unsupported value: "{match_}": supported values: "Exact", "NotOlderThan", ""'
            found.append(Violation("FieldValueNotSupported", "resourceVersionMatch", message))
        elif match_ and not get("resourceVersion"):
            why = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
            found.append(Violation("FieldValueForbidden", "resourceVersionMatch", why))
        elif match_ == "Exact" and revision == 0:
            why = 'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
            found.append(Violation("FieldValueForbidden", "resourceVersionMatch", why))
        if found:
            raise is_invalid("meta.k8s.io", "ListOptions", "", found)
        # A page of a stated revision is a page of exactly that revision: its next pages must fit.
        exact = match_ == "Exact" or (bool(get("limit")) and revision > 0 and not match_)
        return revision, exact

    def _too_large(self, revision: int, current: int) -> Refusal:
        cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
        return Refusal(
            504,
            f"Timeout: Too large resource version: {revision}, current: {current}",
            details={"causes": [cause]},
            retry_after=1,
        )


def _position_after(records: Sequence[Record], place: Place) -> int:
    low, high = 0, len(records)
    while low < high:
        middle = (low + high) // 2
        if records[middle].place <= place:
            low = middle + 1
        else:
            high = middle
    return low
