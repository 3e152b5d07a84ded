"""Sets of completion indexes: read, written, added to, compared."""

from random import Random

import pytest

from nestling.controllers.job import indexes
from nestling.controllers.job.indexes import Intervals


def plain(intervals: Intervals) -> set[int]:
    return {index for first, last in intervals for index in range(first, last + 1)}


def of(numbers: set[int]) -> Intervals:
    return indexes.with_indexes((), numbers)


@pytest.mark.parametrize(
    ("text", "completions", "wanted"),
    [
        pytest.param("", 10, (), id="empty"),
        pytest.param("0", 10, ((0, 0),), id="one"),
        pytest.param("0-2,5,8,9", 10, ((0, 2), (5, 5), (8, 9)), id="range, single and pair"),
        pytest.param("0-2,3", 10, ((0, 3),), id="neighbours are one"),
        pytest.param("1-9", 5, ((1, 4),), id="the Job has become smaller"),
        pytest.param("1,7,8", 5, ((1, 1),), id="beyond the last index"),
        pytest.param("x,2-y,4", 10, ((4, 4),), id="unreadable parts are passed over"),
        pytest.param("-1,3", 10, ((3, 3),), id="negative"),
        pytest.param("5", 0, (), id="no completions"),
    ],
)
def test_text_is_read(text: str, completions: int, wanted: Intervals) -> None:
    assert indexes.parse(text, completions) == wanted


@pytest.mark.parametrize(
    ("numbers", "wanted"),
    [
        pytest.param(set[int](), "", id="empty"),
        pytest.param({4}, "4", id="one"),
        pytest.param({4, 5}, "4,5", id="a pair is no range"),
        pytest.param({4, 5, 6}, "4-6", id="three are"),
        pytest.param({0, 1, 3, 5, 6, 7}, "0,1,3,5-7", id="mixed"),
    ],
)
def test_text_is_written(numbers: set[int], wanted: str) -> None:
    assert indexes.text_of(of(numbers)) == wanted


@pytest.mark.parametrize(
    ("taken", "number", "completions", "wanted"),
    [
        pytest.param((), 3, 5, [0, 1, 2], id="all free"),
        pytest.param(((0, 1), (3, 3)), 2, 5, [2, 4], id="between and after"),
        pytest.param(((0, 4),), 2, 5, [], id="none free"),
        pytest.param((), 9, 3, [0, 1, 2], id="no more than there are"),
        pytest.param(((3, 9),), 9, 5, [0, 1, 2], id="taken beyond the end"),
        pytest.param((), 0, 5, [], id="none asked for"),
    ],
)
def test_lowest_free_indexes(taken: Intervals, number: int, completions: int, wanted: list[int]) -> None:
    assert indexes.lowest_free(taken, number, completions) == wanted


@pytest.mark.parametrize("seed", range(30))
def test_sets_behave_like_sets(seed: int) -> None:
    random = Random(seed)
    one = {random.randrange(40) for _ in range(random.randrange(30))}
    other = {random.randrange(40) for _ in range(random.randrange(30))}
    assert plain(of(one)) == one, seed
    assert indexes.parse(indexes.text_of(of(one)), 40) == of(one), seed
    assert plain(indexes.union(of(one), of(other))) == one | other, seed
    assert indexes.overlap(of(one), of(other)) == len(one & other), seed
    assert indexes.total(of(one)) == len(one), seed
    assert {index for index in range(40) if indexes.has(of(one), index)} == one, seed
    free = [index for index in range(40) if index not in one][:7]
    assert indexes.lowest_free(of(one), 7, 40) == free, seed
