"""One gzip stream out of parts that grow side by side, so that text never has to lie around uncompressed.

The text format wants all series of a family together, but objects are walked one by one and each has a line
in every family. So each family grows as a part of its own, compressed from the start, and in the end the
parts become one gzip stream by laying them end to end: a flushed deflate stream ends on a byte and refers to
nothing outside itself. Only the checksum of the whole must be worked out from those of the parts. (Members
of their own would need no such arithmetic, and RFC 1952 allows them, but curl stops after the first.)
Source: RFC 1951, RFC 1952; the arithmetic is zlib's crc32_combine.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, reduce
from typing import Any, Final

# Level 1: lines of one family differ in a few words, and more effort finds little more.
_LEVEL: Final = 1
# A window of 8 KB holds the last forty lines, and keeps the cost of a part at 50 KB while it grows.
_WINDOW_BITS: Final = -13
_MEMORY: Final = 5
_HEADER: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_LAST_BLOCK: Final = b"\x03\x00"
_READ: Final = 1 << 18

_POLYNOMIAL: Final = 0xEDB88320
_ONE: Final = 1 << 31  # x**0: bits stand the other way round


@dataclass(frozen=True, slots=True)
class Part:
    """Compressed text: raw deflate blocks, none of them the last one."""

    data: bytes
    length: int
    crc: int

    def text(self) -> Iterator[bytes]:
        """The text again, in pieces of at most 256 KB."""
        inflate = zlib.decompressobj(_WINDOW_BITS)
        rest = self.data
        while piece := inflate.decompress(rest, _READ):
            yield piece
            rest = inflate.unconsumed_tail


class GrowingPart:
    """A part in the making."""

    def __init__(self) -> None:
        # Made for the first text: many parts get theirs only at the end, one after the other.
        self._deflate: Any = None
        self._data: list[bytes] = []
        self._length = 0
        self._crc = 0

    def write(self, text: bytes) -> None:
        """Add text."""
        if self._deflate is None:
            self._deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW_BITS, _MEMORY)
        self._length += len(text)
        self._crc = zlib.crc32(text, self._crc)
        self._data.append(self._deflate.compress(text))

    def finish(self) -> Part:
        """The finished part; nothing may be written afterwards."""
        if self._deflate is not None:
            self._data.append(self._deflate.flush(zlib.Z_FULL_FLUSH))
            self._deflate = None
        return Part(b"".join(self._data), self._length, self._crc)


def gzip_stream(parts: Iterable[Part]) -> bytes:
    """One gzip stream whose text is that of all parts, one after the other."""
    found = list(parts)
    crc = reduce(_joined_crc, found, 0)
    size = sum(part.length for part in found) & 0xFFFFFFFF
    return b"".join([_HEADER, *(part.data for part in found), _LAST_BLOCK, struct.pack("<II", crc, size)])


def _joined_crc(before: int, part: Part) -> int:
    """CRC of a text followed by `part`: the first one moves on by the bytes that come after it."""
    return _times(_power(8 * part.length), before) ^ part.crc


def _power(exponent: int) -> int:
    """x to the `exponent`, modulo the polynomial."""
    found = _ONE
    for bit in range(exponent.bit_length()):
        if exponent >> bit & 1:
            found = _times(_square(bit), found)
    return found


@cache
def _square(times: int) -> int:
    """x, squared so many times; there are as many as a length has bits."""
    return _ONE >> 1 if times == 0 else _times(_square(times - 1), _square(times - 1))


def _times(a: int, b: int) -> int:
    """Product of two polynomials over GF(2), modulo that of CRC-32."""
    product = 0
    bit = _ONE
    while bit:
        if a & bit:
            product ^= b
        b = (b >> 1) ^ _POLYNOMIAL if b & 1 else b >> 1
        bit >>= 1
    return product
