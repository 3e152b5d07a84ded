"""Packing endpoints into slices: nothing moves, and as little as possible is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling.api.json import JsonObject
from nestling.network.endpoint import identity_of
from nestling.network.packing import Packing, Stored, pack


def point(number: int, *, ready: bool = True) -> JsonObject:
    return {"addresses": [f"10.0.0.{number}"], "conditions": {"ready": ready}}


def points(*numbers: int) -> list[JsonObject]:
    return [point(number) for number in numbers]


def packed(stored: dict[str, list[JsonObject]], desired: list[JsonObject], most: int = 3) -> Packing:
    copies = [Stored(name, list(contents)) for name, contents in stored.items()]
    return pack(copies, {identity_of(one): one for one in desired}, most=most)


@pytest.mark.parametrize(
    ("stored", "desired", "packing"),
    [
        pytest.param({}, [], Packing(), id="nothing to nothing"),
        pytest.param({}, points(1, 2), Packing(creates=[points(1, 2)]), id="first slice"),
        pytest.param({}, points(1, 2, 3), Packing(creates=[points(1, 2, 3)]), id="exactly full"),
        pytest.param(
            {}, points(1, 2, 3, 4), Packing(creates=[points(1, 2, 3), points(4)]), id="one too many"
        ),
        pytest.param({"a": points(1, 2)}, points(1, 2), Packing(), id="unchanged"),
        pytest.param({"a": points(1, 2)}, points(2, 1), Packing(), id="order means nothing"),
        pytest.param(
            {"a": points(1)}, points(1, 2), Packing(updates={"a": points(1, 2)}), id="room in a slice"
        ),
        pytest.param({"a": points(1, 2)}, points(1), Packing(updates={"a": points(1)}), id="one left"),
        pytest.param({"a": points(1)}, [], Packing(drops=["a"]), id="the last left"),
        pytest.param(
            {"a": points(1)}, points(2), Packing(creates=[points(2)], drops=["a"]), id="all replaced"
        ),
        pytest.param({"a": []}, points(1), Packing(updates={"a": points(1)}), id="empty slice is filled"),
        pytest.param({"a": []}, [], Packing(), id="empty slice stays"),
        pytest.param(
            {"a": points(1)},
            [point(1, ready=False)],
            Packing(updates={"a": [point(1, ready=False)]}),
            id="changed",
        ),
        pytest.param(
            {"a": points(1, 2), "b": points(3, 4)},
            points(1, 3, 4, 5),
            Packing(updates={"a": points(1, 5)}),
            id="a slice that is written anyway takes the new one",
        ),
        pytest.param(
            {"a": points(1, 2), "b": points(3, 4, 5)},
            points(1, 3, 4, 6),
            Packing(updates={"a": points(1), "b": points(3, 4, 6)}),
            id="of slices that are written the fullest first",
        ),
        pytest.param(
            {"a": points(1), "b": points(2, 3)},
            points(1, 2, 3, 4),
            Packing(updates={"b": points(2, 3, 4)}),
            id="of untouched slices the one that is filled best",
        ),
        pytest.param(
            {"a": points(1, 2), "b": points(3, 4)},
            points(1, 2, 3, 4, 5, 6),
            Packing(creates=[points(5, 6)]),
            id="a new slice rather than two writes",
        ),
        pytest.param(
            {"a": points(1), "b": points(1)}, points(1), Packing(drops=["b"]), id="doubled endpoint goes once"
        ),
        pytest.param(
            {"a": points(1, 2, 3, 4, 5)},
            points(1, 2, 3, 4, 6),
            Packing(updates={"a": points(1, 2, 3, 4)}, creates=[points(6)]),
            id="overfull slice takes no more",
        ),
    ],
)
def test_fewest_writes(
    stored: dict[str, list[JsonObject]], desired: list[JsonObject], packing: Packing
) -> None:
    assert packed(stored, desired) == packing


NUMBERS = st.lists(st.integers(0, 30), unique=True)


@given(before=st.lists(st.lists(st.integers(0, 30), max_size=4, unique=True), max_size=5), wanted=NUMBERS)
def test_every_endpoint_is_in_exactly_one_slice(before: list[list[int]], wanted: list[int]) -> None:
    stored = {f"s{index}": points(*numbers) for index, numbers in enumerate(before)}
    packing = packed(stored, points(*wanted), most=4)
    after = {
        name: packing.updates.get(name, old) for name, old in stored.items() if name not in packing.drops
    }
    slices = [*after.values(), *packing.creates]
    found = sorted(one["addresses"][0] for contents in slices for one in contents)
    assert found == sorted(one["addresses"][0] for one in points(*wanted))
    assert all(len(contents) <= 4 for contents in slices)
    again = packed({str(index): contents for index, contents in enumerate(slices)}, points(*wanted), most=4)
    assert again == Packing()
