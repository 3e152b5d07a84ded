"""Our own API server as a child process: a host in a second, with nothing but Python.

Starts `python -m nestling.apiserver` with one SQLite file, a certificate and a token of its own, and talks to
it over its socket only. It serves what Nestling's kinds need, which is not all of Kubernetes.
"""

import datetime as dt
import importlib.metadata
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nestling.host import kubeconfig, launch, pki, port, probe
from nestling.host.component import LOOPBACK
from nestling.host.errors import HostNotFoundError
from nestling.host.folder import Folder
from nestling.host.paths import write_private
from nestling.host.record import Host, HostStatus, Progress, silent

COMPONENT: Final = "nestling-apiserver"
DATABASE: Final = "objects.db"
READY_TIMEOUT_S: Final = 15.0
GRACE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class EmbeddedSettings:
    """What may differ between two embedded hosts."""

    name: str
    root: Path
    data: Path


class EmbeddedHost:
    """The process of one embedded host and the files that tell it from all others."""

    def __init__(self, settings: EmbeddedSettings) -> None:
        self.settings = settings
        # SQLite keeps the write-ahead log beside its database.
        self.files = Folder(settings.root, settings.data, (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"))

    def up(self, progress: Progress = silent) -> Host:
        """Start the server, or find it up. Raises HostNotReadyError with the log to read."""
        with self.files.alone():
            launch.adopt(self.files, COMPONENT, self._mark)
            number = self._prepare(progress)
            launch.launch(
                self.files,
                COMPONENT,
                self.command(number),
                ready=lambda: self._ask("/readyz").ok,
                timeout_s=READY_TIMEOUT_S,
                progress=progress,
            )
            return self._host(number)

    def down(self, *, purge: bool = False, progress: Progress = silent) -> None:
        """Stop the server; `purge` deletes the data and all state as well."""
        if not self.settings.root.exists():
            return
        with self.files.alone():
            launch.adopt(self.files, COMPONENT, self._mark)
            if launch.halt(self.files, COMPONENT, grace_s=GRACE_S) != "not running":
                progress(f"stopped {COMPONENT}")
            if purge:
                self.files.purge()
                progress(f"deleted the data of host {self.settings.name}")

    def status(self) -> HostStatus:
        """Whether the server runs and answers. Raises HostNotFoundError when there is no such host."""
        document = self.files.record()
        if document is None:
            raise HostNotFoundError(
                f"host {self.settings.name} has never been up",
                next_step="start it with `nestling host up embedded`",
            )
        host, part = self._host(int(document["port"])), launch.look(self.files, COMPONENT)
        if not part.running:
            return HostStatus(host, "stopped", "", (part,))
        answer = self._ask("/readyz")
        if not answer.ok:
            note = f"the API server answers {answer.status or answer.body}"
            return HostStatus(host, "degraded", note, (part,))
        return HostStatus(host, "running", "", (part,))

    def command(self, number: int) -> list[str]:
        """The command line of the server. `-P`: nothing is imported from the directory we happen to be in."""
        folder = self.files.root / "pki"
        return [
            sys.executable,
            "-P",
            "-m",
            "nestling.apiserver",
            f"--data={self.files.data / DATABASE}",
            f"--port={number}",
            self._mark,
            f"--certificate={folder / 'apiserver.crt'}",
            f"--key={folder / 'apiserver.key'}",
        ]

    @property
    def _mark(self) -> str:
        """An argument that the server of no other host has."""
        return f"--token-file={self.files.root / 'pki' / 'token'}"

    def _prepare(self, progress: Progress) -> int:
        files, now = self.files, dt.datetime.now(dt.UTC)
        files.claim()
        known = files.record() or {}
        before = {"apiserver": int(known["port"])} if "port" in known else {}
        running = launch.running(files, COMPONENT) is not None
        number = port.settle(("apiserver",), before, ours=lambda _: running)["apiserver"]
        if before and before["apiserver"] != number:
            progress("another program took the port of this host; choosing a new one, so its address changes")
        settings = self.settings
        files.remember(
            {"name": settings.name, "kind": "embedded", "data_dir": str(settings.data), "port": number}
        )
        folder = files.root / "pki"
        # kubectl sends no token over plain HTTP, so there is a certificate although all of this is loopback.
        ca = pki.authority(folder, "kubernetes", now)
        pki.leaf(ca, folder, "apiserver", now, hosts=(LOOPBACK, "localhost"))
        if not (folder / "token").exists():
            write_private(folder / "token", f"{pki.token()}\n".encode())
        kubeconfig.write(
            files.kubeconfig,
            name=self._context,
            server=f"https://{LOOPBACK}:{number}",
            token=(folder / "token").read_text().strip(),
            ca=ca.cert.read_bytes(),
        )
        return number

    @property
    def _context(self) -> str:
        return f"nestling-{self.settings.name}"

    def _host(self, number: int) -> Host:
        return Host(
            name=self.settings.name,
            kind="embedded",
            server=f"https://{LOOPBACK}:{number}",
            kubeconfig=self.files.kubeconfig,
            context=self._context,
            version=_own_version(),
            data_dir=self.settings.data,
        )

    def _ask(self, path: str) -> probe.Answer:
        server, token = probe.login_of(self.files.kubeconfig)
        return probe.ask(server, path, token=token, ca=self.files.root / "pki" / "kubernetes-ca.crt")


def _own_version() -> str:
    try:
        return f"v{importlib.metadata.version('nestling')}"
    except importlib.metadata.PackageNotFoundError:  # run from a source tree that nobody installed
        return ""
