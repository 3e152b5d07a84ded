"""Read YAML as kubectl does: YAML 1.1 as Go reads it, with limits, and with the line of all that is wrong.

Text in, documents out. The library parses; the values are built here without recursion, because a library
that builds them itself follows aliases without bound, lets a key stand twice, and reads `12:30` as a
number.
Source: go.yaml.in/yaml v2.4.4, resolve.go and decode.go (what Kubernetes 1.37 reads manifests with).
"""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from nestling.api.json import JsonValue
from nestling.cli.documents import MAX_DEPTH

MAX_REPEATED: Final = 500_000
"""Values that aliases may add to a file."""

_LOADER: Final[Any] = getattr(
    yaml, "CSafeLoader", yaml.SafeLoader
)  # libyaml is ten times faster where it is there
_INT: Final = re.compile(r"[-+]?(0[bB][01]+|0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0|[1-9][0-9]*)\Z", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z", re.ASCII)
_CONSTANTS: Final[dict[str, JsonValue]] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_NOT_FINITE: Final = re.compile(r"[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z")
_TAG: Final = "tag:yaml.org,2002:"
_LARGEST: Final = 2**64 - 1
_SMALLEST: Final = -(2**63)


class YamlError(Exception):
    """The text is not a YAML document that can be used; `line` and `column` count from 1."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class Located:
    """One document and the line it starts on."""

    value: JsonValue
    line: int


@dataclass(slots=True)
class _Open:
    """A list or map that is being filled. A map remembers its pending key and what it merges."""

    value: Any
    anchor: str | None
    size_before: int
    key: str | None = None
    merges: list[Any] = field(default_factory=list[Any])


class _Builder:
    """Turns the events of one document into a value; keeps count of what aliases add."""

    def __init__(self) -> None:
        self.stack: list[_Open] = []
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.opening: set[str] = set()
        self.size = 0
        self.repeated = 0
        self.result: JsonValue = None

    def feed(self, event: Any) -> None:
        """Take one event. Raises YamlError."""
        match event:
            case yaml.ScalarEvent():
                self.size += 1
                self._scalar(event)
            case yaml.AliasEvent():
                self._alias(event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self.size += 1
                self._open(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._close(event)
            case _:
                pass

    def _scalar(self, event: Any) -> None:
        top = self.stack[-1] if self.stack else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            if event.value == "<<" and event.implicit[0]:
                top.key = "<<"
                top.merges.append(None)
                return
            value = _resolve(event)
            top.key = _key(value, event)
            if top.key in top.value:
                raise _at(event, f'the key "{top.key}" is already set in this map')
            top.value[top.key] = None  # keeps its place; the value follows
            self._remember(event.anchor, value, 1)
            return
        value = _resolve(event)
        self._remember(event.anchor, value, 1)
        self._put(value, event)

    def _alias(self, event: Any) -> None:
        if event.anchor in self.opening:
            raise _at(event, f"the alias *{event.anchor} refers to the value it is part of")
        if event.anchor not in self.anchors:
            raise _at(event, f"the alias *{event.anchor} refers to nothing")
        value, size = self.anchors[event.anchor]
        self.repeated += size
        self.size += size
        if self.repeated > MAX_REPEATED:
            raise _at(event, f"aliases repeat more than {MAX_REPEATED:,} values")
        top = self.stack[-1] if self.stack else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            raise _at(event, "an alias cannot be the key of a map")
        self._put(value, event)

    def _open(self, event: Any) -> None:
        if len(self.stack) >= MAX_DEPTH:
            raise _at(event, f"more than {MAX_DEPTH} lists and maps are nested in one another")
        top = self.stack[-1] if self.stack else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            raise _at(event, "a list or map cannot be the key of a map")
        if event.tag not in {None, "!", f"{_TAG}map", f"{_TAG}seq"}:
            raise _at(event, f"the tag {_short(event.tag)} is not known")
        if event.anchor is not None:
            self.opening.add(event.anchor)
        value: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
        self.stack.append(_Open(value, event.anchor, self.size))

    def _close(self, event: Any) -> None:
        top = self.stack.pop()
        for merged in top.merges:
            _merge(top.value, merged, event)
        if top.anchor is not None:
            self.opening.discard(top.anchor)
            self._remember(top.anchor, top.value, self.size - top.size_before + 1)
        self._put(top.value, event)

    def _remember(self, anchor: str | None, value: Any, size: int) -> None:
        if anchor is not None:
            self.anchors[anchor] = (value, size)

    def _put(self, value: Any, event: Any) -> None:
        if not self.stack:
            self.result = value
            return
        top = self.stack[-1]
        if isinstance(top.value, list):
            top.value.append(value)
        elif top.key == "<<" and top.merges and top.merges[-1] is None:
            if value is None:
                raise _at(event, "<< needs a map or a list of maps")
            top.merges[-1], top.key = value, None
        else:
            assert top.key is not None, "a map takes a value only after its key"
            top.value[top.key], top.key = value, None


def documents(text: str) -> Iterator[Located]:
    """Every document of a stream, one after the other. Raises YamlError at the first that cannot be read."""
    builder, line = _Builder(), 1
    try:
        event: Any
        for event in yaml.parse(text, Loader=_LOADER):
            if isinstance(event, yaml.DocumentStartEvent):
                builder, line = _Builder(), 0
            elif isinstance(event, yaml.DocumentEndEvent):
                yield Located(builder.result, line)
            elif not isinstance(event, yaml.StreamStartEvent | yaml.StreamEndEvent):
                line = line or int(event.start_mark.line) + 1
                builder.feed(event)
    except yaml.YAMLError as error:
        raise _broken(error, text) from error


def resolve(text: str) -> JsonValue:
    """What a plain scalar means: null, bool, number, or the text itself."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if text[:1] not in "0123456789+-.":
        return text
    plain = text.replace("_", "") if text[:1] != "." else text
    if _INT.match(plain):
        number = _integer(plain)
        return number if _SMALLEST <= number <= _LARGEST else float(number)
    if _FLOAT.match(plain):
        number = float(plain)
        # Go writes a whole float into JSON without a point, so servers take it for an integer.
        return int(number) if number.is_integer() and _SMALLEST <= number <= -_SMALLEST - 1 else number
    return text


def _integer(plain: str) -> int:
    digits = plain.lstrip("+-")
    sign = -1 if plain.startswith("-") else 1
    if digits[:2].lower() in {"0b", "0x", "0o"}:
        return sign * int(digits, 0)
    return sign * int(digits, 8 if digits.startswith("0") and len(digits) > 1 else 10)


def _resolve(event: Any) -> JsonValue:
    tag, text = event.tag, event.value
    if tag in {None, "!"}:
        if event.implicit[0] and tag is None:
            if _NOT_FINITE.match(text):
                raise _at(event, f"{text} is not a number that JSON knows")
            value = resolve(text)
            if isinstance(value, float) and value in {float("inf"), float("-inf")}:
                raise _at(event, f"{text} is too large for a number")
            return value
        return text
    match tag.removeprefix(_TAG):
        case "str":
            return text
        case "binary":
            return _decoded(event)
        case "timestamp":
            return text
        case "int" | "float" | "bool" | "null" as kind:
            value = resolve(text)
            wanted: Any = {"int": int, "float": (int, float), "bool": bool, "null": type(None)}[kind]
            if not isinstance(value, wanted) or (kind != "bool" and isinstance(value, bool)):
                raise _at(event, f'"{text}" is not of type {kind}')
            return value
        case _:
            raise _at(event, f"the tag {_short(tag)} is not known")


def _decoded(event: Any) -> str:
    try:
        return base64.b64decode("".join(event.value.split()), validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise _at(event, "the !!binary value is not base64 of UTF-8 text") from error


def _key(value: JsonValue, event: Any) -> str:
    """A map's key as JSON has it: text. Numbers and bools are written out, as kubectl does."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case None:
            raise _at(event, "the key of a map is empty")
        case _:
            return str(event.value)


def _merge(target: dict[str, Any], merged: Any, event: Any) -> None:
    for source in merged if isinstance(merged, list) else [merged]:
        if not isinstance(source, dict):
            raise _at(event, "<< needs a map or a list of maps")
        for key, value in source.items():
            target.setdefault(key, value)


def _short(tag: str) -> str:
    return f"!!{tag.removeprefix(_TAG)}" if tag.startswith(_TAG) else tag


def _at(event: Any, message: str) -> YamlError:
    return YamlError(message, event.start_mark.line + 1, event.start_mark.column + 1)


def _broken(error: Any, text: str) -> YamlError:
    """The library's complaint in one sentence."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark: Any = error.problem_mark or error.context_mark
        said = ", ".join(part for part in (error.context, error.problem) if part)
        return YamlError(said or "not YAML", mark.line + 1 if mark else 1, mark.column + 1 if mark else 1)
    position = getattr(error, "position", 0)
    before = text.encode()[:position].decode(errors="replace") if isinstance(position, int) else ""
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    character = getattr(error, "character", None)
    named = f" (U+{character:04X})" if isinstance(character, int) else ""
    reason = getattr(error, "reason", None) or "a character that YAML does not allow"
    return YamlError(f"{reason}{named}", line, column)
