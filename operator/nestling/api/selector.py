"""Selectors: which labels a query, a controller or a node affinity is about.

Built once from JSON or from the string form (`a=b,c in (x,y),!d`), then asked many times. The plain
`matchLabels` half is kept apart, because nearly every selector in a cluster is only that.
Source: Kubernetes 1.37, k8s.io/apimachinery/pkg/labels/selector.go and
component-helpers/scheduling/corev1/nodeaffinity.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, get_args

from nestling.api.json import JsonObject

Operator: TypeAlias = Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
_OPERATORS: Final = frozenset(get_args(Operator))

_INTEGER: Final = re.compile(r"[+-]?[0-9]+", re.ASCII)
_INT64: Final = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label. `bound` is the number that Gt and Lt compare with."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()
    bound: int = 0

    @classmethod
    def of(cls, key: str, operator: str, values: Iterable[str] = ()) -> "Requirement":
        """Check and build. Raises ValueError for an unknown operator or the wrong number of values."""
        if operator not in _OPERATORS:
            raise ValueError(f"unknown selector operator {operator!r} for key {key!r}")
        chosen = frozenset(values)
        match operator:
            case "In" | "NotIn" if not chosen:
                raise ValueError(f"operator {operator} for key {key!r} needs at least one value")
            case "Exists" | "DoesNotExist" if chosen:
                raise ValueError(f"operator {operator} for key {key!r} takes no values")
            case "Gt" | "Lt":
                bound = _int64(next(iter(chosen))) if len(chosen) == 1 else None
                if bound is None:
                    raise ValueError(f"operator {operator} for key {key!r} needs exactly one integer")
                return cls(key, operator, chosen, bound)
            case _:
                return cls(key, operator, chosen)  # type: ignore[arg-type]  # membership was checked above

    @classmethod
    def from_json(cls, requirement: JsonObject) -> "Requirement":
        """Build from `{key, operator, values}`."""
        return cls.of(requirement["key"], requirement["operator"], requirement.get("values") or ())

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether `labels` meet the condition; NotIn and DoesNotExist are also met by absence."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value in self.values
            case "NotIn":
                return value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
            case "Gt":
                number = None if value is None else _int64(value)
                return number is not None and number > self.bound
            case "Lt":
                number = None if value is None else _int64(value)
                return number is not None and number < self.bound

    def __str__(self) -> str:
        listed = ",".join(sorted(self.values))
        match self.operator:
            case "In":
                return f"{self.key} in ({listed})"
            case "NotIn":
                return f"{self.key} notin ({listed})"
            case "Exists":
                return self.key
            case "DoesNotExist":
                return f"!{self.key}"
            case "Gt":
                return f"{self.key}>{listed}"
            case "Lt":
                return f"{self.key}<{listed}"


@dataclass(frozen=True, slots=True)
class Selector:
    """A conjunction of label conditions. Without any it selects everything; with `nothing` set, nothing."""

    equals: tuple[tuple[str, str], ...] = ()
    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    @classmethod
    def from_json(cls, selector: JsonObject | None) -> "Selector":
        """Build from a LabelSelector: `{}` selects all, None nothing. Raises ValueError if malformed."""
        if selector is None:
            return NOTHING
        labels: Mapping[str, str] = selector.get("matchLabels") or {}
        expressions: Iterable[JsonObject] = selector.get("matchExpressions") or ()
        requirements = tuple(Requirement.from_json(expression) for expression in expressions)
        if any(requirement.operator in {"Gt", "Lt"} for requirement in requirements):
            raise ValueError("Gt and Lt are for node selectors, not for label selectors")
        return cls(tuple(sorted(labels.items())), requirements)

    @classmethod
    def from_labels(cls, labels: Mapping[str, str] | None) -> "Selector":
        """Build from a plain map, as Services have it; None or empty selects nothing."""
        return cls(tuple(sorted(labels.items()))) if labels else NOTHING

    @classmethod
    def parse(cls, text: str) -> "Selector":
        """Read the string form of list queries; empty selects all. Raises ValueError if malformed."""
        equals: list[tuple[str, str]] = []
        requirements: list[Requirement] = []
        for clause in _clauses(text):
            parsed = _parse_clause(clause)
            if isinstance(parsed, Requirement):
                _check_spelling(parsed.key, *parsed.values)
                requirements.append(parsed)
            else:
                _check_spelling(*parsed)
                equals.append(parsed)
        return cls(tuple(sorted(equals)), tuple(requirements))

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is selected."""
        if self.nothing:
            return False
        for key, value in self.equals:
            if labels.get(key) != value:
                return False
        # Most have none, and this is asked for each pod at each look of its controller.
        return not self.requirements or all(requirement.matches(labels) for requirement in self.requirements)

    @property
    def everything(self) -> bool:
        """Whether no label could keep an object out."""
        return not (self.nothing or self.equals or self.requirements)

    def __str__(self) -> str:
        """The string form, ordered by key, as `status.selector` of the scale subresource carries it."""
        parts = [(key, f"{key}={value}") for key, value in self.equals]
        parts += [(requirement.key, str(requirement)) for requirement in self.requirements]
        return ",".join(text for _, text in sorted(parts, key=lambda part: part[0]))


