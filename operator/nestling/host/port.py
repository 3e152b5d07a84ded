"""Free loopback ports."""

import secrets
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from nestling.host.errors import HostSetupError

# Below the range from which kernels take ports for outgoing connections (32768 and up on Linux): while our
# server is down, no such connection can take its port, and no client that tries to reconnect can end up
# talking to itself.
RANGE: Final = range(20000, 32000)


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of loopback now."""
    with socket.socket() as probe:
        # Go sets this too: connections of an earlier server that linger in TIME_WAIT do not stand in the way.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_ports(count: int, *, taken: frozenset[int] = frozenset()) -> list[int]:
    """That many different free ports. Raises HostSetupError when there seem to be none."""
    found: list[int] = []
    for port in _draws():
        if port not in taken and port not in found and is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise HostSetupError(
        f"no free port between {RANGE.start} and {RANGE.stop - 1}",
        next_step="stop something that listens there",
    )


def settle(
    roles: Sequence[str],
    known: Mapping[str, int],
    *,
    ours: Callable[[str], bool],
    free: Callable[[int], bool] = is_free,
) -> dict[str, int]:
    """A port for each role: the known one when we listen there ourselves or nobody does, else a new one."""
    kept = {role: known[role] for role in roles if role in known and (ours(role) or free(known[role]))}
    missing = [role for role in roles if role not in kept]
    fresh = free_ports(len(missing), taken=frozenset(known.values())) if missing else []
    return {**kept, **dict(zip(missing, fresh, strict=True))}


def _draws(attempts: int = 1000) -> Iterator[int]:
    """Ports in random order, so that two hosts that start at the same moment rarely choose the same."""
    for _ in range(attempts):
        yield RANGE.start + secrets.randbelow(len(RANGE))
