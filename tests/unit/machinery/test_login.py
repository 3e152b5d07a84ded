"""The Authorization header is asked for anew when its time is up, and not before."""

import pytest

from nestling.machinery.login import REMEMBERED_S, Remembered


class Tokens:
    """Gives a new header each time it is asked, or fails as an exec plugin may."""

    def __init__(self) -> None:
        self.asked = 0
        self.broken = False

    async def ask(self) -> str | None:
        """The next header."""
        self.asked += 1
        if self.broken:
            raise OSError("no such plugin")
        return f"Bearer {self.asked}"


@pytest.mark.parametrize(
    ("moments", "headers"),
    [
        pytest.param([0.0], ["Bearer 1"], id="the first request asks"),
        pytest.param([0.0, 1.0, REMEMBERED_S - 0.1], ["Bearer 1"] * 3, id="the next ones do not"),
        pytest.param([0.0, REMEMBERED_S], ["Bearer 1", "Bearer 2"], id="a renewed token is found"),
        pytest.param([0.0, 3600.0, 3601.0], ["Bearer 1", "Bearer 2", "Bearer 2"], id="after a long pause"),
    ],
)
async def test_header_is_remembered(moments: list[float], headers: list[str]) -> None:
    clock, tokens = iter(moments), Tokens()
    remembered = Remembered(tokens.ask, monotonic=lambda: 5000.0 + next(clock))
    assert [await remembered() for _ in moments] == headers


async def test_failure_is_not_remembered() -> None:
    tokens = Tokens()
    remembered = Remembered(tokens.ask, monotonic=lambda: 0.0)
    tokens.broken = True
    with pytest.raises(OSError, match="plugin"):
        await remembered()
    tokens.broken = False
    assert await remembered() == "Bearer 2"
