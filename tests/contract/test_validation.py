"""The schema of a definition: what it refuses and how, what it drops, what it fills in."""

from typing import Any

import pytest

from contract_server import MERGE, Space, widget

BLOCKED = (
    "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation"
)

REPLICAS = "spec.replicas: Invalid value:"
NUMBER = 'Invalid value: "number"'
INTEGER = 'Invalid value: "integer"'
INT32 = '<nil>: Invalid value: "": Checked value must be of type integer with format int32'


@pytest.mark.parametrize(
    ("spec", "sentences"),
    [
        pytest.param(
            {"replicas": -1},
            [
                f"{REPLICAS} -1: spec.replicas in body should be greater than or equal to 0",
                ".spec.replicas: Invalid value: -1: should be a non-negative integer",
            ],
            id="below the minimum",
        ),
        pytest.param(
            {"replicas": 11, "size": "large"},
            ["spec.replicas: Invalid value: 11: spec.replicas in body should be less than or equal to 10"],
            id="above the maximum",
        ),
        pytest.param(
            {"replicas": "x"},
            [
                f'{REPLICAS} "string": spec.replicas in body must be of type integer: "string"',
                f".{REPLICAS} 0: .spec.replicas accessor error: x is of the type string, expected int64",
                BLOCKED,
            ],
            id="text for a number",
        ),
        pytest.param(
            {"replicas": 3_000_000_000, "size": "large"},
            [
                f"{INT32} in spec.replicas",
                f"{REPLICAS} 3000000000: spec.replicas in body should be less than or equal to 10",
                ".spec.replicas: Invalid value: 3000000000: should be less than or equal to 2147483647",
            ],
            id="more than 32 bits",
        ),
        pytest.param(
            {"size": "q"},
            ['spec.size: Unsupported value: "q": supported values: "small", "large"', BLOCKED],
            id="not in the enum",
        ),
        pytest.param(
            {"node": "abcdefgh"},
            ["spec.node: Too long: may not be more than 5 bytes", BLOCKED],
            id="too long",
        ),
        pytest.param(
            {"code": "AB"},
            ["spec.code: Invalid value: \"AB\": spec.code in body should match '^[a-z]+$'"],
            id="pattern",
        ),
        pytest.param(
            {"code": "a"},
            ['spec.code: Invalid value: "a": spec.code in body should be at least 2 chars long'],
            id="too short",
        ),
        pytest.param(
            {"tags": ["a", "b", "c", "d"]},
            ["spec.tags: Too many: 4: must have at most 3 items", BLOCKED],
            id="too many items",
        ),
        pytest.param({"tags": ["a", "a"]}, ['spec.tags[1]: Duplicate value: "a"'], id="twice in a set"),
        pytest.param(
            {"ports": [{"name": "a"}, {"name": "a"}]},
            ['spec.ports[1]: Duplicate value: {"name":"a"}'],
            id="same key twice",
        ),
        pytest.param({"ports": [{}]}, ["spec.ports[0].name: Required value", BLOCKED], id="key missing"),
        pytest.param(
            {"amount": 1.5},
            [
                f'spec.amount: {NUMBER}: spec.amount in body must be of type integer,string: "number"',
                BLOCKED,
            ],
            id="neither integer nor text",
        ),
        pytest.param(
            {"when": "x"},
            ['spec.when: Invalid value: "x": spec.when in body must be of type date-time: "x"', BLOCKED],
            id="not a time",
        ),
        pytest.param(
            {"labels": {"a": 1}},
            [
                f'spec.labels.a: {INTEGER}: spec.labels.a in body must be of type string: "integer"',
                BLOCKED,
            ],
            id="value of a map",
        ),
        pytest.param(
            {"must": []},
            ['spec.must: Invalid value: "array": spec.must in body must be of type object: "array"', BLOCKED],
            id="list for an object",
        ),
    ],
)
def test_bad_spec_is_refused_in_these_words(space: Space, spec: dict[str, Any], sentences: list[str]) -> None:
    answer = space.server.call("POST", space.path(), widget(**spec))
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    causes = {f"{cause['field']}: {cause['message']}" for cause in answer.body["details"]["causes"]}
    assert causes == set(sentences)
    prefix = 'Widget.test.nestling.dev "a" is invalid: '
    assert answer.message.startswith(prefix)
    if len(sentences) == 1:
        assert answer.message == prefix + sentences[0]


def test_unknown_fields_are_dropped_and_null_is_absence(space: Space) -> None:
    made = space.create(
        bogus=1, node=None, ports=[{"name": "p", "bogus": 2}], free={"any": {"thing": [1]}}, opt=None
    )
    assert made["spec"] == {
        "free": {"any": {"thing": [1]}},
        "opt": None,
        "ports": [{"name": "p", "proto": "TCP"}],
        "replicas": 1,
        "size": "small",
    }


