"""The sockets of Kopf's connections, so that none of them outlives the operator.

Kopf leaves the watches' TLS connections to say goodbye by themselves. A word of the other side that comes
while the loop is being closed makes that fail (uvloop 0.23: EBUSY).
"""

import asyncio
import contextlib
import socket
from typing import Final
from weakref import WeakSet

from aiohttp import AddrInfoType

GONE_WITHIN_S: Final = 1.0
LOOK_EVERY_S: Final = 0.01


class Sockets:
    """Makes the sockets of an `aiohttp.TCPConnector`, and ends them."""

    def __init__(self) -> None:
        self._made: WeakSet[socket.socket] = WeakSet()

    def __call__(self, address: AddrInfoType) -> socket.socket:  # pyright: ignore[reportUnknownParameterType]
        """A new socket for a connection; aiohttp closes it with the connection."""
        family, kind, protocol, _name, _address = address
        made = socket.socket(family, kind, protocol)
        self._made.add(made)
        return made

    async def end(self) -> None:
        """End every connection, whatever its other side says, and wait until the loop has let go of them."""
        for one in self._open():
            with contextlib.suppress(OSError):  # not connected yet, or not any more
                one.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GONE_WITHIN_S):
                while self._open():
                    await asyncio.sleep(LOOK_EVERY_S)

    def _open(self) -> list[socket.socket]:
        return [one for one in self._made if one.fileno() >= 0]
