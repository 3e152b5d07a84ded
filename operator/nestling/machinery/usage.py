"""What a running container uses: told by kubelets, read by whoever measures or scales by it."""

from dataclasses import dataclass

from nestling.machinery.names import Key


@dataclass(frozen=True, slots=True)
class ContainerUsage:
    """One running container at one moment.

    `cpu_seconds` is the total since its start at `started_at` (seconds since 1970, UTC); `id` is the
    runtime's.
    """

    pod: Key
    node: str
    container: str
    image: str
    id: str
    started_at: float
    cpu_milli: float
    cpu_seconds: float
    memory_bytes: int
