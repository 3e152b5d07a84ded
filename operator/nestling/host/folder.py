"""The two directories of a host: its state (record, secrets, pid files, logs), and its data.

Only one command at a time works on a host, and nothing is ever deleted from a directory that we did not fill.
"""

import contextlib
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nestling.host import lock, record
from nestling.host.errors import HostSetupError
from nestling.host.paths import delete_any, private_dir, write_private

# Lies in every data directory that we made, and names the state directory that it belongs to.
MARKER: Final = ".nestling-host"


@dataclass(frozen=True, slots=True)
class Folder:
    """State in `root`, data in `data`; `contents` are the entries of `data` that a purge deletes."""

    root: Path
    data: Path
    contents: tuple[str, ...]

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.root / "kubeconfig"

    def pid(self, component: str) -> Path:
        """The pid file of a component."""
        return self.root / "run" / f"{component}.json"

    def log(self, component: str) -> Path:
        """The log file of a component."""
        return self.root / "log" / f"{component}.log"

    def record(self) -> dict[str, Any] | None:
        """What was remembered of this host; None when it has never been up."""
        return record.load(self.root / "host.json")

    def remember(self, document: dict[str, Any]) -> None:
        """Replace the record."""
        record.save(self.root / "host.json", document)

    def claim(self) -> None:
        """Make both directories, or find them ours.

        Raises HostSetupError when the data is somebody else's.
        """
        private_dir(self.root)
        for name in ("run", "log", "pki"):
            private_dir(self.root / name)
        marker = self.data / MARKER
        if not self.data.exists():
            private_dir(self.data)
        elif not marker.exists() and any(self.data.iterdir()):
            raise HostSetupError(
                f"{self.data} is not empty and holds no data of Nestling",
                next_step="name another directory with --data-dir",
            )
        elif marker.exists() and self._owner() not in {str(self.root), ""} and Path(self._owner()).exists():
            raise HostSetupError(
                f"{self.data} holds the data of another host, whose state is in {self._owner()}",
                next_step="name another directory with --data-dir",
            )
        write_private(marker, str(self.root).encode())

    def purge(self) -> None:
        """Delete the state, and of the data directory what is ours; what others put there stays."""
        if (self.data / MARKER).exists() and self._owner() == str(self.root):
            for name in self.contents:
                delete_any(self.data / name)
            (self.data / MARKER).unlink()
            with contextlib.suppress(OSError):
                self.data.rmdir()
        lock.delete(self.root)

    def alone(self) -> AbstractContextManager[None]:
        """Hold the host's lock: two commands at once must not start two of everything."""
        return lock.alone(self.root)

    def _owner(self) -> str:
        return (self.data / MARKER).read_text(errors="replace").strip()
