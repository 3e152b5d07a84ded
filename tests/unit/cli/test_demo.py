"""What the demo leaves behind when it is killed, and how the next one finds it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nestling.cli.demo.backstage import Backstage
from nestling.cli.demo.command import interrupted_by
from nestling.cli.problem import Problem
from nestling.host import process


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory of this test."""
    monkeypatch.setenv("NESTLING_STATE", str(tmp_path))
    return tmp_path


def test_two_demos_do_not_play_on_one_host() -> None:
    with Backstage("demo-embedded").alone():
        with (
            pytest.raises(Problem, match="another demo is playing on host demo-embedded; wait"),
            Backstage("demo-embedded").alone(),
        ):
            pass
        with Backstage("demo-local").alone():
            pass
    with Backstage("demo-embedded").alone():
        pass


def test_a_demo_that_was_not_killed_leaves_no_file(state: Path) -> None:
    backstage = Backstage("demo-embedded")
    with backstage.alone():
        backstage.own_host()
        backstage.log.touch()
        backstage.forget()
    assert list(state.iterdir()) == []


def test_the_next_demo_ends_the_operator_of_a_killed_one() -> None:
    killed = Backstage("demo-embedded")
    with (
        killed.alone(),
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as operator,
    ):
        process.remember(killed.pid, process.Process(operator.pid, process.birth(operator.pid) or ""))
        killed.own_host()
        after = Backstage("demo-embedded")
        assert after.owns_host
        after.stop_operator()
        assert process.birth(operator.pid) is None
        assert not after.pid.exists()
        after.stop_operator()  # once more does no harm
        after.disown_host()
        assert not after.owns_host


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_polite_kill_is_heeded_as_an_interrupt(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), interrupted_by(number):  # noqa: PT012  # a handler runs a moment later
        os.kill(os.getpid(), number)
        signal.sigtimedwait([], 5)
    assert signal.getsignal(number) is before
