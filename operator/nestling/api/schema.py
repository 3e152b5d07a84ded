"""The words that the models are written in: base class, list kinds, bounded strings and numbers, CEL rules.

A model here is an ordinary pydantic model whose JSON names are Kubernetes' camelCase and whose field
docstrings become descriptions. What pydantic has no word for (`x-kubernetes-*`) is attached as annotations
that only show in the JSON schema. The CRD generator reads that; the loops import none of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias, TypeVar

from annotated_types import MaxLen, MinLen
from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from nestling.api import quantity
from nestling.api.json import JsonObject

T = TypeVar("T")

_INITIALISMS: Final = {
    "api": "API",
    "cidr": "CIDR",
    "cidrs": "CIDRs",
    "fqdn": "FQDN",
    "id": "ID",
    "ip": "IP",
    "ipc": "IPC",
    "ips": "IPs",
    "pid": "PID",
    "uri": "URI",
    "uuid": "UUID",
    "wwns": "WWNs",
}
_MANY: Final = 1024  # of anything that has no natural bound, so that the API server can weigh rules about it
_PORT_NAME: Final = r"^([a-z0-9]+-)*[a-z0-9]*[a-z][a-z0-9]*(-[a-z0-9]+)*$"
_QUALIFIED_NAME: Final = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
_AMOUNT: Final = quantity.PATTERN.replace("^[+-]?", "^[+]?")


def json_name(field: str) -> str:
    """The JSON name of a Python field: `pod_ip` is `podIP`."""
    first, *rest = field.split("_")
    return first + "".join(_INITIALISMS.get(word) or word.capitalize() for word in rest)


@dataclass(frozen=True, slots=True)
class Rule:
    """A CEL rule of a field or object, and the sentence users read when it is broken.

    `field` is the path below the rule's place that the sentence is about; the sentence names it as well.
    """

    expression: str
    message: str
    field: str = ""
    reason: Literal["", "FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired"] = ""
    absent_old: bool = False

    def as_json(self) -> JsonObject:
        """The rule as an entry of `x-kubernetes-validations`."""
        rule: JsonObject = {"rule": self.expression, "message": self.message}
        if self.field:
            rule["fieldPath"] = self.field
        if self.reason:
            rule["reason"] = self.reason
        if self.absent_old:
            rule["optionalOldSelf"] = True
        return rule

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonObject:
        schema = handler(core)
        schema["x-kubernetes-validations"] = [*schema.get("x-kubernetes-validations", []), self.as_json()]
        return schema


class Keywords:
    """JSON schema keywords to add where the annotation stands."""

    def __init__(self, **added: Any) -> None:
        self.added = added

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonObject:
        schema = handler(core)
        schema.update(self.added)
        return schema


class ListType:
    """How a list merges: `atomic` as a whole, `set` by value, `map` by the keys given.

    The list is bounded here too, if nothing else bounds it.
    """

    def __init__(self, kind: Literal["atomic", "set", "map"], *keys: str) -> None:
        self.kind = kind
        self.keys = keys

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonObject:
        schema = handler(core)
        schema["x-kubernetes-list-type"] = self.kind
        if self.keys:
            schema["x-kubernetes-list-map-keys"] = list(self.keys)
        schema.setdefault("maxItems", _MANY)
        return schema


class Schema(BaseModel):
    """Base of every model: camelCase in JSON, unknown fields refused, docstrings as descriptions."""

    model_config = ConfigDict(
        alias_generator=json_name,
        populate_by_name=True,
        extra="forbid",
        use_attribute_docstrings=True,
    )

    validations: ClassVar[tuple[Rule, ...]] = ()
    """Rules about the object as a whole."""
    field_rules: ClassVar[Mapping[str, tuple[Rule, ...]]] = {}
    """Rules about one field each, by its JSON name, on top of those that its annotation has."""
    atomic: ClassVar[bool] = False
    """Whether server-side apply takes the object as one piece."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonObject:
        reference = handler(core)
        schema = handler.resolve_ref_schema(reference)
        if cls.atomic:
            schema["x-kubernetes-map-type"] = "atomic"
        if cls.validations:
            schema["x-kubernetes-validations"] = [rule.as_json() for rule in cls.validations]
        for name, added in cls.field_rules.items():
            place = schema["properties"][name]
            standing = place.get("x-kubernetes-validations", [])
            place["x-kubernetes-validations"] = [*standing, *(rule.as_json() for rule in added)]
        return reference


Atomic: TypeAlias = Annotated[list[T], ListType("atomic")]
SetOf: TypeAlias = Annotated[list[T], ListType("set")]
ByName: TypeAlias = Annotated[list[T], ListType("map", "name")]
ByType: TypeAlias = Annotated[list[T], ListType("map", "type")]

