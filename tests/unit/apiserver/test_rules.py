"""CEL rules: what they may look at, what they say, and that the unsupported ones are named."""

from typing import Any

import pytest
import structlog

from nestling.apiserver.rules import Rules, escaped, fields_used, project


def schema(rule: str, type_: str = "object", **more: Any) -> dict[str, Any]:
    return {"type": type_, "x-kubernetes-validations": [{"rule": rule, "message": "no"}], **more}


def complaints(source: dict[str, Any], new: Any, old: Any = None) -> list[str]:
    return [
        str(violation)
        for violation in Rules({"type": "object", "properties": {"spec": source}}).check(
            {"spec": new}, None if old is None else {"spec": old}
        )
    ]


@pytest.mark.parametrize(
    ("rule", "fields"),
    [
        pytest.param("self.a == 1", {"a": {"*": True}}, id="one field"),
        pytest.param(
            "has(self.a) && self.b.c > 1", {"a": {}, "b": {"c": {"*": True}}}, id="presence and path"
        ),
        pytest.param("self.a.size() > 1", {"a": {"*": True}}, id="function of a field"),
        pytest.param("self.all(k, k > 1)", {"*": True}, id="function of the value"),
        pytest.param("self == oldSelf", {"*": True}, id="the value"),
        pytest.param("self['a'] == 1", {"*": True}, id="by index"),
        pytest.param("has(self.a.b)", {"a": {"b": {}}}, id="presence below"),
        pytest.param("size(self.a) == 1", {"a": {"*": True}}, id="argument of a function"),
        pytest.param("'self.b' == self.a", {"a": {"*": True}}, id="not in a text"),
        pytest.param("oldSelf.b == self.a", {"a": {"*": True}}, id="of this variable only"),
        pytest.param("has(self.a) || self.a.size() == 0", {"a": {"*": True}}, id="both"),
    ],
)
def test_fields_that_a_rule_names(rule: str, fields: dict[str, Any]) -> None:
    assert fields_used(rule, "self") == fields


def test_projection_keeps_shells_for_presence() -> None:
    value = {"a": {"x": 1}, "b": [1, 2], "c": {"d": {"e": 1}, "f": 2}, "g": 3}
    fields = {"a": {}, "b": {}, "c": {"d": {"*": True}}, "missing": {}}
    assert project(value, fields) == {"a": {}, "b": [], "c": {"d": {"e": 1}}}


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("plain", "plain"),
        ("namespace", "__namespace__"),
        ("a-b", "a__dash__b"),
        ("a.b/c", "a__dot__b__slash__c"),
        ("a__b", "a__underscores__b"),
    ],
)
def test_names_are_escaped(name: str, written: str) -> None:
    assert escaped(name) == written


@pytest.mark.parametrize(
    ("rule", "type_", "good", "bad"),
    [
        pytest.param("quantity(self).isGreaterThan(quantity('100m'))", "string", "1", "50m", id="quantity"),
        pytest.param(
            "isQuantity(self) && quantity(self).sign() > 0", "string", "1Gi", "much", id="is a quantity"
        ),
        pytest.param(
            "quantity(self).compareTo(quantity('1Ki')) == 0",
            "string",
            "1024",
            "1000",
            id="quantities compare",
        ),
        pytest.param("isIP(self) && ip(self).family() == 4", "string", "10.0.0.1", "::1", id="address"),
        pytest.param(
            "isCIDR(self) && cidr(self).containsIP('10.1.2.3')",
            "string",
            "10.0.0.0/8",
            "11.0.0.0/8",
            id="range",
        ),
        pytest.param("cidr(self).prefixLength() == 8", "string", "10.0.0.0/8", "10.0.0.0/9", id="prefix"),
        pytest.param(
            "isURL(self) && url(self).getScheme() == 'https'", "string", "https://x/y", "http://x/y", id="url"
        ),
        pytest.param("self.find('[0-9]+') == '12'", "string", "a12b", "ab", id="find"),
        pytest.param("self.findAll('[0-9]').size() == 2", "string", "1a2", "1", id="find all"),
        pytest.param("self.isSorted()", "array", [1, 2], [2, 1], id="sorted"),
        pytest.param("self.sum() < 5 && self.max() == 3", "array", [1, 3], [3, 3], id="sum and max"),
        pytest.param("self.indexOf('b') == 1", "array", ["a", "b"], ["b"], id="index in a list"),
        pytest.param("self.indexOf('b') == 1", "string", "ab", "b", id="index in a text"),
        pytest.param("self.split('.').size() == 2", "string", "a.b", "a", id="split"),
        pytest.param("self.lowerAscii() == 'ab'", "string", "AB", "AC", id="lower"),
        pytest.param("'%s-%d'.format([self, 2]) == 'a-2'", "string", "a", "b", id="format"),
        pytest.param(
            "!format.dns1123Label().validate(self).hasValue()", "string", "ab", "A b", id="named format"
        ),
        pytest.param("sets.contains(['a', 'b'], self)", "array", ["a"], ["c"], id="sets"),
        pytest.param(
            "self.exists_one(x, x > 1) && self.map(x, x * 2).exists(y, y == 6)",
            "array",
            [1, 3],
            [3, 4],
            id="macros",
        ),
        pytest.param("self.matches('^[a-z]+$') && self.startsWith('a')", "string", "ab", "b1", id="texts"),
        pytest.param("type(self) == int ? self > 1 : self == 'x'", "", 2, "y", id="integer or text"),
    ],
)
def test_functions_of_kubernetes(rule: str, type_: str, good: Any, bad: Any) -> None:
    source = schema(rule, type_, **({} if type_ else {"x-kubernetes-int-or-string": True}))
    assert complaints(source, good) == []
    assert len(complaints(source, bad)) == 1


