"""What a demo keeps on this machine while it plays, so that a killed one can be cleared away by the next.

One directory per host that it plays on: a lock, the operator's log and pid file, and a mark that says that
the host itself was brought up for the demo, and goes with it.
"""

import contextlib
from collections.abc import Generator
from pathlib import Path

from nestling.cli.problem import Problem
from nestling.host import lock, process
from nestling.host.paths import state_home


class Backstage:
    """The demo's own files for one host. All methods but `alone` want the lock held."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._root = state_home() / "demo" / host

    @property
    def log(self) -> Path:
        """The log of the operator."""
        return self._root / "operator.log"

    @property
    def pid(self) -> Path:
        """The pid file of the operator."""
        return self._root / "operator.json"

    @property
    def owns_host(self) -> bool:
        """Whether the host was brought up for the demo."""
        return self._mark.exists()

    @property
    def _mark(self) -> Path:
        return self._root / "host-is-ours"

    def own_host(self) -> None:
        """Remember it before the host comes up: we may not live to do so afterwards."""
        self._mark.touch()

    def disown_host(self) -> None:
        """The host is gone, or it is the user's from now on."""
        self._mark.unlink(missing_ok=True)

    def stop_operator(self, *, grace_s: float = 5) -> None:
        """End the operator of this demo, or of one that was killed before."""
        process.stop(process.recall(self.pid), grace_s=grace_s)
        self.pid.unlink(missing_ok=True)

    def forget(self) -> None:
        """Leave nothing behind."""
        lock.delete(self._root)
        with contextlib.suppress(OSError):
            self._root.parent.rmdir()

    @contextlib.contextmanager
    def alone(self) -> Generator[None]:
        """Hold the lock. Raises Problem when another demo plays on this host."""
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(lock.alone(self._root, wait=False))
            except BlockingIOError:
                raise Problem(
                    f"another demo is playing on host {self._host}",
                    next_step="wait for it to end, or choose another --host",
                ) from None
            yield
