"""Which controllers a list like `["*", "-cronjob"]` lets run: kube-controller-manager's own reading."""

import pytest

from nestling.api.controllers import KNOWN, NAMES, PARTS, controller_of, runs


@pytest.mark.parametrize(
    ("chosen", "wanted"),
    [
        pytest.param(["*"], True, id="all"),
        pytest.param([], False, id="none"),
        pytest.param(["cronjob"], True, id="this one, by its alias"),
        pytest.param(["cronjob-controller"], True, id="this one"),
        pytest.param(["job"], False, id="another one"),
        pytest.param(["*", "-cronjob"], False, id="all but this one"),
        pytest.param(["-cronjob-controller", "*"], False, id="in any order"),
        pytest.param(["*", "-job"], True, id="all but another one"),
        pytest.param(["-job"], False, id="leaving one out chooses none"),
        pytest.param(["cronjob", "-cronjob"], True, id="the first word counts"),
        pytest.param(["-cronjob", "cronjob-controller"], False, id="the first word counts, by any name"),
    ],
)
def test_choice(chosen: list[str], wanted: bool) -> None:
    assert runs("cronjob-controller", chosen) == wanted


@pytest.mark.parametrize(
    ("loop", "controller"),
    [
        pytest.param("replicaset", "replicaset-controller", id="goes by the alias"),
        pytest.param("node-heartbeat", "node-lifecycle-controller", id="part of another"),
        pytest.param("garbage-collector", "garbage-collector-controller", id="has another alias"),
    ],
)
def test_loop_belongs_to_a_controller(loop: str, controller: str) -> None:
    assert controller_of(loop) == controller


def test_unknown_loop_is_an_error() -> None:
    with pytest.raises(LookupError, match="'nonsense'"):
        controller_of("nonsense")


def test_names_are_told_apart() -> None:
    assert len(NAMES) == len(set(NAMES))
    assert set(PARTS.values()) <= KNOWN.keys()
