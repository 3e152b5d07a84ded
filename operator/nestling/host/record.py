"""What a host is to everybody else: a name, a server, a kubeconfig; and how its record is kept on disk."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import orjson

from nestling.host.errors import HostSetupError
from nestling.host.paths import state_home, write_private

HostKind = Literal["embedded", "local", "kind", "current"]
HostState = Literal["running", "degraded", "stopped"]

# Called with one line of progress each; what it does with it (a spinner, a plain line, nothing) is the
# caller's.
Progress: TypeAlias = Callable[[str], None]


def silent(_: str) -> None:
    """Progress nobody wants to see."""


@dataclass(frozen=True, slots=True)
class Host:
    """A host that is up.

    `context` names the kubeconfig's context, `data_dir` where its objects are kept, if here.
    """

    name: str
    kind: HostKind
    server: str
    kubeconfig: Path
    context: str
    version: str = ""
    data_dir: Path | None = None

    def document(self) -> dict[str, Any]:
        """The host as JSON."""
        return {**asdict(self), "kubeconfig": str(self.kubeconfig), "data_dir": _text(self.data_dir)}


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """One process of a host. `rss_bytes` is 0 when it does not run."""

    name: str
    running: bool
    pid: int | None = None
    rss_bytes: int = 0
    log: Path | None = None


@dataclass(frozen=True, slots=True)
class HostStatus:
    """A host as it is now. `degraded`: some of it runs, or it runs and does not answer; `note` says which."""

    host: Host
    state: HostState
    note: str = ""
    components: tuple[ComponentStatus, ...] = field(default=())

    def document(self) -> dict[str, Any]:
        """The status as JSON."""
        parts = [{**asdict(part), "log": _text(part.log)} for part in self.components]
        return {**self.host.document(), "state": self.state, "note": self.note, "components": parts}


class Provider(Protocol):
    """One way of having a host. Every method may be called in any state, again and again."""

    def up(self, progress: Progress) -> Host:
        """Bring the host up, or find it up. Raises HostSetupError."""
        ...

    def down(self, *, purge: bool, progress: Progress) -> None:
        """Stop the host; with `purge` also forget everything that was ever stored in it."""
        ...

    def status(self) -> HostStatus:
        """Look, change nothing. Raises HostNotFoundError when it was never brought up."""
        ...


def host_dir(name: str) -> Path:
    """Where the host called `name` keeps its state."""
    return state_home() / "hosts" / name


def save(path: Path, document: dict[str, Any]) -> None:
    """Write a record in one step."""
    write_private(path, orjson.dumps(document, option=orjson.OPT_INDENT_2))


def load(path: Path) -> dict[str, Any] | None:
    """Read a record; None when there is none. Raises HostSetupError when it cannot be read as one."""
    try:
        document = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise HostSetupError(
            f"{path} is damaged", next_step="move it away and run `nestling host up` again; no data is in it"
        )
    return document


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
