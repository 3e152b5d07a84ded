"""The supervisor starts Kopf again whatever ended it, and says so while that keeps happening."""

import asyncio
from typing import Any, Final, cast

import kopf

from nestling.machinery.clock import SystemClock
from nestling.machinery.echo import Echo
from nestling.machinery.login import Login
from nestling.operators.supervisor import Supervisor

# Kopf falls before anybody logs in.
NOBODY: Final = Login(cast("Any", None), cast("Any", None))


def broken(_registry: kopf.OperatorRegistry) -> None:
    """What Kopf does when it cannot even begin."""
    raise KeyError("getpwuid(): uid not found: 65532")


async def test_an_operator_that_keeps_falling_is_not_called_well() -> None:
    supervisor = Supervisor(NOBODY, broken, Echo(SystemClock(), ()), clusters=(), spawned=_nothing)
    assert supervisor.trouble() == ""
    task = asyncio.create_task(supervisor.run())
    try:
        async with asyncio.timeout(60):
            while supervisor.restarts < 2:
                await asyncio.sleep(0.05)
        assert "watching keeps ending: KeyError" in supervisor.trouble()
        assert not task.done()
    finally:
        task.cancel()


def _nothing(*_: Any) -> None:
    """Nothing to be done."""
