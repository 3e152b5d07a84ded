"""Child processes that outlive the command that started them, and that are never mistaken for anybody else's.

A pid alone is no name: the kernel hands it out again. So a process is remembered as its pid together with the
moment of its birth, and nothing is signalled unless both still agree. Reads /proc on Linux and asks `ps`
elsewhere.
"""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import orjson

from nestling.host.paths import PRIVATE_FILE, write_private

PROC: Final = Path("/proc")
LOG_LIMIT_BYTES: Final = 16 << 20
Ending = Literal["not running", "terminated", "killed"]


@dataclass(frozen=True, slots=True)
class Process:
    """One process for ever: `born` differs between two processes that had the same `pid`."""

    pid: int
    born: str


def birth(pid: int) -> str | None:
    """What tells this process from every other that has or will have its pid; None when none is alive."""
    if PROC.joinpath("self", "stat").exists():
        return _birth_linux(pid)
    return _birth_elsewhere(pid)


def _birth_linux(pid: int) -> str | None:
    try:
        stat = PROC.joinpath(str(pid), "stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the command in brackets and may itself hold brackets and blanks: count from the last
    # one.
    fields = stat[stat.rindex(b")") + 2 :].split()
    if fields[0] in {b"Z", b"X", b"x"}:  # ended, only its parent has not noticed
        return None
    # Start time counts ticks since boot; the boot id keeps it apart from the same tick of an earlier boot.
    boot = PROC.joinpath("sys", "kernel", "random", "boot_id").read_text().strip()
    return f"{boot}/{int(fields[19])}"


def _birth_elsewhere(pid: int) -> str | None:
    answer = subprocess.run(  # noqa: S603  fixed words and a number
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True,
        check=False,
        env={"LC_ALL": "C", "TZ": "UTC"},
    )
    state, _, started = answer.stdout.decode().strip().partition(" ")
    return None if not state or state.startswith("Z") else started.strip()


def having(argument: str) -> list[Process]:
    """This user's processes that were started with exactly this argument; none where there is no /proc."""
    found: list[Process] = []
    for entry in PROC.glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if entry.stat().st_uid != os.getuid() or argument not in _arguments(entry):
                continue
            born = birth(int(entry.name))
            if born is not None:
                found.append(Process(int(entry.name), born))
    return found


def _arguments(entry: Path) -> list[str]:
    return os.fsdecode(entry.joinpath("cmdline").read_bytes()).split("\0")


def alive(process: Process | None) -> bool:
    """Whether this very process runs; a stranger with its pid does not count."""
    return process is not None and birth(process.pid) == process.born


def rss_bytes(process: Process) -> int:
    """Resident memory of the process, 0 when it is gone."""
    if not alive(process):
        return 0
    status = PROC / str(process.pid) / "status"
    if not status.exists():
        answer = subprocess.run(  # noqa: S603  fixed words and a number
            ["/bin/ps", "-o", "rss=", "-p", str(process.pid)], capture_output=True, check=False
        )
        return int(answer.stdout.strip() or 0) * 1024
    for line in status.read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def spawn(argv: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None) -> Process:
    """Start a program in a session of its own, so that neither Ctrl-C nor our end takes it along.

    Its output is appended to `log`; a log that has grown large is first moved aside to `<log>.old`.
    """
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_name(f"{log.name}.old"))
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    # posix_spawn and not Popen: there is no object whose end could wait for the child or warn about it.
    pid = os.posix_spawn(
        argv[0],
        list(argv),
        os.environ if env is None else env,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), append, PRIVATE_FILE),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    # A program that ended at once has no birth any more; the empty word equals no real one.
    return Process(pid, birth(pid) or "")


def stop(process: Process | None, *, grace_s: float) -> Ending:
    """End one process: ask with SIGTERM, insist with SIGKILL after `grace_s` seconds (0 kills at once)."""
    if process is None:
        return "not running"
    with _handle(process.pid) as handle:
        # Looked at through an open handle, so the pid cannot change hands between the look and the signal.
        if not alive(process):
            _reap(process.pid)
            return "not running"
        if grace_s > 0:
            _signal(process.pid, handle, signal.SIGTERM)
            if _ended(process, handle, grace_s):
                return "terminated"
        _signal(process.pid, handle, signal.SIGKILL)
        _ended(process, handle, 10.0)
        return "killed"


@contextlib.contextmanager
def _handle(pid: int):
    """A pidfd where the kernel has them, else None."""
    fd: int | None = None
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):
            fd = os.pidfd_open(pid)
    try:
        yield fd
    finally:
        if fd is not None:
            os.close(fd)


def _signal(pid: int, handle: int | None, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        if handle is not None:
            signal.pidfd_send_signal(handle, number)
        else:
            os.kill(pid, number)


def _ended(process: Process, handle: int | None, within_s: float) -> bool:
    """Wait until the process has ended, at most `within_s` seconds."""
    if handle is not None:
        poller = select.poll()
        poller.register(handle, select.POLLIN)
        poller.poll(within_s * 1000)
    else:
        deadline = time.monotonic() + within_s
        while alive(process) and time.monotonic() < deadline:
            _reap(process.pid)
            time.sleep(0.02)
    _reap(process.pid)
    return not alive(process)


def _reap(pid: int) -> None:
    """Take note of the end of a child of ours; others' children are none of our business."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def remember(path: Path, process: Process) -> None:
    """Write the pid file."""
    write_private(path, orjson.dumps({"pid": process.pid, "born": process.born}))


def recall(path: Path) -> Process | None:
    """Read the pid file; None when there is none, or what is there is not one (a full disk, an editor)."""
    try:
        record = orjson.loads(path.read_bytes())
        return Process(int(record["pid"]), str(record["born"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
