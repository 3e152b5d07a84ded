"""Parts that grew side by side make one gzip stream that any reader takes."""

import gzip
import subprocess
import zlib

from hypothesis import given
from hypothesis import strategies as st

from nestling.monitoring.gzip_parts import GrowingPart, Part, gzip_stream


def a_part(*texts: bytes) -> Part:
    growing = GrowingPart()
    for text in texts:
        growing.write(text)
    return growing.finish()


@given(st.lists(st.lists(st.binary(max_size=300), max_size=4), max_size=6))
def test_parts_read_back_as_they_were_written(texts: list[list[bytes]]) -> None:
    parts = [a_part(*text) for text in texts]
    assert gzip.decompress(gzip_stream(parts)) == b"".join(b"".join(text) for text in texts)
    for part, text in zip(parts, texts, strict=True):
        assert b"".join(part.text()) == b"".join(text)
        assert (part.length, part.crc) == (len(b"".join(text)), zlib.crc32(b"".join(text)))


def test_a_stream_is_one_member_since_readers_stop_after_the_first() -> None:
    reader = zlib.decompressobj(16 + zlib.MAX_WBITS)
    text = reader.decompress(gzip_stream([a_part(b"a 1\n"), a_part(b"b 2\n")]))
    assert text == b"a 1\nb 2\n"
    assert reader.eof
    assert reader.unused_data == b""


def test_gzip_itself_takes_the_stream() -> None:
    stream = gzip_stream([a_part(b"a 1\n" * 100_000), a_part(), a_part(b"b 2\n")])
    found = subprocess.run(["gzip", "-dc"], input=stream, capture_output=True, check=True)
    assert found.stdout == b"a 1\n" * 100_000 + b"b 2\n"


def test_long_text_comes_back_in_pieces() -> None:
    part = a_part(b"x" * 1_000_000)
    pieces = list(part.text())
    assert max(map(len, pieces)) == 1 << 18
    assert sum(map(len, pieces)) == 1_000_000
