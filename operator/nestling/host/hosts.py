"""All hosts of this user: which there are, how each is had, and the one that a command means."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, assert_never

from nestling.host import binaries, record
from nestling.host.component import CONTROLLERS
from nestling.host.current import CurrentHost, CurrentSettings
from nestling.host.embedded import EmbeddedHost, EmbeddedSettings
from nestling.host.errors import HostNotFoundError, HostSetupError
from nestling.host.kind import KindHost, KindSettings
from nestling.host.local import LocalHost, LocalSettings
from nestling.host.paths import state_home
from nestling.host.record import Host, HostKind, HostStatus, Progress, Provider, silent

# A name becomes a directory, a context and a container name.
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a user may ask for when a host comes up; each kind of host heeds what concerns it."""

    data_dir: Path | None = None
    controllers: bool = True
    fsync: bool = True
    image: str = ""
    context: str = ""


def up(
    kind: HostKind = "embedded", name: str = "", *, wishes: Wishes | None = None, progress: Progress = silent
) -> Host:
    """Bring a host up, or find it up; its name is that of its kind unless given. Raises HostSetupError."""
    name = name or kind
    if not _NAME.fullmatch(name):
        raise HostSetupError(
            f"{name!r} is no name of a host",
            next_step="use up to 40 lower-case letters, digits and inner hyphens",
        )
    known = _record(name)
    if known is not None and known["kind"] != kind:
        raise HostSetupError(
            f"host {name} is of kind {known['kind']}, not {kind}",
            next_step=f"choose another --name, or `nestling host down {name} --purge` first",
        )
    wishes = wishes or Wishes()
    _refuse_move(name, known, wishes)
    return _new(kind, name, known or {}, wishes, progress).up(progress)


def down(name: str = "", *, purge: bool = False, progress: Progress = silent) -> str:
    """Stop a host and return its name; without a name, the only one there is. Raises HostNotFoundError."""
    name = name or _only(purge=purge)
    _existing(name).down(purge=purge, progress=progress)
    return name


def status(name: str) -> HostStatus:
    """A host as it is now. Raises HostNotFoundError when it has never been up."""
    return _existing(name).status()


def names() -> list[str]:
    """Every host that has been up and was not purged."""
    folder = state_home() / "hosts"
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if (path / "host.json").is_file())


def _only(*, purge: bool) -> str:
    """The host meant when none is named: the only one that runs, or to purge, the only one there is."""
    found = [] if purge else [status(name) for name in names()]
    running = [one.host.name for one in found if one.host.kind != "current" and one.state != "stopped"]
    meant = names() if purge else running
    if len(meant) == 1:
        return meant[0]
    if not meant:
        raise HostNotFoundError("no host is up", next_step="start one with `nestling host up`")
    raise HostSetupError(f"there are several hosts: {', '.join(meant)}", next_step="name the one you mean")


def _record(name: str) -> dict[str, Any] | None:
    return record.load(record.host_dir(name) / "host.json")


def _existing(name: str) -> Provider:
    known = _record(name)
    if known is None:
        others = f"only {', '.join(names())}" if names() else "nor any other"
        raise HostNotFoundError(
            f"there is no host {name}, {others}", next_step="start one with `nestling host up`"
        )
    data = Path(known["data_dir"]) if known.get("data_dir") else None
    return _provider(
        known["kind"], name, known, Wishes(data_dir=data, controllers=bool(known.get("controllers"))), {}
    )


def _refuse_move(name: str, known: dict[str, Any] | None, wishes: Wishes) -> None:
    """A host keeps its data where it is: starting empty elsewhere would look like losing everything."""
    before = (known or {}).get("data_dir")
    if before is None or wishes.data_dir is None or before == str(_absolute(wishes.data_dir)):
        return
    raise HostSetupError(
        f"host {name} keeps its data in {before}",
        next_step=f"choose another --name, or `nestling host down {name} --purge` first",
    )


def _new(kind: HostKind, name: str, known: dict[str, Any], wishes: Wishes, progress: Progress) -> Provider:
    """The provider of a host that is about to be started: its programs are found, or built."""
    programs: dict[str, binaries.Found] = {}
    if kind == "local":
        wanted = binaries.LOCAL_PROGRAMS if wishes.controllers else binaries.LOCAL_PROGRAMS[:2]
        programs = binaries.ensure(wanted, progress=progress)
    return _provider(kind, name, known, wishes, programs)


def _provider(
    kind: HostKind, name: str, known: dict[str, Any], wishes: Wishes, programs: dict[str, binaries.Found]
) -> Provider:
    root = record.host_dir(name)
    remembered = Path(known["data_dir"]) if known.get("data_dir") else root / "data"
    data = _absolute(wishes.data_dir) if wishes.data_dir else remembered
    match kind:
        case "embedded":
            return EmbeddedHost(EmbeddedSettings(name, root, data))
        case "local":
            controllers = CONTROLLERS if wishes.controllers else ()
            settings = LocalSettings(name, root, data, fsync=wishes.fsync, controllers=controllers)
            version = programs["kube-apiserver"].version if programs else str(known.get("version", ""))
            return LocalHost(settings, binaries.paths(programs), version=version)
        case "kind":
            image = wishes.image or str(known.get("image", "")) or os.environ.get("NESTLING_KIND_IMAGE", "")
            return KindHost(KindSettings(name, root, image))
        case "current":
            return CurrentHost(CurrentSettings(name, root, wishes.context))
        case _:
            assert_never(kind)


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()
