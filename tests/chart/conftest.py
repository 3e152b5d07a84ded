"""A real API server with the chart's kinds, for the tests that need a judge."""

from collections.abc import Iterator

import pytest

from realhost import RealHost, real_host


@pytest.fixture(scope="session")
def judge() -> Iterator[RealHost]:
    """One real control plane for all chart tests; no kubelet, so pods stay Pending and hooks cannot run."""
    with real_host() as host:
        yield host
