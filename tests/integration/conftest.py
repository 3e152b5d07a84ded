"""Fixtures that give integration tests a real kube-apiserver.

What they are made of is in tests/realhost.py.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from nestling.host.component import CONTROLLERS
from realhost import RealHost, real_host


@pytest.fixture(scope="session")
def local_host() -> Iterator[RealHost]:
    """One real control plane for all tests of the run: tests use namespaces and names of their own."""
    with real_host() as host:
        yield host


@pytest.fixture
def real_server() -> Iterator[Callable[..., RealHost]]:
    """Make real control planes that are a test's own, with `controllers` and `apiserver_args` it names."""
    with ExitStack() as stack:

        def make(
            *, controllers: tuple[str, ...] = CONTROLLERS, apiserver_args: tuple[str, ...] = ()
        ) -> RealHost:
            return stack.enter_context(real_host(controllers=controllers, apiserver_args=apiserver_args))

        yield make
