"""The embedded server is killed while clients write: what it acknowledged is there when it is back.

Only the embedded server: etcd has tests of its own.
"""

import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from contract_server import MERGE, Server
from nestling.host import probe
from nestling.host.embedded import EmbeddedHost, EmbeddedSettings

WRITERS = 8
ACKNOWLEDGED_BEFORE_THE_KILL = 400


@dataclass
class Writer:
    """A client that creates, changes and deletes config maps, and notes what was acknowledged."""

    server: Server
    number: int
    stop: threading.Event
    present: dict[str, str] = field(default_factory=dict[str, str])
    absent: set[str] = field(default_factory=set[str])
    unsure: set[str] = field(default_factory=set[str])
    acknowledged: int = 0

    def run(self) -> None:
        """Write until the server is gone or `stop` is set."""
        index = 0
        while not self.stop.is_set():
            name = f"w{self.number}-{index}"
            index += 1
            try:
                self._live(name, index)
            except OSError:
                self.unsure.add(name)
                return

    def _live(self, name: str, index: int) -> None:
        path = "/api/v1/namespaces/default/configmaps"
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"v": "1"}}
        self.server.expect(201, "POST", path, body)
        self._note(name, "1")
        if index % 2:
            self.server.expect(200, "PATCH", f"{path}/{name}", {"data": {"v": "2"}}, type=MERGE)
            self._note(name, "2")
        if index % 3 == 0:
            self.server.expect(200, "DELETE", f"{path}/{name}")
            del self.present[name]
            self.absent.add(name)
            self.acknowledged += 1

    def _note(self, name: str, value: str) -> None:
        self.present[name] = value
        self.acknowledged += 1


@pytest.fixture
def host(tmp_path: Path) -> Iterator[EmbeddedHost]:
    """An embedded host of this test's own."""
    host = EmbeddedHost(EmbeddedSettings("killed", tmp_path / "host", tmp_path / "host" / "data"))
    yield host
    host.down(purge=True)


def connect(host: EmbeddedHost, root: Path) -> Server:
    up = host.up()
    _, token = probe.login_of(up.kubeconfig)
    return Server("embedded", up.server, token, next((root / "host").rglob("*ca.crt")), up.kubeconfig)


def pid_of(host: EmbeddedHost) -> int:
    part = host.status()
    found = [component.pid for component in part.components if component.pid]
    assert len(found) == 1, part
    return found[0]


def test_nothing_acknowledged_is_lost(host: EmbeddedHost, tmp_path: Path) -> None:
    server = connect(host, tmp_path)
    stop = threading.Event()
    writers = [Writer(server, number, stop) for number in range(WRITERS)]
    threads = [threading.Thread(target=writer.run) for writer in writers]
    for thread in threads:
        thread.start()
    server.await_(
        "enough is acknowledged",
        lambda: sum(writer.acknowledged for writer in writers) >= ACKNOWLEDGED_BEFORE_THE_KILL,
    )
    os.kill(pid_of(host), signal.SIGKILL)
    for thread in threads:
        thread.join(timeout=30)
    stop.set()

    server = connect(host, tmp_path)
    listed = server.expect(200, "GET", "/api/v1/namespaces/default/configmaps")
    found = {item["metadata"]["name"]: item["data"]["v"] for item in listed["items"]}
    for writer in writers:
        for name, value in writer.present.items():
            if name in writer.unsure:
                assert found.get(name, value) >= value, f"{name} went back"
            else:
                assert found.get(name) == value, f"{name} was acknowledged with {value}"
        assert not writer.absent & found.keys()
    versions = [int(item["metadata"]["resourceVersion"]) for item in listed["items"]]
    assert len(set(versions)) == len(versions)
    assert max(versions) <= int(listed["metadata"]["resourceVersion"])
    # Revisions go on where they were: a watch from the list's own sees only what comes after it.
    revision = listed["metadata"]["resourceVersion"]
    with server.watch("/api/v1/namespaces/default/configmaps", resourceVersion=revision) as watch:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "after"}}
        made = server.expect(201, "POST", "/api/v1/namespaces/default/configmaps", body)
        assert int(made["metadata"]["resourceVersion"]) > int(revision)
        assert watch.next().object["metadata"]["name"] == "after"
