"""The supervisor starts Kopf again whatever ended it, and tells of what keeps failing and for how long."""

import asyncio
from pathlib import Path
from typing import Any, Final, cast

import kopf
import pytest

from embedded_server import embedded_server
from nestling.api.crds import load_crds
from nestling.apiserver.faults import Rule
from nestling.machinery.clock import ManualClock, SystemClock
from nestling.machinery.echo import Echo
from nestling.machinery.login import Login, log_in
from nestling.operators.process import Options, Process
from nestling.operators.roles import ROLES
from nestling.operators.settings import EndlessBackoff
from nestling.operators.supervisor import Supervisor, long_failing

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
        assert supervisor.failing_s() > 0
        assert not task.done()
    finally:
        task.cancel()


def test_requests_fail_from_their_first_try_until_one_succeeds() -> None:
    clock = ManualClock()
    backoffs = EndlessBackoff(clock.monotonic)
    first, second = iter(backoffs), iter(backoffs)
    next(first)
    next(second)
    clock.advance(5)
    assert backoffs.failing_s() == 0, "the first try is under way"
    next(first)
    clock.advance(5)
    next(first)
    next(second)
    assert backoffs.failing_s() == 10
    del first
    clock.advance(5)
    assert backoffs.failing_s() == 15, "another one fails still"
    del second
    assert backoffs.failing_s() == 0


@pytest.mark.timeout(60)
async def test_a_process_that_may_not_list_pods_knows_it(tmp_path: Path) -> None:
    with embedded_server(tmp_path) as host:
        refusal = Rule("refuse", path="/virtualpods", status=403, times=-1)
        host.faults.add(refusal)
        for crd in load_crds():
            host.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
        process = Process(
            log_in(host.kubeconfig), [ROLES["kubelet"]], Options(clusters=("team-a",), metrics_port=None)
        )
        running = asyncio.create_task(process.run())
        try:
            while process.supervisor.failing_s() < 0.5:
                await asyncio.sleep(0.05)
            refusal.times = 0
            while process.supervisor.failing_s() > 0:
                await asyncio.sleep(0.05)
        finally:
            running.cancel()
            await asyncio.wait({running})


@pytest.mark.parametrize(
    ("failing_s", "unanswered_s", "told"),
    [
        pytest.param(0, 1, False, id="all is well"),
        pytest.param(299, 1, False, id="not for long"),
        pytest.param(300, 1, True, id="long, and the host answers"),
        pytest.param(300, 31, False, id="the host answers nobody"),
        pytest.param(3000, float("inf"), False, id="the host never answered"),
    ],
)
def test_only_a_new_process_may_help_when_watches_fail_long_and_the_host_answers(
    failing_s: float, unanswered_s: float, *, told: bool
) -> None:
    assert bool(long_failing(failing_s, unanswered_s)) is told


def _nothing(*_: Any) -> None:
    """Nothing to be done."""
