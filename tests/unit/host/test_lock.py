"""The lock of a directory that whoever holds it may delete."""

import threading
from pathlib import Path

import pytest

from nestling.host import lock


def test_one_at_a_time_although_each_deletes_the_directory(tmp_path: Path) -> None:
    directory, inside, entries = tmp_path / "state", threading.Lock(), list[tuple[bool, list[str]]]()

    def command() -> None:
        for _ in range(200):
            with lock.alone(directory):
                entries.append((inside.acquire(blocking=False), [path.name for path in directory.iterdir()]))
                (directory / "record").touch()
                inside.release()
                lock.delete(directory)  # the file that the others wait for is gone

    threads = [threading.Thread(target=command) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert entries == [(True, ["lock"])] * 800


def test_who_does_not_wait_is_told(tmp_path: Path) -> None:
    with lock.alone(tmp_path), pytest.raises(BlockingIOError), lock.alone(tmp_path, wait=False):
        pass


@pytest.mark.parametrize("target", [None, "nowhere"], ids=["a file", "a link to nothing"])
def test_something_else_in_its_place_is_said(tmp_path: Path, target: str | None) -> None:
    place = tmp_path / "state"
    if target:
        place.symlink_to(target)
    else:
        place.touch()
    with pytest.raises(FileExistsError), lock.alone(place):
        pass