Text: TypeAlias = Annotated[str, MaxLen(4096)]
LongText: TypeAlias = Annotated[str, MaxLen(262144)]
Message: TypeAlias = Annotated[str, MaxLen(32768)]

DnsLabel: TypeAlias = Annotated[str, MinLen(1), MaxLen(63), Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
DnsLabelOrEmpty: TypeAlias = Annotated[str, MaxLen(63), Field(pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$")]
PortName: TypeAlias = Annotated[str, MaxLen(15), Field(pattern=_PORT_NAME)]
QualifiedName: TypeAlias = Annotated[str, MinLen(1), MaxLen(317), Field(pattern=_QUALIFIED_NAME)]
LabelValue: TypeAlias = Annotated[
    str, MaxLen(63), Field(pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")
]
EnvName: TypeAlias = Annotated[str, MinLen(1), MaxLen(4096), Field(pattern=r"^[ -<>-~]+$")]
Cidr: TypeAlias = Annotated[str, MaxLen(49)]
Protocol: TypeAlias = Literal["TCP", "UDP", "SCTP"]
ConditionStatus: TypeAlias = Literal["True", "False", "Unknown"]

Int32: TypeAlias = Annotated[int, Field(ge=-(2**31), le=2**31 - 1), Keywords(format="int32")]
Count: TypeAlias = Annotated[int, Field(ge=0, le=2**31 - 1), Keywords(format="int32")]
AtLeastOne: TypeAlias = Annotated[int, Field(ge=1, le=2**31 - 1), Keywords(format="int32")]
PortNumber: TypeAlias = Annotated[int, Field(ge=1, le=65535), Keywords(format="int32")]
PortOrZero: TypeAlias = Annotated[int, Field(ge=0, le=65535), Keywords(format="int32")]
Weight: TypeAlias = Annotated[int, Field(ge=1, le=100), Keywords(format="int32")]
FileMode: TypeAlias = Annotated[int, Field(ge=0, le=0o1777), Keywords(format="int32")]
Int64: TypeAlias = Annotated[int, Keywords(format="int64")]
NonNegativeLong: TypeAlias = Annotated[int, Field(ge=0), Keywords(format="int64")]
PositiveLong: TypeAlias = Annotated[int, Field(ge=1), Keywords(format="int64")]
UnixId: TypeAlias = Annotated[int, Field(ge=0, le=2**31 - 1), Keywords(format="int64")]

Time: TypeAlias = Annotated[datetime, Keywords(format="date-time")]
NullableTime: TypeAlias = Annotated[datetime, Keywords(format="date-time", nullable=True)]
"""A time that is written as null when there is none, as kubelets do in conditions."""


class _IntOrString:
    """Put the form that structural schemas know in the union's place; bounds hold for the half they fit."""

    def __init__(self, **bounds: Any) -> None:
        self.bounds = bounds

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonObject:
        return {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            **self.bounds,
        }


IntOrString: TypeAlias = Annotated[int | str, _IntOrString()]
IntOrPercent: TypeAlias = Annotated[int | str, _IntOrString(maxLength=11, minimum=0, pattern="^[0-9]+%$")]
PortReference: TypeAlias = Annotated[
    int | str, _IntOrString(maxLength=15, maximum=65535, minimum=1, pattern=_PORT_NAME)
]
Quantity: TypeAlias = Annotated[int | str, _IntOrString(maxLength=64, pattern=quantity.PATTERN)]
Amount: TypeAlias = Annotated[int | str, _IntOrString(maxLength=64, minimum=0, pattern=_AMOUNT)]
"""A quantity that is not negative."""

Arbitrary: TypeAlias = Annotated[
    Any, Keywords(type="object", **{"x-kubernetes-preserve-unknown-fields": True})
]

Amounts: TypeAlias = Annotated[dict[str, Amount], Keywords(maxProperties=_MANY)]
TextMap: TypeAlias = Annotated[dict[str, Text], Keywords(maxProperties=_MANY)]
LabelMap: TypeAlias = Annotated[dict[str, LabelValue], Keywords(maxProperties=256)]
Labels: TypeAlias = Annotated[
    LabelMap,
    Rule(
        f"self.all(k, k.size() <= 317 && k.matches('{_QUALIFIED_NAME}'))",
        "a key is at most 63 letters, digits, dashes, dots, underscores, after an optional prefix/",
    ),
]
"""Labels whose keys are checked too, which is too dear inside lists of lists."""
AnnotationMap: TypeAlias = Annotated[dict[str, LongText], Keywords(maxProperties=_MANY)]
