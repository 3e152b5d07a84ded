"""The journal in a file: what was durable is there again, in the same order of revisions."""

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from apiserver_world import DEFINITIONS, WIDGETS, World, definition
from nestling.apiserver.sqlite import SqliteJournal
from nestling.apiserver.store import Store


class Opened:
    """A world on a file, and a way to wait until all of it is durable."""

    def __init__(self, path: Path) -> None:
        self.journal = SqliteJournal(path)
        self.store = Store(self.journal)
        self.journal.restore(self.store)
        self.synced = threading.Condition()
        self.journal.when_durable(self._notice)
        self.world = World(store=self.store)

    def _notice(self) -> None:
        with self.synced:
            self.synced.notify_all()

    def sync(self) -> None:
        with self.synced:
            assert self.synced.wait_for(lambda: self.journal.durable >= self.store.revision, timeout=20)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "objects.db"


def test_everything_is_there_again(path: Path) -> None:
    first = Opened(path)
    first.world.create("a", node="n1")
    first.world.create("gone")
    first.world.delete("gone")
    first.world.patch({"status": {"phase": "x"}}, sub="/status")
    before = first.world.expect(200, "GET", WIDGETS)
    first.journal.close()

    second = Opened(path)
    after = second.world.expect(200, "GET", WIDGETS)
    assert after == before
    # Field selectors work on what was read back, and revisions go on.
    assert second.world.names(f"{WIDGETS}?fieldSelector=spec.node%3Dn1") == ["a"]
    made = second.world.create("b")
    assert int(made["metadata"]["resourceVersion"]) == int(before["metadata"]["resourceVersion"]) + 1
    second.journal.close()


def test_what_was_durable_survives_without_a_close(path: Path) -> None:
    first = Opened(path)
    first.world.create("a")
    first.sync()
    revision = first.world.api.revision
    # A second reader of the file sees what a process after a crash would see.
    copy = path.with_name("copy.db")
    for suffix in ("", "-wal"):
        copy.with_name(copy.name + suffix).write_bytes(path.with_name(path.name + suffix).read_bytes())
    second = Opened(copy)
    assert second.world.names() == ["a"]
    assert second.world.api.revision == revision
    second.journal.close()
    first.journal.close()


def test_a_watch_from_before_the_restart_is_told_to_list_again(path: Path) -> None:
    first = Opened(path)
    start = first.world.api.revision
    first.world.create("a")
    first.journal.close()
    second = Opened(path)
    lines = second.world.watch(f"resourceVersion={start}").poll()
    assert b'"code":410' in lines[0]
    level = second.world.watch(f"resourceVersion={second.world.api.revision}")
    second.world.create("b")
    second.sync()
    assert b'"name":"b"' in level.poll()[0]
    second.journal.close()


def test_deletions_in_progress_go_on(path: Path) -> None:
    first = Opened(path)
    first.world.create("a", meta={"finalizers": ["a/b"]})
    first.world.delete("a")
    first.journal.close()
    second = Opened(path)
    assert second.world.expect(200, "GET", f"{WIDGETS}/a")["metadata"]["deletionTimestamp"]
    second.world.patch({"metadata": {"finalizers": None}})
    assert second.world.names() == []
    second.journal.close()


def test_definitions_are_served_again(path: Path) -> None:
    first = Opened(path)
    first.world.expect(201, "POST", DEFINITIONS, definition("others", "Other"))
    first.journal.close()
    second = Opened(path)
    assert second.world.names(WIDGETS.replace("widgets", "others")) == []
    second.journal.close()


def test_a_file_that_cannot_be_written_refuses_writes_and_readiness(path: Path) -> None:
    opened = Opened(path)
    opened.sync()
    # The connection is taken away under the writing thread, as a failing disk would.
    opened.journal._database.close()  # pyright: ignore[reportPrivateUsage] # no other way to break a good disk
    opened.world.create("a")
    with opened.synced:
        assert opened.synced.wait_for(lambda: opened.store.failure is not None, timeout=20)
    assert opened.journal.durable < opened.store.revision
    assert opened.world.ask("GET", "/readyz").status == 500
    assert opened.world.ask("GET", "/livez").status == 200
    with pytest.raises(sqlite3.Error):
        opened.world.create("b")


def test_one_process_owns_the_file(path: Path) -> None:
    opened = Opened(path)
    opened.sync()
    tokens = path.with_name("tokens")
    tokens.write_text("secret\n")
    options = ["--data", str(path), "--token-file", str(tokens)]
    other = subprocess.run(
        [sys.executable, "-m", "nestling.apiserver", *options], capture_output=True, text=True, check=False
    )
    assert other.returncode == 1
    assert other.stderr == f"cannot open {path}: database is locked; does another server use it?\n"
    opened.journal.close()


def test_many_writes_share_a_commit(path: Path) -> None:
    opened = Opened(path)
    started = opened.journal.commits
    for index in range(500):
        opened.world.create(f"w{index}")
    opened.sync()
    assert opened.journal.commits - started < 250
    opened.journal.close()