def test_reserved_names_and_typed_texts_reach_the_rule() -> None:
    source = schema(
        "self.__namespace__ == 'x' && self.when < timestamp('2030-01-01T00:00:00Z') && self.share > 0.5",
        properties={
            "namespace": {"type": "string"},
            "when": {"type": "string", "format": "date-time"},
            "share": {"type": "number"},
        },
    )
    good = {"namespace": "x", "when": "2027-01-01T00:00:00Z", "share": 1}
    assert complaints(source, good) == []
    for bad in ({"namespace": "y"}, {"when": "2031-01-01T00:00:00Z"}, {"share": 0}):
        assert complaints(source, {**good, **bad}) == ["spec: Invalid value: no"]


def test_verdicts_are_remembered_per_value() -> None:
    rules = Rules(schema("self.a > 1", properties={"a": {"type": "integer"}}))
    for value, wanted in ((1, 1), (2, 0), (1, 1), (2, 0)):
        assert len(rules.check({"a": value, "other": object.__name__}, None)) == wanted


@pytest.mark.parametrize(
    ("rule", "old", "new", "refused"),
    [
        pytest.param("self.a == oldSelf.a", None, {"a": 1}, False, id="no old value"),
        pytest.param("self.a == oldSelf.a", {"a": 1}, {"a": 2}, True, id="changed"),
        pytest.param("self.a < 5", {"a": 9}, {"a": 9}, False, id="bad before, unchanged"),
        pytest.param("self.a < 5", {"a": 9}, {"a": 8}, True, id="bad before, changed"),
        pytest.param("self.a > oldSelf.a", {"a": 1}, {"a": 1}, True, id="transition rules always run"),
    ],
)
def test_changes(rule: str, old: Any, new: Any, refused: bool) -> None:
    source = schema(rule, properties={"a": {"type": "integer"}})
    assert bool(complaints(source, new, old)) is refused


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        pytest.param("self.?a.orValue(1) > 0", "Failed to parse", id="optional syntax"),
        pytest.param("self.mystery()", "unknown function mystery", id="unknown function"),
        pytest.param("self.a ++ 1", "Failed to parse", id="no CEL at all"),
    ],
)
def test_rules_that_cannot_be_evaluated_are_named(rule: str, why: str) -> None:
    with structlog.testing.capture_logs() as logs:
        rules = Rules({"type": "object", "properties": {"spec": schema(rule)}})
    assert rules.check({"spec": {"a": 1}}, None) == []
    (named,) = rules.unsupported("Widget")
    assert named.startswith(f"Widget.spec: {rule} (")
    assert why in named
    assert [entry["event"] for entry in logs] == ["cel rule is not enforced"]


def test_a_variable_that_only_a_macro_would_bind_is_found_at_the_first_use() -> None:
    rules = Rules(schema("cel.bind(x, 1, x == 1)"))
    assert rules.check({}, None) == []
    assert len(rules.unsupported("Widget")) == 1
