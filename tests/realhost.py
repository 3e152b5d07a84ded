"""A real etcd and kube-apiserver for tests, started and stopped by the tests themselves.

Nothing is built here: a test run that finds no programs says so and skips, unless NESTLING_REQUIRE_LOCAL is
set, for then their absence is a failure. Directories of test runs that were killed are swept by the next run.
"""

import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from nestling.host import binaries, probe, process
from nestling.host.component import CONTROLLERS
from nestling.host.local import STARTING_ORDER, Component, LocalHost, LocalSettings
from nestling.host.process import Process

REQUIRE: Final = "NESTLING_REQUIRE_LOCAL"
SCHEDULER: Final = "kube-scheduler"


@dataclass(frozen=True, slots=True)
class RealHost:
    """A real control plane, and the means to break it."""

    local: LocalHost
    server: str
    kubeconfig: Path

    @property
    def token(self) -> str:
        """The administrator's bearer token."""
        return probe.login_of(self.kubeconfig)[1]

    @property
    def ca_file(self) -> Path:
        """The authority that proves the server."""
        return self.local.files.root / "pki" / "kubernetes-ca.crt"

    def start_apiserver(self) -> None:
        """Start the API server again, at the same address; returns when it is ready."""
        self.local.start("kube-apiserver")

    def stop_apiserver(self) -> None:
        """Let the API server end in good order, as an upgrade does."""
        self.local.stop("kube-apiserver")

    def restart_apiserver(self) -> None:
        """Stop and start: what it held in memory, the watch history above all, is gone."""
        self.stop_apiserver()
        self.start_apiserver()

    def kill(self, *components: Component) -> None:
        """SIGKILL these components, or all; `up` or `start_apiserver` brings them back."""
        for component in components or STARTING_ORDER:
            self.local.kill(component)

    def up(self) -> None:
        """Bring back whatever is down."""
        self.local.up()

    def pid(self, component: Component) -> int:
        """The pid of a component that runs."""
        known = process.recall(self.local.files.pid(component))
        assert known is not None, f"{component} was never started"
        return known.pid

    def request(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, token: str | None = None
    ) -> tuple[int, Any]:
        """One request as the administrator or with another token ('' for none): status, decoded answer."""
        answer = probe.ask(
            self.server,
            path,
            method=method,
            body=None if body is None else json.dumps(body).encode(),
            token=self.token if token is None else token,
            ca=self.ca_file,
            timeout_s=10,
        )
        try:
            return answer.status, json.loads(answer.body)
        except ValueError:
            return answer.status, answer.body

    def compact(self) -> int:
        """Drop all history of etcd up to now and return its revision: a watch that starts earlier is Gone.

        The API server answers from its own window first: restart it too when a 410 must come.
        """
        revision = int(self._etcd("/v3/kv/range", {"key": _b64(b"\0"), "limit": "1"})["header"]["revision"])
        self._etcd("/v3/kv/compaction", {"revision": str(revision), "physical": True})
        return revision

    def _etcd(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.local.ask_etcd(path, method="POST", body=json.dumps(body).encode())
        assert answer.ok, answer
        return json.loads(answer.body)


@contextmanager
def real_host(
    *,
    controllers: tuple[str, ...] = CONTROLLERS,
    apiserver_args: tuple[str, ...] = (),
    controller_manager_args: tuple[str, ...] = (),
) -> Generator[RealHost]:
    """A host of its own, gone with all its data at the end.

    Skips (or fails) the test when it cannot be had.
    """
    found = _programs(controllers)
    sweep()
    root = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=_runs()))
    process.remember(root / "owner.json", _myself())
    settings = LocalSettings(
        name="test",
        root=root / "host",
        data=root / "host" / "data",
        fsync=False,
        controllers=controllers,
        apiserver_args=apiserver_args,
        controller_manager_args=controller_manager_args,
    )
    local = LocalHost(settings, found)
    try:
        up = local.up()
        yield RealHost(local, up.server, up.kubeconfig)
    finally:
        local.down(purge=True)
        shutil.rmtree(root, ignore_errors=True)


@contextmanager
def real_scheduler(host: RealHost, configuration: dict[str, Any], *arguments: str) -> Generator[None]:
    """A kube-scheduler of this host, as a KubeSchedulerConfiguration says; stopped at the end.

    Its log is where those of the host's other components are. Skips (or fails) the test when it cannot be
    had.
    """
    program = programs((SCHEDULER,), "no real scheduler")[SCHEDULER]
    files = host.local.files
    settings = files.root / "scheduler.yaml"
    connection = {**configuration.get("clientConnection", {}), "kubeconfig": str(host.kubeconfig)}
    settings.write_text(yaml.safe_dump({**configuration, "clientConnection": connection}))
    log = files.log(SCHEDULER)
    with log.open("ab") as out:
        running = subprocess.Popen(
            [program, f"--config={settings}", "--secure-port=0", *arguments], stdout=out, stderr=out
        )
    try:
        born = process.birth(running.pid)
        if born is not None:  # so that the next run's sweep finds it if we are killed
            process.remember(files.pid(SCHEDULER), Process(running.pid, born))
        yield
        assert running.poll() is None, f"kube-scheduler has ended: {log.read_text()[-2000:]}"
    finally:
        running.send_signal(signal.SIGTERM)
        try:
            running.wait(10)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def _programs(controllers: tuple[str, ...]) -> dict[str, Path]:
    """The programs such a host needs; skips or fails without them."""
    names = binaries.LOCAL_PROGRAMS if controllers else binaries.LOCAL_PROGRAMS[:2]
    return programs(names, "no real API server")


def programs(names: Sequence[str], lack: str) -> dict[str, Path]:
    """Programs of a host; skips or fails the test with the words of `lack` when one is missing."""
    found, _ = binaries.find(names)
    if len(found) < len(names):
        reason = f"{lack}: {binaries.missing_sentence(names, found)}"
        if os.environ.get(REQUIRE):
            pytest.fail(f"{REQUIRE} is set, but {reason}", pytrace=False)
        pytest.skip(reason)
    return binaries.paths(found)


def _runs() -> Path:
    """Where all test runs of this user keep their hosts."""
    runs = Path(tempfile.gettempdir()) / f"nestling-tests-{os.getuid()}"
    runs.mkdir(mode=0o700, exist_ok=True)
    return runs


def _myself() -> Process:
    born = process.birth(os.getpid())
    assert born is not None
    return Process(os.getpid(), born)


def sweep() -> None:
    """Stop and delete the hosts of test runs that no longer exist."""
    for root in _runs().iterdir():
        owner = process.recall(root / "owner.json")
        if owner is None or process.alive(owner):  # without an owner it is just being made
            continue
        for pid_file in (root / "host" / "run").glob("*.json"):
            process.stop(process.recall(pid_file), grace_s=0)
        shutil.rmtree(root, ignore_errors=True)


def _b64(key: bytes) -> str:
    return base64.b64encode(key).decode()