def test_strict_validation_refuses_unknown_and_repeated_fields(space: Space) -> None:
    text = (
        b'{"apiVersion":"test.nestling.dev/v1","kind":"Widget","metadata":{"name":"a","name":"b","bogus":1},'
        b'"spec":{"size":"small","size":"large","ports":[{"name":"p","other":1}]}}'
    )
    answer = space.server.call("POST", space.path(), text, fieldValidation="Strict")
    assert (answer.status, answer.message) == (
        400,
        (
            'Widget in version "v1" cannot be handled as a Widget: strict decoding error: '
            'duplicate field "metadata.name", duplicate field "spec.size", '
            'unknown field "metadata.bogus", unknown field "spec.ports[0].other"'
        ),
    )
    warned = space.server.call("POST", space.path(), text, fieldValidation="Warn")
    assert warned.status == 201
    assert set(warned.warnings) == {
        '299 - "duplicate field \\"metadata.name\\""',
        '299 - "duplicate field \\"spec.size\\""',
        '299 - "unknown field \\"metadata.bogus\\""',
        '299 - "unknown field \\"spec.ports[0].other\\""',
    }
    ignored = space.server.call("POST", space.path(), text.replace(b'"b"', b'"c"'), fieldValidation="Ignore")
    assert (ignored.status, ignored.warnings) == (201, ())


def test_strict_validation_of_a_patch(space: Space) -> None:
    space.create()
    answer = space.server.call(
        "PATCH", space.path(name="a"), {"spec": {"bogus": 1}}, type=MERGE, fieldValidation="Strict"
    )
    assert answer.status in (400, 422)
    assert 'unknown field "spec.bogus"' in answer.message


RULED = "/apis/test.nestling.dev/v1/namespaces/{}/ruled"


def ruled(name: str = "a", **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "test.nestling.dev/v1", "kind": "Ruled", "metadata": {"name": name}, "spec": spec}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        pytest.param(
            ruled("bad"), "metadata.name: Invalid value: name is bad", id="about the name, with a path"
        ),
        pytest.param(ruled("bod"), "<nil>: Invalid value: name is bod", id="about the root"),
        pytest.param(ruled(text="x"), 'spec.text: Invalid value: "x": not x', id="message"),
        pytest.param(
            ruled(text="y"), "spec.text: Invalid value: \"y\": failed rule: self != 'y'", id="no message"
        ),
        pytest.param(ruled(number=1), "spec.number: Required value: big", id="reason required"),
        pytest.param(ruled(list=["a", "b"]), "spec.list: Duplicate value", id="reason duplicate"),
        pytest.param(
            ruled(items=[{"name": "a", "v": 6}]), "spec.items[0]: Invalid value: small", id="in a list"
        ),
        pytest.param(
            ruled(key={}),
            'spec.key: Invalid value: "object": no such key: zz evaluating rule: x',
            id="absent field",
        ),
        pytest.param(ruled(opt="b"), 'spec.opt: Invalid value: "b": starts with a', id="optional old value"),
        pytest.param(ruled(msg="x"), 'spec.msg: Invalid value: "x": got x', id="message expression"),
    ],
)
def test_rule_refuses_in_these_words(space: Space, body: dict[str, Any], sentence: str) -> None:
    answer = space.server.call("POST", RULED.format(space.name), body)
    assert answer.status == 422
    assert answer.message == f'Ruled.test.nestling.dev "{body["metadata"]["name"]}" is invalid: {sentence}'


def test_transition_rule_compares_with_the_object_before(space: Space) -> None:
    path = RULED.format(space.name)
    space.server.expect(201, "POST", path, ruled(items=[{"name": "a", "v": 1}], opt="a"))
    items = {"spec": {"items": [{"name": "b", "v": 2}, {"name": "a", "v": 3}]}}
    answer = space.server.call("PATCH", f"{path}/a", items, type=MERGE)
    assert answer.message == 'Ruled.test.nestling.dev "a" is invalid: spec.items[1]: Invalid value: kept'
    space.server.expect(200, "PATCH", f"{path}/a", {"spec": {"opt": "b"}}, type=MERGE)


def test_rule_guards_a_field_that_is_set_once(space: Space) -> None:
    space.create()
    space.patch({"spec": {"node": "n1"}})
    for value in ("n2", None):
        answer = space.server.call("PATCH", space.path(name="a"), {"spec": {"node": value}}, type=MERGE)
        assert (answer.status, answer.message) == (
            422,
            'Widget.test.nestling.dev "a" is invalid: spec: Invalid value: node is set once',
        )
    space.patch({"spec": {"replicas": 3}})


def test_message_expression_names_the_field_and_the_reason(space: Space) -> None:
    answer = space.server.call("POST", space.path(), widget(replicas=9))
    assert (
        answer.message
        == 'Widget.test.nestling.dev "a" is invalid: spec.replicas: Forbidden: too many for small'
    )
    cause = answer.body["details"]["causes"][0]
    assert (cause["reason"], cause["field"]) == ("FieldValueForbidden", "spec.replicas")
