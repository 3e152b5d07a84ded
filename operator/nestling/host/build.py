"""Build programs of a host from Go modules, once, into the cache.

One `go build` makes all programs of a family, so that they share what they compile. It works in a directory
of the cache under a lock, and a finished program is renamed into place: an interrupted build leaves no half
program, and Go's own caches let the next attempt go on where this one ended.
"""

import contextlib
import fcntl
import os
import re
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson

from nestling.host.errors import BinaryMissingError
from nestling.host.paths import cache_home
from nestling.host.record import Progress
from nestling.host.release import (
    HELM_VERSION,
    KUBERNETES,
    KUBERNETES_VERSION,
    KWOK_VERSION,
    PROGRAMS,
    PROMETHEUS_SAYS,
    Family,
    go_mod,
    main_go,
    module_of,
    replaced_modules,
    staging_version,
)
from nestling.host.toolchain import find_go, go_environment

REPORT_EVERY_S: Final = 5.0
# What Go says when modules cannot be had, whatever the deeper reason.
_NETWORK: Final = re.compile(
    r"dial tcp|no such host|proxyconnect|i/o timeout|connection refused|TLS handshake|\b(403|404|502|503) |"
    r"lookup |module lookup disabled|unrecognized import path"
)
# `go mod download -json` tells its errors on standard output alone.
_ERROR_IN_JSON: Final = re.compile(r'"Error": "(.*)"')


@dataclass(frozen=True, slots=True)
class Builder:
    """One build: which Go, in which directory, with which environment, and who hears of it."""

    go: Path
    work: Path
    env: Mapping[str, str]
    progress: Progress
    monotonic: Callable[[], float] = field(default=time.monotonic)

    @property
    def log(self) -> Path:
        """Everything Go said."""
        return self.work / "build.log"

    def run(self, title: str, arguments: Sequence[str], *, total: int = 0) -> str:
        """Run Go, tell how far it is, and return its standard output.

        Raises BinaryMissingError with its last word.
        """
        started = self.monotonic()
        tally, due = Tally(title, total), started + REPORT_EVERY_S
        with (
            self.log.open("ab") as log,
            (self.work / "stdout").open("w+b") as output,
            subprocess.Popen(  # noqa: S603  a go command found on PATH or unpacked by us
                [self.go, *arguments],
                cwd=self.work,
                env=dict(self.env),
                stdout=output,
                stderr=subprocess.PIPE,
            ) as child,
        ):
            assert child.stderr is not None
            lines, rest = list[str](), b""
            while True:
                readable, _, _ = select.select([child.stderr], [], [], 1.0)
                if readable:
                    chunk = os.read(child.stderr.fileno(), 1 << 16)
                    if not chunk:
                        break
                    log.write(chunk)
                    *whole, rest = (rest + chunk).split(b"\n")
                    for line in whole:
                        lines.append(line.decode(errors="replace"))
                        tally.count(lines[-1])
                if self.monotonic() >= due:
                    self.progress(tally.line(self.monotonic() - started))
                    due = self.monotonic() + REPORT_EVERY_S
            child.wait()
            output.seek(0)
            answer = output.read().decode()
            if child.returncode != 0:
                raise failure(title, [*lines, *_ERROR_IN_JSON.findall(answer)], self.log)
            return answer


@dataclass(slots=True)
class Tally:
    """How far Go is, by what it prints: one line per module downloaded, one per package compiled."""

    title: str
    total: int = 0
    downloaded: int = 0
    compiled: int = 0

    def count(self, line: str) -> None:
        """Take note of one line of Go's standard error."""
        if line.startswith("go: downloading "):
            self.downloaded += 1
        elif line and not line.startswith(("go: ", "#", " ", "\t")):
            self.compiled += 1

    def line(self, seconds: float) -> str:
        """One line of progress."""
        parts = [f"{self.downloaded} modules downloaded"] if self.downloaded else []
        if self.compiled:
            of = f" of at most {self.total}" if self.total else ""
            parts.append(f"{self.compiled}{of} packages compiled")
        return f"{self.title}: {', '.join([*parts, f'{seconds:.0f} s'])}"


