"""What the kubelet asks of a container runtime.

A runtime answers at once and never waits: with what it knows, or, for a simulated one, with what is going
to happen. Times are seconds after the start of the run in question, so that the kubelet can set one timer
for the next visible change instead of asking every second. The lifecycle decides, the runtime is asked;
neither writes to the host.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from nestling.api.json import JsonObject
from nestling.api.kinds import Uid

ProbeKind: TypeAlias = Literal["startup", "liveness", "readiness"]
PullError: TypeAlias = Literal["", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName"]


@dataclass(frozen=True, slots=True)
class Container:
    """One container of one pod. `annotations` are the pod's.

    The defaults hold where they say nothing; without `default_run_s` a container runs until it is stopped.
    """

    uid: Uid
    spec: JsonObject
    annotations: Mapping[str, str]
    seed: int = 0
    default_start_delay_s: float = 0.0
    default_run_s: float | None = None

    @property
    def name(self) -> str:
        """The container's name."""
        return self.spec["name"]


@dataclass(frozen=True, slots=True)
class Pull:
    """How fetching an image ends: after `seconds`, unless there is an `error` with its `message`."""

    seconds: float = 0.0
    error: PullError = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """How one run of a container goes if nobody interferes; `ends_after` is None while no end is known."""

    ends_after: float | None = None
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Answers:
    """From when until when a container answers a probe with success; None means for good."""

    since: float = 0.0
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Executed:
    """What a command in a container left behind."""

    exit_code: int
    stdout: str = ""
    stderr: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a container uses at one moment; `cpu_seconds` is the total since its start."""

    cpu_milli: float = 0.0
    memory_bytes: int = 0
    cpu_seconds: float = 0.0


class Runtime(Protocol):
    """Where containers run. `attempt` counts the runs of one container of one pod: 0, 1, 2, ..."""

    name: str
    version: str

    def pull(self, container: Container) -> Pull:
        """Fetch the image."""
        ...

    def image_id(self, image: str) -> str:
        """The image's digest reference, as a container status carries it."""
        ...

    def create(self, container: Container, attempt: int) -> str:
        """Id of the container, with the runtime's scheme."""
        ...

    def start(self, container: Container, attempt: int) -> Run:
        """Start the container; the answer also holds for a run that is under way already."""
        ...

    def probe(self, container: Container, attempt: int, kind: ProbeKind) -> Answers:
        """When the container answers probes of this kind."""
        ...

    def stop(self, container: Container, attempt: int) -> float:
        """Ask the container to end; seconds until it does, if nobody kills it first."""
        ...

    def exec(self, container: Container, attempt: int, command: Sequence[str]) -> Executed:
        """Run a command in the container."""
        ...

    def logs(self, container: Container, attempt: int, ran_for: float) -> Iterable[str]:
        """What the container has written in its first `ran_for` seconds."""
        ...

    def stats(self, container: Container, attempt: int, ran_for: float) -> Usage:
        """What the container uses `ran_for` seconds after its start."""
        ...

    def complaints(self, container: Container) -> Iterable[str]:
        """What is wrong with the settings of this container, one sentence each; empty if nothing is."""
        ...
