"""CEL rules of a schema (`x-kubernetes-validations`): compiled once, asked at every write.

Most rules look at two or three fields of a large object, and handing an object over to CEL costs more than
evaluating the rule, so only the fields that the text of a rule names are handed over, and a verdict is
remembered: rules are pure, and the pods of one ReplicaSet differ in little more than their names. A rule that
the library cannot evaluate is logged once, listed by `unsupported`, and lets objects pass; everything else a
rule does, it does here too: transition rules, optionalOldSelf, messageExpression, fieldPath, reason, and no
complaint about what did not change.
Source: Kubernetes 1.37, k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/validation.go.
"""

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import cel
import orjson
import structlog
from cel.stdlib import STDLIB_FUNCTIONS

from nestling.api.json import JsonObject
from nestling.apiserver import extension
from nestling.apiserver.refusal import Violation, duplicate, forbidden, invalid, required

log = structlog.get_logger(__name__)

_RESERVED: Final = frozenset(
    {
        *("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if"),
        *("import", "let", "loop", "package", "namespace", "return", "var", "void", "while"),
    }
)
_SIGNS: Final = (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__"))
_LITERAL: Final = re.compile(r"""r?'(?:[^'\\]|\\.)*'|r?"(?:[^"\\]|\\.)*\"""")
_ACCESS: Final = re.compile(
    r"(?P<has>\bhas\s*\(\s*)?(?<![\w.])(?P<var>self|oldSelf)\b(?P<path>(?:\s*\.\s*[A-Za-z_]\w*)*)(?P<call>\s*\()?"
)
_WHOLE: Final = "*"


def escaped(name: str) -> str:
    """A property name as CEL rules write it: `a-b` is `a__dash__b`, `namespace` is `__namespace__`."""
    if name in _RESERVED:
        return f"__{name}__"
    for sign, word in _SIGNS:
        name = name.replace(sign, word)
    return name


Fields = dict[str, Any]
"""Which fields of a value a rule needs: names to more fields; the name `*` means the value as a whole."""


def fields_used(rule: str, variable: str) -> Fields:
    """The fields of `variable` that the text of `rule` names."""
    fields: Fields = {}
    for match in _ACCESS.finditer(_LITERAL.sub("''", rule)):
        if match["var"] != variable:
            continue
        path = [step.strip() for step in match["path"].split(".")[1:]]
        presence_only = match["has"] is not None and match["call"] is None
        if match["call"] is not None and path:
            path.pop()  # the last name is a function of the value before it
        place = fields
        for step in path:
            place = place.setdefault(step, {})
        if not presence_only or not path:
            place[_WHOLE] = True
    return fields


def project(value: Any, fields: Fields) -> Any:
    """`value` reduced to `fields`; what is only asked for presence becomes an empty shell."""
    if _WHOLE in fields or not isinstance(value, (dict, list)):
        return value
    if isinstance(value, list):
        return []
    return {name: project(value[name], deeper) for name, deeper in fields.items() if name in value}


@dataclass(slots=True, eq=False)
class Rule:
    """One rule, ready to be asked. `program` is None when it could not be compiled."""

    text: str
    schema: Mapping[str, Any]
    message: str
    path: str
    reason: str
    uses_old: bool
    optional_old: bool
    self_fields: Fields
    old_fields: Fields
    type: str
    program: cel.Program | None = None
    context: cel.Context | None = None
    message_program: cel.Program | None = None
    converts: bool = False
    """Whether the values it looks at have other types or names in CEL than in JSON."""
    problem: str = ""
    verdicts: dict[bytes, bool] = field(default_factory=dict[bytes, bool])

    def holds(self, new: Any, old: Any) -> bool:
        """Evaluate. Raises what the library raises when the rule cannot be evaluated on this value."""
        shown = project(new, self.self_fields)
        before = None if old is ABSENT or not self.uses_old else project(old, self.old_fields)
        question = orjson.dumps((shown, before, old is ABSENT))
        verdict = self.verdicts.get(question)
        if verdict is None:
            if self.converts:
                shown, before = converted(shown, self.schema), converted(before, self.schema)
            verdict = self._run(self.program, self._variables(shown, before, old)) is True
            if len(self.verdicts) >= REMEMBERED:
                self.verdicts.clear()
            self.verdicts[question] = verdict
        return verdict

    def sentence(self, new: Any, old: Any) -> str:
        """What to tell the user."""
        if self.message_program is not None:
            shown, before = (
                converted(new, self.schema),
                None if old is ABSENT else converted(old, self.schema),
            )
            try:
                text = self._run(self.message_program, self._variables(shown, before, old))
            except (RuntimeError, ValueError, TypeError, KeyError, ArithmeticError):
                text = None
            if isinstance(text, str) and text.strip() and "\n" not in text:
                return text
        return self.message or f"failed rule: {self.text}"

    def _variables(self, shown: Any, before: Any, old: Any) -> dict[str, Any]:
        if self.optional_old:
            before = cel.OptionalValue.none() if old is ABSENT else cel.OptionalValue.of(before)
        return {"self": shown, "oldSelf": before} if self.uses_old else {"self": shown}

    def _run(self, program: cel.Program | None, variables: dict[str, Any]) -> Any:
        assert program is not None, "only compiled rules are asked"
        if self.context is None:
            return program.execute(variables)
        for name, value in variables.items():
            self.context.add_variable(name, value)
        return program.execute(self.context)


ABSENT: Final = object()
"""There is no old value to compare with."""

REMEMBERED: Final = 512
"""Verdicts remembered per rule."""


@dataclass(slots=True, eq=False)
class Place:
    """One place of the schema that has rules, or leads to some."""

    type: str
    rules: list[Rule] = field(default_factory=list)
    properties: dict[str, "Place"] = field(default_factory=dict)
    extra: "Place | None" = None
    items: "Place | None" = None
    map_keys: tuple[str, ...] = ()
    transitions: bool = False
    """Whether a rule here or below looks at the old value."""


class Rules:
    """The compiled rules of one version of one kind."""

    def __init__(self, source: Mapping[str, Any]) -> None:
        self._root = _compile_place(source, "")

    def check(self, new: JsonObject, old: JsonObject | None) -> list[Violation]:
        """What the rules forbid in `new`, `old` being the object it replaces."""
        if self._root is None:
            return []
        return list(_check(self._root, new, ABSENT if old is None else old, "", same=False))

    def unsupported(self, kind: str) -> list[str]:
        """The rules that cannot be evaluated, each with its place and why."""
        return [] if self._root is None else list(_unsupported(self._root, kind))


def _compile_place(source: Mapping[str, Any], path: str) -> Place | None:
    type_ = source.get("type") or "object"
    place = Place(type_, map_keys=_map_keys(source))
    for entry in source.get("x-kubernetes-validations") or ():
        place.rules.append(_compile_rule(entry, source, type_, path))
    for name, child in (source.get("properties") or {}).items():
        if (below := _compile_place(child, f"{path}.{name}" if path else name)) is not None:
            place.properties[name] = below
    if isinstance(source.get("additionalProperties"), dict):
        place.extra = _compile_place(source["additionalProperties"], f"{path}[*]")
    if isinstance(source.get("items"), dict):
        place.items = _compile_place(source["items"], f"{path}[]")
    below_all = [*place.properties.values(), *(below for below in (place.extra, place.items) if below)]
    if not place.rules and not below_all:
        return None
    place.transitions = any(rule.uses_old for rule in place.rules) or any(
        below.transitions for below in below_all
    )
    return place


def _map_keys(source: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        tuple(source.get("x-kubernetes-list-map-keys") or ())
        if source.get("x-kubernetes-list-type") == "map"
        else ()
    )


def _compile_rule(entry: Mapping[str, Any], source: Mapping[str, Any], type_: str, path: str) -> Rule:
    text = str(entry["rule"])
    rule = Rule(
        text=text,
        schema=source,
        message=entry.get("message") or "",
        path=(entry.get("fieldPath") or "").lstrip("."),
        reason=entry.get("reason") or "",
        uses_old=bool(re.search(r"\boldSelf\b", _LITERAL.sub("''", text))),
        optional_old=bool(entry.get("optionalOldSelf")),
        self_fields=fields_used(text, "self"),
        old_fields={_WHOLE: True} if entry.get("optionalOldSelf") else fields_used(text, "oldSelf"),
        type=type_,
    )
    rule.converts = _converts(rule.self_fields, source) or _converts(rule.old_fields, source)
    rule.self_fields, rule.old_fields = (
        _json_names(rule.self_fields, source),
        _json_names(rule.old_fields, source),
    )
    try:
        rule.program = cel.compile(text)
        needed = set(rule.program.references()["functions"])
        if expression := entry.get("messageExpression"):
            rule.message_program = cel.compile(expression)
            needed |= set(rule.message_program.references()["functions"])
    except ValueError as error:
        rule.program = None
        rule.problem = str(error).splitlines()[0]
    else:
        names = {name for name in needed if name[:1].isalpha()} - extension.BUILT_IN
        names |= needed & {"max", "min", "bool"}
        if unknown := sorted(names - extension.FUNCTIONS.keys()):
            rule.problem = f"unknown function {', '.join(unknown)}"
        elif names or _uses_library(text):
            rule.context = _context(names)
    if rule.problem:
        log.warning("cel rule is not enforced", field=path or "<root>", rule=text, why=rule.problem)
    return rule


_LIBRARIES: Final = ("format", "sets", "math", "lists", "base64", "strings")


def _uses_library(text: str) -> bool:
    return bool(re.search(rf"\b({'|'.join(_LIBRARIES)})\s*\.", _LITERAL.sub("''", text)))


def _context(names: set[str]) -> cel.Context:
    """A context with only the functions that a rule needs: each costs a little at every evaluation."""
    context = cel.Context()
    for name in names:
        context.add_function(name, extension.FUNCTIONS[name])
    for short, full in extension.QUALIFIED.items():
        if short in names or short in extension.BUILT_IN:
            context.add_function(full, STDLIB_FUNCTIONS[full])
    context.add_variable("format", {})
    return context


def _check(place: Place, new: Any, old: Any, path: str, *, same: bool) -> Iterator[Violation]:
    """Complaints about `new` and everything below it.

    `same` says that it equals `old`: then only rules that look at the old value can have anything to say.
    """
    if new is None:
        return
    same = same or (old is not ABSENT and new == old)
    if same and not place.transitions:
        return
    if place.rules:
        for rule in place.rules:
            if rule.problem or (same and not rule.uses_old):
                continue
            if rule.uses_old and old is ABSENT and not rule.optional_old:
                continue
            yield from _ask(rule, new, old, path)
    match new:
        case dict():
            for name, below in place.properties.items():
                if name in new:
                    before = old.get(name, ABSENT) if isinstance(old, dict) else ABSENT
                    yield from _check(below, new[name], before, f"{path}.{name}" if path else name, same=same)
            if place.extra is not None:
                for name, value in new.items():
                    if name not in place.properties:
                        before = old.get(name, ABSENT) if isinstance(old, dict) else ABSENT
                        yield from _check(place.extra, value, before, f"{path}[{name}]", same=same)
        case list() if place.items is not None:
            known = _by_key(old, place.map_keys)
            for index, item in enumerate(new):
                before = known.get(_key(item, place.map_keys), ABSENT) if place.map_keys else ABSENT
                yield from _check(
                    place.items, item, before, f"{path}[{index}]", same=same and before is not ABSENT
                )
        case _:
            return


def _key(item: Any, keys: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(repr(item.get(key)) for key in keys) if isinstance(item, dict) else ()


def _by_key(items: Any, keys: tuple[str, ...]) -> dict[tuple[Any, ...], Any]:
    """The items of a keyed list by key; nothing for other lists, whose items have no identity over time."""
    return {_key(item, keys): item for item in items} if keys and isinstance(items, list) else {}


def _ask(rule: Rule, new: Any, old: Any, path: str) -> Iterator[Violation]:
    where = ".".join(part for part in (path, rule.path) if part) or "<nil>"
    try:
        if rule.holds(new, old):
            return
    except KeyError as error:
        yield _failed(rule, path, f"no such key: {error.args[0]}")
        return
    except RuntimeError as error:
        if "Undefined variable or function" in str(error):
            rule.problem = str(error).partition(". ")[0]
            log.warning("cel rule is not enforced", field=path or "<root>", rule=rule.text, why=rule.problem)
            return
        yield _failed(rule, path, str(error))
        return
    except (ValueError, TypeError, ArithmeticError, IndexError) as error:
        yield _failed(rule, path, str(error))
        return
    text = rule.sentence(new, old)
    omitted = rule.type in ("object", "array")
    match rule.reason:
        case "FieldValueForbidden":
            yield forbidden(where, text)
        case "FieldValueRequired":
            yield required(where, text)
        case "FieldValueDuplicate":
            yield (
                Violation("FieldValueDuplicate", where, "Duplicate value")
                if omitted
                else duplicate(where, new)
            )
        case _:
            yield (
                Violation("FieldValueInvalid", where, f"Invalid value: {text}")
                if omitted
                else invalid(where, new, text)
            )


def _failed(rule: Rule, path: str, why: str) -> Violation:
    return invalid(path or "<nil>", rule.type, f"{why} evaluating rule: {rule.message or rule.text}")


def _unsupported(place: Place, path: str) -> Iterator[str]:
    for rule in place.rules:
        if rule.problem:
            yield f"{path}: {rule.text} ({rule.problem})"
    for name, below in place.properties.items():
        yield from _unsupported(below, f"{path}.{name}")
    for below in (place.extra, place.items):
        if below is not None:
            yield from _unsupported(below, f"{path}[]")


# Types and names that differ between JSON and CEL

_CONVERTED_FORMATS: Final = ("date-time", "datetime", "date", "byte")


def _needs_conversion(source: Mapping[str, Any]) -> bool:
    if source.get("format") in _CONVERTED_FORMATS or source.get("type") == "number":
        return True
    properties: Mapping[str, Any] = source.get("properties") or {}
    if any(escaped(name) != name for name in properties):
        return True
    children = [*properties.values(), source.get("items"), source.get("additionalProperties")]
    return any(_needs_conversion(child) for child in children if isinstance(child, dict))


def _converts(fields: Fields, source: Mapping[str, Any]) -> bool:
    """Whether any of `fields` differs between JSON and CEL."""
    if _WHOLE in fields:
        return _needs_conversion(source)
    properties: Mapping[str, Any] = source.get("properties") or {}
    known = {escaped(name): (name, child) for name, child in properties.items()}
    for name, deeper in fields.items():
        real, child = known.get(name, (name, {}))
        if real != name or child.get("format") in _CONVERTED_FORMATS or child.get("type") == "number":
            return True
        if _converts(deeper, child):
            return True
    return False


def _json_names(fields: Fields, source: Mapping[str, Any]) -> Fields:
    """`fields` with the names that they have in JSON."""
    properties: Mapping[str, Any] = source.get("properties") or {}
    known = {escaped(name): (name, child) for name, child in properties.items()}
    named: Fields = {}
    for name, deeper in fields.items():
        real, child = known.get(name, (name, {}))
        named[real] = deeper if name == _WHOLE else _json_names(deeper, child)
    return named


def converted(value: Any, schema: Mapping[str, Any]) -> Any:
    """`value` with timestamps, bytes and doubles of their CEL types, and escaped property names."""
    match value:
        case dict():
            properties: Mapping[str, Any] = schema.get("properties") or {}
            extra = schema.get("additionalProperties")
            extra = extra if isinstance(extra, dict) else {}
            return {
                (escaped(name) if name in properties else name): converted(
                    item, properties.get(name) or extra
                )
                for name, item in value.items()
            }
        case list():
            items = schema.get("items")
            return [converted(item, items if isinstance(items, dict) else {}) for item in value]
        case str():
            return _typed_text(value, schema.get("format"))
        case int() if schema.get("type") == "number" and not isinstance(value, bool):
            return float(value)
        case _:
            return value


def _typed_text(text: str, form: str | None) -> Any:
    match form:
        case "date-time" | "datetime" | "date":
            try:
                moment = datetime.fromisoformat(text)
            except ValueError:
                return text
            return moment if moment.tzinfo else datetime.fromisoformat(f"{text}T00:00:00+00:00")
        case "byte":
            return base64.b64decode(text)
        case _:
            return text