NOTHING: Final = Selector(nothing=True)
EVERYTHING: Final = Selector()


@dataclass(frozen=True, slots=True)
class NodeSelectorTerm:
    """Label and field conditions that all have to hold; a term without any condition matches no node."""

    labels: tuple[Requirement, ...] = ()
    fields: tuple[Requirement, ...] = ()

    @classmethod
    def from_json(cls, term: JsonObject) -> "NodeSelectorTerm":
        """Build from `{matchExpressions, matchFields}`."""
        return cls(
            tuple(Requirement.from_json(one) for one in term.get("matchExpressions") or ()),
            tuple(Requirement.from_json(one) for one in term.get("matchFields") or ()),
        )

    def matches(self, labels: Mapping[str, str], name: str) -> bool:
        """Whether the node of this name and these labels meets the term."""
        if not (self.labels or self.fields):
            return False
        own = {"metadata.name": name}
        return all(one.matches(labels) for one in self.labels) and all(
            one.matches(own) for one in self.fields
        )


@dataclass(frozen=True, slots=True)
class NodeSelector:
    """Terms of which one has to hold; without terms no node is selected."""

    terms: tuple[NodeSelectorTerm, ...] = field(default=())

    @classmethod
    def from_json(cls, selector: JsonObject) -> "NodeSelector":
        """Build from `{nodeSelectorTerms: [...]}`. Raises ValueError if it is malformed."""
        return cls(
            tuple(NodeSelectorTerm.from_json(term) for term in selector.get("nodeSelectorTerms") or ())
        )

    def matches(self, labels: Mapping[str, str], name: str) -> bool:
        """Whether the node is selected."""
        return any(term.matches(labels, name) for term in self.terms)


_SET: Final = re.compile(r"(?P<key>\S+)\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)")
_COMPARE: Final = re.compile(r"(?P<key>[^\s=!<>()]+)\s*(?P<operator>==|=|!=|>|<)\s*(?P<value>[^\s=!<>()]*)")
_NAME: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?", re.ASCII)
_PREFIX: Final = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", re.ASCII)
_PRESENCE: Final = re.compile(r"(?P<absent>!?)\s*(?P<key>[^\s=!<>(),]+)")


def _clauses(text: str) -> list[str]:
    """Split at the commas outside parentheses. Raises ValueError for an empty clause between commas."""
    if not text.strip():
        return []
    clauses = [clause.strip() for clause in re.split(r",(?![^()]*\))", text)]
    if not all(clauses):
        raise ValueError(f"empty clause in selector {text!r}")
    return clauses


def _parse_clause(clause: str) -> Requirement | tuple[str, str]:
    if match := _SET.fullmatch(clause):
        values = [value.strip() for value in match["values"].split(",")]
        return Requirement.of(match["key"], "In" if match["operator"] == "in" else "NotIn", values)
    if match := _COMPARE.fullmatch(clause):
        key, value = match["key"], match["value"]
        match match["operator"]:
            case "=" | "==":
                return key, value
            case "!=":
                return Requirement.of(key, "NotIn", (value,))
            case sign:
                return Requirement.of(key, "Gt" if sign == ">" else "Lt", (value,))
    if match := _PRESENCE.fullmatch(clause):
        return Requirement.of(match["key"], "DoesNotExist" if match["absent"] else "Exists")
    raise ValueError(f"cannot read {clause!r} in a selector")


def _check_spelling(key: str, *values: str) -> None:
    """Raise ValueError for what no label can be: nobody should wait for a match of a typing error."""
    prefix, slash, name = key.rpartition("/")
    if len(name) > 63 or not _NAME.fullmatch(name) or (slash and not _PREFIX.fullmatch(prefix)):
        raise ValueError(f"{key!r} in a selector is not a label key")
    for value in values:
        if value and (len(value) > 63 or not _NAME.fullmatch(value)):
            raise ValueError(f"{value!r} in a selector is not a label value")


def _int64(text: str) -> int | None:
    """The integer a label value spells, or None if it spells none that fits 64 bits."""
    if len(text) > 20 or not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if number in _INT64 else None
