"""Which objects a list or a watch is about: labels, fields, a namespace, one name.

Label selectors are the library's own (`nestling.api.selector`); field selectors are here, because only a
server knows which fields may be asked for.
Source: Kubernetes 1.37, k8s.io/apimachinery/pkg/fields/selector.go.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from nestling.api.selector import Selector
from nestling.apiserver.record import Record
from nestling.apiserver.refusal import bad_request
from nestling.apiserver.resource import Resource

_TERM: Final = re.compile(r"(.*?)(!=|==|=)(.*)", re.DOTALL)
_NOTHING: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class FieldTerm:
    """One condition on one field."""

    field: str
    value: str
    equal: bool

    def matches(self, record: Record) -> bool:
        """Whether the record meets it. A field that the object lacks is the empty text."""
        match self.field:
            case "metadata.name":
                actual = record.place[1]
            case "metadata.namespace":
                actual = record.place[0]
            case _:
                actual = record.fields.get(self.field, "")
        return (actual == self.value) is self.equal


@dataclass(frozen=True, slots=True)
class Selection:
    """The condition of one list or watch. `namespace` None means all of them."""

    namespace: str | None = None
    labels: Selector | None = None
    fields: tuple[FieldTerm, ...] = ()

    @property
    def everything(self) -> bool:
        """Whether only the namespace, if that, narrows the selection."""
        return self.labels is None and not self.fields

    def matches(self, record: Record | None) -> bool:
        """Whether an object, possibly absent, belongs to the selection."""
        if record is None:
            return False
        if self.namespace is not None and record.place[0] != self.namespace:
            return False
        if self.labels is not None and not self.labels.matches(record.labels):
            return False
        return all(term.matches(record) for term in self.fields)

    @property
    def name(self) -> str | None:
        """The single name that is asked for, if it is a single one."""
        return next((t.value for t in self.fields if t.field == "metadata.name" and t.equal), None)


def _split(text: str) -> list[str]:
    """Split at commas that are not escaped."""
    return re.split(r"(?<!\\),", text) if text else []


def _unescaped(text: str) -> str:
    return re.sub(r"\\([\\,=])", r"\1", text)


def parse_fields(text: str, resource: Resource) -> tuple[FieldTerm, ...]:
    """The terms of a field selector. Raises Refusal for a field that this resource cannot be selected by."""
    allowed = {"metadata.name", "metadata.namespace", *(name for name, _ in resource.selectable)}
    terms: list[FieldTerm] = []
    for part in _split(text):
        if not part:
            continue
        match = _TERM.fullmatch(part)
        if match is None:
            raise bad_request(
                f'unable to parse field selector: invalid selector: "{text}"; can\'t understand "{part}"'
            )
        field, operator, value = match.groups()
        if field not in allowed:
            if resource.custom:
                raise bad_request(f"field label not supported: {field}")
            raise bad_request(
                f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"'
            )
        terms.append(FieldTerm(field, _unescaped(value), operator != "!="))
    return tuple(terms)


def selection_of(query: Mapping[str, str], resource: Resource, namespace: str | None) -> Selection:
    """The selection of a request. Raises Refusal when a selector cannot be read."""
    labels = None
    if text := query.get("labelSelector"):
        try:
            labels = Selector.parse(text)
        except ValueError as error:
            raise bad_request(f"unable to parse requirement: {error}") from error
        if labels.everything:
            labels = None
    fields = parse_fields(query.get("fieldSelector", ""), resource)
    return Selection(namespace, labels, fields)
