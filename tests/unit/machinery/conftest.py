"""Fixtures of the machinery's tests."""

import pytest

from memory_host import Host


@pytest.fixture
def host() -> Host:
    """A server in memory, with nothing on it yet."""
    return Host()
