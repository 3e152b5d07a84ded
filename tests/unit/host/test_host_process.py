"""A process is stopped only when it is the one that was remembered."""

import os
import signal
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from nestling.host import process
from nestling.host.process import Process

# Says when it is ready to be signalled, then sleeps whatever SIGTERM says.
STUBBORN = "trap '' TERM; echo ready; while :; do sleep 1; done"


@pytest.fixture
def started(tmp_path: Path) -> Generator[list[Process]]:
    """Processes of a test; those it leaves behind are ended."""
    found: list[Process] = []
    yield found
    for one in found:
        process.stop(one, grace_s=0)


def sleeper(tmp_path: Path, started: list[Process], script: str = "exec sleep 600") -> Process:
    """A child that would live long."""
    child = process.spawn(["/bin/sh", "-c", script], log=tmp_path / "log")
    started.append(child)
    return child


def test_a_process_lives_until_it_is_stopped(tmp_path: Path, started: list[Process]) -> None:
    child = sleeper(tmp_path, started)
    assert process.alive(child)
    assert process.rss_bytes(child) > 0
    assert process.stop(child, grace_s=5) == "terminated"
    assert not process.alive(child)
    assert process.rss_bytes(child) == 0
    assert process.stop(child, grace_s=5) == "not running"


def test_one_that_ignores_sigterm_is_killed_after_its_grace(tmp_path: Path, started: list[Process]) -> None:
    child = sleeper(tmp_path, started, STUBBORN)
    while "ready" not in (tmp_path / "log").read_text():
        assert process.alive(child)
        time.sleep(0.01)
    assert process.stop(child, grace_s=0.05) == "killed"
    assert not process.alive(child)


def test_no_grace_kills_at_once(tmp_path: Path, started: list[Process]) -> None:
    assert process.stop(sleeper(tmp_path, started), grace_s=0) == "killed"


@pytest.mark.parametrize("grace_s", [0.0, 0.1])
def test_a_stranger_with_the_same_pid_is_left_alone(
    tmp_path: Path, started: list[Process], grace_s: float
) -> None:
    stranger = sleeper(tmp_path, started)
    assert process.stop(Process(stranger.pid, "another birth"), grace_s=grace_s) == "not running"
    assert process.alive(stranger)


def test_a_process_of_an_earlier_boot_is_another_one() -> None:
    own = process.birth(os.getpid())
    assert own is not None
    assert not process.alive(Process(os.getpid(), f"earlier-boot/{own.rpartition('/')[2]}"))


def test_two_processes_are_born_differently(tmp_path: Path, started: list[Process]) -> None:
    assert process.birth(sleeper(tmp_path, started).pid) != process.birth(1)


def test_one_that_ended_and_was_not_waited_for_is_not_alive(tmp_path: Path) -> None:
    child = process.spawn(["/bin/sh", "-c", "exit 3"], log=tmp_path / "log")
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is a zombie still
    assert not process.alive(child)
    assert process.stop(child, grace_s=1) == "not running"
    with pytest.raises(ChildProcessError):
        os.waitpid(child.pid, 0)  # `stop` has taken note of its end


def test_the_child_leads_a_session_of_its_own(tmp_path: Path, started: list[Process]) -> None:
    child = sleeper(tmp_path, started)
    assert os.getsid(child.pid) == child.pid != os.getsid(0)
    assert signal.getsignal(signal.SIGCHLD) in {signal.SIG_DFL, None}


def test_output_goes_to_the_log_which_is_appended_to(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for word in ("one", "two"):
        child = process.spawn(["/bin/sh", "-c", f"echo {word}; echo {word}! >&2"], log=log)
        os.waitpid(child.pid, 0)
    assert log.read_text().split() == ["one", "one!", "two", "two!"]
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_large_log_is_moved_aside(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file:
        file.truncate(process.LOG_LIMIT_BYTES + 1)
    child = process.spawn(["/bin/sh", "-c", "echo new"], log=log)
    os.waitpid(child.pid, 0)
    assert log.read_text() == "new\n"
    assert (tmp_path / "log.old").stat().st_size == process.LOG_LIMIT_BYTES + 1


def test_a_pid_file_remembers_the_process(tmp_path: Path) -> None:
    process.remember(tmp_path / "pid", Process(7, "born"))
    assert process.recall(tmp_path / "pid") == Process(7, "born")
    assert (tmp_path / "pid").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="absent"),
        pytest.param(b"", id="empty, as after a full disk"),
        pytest.param(b"4711\n", id="a bare pid, which names nobody for certain"),
        pytest.param(b'{"pid": 4711}', id="no birth"),
        pytest.param(b'{"pid": "x", "born": "y"}', id="no number"),
        pytest.param(b'[{"pid": 1}]', id="a list"),
        pytest.param(b"\xff\xfe", id="no text"),
    ],
)
def test_what_is_no_pid_file_of_ours_names_no_process(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "pid").write_bytes(content)
    assert process.recall(tmp_path / "pid") is None
    assert not process.alive(None)
    assert process.stop(None, grace_s=0) == "not running"
