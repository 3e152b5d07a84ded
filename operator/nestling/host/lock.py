"""A directory that one command at a time works on, and that may be deleted while others wait for it."""

import contextlib
import fcntl
import os
import stat
from collections.abc import Generator
from pathlib import Path
from typing import Final

from nestling.host.paths import delete_any, private_dir

_NAME: Final = "lock"


@contextlib.contextmanager
def alone(directory: Path, *, wait: bool = True) -> Generator[None]:
    """Hold the lock of a directory, which is made when it is not there.

    Raises BlockingIOError when somebody else holds it and we shall not wait, OSError when something else is
    in its place.
    """
    handle = _take(directory, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        yield
    finally:
        os.close(handle)


def delete(directory: Path) -> None:
    """Delete a directory whose lock we hold, as far as that goes; nothing may be done in it afterwards."""
    for path in directory.glob("*"):
        if path.name != _NAME:
            delete_any(path)
    # The lock goes last: whoever waits for it begins anew the moment it is gone.
    with contextlib.suppress(OSError):
        (directory / _NAME).unlink(missing_ok=True)
        directory.rmdir()


def _take(directory: Path, how: int) -> int:
    while True:
        try:
            handle = os.open(private_dir(directory) / _NAME, os.O_RDWR | os.O_CREAT, 0o600)
        except (FileNotFoundError, FileExistsError):
            # Deleted between two of our steps; unless there is something else that will not go.
            with contextlib.suppress(FileNotFoundError):
                if not stat.S_ISDIR(directory.lstat().st_mode):
                    raise
            continue
        try:
            fcntl.flock(handle, how)
        except BaseException:
            os.close(handle)
            raise
        # Whoever held it before us may have deleted the directory, and this file with it.
        with contextlib.suppress(FileNotFoundError):
            if (directory / _NAME).stat().st_ino == os.fstat(handle).st_ino:
                return handle
        os.close(handle)
