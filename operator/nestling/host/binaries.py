"""Where the programs of a host come from: KUBEBUILDER_ASSETS, PATH, our cache, or once from Go modules.

Asks each program found for its version, never trusts a file name. A Kubernetes program outside the cache is
taken only together with the others of its minor version: a controller manager must not be newer than its API
server.

`python -m nestling.host.binaries ensure kube-apiserver etcd` makes sure of them and prints what it does;
`python -m nestling.host.binaries find ...` only looks.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from nestling.host import build
from nestling.host.errors import BinaryMissingError, HostSetupError
from nestling.host.paths import cache_home
from nestling.host.record import Progress, silent
from nestling.host.release import KUBERNETES_VERSION, PROGRAMS, Family, version_of

Source = Literal["KUBEBUILDER_ASSETS", "PATH", "cache", "built"]
LOCAL_PROGRAMS: Final = ("etcd", "kube-apiserver", "kube-controller-manager")


@dataclass(frozen=True, slots=True)
class Found:
    """A program that answers to its name.

    `version` is `v1.37.2`-like; `note` says why it is not the one we test with.
    """

    name: str
    path: Path
    version: str
    source: Source
    note: str = ""


@dataclass(frozen=True, slots=True)
class Passed:
    """A program that was there and was not taken, and why."""

    path: Path
    why: str


def find(
    names: Iterable[str], *, env: Mapping[str, str] = os.environ
) -> tuple[dict[str, Found], tuple[Passed, ...]]:
    """Look for programs, build nothing; also returns those passed over.

    Raises HostSetupError for an unknown name.
    """
    wanted = tuple(dict.fromkeys(names))
    for name in wanted:
        if name not in PROGRAMS:
            raise HostSetupError(
                f"{name} is no program of a host", next_step=f"choose from {', '.join(PROGRAMS)}"
            )
    found: dict[str, Found] = {}
    passed: list[Passed] = []
    for name in wanted:
        for source, path in candidates(name, env):
            taken = inspect(name, source, path)
            if isinstance(taken, Found):
                found[name] = taken
                break
            passed.append(taken)
    kept, disagreeing = _agreeing(found, wanted, env)
    return kept, (*passed, *disagreeing)


def candidates(name: str, env: Mapping[str, str]) -> list[tuple[Source, Path]]:
    """Every executable file that could be the program, best first."""
    places: list[tuple[Source, Path]] = []
    if env.get("KUBEBUILDER_ASSETS"):
        places.append(("KUBEBUILDER_ASSETS", Path(env["KUBEBUILDER_ASSETS"]) / name))
    on_path = shutil.which(name, path=env.get("PATH", ""))
    if on_path is not None:
        places.append(("PATH", Path(on_path).absolute()))
    places.append(("cache", cached(name, env)))
    return [(source, path) for source, path in places if path.is_file() and os.access(path, os.X_OK)]


def cached(name: str, env: Mapping[str, str] = os.environ) -> Path:
    """Where our cache keeps the program."""
    family = PROGRAMS[name].family
    return cache_home(env) / family.name / family.version / name


def inspect(name: str, source: Source, path: Path) -> Found | Passed:
    """Ask a program for its version and decide whether to take it."""
    if source == "cache":
        # We built it, and a build is moved into place whole: its directory is its version.
        return Found(name, path, PROGRAMS[name].version, source)
    try:
        answer = subprocess.run(  # noqa: S603  a file the user pointed at
            [path, *PROGRAMS[name].ask], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Passed(path, f"does not tell its version ({type(error).__name__})")
    return judge(name, source, path, answer.stdout + answer.stderr)


def judge(name: str, source: Source, path: Path, answer: str) -> Found | Passed:
    """Decide by what a program answered when asked for its version."""
    version = version_of(answer)
    if version is None:
        return Passed(path, "does not tell its version")
    program = PROGRAMS[name]
    if minor(version) < program.oldest:
        return Passed(path, f"is {version}, older than v{program.oldest[0]}.{program.oldest[1]}")
    tested = minor(version) == minor(program.version)
    note = "" if tested else f"{path} is {version}; Nestling is tested with {program.version}"
    return Found(name, path, version, source, note)


def minor(version: str) -> tuple[int, int]:
    """`v1.37.2` -> (1, 37)."""
    first, second, *_ = re.findall(r"\d+", version)
    return int(first), int(second)


def _agreeing(
    found: Mapping[str, Found], wanted: Sequence[str], env: Mapping[str, str]
) -> tuple[dict[str, Found], list[Passed]]:
    """Keep programs of Kubernetes of one minor version only.

    Whatever is missing will be of the version we build, so then nothing else will do for the others either.
    """
    kin = [name for name in wanted if PROGRAMS[name].kin]
    versions = {minor(found[name].version) if name in found else minor(KUBERNETES_VERSION) for name in kin}
    if len(versions) <= 1:
        return dict(found), []
    kept, passed = dict(found), list[Passed]()
    for name in kin:
        one = kept.get(name)
        if one is None or minor(one.version) == minor(KUBERNETES_VERSION):
            continue
        passed.append(
            Passed(one.path, f"is {one.version}, and other programs of this host are {KUBERNETES_VERSION}")
        )
        del kept[name]
        if cached(name, env).is_file():
            kept[name] = Found(name, cached(name, env), KUBERNETES_VERSION, "cache")
    return kept, passed


def ensure(
    names: Iterable[str], *, env: Mapping[str, str] = os.environ, progress: Progress = silent
) -> dict[str, Found]:
    """Find programs, and build those that are missing.

    Raises BinaryMissingError when that cannot be done here.
    """
    wanted = tuple(dict.fromkeys(names))
    found, passed = find(wanted, env=env)
    missing = [name for name in wanted if name not in found]
    for one in passed:
        progress(f"not using {one.path}: it {one.why}")
    for one in found.values():
        if one.note:
            progress(f"note: {one.note}")
    for family in _families(missing):
        of_family = [name for name in missing if PROGRAMS[name].family == family]
        build.build(family, of_family, env=env, progress=progress)
        for name in of_family:
            found[name] = Found(name, cached(name, env), PROGRAMS[name].version, "built")
    return {name: found[name] for name in wanted}


def _families(names: Sequence[str]) -> list[Family]:
    return list(dict.fromkeys(PROGRAMS[name].family for name in names))


def paths(found: Mapping[str, Found]) -> dict[str, Path]:
    """Program names to their files."""
    return {name: one.path for name, one in found.items()}


def missing_sentence(names: Iterable[str], found: Mapping[str, Found]) -> str:
    """What to say when programs are not there and may not be built now."""
    lacking = [name for name in names if name not in found]
    return (
        f"{', '.join(lacking)} not found in KUBEBUILDER_ASSETS, PATH or {cache_home()}; "
        f"run `python -m nestling.host.binaries ensure {' '.join(lacking)}` (about 5 minutes, once)"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Find or ensure programs from a command line; exit code 0 when all are there, 1 otherwise."""
    parser = argparse.ArgumentParser(
        prog="python -m nestling.host.binaries", description="Find or build host programs."
    )
    parser.add_argument("action", choices=("ensure", "find"))
    parser.add_argument(
        "names", nargs="*", default=LOCAL_PROGRAMS, metavar="PROGRAM", help=", ".join(PROGRAMS)
    )
    options = parser.parse_args(arguments)
    try:
        if options.action == "ensure":
            found = ensure(options.names, progress=_say)
        else:
            found, passed = find(options.names)
            for one in passed:
                _say(f"not using {one.path}: it {one.why}")
    except HostSetupError as error:
        _say(f"Error: {error}")
        return 1
    for one in found.values():
        sys.stdout.write(f"{one.name}\t{one.version}\t{one.source}\t{one.path}\n")
    if len(found) < len(set(options.names)):
        _say(f"Error: {missing_sentence(options.names, found)}")
        return 1
    return 0


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


__all__ = ["LOCAL_PROGRAMS", "BinaryMissingError", "Found", "Passed", "ensure", "find", "paths"]

if __name__ == "__main__":
    sys.exit(main())
