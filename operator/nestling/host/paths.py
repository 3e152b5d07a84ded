"""Where a host keeps its files: state of one user, and a cache that may be deleted at any time.

Source: XDG Base Directory Specification 0.8, overridden by `NESTLING_STATE` and `NESTLING_CACHE`.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

PRIVATE_DIR = 0o700
PRIVATE_FILE = 0o600


def state_home(env: Mapping[str, str] = os.environ) -> Path:
    """The directory below which everything lives that must survive a reboot."""
    return _home(env, own="NESTLING_STATE", xdg="XDG_STATE_HOME", fallback=".local/state")


def cache_home(env: Mapping[str, str] = os.environ) -> Path:
    """The directory below which everything lives that can be made again, such as built binaries."""
    return _home(env, own="NESTLING_CACHE", xdg="XDG_CACHE_HOME", fallback=".cache")


def _home(env: Mapping[str, str], *, own: str, xdg: str, fallback: str) -> Path:
    if env.get(own):
        return Path(env[own]).expanduser().absolute()
    # The specification tells us to ignore a relative path here.
    if env.get(xdg, "").startswith("/"):
        return Path(env[xdg]) / "nestling"
    home = Path(env["HOME"]) if env.get("HOME") else Path.home()
    return home / fallback / "nestling"


def private_dir(path: Path) -> Path:
    """Make a directory that only this user may enter; directories above it keep the user's own mask."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=PRIVATE_DIR, exist_ok=True)
    path.chmod(PRIVATE_DIR)
    return path


def write_private(path: Path, content: bytes) -> None:
    """Replace a file in one step, for this user only: neither a reader nor a crash meets half of it."""
    # mkstemp opens with 0600, so the secret is never on disk with wider rights, not even for a moment.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def delete_any(path: Path) -> None:
    """Delete a file or a directory, as far as that goes."""
    shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError, IsADirectoryError, PermissionError):
        path.unlink()
