"""One watch: the changes of a selection as lines of JSON, pulled by whoever streams them.

A watch holds no queue of its own. It remembers the revision it has told of and asks the history of the
resource, so a slow client costs nothing; when history has moved on past it, the client is told to list again,
as upstream does.
Source: Kubernetes 1.37, k8s.io/apiserver/pkg/storage/cacher and endpoints/handlers/watch.go.
"""

from collections.abc import Callable
from typing import Final

import orjson

from nestling.api.json import JsonObject
from nestling.apiserver.record import Change, ChangeType
from nestling.apiserver.refusal import expired
from nestling.apiserver.resource import Resource
from nestling.apiserver.selection import Selection
from nestling.apiserver.state import State
from nestling.apiserver.store import Compacted

BOOKMARK_EVERY_S: Final = 60.0
INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"

Render = Callable[[bytes], bytes]
"""From the stored bytes of an object to the form the client asked for."""


class Watch:
    """A pull subscription: call `poll` when woken, until `closed`."""

    def __init__(
        self,
        state: State,
        resource: Resource,
        selection: Selection,
        *,
        revision: int,
        initial: bool,
        bookmarks: bool,
        sends_end: bool = False,
        timeout_s: float | None = None,
        render: Render | None = None,
        bookmark: Callable[[JsonObject], JsonObject] | None = None,
    ) -> None:
        """Start after `revision`; with `initial`, the current objects come first as ADDED."""
        self._state = state
        self._resource = resource
        self._selection = selection
        self._position = revision
        self._bookmarks = bookmarks
        self._render = render
        self._bookmark = bookmark
        table = state.store.table(resource.storage)
        self._first = table.records(selection.namespace) if initial else None
        """The objects as they are now, until the first poll tells of them."""
        if initial:
            self._position = state.store.revision
        self._sends_end = sends_end
        self._told = self._position
        started = state.clock.monotonic()
        self._ends_at = None if timeout_s is None else started + timeout_s
        self._next_bookmark = started + BOOKMARK_EVERY_S
        self.closed = False

    @property
    def position(self) -> int:
        """The revision up to which everything has been told."""
        return self._position

    @property
    def wakes_at(self) -> float:
        """The monotonic time at which to poll even if nothing happens."""
        return self._next_bookmark if self._ends_at is None else min(self._ends_at, self._next_bookmark)

    def poll(self) -> list[bytes]:
        """The lines that are due now; closes the watch when its time is over or history is gone."""
        if self.closed:
            return []
        lines = self._first_lines()
        durable = self._state.store.durable
        if durable > self._position:
            lines += self._changes(durable)
        now = self._state.clock.monotonic()
        if self._ends_at is not None and now >= self._ends_at:
            # A last bookmark lets the client resume where we stopped, not where its last object was.
            if self._bookmarks and self._told < self._position:
                lines.append(self._bookmark_line())
            self.closed = True
        elif now >= self._next_bookmark:
            self._next_bookmark = now + BOOKMARK_EVERY_S
            if self._bookmarks:
                lines.append(self._bookmark_line())
        return lines

    def close(self) -> None:
        """Stop; later polls answer nothing."""
        self.closed = True

    def refuse(self, code_line: bytes) -> list[bytes]:
        """End the stream with an ERROR event."""
        self.closed = True
        return [code_line]

    def _first_lines(self) -> list[bytes]:
        if self._first is None:
            return []
        lines = [
            self._line("ADDED", record.data) for record in self._first if self._selection.matches(record)
        ]
        self._first = None
        if self._sends_end:
            lines.append(self._bookmark_line(end=True))
        return lines

    def _changes(self, durable: int) -> list[bytes]:
        table = self._state.store.table(self._resource.storage)
        lines: list[bytes] = []
        try:
            changes = table.since(self._position)
        except Compacted as error:
            refusal = expired(f"too old resource version: {self._position} ({error.oldest})")
            return self.refuse(b'{"type":"ERROR","object":%s}\n' % orjson.dumps(refusal.status()))
        selection = self._selection
        for change in changes:
            if change.revision > durable:
                break
            if (type_ := self._type_of(change, selection)) is not None:
                lines.append(self._event(change, type_))
                self._told = change.revision
        self._position = durable
        return lines

    def _type_of(self, change: Change, selection: Selection) -> ChangeType | None:
        """How the change looks to this watch: an object may enter or leave a selection by changing."""
        before, after = change.before, change.after
        if selection.everything:
            if selection.namespace is not None and change.place[0] != selection.namespace:
                return None
            if after is None:
                return "DELETED"
            return "ADDED" if before is None else "MODIFIED"
        was, now = selection.matches(before), selection.matches(after)
        if now:
            return "MODIFIED" if was else "ADDED"
        return "DELETED" if was else None

    def _event(self, change: Change, type_: ChangeType) -> bytes:
        if self._render is None:
            return change.line(type_)
        return b'{"type":"%s","object":%s}\n' % (type_.encode(), self._render(change.data(type_)))

    def _line(self, type_: ChangeType, data: bytes) -> bytes:
        shown = data if self._render is None else self._render(data)
        return b'{"type":"%s","object":%s}\n' % (type_.encode(), shown)

    def _bookmark_line(self, *, end: bool = False) -> bytes:
        self._told = self._position
        meta: JsonObject = {"resourceVersion": str(self._position), "creationTimestamp": None}
        if end:
            meta["annotations"] = {INITIAL_EVENTS_END: "true"}
        body: JsonObject = {
            "kind": self._resource.kind,
            "apiVersion": self._resource.api_version,
            "metadata": meta,
        }
        if self._bookmark is not None:
            body = self._bookmark(body)
        return b'{"type":"BOOKMARK","object":%s}\n' % orjson.dumps(body)
