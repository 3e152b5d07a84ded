"""The part of a status that has to be written: what differs from what stands there."""

from typing import Final

from nestling.api.json import JsonObject
from nestling.api.selector import Selector
from nestling.machinery.plan import Patch
from nestling.machinery.records.base import Record

# What the schemas allow: longer texts would have the whole status refused.
LONGEST_TEXT: Final = 4096
LONGEST_MESSAGE: Final = 32768


def selector_text(selector: Selector) -> str | None:
    """The selector as the scale subresource has it; None if it is longer than the field."""
    text = str(selector)
    return text if len(text) <= LONGEST_TEXT else None


def selector_column(selector: Selector) -> str:
    """The selector as kubectl prints it, cut to what fits."""
    return (str(selector) or "<none>")[:LONGEST_TEXT]


def status_write(record: Record, stored: JsonObject | None, wanted: JsonObject) -> Patch | None:
    """The write that turns the `stored` status into the `wanted` one, or None.

    A value of None means that the field should be absent; fields that `wanted` does not name stay.
    """
    before = stored or {}
    changed = {name: value for name, value in wanted.items() if before.get(name) != value}
    if not changed:
        return None
    body: JsonObject = {"status": changed}
    return Patch(record.KIND, record.key, record.uid, body, version=record.version, subresource="status")