def build(family: Family, names: Sequence[str], *, env: Mapping[str, str], progress: Progress) -> None:
    """Build programs of one family into the cache.

    Raises BinaryMissingError when that cannot be done here.
    """
    home = cache_home(env) / family.name / family.version
    home.mkdir(parents=True, exist_ok=True)
    with _alone(home / ".lock", progress):
        missing = [name for name in names if not (home / name).is_file()]
        if not missing:
            return  # whoever held the lock has built them
        go = find_go(env, progress)
        work = home / ".work"
        work.mkdir(exist_ok=True)
        builder = Builder(go, work, go_environment(env), progress)
        builder.log.unlink(missing_ok=True)
        started = time.monotonic()
        progress(
            f"building {', '.join(missing)} {family.version} from Go modules, about {_minutes(family)}, once"
        )
        out = work / "out"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        targets = _prepare(builder, family, missing)
        tagged = [f"-tags={','.join(tags)}"] if (tags := PROGRAMS[missing[0]].tags) else []
        listed = builder.run("downloading modules", ["list", "-mod=mod", "-deps", *tagged, *targets])
        title = f"building {missing[0]}" if len(missing) == 1 else f"building {len(missing)} programs"
        flags = ["-mod=mod", "-trimpath", "-v", *tagged, "-ldflags", _link_flags()]
        builder.run(title, ["build", *flags, "-o", f"{out}/", *targets], total=len(listed.splitlines()))
        for name in missing:
            (out / name).replace(home / name)
        shutil.rmtree(work, ignore_errors=True)
        progress(f"built {', '.join(missing)} in {time.monotonic() - started:.0f} s, kept in {home}")


def _prepare(builder: Builder, family: Family, names: Sequence[str]) -> list[str]:
    """Write the Go module that builds these programs, and return the packages to build."""
    if family != KUBERNETES:
        module = module_of(PROGRAMS[names[0]])
        (builder.work / "go.mod").write_text(go_mod({module: family.version}, {}))
        return [PROGRAMS[name].package for name in names]
    answer = builder.run(
        "downloading Kubernetes", ["mod", "download", "-json", f"k8s.io/kubernetes@{KUBERNETES_VERSION}"]
    )
    theirs = Path(orjson.loads(answer)["GoMod"]).read_text()
    replaces = {module: staging_version(KUBERNETES_VERSION) for module in replaced_modules(theirs)}
    requires = {
        "k8s.io/kubernetes": KUBERNETES_VERSION,
        "go.etcd.io/etcd/server/v3": PROGRAMS["etcd"].version,
    }
    (builder.work / "go.mod").write_text(go_mod(requires, replaces))
    for name in names:
        folder = builder.work / name
        folder.mkdir(exist_ok=True)
        (folder / "main.go").write_text(main_go(PROGRAMS[name]))
    return [f"./{name}" for name in names]


def _link_flags() -> str:
    """Strip symbols (half the size) and say the version, which the API server offers under /version."""
    version, major_minor = "k8s.io/component-base/version", KUBERNETES_VERSION[1:].split(".")
    values = {
        f"{version}.gitVersion": KUBERNETES_VERSION,
        f"{version}.gitMajor": major_minor[0],
        f"{version}.gitMinor": major_minor[1],
        f"{version}.gitTreeState": "clean",
        f"{version}.buildDate": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "sigs.k8s.io/kwok/pkg/consts.Version": KWOK_VERSION[1:],
        "helm.sh/helm/v3/internal/version.version": HELM_VERSION,
        "github.com/prometheus/common/version.Version": PROMETHEUS_SAYS[1:],
    }
    return " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in values.items())])


def failure(title: str, lines: Sequence[str], log: Path) -> BinaryMissingError:
    """Make one sentence of what Go said last."""
    said = [line.strip() for line in lines if line.strip() and not line.startswith("go: downloading ")]
    last = said[-1] if said else "it does not say why"
    everything = "\n".join(said)
    if "no space left on device" in everything:
        return BinaryMissingError(
            f"{title} failed because the disk is full",
            next_step="free about 8 GB in the home directory, or set GOCACHE, GOMODCACHE and NESTLING_CACHE",
        )
    if "signal: killed" in everything:
        return BinaryMissingError(
            f"{title} failed because the compiler was killed, most likely for want of memory",
            next_step="run the same command again with GOFLAGS=-p=1; what is compiled is kept",
        )
    match = next((line for line in reversed(said) if _NETWORK.search(line)), None)
    if match is not None:
        return BinaryMissingError(
            f"{title} failed because Go modules could not be downloaded ({match[:300]})",
            next_step="check the network or GOPROXY and run the same command again, or point "
            "KUBEBUILDER_ASSETS to a directory with the programs",
        )
    return BinaryMissingError(f"{title} failed ({last[:300]})", next_step=f"read {log}")


def _minutes(family: Family) -> str:
    """How long it takes on two cores with nothing cached; measured."""
    return "6 minutes" if family == KUBERNETES else "2 minutes"


@contextlib.contextmanager
def _alone(lock: Path, progress: Progress) -> Generator[None]:
    """Hold the lock of one cache directory; say so when somebody else is building there."""
    handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("another build is at work in the cache; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
