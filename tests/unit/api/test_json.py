"""JSON to keep."""

import ctypes

import orjson
import pytest

from nestling.api.json import packed

LIBC = ctypes.CDLL(None)
LARGE = {"spec": {f"key-{number}": "value" * 5 for number in range(150)}}


@pytest.mark.parametrize("value", [None, {}, [], "text", {"é": [1, 2.5, True]}, LARGE])
def test_packed_is_plain_json(value: object) -> None:
    assert packed(value) == orjson.dumps(value)


@pytest.mark.skipif(not hasattr(LIBC, "malloc_usable_size"), reason="this C library does not tell sizes")
def test_packed_takes_no_more_memory_than_it_needs() -> None:
    made = packed(LARGE)
    LIBC.malloc_usable_size.argtypes = [ctypes.c_void_p]
    LIBC.malloc_usable_size.restype = ctypes.c_size_t
    assert LIBC.malloc_usable_size(id(made)) < len(made) + 256
