"""Plans as values."""

from nestling.api.kinds import POD, REPLICA_SET, Uid
from nestling.machinery.names import Key
from nestling.machinery.plan import Create, Delete, Patch, Plan

A, B = Key("t", "default", "a"), Key("t", "default", "b")


def test_equality_ignores_why() -> None:
    assert Plan.done("nothing to do") == Plan.done("finished")
    assert Plan.wait_until(5.0, "x") != Plan.wait_until(6.0, "x")


def test_neighbouring_writes_of_one_verb_and_kind_form_a_stage() -> None:
    create_a, create_b = Create(POD, A, {}), Create(POD, B, {})
    delete = Delete(POD, A, Uid("u"))
    scale = Patch(REPLICA_SET, A, Uid("u"), {})
    status = Patch(REPLICA_SET, A, Uid("u"), {}, subresource="status")
    assert Plan.of(create_a, create_b, delete, scale, status).stages() == [
        (create_a, create_b),
        (delete,),
        (scale,),
        (status,),
    ]


def test_an_empty_plan_has_no_stages() -> None:
    assert Plan.done().stages() == []
