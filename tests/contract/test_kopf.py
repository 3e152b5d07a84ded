"""Kopf itself against both servers: it finds the kinds, lists, watches, and sees every change.

The operator is a child process, as `kopf run` starts them: how Kopf leaves its connections behind is its own.
"""

import json
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from contract_server import Space

NOTES: Final = Path(__file__).with_name("testdata") / "kopf_notes.py"


def test_kopf_sees_what_was_there_and_every_change(space: Space, tmp_path: Path) -> None:
    space.create("before")
    with operator(space, tmp_path / "kopf.log") as running:
        assert heard(running) == [None, "before"]
        space.create("a")
        assert heard(running) == ["ADDED", "a"]
        space.patch({"spec": {"replicas": 3}}, "a")
        assert heard(running) == ["MODIFIED", "a"]
        space.server.expect(200, "DELETE", space.path(name="a"))
        assert heard(running) == ["DELETED", "a"]
        running.terminate()
        rest, _ = running.communicate(timeout=30)
        assert not rest


@contextmanager
def operator(space: Space, log: Path) -> Generator[subprocess.Popen[str]]:
    """A Kopf operator of this namespace; what it logs is shown when it fails to speak."""
    server = space.server
    found = {"SERVER": server.url, "TOKEN": server.token, "CA_PATH": str(server.ca)}
    command = [sys.executable, "-m", "kopf", "run", "--standalone", "--namespace", space.name, str(NOTES)]
    with (
        log.open("w") as out,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=out, text=True, env={**os.environ, **found}
        ) as running,
    ):
        try:
            yield running
        finally:
            running.kill()
            sys.stdout.write(log.read_text())


def heard(running: subprocess.Popen[str]) -> list[str | None]:
    """What the operator heard next; the test's own time limit ends the wait."""
    assert running.stdout
    line = running.stdout.readline()
    assert line, "Kopf has ended"
    return json.loads(line)
